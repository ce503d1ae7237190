"""What operators read: tables for people, JSON lines for programs; nothing personal in either."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from adapters.operations.examining import Examined, Picture, WorkflowPicture
from adapters.operations.resetting import ResetPlan
from adapters.operations.retrying import Recovery, Retried
from models.domain.operations import PendingStep, Trouble

# A pipe has no width of its own, and ids must not be cut.
_PIPE_WIDTH = 200
_STYLE = {
    Recovery.RECOVERED: "green",
    Recovery.NOT_RECOVERED: "red",
    Recovery.NOT_STUCK: "dim",
}


def console() -> Console:
    """Where everything is printed."""
    known = Console()
    return known if known.is_terminal else Console(width=_PIPE_WIDTH)


def json_line(document: Mapping[str, Any]) -> str:
    """One JSON document on one line."""
    return json.dumps(document, default=_plain)


def listed(examined: Examined) -> dict[str, Any]:
    """An application as `list --json` has it."""
    application = examined.application
    return {
        "tenant_id": application.ref.tenant_id,
        "application_id": application.ref.application_id,
        "user_id": application.ref.user_id,
        "stage": application.stage,
        "state": application.state,
        "reasons": application.reasons,
        "created_at": application.created_at,
        "updated_at": application.updated_at,
        "stuck": [_trouble(each) for each in examined.troubles],
    }


def print_list(out: Console, found: Sequence[Examined]) -> None:
    """A table of applications."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("application", "tenant", "user", "stage", "state", "since (UTC)", "stuck"):
        table.add_column(name, overflow="fold")
    for each in found:
        application = each.application
        table.add_row(
            application.ref.application_id,
            application.ref.tenant_id,
            application.ref.user_id,
            application.stage,
            application.state,
            f"{application.updated_at:%F %T}",
            escape("; ".join(_why(trouble) for trouble in each.troubles)),
        )
    out.print(table)
    out.print(f"{len(found)} application(s)")


def picture(shown: Picture) -> dict[str, Any]:
    """An application as `show --json` has it."""
    return {
        **listed(shown.examined),
        "records": shown.records,
        "workflows": [_workflow(each) for each in shown.workflows],
    }


def print_picture(out: Console, shown: Picture) -> None:
    """Everything about one application, record by record and workflow by workflow."""
    document = picture(shown)
    for name in ("application_id", "tenant_id", "user_id", "stage", "state", "reasons"):
        out.print(f"{name:16}{escape(_text(document[name]))}")
    for name in ("created_at", "updated_at"):
        out.print(f"{name:16}{_text(document[name])}")
    for trouble in shown.examined.troubles:
        out.print(f"[red]stuck[/red]           {escape(_why(trouble))}")
    for title, rows in shown.records.items():
        out.print(f"\n[bold]{title}[/bold]")
        for row in rows:
            told = (f"{name}={_text(value)}" for name, value in row.items() if value is not None)
            out.print("  " + escape("  ".join(told)), soft_wrap=True)
    for each in shown.workflows:
        _print_workflow(out, each)


def plan(planned: ResetPlan) -> dict[str, Any]:
    """A reset as `reset --json` has it."""
    document = dataclasses.asdict(planned)
    return {**document.pop("ref"), **document}


def print_plan(out: Console, planned: ResetPlan) -> None:
    """What a reset would do, step by step."""
    out.print(
        f"Reset of {planned.ref.application_id} to {planned.checkpoint}: back to"
        f" {planned.back_to:%F %T} UTC (event {planned.task_id})."
    )
    for note in planned.notes:
        out.print(f"  {escape(note)}")
    for again in planned.again:
        mark = "[yellow]skips[/yellow]" if again.skipped else "runs "
        out.print(f"  {mark}  {again.name}: {escape(again.words)}", soft_wrap=True)
    for child in planned.children:
        out.print(f"  open   {escape(child)}", soft_wrap=True)


def retried(result: Retried) -> dict[str, Any]:
    """A retry as `retry --json` has it."""
    return {
        "tenant_id": result.ref.tenant_id,
        "application_id": result.ref.application_id,
        "outcome": result.recovery,
        "stuck": [_trouble(each) for each in result.stuck],
        "did": result.did,
        "reason": result.reason,
    }


def print_retried(out: Console, result: Retried) -> None:
    """One application's retry on one line."""
    style = _STYLE[result.recovery]
    words = result.recovery.replace("_", " ")
    did = f" ({', '.join(result.did)})" if result.did else ""
    out.print(
        f"{result.ref.application_id}  [{style}]{words}[/{style}]  {escape(result.reason + did)}",
        soft_wrap=True,
    )


def _print_workflow(out: Console, shown: WorkflowPicture) -> None:
    standing = shown.standing
    out.print(f"\n[bold]{escape(standing.workflow_id)}[/bold]", soft_wrap=True)
    out.print(f"  {standing.status}, {standing.events} events, run {standing.run_id}")
    if shown.says:
        out.print(f"  says: {escape(shown.says)}", soft_wrap=True)
    if standing.failure:
        out.print(f"  failed: {escape(_failure(standing.failure))}", soft_wrap=True)
    for step in standing.steps:
        out.print(f"  pending: {escape(_step(step))}", soft_wrap=True)
    for timer in shown.timers:
        out.print(f"  timer until {timer.due_at:%F %T} UTC")


def _workflow(shown: WorkflowPicture) -> dict[str, Any]:
    return {
        **dataclasses.asdict(shown.standing),
        "says": shown.says,
        "timers": [timer.due_at for timer in shown.timers],
    }


def _trouble(trouble: Trouble) -> dict[str, Any]:
    return {
        "condition": trouble.condition,
        "workflow_id": trouble.workflow_id,
        "step": trouble.step.name if trouble.step else None,
        "words": trouble.words,
        "failure": dataclasses.asdict(trouble.failure) if trouble.failure else None,
    }


def _why(trouble: Trouble) -> str:
    return f"{trouble.words}: {trouble.failure}" if trouble.failure else trouble.words


def _failure(failure: Any) -> str:
    return f"{failure.code} ({failure.words})" if failure.words else failure.code


def _step(step: PendingStep) -> str:
    state = "paused" if step.paused else "running" if step.running else "waiting"
    words = f"{step.name}, attempt {step.attempt}, {state}"
    if step.next_attempt_at:
        words += f", next at {step.next_attempt_at:%T}"
    return f"{words}, last failure: {step.failure}" if step.failure else words


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%F %T} UTC"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
