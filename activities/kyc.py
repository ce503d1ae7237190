"""Verify identity: join a person's verification, ask the vendor, screen, conclude."""

from __future__ import annotations

from temporalio import activity

from activities.ports.identity_verifier import IdentityVerifier
from activities.ports.kyc_records import KYCRecords
from activities.ports.name_screener import NameScreener
from activities.ports.workflow_messages import WorkflowMessages
from models.domain.application import ApplicationRef
from models.domain.failpoints import failpoint
from models.domain.kyc import (
    KYCConclusion,
    KYCStanding,
    KYCStatus,
    PersonRef,
    VerificationRequest,
)


class KYCActivities:
    """What the identity stage does; every method may be repeated without effect."""

    def __init__(
        self,
        records: KYCRecords,
        verifier: IdentityVerifier,
        screener: NameScreener,
        messages: WorkflowMessages,
    ) -> None:
        self._records = records
        self._verifier = verifier
        self._screener = screener
        self._messages = messages

    @activity.defn(name="join_verification")
    async def join_verification(self, application: ApplicationRef) -> KYCStanding:
        """Put the application under way and join its person's verification if one is needed."""
        standing = await self._records.join(application)
        if standing.status is KYCStatus.PENDING:
            person = PersonRef(application.tenant_id, application.user_id)
            failpoint("kyc.joined")
            await self._messages.join_person(person, application.application_id)
        return standing

    @activity.defn(name="submit_verification")
    async def submit_verification(self, request: VerificationRequest) -> str:
        """Submit the person's documents; returns the vendor's check id."""
        applicant = await self._records.begin_verification(request, self._verifier.vendor)
        check_id = await self._verifier.submit(
            request.person.tenant_id, request.verification_id, applicant
        )
        failpoint("kyc.submitted")
        await self._records.record_submission(request, check_id)
        return check_id

    @activity.defn(name="conclude_verification")
    async def conclude_verification(self, conclusion: KYCConclusion) -> KYCStatus:
        """Screen the person's names, record the conclusion, tell the applications that wait."""
        applicant = await self._records.applicant_of(conclusion.person)
        screening = self._screener.screen([applicant.full_name])
        waiting = await self._records.conclude(conclusion, screening)
        failpoint("kyc.concluded")
        for each in waiting:
            await self._messages.tell_identity(
                conclusion.person.tenant_id, each.application_id, each.standing
            )
            await self._records.told(conclusion.person, each.application_id)
        return conclusion.status

    @activity.defn(name="someone_waits")
    async def someone_waits(self, person: PersonRef) -> bool:
        """Whether an application has joined and was not answered by any conclusion."""
        return await self._records.someone_waits(person)

    @activity.defn(name="expire_verification")
    async def expire_verification(self, person: PersonRef) -> KYCStatus:
        """The verification is no longer valid: the next application verifies again."""
        await self._records.expire(person)
        return KYCStatus.EXPIRED
