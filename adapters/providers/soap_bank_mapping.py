"""What we ask a bank over SOAP, and its answers in our words. Pure; quote_check.py checks quotes.

The bank writes amounts in units of the currency and rates in percent, both as decimals with two
places; we count in cents and basis points, so the conversion is exact or refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from adapters.providers.quote_check import (
    MALFORMED_RESPONSE,
    Declined,
    Expected,
    StatedDecline,
    StatedQuote,
    checked_quote,
    validated,
)
from models.domain.errors import Permanent
from models.domain.offer import Acceptance, Quote, QuoteRequest

_HUNDREDTH: Final = Decimal("0.01")


def quote_request(request: QuoteRequest) -> dict[str, Any]:
    """The bank's RequestQuote: the loan and its risk, and nothing that names a person."""
    venue = request.venue
    return {
        "RequestId": request.quote_key,
        "ApplicationReference": request.application_id,
        "LoanReference": request.loan_reference,
        "Borrower": request.borrower,
        "Amount": request.amount_minor * _HUNDREDTH,
        "Currency": request.currency,
        "TermMonths": request.term_months,
        "Jurisdiction": request.jurisdiction,
        "Score": request.score,
        # The shortest decimal that is this float: what the bank prices is what was computed.
        "DefaultProbability": None if request.pd is None else Decimal(repr(request.pd)),
        "Venue": {
            "ChainId": venue.chain_id,
            "Aggregator": venue.aggregator,
            "Token": venue.token,
            "TokenDecimals": venue.token_decimals,
        },
    }


def acceptance_request(quote: Quote, acceptance: Acceptance, key: str) -> dict[str, Any]:
    """The bank's AcceptQuote: the accepted terms with the borrower's signature."""
    return {
        "RequestId": key,
        "QuoteId": quote.quote_id,
        "TermsHash": quote.terms_hash,
        "Acceptance": {
            "TermsHash": acceptance.terms_hash,
            "Borrower": acceptance.borrower,
            "Nonce": str(acceptance.nonce),
            "Deadline": str(acceptance.deadline),
            "Signature": acceptance.signature,
        },
    }


def quote_of(
    answer: Mapping[str, Any], request: QuoteRequest, expected: Expected
) -> Quote | Declined:
    """The bank's quote if every part of it is what was asked for, or its decline.

    Raises Permanent MALFORMED_RESPONSE or TERMS_INVALID, both naming the field.
    """
    if (declined := answer.get("Declined")) is not None:
        return Declined(validated(StatedDecline, {"code": declined["Code"]}).code)
    return checked_quote(validated(StatedQuote, _stated(answer["Quote"])), request, expected)


def confirmation_document(answer: Mapping[str, Any]) -> dict[str, str]:
    """The bank's confirmation in the words every lender's is checked in."""
    return {
        "quote_id": answer["QuoteId"],
        "terms_hash": answer["TermsHash"],
        "lender_signature": answer["LenderSignature"],
    }


def _stated(quote: Mapping[str, Any]) -> dict[str, Any]:
    expires_at: datetime = quote["ExpiresAt"]
    return {
        "quote_id": quote["QuoteId"],
        "nominal_rate_bps": _hundredths(quote, "NominalRate"),
        "fee_minor": _hundredths(quote, "Fee"),
        "monthly_payment_minor": _hundredths(quote, "MonthlyPayment"),
        "total_repayable_minor": _hundredths(quote, "TotalRepayable"),
        "apr_bps": _hundredths(quote, "AnnualPercentageRate"),
        "amount_minor": _hundredths(quote, "Amount"),
        "currency": quote["Currency"],
        "term_months": quote["TermMonths"],
        "expires_at": expires_at.isoformat(),
        "terms": _stated_terms(quote["Terms"]),
        "terms_hash": quote["TermsHash"],
    }


def _stated_terms(terms: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "loan_reference": terms["LoanReference"],
        "lender": terms["Lender"],
        "borrower": terms["Borrower"],
        "token": terms["Token"],
        "principal": terms["Principal"],
        "total_repayable": terms["TotalRepayable"],
        "apr_bps": terms["AprBps"],
        "term_months": terms["TermMonths"],
        "nonce": terms["Nonce"],
        "deadline": terms["Deadline"],
    }


def _hundredths(quote: Mapping[str, Any], name: str) -> int:
    """Cents of an amount, basis points of a percentage."""
    whole = Decimal(quote[name]) / _HUNDREDTH
    if whole != whole.to_integral_value():
        raise Permanent(MALFORMED_RESPONSE, name)
    return int(whole)
