"""Vendor callbacks on record: each event once, delivered at least once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adapters.postgres.database import PLATFORM, Database
from models.domain.errors import NotFound
from models.domain.kyc import PersonRef, VendorVerdict, VerificationCallback


@dataclass(frozen=True, slots=True)
class StoredCallback:
    """A verified callback with the person it is about."""

    person: PersonRef
    callback: VerificationCallback
    delivered: bool


class PostgresCallbacks:
    """What the API stores of callbacks, and what the sweeper finds undelivered."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def store(
        self, tenant_id: str, vendor: str, callback: VerificationCallback
    ) -> StoredCallback:
        """Keep the event once; NotFound when its verification is not one of ours."""
        async with self._database.transaction(tenant_id) as tx:
            user_id = await tx.value(
                "SELECT user_id FROM kyc_verifications WHERE tenant_id = $1"
                " AND verification_id = $2 AND vendor = $3",
                tenant_id, callback.verification_id, vendor,
            )  # fmt: skip
            if user_id is None:
                raise NotFound("VERIFICATION_UNKNOWN")
            fresh = await tx.execute(
                "INSERT INTO callback_events (tenant_id, vendor, event_id, verification_id,"
                " user_id, verdict, reason) VALUES ($1, $2, $3, $4, $5, $6, $7)"
                " ON CONFLICT DO NOTHING",
                tenant_id, vendor, callback.event_id, callback.verification_id, user_id,
                callback.verdict, callback.reason,
            )  # fmt: skip
            if fresh:
                await tx.record(
                    f"vendor:{vendor}",
                    "kyc.answered",
                    user_id,
                    {
                        "verification_id": callback.verification_id,
                        "event_id": callback.event_id,
                        "verdict": callback.verdict,
                    },
                    key=user_id,
                )
            row = await tx.row(
                "SELECT * FROM callback_events"
                " WHERE tenant_id = $1 AND vendor = $2 AND event_id = $3",
                tenant_id, vendor, callback.event_id,
            )  # fmt: skip
        return _stored(row)

    async def delivered(self, vendor: str, stored: StoredCallback) -> None:
        """The person's workflow has it."""
        async with self._database.transaction(stored.person.tenant_id) as tx:
            await tx.execute(
                "UPDATE callback_events SET delivered_at = clock_timestamp()"
                " WHERE tenant_id = $1 AND vendor = $2 AND event_id = $3"
                " AND delivered_at IS NULL",
                tx.tenant_id, vendor, stored.callback.event_id,
            )  # fmt: skip

    async def undelivered(self, limit: int) -> Sequence[tuple[str, StoredCallback]]:
        """Callbacks of all tenants no workflow has after 5 s (role `caas_relay`), oldest first."""
        async with self._database.transaction(PLATFORM) as tx:
            rows = await tx.rows(
                "SELECT * FROM callback_events WHERE delivered_at IS NULL"
                " AND received_at < clock_timestamp() - interval '5 seconds'"
                " ORDER BY received_at LIMIT $1",
                limit,
            )
        return [(row["vendor"], _stored(row)) for row in rows]


def _stored(row: Any) -> StoredCallback:
    return StoredCallback(
        PersonRef(row["tenant_id"], row["user_id"]),
        VerificationCallback(
            row["event_id"],
            row["verification_id"],
            VendorVerdict(row["verdict"]),
            row["reason"],
        ),
        delivered=row["delivered_at"] is not None,
    )
