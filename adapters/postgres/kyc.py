"""Statements for people's verifications; satisfies `KYCRecords`."""

from __future__ import annotations

import hmac
import json
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter

from activities.ports.kyc_records import WaitingApplication
from adapters.postgres.database import Database, Transaction
from adapters.postgres.people import applicant
from models.domain.application import Applicant, ApplicationRef, Stage, State
from models.domain.errors import NotFound
from models.domain.kyc import (
    KYCConclusion,
    KYCStanding,
    KYCStatus,
    PersonRef,
    VerificationRequest,
)
from models.domain.screening import ScreeningResult

_STANDING = TypeAdapter(KYCStanding)
_SCREENING = TypeAdapter(ScreeningResult)

SYSTEM = "system"


class PostgresKYCRecords:
    """Every method locks the person's profile first, so joining and concluding never miss."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def join(self, application: ApplicationRef) -> KYCStanding:
        async with self._database.transaction(application.tenant_id) as tx:
            await self._put_under_way(tx, application)
            profile = await self._lock_profile(tx, application.user_id)
            waiter = await tx.row(
                "SELECT answer FROM kyc_waiters"
                " WHERE tenant_id = $1 AND user_id = $2 AND application_id = $3",
                tx.tenant_id, application.user_id, application.application_id,
            )  # fmt: skip
            if waiter is not None and waiter["answer"] is not None:
                return _STANDING.validate_python(waiter["answer"])
            standing = _standing(profile)
            if standing.status is KYCStatus.VERIFIED:
                identity = await applicant(tx, application.application_id)
                if _is_same_person(tx, identity, profile["identity"]):
                    # On record, so that this application keeps its answer whatever comes later.
                    await tx.execute(
                        "INSERT INTO kyc_waiters"
                        " (tenant_id, user_id, application_id, answer, told_at)"
                        " VALUES ($1, $2, $3, $4, clock_timestamp()) ON CONFLICT DO NOTHING",
                        tx.tenant_id, application.user_id, application.application_id,
                        _STANDING.dump_python(standing, mode="json"),
                    )  # fmt: skip
                    return standing
            await tx.execute(
                "INSERT INTO kyc_waiters (tenant_id, user_id, application_id)"
                " VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                tx.tenant_id, application.user_id, application.application_id,
            )  # fmt: skip
            if standing.status is not KYCStatus.IN_REVIEW:
                await tx.execute(
                    "UPDATE kyc_profiles SET status = 'pending', reason = NULL,"
                    " updated_at = clock_timestamp() WHERE tenant_id = $1 AND user_id = $2",
                    tx.tenant_id, application.user_id,
                )  # fmt: skip
            return KYCStanding(KYCStatus.PENDING)

    async def begin_verification(self, request: VerificationRequest, vendor: str) -> Applicant:
        async with self._database.transaction(request.person.tenant_id) as tx:
            identity = await _latest_applicant(tx, request.person.user_id)
            first = await tx.execute(
                "INSERT INTO kyc_verifications"
                " (tenant_id, verification_id, user_id, vendor, identity)"
                " VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                tx.tenant_id, request.verification_id, request.person.user_id, vendor,
                _fingerprint(tx, identity),
            )  # fmt: skip
            # A repetition shows the vendor the same person, whoever has been stated since:
            # its verdict must be about the identity on record.
            return identity if first else await _examined_applicant(tx, request)

    async def record_submission(self, request: VerificationRequest, check_id: str) -> None:
        async with self._database.transaction(request.person.tenant_id) as tx:
            changed = await tx.execute(
                "UPDATE kyc_verifications SET check_id = $3 WHERE tenant_id = $1"
                " AND verification_id = $2 AND check_id IS NULL",
                tx.tenant_id, request.verification_id, check_id,
            )  # fmt: skip
            if changed:
                await tx.record(
                    SYSTEM,
                    "kyc.submitted",
                    request.person.user_id,
                    {"verification_id": request.verification_id, "check_id": check_id},
                    key=request.person.user_id,
                )

    async def applicant_of(self, person: PersonRef) -> Applicant:
        async with self._database.transaction(person.tenant_id) as tx:
            newest = await tx.value(
                "SELECT verification_id FROM kyc_verifications"
                " WHERE tenant_id = $1 AND user_id = $2 ORDER BY created_at DESC LIMIT 1",
                tx.tenant_id, person.user_id,
            )  # fmt: skip
            if newest is None:
                return await _latest_applicant(tx, person.user_id)
            return await _examined_applicant(tx, VerificationRequest(person, newest))

    async def conclude(
        self, conclusion: KYCConclusion, screening: ScreeningResult
    ) -> tuple[WaitingApplication, ...]:
        person = conclusion.person
        standing = KYCStanding(conclusion.status, conclusion.reason, conclusion.expires_at)
        async with self._database.transaction(person.tenant_id) as tx:
            profile = await self._lock_profile(tx, person.user_id)
            if profile["verification_id"] != conclusion.verification_id:
                identity = await tx.value(
                    "SELECT identity FROM kyc_verifications"
                    " WHERE tenant_id = $1 AND verification_id = $2",
                    tx.tenant_id, conclusion.verification_id,
                )  # fmt: skip
                await self._write_conclusion(tx, conclusion, screening, identity)
                await self._answer_waiters(tx, person, standing, identity)
            untold = await tx.rows(
                "SELECT application_id, answer FROM kyc_waiters WHERE tenant_id = $1"
                " AND user_id = $2 AND answer IS NOT NULL AND told_at IS NULL",
                tx.tenant_id, person.user_id,
            )  # fmt: skip
        return tuple(
            WaitingApplication(each["application_id"], _STANDING.validate_python(each["answer"]))
            for each in untold
        )

    async def told(self, person: PersonRef, application_id: str) -> None:
        async with self._database.transaction(person.tenant_id) as tx:
            await tx.execute(
                "UPDATE kyc_waiters SET told_at = clock_timestamp() WHERE tenant_id = $1"
                " AND user_id = $2 AND application_id = $3 AND told_at IS NULL",
                tx.tenant_id, person.user_id, application_id,
            )  # fmt: skip

    async def someone_waits(self, person: PersonRef) -> bool:
        async with self._database.transaction(person.tenant_id) as tx:
            return bool(
                await tx.value(
                    "SELECT EXISTS (SELECT FROM kyc_waiters WHERE tenant_id = $1"
                    " AND user_id = $2 AND answer IS NULL)",
                    tx.tenant_id, person.user_id,
                )
            )  # fmt: skip

    async def expire(self, person: PersonRef) -> None:
        async with self._database.transaction(person.tenant_id) as tx:
            changed = await tx.execute(
                "UPDATE kyc_profiles SET status = 'expired', updated_at = clock_timestamp()"
                " WHERE tenant_id = $1 AND user_id = $2 AND status = 'verified'"
                " AND expires_at <= clock_timestamp()",
                tx.tenant_id, person.user_id,
            )  # fmt: skip
            if changed:
                await tx.record(SYSTEM, "kyc.expired", person.user_id, {}, key=person.user_id)

    async def _answer_waiters(
        self, tx: Transaction, person: PersonRef, standing: KYCStanding, identity: str | None
    ) -> None:
        """The answer holds for applications that state the identity which was examined."""
        waiting = await tx.rows(
            "SELECT application_id FROM kyc_waiters"
            " WHERE tenant_id = $1 AND user_id = $2 AND answer IS NULL",
            tx.tenant_id, person.user_id,
        )  # fmt: skip
        for each in waiting:
            stated = await applicant(tx, each["application_id"])
            same = standing.status is not KYCStatus.VERIFIED or _is_same_person(
                tx, stated, identity
            )
            answer = standing if same else KYCStanding(KYCStatus.FAILED, "IDENTITY_CHANGED")
            await tx.execute(
                "UPDATE kyc_waiters SET answer = $4"
                " WHERE tenant_id = $1 AND user_id = $2 AND application_id = $3",
                tx.tenant_id, person.user_id, each["application_id"],
                _STANDING.dump_python(answer, mode="json"),
            )  # fmt: skip

    async def _put_under_way(self, tx: Transaction, application: ApplicationRef) -> None:
        """The workflow runs: the start intent has done its work."""
        started = await tx.execute(
            "DELETE FROM start_intents WHERE tenant_id = $1 AND application_id = $2",
            tx.tenant_id, application.application_id,
        )  # fmt: skip
        if started:
            await tx.record(
                SYSTEM,
                "application.started",
                application.application_id,
                {"stage": Stage.IDENTITY, "state": State.PROCESSING},
                key=application.application_id,
            )

    async def _lock_profile(self, tx: Transaction, user_id: str) -> Any:
        await tx.execute(
            "INSERT INTO kyc_profiles (tenant_id, user_id, status) VALUES ($1, $2, 'pending')"
            " ON CONFLICT DO NOTHING",
            tx.tenant_id, user_id,
        )  # fmt: skip
        return await tx.row(
            "SELECT status, reason, verification_id, identity, expires_at FROM kyc_profiles"
            " WHERE tenant_id = $1 AND user_id = $2 FOR UPDATE",
            tx.tenant_id, user_id,
        )  # fmt: skip

    async def _write_conclusion(
        self,
        tx: Transaction,
        conclusion: KYCConclusion,
        screening: ScreeningResult,
        identity: str | None,
    ) -> None:
        verified = conclusion.status is KYCStatus.VERIFIED
        expires_at = datetime.fromisoformat(conclusion.expires_at or "") if verified else None
        await tx.execute(
            "UPDATE kyc_profiles SET status = $3, reason = $4, verification_id = $5,"
            " screening = $6, concluded_by = $7, expires_at = $8,"
            " verified_at = CASE WHEN $9 THEN clock_timestamp() END, identity = $10,"
            " updated_at = clock_timestamp() WHERE tenant_id = $1 AND user_id = $2",
            tx.tenant_id, conclusion.person.user_id, conclusion.status, conclusion.reason,
            conclusion.verification_id, _SCREENING.dump_python(screening, mode="json"),
            conclusion.concluded_by, expires_at, verified, identity,
        )  # fmt: skip
        await tx.record(
            conclusion.concluded_by,
            f"kyc.{conclusion.status}",
            conclusion.person.user_id,
            {
                "verification_id": conclusion.verification_id,
                "reason": conclusion.reason,
                "screened_with": screening.list_version,
            },
            key=conclusion.person.user_id,
        )


def _standing(profile: Any) -> KYCStanding:
    status = KYCStatus(profile["status"])
    expires_at = profile["expires_at"]
    if status is KYCStatus.VERIFIED and expires_at <= datetime.now(UTC):
        status = KYCStatus.EXPIRED
    return KYCStanding(status, profile["reason"], expires_at.isoformat() if expires_at else None)


def _fingerprint(tx: Transaction, stated: Applicant, *, version: str | None = None) -> str:
    parts = (stated.given_name, stated.family_name, stated.born_on, stated.national_id)
    normal = json.dumps([part.strip().casefold() for part in parts]).encode()
    return tx.keyring.fingerprint(tx.tenant_id, normal, version=version)


def _is_same_person(tx: Transaction, stated: Applicant, identity: str | None) -> bool:
    """Whether the stated identity is the one that was examined; unknown means no."""
    if identity is None:
        return False
    version = identity.partition(":")[0]
    return hmac.compare_digest(_fingerprint(tx, stated, version=version), identity)


async def _examined_applicant(tx: Transaction, request: VerificationRequest) -> Applicant:
    """The person a verification is about: the newest statement of the identity on record."""
    identity = await tx.value(
        "SELECT identity FROM kyc_verifications WHERE tenant_id = $1 AND verification_id = $2",
        tx.tenant_id, request.verification_id,
    )  # fmt: skip
    stated_in = await tx.rows(
        "SELECT application_id FROM applications WHERE tenant_id = $1 AND user_id = $2"
        " ORDER BY created_at DESC",
        tx.tenant_id, request.person.user_id,
    )  # fmt: skip
    for each in stated_in:
        stated = await applicant(tx, each["application_id"])
        if _is_same_person(tx, stated, identity):
            return stated
    raise NotFound("PERSON_UNKNOWN")


async def _latest_applicant(tx: Transaction, user_id: str) -> Applicant:
    application_id = await tx.value(
        "SELECT application_id FROM applications WHERE tenant_id = $1 AND user_id = $2"
        " ORDER BY created_at DESC LIMIT 1",
        tx.tenant_id, user_id,
    )  # fmt: skip
    if application_id is None:
        raise NotFound("PERSON_UNKNOWN")
    return await applicant(tx, application_id)
