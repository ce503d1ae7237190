"""Who plays the outside world in workflow tests: activities of the real names, by behaviour."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import activity

from activities.ports.workflow_messages import WorkflowMessages
from models.domain.application import ApplicationEnding, ApplicationRef, State, Withdrawal
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
from models.domain.notice import NOTICE_DAYS, NoticeRef, NoticeResult, is_owed
from models.domain.review import OpenedReview, ReviewClosure, ReviewRequest, ReviewStep
from models.domain.risk import Assessment, unclipped_score
from models.domain.settlement import (
    FinalitySignal,
    SettlementOutcome,
    SettlementState,
)

TX_HASH = "0x" + "c5" * 32

Calls = list[str]


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


class Books:
    """Our own records of endings, loans and reviews."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.endings: list[ApplicationEnding] = []
        self.failures: list[str] = []
        self.opened: list[ReviewRequest] = []
        self.closed: list[ReviewClosure] = []
        self.steps: list[ReviewStep] = []
        self.withdrawals: list[Withdrawal] = []
        self.notices: list[NoticeResult] = []
        self.signed = False  # whether a settlement was signed: then nothing is withdrawn
        self.unheard: bool | None = None  # an answer that is on record without a signal
        self.ended: ApplicationEnding | None = None

    @activity.defn(name="book_loan")
    async def book_loan(
        self, application: ApplicationRef, observed: FinalitySignal
    ) -> SettlementOutcome:
        self.calls.append("book_loan")
        return SettlementOutcome(SettlementState.FINAL, observed.tx_hash, "loan_1")

    @activity.defn(name="fail_settlement")
    async def fail_settlement(
        self, application: ApplicationRef, offer_id: str, reason: str
    ) -> SettlementOutcome:
        self.calls.append("fail_settlement")
        self.failures.append(reason)
        return SettlementOutcome(SettlementState.FAILED, None, None, reason)

    @activity.defn(name="follow_settlement")
    async def follow_settlement(self, application: ApplicationRef) -> SettlementOutcome:
        self.calls.append("follow_settlement")
        return SettlementOutcome(SettlementState.FINAL, TX_HASH, "loan_1")

    @activity.defn(name="close_application")
    async def close_application(
        self, application: ApplicationRef, ending: ApplicationEnding
    ) -> NoticeRef | None:
        self.calls.append("close_application")
        if self.ended is not None and self.ended.state is State.WITHDRAWN:
            raise Conflict("APPLICATION_CLOSED", application.application_id)
        self.endings.append(ending)
        self.ended = ending
        if not is_owed(ending):
            return None
        due_at = activity.info().scheduled_time + timedelta(days=NOTICE_DAYS)
        return NoticeRef(
            application.tenant_id, application.application_id, "ntc_1", due_at.isoformat()
        )

    @activity.defn(name="withdraw_application")
    async def withdraw_application(
        self, application: ApplicationRef, withdrawal: Withdrawal
    ) -> None:
        self.calls.append("withdraw_application")
        if self.signed:
            raise Conflict("SETTLEMENT_SIGNED", application.application_id)
        self.withdrawals.append(withdrawal)
        self.ended = ApplicationEnding(State.WITHDRAWN, (withdrawal.reason,))

    @activity.defn(name="recorded_ending")
    async def recorded_ending(self, application: ApplicationRef) -> ApplicationEnding:
        self.calls.append("recorded_ending")
        assert self.ended is not None
        return self.ended

    @activity.defn(name="send_notice")
    async def send_notice(self, notice: NoticeRef) -> str:
        self.calls.append("send_notice")
        return "msg-1"

    @activity.defn(name="record_notice")
    async def record_notice(self, result: NoticeResult) -> None:
        self.calls.append("record_notice")
        self.notices.append(result)

    @activity.defn(name="open_review")
    async def open_review(self, request: ReviewRequest) -> OpenedReview:
        self.calls.append("open_review")
        self.opened.append(request)
        return OpenedReview(f"rev_{len(self.opened):032x}")

    @activity.defn(name="record_review_step")
    async def record_review_step(self, step: ReviewStep) -> None:
        self.calls.append("record_review_step")
        self.steps.append(step)

    @activity.defn(name="look_for_information")
    async def look_for_information(self, tenant_id: str, request_id: str) -> bool | None:
        self.calls.append("look_for_information")
        return self.unheard

    @activity.defn(name="close_review")
    async def close_review(self, closure: ReviewClosure) -> None:
        self.calls.append("close_review")
        self.closed.append(closure)


class LostLetters(Books):
    """A mail house that is never reached."""

    @activity.defn(name="send_notice")
    async def send_notice(self, notice: NoticeRef) -> str:
        self.calls.append("send_notice")
        raise Transient("MAIL_HOUSE_DOWN")


class RefusedLetters(Books):
    """A mail house that refuses the letter for good."""

    @activity.defn(name="send_notice")
    async def send_notice(self, notice: NoticeRef) -> str:
        self.calls.append("send_notice")
        raise Permanent("NOTICE_REFUSED", "no such address")


class Ended(Books):
    """The application was closed by somebody else: whatever moves it is refused."""

    @activity.defn(name="open_review")
    async def open_review(self, request: ReviewRequest) -> OpenedReview:
        self.calls.append("open_review")
        self.ended = ApplicationEnding(State.EXPIRED, ("OFFER_EXPIRED",))
        raise Conflict("APPLICATION_CLOSED", request.subject_id)


class Reopening(Books):
    """Reopens an application whose lender did not stand by its offer, so many times."""

    def __init__(self, calls: Calls, times: int = 9) -> None:
        super().__init__(calls)
        self.times = times

    @activity.defn(name="fail_settlement")
    async def fail_settlement(
        self, application: ApplicationRef, offer_id: str, reason: str
    ) -> SettlementOutcome:
        self.calls.append("fail_settlement")
        self.failures.append(reason)
        again = len(self.failures) <= self.times
        return SettlementOutcome(SettlementState.FAILED, None, None, reason, reopened=again)


class SlowSigner(Books):
    """An attempt we took for refused had signed after all: the settlement cannot fail."""

    @activity.defn(name="fail_settlement")
    async def fail_settlement(
        self, application: ApplicationRef, offer_id: str, reason: str
    ) -> SettlementOutcome:
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
