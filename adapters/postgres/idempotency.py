"""Writes that happen once per key: reserve, answer, replay byte for byte.

A key belongs to a tenant, a subject's route and a body. A reservation is a lease: if its process
dies, the next repetition takes it over when the lease has run out, and the effect behind it is
idempotent by the same key.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from adapters.postgres.database import Database, Transaction
from models.domain.errors import Conflict, Invalid
from models.domain.writes import StoredAnswer, WriteKey

# Longer than any write of ours takes; shorter than a client's patience after a crash.
LEASE: Final = timedelta(seconds=20)


async def reserve(tx: Transaction, write: WriteKey) -> StoredAnswer | None:
    """Reserve the key within this transaction; a StoredAnswer means it was answered before.

    Raises Conflict REQUEST_IN_FLIGHT, Invalid IDEMPOTENCY_KEY_REUSED for another body or subject.
    """
    # Two repetitions at once: the second one is told at once instead of waiting for the first.
    lock = f"{write.tenant_id}|{write.route}|{write.key}"
    if not await tx.value("SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))", lock):
        raise Conflict("REQUEST_IN_FLIGHT")
    row = await tx.row(
        "SELECT subject, body_sha256, status, headers, response,"
        " lease_until > clock_timestamp() AS leased FROM idempotency_keys"
        " WHERE tenant_id = $1 AND route = $2 AND key = $3",
        write.tenant_id, write.route, write.key,
    )  # fmt: skip
    if row is None:
        await tx.execute(
            "INSERT INTO idempotency_keys (tenant_id, route, key, subject, body_sha256,"
            " lease_until) VALUES ($1, $2, $3, $4, $5, clock_timestamp() + $6)",
            write.tenant_id, write.route, write.key, write.subject, write.body_sha256, LEASE,
        )  # fmt: skip
        return None
    if row["body_sha256"] != write.body_sha256 or row["subject"] != write.subject:
        raise Invalid("IDEMPOTENCY_KEY_REUSED")
    if row["status"] is not None:
        return StoredAnswer(row["status"], row["headers"], row["response"])
    if row["leased"]:
        raise Conflict("REQUEST_IN_FLIGHT")
    await tx.execute(
        "UPDATE idempotency_keys SET lease_until = clock_timestamp() + $4"
        " WHERE tenant_id = $1 AND route = $2 AND key = $3",
        write.tenant_id, write.route, write.key, LEASE,
    )  # fmt: skip
    return None


async def answer(tx: Transaction, write: WriteKey, given: StoredAnswer) -> None:
    """Keep the answer, to be replayed to every repetition."""
    await tx.execute(
        "UPDATE idempotency_keys SET status = $4, headers = $5, response = $6, lease_until = NULL"
        " WHERE tenant_id = $1 AND route = $2 AND key = $3",
        write.tenant_id, write.route, write.key, given.status, given.headers, given.body,
    )  # fmt: skip


class IdempotentWrites:
    """For writes whose effect lies outside the database: reserve, act, keep the answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(self, write: WriteKey) -> StoredAnswer | None:
        """As `reserve`, in a transaction of its own."""
        async with self._database.transaction(write.tenant_id) as tx:
            return await reserve(tx, write)

    async def answer(self, write: WriteKey, given: StoredAnswer) -> None:
        """As `answer`, in a transaction of its own."""
        async with self._database.transaction(write.tenant_id) as tx:
            await answer(tx, write, given)

    async def forget(self, write: WriteKey) -> None:
        """The request was refused and had no effect: its key is free again."""
        async with self._database.transaction(write.tenant_id) as tx:
            await tx.execute(
                "DELETE FROM idempotency_keys WHERE tenant_id = $1 AND route = $2 AND key = $3"
                " AND status IS NULL",
                write.tenant_id, write.route, write.key,
            )  # fmt: skip

    async def release(self, write: WriteKey) -> None:
        """Nobody knows whether the effect happened: the next repetition may find out at once."""
        async with self._database.transaction(write.tenant_id) as tx:
            await tx.execute(
                "UPDATE idempotency_keys SET lease_until = clock_timestamp()"
                " WHERE tenant_id = $1 AND route = $2 AND key = $3 AND status IS NULL",
                write.tenant_id, write.route, write.key,
            )  # fmt: skip
