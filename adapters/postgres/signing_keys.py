"""The keys that sign access tokens, in the tenant of the platform."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from adapters.accounts.signing_keys import (
    HEADER_NAME,
    Algorithm,
    SigningKey,
    new_private_key,
    open_private_key,
    seal_private_key,
)
from adapters.postgres.database import Database, Transaction
from adapters.postgres.security_log import note
from adapters.postgres.sessions import revoke
from models.domain.ids import PLATFORM
from models.domain.operations import Command

# No setting lets an access token live longer, clocks' differences included.
LONGEST_ACCESS: Final = timedelta(hours=2)
_LOCK: Final = 7303  # beside those of adapters/postgres/leadership.py


class PostgresSigningKeys:
    """Read by every process, changed by `cli.py keys` and by the first start."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def known(self) -> tuple[SigningKey, ...]:
        """Every key whose tokens may still be good, the oldest first."""
        async with self._database.transaction(PLATFORM) as tx:
            return await _known(tx)

    async def ensure(self, algorithm: Algorithm, lead: timedelta, overlap: timedelta) -> None:
        """Make the first key, or one of the configured algorithm; nothing where it is there."""
        async with self._database.transaction(PLATFORM) as tx:
            await tx.execute("SELECT pg_advisory_xact_lock($1, 0)", _LOCK)
            keys = await _known(tx)
            if not keys:
                await _add(tx, algorithm, timedelta(0), overlap, "platform", "first start")
            elif keys[-1].algorithm != HEADER_NAME[algorithm]:
                await _add(tx, algorithm, lead, overlap, "platform", "algorithm configured")

    async def rotate(
        self, algorithm: Algorithm, lead: timedelta, overlap: timedelta, command: Command
    ) -> str:
        """A new key, published now, that signs after `lead`; returns its id.

        Earlier keys' tokens stay good for `overlap` after that. With both zero, as after a theft,
        every token signed so far is worthless as soon as processes have read the keys again.
        """
        async with self._database.transaction(PLATFORM) as tx:
            await tx.execute("SELECT pg_advisory_xact_lock($1, 0)", _LOCK)
            return await _add(tx, algorithm, lead, overlap, command.operator, command.reason)


async def _known(tx: Transaction) -> tuple[SigningKey, ...]:
    rows = await tx.rows(
        "SELECT kid, algorithm, key_id, sealed_private, active_from, expires_at FROM signing_keys"
        " WHERE tenant_id = $1 AND (expires_at IS NULL OR expires_at > clock_timestamp())"
        " ORDER BY active_from, created_at",
        PLATFORM,
    )
    return tuple(
        SigningKey(
            row["kid"],
            row["algorithm"],
            open_private_key(tx.keyring, row["key_id"], row["kid"], row["sealed_private"]),
            row["active_from"],
            row["expires_at"],
        )
        for row in rows
    )


async def _add(
    tx: Transaction,
    algorithm: Algorithm,
    lead: timedelta,
    overlap: timedelta,
    operator: str,
    reason: str,
) -> str:
    key = new_private_key(algorithm)
    active_from: datetime = await tx.value(
        "INSERT INTO signing_keys (tenant_id, kid, algorithm, key_id, sealed_private, active_from)"
        " VALUES ($1, $2, $3, $4, $5, clock_timestamp() + $6) RETURNING active_from",
        PLATFORM, key.kid, HEADER_NAME[algorithm], tx.keyring.current,
        seal_private_key(tx.keyring, key), lead,
    )  # fmt: skip
    ended = await tx.rows(
        "UPDATE signing_keys SET expires_at = $3 WHERE tenant_id = $1 AND kid <> $2"
        " AND (expires_at IS NULL OR expires_at > $3) RETURNING kid",
        PLATFORM, key.kid, active_from + overlap,
    )  # fmt: skip
    if not overlap:
        # Processes remember whom they verified: without this, until the tokens' own end.
        await revoke(tx, [row["kid"] for row in ended], active_from + lead + LONGEST_ACCESS)
    detail = {"algorithm": algorithm, "reason": reason}
    await note(tx, operator, "signing_key.added", str(key.kid), detail)
    return str(key.kid)
