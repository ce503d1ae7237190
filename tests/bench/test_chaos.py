"""What a chaos run decides and computes: the schedule of a seed, recovery times, resumed soaks."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from bench.chaos.__main__ import _keep, _resumed
from bench.chaos.recovery import Gap, percentile, recovery_of
from bench.chaos.schedule import BEHAVIOURS, KINDS, PERSONAS, draw
from bench.chaos.supervisor import Death
from bench.client_log import ClientLog
from bench.invariants.evidence import Tally, once_each
from sandbox.counterparties.steering import Directives
from sandbox.persona import persona_names

KILLED_AT = 1_000.0


def test_a_seed_decides_everything() -> None:
    assert draw("a", 50, 30) == draw("a", 50, 30)
    assert draw("a", 50, 30) != draw("b", 50, 30)


def test_every_persona_and_every_kind_of_fault_has_its_turn() -> None:
    schedule = draw("any", 40, 25)
    assert {arrival.persona for arrival in schedule.arrivals} == set(PERSONAS)
    assert {fault.kind for fault in schedule.faults} == set(KINDS)
    assert len({(each.tenant, each.user_id) for each in schedule.arrivals}) == 40


def test_a_short_run_has_as_much_as_was_asked_for() -> None:
    schedule = draw("any", 3, 2)
    assert (len(schedule.arrivals), len(schedule.faults)) == (3, 2)


def test_every_persona_is_told() -> None:
    assert set(PERSONAS) == set(persona_names())


@pytest.mark.parametrize(
    "told", [each for several in BEHAVIOURS.values() for each in several], ids=str
)
def test_counterparties_understand_what_they_are_told(told: dict[str, object]) -> None:
    Directives.model_validate(told)


@pytest.mark.parametrize(
    ("values", "share", "is_"),
    [
        ([], 0.99, None),
        ([3.0], 0.5, 3.0),
        ([4.0, 1.0, 3.0, 2.0], 0.5, 2.0),
        ([4.0, 1.0, 3.0, 2.0], 0.99, 4.0),
        (list(range(1, 201)), 0.99, 198),
    ],
)
def test_percentiles_are_nearest_rank(values: list[float], share: float, is_: float | None) -> None:
    assert percentile(values, share) == is_


def event(kind: str, at_s: float, **attributes: object) -> HistoryEvent:
    made = HistoryEvent(event_type=EventType.Value(f"EVENT_TYPE_{kind}"))
    made.event_time.FromMicroseconds(int(at_s * 1e6))
    if kind == "WORKFLOW_TASK_STARTED":
        made.workflow_task_started_event_attributes.identity = str(attributes["by"])
    if kind == "ACTIVITY_TASK_SCHEDULED":
        made.event_id = int(str(attributes["number"]))
        made.activity_task_scheduled_event_attributes.SetInParent()
    if kind == "ACTIVITY_TASK_STARTED":
        started = made.activity_task_started_event_attributes
        started.scheduled_event_id = int(str(attributes["number"]))
        started.last_failure.timeout_failure_info.SetInParent()
    return made


def test_recovery_is_counted_from_the_kill_to_the_next_taking_up() -> None:
    death = Death("worker-workflows", 7, KILLED_AT, KILLED_AT + 2.5)
    events = [
        event("WORKFLOW_TASK_STARTED", 999.0, by="7@host"),
        event("WORKFLOW_TASK_TIMED_OUT", 1_004.0),
        event("WORKFLOW_TASK_STARTED", 1_004.5, by="8@host"),
        event("ACTIVITY_TASK_SCHEDULED", 999.5, number=5),
        event("ACTIVITY_TASK_STARTED", 1_007.0, number=5),
        event("ACTIVITY_TASK_SCHEDULED", 1_008.0, number=6),
        event("ACTIVITY_TASK_STARTED", 1_020.0, number=6),
    ]
    execution = SimpleNamespace(history=SimpleNamespace(events=events))
    recovery = recovery_of([death], [execution])  # type: ignore[list-item]
    assert recovery.polled == (Gap(2.5, beside_an_outage=False),)
    assert recovery.resumed == (
        Gap(4.5, beside_an_outage=False),
        Gap(7.0, beside_an_outage=False),
    )


@pytest.mark.parametrize(
    ("down_s", "up_s", "beside"),
    [
        (-5.0, -1.0, False),
        (-5.0, 1.0, True),
        (1.0, 9.0, True),
        (1.0, None, True),
        (3.0, 4.0, False),
    ],
)
def test_a_recovery_beside_an_outage_is_told_apart(
    down_s: float, up_s: float | None, beside: bool
) -> None:
    up_at = None if up_s is None else KILLED_AT + up_s
    deaths = [
        Death("worker-chain", 7, KILLED_AT, KILLED_AT + 2.5),
        Death("temporal", 8, KILLED_AT + down_s, up_at),
    ]
    recovery = recovery_of(deaths, [])
    assert recovery.polled == (Gap(2.5, beside_an_outage=beside),)
    figures = recovery.figures()
    assert (figures["polled_p99_s"], figures["polled_all_p99_s"]) == (None if beside else 2.5, 2.5)


def test_a_task_lost_before_the_kill_is_no_recovery() -> None:
    events = [
        event("WORKFLOW_TASK_STARTED", 900.0, by="7@host"),
        event("WORKFLOW_TASK_TIMED_OUT", 905.0),
        event("WORKFLOW_TASK_STARTED", 905.5, by="8@host"),
    ]
    execution = SimpleNamespace(history=SimpleNamespace(events=events))
    deaths = [Death("worker-chain", 7, KILLED_AT)]
    assert recovery_of(deaths, [execution]).resumed == ()  # type: ignore[list-item]


def test_a_task_somebody_else_held_is_no_recovery() -> None:
    events = [
        event("WORKFLOW_TASK_STARTED", 999.0, by="9@host"),
        event("WORKFLOW_TASK_TIMED_OUT", 1_004.0),
        event("WORKFLOW_TASK_STARTED", 1_004.5, by="8@host"),
    ]
    execution = SimpleNamespace(history=SimpleNamespace(events=events))
    deaths = [Death("worker-chain", 7, KILLED_AT), Death("api", 9, KILLED_AT)]
    assert recovery_of(deaths, [execution]).resumed == ()  # type: ignore[list-item]


def test_an_interrupted_soak_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    state = _resumed(path, 1_000, 100, "x")
    state["reports"].append({"applications": 500})
    _keep(path, state)
    assert _resumed(path, 1_000, 100, "")["reports"] == [{"applications": 500}]
    assert _resumed(path, 1_000, 100, "x")["reports"] == [{"applications": 500}]
    assert _resumed(path, 1_000, 99, "x")["reports"] == []


async def test_a_client_writes_down_what_it_was_answered(tmp_path: Path) -> None:
    log = ClientLog(tmp_path / "client.jsonl")
    claims = base64.urlsafe_b64encode(json.dumps({"tenant": "east"}).encode()).decode().rstrip("=")
    transport = httpx.MockTransport(lambda _: httpx.Response(202, json={"taken": True}))
    hooks = {"response": [log.heard]}
    async with httpx.AsyncClient(
        base_url="http://api", transport=transport, event_hooks=hooks
    ) as client:
        headers = {"Authorization": f"Bearer h.{claims}.s"}
        await client.post("/x", headers={**headers, "Idempotency-Key": "k"})
        await client.get("/x", headers=headers)
    log.close()
    [line] = map(json.loads, (tmp_path / "client.jsonl").read_text().splitlines())
    assert (line["tenant"], line["route"], line["key"]) == ("east", "POST /x", "k")
    assert line["status"] == 202


def test_a_tally_counts_looks_and_violations() -> None:
    tally = Tally()
    once_each(tally, {"a": 1, "b": 2}, "twice:")
    assert (tally.checked, tally.violations, tally.examples) == (2, 1, ["twice: b 2 times"])
