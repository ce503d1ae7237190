"""Cash flows as people write them down in JSON, read strictly, and their annual percentage rate.

    {"method": "us-actuarial",
     "advances": [{"amount": "5000.00", "date": "1978-01-10"}],
     "payments": [{"amount": "230.00", "date": "1978-02-10", "count": 24, "every": "month"}]}

An amount is a decimal string with at most two decimals, or `amount_minor`, a whole number of minor
units; never a JSON number with a point. Time is a `date`, or `periods` (full ones that compound)
with a `fraction` such as "19/30" after the first advance; one way or the other in a document. With
periods, `unit_periods_per_year` says what they are (the EU's are years unless it says otherwise).
Payments that precede the first advance, or run ahead of advances, need `payments_in_advance`: true.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final, TypeVar

from adapters.strict_json import parse_object
from models.domain import apr_eu, apr_us
from models.domain.apr import MAX_FLOWS, MAX_PERIODS, CashFlow, CashFlows, DatedFlow
from models.domain.errors import Invalid
from models.domain.unit_periods import Interval, UnitPeriod, repeated

MAX_BYTES: Final = 2_000_000  # 10,000 cash flows, generously written
LAST_YEAR: Final = 2199  # of the dates read, see below

_AMOUNT: Final = re.compile(r"\d{1,13}(\.\d{1,2})?", re.ASCII)
_DATE: Final = re.compile(r"(19|20|21)\d\d-\d\d-\d\d", re.ASCII)
_FRACTION: Final = re.compile(r"\d{1,6}/[1-9]\d{0,5}|\d{1,6}(\.\d{1,12})?", re.ASCII)
_PERIOD: Final = re.compile(r"(?:([1-9]\d{0,2}) )?(day|week|semimonth|month|year)s?", re.ASCII)
_SIDES: Final = ("advances", "payments")
_IN_ADVANCE: Final = "payments_in_advance"
_FLOW: Final = {"amount", "amount_minor", "date", "periods", "fraction", "count", "every"}

T = TypeVar("T")


class Method(StrEnum):
    """Whose equation: Regulation Z's actuarial method, or the European directives'."""

    US_ACTUARIAL = "us-actuarial"
    EU = "eu"


@dataclass(frozen=True, slots=True)
class Found:
    """A rate as a fraction of 1, how it is published, and what it was counted in."""

    method: Method
    rate: Decimal
    decimals: int
    counted_in: str
    advanced_minor: int
    paid_minor: int


def annual_percentage_rate(body: bytes) -> Found:
    """The rate of the cash flows in a JSON document.

    Raises Invalid, which says in a line what is wrong and where, and RateNotFound with its reason.
    """
    document = _document(body)
    method = _method(document)
    dated = [_uses_dates(document, side) for side in _SIDES]
    if dated[0] is not dated[1]:
        raise _wrong("payments", "advances and payments are timed the same way")
    if dated[0]:
        sides = [_flows(document, side, _dated) for side in _SIDES]
        flows, counted_in, per_year = _from_dates(document, method, *sides)
    else:
        flows, per_year = _from_periods(document, method)
        counted_in = f"{per_year} periods a year"
    if method is Method.EU:
        rate, decimals = apr_eu.apr(flows), apr_eu.PUBLISHED_DECIMALS
    else:
        rate, decimals = apr_us.apr(flows, per_year), apr_us.PUBLISHED_DECIMALS
    advanced, paid = (
        sum(flow.amount_minor for flow in side) for side in (flows.advances, flows.payments)
    )
    return Found(method, rate, decimals, counted_in, advanced, paid)


def _document(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_BYTES:
        raise Invalid("CASH_FLOWS_TOO_MANY", f"the document has more than {MAX_BYTES} bytes")
    try:
        document = parse_object(body)
    except ValueError as error:
        raise Invalid("CASH_FLOWS_MALFORMED", str(error)) from None
    known = {"method", *_SIDES, "unit_period", "unit_periods_per_year", "basis", _IN_ADVANCE}
    _closed(document, known, "the document")
    return document


def _method(document: Mapping[str, Any]) -> Method:
    try:
        return Method(document["method"])
    except (KeyError, ValueError):
        raise _wrong("method", f"one of {', '.join(Method)}") from None


def _from_dates(
    document: Mapping[str, Any],
    method: Method,
    advances: Sequence[DatedFlow],
    payments: Sequence[DatedFlow],
) -> tuple[CashFlows, str, Fraction]:
    """The flows, the words for what they were counted in, and how many of those a year has."""
    if "unit_periods_per_year" in document:
        raise _wrong("unit_periods_per_year", "dates have unit_period or basis instead")
    if method is Method.EU:
        _without(document, _IN_ADVANCE, "the eu method starts with the first drawdown")
        _without(document, "unit_period", "the eu method counts by basis")
        flows, basis = apr_eu.in_years(advances, payments, _basis(document))
        return flows, f"{basis}s and days", Fraction(1)
    _without(document, "basis", "the us-actuarial method counts by unit_period")
    unit = _period(document["unit_period"], "unit_period") if "unit_period" in document else None
    ahead = _in_advance(document)
    flows, unit = apr_us.in_unit_periods(advances, payments, unit, in_advance=ahead)
    return flows, str(unit), unit.per_year


def _from_periods(document: Mapping[str, Any], method: Method) -> tuple[CashFlows, Fraction]:
    for name in ("unit_period", "basis"):
        _without(document, name, "periods have unit_periods_per_year instead")
    given = document.get("unit_periods_per_year", "1" if method is Method.EU else None)
    per_year = _fraction(given, "unit_periods_per_year")
    if not 0 < per_year <= 366:
        raise _wrong("unit_periods_per_year", "above 0 and at most 366")
    advances, payments = (_flows(document, side, _timed) for side in _SIDES)
    if method is Method.EU:
        _without(document, _IN_ADVANCE, "the eu method starts with the first drawdown")
        advances, payments = (
            [CashFlow(each.amount_minor, each.when / per_year) for each in side]
            for side in (advances, payments)
        )
    ahead = _in_advance(document)
    return CashFlows(tuple(advances), tuple(payments), in_advance=ahead), per_year


def _in_advance(document: Mapping[str, Any]) -> bool:
    said = document.get(_IN_ADVANCE, False)
    if not isinstance(said, bool):
        raise _wrong(_IN_ADVANCE, "true or false")
    return said


def _uses_dates(document: Mapping[str, Any], side: str) -> bool:
    listed = document.get(side)
    if not isinstance(listed, list) or not listed:
        raise _wrong(side, "a list of at least one")
    if not all(isinstance(each, dict) for each in listed):
        raise _wrong(side, "a list of objects")
    dated = {"date" in each for each in listed}
    if len(dated) > 1:
        raise _wrong(side, "all have a date, or none has")
    return dated.pop()


def _flows(
    document: Mapping[str, Any],
    side: str,
    read: Callable[[Mapping[str, Any], str, int], list[T]],
) -> list[T]:
    found: list[T] = []
    for number, flow in enumerate(document[side]):
        where = f"{side}[{number}]"
        _closed(flow, _FLOW, where)
        count = _whole(flow.get("count", 1), f"{where}.count", least=1, most=MAX_FLOWS)
        found += read(flow, where, count)
        if len(found) > MAX_FLOWS:
            raise Invalid("CASH_FLOWS_TOO_MANY", f"{side}: at most {MAX_FLOWS}")
    return found


def _dated(flow: Mapping[str, Any], where: str, count: int) -> list[DatedFlow]:
    for name in ("periods", "fraction"):
        _without(flow, name, "a date needs none", where)
    first = _date(flow["date"], f"{where}.date")
    if (count > 1) is not ("every" in flow):
        raise _wrong(f"{where}.every", "goes with a count above 1")
    every = _period(flow.get("every", "day"), f"{where}.every")
    amount = _amount(flow, where)
    try:
        days = repeated(first, every, count)
    except (ValueError, OverflowError):  # beyond the last day that can be written down at all
        days = [date.max]
    if days[-1].year > LAST_YEAR:
        raise _wrong(f"{where}.count", f"ends after {LAST_YEAR}")
    return [DatedFlow(amount, on) for on in days]


def _timed(flow: Mapping[str, Any], where: str, count: int) -> list[CashFlow]:
    _without(flow, "every", "repeated flows are one period apart", where)
    full = _whole(flow.get("periods"), f"{where}.periods", least=0, most=MAX_PERIODS)
    odd = _fraction(flow.get("fraction", "0"), f"{where}.fraction")
    amount = _amount(flow, where)
    return [CashFlow(amount, Fraction(full + n), odd) for n in range(count)]


def _amount(flow: Mapping[str, Any], where: str) -> int:
    """Minor units, exactly; the bounds are those of a cash flow."""
    if ("amount" in flow) is ("amount_minor" in flow):
        raise _wrong(where, "has an amount or an amount_minor")
    if "amount_minor" in flow:
        return _whole(flow["amount_minor"], f"{where}.amount_minor", least=1, most=10**15)
    text = flow["amount"]
    if not isinstance(text, str) or not _AMOUNT.fullmatch(text):
        raise _wrong(f"{where}.amount", 'a string such as "230.00", not negative')
    return int(Decimal(text) * 100)


def _date(text: object, where: str) -> date:
    if isinstance(text, str) and _DATE.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise _wrong(where, "a day such as 1978-02-10, from 1900 to 2199")


def _fraction(given: object, where: str) -> Fraction:
    if isinstance(given, int) and not isinstance(given, bool):
        given = str(given)
    if not isinstance(given, str) or not _FRACTION.fullmatch(given):
        raise _wrong(where, 'a string such as "19/30" or "0.5", or a whole number')
    return Fraction(given)


def _period(text: object, where: str) -> UnitPeriod:
    found = _PERIOD.fullmatch(text) if isinstance(text, str) else None
    if not found:
        raise _wrong(where, 'a period such as "month", "2 weeks", "semimonth" or "year"')
    return UnitPeriod(Interval(found[2]), int(found[1] or 1))


def _basis(document: Mapping[str, Any]) -> apr_eu.Basis | None:
    if "basis" not in document:
        return None
    try:
        return apr_eu.Basis(document["basis"])
    except ValueError:
        raise _wrong("basis", f"one of {', '.join(apr_eu.Basis)}") from None


def _whole(number: object, where: str, *, least: int, most: int) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
        raise _wrong(where, f"a whole number from {least} to {most}")
    return number


def _closed(found: Mapping[str, Any], known: set[str], where: str) -> None:
    """Refuse what nobody would read: a misspelt field must not go unnoticed."""
    if set(found) - known:
        raise _wrong(where, f"only {', '.join(sorted(known))}")


def _without(found: Mapping[str, Any], name: str, why: str, where: str = "the document") -> None:
    if name in found:
        raise _wrong(f"{where} has {name}", why)


def _wrong(where: str, what: str) -> Invalid:
    return Invalid("CASH_FLOWS_MALFORMED", f"{where}: {what}")
