"""Moving an application: its state, its audit row and its event, in one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adapters.postgres.database import Transaction
from models.domain.application import TERMINAL_STATES, Stage, State
from models.domain.errors import Conflict, InvariantViolated

SYSTEM = "system"


async def move(
    tx: Transaction,
    application_id: str,
    stage: Stage,
    state: State,
    action: str,
    *,
    actor: str = SYSTEM,
    reasons: Sequence[str] | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Set stage and state and record `action`; `reasons` are kept unless given.

    A terminal state is final: moving away from it raises Conflict APPLICATION_CLOSED.
    """
    moved = await tx.execute(
        "UPDATE applications SET stage = $3, state = $4, reasons = COALESCE($5, reasons),"
        " version = version + 1, updated_at = clock_timestamp()"
        " WHERE tenant_id = $1 AND application_id = $2 AND NOT (state = ANY($6::text[]))",
        tx.tenant_id, application_id, stage, state,
        None if reasons is None else list(reasons), [each.value for each in TERMINAL_STATES],
    )  # fmt: skip
    if not moved:
        raise Conflict("APPLICATION_CLOSED", application_id)
    await tx.record(
        actor,
        action,
        application_id,
        {"stage": stage, "state": state, "reasons": list(reasons or ()), **(detail or {})},
        key=application_id,
    )


async def state_of(tx: Transaction, application_id: str) -> State:
    """The application's state, its row locked until the transaction ends."""
    state = await tx.value(
        "SELECT state FROM applications WHERE tenant_id = $1 AND application_id = $2 FOR UPDATE",
        tx.tenant_id, application_id,
    )  # fmt: skip
    if state is None:
        raise InvariantViolated("APPLICATION_ABSENT", application_id)
    return State(state)
