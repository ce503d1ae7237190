"""How to consume events, in one screen: `python -m sandbox.consumer_example --help`.

Delivery is at least once, so the same event may come again. This consumer keeps the ids it has
seen in the same SQLite transaction as what it makes of an event, and commits its place in the topic
after that: whatever crashes, each event takes effect once. Ids in memory would be forgotten by a
restart, just when events come again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from aiokafka import AIOKafkaConsumer

ENDPOINTS: Final = Path(".demo/endpoints.json")
WAIT_MS: Final = 500

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS seen (event_id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS timeline (
    tenant TEXT, subject TEXT, sequence TEXT, time TEXT, type TEXT,
    PRIMARY KEY (tenant, subject, sequence)
);
"""


class Timelines:
    """What happened to each application and person, each event once."""

    def __init__(self, path: Path | str) -> None:
        self._database = sqlite3.connect(path)
        self._database.executescript(_SCHEMA)

    def take(self, envelopes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Keep the events that are new, all in one transaction; returns them."""
        with self._database:
            return [event for event in envelopes if self._is_new(event)]

    def of(self, tenant: str, subject: str) -> list[str]:
        """The types of events about somebody or something, in order."""
        rows = self._database.execute(
            "SELECT type FROM timeline WHERE tenant = ? AND subject = ? ORDER BY sequence",
            (tenant, subject),
        )
        return [row[0] for row in rows]

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _is_new(self, event: dict[str, Any]) -> bool:
        seen = self._database.execute(
            "INSERT INTO seen (event_id) VALUES (?) ON CONFLICT DO NOTHING", (event["id"],)
        )
        if seen.rowcount:
            self._database.execute(
                "INSERT INTO timeline VALUES (?, ?, ?, ?, ?)",
                [event[name] for name in ("tenant", "subject", "sequence", "time", "type")],
            )
        return bool(seen.rowcount)


async def consume(
    bootstrap_servers: str, topic: str, group: str, timelines: Timelines, *, once: bool
) -> int:
    """Take events and print what is new; with `once`, up to the present end of the topic.

    Returns how many records came, repetitions included.
    """
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap_servers,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    taken = 0
    try:
        while True:
            batches = await consumer.getmany(timeout_ms=WAIT_MS)
            # Of one key all records are in one partition, in order.
            records = [record for batch in batches.values() for record in batch]
            for event in timelines.take([json.loads(record.value) for record in records]):
                print(event["time"], event["tenant"], event["subject"], event["type"], flush=True)
            if records:
                taken += len(records)
                await consumer.commit()
            elif once and await _is_at_the_end(consumer):
                return taken
    finally:
        await consumer.stop()


async def _is_at_the_end(consumer: AIOKafkaConsumer) -> bool:
    assigned = consumer.assignment()
    ends = await consumer.end_offsets(list(assigned))
    return bool(assigned) and all(
        [await consumer.position(partition) >= end for partition, end in ends.items()]
    )


def main(
    endpoints: Annotated[Path, typer.Option(help="Written by `make demo`.")] = ENDPOINTS,
    database: Annotated[Path | None, typer.Option(help="Where ids and timelines are kept.")] = None,
    group: Annotated[str, typer.Option(help="Consumers of a group share the work.")] = "example",
    once: Annotated[bool, typer.Option("--once", help="End at the topic's end.")] = False,
) -> None:
    """Print the timeline of every application as it happens; Ctrl-C ends it."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    at = json.loads(endpoints.read_text("utf-8"))
    timelines = Timelines(database or endpoints.with_name("timelines.sqlite3"))
    try:
        taken = asyncio.run(consume(at["kafka"], at["topic"], group, timelines, once=once))
        print(f"{taken} records")
    except KeyboardInterrupt:
        pass
    finally:
        timelines.close()


if __name__ == "__main__":
    typer.run(main)
