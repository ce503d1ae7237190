"""Chains new audit rows within a second of their commit.

Not inside the transactions that write them: each would have to wait for its tenant's last one.
"""

from __future__ import annotations

import asyncio
from typing import Final

from adapters.postgres.audit import AuditSealing
from adapters.postgres.database import Database, Session
from adapters.postgres.leadership import Task, lead, pause

SEAL_EVERY_S: Final = 0.5
BATCH: Final = 1_000


class AuditSealer:
    """One sealer leads at a time; the others stand by."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, stop: asyncio.Event) -> None:
        """Seal until told to stop; what is left then is sealed by whoever comes next."""

        async def work(session: Session) -> None:
            sealing = AuditSealing(session)
            while not stop.is_set():
                if await sealing.seal(BATCH) < BATCH:
                    await pause(stop, SEAL_EVERY_S)

        await lead(self._database, Task.SEAL_AUDIT_TRAIL, stop, work)
