"""A person's identity: verified by a vendor, screened, and valid for a time.

It outlives the application that started it: it waits out the verification's validity and then
marks the person as expired. Applications join by the signal `join` and are answered by a signal.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.kyc import KYCActivities
    from models.domain.ids import kyc_workflow_id
    from models.domain.kyc import (
        KYCConclusion,
        KYCStatus,
        PersonRef,
        VendorVerdict,
        VerificationCallback,
        VerificationRequest,
    )
    from models.domain.review import ReviewEnd, ReviewKind, ReviewRequest
    from models.domain.routing import JOIN, KYC_WORKFLOW, VERIFICATION_ANSWERED
    from workflows.options import (
        IDENTITY_VENDOR,
        KYC_DEADLINE,
        KYC_VALIDITY,
        OWN_DATABASE,
        SHORTEST_TIMER,
    )
    from workflows.review import ReviewDesk, Reviewed

VENDOR_REFUSED = "VENDOR_REFUSED"
VENDOR_SILENT = "VENDOR_SILENT"
REVIEW_REJECTED = "REVIEW_REJECTED"
REVIEW_UNDECIDED = "REVIEW_UNDECIDED"
INFORMATION_NOT_PROVIDED = "INFORMATION_NOT_PROVIDED"


@workflow.defn(name=KYC_WORKFLOW)
class KYCWorkflow(Reviewed):
    """Verifies one person of one tenant; started by whichever application needs it first."""

    @workflow.init
    def __init__(self, person: PersonRef) -> None:
        self.person = person
        self.verification: VerificationRequest | None = None
        self.callback: VerificationCallback | None = None
        self.reviews = ReviewDesk(resubmission=True)
        self.joined_late = False
        self.concluding = False
        self.expires_at: str | None = None

    @workflow.run
    async def run(self, person: PersonRef) -> KYCStatus:
        while True:
            status = await self._verify()
            if status is KYCStatus.VERIFIED:
                status = await self._wait_out_validity()
            if not await self._someone_waits():
                return status

    @workflow.signal(name=JOIN)
    def join(self, application_id: str) -> None:
        """An application waits for this person; its waiting row is in the database already."""
        # Before the conclusion the row alone is enough. After it, someone must look again.
        self.joined_late = self.concluding

    @workflow.signal(name=VERIFICATION_ANSWERED)
    def verification_answered(self, callback: VerificationCallback) -> None:
        """The vendor's verified callback; repeated, late and foreign ones change nothing."""
        current = self.verification
        if current is None or callback.verification_id != current.verification_id:
            return
        if self.callback is None:
            self.callback = callback

    async def _verify(self) -> KYCStatus:
        """Submit, wait for the vendor or the deadline, conclude; anew for every new document."""
        self.joined_late, self.concluding = False, False
        while (conclusion := await self._examine()) is None:
            workflow.logger.info("the applicant has sent a new document")
        self.concluding = True
        self.expires_at = conclusion.expires_at
        status: KYCStatus = await workflow.execute_local_activity_method(
            KYCActivities.conclude_verification, conclusion, **OWN_DATABASE
        )
        self._say_where_we_stand(status)
        return status

    async def _examine(self) -> KYCConclusion | None:
        """One attempt; None when the applicant has sent a new document meanwhile."""
        self.callback = None
        self.verification = VerificationRequest(self.person, f"ver_{workflow.uuid4().hex}")
        workflow.set_current_details("Waiting for the identity vendor's answer.")
        return await self._ask_vendor(self.verification)

    async def _ask_vendor(self, request: VerificationRequest) -> KYCConclusion | None:
        try:
            await workflow.execute_activity_method(
                KYCActivities.submit_verification,
                request,
                summary="Submit documents to the identity vendor",
                **IDENTITY_VENDOR,
            )
        except ActivityError:
            return await self._ask_a_person(request, VENDOR_REFUSED)
        try:
            await workflow.wait_condition(
                lambda: self.callback is not None,
                timeout=KYC_DEADLINE,
                timeout_summary="KYC deadline",
            )
        except TimeoutError:
            return self._concluded(request, KYCStatus.EXPIRED, "deadline", VENDOR_SILENT)
        assert self.callback is not None
        match self.callback.verdict:
            case VendorVerdict.CLEAR:
                return self._concluded(request, KYCStatus.VERIFIED, "vendor", None)
            case VendorVerdict.REJECTED:
                return self._concluded(request, KYCStatus.FAILED, "vendor", self.callback.reason)
            case VendorVerdict.UNCLEAR:
                return await self._ask_a_person(request, self.callback.reason or "UNCLEAR")

    async def _ask_a_person(
        self, request: VerificationRequest, reason: str
    ) -> KYCConclusion | None:
        """Manual review where the evidence is unclear; undecided means expired, never verified."""
        ended = await self.reviews.ask(
            ReviewRequest(
                tenant_id=self.person.tenant_id,
                kind=ReviewKind.IDENTITY,
                subject_id=self.person.user_id,
                applicant_id=self.person.user_id,
                workflow_id=kyc_workflow_id(self.person.tenant_id, self.person.user_id),
                reasons=(reason,),
            )
        )
        decision = self.reviews.last_decision
        by = decision.decided_by if decision else "deadline"
        match ended:
            case ReviewEnd.APPROVED:
                return self._concluded(request, KYCStatus.VERIFIED, by, None)
            case ReviewEnd.REJECTED:
                return self._concluded(request, KYCStatus.FAILED, by, REVIEW_REJECTED)
            case ReviewEnd.RESUBMITTED:
                return None
            case ReviewEnd.UNANSWERED:
                return self._concluded(request, KYCStatus.EXPIRED, by, INFORMATION_NOT_PROVIDED)
            case ReviewEnd.UNDECIDED:
                return self._concluded(request, KYCStatus.EXPIRED, by, REVIEW_UNDECIDED)

    def _concluded(
        self, request: VerificationRequest, status: KYCStatus, by: str, reason: str | None
    ) -> KYCConclusion:
        expires_at = None
        if status is KYCStatus.VERIFIED:
            expires_at = (workflow.now() + KYC_VALIDITY).isoformat()
        return KYCConclusion(self.person, request.verification_id, status, by, reason, expires_at)

    async def _wait_out_validity(self) -> KYCStatus:
        """Wait until the verification expires, or somebody states another identity."""
        assert self.expires_at is not None
        expires_at = datetime.fromisoformat(self.expires_at)
        while (remaining := expires_at - workflow.now()) > timedelta(0):
            try:
                await workflow.wait_condition(
                    lambda: self.joined_late,
                    timeout=max(remaining, SHORTEST_TIMER),
                    timeout_summary="Verification validity",
                )
            except TimeoutError:
                break
            if await self._someone_waits(keep=True):
                return KYCStatus.PENDING
        workflow.set_current_details("The verification has expired.")
        status: KYCStatus = await workflow.execute_local_activity_method(
            KYCActivities.expire_verification, self.person, **OWN_DATABASE
        )
        return status

    async def _someone_waits(self, *, keep: bool = False) -> bool:
        """Whether an application that joined after the conclusion has no answer yet."""
        if not self.joined_late:
            return False
        self.joined_late = False  # who joins during the question is asked about again
        waits: bool = await workflow.execute_local_activity_method(
            KYCActivities.someone_waits, self.person, **OWN_DATABASE
        )
        self.joined_late = self.joined_late or (waits and keep)
        return waits

    def _say_where_we_stand(self, status: KYCStatus) -> None:
        words = {
            KYCStatus.VERIFIED: f"Identity verified; valid until {self.expires_at}.",
            KYCStatus.FAILED: "Identity could not be verified.",
            KYCStatus.EXPIRED: "Nobody answered in time.",
        }
        workflow.set_current_details(words.get(status, str(status)))
