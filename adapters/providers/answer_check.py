"""What any adapter returns, held against what was asked of it. Pure.

An adapter of ours has checked its lender's answer already, field by field (quote_check.py). Here it
is the adapter that is not trusted: whoever wrote it, nothing leaves the guard that is another
loan's, another lender's, or would be signed as something else than it is shown as.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from adapters.providers.quote_check import MALFORMED_RESPONSE, TERMS_CHANGED, mismatch
from models.domain.errors import Permanent
from models.domain.money import Money, to_token_units
from models.domain.offer import LenderConfirmation, LoanTerms, Quote, QuoteRequest

PROVIDER_FAILED: Final = "PROVIDER_FAILED"

# More products than any lender has for one loan.
MAX_QUOTES: Final = 50

_SIGNATURE: Final = re.compile(r"0x(?:[0-9a-fA-F]{2}){65,2048}")


def checked_quotes(
    quotes: object,
    request: QuoteRequest,
    provider_id: str,
    terms_hash: Callable[[LoanTerms], str],
) -> tuple[Quote, ...]:
    """The quotes, each once, in their order.

    Raises Permanent PROVIDER_FAILED for what is no tuple of quotes, MALFORMED_RESPONSE for too
    many, TERMS_INVALID naming the field in which one is not what was asked for.
    """
    if not isinstance(quotes, tuple) or not all(isinstance(each, Quote) for each in quotes):
        raise Permanent(PROVIDER_FAILED, "it returned no tuple of quotes")
    if len(quotes) > MAX_QUOTES:
        raise Permanent(MALFORMED_RESPONSE, f"over {MAX_QUOTES} quotes")
    kept: dict[str, Quote] = {}
    for quote in quotes:
        if kept.setdefault(quote.quote_id, quote) != quote:
            mismatch("quote_id")  # one id, two quotes: neither can be believed
    if len({quote.terms_hash for quote in kept.values()}) < len(kept):
        mismatch("terms_hash")  # two quotes, one set of terms: both could be accepted
    for quote in kept.values():
        _check(quote, _required(quote, request, provider_id))
        if terms_hash(quote.terms) != quote.terms_hash:
            mismatch("terms_hash")
    return tuple(kept.values())


def checked_confirmation(confirmation: object, quote: Quote) -> LenderConfirmation:
    """The confirmation if it is of exactly this quote.

    Raises Permanent PROVIDER_FAILED, TERMS_CHANGED or MALFORMED_RESPONSE.
    """
    if not isinstance(confirmation, LenderConfirmation):
        raise Permanent(PROVIDER_FAILED, "it returned no confirmation")
    if (confirmation.quote_id, confirmation.terms_hash) != (quote.quote_id, quote.terms_hash):
        raise Permanent(TERMS_CHANGED, "the lender confirmed other terms than it quoted")
    if _SIGNATURE.fullmatch(confirmation.lender_signature) is None:
        raise Permanent(MALFORMED_RESPONSE, "lender_signature")
    return confirmation


def _required(quote: Quote, request: QuoteRequest, provider_id: str) -> dict[str, object]:
    """What each field of a quote has to be, by what was asked and by the quote itself."""
    decimals = request.venue.token_decimals
    repayable = Money(quote.total_repayable_minor, request.currency)
    return {
        "provider_id": provider_id,
        "amount_minor": request.amount_minor,
        "currency": request.currency,
        "term_months": request.term_months,
        "terms.loan_reference": request.loan_reference,
        "terms.borrower": request.borrower,
        "terms.token": request.venue.token,
        "terms.principal": to_token_units(Money(request.amount_minor, request.currency), decimals),
        "terms.total_repayable": to_token_units(repayable, decimals),
        "terms.apr_bps": quote.apr_bps,
        "terms.term_months": request.term_months,
    }


def _check(quote: Quote, required: Mapping[str, object]) -> None:
    for field, value in required.items():
        of, _, name = field.rpartition(".")
        if getattr(quote.terms if of else quote, name) != value:
            mismatch(field)
