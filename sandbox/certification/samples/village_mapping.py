"""What we ask Village Credit, and its offers in our words. Pure; quote_check.py checks them.

It writes amounts in whole dollars with two decimals and rates in percent, as texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import StringConstraints

from adapters.providers.quote_check import (
    MALFORMED_RESPONSE,
    Answer,
    Currency,
    Expected,
    Hash,
    Id,
    Moment,
    Months,
    Signature,
    StatedQuote,
    StatedTerms,
    acceptance_document,
    checked_quote,
    mismatch,
    validated,
)
from models.domain.errors import Permanent
from models.domain.offer import Acceptance, Quote, QuoteRequest

MAX_OFFERS: Final = 20

# Ten digits before the point are more than anybody lends; exactly two after it.
_Hundredths = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,9})\.[0-9]{2}$")]


class VillageOffer(Answer):
    """One offer as Village Credit states it."""

    id: Id
    amount: _Hundredths
    currency: Currency
    months: Months
    rate_percent: _Hundredths
    fee: _Hundredths
    monthly: _Hundredths
    total: _Hundredths
    apr_percent: _Hundredths
    valid_until: Moment
    terms: StatedTerms
    terms_hash: Hash


class _Offers(Answer):
    offers: tuple[VillageOffer, ...]


class _Signed(Answer):
    id: Id
    terms_hash: Hash
    signature: Signature


def loan_request(request: QuoteRequest) -> dict[str, Any]:
    """The lender's request: the loan and its risk, and nothing that names a person."""
    venue = request.venue
    return {
        "reference": request.application_id,
        "loan_reference": request.loan_reference,
        "borrower": request.borrower,
        "amount": f"{Decimal(request.amount_minor) / 100:.2f}",
        "currency": request.currency,
        "months": request.term_months,
        "score": request.score,
        "settlement": {
            "chain_id": venue.chain_id,
            "contract": venue.aggregator,
            "token": venue.token,
            "token_decimals": venue.token_decimals,
        },
    }


def signing_request(quote: Quote, acceptance: Acceptance) -> dict[str, Any]:
    """The accepted offer with the borrower's signature."""
    return {"terms_hash": quote.terms_hash, "acceptance": acceptance_document(acceptance)}


def offers_in(body: Mapping[str, Any]) -> tuple[VillageOffer, ...]:
    """The offers as stated; raises Permanent MALFORMED_RESPONSE naming the field."""
    listed = body.get("offers")
    offers = validated(_Offers, {"offers": tuple(listed) if type(listed) is list else listed})
    if len(offers.offers) > MAX_OFFERS:
        raise Permanent(MALFORMED_RESPONSE, f"over {MAX_OFFERS} offers")
    return offers.offers


def quotes_of(
    offers: Sequence[VillageOffer], request: QuoteRequest, expected: Expected
) -> tuple[Quote, ...]:
    """Each offer once, checked; raises Permanent TERMS_INVALID (with the field), QUOTE_EXPIRED."""
    once: dict[str, VillageOffer] = {}
    for offer in offers:
        if once.setdefault(offer.id, offer) != offer:
            mismatch("id")
    return tuple(checked_quote(stated(offer), request, expected) for offer in once.values())


def stated(offer: VillageOffer) -> StatedQuote:
    """The offer in the words every lender's quote is checked in."""
    return StatedQuote.model_construct(
        quote_id=offer.id,
        amount_minor=_hundredths(offer.amount),
        currency=offer.currency,
        term_months=offer.months,
        nominal_rate_bps=_hundredths(offer.rate_percent),
        fee_minor=_hundredths(offer.fee),
        monthly_payment_minor=_hundredths(offer.monthly),
        total_repayable_minor=_hundredths(offer.total),
        apr_bps=_hundredths(offer.apr_percent),
        expires_at=offer.valid_until,
        terms=offer.terms,
        terms_hash=offer.terms_hash,
    )


def confirmation_document(body: Mapping[str, Any]) -> dict[str, str]:
    """The lender's confirmation in the words every lender's is checked in."""
    signed = validated(_Signed, body)
    return {
        "quote_id": signed.id,
        "terms_hash": signed.terms_hash,
        "lender_signature": signed.signature,
    }


def _hundredths(text: str) -> int:
    return int(text.replace(".", ""))
