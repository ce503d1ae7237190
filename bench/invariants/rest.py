"""Waiting until nothing goes on by itself any more: the moment the invariants are about."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import asyncpg

from sandbox.access import Access

_LOOK_EVERY_S: Final = 0.5
# Quiet once may be a pause between two steps.
_QUIET_LOOKS: Final = 3

# What is under way on its own: nobody outside has the next move.
_UNDER_WAY: Final = {
    "applications": "SELECT count(*) FROM applications WHERE state IN ('processing', 'settling')"
    " AND NOT (stage = 'identity' AND EXISTS (SELECT FROM kyc_profiles k WHERE"
    " k.tenant_id = applications.tenant_id AND k.user_id = applications.user_id"
    " AND k.status = 'in_review'))",
    "start intents": "SELECT count(*) FROM start_intents",
    "callbacks": "SELECT count(*) FROM callback_events WHERE delivered_at IS NULL",
    "settlements": "SELECT count(*) FROM settlements WHERE state NOT IN ('final', 'failed')",
}
# Tables and columns that not every stack fills.
_OPTIONAL: Final = {
    "notices": "SELECT count(*) FROM notices WHERE status = 'pending'",
    "unsealed audit rows": "SELECT count(*) FROM audit_unsealed",
}
_UNPUBLISHED: Final = "SELECT count(*) FROM outbox WHERE published_at IS NULL"


async def at_rest(access: Access, limit_s: float) -> str:
    """Wait for rest; returns what is still under way after `limit_s`, or nothing."""
    questions = dict(_UNDER_WAY)
    if access.kafka is not None:
        questions["unpublished events"] = _UNPUBLISHED
    deadline, quiet = time.monotonic() + limit_s, 0
    restless: dict[str, int] = {}
    while quiet < _QUIET_LOOKS and time.monotonic() < deadline:
        try:
            restless = await _look(access.database, questions)
        except (OSError, asyncpg.PostgresError):
            restless = {"database": 1}
        quiet = 0 if restless else quiet + 1
        await asyncio.sleep(_LOOK_EVERY_S)
    return ", ".join(f"{count} {name}" for name, count in restless.items())


async def _look(dsn: str, questions: dict[str, str]) -> dict[str, int]:
    connection: Any = await asyncpg.connect(dsn, timeout=5)
    try:
        found = {}
        for name, sql in {**questions, **_OPTIONAL}.items():
            try:
                found[name] = int(await connection.fetchval(sql))
            except asyncpg.UndefinedTableError:
                continue
        return {name: count for name, count in found.items() if count}
    finally:
        await connection.close()
