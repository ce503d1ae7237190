"""Sends events to a broker that speaks the Kafka protocol, in order per key and acknowledged.

The client's own retries would let a later record overtake one that timed out. Here the records of
a partition travel in batches that the broker appends whole or not at all, and the next batch
leaves only when the one before it is acknowledged (acks=all); the first trouble ends the round.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    CorruptRecordException,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    RecordTooLargeError,
    UnknownTopicOrPartitionError,
    UnsupportedForMessageFormatError,
)
from aiokafka.partitioner import DefaultPartitioner
from pydantic import SecretStr

from adapters.kafka_mapping import Record, UnspeakableEvent, record_of
from models.domain.events import Event, Publication, Refusal

# A broker that has not acknowledged a batch by then is away; the round starts again.
REQUEST_TIMEOUT_S: Final = 10.0
# Brokers take 1 MiB a batch unless told otherwise; one event must fit with its headers.
BATCH_BYTES: Final = 512 * 1024
EVENT_BYTES: Final = 256 * 1024

# The broker's word that it will not take these bytes, now or later.
_REFUSALS: Final = (
    CorruptRecordException,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    RecordTooLargeError,
    UnsupportedForMessageFormatError,
)

_partition_of = DefaultPartitioner()


@dataclass(frozen=True)
class KafkaAccess:
    """How to reach the brokers; the settings' section, field by field."""

    bootstrap_servers: str
    topic: str
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "PLAIN"
    username: str | None = None
    password: SecretStr | None = None
    ca_path: Path | None = None
    certificate_path: Path | None = None
    key_path: Path | None = None

    def client_options(self) -> dict[str, Any]:
        """The same options for producers and consumers of aiokafka; OSError for a missing file."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap_servers,
            "security_protocol": self.security_protocol,
        }
        if self.security_protocol.endswith("SSL"):
            context = ssl.create_default_context(cafile=self.ca_path)
            if self.certificate_path is not None:
                context.load_cert_chain(self.certificate_path, self.key_path)
            options["ssl_context"] = context
        if self.security_protocol.startswith("SASL"):
            options["sasl_mechanism"] = self.sasl_mechanism
            options["sasl_plain_username"] = self.username
            assert self.password is not None
            options["sasl_plain_password"] = self.password.get_secret_value()
        return options


class KafkaBroker:
    """One producer, opened when there is something to send and opened anew after any trouble."""

    def __init__(self, access: KafkaAccess) -> None:
        self._access = access
        self._options = access.client_options()
        self._producer: AIOKafkaProducer | None = None

    async def publish(self, events: Sequence[Event]) -> Publication:
        """Send the events, in the given order along each key; says what became of them.

        After an event that is refused, its key's later ones are not sent.
        """
        refused: list[Refusal] = []
        records = list(_records(events, refused))
        if not records:
            return Publication((), tuple(refused))
        try:
            producer = await self._open()
            lots = _by_partition(records, await self._partitions(producer))
        except (KafkaError, OSError, TimeoutError) as error:
            await self.close()
            return Publication((), tuple(refused), type(error).__name__)
        lanes = [_Lane(producer, self._access.topic, partition) for partition in lots]
        await asyncio.gather(
            *(lane.send(lot) for lane, lot in zip(lanes, lots.values(), strict=True))
        )
        outage = next((lane.outage for lane in lanes if lane.outage), None)
        if outage is not None:
            # What is still on its way must not arrive after what is sent next.
            await self.close()
        return Publication(
            tuple(event for lane in lanes for event in lane.acknowledged),
            (*refused, *(refusal for lane in lanes for refusal in lane.refused)),
            outage,
        )

    async def close(self) -> None:
        """Give the connections up."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _stop(producer)

    async def _open(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                **self._options,
                acks="all",
                request_timeout_ms=int(REQUEST_TIMEOUT_S * 1000),
                max_batch_size=BATCH_BYTES,
            )
            try:
                async with asyncio.timeout(REQUEST_TIMEOUT_S):
                    await producer.start()
            except BaseException:
                await _stop(producer)
                raise
            self._producer = producer
        return self._producer

    async def _partitions(self, producer: AIOKafkaProducer) -> list[int]:
        async with asyncio.timeout(REQUEST_TIMEOUT_S):
            partitions = sorted(await producer.partitions_for(self._access.topic))
        if not partitions:
            raise UnknownTopicOrPartitionError(self._access.topic)
        return partitions


@dataclass
class _Lane:
    """One partition during one round."""

    producer: AIOKafkaProducer
    topic: str
    partition: int
    acknowledged: list[Event] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    outage: str | None = None

    async def send(self, records: Sequence[Record]) -> None:
        """Send in order; a batch that is refused goes again one by one, to find out which it is."""
        held: set[tuple[str, str]] = set()
        for builder, members in self._batches(records):
            reason = await self._append(builder, members)
            if self.outage is not None:
                return
            if reason is None:
                continue
            for record in members:
                if record.lane in held:
                    continue
                [(single, _)] = self._batches([record])
                reason = await self._append(single, [record])
                if reason is not None:
                    held.add(record.lane)
                    self.refused.append(Refusal(record.event, reason))
                if self.outage is not None:
                    return
            # What follows in this partition may belong to a held key: the next round sorts that
            # out, from what is on record then.
            return

    async def _append(self, builder: Any, members: Sequence[Record]) -> str | None:
        """None once acknowledged; else the reason it is refused, or an outage is noted."""
        try:
            async with asyncio.timeout(2 * REQUEST_TIMEOUT_S):
                sent = await self.producer.send_batch(builder, self.topic, partition=self.partition)
                await sent
        except _REFUSALS as error:
            return type(error).__name__
        except (KafkaError, OSError, TimeoutError) as error:
            self.outage = type(error).__name__
            return None
        self.acknowledged.extend(record.event for record in members)
        return None

    def _batches(self, records: Sequence[Record]) -> Iterator[tuple[Any, list[Record]]]:
        """Batches in order, each as full as allowed."""
        builder = self.producer.create_batch()
        members: list[Record] = []
        for record in records:
            while not _add(builder, record):
                builder.close()
                yield builder, members
                builder, members = self.producer.create_batch(), []
            members.append(record)
        if members:
            builder.close()
            yield builder, members


def _add(builder: Any, record: Record) -> bool:
    added = builder.append(
        timestamp=record.timestamp_ms,
        key=record.key,
        value=record.value,
        headers=list(record.headers),
    )
    return added is not None


def _records(events: Iterable[Event], refused: list[Refusal]) -> Iterator[Record]:
    """The events as records; one that cannot be written holds its key's later ones back."""
    held: set[tuple[str, str]] = set()
    for event in events:
        if (event.tenant_id, event.key) in held:
            continue
        try:
            yield record_of(event, EVENT_BYTES)
        except UnspeakableEvent as error:
            held.add((event.tenant_id, event.key))
            refused.append(Refusal(event, str(error)))


def _by_partition(records: Sequence[Record], partitions: list[int]) -> dict[int, list[Record]]:
    lots: dict[int, list[Record]] = {}
    for record in records:
        partition = _partition_of(record.key, partitions, partitions)
        lots.setdefault(partition, []).append(record)
    return lots


async def _stop(producer: AIOKafkaProducer) -> None:
    # It waits for what is under way; a broker that is away must not hold us for longer.
    with suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(REQUEST_TIMEOUT_S):
            await producer.stop()
