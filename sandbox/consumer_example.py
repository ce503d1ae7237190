"""How to consume events, in one screen: `python -m sandbox.consumer_example --help`.

Delivery is at least once, so the same event may come again. This consumer keeps the ids it has
seen in the same SQLite transaction as what it makes of an event, and commits its place in the topic
after that: whatever crashes, each event takes effect once. Ids in memory would be forgotten by a
restart, just when events come again.

With `--schemas docs/events` it holds every event against its type's published schema as well. An
event that does not keep to it is a mistake of ours, to be looked at and not to be guessed at.
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


class Published:
    """The schemas of docs/events: what every event of a type can be counted on to hold."""

    def __init__(self, folder: Path) -> None:
        from referencing import Registry  # noqa: PLC0415 - of the development tools
        from referencing.jsonschema import DRAFT202012  # noqa: PLC0415

        self._folder = folder.resolve()
        files = [*self._folder.glob("*.json"), self._folder.parent / "events.schema.json"]
        # References between the files are relative, so each is known by where it is.
        self._registry: Any = Registry().with_resources(
            (path.as_uri(), DRAFT202012.create_resource(json.loads(path.read_text("utf-8"))))
            for path in files
        )

    def complaint(self, event: dict[str, Any]) -> str | None:
        """What is wrong with an event, or that its type is newer than these schemas."""
        from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # noqa: PLC0415

        schema = self._folder / f"{event['type']}.schema.json"
        if not schema.exists():
            return "a type that is not published here"
        check = Draft202012Validator({"$ref": schema.as_uri()}, registry=self._registry)
        return next((error.message for error in check.iter_errors(event)), None)


async def consume(
    bootstrap_servers: str,
    topic: str,
    group: str,
    timelines: Timelines,
    *,
    once: bool,
    published: Published | None = None,
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
                if published and (complaint := published.complaint(event)):
                    print(f"{event['id']} is not as published: {complaint}", flush=True)
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
    schemas: Annotated[Path | None, typer.Option(help="docs/events: hold events to them.")] = None,
) -> None:
    """Print the timeline of every application as it happens; Ctrl-C ends it."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    at = json.loads(endpoints.read_text("utf-8"))
    timelines = Timelines(database or endpoints.with_name("timelines.sqlite3"))
    try:
        published = Published(schemas) if schemas else None
        taken = asyncio.run(
            consume(at["kafka"], at["topic"], group, timelines, once=once, published=published)
        )
        print(f"{taken} records")
    except KeyboardInterrupt:
        pass
    finally:
        timelines.close()


if __name__ == "__main__":
    typer.run(main)
