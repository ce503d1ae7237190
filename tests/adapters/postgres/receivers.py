"""A receiver of webhooks on loopback that remembers what it was told, and answers as it is told."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from adapters.egress import LOOPBACK, EgressPolicy
from adapters.postgres.webhook_lane import Outcome, WebhookLaneRecords
from adapters.postgres.webhooks import PostgresWebhooks
from adapters.webhooks.signature import decode_secret, verify_callback
from models.domain.webhook import (
    NOT_ACCEPTED,
    Attempt,
    Line,
    NewWebhook,
    RetryPlan,
    Webhook,
    WebhookView,
)
from models.domain.writes import StoredAnswer

SANDBOX = EgressPolicy(LOOPBACK, ports=frozenset(), plain_http=True)
BOTH = frozenset(WebhookView)
PLAN = RetryPlan(first_s=10.0, longest_s=3_600.0, give_up_after_s=7_200.0)
FAILED = Attempt(12, 500, NOT_ACCEPTED)
ACCEPTED = Attempt(9, 204)


@dataclass(frozen=True)
class Told:
    """One request, as it arrived."""

    path: str
    message_id: str
    key: str
    type: str
    sequence: int
    envelope: dict[str, Any]
    headers: dict[str, str]
    body: bytes

    def signed_by(self, secret: str) -> bool:
        """Whether the signature is right, by the code that checks callbacks."""
        found = verify_callback(decode_secret(secret), self.headers, self.body, datetime.now(UTC))
        return found == self.message_id


Answer = Callable[[Told], Awaitable[web.Response] | web.Response]


@dataclass
class Receiver:
    """Answers 204, or what `answer` says."""

    port: int = 0
    told: list[Told] = field(default_factory=list)
    answer: Answer | None = None
    under_way: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    most_at_once: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def url(self, path: str = "/hook") -> str:
        """An address here."""
        return f"http://127.0.0.1:{self.port}{path}"

    def first_told(self, path: str = "/hook") -> dict[str, list[int]]:
        """By key, the numbers of events in the order in which each first arrived."""
        seen: set[str] = set()
        order: dict[str, list[int]] = defaultdict(list)
        for each in self.told:
            if each.path == path and each.message_id not in seen:
                seen.add(each.message_id)
                order[each.key].append(each.sequence)
        return order

    async def handle(self, request: web.Request) -> web.Response:
        """Remember and answer."""
        body = await request.read()
        envelope = json.loads(body)
        told = Told(
            request.path,
            request.headers["webhook-id"],
            envelope["data"].get("key", envelope["subject"]),
            envelope["type"],
            int(envelope["sequence"]),
            envelope,
            dict(request.headers),
            body,
        )
        self.told.append(told)
        self.under_way[told.path] += 1
        self.most_at_once[told.path] = max(self.most_at_once[told.path], self.under_way[told.path])
        try:
            if self.answer is None:
                return web.Response(status=204)
            answer = self.answer(told)
            return answer if isinstance(answer, web.Response) else await answer
        finally:
            self.under_way[told.path] -= 1


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver that listens."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.port = runner.addresses[0][1]
    try:
        yield receiver
    finally:
        await runner.cleanup()


@dataclass(frozen=True)
class Registered:
    """A webhook and its secret, as its owner was told."""

    webhook: Webhook
    secret: str

    @property
    def webhook_id(self) -> str:
        return self.webhook.webhook_id


async def register(lending: Any, tenant: str, url: str, **changes: Any) -> Registered:
    """A webhook of everything, unless `changes` say else."""
    asked: dict[str, Any] = {
        "event_types": None,
        "description": "",
        "provider_id": None,
        "view": WebhookView.WHOLE,
        **changes,
    }
    made: list[Registered] = []

    def answer(webhook: Webhook, secret: str) -> StoredAnswer:
        made.append(Registered(webhook, secret))
        return StoredAnswer(201, {}, b"{}")

    await PostgresWebhooks(lending.app).register(
        lending.write(tenant, route="POST /api/v1/webhooks"), NewWebhook(url, **asked), answer
    )
    return made[0]


async def happen(lending: Any, tenant: str, key: str, *types: str, **data: Any) -> None:
    """Events of one key, each committed by itself."""
    for each in types:
        async with lending.app.transaction(tenant) as tx:
            await tx.record("system", each, key, data, key=key)


async def failed_line(
    lending: Any, tenant: str, hook: Registered, *types: str, key: str = "app_1"
) -> Line:
    """A line whose first event has failed at its first attempt, with the others behind it."""
    line = Line(tenant, hook.webhook_id, key)
    await happen(lending, tenant, key, *types)
    async with lending.relay.session() as session:
        records = WebhookLaneRecords(session)
        ours: list[Any] = []
        while more := await records.take_up(500):
            ours += [each for each in more.waiting if each.line == line]
            if not more.more:
                break
        await records.keep([Outcome(ours[0], FAILED, 5.0)])
    return line


def nothing(_: Any, *__: Any) -> StoredAnswer:
    """An answer that says nothing."""
    return StoredAnswer(200, {}, b"{}")


async def settled(what: Callable[[], Awaitable[bool] | bool], within_s: float = 15.0) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(within_s):
        while True:
            found = what()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.01)
