"""Temporal as support staff need it: where workflows stand, and the calls that move them on."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState, ResetReapplyType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import (
    ResetActivityRequest,
    ResetWorkflowExecutionRequest,
    UnpauseActivityRequest,
)
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowHistory,
    WorkflowHistoryEventFilterType,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.service import RPCError, RPCStatusCode

from adapters.operations.failures import failure_of
from models.domain.errors import NotFound, Unavailable
from models.domain.operations import (
    BROKEN_STATUSES,
    Failure,
    PendingStep,
    WorkflowStanding,
    WorkflowStatus,
)

RPC_TIMEOUT: Final = timedelta(seconds=5)
# Current details are asked of a worker; where none runs, support staff should not wait for it.
QUERY_TIMEOUT: Final = timedelta(seconds=2)
IDENTITY: Final = "caas-cli"

_METADATA: Final = "__temporal_workflow_metadata"
_RUNNING: Final = (
    PendingActivityState.PENDING_ACTIVITY_STATE_STARTED,
    PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED,
)


class TemporalDesk:
    """Looks at workflows by business id and moves them on; payloads pass through the codec."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def standing(self, workflow_id: str) -> WorkflowStanding:
        """The workflow as it stands now; one of status `absent` where there is none."""
        try:
            async with _reachable():
                described = await self._client.get_workflow_handle(workflow_id).describe(
                    rpc_timeout=RPC_TIMEOUT
                )
        except NotFound:
            return WorkflowStanding(workflow_id, "", WorkflowStatus.ABSENT)
        return await self._standing(workflow_id, described)

    async def standings(self, workflow_ids: Iterable[str]) -> dict[str, WorkflowStanding]:
        """Several workflows by id."""
        return {each: await self.standing(each) for each in workflow_ids}

    async def details(self, workflow_id: str) -> str | None:
        """What the workflow itself says about where it stands; None if no worker answers."""
        handle = self._client.get_workflow_handle(workflow_id)
        try:
            told: WorkflowMetadata = await handle.query(
                _METADATA, result_type=WorkflowMetadata, rpc_timeout=QUERY_TIMEOUT
            )
        except (RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError):
            return None
        return told.current_details or None

    async def history(self, workflow_id: str, run_id: str | None = None) -> WorkflowHistory:
        """All events of a run, the newest by default; NotFound if Temporal has none (any more)."""
        async with _reachable():
            return await self._client.get_workflow_handle(
                workflow_id, run_id=run_id or None
            ).fetch_history(rpc_timeout=RPC_TIMEOUT)

    async def hurry(self, workflow_id: str, run_id: str, step: PendingStep) -> None:
        """Let a pending step run now, with its attempts counted from one; unpause it if paused."""
        at = WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
        namespace, service = self._client.namespace, self._client.workflow_service
        async with _reachable():
            if step.paused:
                await service.unpause_activity(
                    UnpauseActivityRequest(
                        namespace=namespace,
                        execution=at,
                        id=step.activity_id,
                        reset_attempts=True,
                        identity=IDENTITY,
                    ),
                    timeout=RPC_TIMEOUT,
                )
            else:
                await service.reset_activity(
                    ResetActivityRequest(
                        namespace=namespace,
                        execution=at,
                        id=step.activity_id,
                        identity=IDENTITY,
                    ),
                    timeout=RPC_TIMEOUT,
                )

    async def take_back(self, workflow_id: str, run_id: str, task_id: int, reason: str) -> str:
        """Begin a new run that goes on from a workflow task of this one; returns its run id.

        Signals and updates that came after that point are delivered to the new run again.
        """
        async with _reachable():
            answer = await self._client.workflow_service.reset_workflow_execution(
                ResetWorkflowExecutionRequest(
                    namespace=self._client.namespace,
                    workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
                    reason=reason,
                    workflow_task_finish_event_id=task_id,
                    request_id=str(uuid.uuid4()),
                    reset_reapply_type=ResetReapplyType.RESET_REAPPLY_TYPE_ALL_ELIGIBLE,
                    identity=IDENTITY,
                ),
                timeout=RPC_TIMEOUT,
            )
        return answer.run_id

    async def _standing(
        self, workflow_id: str, described: WorkflowExecutionDescription
    ) -> WorkflowStanding:
        raw = described.raw_description
        status = WorkflowStatus(described.status.name.lower() if described.status else "absent")
        failure = None
        if status in BROKEN_STATUSES:
            failure = await self._why_closed(workflow_id, described.run_id)
        task = raw.pending_workflow_task if raw.HasField("pending_workflow_task") else None
        return WorkflowStanding(
            workflow_id=workflow_id,
            run_id=described.run_id,
            status=status,
            events=described.history_length,
            started_at=described.start_time,
            closed_at=described.close_time,
            steps=tuple([await self._step(each) for each in raw.pending_activities]),
            children=tuple(each.workflow_id for each in raw.pending_children),
            task_attempt=task.attempt if task else 0,
            task_since=_moment(task.original_scheduled_time) if task else None,
            failure=failure,
        )

    async def _step(self, pending: PendingActivityInfo) -> PendingStep:
        failure = None
        if pending.HasField("last_failure"):
            failure = await failure_of(self._client.data_converter, pending.last_failure)
        waits = pending.HasField("next_attempt_schedule_time")
        return PendingStep(
            activity_id=pending.activity_id,
            name=pending.activity_type.name,
            attempt=pending.attempt,
            paused=pending.paused,
            running=pending.state in _RUNNING,
            failure=failure,
            failed_at=_moment(pending.last_attempt_complete_time) if failure else None,
            next_attempt_at=_moment(pending.next_attempt_schedule_time) if waits else None,
        )

    async def _why_closed(self, workflow_id: str, run_id: str) -> Failure | None:
        handle = self._client.get_workflow_handle(workflow_id, run_id=run_id)
        closing = WorkflowHistoryEventFilterType.CLOSE_EVENT
        async with _reachable():
            events = [each async for each in handle.fetch_history_events(event_filter_type=closing)]
        return await self._failure_in(events[-1]) if events else None

    async def _failure_in(self, event: HistoryEvent) -> Failure | None:
        if event.HasField("workflow_execution_failed_event_attributes"):
            failed = event.workflow_execution_failed_event_attributes.failure
            return await failure_of(self._client.data_converter, failed)
        if event.HasField("workflow_execution_terminated_event_attributes"):
            by = event.workflow_execution_terminated_event_attributes.identity
            return Failure("TERMINATED", f"terminated by {by or 'somebody'}")
        return None


@asynccontextmanager
async def _reachable() -> AsyncIterator[None]:
    """Raises NotFound for what Temporal does not know, Unavailable for all else it says."""
    try:
        yield
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise NotFound("WORKFLOW_UNKNOWN", error.message) from error
        raise Unavailable(
            "TEMPORAL_UNAVAILABLE", f"{error.status.name}: {error.message}"
        ) from error


def _moment(stamp: Timestamp | Any) -> datetime:
    moment: datetime = stamp.ToDatetime(tzinfo=UTC)
    return moment
