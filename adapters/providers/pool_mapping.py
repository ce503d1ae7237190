"""What we ask a pool's underwriter, and its quote checked against the pool itself. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from adapters.chain.pool import PoolStanding
from adapters.providers.pool_pricing import nominal_rate_bps, price, refusal
from adapters.providers.quote_check import (
    MALFORMED_RESPONSE,
    Answer,
    Declined,
    Expected,
    StatedDecline,
    StatedQuote,
    acceptance_document,
    checked_quote,
    mismatch,
    validated,
)
from models.domain.errors import Permanent
from models.domain.offer import Acceptance, Quote, QuoteRequest


class PoolQuote(StatedQuote):
    """A quote, and the block at which the pool's parameters were read for it."""

    block_number: Annotated[int, Field(ge=0, lt=1 << 63)]


class _QuoteAnswer(Answer):
    quote: PoolQuote | None = None
    declined: StatedDecline | None = None


def quote_request(request: QuoteRequest, pool: str) -> dict[str, Any]:
    """The underwriter's request: the loan and its risk, and nothing that names a person."""
    venue = request.venue
    return {
        "application_reference": request.application_id,
        "loan_reference": request.loan_reference,
        "borrower": request.borrower,
        "amount_minor": request.amount_minor,
        "currency": request.currency,
        "term_months": request.term_months,
        "pd": request.pd,
        "pool": pool,
        "venue": {
            "chain_id": venue.chain_id,
            "aggregator": venue.aggregator,
            "token": venue.token,
            "token_decimals": venue.token_decimals,
        },
    }


def acceptance_request(quote: Quote, acceptance: Acceptance) -> dict[str, Any]:
    """The accepted terms with the borrower's signature."""
    return {"terms_hash": quote.terms_hash, "acceptance": acceptance_document(acceptance)}


def stated_quote_of(body: Mapping[str, Any]) -> PoolQuote | Declined:
    """The underwriter's quote as stated, or its decline; raises Permanent MALFORMED_RESPONSE."""
    answer = validated(_QuoteAnswer, body)
    if answer.declined is not None and answer.quote is None:
        return Declined(answer.declined.code)
    if answer.quote is None or answer.declined is not None:
        raise Permanent(MALFORMED_RESPONSE, "neither or both of quote and declined")
    return answer.quote


def quote_of(
    stated: PoolQuote, request: QuoteRequest, expected: Expected, standing: PoolStanding
) -> Quote:
    """The quote if it is what was asked for, and what the pool's own parameters make of it.

    `standing` is the pool at the quote's block. Raises Permanent TERMS_INVALID naming the field.
    """
    if standing.aggregator != request.venue.aggregator:
        mismatch("pool.aggregator")
    if standing.asset != request.venue.token:
        mismatch("pool.asset")
    quote = checked_quote(stated, request, expected)
    principal, pd = quote.terms.principal, request.pd
    refused = refusal(standing, principal, quote.term_months, pd)
    if refused is not None or pd is None:
        mismatch(f"pool.{refused}")
    due = price(quote.amount_minor, quote.term_months, nominal_rate_bps(standing, principal, pd))
    for field, value in (
        ("nominal_rate_bps", due.nominal_rate_bps),
        ("fee_minor", 0),
        ("monthly_payment_minor", due.monthly_payment_minor),
        ("total_repayable_minor", due.total_repayable_minor),
    ):
        if getattr(quote, field) != value:
            mismatch(field)
    if quote.apr_bps < standing.limits.min_apr_bps:
        mismatch("apr_bps")
    return quote
