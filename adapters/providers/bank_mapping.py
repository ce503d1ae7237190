"""What we ask a bank, and its answer in our words. Pure; quotes are checked in quote_check.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.providers.quote_check import (
    MALFORMED_RESPONSE,
    Answer,
    Declined,
    Expected,
    StatedDecline,
    StatedQuote,
    acceptance_document,
    checked_quote,
    validated,
)
from models.domain.errors import Permanent
from models.domain.offer import Acceptance, Quote, QuoteRequest


class _QuoteAnswer(Answer):
    quote: StatedQuote | None = None
    declined: StatedDecline | None = None


def quote_request(request: QuoteRequest) -> dict[str, Any]:
    """The bank's request: the loan and its risk, and nothing that names a person."""
    venue = request.venue
    return {
        "application_reference": request.application_id,
        "loan_reference": request.loan_reference,
        "borrower": request.borrower,
        "amount_minor": request.amount_minor,
        "currency": request.currency,
        "term_months": request.term_months,
        "jurisdiction": request.jurisdiction,
        "score": request.score,
        "pd": request.pd,
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


def quote_of(
    body: Mapping[str, Any], request: QuoteRequest, expected: Expected
) -> Quote | Declined:
    """The bank's quote if every part of it is what was asked for, or its decline.

    Raises Permanent MALFORMED_RESPONSE or TERMS_INVALID, both naming the field.
    """
    answer = validated(_QuoteAnswer, body)
    if answer.declined is not None and answer.quote is None:
        return Declined(answer.declined.code)
    if answer.quote is None or answer.declined is not None:
        raise Permanent(MALFORMED_RESPONSE, "neither or both of quote and declined")
    return checked_quote(answer.quote, request, expected)
