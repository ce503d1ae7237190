"""Lenders are asked at once under one deadline; who fails is named with a reason."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence

import pytest

from activities.offers import OfferActivities
from models.domain.application import ApplicationRef, CreditRequest
from models.domain.errors import InvariantViolated, Permanent, Transient
from models.domain.offer import (
    Acceptance,
    AcceptOffer,
    LenderConfirmation,
    OfferBook,
    ProviderAnswer,
    Quote,
    QuoteRequest,
)
from models.domain.provider import ProviderStatus
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

    async def asked_for(self, application: ApplicationRef) -> tuple[CreditRequest, Assessment]:
        return REQUEST, SCORED

    async def book(self, application: ApplicationRef) -> OfferBook | None:
        return self.searched

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


class WillingBank:
    """Quotes the same to everybody."""

    def __init__(self, provider_id: str = "bank", quotes: int = 1) -> None:
        self.provider_id = provider_id
        self.quotes = quotes
        self.asked: list[QuoteRequest] = []

    async def connect(self) -> None:
        return

    async def disconnect(self) -> None:
        return

    async def get_status(self) -> ProviderStatus:
        return ProviderStatus.ACTIVE

    async def get_offers(self, request: QuoteRequest) -> tuple[Quote, ...]:
        self.asked.append(request)
        return tuple(self.quote(number) for number in range(self.quotes))

    def quote(self, number: int) -> Quote:
        return dataclasses.replace(
            QUOTE,
            provider_id=self.provider_id,
            quote_id=f"quote-{number}",
            terms_hash=f"hash of {self.provider_id} {number}",
        )

    async def accept_offer(
        self, tenant_id: str, application_id: str, quote: Quote, acceptance: Acceptance
    ) -> LenderConfirmation:
        raise AssertionError("a search accepts nothing")


class SilentBank(WillingBank):
    async def get_offers(self, request: QuoteRequest) -> tuple[Quote, ...]:
        await asyncio.Event().wait()
        return ()


class FailingBank(WillingBank):
    def __init__(self, provider_id: str, error: Exception) -> None:
        super().__init__(provider_id)
        self.error = error

    async def get_offers(self, request: QuoteRequest) -> tuple[Quote, ...]:
        raise self.error


def reference(tenant_id: str, application_id: str) -> str:
    return f"ref:{tenant_id}:{application_id}"


def searching(
    records: MemoryRecords, *banks: WillingBank, deadline_s: float = 5
) -> OfferActivities:
    return OfferActivities(records, banks, VENUE, reference, deadline_s=deadline_s)


@pytest.mark.parametrize(
    ("bank", "reason"),
    [
        (FailingBank("bad", Permanent("PROVIDER_REFUSED", "unknown client")), "PROVIDER_REFUSED"),
        (FailingBank("bad", Transient("PROVIDER_BUSY")), "PROVIDER_BUSY"),
        (FailingBank("bad", InvariantViolated("TERMS_HASH_WRONG")), "TERMS_HASH_WRONG"),
        (FailingBank("bad", KeyError("apr")), "PROVIDER_FAILED"),
        (FailingBank("bad", TimeoutError()), "DEADLINE_EXCEEDED"),
        (SilentBank("bad"), "DEADLINE_EXCEEDED"),
        (WillingBank("bad", quotes=0), "NOT_OFFERED"),
    ],
    ids=["refuses", "busy", "deceives", "bug", "its-own-timeout", "silent", "unwilling"],
)
async def test_a_lender_that_fails_is_named_and_costs_nobody_the_others_offers(
    bank: WillingBank, reason: str
) -> None:
    records, good = MemoryRecords(), WillingBank("good")
    book = await searching(records, bank, good, deadline_s=0.05).collect_offers(APPLICATION, 1)
    assert records.answers == [
        ProviderAnswer("bad", None, reason),
        ProviderAnswer("good", good.quote(0)),
    ]
    assert book.missing == (ProviderAnswer("bad", None, reason),)


async def test_one_deadline_holds_for_all() -> None:
    records = MemoryRecords()
    banks = [SilentBank(f"silent-{number}") for number in range(20)]
    async with asyncio.timeout(2):  # one after the other would take four seconds
        await searching(records, *banks, deadline_s=0.2).collect_offers(APPLICATION, 1)
    assert {each.reason for each in records.answers} == {"DEADLINE_EXCEEDED"}


async def test_lenders_are_told_what_they_need_and_no_personal_data() -> None:
    bank = WillingBank()
    await searching(MemoryRecords(), bank).collect_offers(APPLICATION, 1)
    assert bank.asked == [
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
        )
    ]


async def test_every_quote_of_a_lender_is_kept() -> None:
    records, bank = MemoryRecords(), WillingBank(quotes=2)
    await searching(records, bank).collect_offers(APPLICATION, 1)
    assert [each.quote for each in records.answers] == [bank.quote(0), bank.quote(1)]


class RepeatingBank(WillingBank):
    """Lists its two quotes again, and once more under another id."""

    async def get_offers(self, request: QuoteRequest) -> tuple[Quote, ...]:
        first, second = self.quote(0), self.quote(1)
        renamed = dataclasses.replace(first, quote_id="quote-9")
        other = dataclasses.replace(second, terms_hash="other terms under a known id")
        return (first, second, first, renamed, other, second)


async def test_repeated_offers_are_one_and_the_first_is_kept() -> None:
    records, bank = MemoryRecords(), RepeatingBank()
    await searching(records, bank).collect_offers(APPLICATION, 1)
    assert [each.quote for each in records.answers] == [bank.quote(0), bank.quote(1)]


async def test_lenders_that_name_their_quotes_alike_are_not_confused() -> None:
    records, banks = MemoryRecords(), [WillingBank("one"), WillingBank("two")]
    await searching(records, *banks).collect_offers(APPLICATION, 1)
    assert [each.quote for each in records.answers] == [bank.quote(0) for bank in banks]


async def test_a_search_on_record_stands_and_asks_nobody() -> None:
    records, bank = MemoryRecords(), WillingBank()
    records.searched = OfferBook(())
    assert await searching(records, bank).collect_offers(APPLICATION, 1) == OfferBook(())
    assert bank.asked == []


async def test_no_lenders_find_nothing() -> None:
    assert await searching(MemoryRecords()).collect_offers(APPLICATION, 1) == OfferBook(())


async def test_an_acceptance_is_recorded_as_it_was_made() -> None:
    records = MemoryRecords()
    request = AcceptOffer("off_" + "1" * 32, "user-1", "user-1", ACCEPTANCE)
    await searching(records).record_acceptance(APPLICATION, request)
    assert records.accepted == [request]
