"""A search for offers: its criteria, what may be remembered of it, and repeated offers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from models.domain.ids import is_id
from models.domain.offer import ProviderAnswer, Quote, QuoteRequest, SettlementVenue

# Why a provider that was asked gives no offer; a provider's adapter and the directory add theirs.
DEADLINE_EXCEEDED: Final = "DEADLINE_EXCEEDED"
NOT_OFFERED: Final = "NOT_OFFERED"
OFFER_REPEATED: Final = "OFFER_REPEATED"
PROVIDER_FAILED: Final = "PROVIDER_FAILED"
QUOTE_EXPIRED: Final = "QUOTE_EXPIRED"

SEARCH_PREFIX: Final = "srch"


@dataclass(frozen=True, slots=True)
class SearchCriteria:
    """A loan somebody asks about before applying; amounts in minor units, the wallet checksummed.

    Nobody's evidence has been looked at, so lenders are told no score.
    """

    amount_minor: int
    currency: str
    term_months: int
    jurisdiction: str
    wallet: str

    def request(
        self, tenant_id: str, search_id: str, loan_reference: str, venue: SettlementVenue
    ) -> QuoteRequest:
        """What lenders are asked; the search's id stands where an application's would."""
        return QuoteRequest(
            tenant_id=tenant_id,
            application_id=search_id,
            loan_reference=loan_reference,
            borrower=self.wallet,
            amount_minor=self.amount_minor,
            currency=self.currency,
            term_months=self.term_months,
            jurisdiction=self.jurisdiction,
            score=None,
            pd=None,
            venue=venue,
        )


def cache_key(request: QuoteRequest) -> QuoteRequest | None:
    """What two searches have in common if one may be answered with the other's offers.

    None for an application's own search: its terms name its loan, so they are nobody else's, and
    its offers are on record anyway.
    """
    if not is_id(request.application_id, SEARCH_PREFIX):
        return None
    return replace(request, application_id=SEARCH_PREFIX, loan_reference="")


class OffersSeen:
    """The offers of one search so far, by which a repeated one is known.

    One lender's id names one quote, and one set of terms can be settled once: whatever comes again
    under either is the same offer, and two of them could both be accepted.
    """

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()

    def new(self, provider_id: str, quote: Quote) -> bool:
        """Whether this is the first time; it is remembered either way."""
        named = {(provider_id, quote.quote_id), ("", quote.terms_hash)}
        if not self._seen.isdisjoint(named):
            return False
        self._seen |= named
        return True

    def merged(self, answers: Iterable[ProviderAnswer]) -> tuple[ProviderAnswer, ...]:
        """One provider's answers without those seen before.

        A provider that offers nothing but what is there already is named with OFFER_REPEATED:
        every provider has an answer.
        """
        given = tuple(answers)
        kept = tuple(
            each for each in given if each.quote is None or self.new(each.provider_id, each.quote)
        )
        if kept or not given:
            return kept
        return (ProviderAnswer(given[0].provider_id, None, OFFER_REPEATED),)


def each_once(answers: Iterable[Iterable[ProviderAnswer]]) -> tuple[ProviderAnswer, ...]:
    """All providers' answers in their order, without repeated offers; the first of each is kept."""
    seen = OffersSeen()
    return tuple(answer for several in answers for answer in seen.merged(several))
