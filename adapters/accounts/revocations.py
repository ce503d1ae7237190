"""What was ended before its time, as this process knows it: asked at every request, in memory."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from adapters.postgres.database import Database
from adapters.postgres.leadership import pause
from adapters.postgres.sessions import recent_revocations
from models.domain.errors import CreditError

log = structlog.get_logger()

# How long a revocation made elsewhere may go unnoticed here, besides the query itself.
LOOK_EVERY_S: Final = 1.0
# A row becomes visible when its transaction ends, which may be so long after its time was written.
OVERLAP: Final = timedelta(seconds=30)


class Revocations:
    """The ids of tokens, sessions and API keys that no longer open anything.

    Read again every second, so a revocation made in another process holds here within about two.
    While the database is away the last reading stands; hardly anything can be done then anyhow.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._until_s: dict[str, float] = {}
        self._seen_to = datetime.min.replace(tzinfo=UTC)

    def __contains__(self, revoked_id: object) -> bool:
        return revoked_id in self._until_s

    def add(self, *revoked_ids: str, until: datetime) -> None:
        """Here and at once; whoever revokes has also written it down."""
        for each in revoked_ids:
            self._until_s[each] = max(until.timestamp(), self._until_s.get(each, 0))

    async def reload(self) -> None:
        """Read what is new, and forget what has become pointless."""
        rows = await recent_revocations(self._database, self._seen_to)
        for revoked_id, revoked_at, expires_at in rows:
            self.add(revoked_id, until=expires_at)
            self._seen_to = max(self._seen_to, revoked_at - OVERLAP)
        now = time.time()
        for each in [each for each, until_s in self._until_s.items() if until_s < now]:
            del self._until_s[each]

    async def keep_fresh(self, stop: asyncio.Event) -> None:
        """Reload until told to stop; an outage is said once, and outlived."""
        away = False
        while not stop.is_set():
            try:
                await self.reload()
                away = False
            except CreditError as error:
                if not away:
                    log.warning("revocations_stale", code=error.code)
                away = True
            await pause(stop, LOOK_EVERY_S)
