"""One name from the caller's header through Temporal to a worker's log and a vendor's request."""

from __future__ import annotations

import json
import secrets

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client

from adapters.correlation import HEADER
from models.domain.ids import application_workflow_id
from tests.e2e.outside import World, eventually

pytestmark = pytest.mark.stack


async def test_a_name_travels_with_an_application(world: World, temporal: Client) -> None:
    name = f"order-{secrets.token_hex(8)}"
    person = world.person()
    headers = {
        **person.headers(),
        "Idempotency-Key": secrets.token_hex(8),
        "X-Correlation-ID": name,
    }
    answer = await world.http.post(
        "/api/v1/applications", json=person.application_body(), headers=headers
    )
    assert answer.status_code == 202, answer.text
    assert answer.headers["x-correlation-id"] == name
    application_id = answer.json()["application_id"]
    await world.until(person, application_id, "offered")
    tenant = str(person.data["tenant"])

    carried: list[Payload] = []
    handle = temporal.get_workflow_handle(application_workflow_id(tenant, application_id))
    async for event in handle.fetch_history_events():
        for attributes in (
            event.workflow_execution_started_event_attributes,
            event.activity_task_scheduled_event_attributes,
            event.start_child_workflow_execution_initiated_event_attributes,
        ):
            if HEADER in attributes.header.fields:
                carried.append(attributes.header.fields[HEADER])
    assert len(carried) >= 3  # the start, an activity, a child at least
    assert {payload.data.decode().split()[0] for payload in carried} == {f'"{name}'}

    async def worker_said_so() -> bool:
        return any(
            json.loads(line).get("correlation_id") == name
            for log in world.stack.state_dir.glob("logs/worker-*.log")
            for line in log.read_text("utf-8").splitlines()
            if name in line and line.startswith("{")
        )

    await eventually("a worker's log names the request", worker_said_so)
