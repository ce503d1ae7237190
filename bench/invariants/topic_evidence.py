"""What the broker holds, read from its beginning by a consumer that belongs to no group."""

from __future__ import annotations

from typing import Any, Final

from bench.invariants.evidence import Topic
from sandbox.access import Access

_WAIT_MS: Final = 5_000


async def read_topic(access: Access) -> Topic | None:
    """Every record of the topic; None where a stack publishes nowhere."""
    if access.kafka is None:
        return None
    # Only runs with a broker pay for its client.
    from aiokafka import AIOKafkaConsumer, TopicPartition  # noqa: PLC0415

    consumer: Any = AIOKafkaConsumer(
        bootstrap_servers=access.kafka["bootstrap_servers"],
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        name = access.kafka["topic"]
        numbers = consumer.partitions_for_topic(name) or await _partitions(consumer, name)
        partitions = [TopicPartition(name, number) for number in sorted(numbers)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        records: list[tuple[int, int, str, str]] = []
        while [each for each in partitions if await consumer.position(each) < ends[each]]:
            batches = await consumer.getmany(timeout_ms=_WAIT_MS)
            for batch in batches.values():
                for each in batch:
                    event_id = dict(each.headers)["event-id"].decode()
                    records.append((each.partition, each.offset, each.key.decode(), event_id))
        return Topic(records)
    finally:
        await consumer.stop()


async def _partitions(consumer: Any, topic: str) -> set[int]:
    """The partitions of a topic the client has not heard of yet; none if there is no such topic."""
    await consumer._client.add_topic(topic)
    await consumer._client.force_metadata_update()
    return set(consumer.partitions_for_topic(topic) or ())
