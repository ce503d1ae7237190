"""What we ask a fintech, and its pages of offers in our words. Pure; quote_check.py checks them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import StringConstraints

from adapters.providers.quote_check import (
    MALFORMED_RESPONSE,
    Answer,
    Currency,
    Expected,
    Hash,
    Id,
    Minor,
    Moment,
    Months,
    Payment,
    Rate,
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

# More products than any lender has for one loan; a page is bounded by its size in bytes as well.
MAX_OFFERS: Final = 50

_Cursor = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_\-]{1,200}$")]


class _Offer(Answer):
    offer_id: Id
    principal_minor: Minor
    currency: Currency
    months: Months
    rate_bps: Rate
    fee_minor: Minor
    instalment_minor: Payment
    repay_minor: Minor
    apr_bps: Rate
    valid_until: Moment
    terms: StatedTerms
    terms_hash: Hash


class Page(Answer):
    """One page of offers, and where the next one is; None on the last."""

    offers: tuple[_Offer, ...]
    next_cursor: _Cursor | None


class _Accepted(Answer):
    offer_id: Id
    terms_hash: Hash
    signature: Signature


def offers_request(request: QuoteRequest) -> dict[str, Any]:
    """The fintech's request: the loan and its risk, and nothing that names a person."""
    venue = request.venue
    return {
        "partner_reference": request.application_id,
        "loan_reference": request.loan_reference,
        "borrower": request.borrower,
        "principal_minor": request.amount_minor,
        "currency": request.currency,
        "months": request.term_months,
        "country": request.jurisdiction,
        "risk": {"score": request.score, "pd": request.pd},
        "settlement": {
            "chain_id": venue.chain_id,
            "contract": venue.aggregator,
            "token": venue.token,
            "token_decimals": venue.token_decimals,
        },
    }


def acceptance_request(quote: Quote, acceptance: Acceptance) -> dict[str, Any]:
    """The accepted offer with the borrower's signature."""
    return {
        "offer_id": quote.quote_id,
        "terms_hash": quote.terms_hash,
        "acceptance": acceptance_document(acceptance),
    }


def page_of(body: Mapping[str, Any]) -> Page:
    """One page; raises Permanent MALFORMED_RESPONSE naming the field."""
    # JSON knows lists, and a strict reader takes none for a tuple.
    listed = body.get("offers")
    return validated(Page, {**body, "offers": tuple(listed) if type(listed) is list else listed})


def quotes_of(
    pages: Sequence[Page], request: QuoteRequest, expected: Expected
) -> tuple[Quote, ...]:
    """The offers of all pages, each checked, each once.

    A lender may list an offer again (a page shifts while it is read); one that says two things
    under one id is believed in neither. Raises Permanent TERMS_INVALID or MALFORMED_RESPONSE.
    """
    offers: dict[str, _Offer] = {}
    for offer in (offer for page in pages for offer in page.offers):
        if offers.setdefault(offer.offer_id, offer) != offer:
            mismatch("offer_id")
    if len(offers) > MAX_OFFERS:
        raise Permanent(MALFORMED_RESPONSE, f"over {MAX_OFFERS} offers")
    return tuple(checked_quote(_stated(offer), request, expected) for offer in offers.values())


def confirmation_document(body: Mapping[str, Any]) -> dict[str, str]:
    """The fintech's confirmation in the words every lender's is checked in."""
    accepted = validated(_Accepted, body)
    return {
        "quote_id": accepted.offer_id,
        "terms_hash": accepted.terms_hash,
        "lender_signature": accepted.signature,
    }


def _stated(offer: _Offer) -> StatedQuote:
    return StatedQuote.model_construct(
        quote_id=offer.offer_id,
        nominal_rate_bps=offer.rate_bps,
        fee_minor=offer.fee_minor,
        monthly_payment_minor=offer.instalment_minor,
        total_repayable_minor=offer.repay_minor,
        apr_bps=offer.apr_bps,
        amount_minor=offer.principal_minor,
        currency=offer.currency,
        term_months=offer.months,
        expires_at=offer.valid_until,
        terms=offer.terms,
        terms_hash=offer.terms_hash,
    )
