"""Money is whole minor units of a served currency; token units are exact or refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.money import CURRENCY_EXPONENT, Money, to_token_units


@pytest.mark.parametrize("amount", [True, False, 1.0, "1", None, float("nan")])
def test_only_integers_are_amounts(amount: Any) -> None:
    with pytest.raises(TypeError):
        Money(amount, "USD")


@pytest.mark.parametrize(
    ("amount_minor", "currency"), [(-1, "USD"), (1, "usd"), (1, "JPY"), (1, ""), (1, "USDC")]
)
def test_negative_amounts_and_other_currencies_are_refused(
    amount_minor: int, currency: str
) -> None:
    with pytest.raises(ValueError, match=r"negative|served"):
        Money(amount_minor, currency)


@pytest.mark.parametrize("decimals", [1, 0, -1])
def test_a_token_too_coarse_for_its_currency_is_refused_not_rounded(decimals: int) -> None:
    with pytest.raises(ValueError, match="exactly"):
        to_token_units(Money(100, "USD"), decimals)


@pytest.mark.parametrize(
    ("amount_minor", "currency", "decimals", "units"),
    [
        (0, "USD", 6, 0),
        (1, "USD", 6, 10_000),
        (1, "USD", 2, 1),
        (1, "EUR", 3, 10),
        (500_000, "USD", 6, 5_000_000_000),
        (1, "USD", 18, 10**16),
        (1_000_000_000, "EUR", 18, 10**25),
    ],
)
def test_minor_units_scale_exactly(
    amount_minor: int, currency: str, decimals: int, units: int
) -> None:
    assert to_token_units(Money(amount_minor, currency), decimals) == units


@given(
    amount_minor=st.integers(0, 10**12),
    currency=st.sampled_from(sorted(CURRENCY_EXPONENT)),
    decimals=st.integers(2, 36),
)
def test_scaling_loses_nothing(amount_minor: int, currency: str, decimals: int) -> None:
    units = to_token_units(Money(amount_minor, currency), decimals)
    assert divmod(units, 10 ** (decimals - CURRENCY_EXPONENT[currency])) == (amount_minor, 0)
