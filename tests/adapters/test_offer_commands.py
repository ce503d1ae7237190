"""`cli.py offers apr`: the rate of a document, and a line about each that has none."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import cli
from adapters.cash_flows import MAX_BYTES
from models.domain.rates import NoRate
from settings import ROOT

# 12 CFR 1026 Appendix J (c)(1)(i).
LOAN: dict[str, Any] = {
    "method": "us-actuarial",
    "advances": [{"amount": "5000.00", "date": "1978-01-10"}],
    "payments": [{"amount": "230.00", "date": "1978-02-10", "count": 24, "every": "month"}],
}
# (c)(1)(ii), by its unit-periods.
TIMED: dict[str, Any] = {
    "method": "us-actuarial",
    "unit_periods_per_year": 12,
    "advances": [{"amount_minor": 600_000, "periods": 0}],
    "payments": [{"amount_minor": 20_000, "periods": 1, "fraction": "19/30", "count": 36}],
}
# Directive 87/102/EEC Annex III A.1 and B.1.
EURO: dict[str, Any] = {
    "method": "eu",
    "basis": "year",
    "advances": [{"amount": "1000", "date": "1994-01-01"}],
    "payments": [{"amount": "1200", "date": "1995-07-01"}],
}
YEARS: dict[str, Any] = {
    "method": "eu",
    "advances": [{"amount": "1000", "periods": 0}],
    "payments": [{"amount": "1200", "periods": 1, "fraction": "1/2"}],
}


def ask(document: object, *options: str) -> tuple[int, str, str]:
    text = document if isinstance(document, str) else json.dumps(document)
    said = CliRunner().invoke(cli.app, ["offers", "apr", "-", *options], input=text)
    return said.exit_code, said.stdout, said.stderr


@pytest.mark.parametrize(
    ("document", "options", "printed"),
    [
        (LOAN, [], "9.69 %\n"),
        (TIMED, [], "11.82 %\n"),
        (EURO, [], "13.0 %\n"),
        (EURO, ["--decimals", "2"], "12.96 %\n"),
        (YEARS, [], "12.9 %\n"),
        # The same in months: one and a half years are eighteen of twelve.
        (
            {
                **YEARS,
                "unit_periods_per_year": "12",
                "payments": [{"amount": "1200", "periods": 18}],
            },
            [],
            "12.9 %\n",
        ),
        (LOAN, ["--decimals", "0"], "10 %\n"),
    ],
)
def test_the_rate_is_printed(document: object, options: list[str], printed: str) -> None:
    assert ask(document, *options) == (0, printed, "")


def test_the_documentation_tells_the_truth() -> None:
    text = (ROOT / "docs/apr.md").read_text("utf-8")
    shown = re.findall(r"([\d.]+ %):\n\n```json\n(.*?)```", text, re.S)
    assert len(shown) == 3
    assert [ask(document)[1] for _, document in shown] == [f"{rate}\n" for rate, _ in shown]
    assert {reason for reason in NoRate if f"| `{reason}` |" in text} == set(NoRate)


def test_json_has_the_exact_rate_and_what_it_was_counted_in() -> None:
    code, said, _ = ask(LOAN, "--json")
    answer = json.loads(said)
    assert code == 0
    assert answer.pop("exact_percent").startswith("9.6857")
    assert answer == {
        "method": "us-actuarial",
        "apr_percent": "9.69",
        "counted_in": "month",
        "advanced_minor": 500_000,
        "paid_minor": 552_000,
        "cost_minor": 52_000,
    }
    assert json.loads(ask(EURO, "--json")[1])["counted_in"] == "years and days"


def test_a_file_is_read_as_well(tmp_path: Path) -> None:
    (tmp_path / "loan.json").write_text(json.dumps(LOAN))
    said = CliRunner().invoke(cli.app, ["offers", "apr", str(tmp_path / "loan.json")])
    assert (said.exit_code, said.stdout) == (0, "9.69 %\n")
    absent = CliRunner().invoke(cli.app, ["offers", "apr", str(tmp_path / "no.json")])
    assert absent.exit_code == 2
    assert absent.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("payments", "reason"),
    [
        ([{"amount": "4999.99", "date": "1979-01-10"}], "NO_SIGN_CHANGE"),
        ([{"amount": "9999999999999", "date": "1978-01-11"}], "OUT_OF_RANGE"),
    ],
)
def test_cash_flows_without_a_rate_end_with_1_and_the_reason(
    payments: list[object], reason: str
) -> None:
    code, said, told = ask({**LOAN, "payments": payments})
    assert (code, said) == (1, "")
    assert told.startswith(f"{reason}: ")
    assert told.count("\n") == 1


def with_payment(**changes: object) -> dict[str, Any]:
    """The loan with another payment; a change to None takes the field away."""
    payment = {"amount": "230.00", "date": "1978-02-10", **changes}
    kept = {name: value for name, value in payment.items() if value is not None}
    return {**LOAN, "payments": [kept]}


def timed_payment(**changes: object) -> dict[str, Any]:
    return {**TIMED, "payments": [{"amount_minor": 700_000, "periods": 1, **changes}]}


AHEAD: dict[str, Any] = {
    "method": "us-actuarial",
    "unit_periods_per_year": 1,
    "advances": [{"amount": "300", "periods": 1}],
    "payments": [{"amount": "100", "periods": 0}, {"amount": "210", "periods": 2}],
}


def test_payments_in_advance_have_to_be_said_to_be_meant() -> None:
    code, _, told = ask(AHEAD)
    assert (code, told.partition(":")[0]) == (2, "PAYMENT_BEFORE_ADVANCE")
    assert ask({**AHEAD, "payments_in_advance": True}) == (0, "11.27 %\n", "")


BAD = {
    "payments in advance in words": {**AHEAD, "payments_in_advance": "yes"},
    "payments in advance in the EU": {**YEARS, "payments_in_advance": True},
    "payments in advance in the EU by days": {**EURO, "payments_in_advance": False},
    "no JSON": "{",
    "no object": "[]",
    "empty": "",
    "NaN": '{"method": "eu", "advances": [{"amount_minor": NaN}]}',
    "infinity": '{"method": "eu", "advances": [{"amount_minor": 1e999}]}',
    "a key twice": '{"method": "eu", "method": "eu"}',
    "nested": "[" * 100_000,
    "no method": {name: LOAN[name] for name in ("advances", "payments")},
    "another method": {**LOAN, "method": "simple"},
    "a method of another type": {**LOAN, "method": 5},
    "a misspelt field": {**LOAN, "unitperiod": "month"},
    "no advances": {**LOAN, "advances": []},
    "advances of another type": {**LOAN, "advances": {"amount": "1"}},
    "payments of another type": {**LOAN, "payments": ["230.00"]},
    "no payments": {"method": "eu", "advances": LOAN["advances"]},
    "an unknown field of a payment": with_payment(fee="1.00"),
    "a negative amount": with_payment(amount="-230.00"),
    "an amount of zero": with_payment(amount="0.00"),
    "a float": with_payment(amount=230.5),
    "a float of minor units": timed_payment(amount_minor=700_000.0),
    "three decimals": with_payment(amount="230.005"),
    "an exponent": with_payment(amount="1e5"),
    "digits of other scripts": with_payment(amount="٢٣٠"),
    "NaN in words": with_payment(amount="NaN"),
    "an absurd amount": with_payment(amount="9" * 40),
    "an absurd number of minor units": timed_payment(amount_minor=10**30),
    "true": timed_payment(amount_minor=True),
    "two amounts": with_payment(amount_minor=23_000),
    "no amount": with_payment(amount=None),
    "no such day": with_payment(date="1978-02-30"),
    "another calendar form": with_payment(date="19780210"),
    "a year out of range": with_payment(date="9999-12-31"),
    "a day of another type": with_payment(date=19_780_210),
    "a payment before the advance": with_payment(date="1978-01-09"),
    "a count of zero": with_payment(count=0, every="month"),
    "an absurd count": with_payment(count=10**9, every="day"),
    "a count beyond the term": with_payment(count=5_000, every="year"),
    "a count of text": with_payment(count="24", every="month"),
    "a count without every": with_payment(count=24),
    "every without a count": with_payment(every="month"),
    "no such period": with_payment(count=2, every="fortnight"),
    "too long a period": with_payment(count=2, every="99 weeks"),
    "a date with periods": with_payment(periods=1),
    "times of two kinds": {**LOAN, "payments": [*LOAN["payments"], *TIMED["payments"]]},
    "sides of two kinds": {**LOAN, "payments": TIMED["payments"]},
    "dates with periods a year": {**LOAN, "unit_periods_per_year": 12},
    "a basis for the US": {**LOAN, "basis": "month"},
    "a unit-period for the EU": {**EURO, "unit_period": "month"},
    "no such basis": {**EURO, "basis": "day"},
    "a basis of another type": {**EURO, "basis": ["year"]},
    "no such unit-period": {**LOAN, "unit_period": "2 semimonths"},
    "periods without a year": {**TIMED, "unit_periods_per_year": None},
    "no periods in a year": {**TIMED, "unit_periods_per_year": 0},
    "too many periods in a year": {**TIMED, "unit_periods_per_year": 10_000},
    "periods with a unit-period": {**TIMED, "unit_period": "month"},
    "negative periods": timed_payment(periods=-1),
    "absurd periods": timed_payment(periods=10**12),
    "half periods": timed_payment(periods=1.5),
    "a negative fraction": timed_payment(fraction="-1/2"),
    "a fraction over zero": timed_payment(fraction="1/0"),
    "a float of a fraction": timed_payment(fraction=0.5),
    "an absurd fraction": timed_payment(fraction="1/" + "9" * 5_000),
    "periods with every": timed_payment(every="month", count=2),
    "too many flows": {**TIMED, "payments": TIMED["payments"] * 200},
    "too many bytes": " " * (MAX_BYTES + 1),
}


@pytest.mark.parametrize("wrong", BAD)
def test_bad_input_ends_with_2_and_one_line(wrong: str) -> None:
    code, said, told = ask(BAD[wrong])
    assert (code, said) == (2, "")
    assert told.count("\n") == 1
    assert len(told) < 300
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("document", "where"),
    [
        (with_payment(amount="-1"), "payments[0].amount: "),
        (with_payment(date="1978-02-30"), "payments[0].date: "),
        (timed_payment(fraction="x"), "payments[0].fraction: "),
        ({**LOAN, "method": "x"}, "method: one of us-actuarial, eu"),
    ],
)
def test_the_line_says_where(document: object, where: str) -> None:
    assert f"CASH_FLOWS_MALFORMED: {where}" in ask(document)[2]
