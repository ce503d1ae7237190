"""Recorded exchange rates, and exact conversion of money into the currency of a rule."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Final

from models.domain.money import CURRENCY_EXPONENT
from models.policy.yaml_file import YAMLInvalid, read_yaml

_RATE: Final = re.compile(r"[0-9]{1,6}(\.[0-9]{1,8})?")
_KEYS: Final = frozenset({"source", "as_of", "base", "usd_per_unit"})


class RatesInvalid(ValueError):
    """The file of rates cannot be used; the message says why."""


class RateUnavailable(LookupError):
    """There is no recorded rate, or no known minor unit, for a currency."""


@dataclass(frozen=True, slots=True)
class RateTable:
    """US dollars per unit of each currency on one day, from a named source."""

    source: str
    as_of: date
    usd_per_unit: Mapping[str, Fraction]

    def major_units(self, amount_minor: int, currency: str, target: str) -> Fraction:
        """The exact amount in major units of `target`; unrounded. Raises RateUnavailable.

        In the same currency no rate is used: a missing rate does not stop a rule in that currency.
        """
        if currency not in CURRENCY_EXPONENT:
            raise RateUnavailable(f"the minor unit of {currency} is not known")
        amount = Fraction(amount_minor, 10 ** CURRENCY_EXPONENT[currency])
        if currency == target:
            return amount
        if currency not in self.usd_per_unit or target not in self.usd_per_unit:
            raise RateUnavailable(f"no rate from {currency} to {target}")
        return amount * self.usd_per_unit[currency] / self.usd_per_unit[target]


def load_rates(path: Path) -> RateTable:
    """Read a file of rates; strict. Raises RatesInvalid."""
    try:
        content = read_yaml(path)
    except YAMLInvalid as error:
        raise RatesInvalid(f"{path.name}: {error}") from error
    if not isinstance(content, dict) or content.keys() != _KEYS or content["base"] != "USD":
        raise RatesInvalid(f"{path.name}: the keys are {sorted(_KEYS)}, and the base is USD")
    source, as_of, rates = content["source"], content["as_of"], content["usd_per_unit"]
    if not isinstance(source, str) or not source.strip() or not isinstance(as_of, str):
        raise RatesInvalid(f"{path.name}: source and as_of are texts")
    try:
        day = date.fromisoformat(as_of)
    except ValueError as error:
        raise RatesInvalid(f"{path.name}: as_of is an ISO 8601 day") from error
    if not isinstance(rates, dict) or rates.get("USD") != "1":
        raise RatesInvalid(f"{path.name}: usd_per_unit maps currencies to rates, USD to '1'")
    return RateTable(source, day, {code: _rate(path, code, text) for code, text in rates.items()})


def _rate(path: Path, code: object, text: object) -> Fraction:
    """A rate is written as a quoted decimal, so that no float ever rounds it."""
    if code not in CURRENCY_EXPONENT:
        raise RatesInvalid(f"{path.name}: {code!r} is not a currency served")
    if not isinstance(text, str) or not _RATE.fullmatch(text) or Fraction(text) == 0:
        raise RatesInvalid(f"{path.name}: the rate of {code} is not a positive quoted decimal")
    return Fraction(text)
