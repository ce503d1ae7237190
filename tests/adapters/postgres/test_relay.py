"""Events leave in order along every key, at least once, whoever races, dies, refuses or is away."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapters.postgres.leadership import LOOK_EVERY_S
from adapters.postgres.outbox import OutboxLane, ParkedEvents
from adapters.relay import MAX_ATTEMPTS, OutboxRelay
from models.domain.errors import NotFound
from models.domain.events import Event, Publication, Refusal
from models.domain.operations import Command
from sandbox.consumer_example import Timelines

pytestmark = pytest.mark.stack


class RecordingBroker:
    """Takes everything but what it is told to refuse, and keeps the order."""

    def __init__(self) -> None:
        self.taken: list[Event] = []
        self.refuses: set[str] = set()  # types
        self.away = False
        self.publishing = 0
        self.most_at_once = 0
        self.before_answering: Callable[[], Awaitable[None]] | None = None

    async def publish(self, events: Sequence[Event]) -> Publication:
        self.publishing += 1
        self.most_at_once = max(self.most_at_once, self.publishing)
        try:
            if self.away:
                return Publication((), (), "KafkaConnectionError")
            taken, refused, held = [], [], set()
            for event in events:
                if event.key in held:
                    continue
                if event.type in self.refuses:
                    refused.append(Refusal(event, "MessageSizeTooLargeError"))
                    held.add(event.key)
                else:
                    taken.append(event)
            self.taken += taken
            await asyncio.sleep(0)
            if self.before_answering is not None:
                await self.before_answering()
            return Publication(tuple(taken), tuple(refused))
        finally:
            self.publishing -= 1

    async def close(self) -> None:
        pass

    def types(self, key: str) -> list[str]:
        return [event.type for event in self.taken if event.key == key]


async def settled(what: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await what():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(lending: Any, *brokers: Any) -> AsyncIterator[list[OutboxRelay]]:
    """A relay process for each broker, stopped in order at the end."""
    stop = asyncio.Event()
    relays = [OutboxRelay(lending.relay, broker) for broker in brokers]
    tasks = [asyncio.create_task(relay.run(stop)) for relay in relays]
    try:
        yield relays
    finally:
        stop.set()
        await asyncio.gather(*tasks)


@pytest.fixture
async def outbox(lending: Any) -> Callable[[], Awaitable[int]]:
    """How many events are unpublished; whatever other tests left is out of the way."""
    await lending.execute("UPDATE outbox SET published_at = now() WHERE published_at IS NULL")

    async def waiting() -> int:
        count: int = await lending.value("SELECT count(*) FROM outbox WHERE published_at IS NULL")
        return count

    return waiting


async def write(lending: Any, tenant: str, key: str, *types: str) -> None:
    for each in types:
        async with lending.app.transaction(tenant) as tx:
            await tx.record("system", each, key, {}, key=key)


async def round_of(lending: Any, broker: RecordingBroker) -> bool:
    async with lending.relay.session() as session:
        return await OutboxRelay(lending.relay, broker).round(OutboxLane(session))


async def test_a_row_that_becomes_visible_late_is_not_skipped(lending: Any, outbox: Any) -> None:
    tenant, broker = lending.tenant(), RecordingBroker()
    async with lending.app.transaction(tenant) as slow:
        await slow.record("system", "slow.first", "app_slow", {}, key="app_slow")
        await write(lending, tenant, "app_quick", "quick.later")
        await round_of(lending, broker)
        assert [event.type for event in broker.taken] == ["quick.later"]
    await round_of(lending, broker)
    assert [event.type for event in broker.taken] == ["quick.later", "slow.first"]
    assert broker.taken[1].seq < broker.taken[0].seq  # a high-water mark would have lost it
    assert await outbox() == 0


async def test_numbers_of_one_key_are_drawn_in_the_order_of_commits(
    lending: Any, outbox: Any
) -> None:
    """Two writers of one key who share no row lock: the second waits for the first to commit."""
    tenant = lending.tenant()
    async with lending.app.transaction(tenant) as first:
        await first.record("system", "x.first", "app_1", {}, key="app_1")
        second = asyncio.create_task(write(lending, tenant, "app_1", "x.second"))
        other = asyncio.create_task(write(lending, lending.tenant(), "app_1", "x.stranger"))
        await asyncio.wait_for(other, 60)  # another tenant's key of the same name does not wait
        await asyncio.sleep(0.05)
        assert not second.done()
    await second
    rows = await lending.rows("SELECT type FROM outbox WHERE tenant_id = $1 ORDER BY seq", tenant)
    assert [row["type"] for row in rows] == ["x.first", "x.second"]


async def test_relays_that_race_writers_and_each_other_keep_every_keys_order(
    lending: Any, outbox: Any
) -> None:
    tenant, broker = lending.tenant(), RecordingBroker()
    keys = [f"app_{number}" for number in range(5)]
    dice = random.Random(7)

    async def writer(number: int) -> None:
        for step in range(12):
            key = dice.choice(keys)
            async with lending.app.transaction(tenant) as tx:
                await tx.record("system", f"w{number}.s{step}", key, {}, key=key)
                await asyncio.sleep(dice.random() * 0.004)

    async def drained() -> bool:
        return await outbox() == 0

    async with running(lending, broker, broker, broker):
        await asyncio.gather(*(writer(number) for number in range(6)))
        await settled(drained)
    assert broker.most_at_once == 1  # one leads, the others stand by
    assert len(broker.taken) == len({event.event_id for event in broker.taken}) == 6 * 12
    for key in keys:
        numbers = [event.seq for event in broker.taken if event.key == key]
        assert numbers == sorted(numbers)


async def test_a_standby_takes_over_and_repeats_what_was_sent_but_not_marked(
    lending: Any, outbox: Any
) -> None:
    """The leader dies between sending and marking: the same ids come again, in order."""
    tenant, first, second = lending.tenant(), RecordingBroker(), RecordingBroker()
    types = ["a.one", "a.two", "a.three"]
    await write(lending, tenant, "app_1", *types)

    async def dies() -> None:
        first.before_answering = None
        first.away = True  # it does not come back either
        await lending.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
            " AND objsubid = 2 AND database = (SELECT oid FROM pg_database"
            " WHERE datname = current_database())"
        )

    first.before_answering = dies

    async def drained() -> bool:
        return await outbox() == 0

    async with running(lending, first):
        await settled(lambda: _true(first.away))
        assert first.types("app_1") == types
        assert await outbox() == len(types)
        async with running(lending, second):
            await settled(drained)
    assert second.types("app_1") == types
    assert [e.event_id for e in second.taken] == [e.event_id for e in first.taken]

    timelines = Timelines(":memory:")
    arrived = [_envelope(event) for event in first.taken + second.taken]
    assert len(timelines.take(arrived)) == len(types)
    assert timelines.of(tenant, "app_1") == types
    timelines.close()


async def test_a_poisoned_event_is_parked_and_holds_back_its_own_key_alone(
    lending: Any, outbox: Any
) -> None:
    tenant, broker = lending.tenant(), RecordingBroker()
    broker.refuses = {"bad.event"}
    await write(lending, tenant, "app_bad", "good.before", "bad.event", "good.after")
    await write(lending, tenant, "app_fine", "fine.one", "fine.two")
    for _ in range(MAX_ATTEMPTS):
        assert (await lending.value("SELECT count(*) FROM outbox WHERE parked_at IS NOT NULL")) == 0
        await round_of(lending, broker)
    assert broker.types("app_fine") == ["fine.one", "fine.two"]
    assert broker.types("app_bad") == ["good.before"]
    assert not await round_of(lending, broker)  # nothing is left to try

    [parked] = await ParkedEvents(lending.relay).all(10)
    assert (parked.type, parked.reason, parked.behind) == (
        "bad.event", "MessageSizeTooLargeError", 1,
    )  # fmt: skip
    await write(lending, tenant, "app_fine", "fine.three")
    await round_of(lending, broker)
    assert broker.types("app_fine")[-1] == "fine.three"

    broker.refuses = set()
    await ParkedEvents(lending.relay).release(
        parked.event_id, Command("olivia", "larger records are allowed now")
    )
    while await round_of(lending, broker):
        pass
    assert broker.types("app_bad") == ["good.before", "bad.event", "good.after", "event.released"]
    assert await outbox() == 0
    assert (await lending.audited(tenant))[-1] == "event.released"
    with pytest.raises(NotFound):
        await ParkedEvents(lending.relay).release(parked.event_id, Command("olivia", "again"))


async def test_while_the_broker_is_away_the_outbox_waits_and_writers_go_on(
    lending: Any, outbox: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    tenant, broker = lending.tenant(), RecordingBroker()
    broker.away = True
    relay = OutboxRelay(lending.relay, broker)

    async def one_round() -> bool:
        async with lending.relay.session() as session:
            return await relay.round(OutboxLane(session))

    for number in range(3):
        await write(lending, tenant, "app_1", f"n.{'abc'[number]}")
        assert not await one_round()
    assert await outbox() == 3
    broker.away = False
    while await one_round():
        pass
    assert broker.types("app_1") == ["n.a", "n.b", "n.c"]
    assert await outbox() == 0
    said = capsys.readouterr()
    assert (said.out + said.err).count("broker_away") == 1
    assert (said.out + said.err).count("broker_back") == 1


async def test_a_notification_wakes_the_relay(lending: Any, outbox: Any) -> None:
    """Ten events, one after the other, in less time than ten looks would take."""
    tenant, broker = lending.tenant(), RecordingBroker()
    async with running(lending, broker):
        await write(lending, tenant, "app_0", "first.one")
        await settled(lambda: _true(len(broker.taken) == 1))
        loop = asyncio.get_running_loop()
        started = loop.time()
        for number in range(10):
            await write(lending, tenant, f"app_{number}", "next.one")
            await settled(lambda expected=number + 2: _true(len(broker.taken) == expected))
        assert loop.time() - started < 5 * LOOK_EVERY_S
    assert Counter(event.type for event in broker.taken) == {"first.one": 1, "next.one": 10}


async def _true(value: bool) -> bool:
    return value


def _envelope(event: Event) -> dict[str, Any]:
    return {
        "id": event.event_id,
        "type": event.type,
        "tenant": event.tenant_id,
        "subject": event.key,
        "sequence": f"{event.seq:019d}",
        "time": event.recorded_at.isoformat(),
    }
