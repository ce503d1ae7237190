"""Token buckets in PostgreSQL: an unlogged table and one statement."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from adapters.postgres.database import PLATFORM, Database, Transaction
from models.domain.errors import Unavailable
from models.domain.quota import Grant, Want

# The rows of one call are locked in the order of their keys: two calls never wait for each other.
# `granted` is a column because only the row itself can say what the statement just gave.
_TAKE: Final = """
WITH wanted AS (
    SELECT * FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
        AS wanted (key, capacity, interval_us, least, most)
), clock AS (
    SELECT coalesce($7::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) AS now_us
)
INSERT INTO rate_limits AS bucket (tenant_id, key, full_at_us, granted)
SELECT $1, key, now_us + least(capacity, most) * interval_us, least(capacity, most)
FROM wanted, clock ORDER BY key
ON CONFLICT (tenant_id, key) DO UPDATE SET (full_at_us, granted) = (
    SELECT greatest(bucket.full_at_us, now_us) + tokens * interval_us, tokens
    FROM wanted, clock,
        LATERAL (SELECT (capacity * interval_us - greatest(bucket.full_at_us - now_us, 0))
            / interval_us AS free) AS counted,
        LATERAL (SELECT CASE WHEN free >= least THEN least(free, most) ELSE 0 END AS tokens)
            AS given
    WHERE wanted.key = bucket.key
)
RETURNING key, granted, full_at_us - (SELECT now_us FROM clock) AS ahead_us
"""

# What is full need not be kept. Once in so many calls its tenant's full buckets are removed.
_SWEEP_EVERY: Final = 256
_SWEEP: Final = (
    "DELETE FROM rate_limits"
    " WHERE full_at_us < coalesce($1::bigint, (extract(epoch FROM clock_timestamp()) * 1000000))"
)


class PostgresTokenStore:
    """Satisfies `TokenStore`; unlogged, so a crash of the server forgets the counting."""

    def __init__(
        self,
        database: Database,
        *,
        timeout_s: float = 0.25,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self._database = database
        self._timeout_s = timeout_s
        self._clock = clock
        self._calls = 0

    async def take(self, tenant_id: str, wants: Sequence[Want]) -> list[Grant]:
        now_us = self._clock() if self._clock is not None else None
        self._calls += 1
        try:
            # Shorter than any wait for a connection: an exhausted pool must not slow refusals.
            async with (
                asyncio.timeout(self._timeout_s),
                self._database.transaction(tenant_id) as tx,
            ):
                if self._calls % _SWEEP_EVERY == 0:
                    await tx.execute(_SWEEP, now_us)
                return await _take(tx, tenant_id, wants, now_us)
        except TimeoutError as error:
            raise Unavailable("CACHE_UNAVAILABLE", "PostgreSQL was too slow") from error

    async def ready(self) -> bool:
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._database.transaction(PLATFORM) as tx,
            ):
                return bool(await tx.value("SELECT true"))
        except (Unavailable, TimeoutError):
            return False


async def _take(
    tx: Transaction, tenant_id: str, wants: Sequence[Want], now_us: int | None
) -> list[Grant]:
    rows = await tx.rows(
        _TAKE,
        tenant_id,
        [want.key for want in wants],
        [want.quota.capacity for want in wants],
        [want.quota.interval_us for want in wants],
        [want.least for want in wants],
        [want.most for want in wants],
        now_us,
    )
    granted = {row["key"]: Grant(row["granted"], max(0, row["ahead_us"])) for row in rows}
    return [granted[want.key] for want in wants]
