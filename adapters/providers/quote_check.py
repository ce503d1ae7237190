"""A lender's quote held against what was asked, whoever the lender is. Pure.

A quote is believed only where it can be recomputed: whatever the applicant will see, and whatever
the lender will sign, follows from the request or is derived here again. Each lender's mapping
brings its answer into a `StatedQuote`; what holds of one holds of all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, NoReturn, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from models.domain.errors import Permanent
from models.domain.money import MAX_AMOUNT_MINOR, Money, to_token_units
from models.domain.offer import Acceptance, LenderConfirmation, LoanTerms, Quote, QuoteRequest
from models.domain.offer_search import QUOTE_EXPIRED
from models.domain.rates import RateNotFound, apr_bps

MALFORMED_RESPONSE: Final = "MALFORMED_RESPONSE"
TERMS_INVALID: Final = "TERMS_INVALID"
TERMS_CHANGED: Final = "TERMS_CHANGED"
PROVIDER_REFUSED: Final = "PROVIDER_REFUSED"

# A lender rounds from its own cash flows; by more than one basis point it means other ones.
_APR_TOLERANCE_BPS: Final = 1

# A loan that returns a hundred times what was lent is a mistake in units, not an offer.
_MAX_REPAYABLE_MINOR: Final = 100 * MAX_AMOUNT_MINOR
_MAX_RATE_BPS: Final = 1_000_000

# Of the terms, these travel as decimal texts: JSON's numbers end at 2^53 in many readers.
_BIG_INTEGERS: Final = frozenset({"principal", "total_repayable", "nonce", "deadline"})


def _utc_of(text: object) -> datetime:
    """An ISO 8601 moment with its offset; pydantic alone would also take a count of seconds."""
    if not isinstance(text, str):
        raise ValueError("not a text")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no offset")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("not a moment of UTC") from None


Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_\-]{1,128}$")]
Hash = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{64}$")]
Address = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$")]
Uint256 = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,77})$")]
# 65 bytes of a plain account; a contract that is a lender (ERC-1271) may need more.
Signature = Annotated[str, StringConstraints(pattern=r"^0x([0-9a-fA-F]{2}){65,2048}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Minor = Annotated[int, Field(ge=0, le=_MAX_REPAYABLE_MINOR)]
Payment = Annotated[int, Field(ge=1, le=_MAX_REPAYABLE_MINOR)]
Rate = Annotated[int, Field(ge=0, le=_MAX_RATE_BPS)]
Months = Annotated[int, Field(ge=1, le=480)]
Moment = Annotated[AwareDatetime, BeforeValidator(_utc_of)]


class Answer(BaseModel):
    """What a lender sends; it may add fields, but not change the type of these."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


A = TypeVar("A", bound=Answer)


class StatedTerms(Answer):
    """`LoanTerms` as they travel, its big integers as texts."""

    loan_reference: Hash
    lender: Address
    borrower: Address
    token: Address
    principal: Uint256
    total_repayable: Uint256
    apr_bps: Rate
    term_months: Months
    nonce: Uint256
    deadline: Uint256


class StatedQuote(Answer):
    """A quote before it is believed."""

    quote_id: Id
    nominal_rate_bps: Rate
    fee_minor: Minor
    monthly_payment_minor: Payment
    total_repayable_minor: Minor
    apr_bps: Rate
    amount_minor: Minor
    currency: Currency
    term_months: Months
    expires_at: Moment
    terms: StatedTerms
    terms_hash: Hash


class StatedDecline(Answer):
    """A lender's no, in its own word."""

    code: Code


class _Confirmation(Answer):
    quote_id: Id
    terms_hash: Hash
    lender_signature: Signature


class LenderRefused(Permanent):
    """A lender refuses, and says why in a code of its own (UNEXPLAINED if it does not)."""

    def __init__(self, code: str, detail: str, lender_code: str) -> None:
        super().__init__(code, detail)
        self.lender_code = lender_code


@dataclass(frozen=True, slots=True)
class Declined:
    """The lender does not want this loan; `code` is its own word for why."""

    code: str


@dataclass(frozen=True, slots=True)
class Expected:
    """What a quote is held against: who we know, how we hash, what time it is."""

    provider_id: str
    lender_address: str
    terms_hash: Callable[[LoanTerms], str]
    now: datetime


def checked_quote(quoted: StatedQuote, request: QuoteRequest, expected: Expected) -> Quote:
    """The quote if every part of it is what was asked for.

    Raises Permanent TERMS_INVALID naming the field, or QUOTE_EXPIRED.
    """
    _check_request_repeated(quoted, request)
    apr = _checked_apr_bps(quoted)
    terms = _checked_terms(quoted, request, expected, apr)
    return Quote(
        provider_id=expected.provider_id,
        quote_id=quoted.quote_id,
        amount_minor=quoted.amount_minor,
        currency=quoted.currency,
        term_months=quoted.term_months,
        nominal_rate_bps=quoted.nominal_rate_bps,
        fee_minor=quoted.fee_minor,
        monthly_payment_minor=quoted.monthly_payment_minor,
        total_repayable_minor=quoted.total_repayable_minor,
        apr_bps=apr,
        expires_at=quoted.expires_at.isoformat(),
        terms=terms,
        terms_hash=quoted.terms_hash,
    )


def confirmation_of(body: Mapping[str, Any], quote: Quote) -> LenderConfirmation:
    """The lender's confirmation of exactly this quote.

    Raises Permanent MALFORMED_RESPONSE, or TERMS_CHANGED if it confirms something else.
    """
    confirmed = validated(_Confirmation, body)
    if confirmed.quote_id != quote.quote_id or confirmed.terms_hash != quote.terms_hash:
        raise Permanent(TERMS_CHANGED, "the lender confirmed other terms than it quoted")
    return LenderConfirmation(
        quote_id=quote.quote_id,
        terms_hash=quote.terms_hash,
        lender_signature=confirmed.lender_signature,
    )


def refusal_code_of(body: Mapping[str, Any]) -> str:
    """A lender's own code in a 4xx answer; UNEXPLAINED if it has none we can read."""
    try:
        return StatedDecline.model_validate(body).code
    except ValidationError:
        return "UNEXPLAINED"


def because(provider_id: str, status: int, body: Mapping[str, Any]) -> str:
    """What a lender answered instead, for the log: its status and its own code."""
    return f"{provider_id}: status {status}, {refusal_code_of(body)}"


def acceptance_refused(
    provider_id: str, status: int, body: Mapping[str, Any], expired: str
) -> LenderRefused:
    """Why an acceptance is refused, as every lender's refusal is called here.

    `expired` is the lender's own code for a quote that has expired.
    """
    known = {expired: QUOTE_EXPIRED, "TERMS_MISMATCH": TERMS_CHANGED}
    own = refusal_code_of(body)
    code = known.get(own, PROVIDER_REFUSED)
    return LenderRefused(code, because(provider_id, status, body), own)


def acceptance_document(acceptance: Acceptance) -> dict[str, str]:
    """The borrower's acceptance as it travels to a lender, integers as decimal texts."""
    return {
        "terms_hash": acceptance.terms_hash,
        "borrower": acceptance.borrower,
        "nonce": str(acceptance.nonce),
        "deadline": str(acceptance.deadline),
        "signature": acceptance.signature,
    }


def validated(model: type[A], body: Mapping[str, Any]) -> A:
    """The lender's answer in this shape; raises Permanent MALFORMED_RESPONSE naming the field."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        # Without the cause: the field is enough, and pydantic's text quotes values.
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise Permanent(MALFORMED_RESPONSE, field) from None


def mismatch(field: str) -> NoReturn:
    """Refuse a quote in which this field is not what it has to be."""
    raise Permanent(TERMS_INVALID, field)


def _check_request_repeated(quoted: StatedQuote, request: QuoteRequest) -> None:
    for field in ("amount_minor", "currency", "term_months"):
        if getattr(quoted, field) != getattr(request, field):
            mismatch(field)


def _checked_apr_bps(quoted: StatedQuote) -> int:
    """Our own APR of the quoted cash flows: level payments of which the last may be smaller."""
    payment, months = quoted.monthly_payment_minor, quoted.term_months
    last = quoted.total_repayable_minor - payment * (months - 1)
    if not 0 < last <= payment:
        mismatch("total_repayable_minor")
    try:
        apr = apr_bps(quoted.amount_minor, [payment] * (months - 1) + [last])
    except (RateNotFound, ValueError):
        mismatch("total_repayable_minor")
    if abs(quoted.apr_bps - apr) > _APR_TOLERANCE_BPS:
        mismatch("apr_bps")
    # Fees only add to the cost: a nominal rate above the APR is a wrong disclosure.
    if quoted.nominal_rate_bps > apr + _APR_TOLERANCE_BPS:
        mismatch("nominal_rate_bps")
    if quoted.fee_minor > quoted.total_repayable_minor - quoted.amount_minor:
        mismatch("fee_minor")
    return apr


def _checked_terms(
    quoted: StatedQuote, request: QuoteRequest, expected: Expected, apr: int
) -> LoanTerms:
    """The terms the lender will sign, each field equal to what it has to be."""
    decimals = request.venue.token_decimals
    stated: dict[str, Any] = {
        field: int(value) if field in _BIG_INTEGERS else value
        for field, value in quoted.terms.model_dump().items()
    }
    terms = LoanTerms(**stated)
    required: dict[str, str | int] = {
        "loan_reference": request.loan_reference,
        "lender": expected.lender_address,
        "borrower": request.borrower,
        "token": request.venue.token,
        "principal": to_token_units(Money(request.amount_minor, request.currency), decimals),
        "total_repayable": to_token_units(
            Money(quoted.total_repayable_minor, request.currency), decimals
        ),
        "apr_bps": apr,
        "term_months": request.term_months,
    }
    for field, value in required.items():
        if getattr(terms, field) != value:
            mismatch(f"terms.{field}")
    if terms.nonce >= 1 << 256:
        mismatch("terms.nonce")
    if quoted.expires_at <= expected.now:
        # Asked again under its key, a lender repeats what it said; we may have been away since.
        raise Permanent(QUOTE_EXPIRED, "expires_at")
    # An offer accepted in its last second must still be settleable.
    if not quoted.expires_at.timestamp() <= terms.deadline < 1 << 64:
        mismatch("terms.deadline")
    if expected.terms_hash(terms) != quoted.terms_hash:
        mismatch("terms_hash")
    return terms
