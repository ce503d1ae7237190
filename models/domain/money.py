"""Money: integer minor units with an ISO 4217 currency, and its exact scaling to token units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Decimal places of the currencies served (ISO 4217). Anything else is refused, never guessed.
CURRENCY_EXPONENT: Final[dict[str, int]] = {"USD": 2, "EUR": 2}

# Largest amount of any application: 10 million major units. A lender's own limits are far below.
MAX_AMOUNT_MINOR: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units (cents) of a served currency; never negative."""

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        if isinstance(self.amount_minor, bool) or not isinstance(self.amount_minor, int):
            raise TypeError("amount_minor is an integer count of minor units")
        if self.amount_minor < 0:
            raise ValueError("money is never negative")
        if self.currency not in CURRENCY_EXPONENT:
            raise ValueError("currency is not served")


def to_token_units(money: Money, token_decimals: int) -> int:
    """Minor units scaled to a token's units, exactly: 1 USD cent is 10^4 units at 6 decimals.

    Raises ValueError if the token has fewer decimals than the currency (that would need rounding).
    """
    shift = token_decimals - CURRENCY_EXPONENT[money.currency]
    if shift < 0:
        raise ValueError("a token with fewer decimals than its currency cannot settle it exactly")
    return int(money.amount_minor * 10**shift)
