"""What first attempts are made of: events taken up in order, results kept, lines handed over.

For the relay's role, across tenants, in the session that holds the lock of the lane.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from adapters.postgres.database import PLATFORM, Session, Transaction
from adapters.postgres.webhooks import target_of, webhook_of
from adapters.vault import Undecipherable
from models.domain.events import Event
from models.domain.ids import new_id
from models.domain.webhook import Attempt, Line, Target, Webhook, WebhookStatus, WebhookView

log = structlog.get_logger()

Endpoint = tuple[str, str]
"""(tenant id, webhook id)"""

_Endpoints = dict[str, list[tuple[Webhook, int]]]
_EVENT: Final = "seq, event_id, tenant_id, key, type, data, recorded_at"
_TOLD_OF: Final = ("active", "paused")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery whose first attempt is to be made."""

    line: Line
    delivery_id: str
    event: Event

    @property
    def endpoint(self) -> Endpoint:
        """Whom it is for."""
        return self.line.tenant_id, self.line.webhook_id


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a first attempt went; `retry_in_s` is set where a workflow is to go on."""

    waiting: Waiting
    attempt: Attempt
    retry_in_s: float | None = None


@dataclass(frozen=True, slots=True)
class TakenUp:
    """One round, in order: deliveries whose turn it is.

    Of webhooks in `held`, which are paused, deliveries were kept and are not among these. `more`:
    further events wait already; `undecided`: numbers are drawn whose events are not there yet.
    """

    waiting: tuple[Waiting, ...]
    held: frozenset[Endpoint]
    more: bool
    undecided: bool


class WebhookLaneRecords:
    """Reads and writes in the session that holds the lane's lock."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def anyone(self) -> bool:
        """Whether any webhook is told of events, or is to be later."""
        async with self._session.transaction() as tx:
            found: bool = await tx.value(
                "SELECT EXISTS (SELECT FROM webhooks WHERE status = ANY($1))", list(_TOLD_OF)
            )
        return found

    async def take_up(self, limit: int) -> TakenUp:
        """Make deliveries of the next `limit` events and move the position, in one transaction.

        Deliveries of lines that a workflow looks after wait behind: they are kept, not returned.
        """
        async with self._session.transaction() as tx:
            endpoints = await _endpoints(tx)
            settled, drawn = await tx.row("SELECT settled, drawn FROM settled_events()")
            position = await _position(tx, endpoints, settled)
            events = await _events(tx, position, settled, list(endpoints), limit)
            due = await _due(tx, events, endpoints)
            ours: list[Waiting] = []
            for tenant_id, some in sorted(due.items()):
                await _act_for(tx, tenant_id)
                ours += await _insert(tx, tenant_id, some)
            await _act_for(tx, PLATFORM)
            more = len(events) == limit
            await _move(tx, events[-1].seq if more else settled)
        held = frozenset(
            (tenant_id, each.webhook_id)
            for tenant_id, some in due.items()
            for each, _ in some
            if each.status is WebhookStatus.PAUSED
        )
        ready = (each for each in ours if each.endpoint not in held)
        in_order = tuple(sorted(ready, key=lambda each: each.event.seq))
        return TakenUp(in_order, held, more, undecided=drawn > settled)

    async def left_behind(self, endpoint: Endpoint, after: int, limit: int) -> list[Waiting]:
        """An active webhook's deliveries of events above `after` that wait for a first attempt.

        In order; those of lines that a workflow looks after are not among them.
        """
        async with self._session.transaction() as tx:
            rows = await tx.rows(
                "SELECT d.delivery_id, o.seq, o.event_id, o.tenant_id, o.key, o.type, o.data,"
                " o.recorded_at, w.view FROM webhook_deliveries d"
                " JOIN webhooks w USING (tenant_id, webhook_id)"
                " JOIN outbox o ON o.seq = d.event_seq"
                " WHERE d.tenant_id = $1 AND d.webhook_id = $2 AND d.status = 'pending'"
                " AND d.event_seq > $3 AND w.status = 'active'"
                " AND NOT EXISTS (SELECT FROM webhook_lines l WHERE l.tenant_id = d.tenant_id"
                " AND l.webhook_id = d.webhook_id AND l.key = d.key)"
                " ORDER BY d.event_seq LIMIT $4",
                *endpoint, after, limit,
            )  # fmt: skip
        return [
            Waiting(Line(*endpoint, row["key"]), row["delivery_id"], seen)
            for row in rows
            if (seen := WebhookView(row["view"]).of(event_of(row))) is not None
        ]

    async def targets(self) -> Mapping[Endpoint, Target]:
        """Where every active webhook is told; one whose secret cannot be opened is left out."""
        async with self._session.transaction() as tx:
            rows = await tx.rows("SELECT * FROM webhooks WHERE status = 'active'")
        found: dict[Endpoint, Target] = {}
        for row in rows:
            try:
                found[row["tenant_id"], row["webhook_id"]] = target_of(
                    tx.keyring, row["tenant_id"], row
                )
            except Undecipherable as error:
                log.error("webhook_sealed", webhook_id=row["webhook_id"], code=error.code)
        return found

    async def keep(self, outcomes: Sequence[Outcome]) -> None:
        """Keep how first attempts went; the lines of those that failed go to workflows."""
        async with self._session.transaction() as tx:
            await tx.execute(_KEEP, *_columns(outcomes))
            failed: dict[str, list[Outcome]] = {}
            for each in outcomes:
                if not each.attempt.accepted:
                    failed.setdefault(each.waiting.line.tenant_id, []).append(each)
            for tenant_id, some in sorted(failed.items()):
                await _act_for(tx, tenant_id)
                await tx.execute(
                    "INSERT INTO webhook_lines (tenant_id, webhook_id, key, due_at)"
                    " SELECT $1, f.webhook_id, f.key,"
                    " clock_timestamp() + f.wait_s * interval '1 second'"
                    " FROM unnest($2::text[], $3::text[], $4::float8[])"
                    " AS f (webhook_id, key, wait_s) ORDER BY f.webhook_id, f.key"
                    " ON CONFLICT DO NOTHING",
                    tenant_id,
                    [each.waiting.line.webhook_id for each in some],
                    [each.waiting.line.key for each in some],
                    [each.retry_in_s or 0.0 for each in some],
                )


# Whoever comes second changes nothing: a workflow may have told the receiver meanwhile. Not by the
# status: before statistics are gathered, the index of what is pending looks better than the key's.
_KEEP: Final = (
    "WITH ours AS (SELECT d.tenant_id, d.delivery_id, r.status, r.reason, r.ms"
    " FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[])"
    " AS r (tenant_id, delivery_id, status, reason, ms)"
    " JOIN webhook_deliveries d USING (tenant_id, delivery_id) WHERE d.settled_at IS NULL"
    " ORDER BY d.tenant_id, d.delivery_id FOR UPDATE OF d)"
    " UPDATE webhook_deliveries d SET attempts = d.attempts + 1, last_status = r.status,"
    " last_reason = r.reason, last_ms = r.ms,"
    " status = CASE WHEN r.reason IS NULL THEN 'delivered' ELSE d.status END,"
    " settled_at = CASE WHEN r.reason IS NULL THEN clock_timestamp() END"
    " FROM ours r WHERE d.tenant_id = r.tenant_id AND d.delivery_id = r.delivery_id"
)


async def _act_for(tx: Transaction, tenant_id: str) -> None:
    """Write rows of this tenant from here on."""
    await tx.execute("SELECT set_config('app.tenant_id', $1, true)", tenant_id)


async def _position(tx: Transaction, endpoints: _Endpoints, settled: int) -> int:
    """The number after which events are to be taken up: nobody is told of anything before."""
    position: int | None = await tx.value(
        "SELECT position FROM webhook_position WHERE tenant_id = $1", PLATFORM
    )
    begins = min((from_seq for some in endpoints.values() for _, from_seq in some), default=settled)
    return max(position or 0, begins)


async def _move(tx: Transaction, position: int) -> None:
    await tx.execute(
        "INSERT INTO webhook_position AS p (tenant_id, position) VALUES ($1, $2)"
        " ON CONFLICT (tenant_id) DO UPDATE SET position = excluded.position"
        " WHERE p.position < excluded.position",
        PLATFORM, position,
    )  # fmt: skip


async def _endpoints(tx: Transaction) -> _Endpoints:
    """Webhooks that are told, by tenant, with the number after which they are."""
    rows = await tx.rows("SELECT * FROM webhooks WHERE status = ANY($1)", list(_TOLD_OF))
    found: _Endpoints = {}
    for row in rows:
        found.setdefault(row["tenant_id"], []).append((webhook_of(row), row["from_seq"]))
    return found


async def _events(
    tx: Transaction, position: int, settled: int, tenants: list[str], limit: int
) -> list[Event]:
    if not tenants or settled <= position:
        return []
    rows = await tx.rows(
        f"SELECT {_EVENT} FROM outbox WHERE seq > $1 AND seq <= $2 AND tenant_id = ANY($3)"  # noqa: S608
        " ORDER BY seq LIMIT $4",
        position, settled, tenants, limit,
    )  # fmt: skip
    return [event_of(row) for row in rows]


async def _due(
    tx: Transaction,
    events: Sequence[Event],
    endpoints: _Endpoints,
) -> dict[str, list[tuple[Webhook, Event]]]:
    """Who is told of what, by tenant."""
    providers = await _providers(tx, events, endpoints)
    due: dict[str, list[tuple[Webhook, Event]]] = {}
    for event in events:
        for webhook, from_seq in endpoints[event.tenant_id]:
            if event.seq > from_seq and webhook.wants(event, providers.get(event.seq, frozenset())):
                due.setdefault(event.tenant_id, []).append((webhook, event))
    return due


async def _providers(
    tx: Transaction,
    events: Sequence[Event],
    endpoints: _Endpoints,
) -> dict[int, frozenset[str]]:
    """Which providers each event concerns: one it names, or the one whose offer it names."""
    asking = {
        tenant_id
        for tenant_id, some in endpoints.items()
        if any(webhook.provider_id is not None for webhook, _ in some)
    }
    concerned = [event for event in events if event.tenant_id in asking]
    offers = [str(event.data["offer_id"]) for event in concerned if event.data.get("offer_id")]
    lenders: dict[tuple[str, str], str] = {}
    if offers:
        rows = await tx.rows(
            "SELECT tenant_id, offer_id, provider_id FROM offers"
            " WHERE tenant_id = ANY($1) AND offer_id = ANY($2)",
            list(asking), offers,
        )  # fmt: skip
        lenders = {(row["tenant_id"], row["offer_id"]): row["provider_id"] for row in rows}
    found: dict[int, frozenset[str]] = {}
    for event in concerned:
        named = (
            event.data.get("provider_id"),
            lenders.get((event.tenant_id, str(event.data.get("offer_id")))),
            event.data.get("subject_id") if event.type.startswith("provider.") else None,
        )
        found[event.seq] = frozenset(str(each) for each in named if each)
    return found


async def _insert(
    tx: Transaction, tenant_id: str, due: Sequence[tuple[Webhook, Event]]
) -> list[Waiting]:
    """Keep the deliveries; returns those that are not behind one that has failed."""
    made = [
        Waiting(Line(tenant_id, webhook.webhook_id, event.key), new_id("dlv"), seen)
        for webhook, event in due
        if (seen := webhook.view.of(event)) is not None
    ]
    await tx.execute(
        "INSERT INTO webhook_deliveries"
        " (tenant_id, delivery_id, webhook_id, key, event_seq, event_id, type, status)"
        " SELECT $1, d.*, 'pending' FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[],"
        " $6::text[], $7::text[]) AS d ON CONFLICT (tenant_id, webhook_id, event_id) DO NOTHING",
        tenant_id,
        [each.delivery_id for each in made],
        [each.line.webhook_id for each in made],
        [each.line.key for each in made],
        [each.event.seq for each in made],
        [each.event.event_id for each in made],
        [each.event.type for each in made],
    )
    # Shared locks: whoever is about to hand a line back waits, and then sees what was added.
    rows = await tx.rows(
        "SELECT webhook_id, key FROM webhook_lines WHERE tenant_id = $1"
        " AND (webhook_id, key) IN (SELECT * FROM unnest($2::text[], $3::text[]))"
        " ORDER BY webhook_id, key FOR SHARE",
        tenant_id,
        [each.line.webhook_id for each in made],
        [each.line.key for each in made],
    )
    behind = {(row["webhook_id"], row["key"]) for row in rows}
    return [each for each in made if (each.line.webhook_id, each.line.key) not in behind]


def _columns(outcomes: Sequence[Outcome]) -> tuple[list[Any], ...]:
    return (
        [each.waiting.line.tenant_id for each in outcomes],
        [each.waiting.delivery_id for each in outcomes],
        [each.attempt.status for each in outcomes],
        [each.attempt.reason for each in outcomes],
        [each.attempt.ms for each in outcomes],
    )


def event_of(row: Any) -> Event:
    """An event from its row of the outbox."""
    return Event(
        row["seq"], row["event_id"], row["tenant_id"], row["key"], row["type"], row["data"],
        row["recorded_at"],
    )  # fmt: skip
