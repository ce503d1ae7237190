"""Village Credit's offers, checked one thing at a time, so that any one check can be missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from adapters.providers.quote_check import Expected, StatedQuote, mismatch
from models.domain.errors import Permanent
from models.domain.money import Money, to_token_units
from models.domain.offer import LoanTerms, Quote, QuoteRequest
from models.domain.offer_search import QUOTE_EXPIRED
from models.domain.rates import apr_bps
from sandbox.certification.samples.mistakes import Mistake
from sandbox.certification.samples.village_mapping import VillageOffer, stated

_BIG = frozenset({"principal", "total_repayable", "nonce", "deadline"})
_HEEDLESS = frozenset({Mistake.KEEPS_DUPLICATES, Mistake.TAKES_THE_FIRST_OF_TWO})


def believed(
    offers: Sequence[VillageOffer],
    request: QuoteRequest,
    expected: Expected,
    mistakes: frozenset[Mistake],
) -> tuple[Quote, ...]:
    """The offers as quotes, as far as these mistakes check them; raises Permanent."""
    kept: dict[str, VillageOffer] = {}
    for offer in offers:
        first = kept.setdefault(offer.id, offer)
        if first != offer and not mistakes & _HEEDLESS:
            mismatch("id")
    return tuple(
        _believed(stated(offer), request, expected, mistakes)
        for offer in (offers if Mistake.KEEPS_DUPLICATES in mistakes else kept.values())
    )


def _believed(
    quoted: StatedQuote,
    request: QuoteRequest,
    expected: Expected,
    mistakes: frozenset[Mistake],
) -> Quote:
    document: dict[str, Any] = quoted.terms.model_dump()
    terms = LoanTerms(**{**document, **{name: int(document[name]) for name in _BIG}})
    for mistake, right in _checks(quoted, terms, request, expected):
        if right or mistake in mistakes:
            continue
        if mistake is Mistake.BELIEVES_EXPIRY:
            raise Permanent(QUOTE_EXPIRED, quoted.quote_id)
        mismatch(mistake.removeprefix("believes_"))
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
        apr_bps=quoted.apr_bps,
        expires_at=quoted.expires_at.isoformat(),
        terms=terms,
        terms_hash=quoted.terms_hash,
    )


def _checks(
    quoted: StatedQuote, terms: LoanTerms, request: QuoteRequest, expected: Expected
) -> Iterator[tuple[Mistake, bool]]:
    """What has to hold, by the mistake that forgets it."""
    decimals = request.venue.token_decimals
    principal = to_token_units(Money(request.amount_minor, request.currency), decimals)
    total = to_token_units(Money(quoted.total_repayable_minor, request.currency), decimals)
    payments = [quoted.monthly_payment_minor] * quoted.term_months
    yield Mistake.BELIEVES_CURRENCY, quoted.currency == request.currency
    yield Mistake.BELIEVES_AMOUNT, quoted.amount_minor == request.amount_minor
    yield Mistake.BELIEVES_AMOUNT, terms.principal == principal
    yield Mistake.BELIEVES_TERM, quoted.term_months == request.term_months == terms.term_months
    yield Mistake.BELIEVES_APR, quoted.apr_bps == apr_bps(quoted.amount_minor, payments)
    yield Mistake.BELIEVES_HEADLINE, terms.total_repayable == total
    yield Mistake.BELIEVES_HEADLINE, terms.apr_bps == quoted.apr_bps
    yield Mistake.BELIEVES_HASH, expected.terms_hash(terms) == quoted.terms_hash
    yield Mistake.BELIEVES_LENDER, terms.lender == expected.lender_address
    yield Mistake.BELIEVES_LOAN, terms.loan_reference == request.loan_reference
    yield Mistake.BELIEVES_BORROWER, terms.borrower == request.borrower
    yield Mistake.BELIEVES_EXPIRY, quoted.expires_at > expected.now
