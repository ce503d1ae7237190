"""Lines that wait for their workflows, of all tenants (role `caas_relay`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from adapters.postgres.database import PLATFORM, Database
from models.domain.webhook import Line


@dataclass(frozen=True, slots=True)
class DueLine:
    """A line whose workflow is to be told; `since` tells it from a later one of the same key."""

    line: Line
    since: datetime


class WebhookLines:
    """Lines that are due for their workflows, of all tenants."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, overdue_s: float, limit: int) -> tuple[list[DueLine], float | None]:
        """Lines to hand to a workflow, and in how many seconds the next one is due, if any.

        They are new ones, and those that nobody has looked after for `overdue_s` beyond their time.
        """
        async with self._database.transaction(PLATFORM) as tx:
            rows = await tx.rows(
                "SELECT tenant_id, webhook_id, key, since,"
                " extract(epoch FROM CASE WHEN told_at IS NULL THEN due_at"
                " ELSE due_at + $1 * interval '1 second' END - clock_timestamp())"
                "::float8 AS wait_s FROM webhook_lines WHERE due_at < 'infinity'"
                " ORDER BY wait_s LIMIT $2",
                overdue_s, limit,
            )  # fmt: skip
        due = [
            DueLine(Line(row["tenant_id"], row["webhook_id"], row["key"]), row["since"])
            for row in rows
            if row["wait_s"] <= 0
        ]
        waits = [row["wait_s"] for row in rows if row["wait_s"] > 0]
        return due, min(waits, default=None)

    async def told(self, due: Sequence[DueLine]) -> None:
        """Their workflows know; they are looked at again if nothing comes of it."""
        async with self._database.transaction(PLATFORM) as tx:
            await tx.execute(
                "WITH ours AS (SELECT l.tenant_id, l.webhook_id, l.key"
                " FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])"
                " AS t (tenant_id, webhook_id, key, since)"
                " JOIN webhook_lines l USING (tenant_id, webhook_id, key, since)"
                ' ORDER BY l.tenant_id COLLATE "C", l.webhook_id, l.key FOR UPDATE OF l)'
                " UPDATE webhook_lines l SET told_at = clock_timestamp(),"
                " due_at = greatest(due_at, clock_timestamp()) FROM ours"
                " WHERE l.tenant_id = ours.tenant_id AND l.webhook_id = ours.webhook_id"
                " AND l.key = ours.key",
                [each.line.tenant_id for each in due],
                [each.line.webhook_id for each in due],
                [each.line.key for each in due],
                [each.since for each in due],
            )
