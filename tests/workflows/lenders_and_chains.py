"""Who plays lenders, the chain and its watcher in workflow tests, named for their behaviour."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from temporalio import activity

from activities.ports.workflow_messages import WorkflowMessages
from adapters.chain import eip712
from models.domain.application import ApplicationRef
from models.domain.errors import Conflict, Permanent, Transient
from models.domain.offer import (
    Acceptance,
    AcceptOffer,
    LoanTerms,
    OfferBook,
    OfferSummary,
    ProviderAnswer,
)
from models.domain.settlement import (
    REFERENCE_ALREADY_SETTLED,
    FinalitySignal,
    SettlementOrder,
    SubmittedTransaction,
)
from sandbox.wallets import wallet
from tests.workflows.cast import TX_HASH, Calls

CHAIN_ID = 31_337


AGGREGATOR = eip712.checksum("0x" + "a9" * 20)


TOKEN = eip712.checksum("0x" + "70" * 20)


SEED = bytes(range(32))


BORROWER = wallet("borrower", SEED)


STRANGER = wallet("stranger", SEED)


LENDER = wallet("lender", SEED)


OTHER_TX_HASH = "0x" + "0e" * 32


Clock = Callable[[], Awaitable[datetime]]


class OneLender:
    """One offer, open for half an hour; acceptances go on record at once."""

    open_for = timedelta(minutes=30)

    def __init__(self, calls: Calls, clock: Clock) -> None:
        self.calls = calls
        self.clock = clock
        self.books: dict[str, OfferBook] = {}
        self.accepted: list[AcceptOffer] = []

    @activity.defn(name="collect_offers")
    async def collect_offers(self, application: ApplicationRef, round_: int) -> OfferBook:
        self.calls.append("collect_offers")
        book = OfferBook(await self.offers(application), round=round_)
        self.books[application.application_id] = book
        return book

    @activity.defn(name="expire_offers")
    async def expire_offers(self, application: ApplicationRef, moment: str) -> OfferBook:
        self.calls.append("expire_offers")
        book = self.books[application.application_id]
        still_open = tuple(each for each in book.offers if each.expires_at > moment)
        return replace(book, offers=still_open)

    async def offers(self, application: ApplicationRef) -> tuple[OfferSummary, ...]:
        """Best first."""
        return (await self.offer(application, 1, self.open_for),)

    async def offer(
        self, application: ApplicationRef, number: int, open_for: timedelta
    ) -> OfferSummary:
        """The offer of that number, as if a lender had quoted it now."""
        expires_at = await self.clock() + open_for
        terms = LoanTerms(
            loan_reference=eip712.loan_reference(application.tenant_id, application.application_id),
            lender=LENDER.address,
            borrower=BORROWER.address,
            token=TOKEN,
            principal=5_000_000_000,
            total_repayable=5_300_000_000,
            apr_bps=1_100 + number,
            term_months=12,
            nonce=number,
            deadline=int(expires_at.timestamp()),
        )
        return OfferSummary(
            offer_id=f"off_{number:032x}",
            provider_id=f"bank-{number}",
            terms_hash=eip712.terms_hash(terms),
            borrower=BORROWER.address,
            chain_id=CHAIN_ID,
            aggregator=AGGREGATOR,
            apr_bps=terms.apr_bps,
            expires_at=expires_at.isoformat(),
        )

    @activity.defn(name="record_acceptance")
    async def record_acceptance(self, application: ApplicationRef, request: AcceptOffer) -> None:
        self.calls.append("record_acceptance")
        self.accepted.append(request)


class TwoLenders(OneLender):
    """The better offer expires first."""

    async def offers(self, application: ApplicationRef) -> tuple[OfferSummary, ...]:
        return (
            await self.offer(application, 1, timedelta(minutes=10)),
            await self.offer(application, 2, timedelta(minutes=45)),
        )


class Quoting(OneLender):
    """Another offer in every round."""

    async def offers(self, application: ApplicationRef) -> tuple[OfferSummary, ...]:
        number = self.calls.count("collect_offers")
        return (await self.offer(application, number, self.open_for),)


class NoLender(OneLender):
    """Nobody wants this loan, and each says so."""

    async def offers(self, application: ApplicationRef) -> tuple[OfferSummary, ...]:
        return ()

    @activity.defn(name="collect_offers")
    async def collect_offers(self, application: ApplicationRef, round_: int) -> OfferBook:
        self.calls.append("collect_offers")
        return OfferBook((), (ProviderAnswer("bank-1", None, "NOT_OFFERED"),))


class AwayAtFirst(Quoting):
    """Is late `times` times; then it offers, or says no."""

    def __init__(self, calls: Calls, clock: Clock, times: int = 2, *, willing: bool = True) -> None:
        super().__init__(calls, clock)
        self._times, self._willing = times, willing

    @activity.defn(name="collect_offers")
    async def collect_offers(self, application: ApplicationRef, round_: int) -> OfferBook:
        if round_ > self._times and self._willing:
            return await super().collect_offers(application, round_)
        self.calls.append("collect_offers")
        late = ProviderAnswer("bank-1", None, "DEADLINE_EXCEEDED", passing=True)
        no = ProviderAnswer("bank-1", None, "NOT_OFFERED")
        return OfferBook((), (late if round_ <= self._times else no,), round=round_)


class HesitantLender(OneLender):
    """Answers only when told to."""

    def __init__(self, calls: Calls, clock: Clock) -> None:
        super().__init__(calls, clock)
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()

    async def offers(self, application: ApplicationRef) -> tuple[OfferSummary, ...]:
        self.asked.set()
        await self.may_answer.wait()
        return await super().offers(application)


class SlowToRecord(OneLender):
    """Acceptances go on record only when told to."""

    def __init__(self, calls: Calls, clock: Clock) -> None:
        super().__init__(calls, clock)
        self.recording, self.may_record = asyncio.Event(), asyncio.Event()

    @activity.defn(name="record_acceptance")
    async def record_acceptance(self, application: ApplicationRef, request: AcceptOffer) -> None:
        self.recording.set()
        await self.may_record.wait()
        self.calls.append("record_acceptance")


class RefusesToRecordOnce(OneLender):
    """Our records say that the offer is not open; the next acceptance is kept."""

    @activity.defn(name="record_acceptance")
    async def record_acceptance(self, application: ApplicationRef, request: AcceptOffer) -> None:
        self.calls.append("record_acceptance")
        if self.calls.count("record_acceptance") == 1:
            raise Conflict("OFFER_NOT_OPEN", request.offer_id)


class PromptChain:
    """Every transaction is at depth at once, and the watcher says so."""

    succeeds = True

    def __init__(self, calls: Calls, messages: WorkflowMessages) -> None:
        self.calls = calls
        self.messages = messages
        self.orders: list[SettlementOrder] = []

    def observed(self) -> FinalitySignal:
        return FinalitySignal(TX_HASH, 12, "0x" + "b1" * 32, 3, self.succeeds)

    @activity.defn(name="submit_settlement")
    async def submit_settlement(self, order: SettlementOrder) -> SubmittedTransaction:
        self.calls.append("submit_settlement")
        self.orders.append(order)
        await self.watch(order.application)
        return SubmittedTransaction("set_1", CHAIN_ID, TX_HASH, 0)

    async def watch(self, application: ApplicationRef) -> None:
        """What the block watcher does once the transaction is at depth."""
        await self.messages.tell_settlement(
            application.tenant_id, application.application_id, self.observed()
        )

    @activity.defn(name="observe_settlement")
    async def observe_settlement(self, application: ApplicationRef) -> FinalitySignal:
        self.calls.append("observe_settlement")
        return self.observed()


class RevertingChain(PromptChain):
    """Our transaction reverts, and nobody else pays: known once the signatures have expired."""

    succeeds = False

    @activity.defn(name="resolve_settlement")
    async def resolve_settlement(self, order: SettlementOrder) -> FinalitySignal:
        self.calls.append("resolve_settlement")
        if self.calls.count("resolve_settlement") < 3:
            raise Transient("NOT_DECIDED_YET")
        return FinalitySignal("", 0, "", 0, succeeded=False)


class OvertakenChain(PromptChain):
    """Our transaction reverts, because somebody else relayed the same signatures."""

    succeeds = False

    @activity.defn(name="resolve_settlement")
    async def resolve_settlement(self, order: SettlementOrder) -> FinalitySignal:
        self.calls.append("resolve_settlement")
        return FinalitySignal(OTHER_TX_HASH, 11, "0x" + "b0" * 32, 4, True, by_other=True)


class AlreadyPaid(OvertakenChain):
    """Refuses to sign: the reference was paid, and nothing of ours knows of it."""

    @activity.defn(name="submit_settlement")
    async def submit_settlement(self, order: SettlementOrder) -> SubmittedTransaction:
        self.calls.append("submit_settlement")
        raise Permanent(REFERENCE_ALREADY_SETTLED)


class MisleadingWatcher(PromptChain):
    """Tells of a foreign transaction, too, before and after ours."""

    async def watch(self, application: ApplicationRef) -> None:
        foreign = FinalitySignal(OTHER_TX_HASH, 11, "0x" + "b0" * 32, 4, succeeded=False)
        await self.messages.tell_settlement(
            application.tenant_id, application.application_id, foreign
        )
        await super().watch(application)
        await self.messages.tell_settlement(
            application.tenant_id, application.application_id, foreign
        )


class ForgetfulWatcher(PromptChain):
    """The transaction is at depth, but nobody says so; at the first look it is not yet there."""

    async def watch(self, application: ApplicationRef) -> None:
        return

    @activity.defn(name="observe_settlement")
    async def observe_settlement(self, application: ApplicationRef) -> FinalitySignal:
        self.calls.append("observe_settlement")
        if self.calls.count("observe_settlement") == 1:
            raise Transient("NOT_FINAL_YET", TX_HASH)
        return self.observed()


class InsistentWatcher(PromptChain):
    """Says the same three times."""

    async def watch(self, application: ApplicationRef) -> None:
        for _ in range(3):
            await super().watch(application)


class RefusingLender(PromptChain):
    """The lender does not confirm: refused for good, before anything is signed."""

    code = "PROVIDER_REFUSED"

    @activity.defn(name="submit_settlement")
    async def submit_settlement(self, order: SettlementOrder) -> SubmittedTransaction:
        self.calls.append("submit_settlement")
        raise Permanent(self.code, "the lender withdrew")


class ExpiredQuote(RefusingLender):
    code = "QUOTE_EXPIRED"


class ChangedTerms(RefusingLender):
    code = "TERMS_CHANGED"


class ChangesTermsOnce(PromptChain):
    """The lender does not stand by the first offer that is accepted, and by the next one does."""

    @activity.defn(name="submit_settlement")
    async def submit_settlement(self, order: SettlementOrder) -> SubmittedTransaction:
        if not self.orders:
            self.calls.append("submit_settlement")
            self.orders.append(order)
            raise Permanent("TERMS_CHANGED", "the lender wants more")
        return await super().submit_settlement(order)


class StumblingChain(PromptChain):
    """Fails twice for now before it sends."""

    @activity.defn(name="submit_settlement")
    async def submit_settlement(self, order: SettlementOrder) -> SubmittedTransaction:
        if self.calls.count("submit_settlement") < 2:
            self.calls.append("submit_settlement")
            raise Transient("NODE_UNREACHABLE")
        return await super().submit_settlement(order)


def acceptance_of(
    application: ApplicationRef,
    offer: OfferSummary,
    now: datetime,
    *,
    signed_by: str = BORROWER.private_key,
    **changes: Any,
) -> AcceptOffer:
    """The borrower accepts this offer; `changes` are made before it is signed."""
    fields: dict[str, Any] = {
        "terms_hash": offer.terms_hash,
        "borrower": offer.borrower,
        "nonce": 7,
        "deadline": int((now + timedelta(hours=2)).timestamp()),
    } | {name: value for name, value in changes.items() if name in _SIGNED}
    signature = eip712.sign_acceptance(
        fields["terms_hash"],
        fields["borrower"],
        fields["nonce"],
        fields["deadline"],
        chain_id=offer.chain_id,
        aggregator=offer.aggregator,
        private_key=signed_by,
    )
    return AcceptOffer(
        offer_id=changes.get("offer_id", offer.offer_id),
        applicant_id=changes.get("applicant_id", application.user_id),
        accepted_by=application.user_id,
        acceptance=Acceptance(**fields, signature=signature),
    )


_SIGNED = frozenset({"terms_hash", "borrower", "nonce", "deadline"})
