"""The embedded broker, and the product's publisher on it: in order, away, back, and too large."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition
from pydantic import SecretStr

from adapters import kafka
from adapters.kafka import KafkaAccess
from adapters.kafka_mapping import record_of
from models.domain.events import Event
from sandbox.consumer_example import Timelines
from sandbox.services import linux
from sandbox.services.kafka import PARTITIONS, KafkaBroker

pytestmark = pytest.mark.stack


def event(seq: int, key: str, text: str = "") -> Event:
    data = {"subject_id": key, "text": text}
    return Event(seq, f"evt_{seq:032x}", "acme", key, "note.made", data, datetime.now(UTC))


@pytest_asyncio.fixture(loop_scope="session")
async def server(tmp_path: Path) -> AsyncIterator[KafkaBroker]:
    server = KafkaBroker(tmp_path)
    await server.start()
    yield server
    await server.stop()


async def records(server: KafkaBroker) -> list[tuple[int, dict[str, str]]]:
    """(partition, envelope) of everything the broker holds, partition by partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=server.address, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = [TopicPartition(server.topic, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        found: list[tuple[int, dict[str, str]]] = []
        while len(found) < sum(ends.values()):
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                found += [(record.partition, json.loads(record.value)) for record in batch]
        return found
    finally:
        await consumer.stop()


async def test_events_arrive_once_each_in_order_along_their_key(server: KafkaBroker) -> None:
    broker = kafka.KafkaBroker(KafkaAccess(server.address, server.topic))
    sent = [event(seq, f"app_{seq % 40}", "x" * 3_000) for seq in range(1_000)]
    published = await broker.publish(sent)
    await broker.close()
    assert (published.refused, published.outage) == ((), None)
    assert {each.event_id for each in published.acknowledged} == {each.event_id for each in sent}
    found = await records(server)
    assert len(found) == len(sent)
    places: dict[str, set[int]] = {}
    for partition, envelope in found:
        places.setdefault(envelope["subject"], set()).add(partition)
    assert len(set.union(*places.values())) > 1
    for key, partitions in places.items():
        assert len(partitions) == 1
        numbers = [envelope["sequence"] for _, envelope in found if envelope["subject"] == key]
        assert numbers == sorted(numbers)


async def test_an_event_that_is_too_large_holds_back_its_own_key(server: KafkaBroker) -> None:
    broker = kafka.KafkaBroker(KafkaAccess(server.address, server.topic))
    large = "x" * (kafka.EVENT_BYTES + 1)
    published = await broker.publish(
        [event(1, "a"), event(2, "a", large), event(3, "a"), event(4, "b")]
    )
    await broker.close()
    assert sorted(each.seq for each in published.acknowledged) == [1, 4]
    [refusal] = published.refused
    assert (refusal.event.seq, refusal.reason) == (2, "EVENT_TOO_LARGE")


async def test_away_is_said_and_back_is_noticed(tmp_path: Path, server: KafkaBroker) -> None:
    broker = kafka.KafkaBroker(KafkaAccess(server.address, server.topic))
    process = linux.seen(server.process.pid)
    assert process is not None
    await server.kill()
    assert not linux.is_alive(process)
    away = await broker.publish([event(1, "a")])
    assert (away.acknowledged, away.outage) == ((), "KafkaConnectionError")
    address = server.address
    await server.start()
    assert server.address == address
    back = await broker.publish([event(1, "a")])
    await broker.close()
    assert [each.seq for each in back.acknowledged] == [1]


async def test_a_wrong_address_is_an_outage() -> None:
    broker = kafka.KafkaBroker(KafkaAccess("127.0.0.1:1", "caas.events"))
    published = await broker.publish([event(1, "a")])
    await broker.close()
    assert (published.acknowledged, published.outage) == ((), "KafkaConnectionError")


def test_a_consumer_that_keeps_ids_takes_each_event_once(tmp_path: Path) -> None:
    arrived = [json.loads(record_of(event(seq, "app_1"), 10_000).value) for seq in (1, 2, 3)]
    timelines = Timelines(tmp_path / "timelines.sqlite3")
    assert timelines.take(arrived[:2]) == arrived[:2]
    timelines.close()
    timelines = Timelines(tmp_path / "timelines.sqlite3")  # a restart forgets nothing
    assert timelines.take([*arrived, arrived[0]]) == arrived[2:]
    assert timelines.of("acme", "app_1") == ["note.made"] * 3
    assert timelines.of("other", "app_1") == []
    timelines.close()


@pytest.mark.parametrize(
    ("protocol", "options"),
    [
        ("PLAINTEXT", {"bootstrap_servers", "security_protocol"}),
        ("SSL", {"bootstrap_servers", "security_protocol", "ssl_context"}),
        (
            "SASL_SSL",
            {
                "bootstrap_servers", "security_protocol", "ssl_context", "sasl_mechanism",
                "sasl_plain_username", "sasl_plain_password",
            },
        ),
    ],
)  # fmt: skip
def test_the_clients_options_follow_the_protocol(protocol: str, options: set[str]) -> None:

    access = KafkaAccess(
        "a:1,b:2", "t", protocol, "SCRAM-SHA-512", "caas", SecretStr("not-to-be-seen")
    )
    assert set(access.client_options()) == options
    assert "not-to-be-seen" not in repr(access)
