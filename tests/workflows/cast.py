"""Who plays the outside world in workflow tests: activities of the real names, by behaviour."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from temporalio import activity

from activities.ports.workflow_messages import WorkflowMessages
from adapters.chain import eip712
from models.domain.application import ApplicationEnding, ApplicationRef
from models.domain.decision import Outcome, Phase, ReasonCode, RuleFired, Verdict
from models.domain.errors import Conflict, Permanent, Transient
from models.domain.kyc import (
    KYCConclusion,
    KYCStanding,
    KYCStatus,
    PersonRef,
    VendorVerdict,
    VerificationCallback,
    VerificationRequest,
)
from models.domain.offer import (
    Acceptance,
    AcceptOffer,
    LoanTerms,
    OfferBook,
    OfferSummary,
    ProviderAnswer,
)
from models.domain.review import ReviewClosure, ReviewRequest
from models.domain.risk import Assessment, unclipped_score
from models.domain.settlement import (
    REFERENCE_ALREADY_SETTLED,
    FinalitySignal,
    SettlementOrder,
    SettlementOutcome,
    SettlementState,
    SubmittedTransaction,
)
from sandbox.wallets import wallet

CHAIN_ID = 31_337
AGGREGATOR = eip712.checksum("0x" + "a9" * 20)
TOKEN = eip712.checksum("0x" + "70" * 20)
SEED = bytes(range(32))
BORROWER = wallet("borrower", SEED)
STRANGER = wallet("stranger", SEED)
LENDER = wallet("lender", SEED)
TX_HASH = "0x" + "c5" * 32
OTHER_TX_HASH = "0x" + "0e" * 32

Calls = list[str]
Clock = Callable[[], Awaitable[datetime]]


class PromptVendor:
    """Identity, with a vendor that clears everybody at once."""

    verdict: VendorVerdict | None = VendorVerdict.CLEAR
    reason: str | None = None

    def __init__(self, calls: Calls, messages: WorkflowMessages) -> None:
        self.calls = calls
        self.messages = messages
        self.standings: dict[PersonRef, KYCStanding] = {}
        self.waiting: dict[PersonRef, list[str]] = {}
        self.requests: list[VerificationRequest] = []
        self.conclusions: list[KYCConclusion] = []
        self.expired: list[PersonRef] = []

    @activity.defn(name="join_verification")
    async def join(self, application: ApplicationRef) -> KYCStanding:
        self.calls.append("join_verification")
        person = PersonRef(application.tenant_id, application.user_id)
        if person in self.standings:
            return self.standings[person]
        self.waiting.setdefault(person, []).append(application.application_id)
        await self.messages.join_person(person, application.application_id)
        return KYCStanding(KYCStatus.PENDING)

    @activity.defn(name="submit_verification")
    async def submit(self, request: VerificationRequest) -> str:
        self.calls.append("submit_verification")
        self.requests.append(request)
        await self.answer(request)
        return "check-1"

    async def answer(self, request: VerificationRequest) -> None:
        """What the vendor does with a submission."""
        if self.verdict is not None:
            await self.call_back(request.verification_id, self.verdict)

    async def call_back(self, verification_id: str, verdict: VendorVerdict) -> None:
        """The vendor's callback for the newest submission's person."""
        await self.messages.tell_verification(
            self.requests[-1].person,
            VerificationCallback(f"evt_{len(self.calls)}", verification_id, verdict, self.reason),
        )

    @activity.defn(name="conclude_verification")
    async def conclude(self, conclusion: KYCConclusion) -> KYCStatus:
        self.calls.append("conclude_verification")
        self.conclusions.append(conclusion)
        standing = KYCStanding(conclusion.status, conclusion.reason, conclusion.expires_at)
        if conclusion.status is KYCStatus.VERIFIED:
            self.standings[conclusion.person] = standing
        for application_id in self.waiting.pop(conclusion.person, []):
            await self.messages.tell_identity(conclusion.person.tenant_id, application_id, standing)
        return conclusion.status

    @activity.defn(name="someone_waits")
    async def someone_waits(self, person: PersonRef) -> bool:
        self.calls.append("someone_waits")
        return bool(self.waiting.get(person))

    @activity.defn(name="expire_verification")
    async def expire(self, person: PersonRef) -> KYCStatus:
        self.calls.append("expire_verification")
        self.expired.append(person)
        self.standings.pop(person, None)
        return KYCStatus.EXPIRED


class SilentVendor(PromptVendor):
    """Takes every submission and never answers by itself."""

    verdict = None


class RejectingVendor(PromptVendor):
    verdict = VendorVerdict.REJECTED
    reason = "DOCUMENT_FORGED"


class UnsureVendor(PromptVendor):
    verdict = VendorVerdict.UNCLEAR
    reason = "DOCUMENT_BLURRED"


class RefusingVendor(PromptVendor):
    """Refuses the submission for good."""

    async def answer(self, request: VerificationRequest) -> None:
        raise Permanent("VENDOR_REFUSED_DOCUMENT", "no such document type")


class Rules:
    """Answers each phase with one outcome, and says so in one reason."""

    def __init__(
        self,
        calls: Calls,
        *,
        eligibility: Outcome = Outcome.ALLOW,
        credit: Outcome = Outcome.ALLOW,
    ) -> None:
        self.calls = calls
        self.outcomes = {Phase.ELIGIBILITY: eligibility, Phase.CREDIT: credit}

    @activity.defn(name="check_eligibility")
    async def check_eligibility(self, application: ApplicationRef) -> Verdict:
        self.calls.append("check_eligibility")
        return self.verdict(Phase.ELIGIBILITY, ReasonCode.JURISDICTION_NOT_SERVED)

    @activity.defn(name="decide_credit")
    async def decide_credit(self, application: ApplicationRef) -> Verdict:
        self.calls.append("decide_credit")
        return self.verdict(Phase.CREDIT, ReasonCode.SCORE_TOO_LOW)

    def verdict(self, phase: Phase, reason: ReasonCode) -> Verdict:
        outcome = self.outcomes[phase]
        fired = RuleFired("R-1", 1, "TEST", outcome, reason.value)
        allowed = outcome is Outcome.ALLOW
        return Verdict.of(phase, () if allowed else (fired,), (), "rules-1")


class SteadyScorer:
    """Scores everybody alike."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls

    @activity.defn(name="assess_risk")
    async def assess(self, application: ApplicationRef) -> Assessment:
        self.calls.append("assess_risk")
        score = unclipped_score(0.02)
        return Assessment(0.02, int(score), score, (), "test-1", "0" * 64, "scored", None, 1.0)

    @activity.defn(name="refer_unscored")
    async def refer(self, application: ApplicationRef) -> Assessment:
        self.calls.append("refer_unscored")
        return Assessment.refer("MODEL_UNAVAILABLE", model_version="test-1", model_sha256="")


class BrokenScorer(SteadyScorer):
    """Never scores anybody."""

    @activity.defn(name="assess_risk")
    async def assess(self, application: ApplicationRef) -> Assessment:
        self.calls.append("assess_risk")
        raise Transient("SCORING_DOWN", "out of memory")


class OneLender:
    """One offer, open for half an hour; acceptances go on record at once."""

    open_for = timedelta(minutes=30)

    def __init__(self, calls: Calls, clock: Clock) -> None:
        self.calls = calls
        self.clock = clock
        self.books: dict[str, OfferBook] = {}
        self.accepted: list[AcceptOffer] = []

    @activity.defn(name="collect_offers")
    async def collect_offers(self, application: ApplicationRef) -> OfferBook:
        self.calls.append("collect_offers")
        book = OfferBook(await self.offers(application))
        self.books[application.application_id] = book
        return book

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


class NoLender(OneLender):
    """Nobody wants this loan, and each says so."""

    async def offers(self, application: ApplicationRef) -> tuple[OfferSummary, ...]:
        return ()

    @activity.defn(name="collect_offers")
    async def collect_offers(self, application: ApplicationRef) -> OfferBook:
        self.calls.append("collect_offers")
        return OfferBook((), (ProviderAnswer("bank-1", None, "NOT_OFFERED"),))


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
    """Tells of a foreign transaction first."""

    async def watch(self, application: ApplicationRef) -> None:
        foreign = FinalitySignal(OTHER_TX_HASH, 11, "0x" + "b0" * 32, 4, succeeded=False)
        await self.messages.tell_settlement(
            application.tenant_id, application.application_id, foreign
        )
        await super().watch(application)


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


class StumblingChain(PromptChain):
    """Fails twice for now before it sends."""

    @activity.defn(name="submit_settlement")
    async def submit_settlement(self, order: SettlementOrder) -> SubmittedTransaction:
        if self.calls.count("submit_settlement") < 2:
            self.calls.append("submit_settlement")
            raise Transient("NODE_UNREACHABLE")
        return await super().submit_settlement(order)


class Books:
    """Our own records of endings, loans and reviews."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.endings: list[ApplicationEnding] = []
        self.failures: list[str] = []
        self.opened: list[ReviewRequest] = []
        self.closed: list[ReviewClosure] = []

    @activity.defn(name="book_loan")
    async def book_loan(
        self, application: ApplicationRef, observed: FinalitySignal
    ) -> SettlementOutcome:
        self.calls.append("book_loan")
        return SettlementOutcome(SettlementState.FINAL, observed.tx_hash, "loan_1")

    @activity.defn(name="fail_settlement")
    async def fail_settlement(self, application: ApplicationRef, reason: str) -> SettlementOutcome:
        self.calls.append("fail_settlement")
        self.failures.append(reason)
        return SettlementOutcome(SettlementState.FAILED, None, None, reason)

    @activity.defn(name="close_application")
    async def close_application(
        self, application: ApplicationRef, ending: ApplicationEnding
    ) -> None:
        self.calls.append("close_application")
        self.endings.append(ending)

    @activity.defn(name="open_review")
    async def open_review(self, request: ReviewRequest) -> str:
        self.calls.append("open_review")
        self.opened.append(request)
        return f"rev_{len(self.opened):032x}"

    @activity.defn(name="close_review")
    async def close_review(self, closure: ReviewClosure) -> None:
        self.calls.append("close_review")
        self.closed.append(closure)


class SlowSigner(Books):
    """An attempt we took for refused had signed after all: the settlement cannot fail."""

    @activity.defn(name="fail_settlement")
    async def fail_settlement(self, application: ApplicationRef, reason: str) -> SettlementOutcome:
        self.calls.append("fail_settlement")
        return SettlementOutcome(SettlementState.SIGNED, TX_HASH)


class SlowToClose(Books):
    """A review's closure goes on record only when told to."""

    def __init__(self, calls: Calls) -> None:
        super().__init__(calls)
        self.closing, self.may_close = asyncio.Event(), asyncio.Event()

    @activity.defn(name="close_review")
    async def close_review(self, closure: ReviewClosure) -> None:
        self.closing.set()
        await self.may_close.wait()
        await super().close_review(closure)


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
