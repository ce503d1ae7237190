"""A request's name on its way through Temporal: in headers, beside what workflows record.

Headers are no part of what a replay compares, so histories recorded without them replay with them.
They are not encrypted: a name says nothing about anybody (models/domain/correlation.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import temporalio.client
import temporalio.worker
from temporalio.api.common.v1 import Payload
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    ExecuteWorkflowInput,
    HandleSignalInput,
    HandleUpdateInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from models.domain.correlation import CURRENT, Correlation

HEADER: Final = "caas-correlation"
_ENCODING: Final = {"encoding": b"json/plain"}


def _with_name(headers: Mapping[str, Payload]) -> Mapping[str, Payload]:
    """The headers with the name of the request this is done for, if there is one."""
    current = CURRENT.get()
    if current is None or HEADER in headers:
        return headers
    # Words of a limited alphabet: JSON without a parser, readable in the Web UI. Nothing is drawn
    # here: a workflow has to write the same again when it is replayed.
    text = f'"{current.carried()}"'
    return {**headers, HEADER: Payload(metadata=_ENCODING, data=text.encode("ascii"))}


def _named(headers: Mapping[str, Payload]) -> Correlation | None:
    """The name in the headers; None without a well-formed one."""
    payload = headers.get(HEADER)
    if payload is None:
        return None
    return Correlation.parse(payload.data.decode("ascii", "replace").strip('"'))


class SentNames(temporalio.client.Interceptor):
    """Gives the workflows a client starts and messages the name of the request at hand."""

    def intercept_client(
        self, next: temporalio.client.OutboundInterceptor
    ) -> temporalio.client.OutboundInterceptor:
        return _SentNames(next)


class _SentNames(temporalio.client.OutboundInterceptor):
    async def start_workflow(self, input: temporalio.client.StartWorkflowInput) -> Any:
        input.headers = _with_name(input.headers)
        return await super().start_workflow(input)

    async def signal_workflow(self, input: temporalio.client.SignalWorkflowInput) -> None:
        input.headers = _with_name(input.headers)
        await super().signal_workflow(input)

    async def start_workflow_update(self, input: temporalio.client.StartWorkflowUpdateInput) -> Any:
        input.headers = _with_name(input.headers)
        return await super().start_workflow_update(input)


class CarriedNames(temporalio.worker.Interceptor):
    """Lets workflows and activities bear the name of the request they are done for."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _NamedActivity(next)

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: ARG002 - the SDK's signature
    ) -> type[WorkflowInboundInterceptor] | None:
        return _NamedWorkflow


class _NamedActivity(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        # An activity runs in a context of its own, which ends with it.
        CURRENT.set(_named(input.headers))
        return await super().execute_activity(input)


class _NamedWorkflow(WorkflowInboundInterceptor):
    """A workflow bears the name it was started under, a handler that of its message, if any."""

    _own: Correlation | None = None

    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_NamedSteps(outbound))

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        self._own = _named(input.headers)
        CURRENT.set(self._own)
        return await super().execute_workflow(input)

    async def handle_signal(self, input: HandleSignalInput) -> None:
        CURRENT.set(_named(input.headers) or self._own)
        await super().handle_signal(input)

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:
        CURRENT.set(_named(input.headers) or self._own)
        return await super().handle_update_handler(input)


class _NamedSteps(WorkflowOutboundInterceptor):
    """Whatever a workflow starts or tells bears its name."""

    def start_activity(self, input: temporalio.worker.StartActivityInput) -> Any:
        input.headers = _with_name(input.headers)
        return super().start_activity(input)

    def start_local_activity(self, input: temporalio.worker.StartLocalActivityInput) -> Any:
        input.headers = _with_name(input.headers)
        return super().start_local_activity(input)

    async def start_child_workflow(self, input: temporalio.worker.StartChildWorkflowInput) -> Any:
        input.headers = _with_name(input.headers)
        return await super().start_child_workflow(input)

    async def signal_external_workflow(
        self, input: temporalio.worker.SignalExternalWorkflowInput
    ) -> None:
        input.headers = _with_name(input.headers)
        await super().signal_external_workflow(input)

    def continue_as_new(self, input: temporalio.worker.ContinueAsNewInput) -> Any:
        input.headers = _with_name(input.headers)
        return super().continue_as_new(input)
