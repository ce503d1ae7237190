"""First attempts: none is missed, none overtakes another, and nobody waits for a slow receiver."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from adapters.postgres.webhooks import PostgresWebhooks
from adapters.webhooks.lane import WebhookLane
from adapters.webhooks.sender import WebhookSender
from models.domain.errors import Unavailable
from models.domain.webhook import Line, RetryPlan, WebhookView
from models.domain.writes import StoredAnswer
from tests.adapters.postgres.receivers import (
    BOTH,
    SANDBOX,
    Receiver,
    Registered,
    Told,
    happen,
    receiving,
    register,
    settled,
)

pytestmark = pytest.mark.stack


class RememberedLines:
    """Workflows that do nothing but be started; `away` as Temporal may be."""

    def __init__(self) -> None:
        self.told: list[Line] = []
        self.away = False

    async def look_after(self, line: Line) -> None:
        if self.away:
            raise Unavailable("TEMPORAL_UNAVAILABLE")
        self.told.append(line)


@pytest.fixture
async def receiver(lending: Any) -> AsyncIterator[Receiver]:
    """A receiver; webhooks of other tests are out of the way."""
    await lending.execute("DELETE FROM webhook_lines")
    await lending.execute("DELETE FROM webhook_deliveries")
    await lending.execute("DELETE FROM webhooks")
    async with receiving() as made:
        yield made


@asynccontextmanager
async def telling(
    lending: Any, lines: RememberedLines | None = None, *, connections: int = 4, **sending: Any
) -> AsyncIterator[None]:
    """A lane that leads."""
    sender = WebhookSender(SANDBOX, **{"deadline_s": 5.0, **sending})
    lane = WebhookLane(
        lending.relay,
        sender,
        lines or RememberedLines(),
        RetryPlan(first_s=0.05),
        connections=connections,
    )
    stop = asyncio.Event()
    task = asyncio.create_task(lane.run(stop))
    try:
        yield
    finally:
        stop.set()
        await task
        await sender.close()


def undelivered(lending: Any) -> Callable[[], Awaitable[bool]]:
    async def none() -> bool:
        waiting = await lending.value(
            "SELECT count(*) FROM webhook_deliveries WHERE status = 'pending'"
        )
        behind = await lending.value(
            "SELECT count(*) FROM outbox o WHERE seq > coalesce((SELECT position FROM"
            " webhook_position), 0) AND tenant_id IN (SELECT tenant_id FROM webhooks)"
        )
        return not waiting and not behind

    return none


async def statuses(lending: Any, hook: Registered) -> list[str]:
    rows = await lending.rows(
        "SELECT status FROM webhook_deliveries WHERE webhook_id = $1 ORDER BY event_seq",
        hook.webhook_id,
    )
    return [row["status"] for row in rows]


async def test_an_event_is_told_once_signed_and_in_its_envelope(
    lending: Any, receiver: Receiver
) -> None:
    tenant = lending.tenant()
    hook = await register(lending, tenant, receiver.url())
    async with telling(lending):
        await happen(lending, tenant, "app_1", "offer.accepted", offer_id="off_1")
        await settled(lambda: bool(receiver.told))
        await settled(undelivered(lending))
    [told] = receiver.told
    event_id = await lending.value("SELECT event_id FROM outbox WHERE tenant_id = $1", tenant)
    assert told.message_id == told.envelope["id"] == event_id
    assert told.signed_by(hook.secret)
    assert told.envelope["data"] == {"subject_id": "app_1", "offer_id": "off_1"}
    assert told.envelope["timestamp"] == told.envelope["time"]
    assert await statuses(lending, hook) == ["delivered"]


async def test_what_happened_before_is_not_told(lending: Any, receiver: Receiver) -> None:
    tenant = lending.tenant()
    await happen(lending, tenant, "app_1", "application.submitted")
    await register(lending, tenant, receiver.url())
    async with telling(lending):
        await happen(lending, tenant, "app_1", "application.started")
        await settled(lambda: bool(receiver.told))
        await settled(undelivered(lending))
    assert [each.type for each in receiver.told] == ["application.started"]


async def test_many_keys_are_told_side_by_side_and_each_in_order(
    lending: Any, receiver: Receiver
) -> None:
    tenant, neighbour = lending.tenant(), lending.tenant()
    for path in ("/a", "/b"):
        await register(lending, tenant, receiver.url(path))
    keys = [f"app_{number}" for number in range(10)]

    async def slowly(_: Told) -> web.Response:
        await asyncio.sleep(0.002)
        return web.Response(status=200, text="thank you")

    receiver.answer = slowly
    async with telling(lending):
        await asyncio.gather(
            *(happen(lending, tenant, key, *[f"x.s{n}" for n in range(8)]) for key in keys),
            happen(lending, neighbour, "app_1", "x.strangers"),
        )
        await settled(undelivered(lending))
    for path in ("/a", "/b"):
        order = receiver.first_told(path)
        assert set(order) == set(keys)
        assert all(len(each) == 8 and each == sorted(each) for each in order.values())
        assert 2 <= receiver.most_at_once[path] <= 4
    assert len(receiver.told) == 160


async def test_a_slow_receiver_holds_nobody_else_back(lending: Any, receiver: Receiver) -> None:
    tenant = lending.tenant()
    await register(lending, tenant, receiver.url("/slow"))
    await register(lending, tenant, receiver.url("/quick"))
    release = asyncio.Event()

    async def answer(told: Told) -> web.Response:
        if told.path == "/slow":
            await release.wait()
        return web.Response(status=204)

    receiver.answer = answer
    async with telling(lending, connections=2):
        for number in range(6):
            await happen(lending, tenant, f"app_{number}", "x.first", "x.second")
        await settled(lambda: sum(each.path == "/quick" for each in receiver.told) == 12)
        assert sum(each.path == "/slow" for each in receiver.told) == 2
        release.set()
        await settled(undelivered(lending))
    assert all(len(each) == 2 for each in receiver.first_told("/slow").values())


async def test_what_fails_goes_to_a_workflow_and_what_follows_waits_behind(
    lending: Any, receiver: Receiver
) -> None:
    tenant, lines = lending.tenant(), RememberedLines()
    hook = await register(lending, tenant, receiver.url())
    receiver.answer = lambda told: web.Response(status=500 if told.key == "app_bad" else 204)
    async with telling(lending, lines):
        await happen(lending, tenant, "app_bad", "x.one", "x.two")
        await settled(lambda: bool(lines.told))
        await happen(lending, tenant, "app_bad", "x.three")
        await happen(lending, tenant, "app_good", "x.one")
        await settled(lambda: any(each.key == "app_good" for each in receiver.told))
    assert lines.told == [Line(tenant, hook.webhook_id, "app_bad")]
    assert [each.type for each in receiver.told if each.key == "app_bad"] == ["x.one"]
    rows = await lending.rows(
        "SELECT status, attempts, last_status, last_reason FROM webhook_deliveries"
        " WHERE webhook_id = $1 AND key = 'app_bad' ORDER BY event_seq",
        hook.webhook_id,
    )
    assert [tuple(row) for row in rows] == [
        ("pending", 1, 500, "NOT_ACCEPTED"), ("pending", 0, None, None),
        ("pending", 0, None, None),
    ]  # fmt: skip


async def test_lines_wait_for_temporal(lending: Any, receiver: Receiver) -> None:
    tenant, lines = lending.tenant(), RememberedLines()
    lines.away = True
    hook = await register(lending, tenant, receiver.url())
    receiver.answer = lambda _: web.Response(status=503)
    async with telling(lending, lines):
        await happen(lending, tenant, "app_1", "x.one")
        await settled(lambda: bool(receiver.told))
    lines.away = False
    async with telling(lending, lines):
        await settled(lambda: bool(lines.told))
    assert lines.told == [Line(tenant, hook.webhook_id, "app_1")]


async def test_whoever_leads_next_goes_on_in_order_under_the_same_ids(
    lending: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was under way when a lane died is told again; no event of the key overtakes it."""
    tenant = lending.tenant()
    await register(lending, tenant, receiver.url())
    monkeypatch.setattr("adapters.webhooks.attempts.FINISH_S", 0.01)
    asked, end = asyncio.Event(), asyncio.Event()

    async def in_the_end(_: Told) -> web.Response:
        asked.set()
        await end.wait()
        return web.Response(status=204)

    receiver.answer = in_the_end
    async with telling(lending, deadline_s=60.0):
        await happen(lending, tenant, "app_1", "x.one", "x.two", "x.three")
        await asyncio.wait_for(asked.wait(), 60)
    receiver.answer = None
    async with telling(lending):
        await settled(undelivered(lending))
    end.set()
    assert [each.type for each in receiver.told] == ["x.one", "x.one", "x.two", "x.three"]
    assert len({each.message_id for each in receiver.told}) == 3


async def test_a_paused_webhook_is_told_of_everything_in_order_when_it_resumes(
    lending: Any, receiver: Receiver
) -> None:
    tenant, records = lending.tenant(), PostgresWebhooks(lending.app)
    hook = await register(lending, tenant, receiver.url())

    def answer(_: Any) -> StoredAnswer:
        return StoredAnswer(200, {}, b"{}")

    async with telling(lending):
        await happen(lending, tenant, "app_1", "x.one")
        await settled(undelivered(lending))
        await records.pause(lending.write(tenant), hook.webhook_id, BOTH, answer)
        await happen(lending, tenant, "app_1", "x.two", "x.three")
        await happen(lending, tenant, "app_2", "x.four")
        await settled(lambda: _held(lending, hook, 3))
        assert len(receiver.told) == 1
        await records.resume(lending.write(tenant), hook.webhook_id, BOTH, answer)
        await happen(lending, tenant, "app_1", "x.five")
        await settled(undelivered(lending))
    assert [each.type for each in receiver.told if each.key == "app_1"] == [
        "x.one", "x.two", "x.three", "x.five",
    ]  # fmt: skip


async def _held(lending: Any, hook: Registered, count: int) -> bool:
    return (await statuses(lending, hook)).count("pending") == count


async def test_a_removed_webhook_is_told_of_nothing_more(lending: Any, receiver: Receiver) -> None:
    tenant, records = lending.tenant(), PostgresWebhooks(lending.app)
    hook = await register(lending, tenant, receiver.url("/gone"))
    await register(lending, tenant, receiver.url("/kept"))
    async with telling(lending):
        await records.remove(
            lending.write(tenant), hook.webhook_id, BOTH, lambda _: StoredAnswer(200, {}, b"{}")
        )
        await happen(lending, tenant, "app_1", "x.one")
        await settled(lambda: bool(receiver.told))
        await settled(undelivered(lending))
    assert [each.path for each in receiver.told] == ["/kept"]
    sealed = await lending.value(
        "SELECT secret FROM webhooks WHERE webhook_id = $1", hook.webhook_id
    )
    assert sealed == b""


async def test_each_is_told_what_it_asked_for_and_may_know(
    lending: Any, receiver: Receiver
) -> None:
    tenant = lending.tenant()
    await register(lending, tenant, receiver.url("/some"), event_types=("offer.accepted",))
    await register(lending, tenant, receiver.url("/applicant"), view=WebhookView.APPLICANT)
    await register(lending, tenant, receiver.url("/whole"))
    await register(lending, tenant, receiver.url("/lender"), provider_id="bank-a")
    ref = await lending.application(tenant)
    book = await lending.offered(ref, lenders=1)
    offer = book.offers[0]
    bank = await lending.value("SELECT provider_id FROM offers WHERE offer_id = $1", offer.offer_id)
    await register(lending, tenant, receiver.url("/its-lender"), provider_id=bank)
    async with telling(lending):
        await happen(lending, tenant, "app_1", "offer.accepted", offer_id=offer.offer_id, score=700)
        await happen(lending, tenant, "app_1", "review.opened", review_id="rev_1")
        await happen(lending, tenant, "bank-a", "provider.paused", provider_id="bank-a")
        await happen(lending, tenant, "whk_1", "webhook.dead_lettered")
        await settled(undelivered(lending))
    told: dict[str, list[str]] = {}
    for each in receiver.told:
        if each.key in ("app_1", "bank-a"):
            told.setdefault(each.path, []).append(each.type)
    assert {path: sorted(types) for path, types in told.items()} == {
        "/some": ["offer.accepted"],
        "/applicant": ["offer.accepted"],
        "/whole": ["offer.accepted", "provider.paused", "review.opened"],
        "/lender": ["provider.paused"],
        "/its-lender": ["offer.accepted"],
    }
    facts = {
        each.path: each.envelope["data"] for each in receiver.told if "score" in each.body.decode()
    }
    assert set(facts) == {"/some", "/whole", "/its-lender"}


async def test_a_burst_beyond_what_is_kept_in_memory_stays_in_order(
    lending: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.webhooks.lane.WINDOW", 8)
    monkeypatch.setattr("adapters.webhooks.lane.BATCH", 10)
    tenant = lending.tenant()
    await register(lending, tenant, receiver.url())
    async with telling(lending):
        await asyncio.gather(
            *(
                happen(lending, tenant, f"app_{number}", *[f"x.s{n}" for n in range(10)])
                for number in range(6)
            )
        )
        await settled(undelivered(lending))
    order = receiver.first_told()
    assert sum(map(len, order.values())) == 60 == len(receiver.told)
    assert all(each == sorted(each) for each in order.values())


async def test_a_number_drawn_early_and_committed_late_is_not_missed(
    lending: Any, receiver: Receiver
) -> None:
    tenant = lending.tenant()
    await register(lending, tenant, receiver.url())
    async with telling(lending):
        async with lending.app.transaction(tenant) as slow:
            await slow.record("system", "x.slow", "app_slow", {}, key="app_slow")
            await happen(lending, tenant, "app_quick", "x.quick")
            await asyncio.sleep(0.1)
            assert receiver.told == []  # numbers up to it are not settled
        await settled(lambda: len(receiver.told) == 2)
    assert [each.type for each in receiver.told] == ["x.slow", "x.quick"]


async def test_without_webhooks_the_lane_reads_no_events(lending: Any, receiver: Receiver) -> None:
    tenant = lending.tenant()
    await lending.execute("DELETE FROM webhook_position")
    async with telling(lending):
        await happen(lending, tenant, "app_1", "x.one")
        await asyncio.sleep(0.1)
        assert await lending.value("SELECT count(*) FROM webhook_position") == 0
        await register(lending, tenant, receiver.url())
        await happen(lending, tenant, "app_1", "x.two")
        await settled(lambda: bool(receiver.told))
    assert [each.type for each in receiver.told] == ["x.two"]
