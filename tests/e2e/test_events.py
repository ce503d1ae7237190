"""After a loan, the topic and the sealed trail tell the whole story, each thing once."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from sandbox.demo import endpoints
from sandbox.services.kafka import PARTITIONS
from settings import ROOT
from tests.e2e.outside import Loan, World, eventually
from tests.event_schemas import undescribed, violations, wrong_data

pytestmark = pytest.mark.stack


async def outbox(world: World, tenant: str) -> list[dict[str, Any]]:
    """A tenant's events, once all of them are published."""

    async def published() -> list[dict[str, Any]]:
        rows = await world.truth.rows(
            "SELECT * FROM outbox WHERE tenant_id = $1 ORDER BY seq", tenant
        )
        return rows if rows and all(row["published_at"] for row in rows) else []

    found: list[dict[str, Any]] = await eventually("every event is published", published)
    return found


async def topic(world: World, tenant: str) -> list[Any]:
    """A tenant's records, in order within each partition."""
    broker = world.stack.kafka
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.address, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = [TopicPartition(broker.topic, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        records: list[Any] = []
        while len(records) < sum(ends.values()):
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                records += batch
        return [each for each in records if json.loads(each.value)["tenant"] == tenant]
    finally:
        await consumer.stop()


async def test_every_event_reaches_the_topic_in_its_keys_order(world: World, loan: Loan) -> None:
    rows = await outbox(world, loan.tenant)
    records = await topic(world, loan.tenant)
    envelopes = [json.loads(record.value) for record in records]
    assert [each for envelope in envelopes for each in violations(envelope)] == []
    assert [each for envelope in envelopes for each in untold(envelope)] == []
    told = {row["event_id"]: row for row in rows}
    assert {each["id"] for each in envelopes} == set(told)
    for record, envelope in zip(records, envelopes, strict=True):
        row = told[envelope["id"]]
        assert record.key.decode() == row["key"]
        assert dict(record.headers)["event-id"].decode() == row["event_id"]
        assert (envelope["type"], envelope["data"]) == (row["type"], row["data"])
        assert int(envelope["sequence"]) == row["seq"]
    for key in {row["key"] for row in rows}:
        # What came twice counts where it came first.
        of_key = [each["id"] for each in envelopes if told[each["id"]]["key"] == key]
        in_order = [row["event_id"] for row in rows if row["key"] == key]
        assert list(dict.fromkeys(of_key)) == in_order
        assert len({r.partition for r in records if r.key.decode() == key}) == 1


def untold(envelope: dict[str, Any]) -> list[str]:
    return undescribed(envelope["type"], envelope["data"])


async def test_whatever_was_told_so_far_is_as_published(world: World, loan: Loan) -> None:
    """Events of all the tests that used this stack before, whichever they were."""
    rows = await world.truth.rows(
        "SELECT DISTINCT ON (type, md5((SELECT string_agg(k, ',' ORDER BY k)"
        " FROM jsonb_object_keys(data) AS k))) type, data FROM outbox LIMIT 1000"
    )
    assert len(rows) > 10
    assert [line for row in rows for line in wrong_data(row["type"], row["data"])] == []


async def test_the_consumer_example_tells_the_loans_story_once(
    world: World, loan: Loan, tmp_path: Path
) -> None:
    rows = await outbox(world, loan.tenant)
    file, database = tmp_path / "endpoints.json", tmp_path / "timelines.sqlite3"
    file.write_text(json.dumps(endpoints(world.stack)))
    code, said = await run(
        [
            "-m", "sandbox.consumer_example", "--once", "--endpoints", str(file),
            "--database", str(database), "--group", f"test-{loan.tenant}",
            "--schemas", str(ROOT / "docs/events"),
        ],
        {},
    )  # fmt: skip
    assert code == 0, said
    assert sum(loan.tenant in line for line in said.splitlines()) == len(rows)
    assert "is not as published" not in said
    connection = sqlite3.connect(database)
    taken, distinct = connection.execute(
        "SELECT count(*), count(DISTINCT tenant || subject || sequence) FROM timeline"
        " WHERE tenant = ?",
        (loan.tenant,),
    ).fetchone()
    story = connection.execute(
        "SELECT type FROM timeline WHERE subject = ? ORDER BY sequence", (loan.application_id,)
    ).fetchall()
    connection.close()
    assert taken == distinct == len(rows)
    assert [each[0] for each in story] == [
        row["type"] for row in rows if row["data"]["subject_id"] == loan.application_id
    ]


async def test_the_trail_of_a_loan_is_sealed_and_verified_by_the_command(
    world: World, loan: Loan, tmp_path: Path
) -> None:
    async def is_sealed() -> bool:
        return not await world.truth.value(
            "SELECT count(*) FROM audit_log a WHERE tenant_id = $1 AND NOT EXISTS"
            " (SELECT FROM audit_seals s WHERE s.tenant_id = a.tenant_id AND audit_seq = a.seq)",
            loan.tenant,
        )

    await eventually("every audit row is sealed", is_sealed)
    environment = world.stack.environment()
    code, exported = await run(["cli.py", "audit", "head", "--tenant", loan.tenant], environment)
    assert code == 0
    [head] = json.loads(exported)
    rows = await world.truth.value(
        "SELECT count(*) FROM audit_log WHERE tenant_id = $1", loan.tenant
    )
    assert head["position"] == rows
    file = tmp_path / "head.json"
    command = ["cli.py", "audit", "verify", "--tenant", loan.tenant, "--head", str(file)]
    # Sound as far as it goes; but one row is said to have been sealed that is not there.
    file.write_text(json.dumps([{**head, "position": rows + 1}]))
    code, said = await run(command, environment)
    assert (code, "HEAD_MISSING" in said) == (1, True), said
    assert f"{rows} rows verified, 0 not sealed yet" in said


async def run(arguments: list[str], environment: Mapping[str, str]) -> tuple[int | None, str]:
    """A command's code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=ROOT, env={**environment},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode, out.decode() or err.decode()
