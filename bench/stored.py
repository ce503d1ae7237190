"""Applications that are in the database already when one is measured.

They are copies in SQL of what the run itself has written, all tables of it, with every id, hash,
person and nonce changed alike, so that copied rows still belong together. What is sealed is copied
as it is: it has the size of the real thing, and nobody can open it. Temporal's own store is not
filled: it holds the run's own workflows.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, Final

import asyncpg

from sandbox.stack import DATABASE, Stack

LIMIT_S: Final = 1_800.0
_BATCH: Final = 2_000
# Work lists, which would be worked off; the seals, which name one row each; what is not a loan's.
_NOT_COPIED: Final = frozenset(
    {
        "alembic_version", "api_keys", "audit_seals", "audit_unsealed", "chain_accounts",
        "invitations", "login_attempts", "rate_limits", "refresh_tokens", "revocations",
        "service_accounts", "sessions", "signing_keys", "start_intents", "tenants", "users",
        "lender_callbacks", "provider_credentials", "provider_health", "provider_status_changes",
        "providers", "webhook_deliveries", "webhook_lines", "webhook_position", "webhooks",
    }
)  # fmt: skip
_ID: Final = re.compile(r"\b(?:[a-z]{2,5}_[0-9a-f-]{12,}|0x[0-9a-f]{64})\b|\bperson-[0-9a-z-]+")
_NONCES_APART: Final = 10**6


async def quiet(stack: Stack) -> None:
    """Wait until no application is on its way to an offer or to its money; TimeoutError."""
    connection = await asyncpg.connect(stack.postgres.dsn(DATABASE))
    try:
        async with asyncio.timeout(LIMIT_S):
            while True:
                busy = await connection.fetchval(
                    "SELECT count(*) FROM applications WHERE state IN ('processing', 'settling')"
                )
                if not busy:
                    return
                await asyncio.sleep(1)
    finally:
        await connection.close()


async def store_up_to(stack: Stack, total: int) -> int:
    """Copy everything until at least `total` applications are stored; returns how many are.

    Nothing may be under way: what is copied must ask nobody for work.
    """
    connection = await asyncpg.connect(stack.postgres.dsn(DATABASE))
    try:
        written = await connection.fetchval("SELECT count(*) FROM applications")
        tables = [
            row["relname"]
            for row in await connection.fetch(
                "SELECT relname FROM pg_class WHERE relkind = 'r'"
                " AND relnamespace = 'public'::regnamespace"
            )
        ]
        async with connection.transaction():
            # No triggers: the originals belong together already, and their events were told.
            await connection.execute("SET LOCAL session_replication_role = replica")
            for table in sorted(set(tables) - _NOT_COPIED):
                await _copy(connection, table, -(-total // written) - 1)
        await connection.execute("ANALYZE")
        stored: int = await connection.fetchval("SELECT count(*) FROM applications")
    finally:
        await connection.close()
    return stored


async def _copy(connection: Any, table: str, copies: int) -> None:
    """Write a table's rows again, so many times; numbers the database hands out are handed out."""
    columns = ", ".join(
        f'"{row["attname"]}"'
        for row in await connection.fetch(
            "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass"
            " AND attnum > 0 AND NOT attisdropped AND attname <> 'seq' AND attgenerated = ''",
            table,
        )
    )
    rows = await connection.fetch(f'SELECT to_jsonb(t)::text AS row FROM "{table}" t')
    for number in range(1, copies + 1):
        for start in range(0, len(rows), _BATCH):
            batch = [_changed(row["row"], table, number) for row in rows[start : start + _BATCH]]
            await connection.execute(
                f'INSERT INTO "{table}" ({columns}) SELECT {columns}'
                f' FROM jsonb_populate_recordset(NULL::"{table}", $1)',
                f"[{','.join(batch)}]",
            )


def _changed(text: str, table: str, number: int) -> str:
    """A row as JSON with everything that names something named otherwise."""
    text = _ID.sub(lambda found: _renamed(found.group(), number), text)
    if table in ("chain_attempts", "idempotency_keys"):
        row = json.loads(text)
        if table == "chain_attempts":
            row["nonce"] += number * _NONCES_APART
        else:
            row["key"] += f".{number}"
        text = json.dumps(row)
    return text


def _renamed(name: str, number: int) -> str:
    if name.startswith("person-"):
        return f"{name}-copy-{number}"
    return f"{name[:-4]}{(int(name[-4:], 16) + number) % 16**4:04x}"
