"""What one loan leaves in Temporal, in logs and in rows: few events, plain words, no clear data."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client

from adapters.temporal import connect
from adapters.vault import Keyring
from models.domain.correlation import Correlation
from tests.e2e.outside import Loan, World, eventually

pytestmark = pytest.mark.stack

MAX_EVENTS_APPLICATION, MAX_EVENTS_ALL = 50, 100
LOCAL_ACTIVITY_NOTE = {
    "seq", "attempt", "activity_id", "activity_type", "complete_time", "backoff",
    "original_schedule_time", "activation_index",
}  # fmt: skip


async def test_the_servers_count_of_events_is_within_the_budget(
    loan: Loan, temporal: Client, record_property: Any
) -> None:
    counts = {}
    for workflow_id in loan.workflow_ids():
        handle = temporal.get_workflow_handle(workflow_id)
        counts[workflow_id.partition("/")[0]] = len(
            [event async for event in handle.fetch_history_events()]
        )
    record_property("history_events", json.dumps(counts))
    print("history events:", counts, "together", sum(counts.values()))
    assert 0 < counts["credit-application"] <= MAX_EVENTS_APPLICATION, counts
    assert sum(counts.values()) <= MAX_EVENTS_ALL, counts


async def test_payloads_in_history_are_encrypted(loan: Loan, temporal: Client) -> None:
    for workflow_id in loan.workflow_ids():
        handle = temporal.get_workflow_handle(workflow_id)
        payloads = [
            payload async for event in handle.fetch_history_events() for payload in _payloads(event)
        ]
        encrypted = [each for each in payloads if each.metadata["encoding"] == b"binary/encrypted"]
        assert encrypted, workflow_id
        key_ids = {each.metadata["key-id"].partition(b"/")[2] for each in encrypted}
        assert key_ids == {loan.tenant.encode()}
        # The SDK's own note on a local activity is bookkeeping: its name and when it ran. A
        # request's name, which says nothing about anybody, is there to be found by.
        readable = [json.loads(each.data) for each in payloads if each not in encrypted]
        notes = [each for each in readable if isinstance(each, dict)]
        assert set().union(*notes) <= LOCAL_ACTIVITY_NOTE
        names = [each for each in readable if each not in notes]
        assert all(isinstance(each, str) and Correlation.parse(each) for each in names)


async def test_nobodys_data_lies_about_in_the_clear(world: World, loan: Loan) -> None:
    state = world.stack.state_dir
    places = {
        str(path.relative_to(state)): path.read_bytes()
        for pattern in ("temporal/temporal.db*", "logs/*.log")
        for path in state.glob(pattern)
    }
    for table in await world.truth.tables():
        rows = await world.truth.rows(f"SELECT t::text AS row FROM {table} t")
        places[f"table {table}"] = "\n".join(row["row"] for row in rows).encode()
    # The search finds what is there: ids, in every place that knows the application.
    knows = [place for place, content in places.items() if loan.application_id.encode() in content]
    assert any(place.startswith("temporal/") for place in knows)
    assert {"table applications", "table audit_log", "table outbox"} <= set(knows)
    for canary in loan.stated:
        for spelling in _spellings(canary):
            found = [place for place, content in places.items() if spelling in content]
            assert found == [], (canary, spelling)


async def test_support_staff_find_and_read_a_workflow(
    world: World, loan: Loan, temporal: Client
) -> None:
    async def funded() -> list[str]:
        query = f"CaasTenant = '{loan.tenant}' AND CaasState = 'funded'"
        return [workflow.id async for workflow in temporal.list_workflows(query)]

    # What is searched follows what happened.
    found = await eventually("the funded application is found", funded)
    assert found == [f"credit-application/{loan.tenant}/{loan.application_id}"]

    keys = json.loads(world.stack.environment()["CAAS_MASTER_KEYS"])
    keyring = Keyring({version: base64.b64decode(key) for version, key in keys.items()})
    address, namespace = world.stack.temporal.address, world.stack.temporal.namespace
    reader = await connect(address, namespace, keyring)
    words = {}
    for workflow_id in loan.workflow_ids():
        metadata = await reader.get_workflow_handle(workflow_id).query(
            "__temporal_workflow_metadata", result_type=WorkflowMetadata
        )
        words[workflow_id.partition("/")[0]] = metadata.current_details
    assert words["credit-application"] == "Ended as funded."
    assert words["kyc"].startswith("Identity verified; valid until ")
    assert loan.view["loan"]["loan_id"] in words["settlement"]
    description = await reader.get_workflow_handle(loan.workflow_ids()[0]).describe()
    assert await description.static_summary() == f"Credit application {loan.application_id}"


def _payloads(message: Message) -> Iterator[Payload]:
    """Every payload within a protobuf message, but search attributes: those are for searching."""
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.name == "search_attributes" or field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            for each in value.values():
                if isinstance(each, Message):
                    yield from _payloads(each)
        elif isinstance(value, Message):
            yield from _payloads(value)
        else:
            for each in value:
                yield from _payloads(each)


def _spellings(text: str) -> set[bytes]:
    """A text as it might lie in a file: plain, escaped, hexadecimal, base64 at each alignment."""
    raw = text.encode()
    spellings = {raw, raw.lower(), raw.upper(), raw.hex().encode(), raw.hex().upper().encode()}
    spellings |= {quote(text).encode(), quote(text, safe="").encode(), text.encode("utf-16-le")}
    spellings.add(json.dumps(text).strip('"').encode())
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw)
        # Only characters that depend on nothing but the text itself.
        start, end = -(-shift * 8 // 6), (shift + len(raw)) * 8 // 6
        spellings |= {encoded[start:end], encoded[start:end].translate(_URL_SAFE)}
    return spellings


_URL_SAFE = bytes.maketrans(b"+/", b"-_")
