"""Lenders are asked at once under one deadline; who fails is named with a reason."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from activities.offers import OfferActivities
from models.domain.application import ApplicationRef, CreditRequest
from models.domain.offer import (
    AcceptOffer,
    OfferBook,
    ProviderAnswer,
    QuoteRequest,
)
from models.domain.risk import Assessment
from tests.activities.people import (
    ACCEPTANCE,
    APPLICATION,
    BORROWER,
    QUOTE,
    REQUEST,
    SCORED,
    VENUE,
)


class MemoryRecords:
    def __init__(self) -> None:
        self.searched: OfferBook | None = None
        self.answers: list[ProviderAnswer] = []
        self.accepted: list[AcceptOffer] = []

    async def asked_for(
        self, application: ApplicationRef
    ) -> tuple[CreditRequest, Assessment, OfferBook | None]:
        return REQUEST, SCORED, self.searched

    async def record_search(
        self, application: ApplicationRef, answers: Sequence[ProviderAnswer], round_: int = 1
    ) -> OfferBook:
        self.answers = list(answers)
        self.searched = OfferBook((), tuple(each for each in answers if each.quote is None))
        return self.searched

    async def expire_offers(self, application: ApplicationRef, moment: str) -> OfferBook:
        assert self.searched is not None
        return self.searched

    async def record_acceptance(self, application: ApplicationRef, request: AcceptOffer) -> None:
        self.accepted.append(request)


class Search:
    """Finds what it was made with, and remembers what it was asked."""

    def __init__(self, *found: ProviderAnswer) -> None:
        self.found = found
        self.asked: list[tuple[QuoteRequest, float]] = []

    async def search(self, request: QuoteRequest, deadline_s: float) -> Sequence[ProviderAnswer]:
        self.asked.append((request, deadline_s))
        return self.found


OFFERED = ProviderAnswer(QUOTE.provider_id, QUOTE)
LATE = ProviderAnswer("late", None, "DEADLINE_EXCEEDED")


def reference(tenant_id: str, application_id: str) -> str:
    return f"ref:{tenant_id}:{application_id}"


def searching(records: MemoryRecords, search: Search) -> OfferActivities:
    return OfferActivities(records, search, VENUE, reference, deadline_s=5)


async def test_what_was_found_and_what_is_missing_goes_on_record() -> None:
    records = MemoryRecords()
    book = await searching(records, Search(OFFERED, LATE)).collect_offers(APPLICATION, 1)
    assert records.answers == [OFFERED, LATE]
    assert book.missing == (LATE,)


async def test_lenders_are_told_what_they_need_and_no_personal_data() -> None:
    search = Search(OFFERED)
    await searching(MemoryRecords(), search).collect_offers(APPLICATION, 2)
    [(asked, deadline_s)] = search.asked
    assert deadline_s == 5
    assert asked == (
        QuoteRequest(
            tenant_id="tenant-1",
            application_id=APPLICATION.application_id,
            loan_reference=f"ref:tenant-1:{APPLICATION.application_id}",
            borrower=BORROWER,
            amount_minor=500_000,
            currency="USD",
            term_months=12,
            jurisdiction="US",
            score=SCORED.score,
            pd=SCORED.pd,
            venue=VENUE,
            round=2,
        )
    )


@pytest.mark.parametrize("on_record", [2, 3])
async def test_a_round_on_record_stands_and_asks_nobody(on_record: int) -> None:
    records, search = MemoryRecords(), Search(OFFERED)
    records.searched = OfferBook((), round=on_record)
    assert await searching(records, search).collect_offers(APPLICATION, 2) == records.searched
    assert search.asked == []


async def test_the_next_round_asks_again() -> None:
    records, search = MemoryRecords(), Search(OFFERED)
    records.searched = OfferBook(())
    await searching(records, search).collect_offers(APPLICATION, 2)
    assert [request.round for request, _ in search.asked] == [2]


async def test_nobody_is_asked_once_an_offer_is_accepted() -> None:
    records, search = MemoryRecords(), Search(OFFERED)
    accepted = AcceptOffer("off_" + "1" * 32, "user-1", "user-1", ACCEPTANCE)
    records.searched = OfferBook((), accepted=accepted)
    assert await searching(records, search).collect_offers(APPLICATION, 2) == records.searched
    assert search.asked == []


async def test_no_lenders_find_nothing() -> None:
    book = await searching(MemoryRecords(), Search()).collect_offers(APPLICATION, 1)
    assert book == OfferBook(())


async def test_an_acceptance_is_recorded_as_it_was_made() -> None:
    records = MemoryRecords()
    request = AcceptOffer("off_" + "1" * 32, "user-1", "user-1", ACCEPTANCE)
    await searching(records, Search()).record_acceptance(APPLICATION, request)
    assert records.accepted == [request]
