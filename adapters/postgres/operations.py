"""Read models and the audit trail of operators' commands; sealed columns are never read here.

Everything runs under the application's role, one tenant at a time. Only finding out whose an
application is goes through the relay's role, which may read of all tenants' applications their
ids, stages and times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from adapters.postgres.database import PLATFORM, Database
from models.domain.application import TERMINAL_STATES, ApplicationRef, Stage, State
from models.domain.errors import Conflict, NotFound, Refused
from models.domain.operations import ApplicationStanding, Command

# A user's applications are listed in an error when there are several; more would not help.
_SHOWN: Final = 5
_OPEN: Final = [each.value for each in State if each not in TERMINAL_STATES]

_STANDING: Final = (
    "SELECT a.application_id, a.user_id, a.stage, a.state, a.reasons, a.version, a.created_at,"
    " a.updated_at, i.created_at AS intended_at,"
    " (w.application_id IS NOT NULL AND w.told_at IS NULL) AS unanswered FROM applications a"
    " LEFT JOIN start_intents i ON i.tenant_id = a.tenant_id"
    " AND i.application_id = a.application_id"
    " LEFT JOIN kyc_waiters w ON w.tenant_id = a.tenant_id AND w.user_id = a.user_id"
    " AND w.application_id = a.application_id"
    " WHERE a.tenant_id = $1 AND a.application_id = ANY($2::text[])"
)

_OLDEST_FIRST: Final = (
    "SELECT tenant_id, application_id, user_id, created_at FROM applications"
    " WHERE ($1::text IS NULL OR tenant_id = $1)"
    " AND ($2::text IS NULL OR state = $2) AND ($3::text IS NULL OR stage = $3)"
    " AND ($4::timestamptz IS NULL OR created_at >= $4)"
    " AND (NOT $5 OR state = ANY($6::text[])) AND ($7::timestamptz IS NULL OR"
    " (created_at, application_id) > ($7, $8::text))"
    " ORDER BY created_at, application_id LIMIT $9"
)
_NEWEST_FIRST: Final = _OLDEST_FIRST.replace(") > (", ") < (").replace(
    "BY created_at, application_id", "BY created_at DESC, application_id DESC"
)

# What `show` reads, by title: ids, codes, amounts and times; nothing sealed, nothing anybody wrote
# in words of their own, no wallet.
_RECORDS: Final = {
    "identity": "SELECT k.status, k.reason, k.verification_id, k.concluded_by, k.verified_at,"
    " k.expires_at FROM kyc_profiles k JOIN applications a USING (tenant_id, user_id)"
    " WHERE k.tenant_id = $1 AND a.application_id = $2",
    "decisions": "SELECT phase, outcome, reasons, rule_set_version, sanctions_list_version,"
    " model_version, decided_at FROM decisions WHERE tenant_id = $1 AND application_id = $2"
    " ORDER BY decided_at",
    "evidence": "SELECT source, outcome, fetched_at FROM evidence"
    " WHERE tenant_id = $1 AND application_id = $2 ORDER BY source",
    "assessment": "SELECT outcome, score, confidence, model_version, bureau_status,"
    " referred_because, assessed_at FROM assessments WHERE tenant_id = $1 AND application_id = $2",
    "offers": "SELECT offer_id, provider_id, status, amount_minor, currency, apr_bps, term_months,"
    " expires_at FROM offers WHERE tenant_id = $1 AND application_id = $2"
    " ORDER BY apr_bps, offer_id",
    "settlement": "SELECT settlement_id, state, chain_id, tx_hash, block_number, confirmations,"
    " failure, updated_at FROM settlements WHERE tenant_id = $1 AND application_id = $2",
    "attempts": "SELECT t.tx_hash, t.nonce, t.sender, t.created_at, t.broadcast_at"
    " FROM chain_attempts t JOIN settlements s USING (tenant_id, settlement_id)"
    " WHERE t.tenant_id = $1 AND s.application_id = $2 ORDER BY t.created_at",
    "loan": "SELECT loan_id, provider_id, amount_minor, currency, apr_bps, booked_at FROM loans"
    " WHERE tenant_id = $1 AND application_id = $2",
    "reviews": "SELECT r.review_id, r.kind, r.status, r.reasons, r.decided_by, r.created_at,"
    " r.decided_at FROM reviews r JOIN applications a ON a.tenant_id = r.tenant_id"
    " AND r.subject_id IN (a.application_id, a.user_id)"
    " WHERE r.tenant_id = $1 AND a.application_id = $2 ORDER BY r.created_at",
    "information requests": "SELECT q.request_id, q.review_id, q.asked_by, q.status, q.due_at,"
    " q.answered_at FROM information_requests q JOIN applications a USING (tenant_id, user_id)"
    " WHERE q.tenant_id = $1 AND a.application_id = $2 ORDER BY q.created_at",
    "notices": "SELECT notice_id, kind, status, reasons, due_at, concluded_at FROM notices"
    " WHERE tenant_id = $1 AND application_id = $2 ORDER BY created_at",
}


@dataclass(frozen=True, slots=True)
class Search:
    """Which applications are asked for; None leaves a question open."""

    tenant_id: str | None = None
    state: State | None = None
    stage: Stage | None = None
    since: datetime | None = None
    only_open: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of applications ended: the next one begins behind it."""

    created_at: datetime
    application_id: str


class PostgresOperations:
    """What operators may see, and what they did; `everywhere` may look beyond one tenant."""

    def __init__(self, database: Database, everywhere: Database | None) -> None:
        self._database = database
        self._everywhere = everywhere

    async def find(self, key: str, tenant_id: str | None) -> ApplicationRef:
        """The one application of this id, or of this user.

        Raises NotFound APPLICATION_UNKNOWN, Conflict SEVERAL_APPLICATIONS naming the newest, and
        Refused TENANT_NEEDED when the tenant is not told and may not be looked up.
        """
        async with self._reader(tenant_id).transaction(tenant_id or PLATFORM) as tx:
            rows = await tx.rows(
                "SELECT tenant_id, application_id, user_id FROM applications"
                " WHERE (application_id = $1 OR user_id = $1)"
                " AND ($2::text IS NULL OR tenant_id = $2)"
                " ORDER BY created_at DESC LIMIT $3",
                key, tenant_id, _SHOWN + 1,
            )  # fmt: skip
        if not rows:
            raise NotFound("APPLICATION_UNKNOWN", key)
        if len(rows) > 1:
            several = ", ".join(f"{row['tenant_id']}/{row['application_id']}" for row in rows)
            raise Conflict("SEVERAL_APPLICATIONS", f"say which: {several}")
        return _ref(rows[0])

    async def page(
        self, search: Search, limit: int, *, newest_first: bool, after: Place | None = None
    ) -> tuple[list[ApplicationRef], Place | None]:
        """A page of applications in the order of their age, and where it ended if it was full."""
        async with self._reader(search.tenant_id).transaction(search.tenant_id or PLATFORM) as tx:
            rows = await tx.rows(
                _NEWEST_FIRST if newest_first else _OLDEST_FIRST,
                search.tenant_id, search.state, search.stage, search.since, search.only_open,
                _OPEN, after.created_at if after else None,
                after.application_id if after else None, limit,
            )  # fmt: skip
        full = len(rows) == limit
        last = Place(rows[-1]["created_at"], rows[-1]["application_id"]) if full else None
        return [_ref(row) for row in rows], last

    async def standings(self, refs: Sequence[ApplicationRef]) -> list[ApplicationStanding]:
        """The rows of these applications, in their order; those that are gone are left out."""
        by_tenant: dict[str, list[str]] = {}
        for ref in refs:
            by_tenant.setdefault(ref.tenant_id, []).append(ref.application_id)
        found: dict[tuple[str, str], ApplicationStanding] = {}
        for tenant_id, application_ids in by_tenant.items():
            async with self._database.transaction(tenant_id) as tx:
                for row in await tx.rows(_STANDING, tenant_id, application_ids):
                    found[tenant_id, row["application_id"]] = _standing(tenant_id, row)
        keys = [(ref.tenant_id, ref.application_id) for ref in refs]
        return [found[key] for key in keys if key in found]

    async def standing(self, ref: ApplicationRef) -> ApplicationStanding:
        """One application's row; NotFound."""
        found = await self.standings([ref])
        if not found:
            raise NotFound("APPLICATION_UNKNOWN", ref.application_id)
        return found[0]

    async def records(self, ref: ApplicationRef) -> dict[str, list[dict[str, Any]]]:
        """What each stage has put on record, by title; empty ones are left out."""
        async with self._database.transaction(ref.tenant_id) as tx:
            read = {
                title: [dict(row) for row in await tx.rows(sql, ref.tenant_id, ref.application_id)]
                for title, sql in _RECORDS.items()
            }
        return {title: rows for title, rows in read.items() if rows}

    async def audit(
        self, ref: ApplicationRef, command: Command, action: str, detail: dict[str, Any]
    ) -> None:
        """Write down what a named operator does with an application, and why.

        No event is published: what the command changes publishes its own.
        """
        async with self._database.transaction(ref.tenant_id) as tx:
            await tx.execute(
                "INSERT INTO audit_log (tenant_id, actor, action, subject_id, detail)"
                " VALUES ($1, $2, $3, $4, $5)",
                ref.tenant_id, command.operator, action, ref.application_id,
                {"reason": command.reason, **detail},
            )  # fmt: skip

    def _reader(self, tenant_id: str | None) -> Database:
        if tenant_id is not None:
            return self._database
        if self._everywhere is None:
            raise Refused("TENANT_NEEDED", "without CAAS_DATABASE__RELAY_URL, say --tenant")
        return self._everywhere


def _ref(row: Any) -> ApplicationRef:
    return ApplicationRef(row["tenant_id"], row["application_id"], row["user_id"])


def _standing(tenant_id: str, row: Any) -> ApplicationStanding:
    return ApplicationStanding(
        ref=ApplicationRef(tenant_id, row["application_id"], row["user_id"]),
        stage=Stage(row["stage"]),
        state=State(row["state"]),
        reasons=tuple(row["reasons"]),
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        intended_at=row["intended_at"],
        unanswered=row["unanswered"],
    )
