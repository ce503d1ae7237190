"""What a crash left behind: applications stored but not started (role `caas_relay`)."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.postgres.database import PLATFORM, Database
from models.domain.application import ApplicationRef


class PostgresStartIntents:
    """Start intents of all tenants; the workflow's own first step removes them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def unstarted(self, limit: int) -> Sequence[ApplicationRef]:
        """Applications whose workflow has not begun after 2 s, oldest first."""
        async with self._database.transaction(PLATFORM) as tx:
            rows = await tx.rows(
                "SELECT tenant_id, application_id, user_id FROM start_intents"
                " WHERE created_at < clock_timestamp() - interval '2 seconds'"
                " ORDER BY created_at LIMIT $1",
                limit,
            )
        return [
            ApplicationRef(row["tenant_id"], row["application_id"], row["user_id"]) for row in rows
        ]
