"""Jurisdictions whose rules are kept, and the currency a bare amount in their rules is in."""

from __future__ import annotations

from typing import Final

GLOBAL: Final = "GLOBAL"

JURISDICTION_CURRENCY: Final[dict[str, str]] = {GLOBAL: "USD", "US": "USD", "EU": "EUR"}

# Member states of the European Union, ISO 3166-1 alpha-2; rules name the list by this name.
EU_COUNTRIES: Final = (
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU",
    "IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
)  # fmt: skip


def jurisdictions_of(country: str) -> frozenset[str]:
    """The jurisdictions whose rules hold for a resident: GLOBAL and, if kept, their own."""
    if country == "US":
        return frozenset({GLOBAL, "US"})
    if country in EU_COUNTRIES:
        return frozenset({GLOBAL, "EU"})
    return frozenset({GLOBAL})
