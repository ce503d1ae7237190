"""Reads the evidence of a stack that has come to rest; changes nothing anywhere."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client, WorkflowExecution

from adapters.temporal import connect
from adapters.vault import Keyring
from bench.invariants.chain_evidence import read_chain
from bench.invariants.evidence import Evidence, Execution, Probe, Row
from bench.invariants.topic_evidence import read_topic
from models.domain.routing import CHAIN_QUEUE, SCORING_QUEUE, WORKFLOWS_QUEUE
from sandbox.access import Access
from sandbox.counterparties.issuer import SandboxIssuer

# Ciphertexts say nothing to a checker, and are most of the bytes.
_SEALED: Final = ("sealed_", "wrapped_key")
_HISTORIES_AT_ONCE: Final = 8
_PROBES_AT_ONCE: Final = 16
# Every id is tried with the tokens of so many other tenants.
_FOREIGNERS: Final = 2
OUTSIDER: Final = "nobodys-tenant"


async def gather(access: Access) -> Evidence:
    """Everything, read once; the database in one snapshot."""
    async with httpx.AsyncClient(trust_env=False, timeout=60.0) as http:
        tables = await read_tables(access.database)
        lenders = {row["lender"] for row in tables["settlements"]}
        chain = await read_chain(http, access, lenders)
        executions, backlog = await _read_temporal(access)
        return Evidence(
            tables=tables,
            chain=chain,
            executions=executions,
            journals={name: read_lines(Path(path)) for name, path in access.journals.items()},
            client=read_lines(Path(access.client_log)),
            probes=await _probe(http, access, tables),
            backlog=backlog,
            taken_at=time.time(),
            topic=await read_topic(access),
        )


async def read_tables(dsn: str) -> dict[str, list[Row]]:
    """Every table of ours as the superuser sees it, in one snapshot, without ciphertexts."""
    connection: Any = await asyncpg.connect(dsn)
    try:
        await connection.set_type_codec(
            "jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads
        )
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            columns = await connection.fetch(
                "SELECT c.table_name, c.column_name FROM information_schema.columns c"
                " JOIN information_schema.tables t USING (table_schema, table_name)"
                " WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'"
                " ORDER BY c.table_name, c.ordinal_position"
            )
            wanted: dict[str, list[str]] = {}
            for row in columns:
                name = row["column_name"]
                if not name.startswith(_SEALED) or name.endswith("_at"):
                    wanted.setdefault(row["table_name"], []).append(name)
            tables = {}
            for table, names in wanted.items():
                order = " ORDER BY seq" if "seq" in names else ""
                if table == "audit_log":  # what its seal was computed from, to the byte
                    names.append("detail::text AS detail_text")
                rows = await connection.fetch(f"SELECT {', '.join(names)} FROM {table}{order}")
                tables[table] = [dict(row) for row in rows]
            return tables
    finally:
        await connection.close()


def read_lines(path: Path) -> list[Row]:
    """The whole lines of a journal; a last one without its end was never meant."""
    if not path.exists():
        return []
    content = path.read_bytes()
    return [json.loads(line) for line in content[: content.rfind(b"\n") + 1].splitlines()]


async def client_of(access: Access) -> Client:
    """A client that can read what the workflows were given and answered."""
    keyring = Keyring(
        {version: base64.b64decode(key) for version, key in access.master_keys.items()}
    )
    return await connect(access.temporal, access.namespace, keyring)


async def _read_temporal(access: Access) -> tuple[list[Execution], dict[str, int]]:
    client = await client_of(access)
    found = [each async for each in client.list_workflows()]
    gate = asyncio.Semaphore(_HISTORIES_AT_ONCE)

    async def read(seen: WorkflowExecution) -> Execution:
        async with gate:
            return await _execution(client, seen)

    executions = await asyncio.gather(*(read(each) for each in found))
    backlog = {}
    for queue in (WORKFLOWS_QUEUE, SCORING_QUEUE, CHAIN_QUEUE):
        backlog[queue] = sum([await _depth(client, queue, kind) for kind in _KINDS])
    return list(executions), backlog


_KINDS: Final = (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)


async def _depth(client: Client, queue: str, kind: TaskQueueType.ValueType) -> int:
    described = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=kind,
            report_stats=True,
        )
    )
    return int(described.stats.approximate_backlog_count)


async def _execution(client: Client, seen: WorkflowExecution) -> Execution:
    handle = client.get_workflow_handle(seen.id, run_id=seen.run_id)
    history = await handle.fetch_history()
    ended = history.events[-1].workflow_execution_completed_event_attributes
    payloads = list(ended.result.payloads)
    result = (await client.data_converter.decode(payloads))[0] if payloads else None
    status = seen.status.name if seen.status else "UNKNOWN"
    return Execution(seen.id, seen.run_id, seen.workflow_type, status, result, history)


async def _probe(
    http: httpx.AsyncClient, access: Access, tables: dict[str, list[Row]]
) -> list[Probe]:
    """Ask for every application with tokens of tenants it does not belong to."""
    issuer = SandboxIssuer.load(Path(access.issuer_dir))
    ids = [
        (row["tenant_id"], f"/api/v1/applications/{row['application_id']}")
        for row in tables["applications"]
    ]
    tenants = sorted({tenant for tenant, _ in ids} | {OUTSIDER})
    gate = asyncio.Semaphore(_PROBES_AT_ONCE)
    tokens = {each: issuer.token("prober", each, ["support"]) for each in tenants}

    async def ask(tenant: str, owner: str, path: str) -> Probe:
        async with gate:
            headers = {"Authorization": f"Bearer {tokens[tenant]}"}
            answer = await http.get(access.api + path, headers=headers)
            return Probe(tenant, owner, path, answer.status_code)

    asked = []
    for position, (owner, path) in enumerate(ids):
        others = [each for each in tenants if each != owner]
        for step in range(min(_FOREIGNERS, len(others))):
            asked.append(ask(others[(position + step) % len(others)], owner, path))
    return list(await asyncio.gather(*asked))
