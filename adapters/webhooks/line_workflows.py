"""The workflows that look after lines, reached by the line's own id."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from temporalio.client import Client
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.service import RPCError

from models.domain.errors import Unavailable
from models.domain.ids import webhook_workflow_id
from models.domain.routing import (
    SEARCH_TENANT,
    WEBHOOK_DUE,
    WEBHOOK_WORKFLOW,
    WORKFLOW_TASK_TIMEOUT,
    WORKFLOWS_QUEUE,
)
from models.domain.webhook import Line

RPC_TIMEOUT: Final = timedelta(seconds=5)


class LineWorkflows:
    """Satisfies `LineStarter`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def look_after(self, line: Line) -> None:
        """Start the line's workflow, or wake the one that runs; raises Unavailable.

        By a signal either way: a workflow that was about to end hears it, and goes on.
        """
        tenant = SearchAttributePair(SearchAttributeKey.for_keyword(SEARCH_TENANT), line.tenant_id)
        try:
            await self._client.start_workflow(
                WEBHOOK_WORKFLOW,
                line,
                id=webhook_workflow_id(line.tenant_id, line.webhook_id, line.key),
                task_queue=WORKFLOWS_QUEUE,
                task_timeout=WORKFLOW_TASK_TIMEOUT,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                start_signal=WEBHOOK_DUE,
                search_attributes=TypedSearchAttributes([tenant]),
                static_summary=f"Webhook {line.webhook_id}: {line.key}",
                static_details=f"Tenant {line.tenant_id}. What waits is in the database.",
                rpc_timeout=RPC_TIMEOUT,
            )
        except (RPCError, RuntimeError) as error:
            raise Unavailable("TEMPORAL_UNAVAILABLE", type(error).__name__) from error
