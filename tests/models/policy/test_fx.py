"""Conversion is exact, and a rate that is missing or odd is never guessed."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest

from models.policy.engine import SHIPPED_RATES
from models.policy.fx import RatesInvalid, RateTable, RateUnavailable, load_rates

GOOD = """
source: "a test"
as_of: "2026-01-02"
base: "USD"
usd_per_unit:
  USD: "1"
  EUR: "1.10"
"""
RATES = RateTable("a test", date(2026, 1, 2), {"USD": Fraction(1), "EUR": Fraction("1.1")})


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (GOOD, "", "the keys are"),
        ('base: "USD"', 'base: "EUR"', "base is USD"),
        ('source: "a test"', 'source: ""', "source and as_of"),
        ('source: "a test"', 'origin: "a test"', "the keys are"),
        ('"2026-01-02"', "2026-01-02", "source and as_of"),
        ('"2026-01-02"', '"2026-02-30"', "ISO 8601"),
        ('USD: "1"', 'USD: "1.01"', "USD to '1'"),
        ('EUR: "1.10"', "EUR: 1.10", "positive quoted decimal"),
        ('"1.10"', '"0"', "positive quoted decimal"),
        ('"1.10"', '"-1.10"', "positive quoted decimal"),
        ('"1.10"', '"NaN"', "positive quoted decimal"),
        ('"1.10"', '"1e3"', "positive quoted decimal"),
        ('"1.10"', '"١"', "positive quoted decimal"),
        ('"1.10"', '"1/3"', "positive quoted decimal"),
        ("EUR:", "XXX:", "not a currency served"),
        ('EUR: "1.10"', 'EUR: "1.10"\n  EUR: "1.20"', "repeated key"),
        ('EUR: "1.10"', "EUR: &a !!python/name:os.system ''", "anchors|not YAML"),
        (GOOD, "a: [", "not YAML"),
        (GOOD, "#" * 70_000, "larger"),
    ],
)
def test_bad_files_of_rates_are_refused(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert old in GOOD
    path = tmp_path / "rates.yaml"
    path.write_text(GOOD.replace(old, new), encoding="utf-8")
    with pytest.raises(RatesInvalid, match=complaint):
        load_rates(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RatesInvalid, match="cannot be read"):
        load_rates(tmp_path / "rates.yaml")


@pytest.mark.parametrize(("currency", "target"), [("GBP", "USD"), ("USD", "GBP"), ("GBP", "GBP")])
def test_an_unknown_currency_has_no_rate(currency: str, target: str) -> None:
    with pytest.raises(RateUnavailable):
        RATES.major_units(100, currency, target)


@pytest.mark.parametrize(
    ("amount_minor", "currency", "target", "major"),
    [
        (1_000_001, "USD", "USD", Fraction(1_000_001, 100)),
        (100, "EUR", "USD", Fraction(11, 10)),
        (110, "USD", "EUR", Fraction(1)),
        (100, "USD", "EUR", Fraction(10, 11)),
        (1, "USD", "EUR", Fraction(1, 110)),
        (10**24 + 1, "EUR", "USD", Fraction(10**24 + 1, 100) * Fraction(11, 10)),
    ],
)
def test_conversion_is_exact(
    amount_minor: int, currency: str, target: str, major: Fraction
) -> None:
    assert RATES.major_units(amount_minor, currency, target) == major


def test_one_currency_needs_no_rate() -> None:
    bare = RateTable("a test", date(2026, 1, 2), {})
    assert bare.major_units(12_345, "EUR", "EUR") == Fraction(12_345, 100)


def test_the_shipped_rates_say_what_they_are() -> None:
    rates = load_rates(SHIPPED_RATES)
    assert "invented" in rates.source
    assert rates.usd_per_unit["USD"] == 1
