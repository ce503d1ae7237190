"""A world for workflows: the real workflows on a Temporal server, everybody else played."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from temporalio.api.enums.v1 import EventType, IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.testservice.v1 import LockTimeSkippingRequest, UnlockTimeSkippingRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.common import SearchAttributeKey
from temporalio.converter import DataConverter
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from adapters.temporal import ErrorTypes, Heartbeats, data_converter
from adapters.vault import Keyring
from adapters.workflow_messages import TemporalMessages
from models.domain.application import ApplicationOutcome, ApplicationRef
from models.domain.ids import (
    application_workflow_id,
    kyc_workflow_id,
    new_id,
    notice_workflow_id,
    risk_workflow_id,
    settlement_workflow_id,
)
from models.domain.offer import OfferSummary
from models.domain.review import ReviewDecision
from models.domain.routing import (
    APPLICATION_WORKFLOW,
    CHAIN_QUEUE,
    SCORING_QUEUE,
    WORKFLOWS_QUEUE,
)
from sandbox.services.temporal import (
    SEARCH_ATTRIBUTES,
    dev_server_path,
    time_skipping_server_path,
)
from tests.workflows.cast import Books, PromptVendor, Rules, SteadyScorer
from tests.workflows.lenders_and_chains import OneLender, PromptChain, acceptance_of
from wiring import LENT_FUNCTIONS
from worker import SANDBOX, WORKFLOWS_OF, activities_of

# For tests alone, and committed on purpose: recorded histories must open for ever.
TEST_KEYRING = Keyring({"test-1": sha256(b"test-only key of recorded workflow histories").digest()})

# Who wrote to the server; by default that would be a process and the name of its machine.
IDENTITY = "tests"

_PATIENCE_S = 60.0


@asynccontextmanager
async def time_skipping(
    converter: DataConverter | None = None,
) -> AsyncIterator[WorkflowEnvironment]:
    """A server that can skip waiting time: when `World.skipping` says so, and never otherwise."""
    async with await WorkflowEnvironment.start_time_skipping(
        data_converter=converter or data_converter(TEST_KEYRING),
        identity=IDENTITY,
        test_server_existing_path=str(time_skipping_server_path()),
    ) as environment:
        await environment.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=environment.client.namespace,
                search_attributes=dict.fromkeys(
                    SEARCH_ATTRIBUTES, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
                ),
            )
        )
        with environment.auto_time_skipping_disabled():
            yield environment


@asynccontextmanager
async def development_server(
    converter: DataConverter | None = None,
) -> AsyncIterator[WorkflowEnvironment]:
    """A real server, where it matters what a real server writes into history."""
    keys = [SearchAttributeKey.for_keyword(name) for name in SEARCH_ATTRIBUTES]
    async with await WorkflowEnvironment.start_local(
        data_converter=converter or data_converter(TEST_KEYRING),
        identity=IDENTITY,
        search_attributes=keys,
        dev_server_existing_path=str(dev_server_path()),
        dev_server_extra_args=["--disable-config-file", "--disable-config-env"],
    ) as environment:
        yield environment


class World:
    """One tenant with its cast; replace members of the cast before `playing`."""

    def __init__(self, environment: WorkflowEnvironment, *, shared: bool = False) -> None:
        self.environment = environment
        self._shared = shared
        self.client: Client = environment.client
        self.messages = TemporalMessages(self.client)
        self.tenant = f"tenant-{uuid.uuid4().hex[:12]}"
        self.calls: list[str] = []
        self.vendor = PromptVendor(self.calls, self.messages)
        self.rules = Rules(self.calls)
        self.scorer = SteadyScorer(self.calls)
        self.lender = OneLender(self.calls, environment.get_current_time)
        self.chain = PromptChain(self.calls, self.messages)
        self.books = Books(self.calls)
        self._started: list[ApplicationRef] = []

    def casts(self, **members: Callable[..., Any]) -> World:
        """Others play these parts: a class named for its behaviour, by part."""
        makers: dict[str, tuple[Any, ...]] = {
            "vendor": (self.calls, self.messages),
            "rules": (self.calls,),
            "scorer": (self.calls,),
            "lender": (self.calls, self.environment.get_current_time),
            "chain": (self.calls, self.messages),
            "books": (self.calls,),
        }
        for part, played_by in members.items():
            setattr(self, part, played_by(*makers[part]))
        return self

    @asynccontextmanager
    async def playing(self) -> AsyncIterator[World]:
        """Workers on all queues; whatever still runs at the end is terminated."""
        lanes = {
            WORKFLOWS_QUEUE: (self.vendor, self.rules, self.lender, self.books),
            SCORING_QUEUE: (self.scorer,),
            CHAIN_QUEUE: (self.chain,),
        }
        async with AsyncExitStack() as running:
            for queue, subjects in lanes.items():
                await running.enter_async_context(
                    Worker(
                        self.client,
                        task_queue=queue,
                        workflows=WORKFLOWS_OF[queue],
                        activities=[each for part in subjects for each in activities_of(part)],
                        workflow_runner=SANDBOX,
                        interceptors=[ErrorTypes(), Heartbeats(), LENT_FUNCTIONS],
                    )
                )
            try:
                yield self
            finally:
                await self._terminate_all()

    async def now(self) -> datetime:
        """The server's time."""
        return await self.environment.get_current_time()

    async def apply_hastily(self) -> ApplicationRef:
        """An application whose tasks hand in what they have after a second, not after ten.

        A message that arrives while a local activity runs is delivered that much sooner.
        """
        application = self.drafted()
        await self.client.start_workflow(
            APPLICATION_WORKFLOW,
            application,
            id=self.application(application).id,
            task_queue=WORKFLOWS_QUEUE,
            task_timeout=timedelta(seconds=1),
        )
        return application

    async def apply(self, user_id: str = "user-1") -> ApplicationRef:
        """A new application, started as the product starts it."""
        application = self.drafted(user_id)
        await self.messages.start_application(application)
        return application

    def drafted(self, user_id: str = "user-1") -> ApplicationRef:
        """A new application that nobody has started yet."""
        application = ApplicationRef(self.tenant, new_id("app"), user_id)
        self._started.append(application)
        return application

    async def accept(
        self, application: ApplicationRef, offer: OfferSummary | None = None, **changes: Any
    ) -> None:
        """Accept an offer (the best one, unless named), as the API would deliver it."""
        offer = offer or self.offers(application)[0]
        request = acceptance_of(application, offer, await self.now(), **changes)
        await self.messages.accept_offer(application, request, uuid.uuid4().hex)

    def offers(self, application: ApplicationRef) -> tuple[OfferSummary, ...]:
        """The offers that were collected, best first."""
        return self.lender.books[application.application_id].offers

    async def decide(
        self, workflow_id: str, *, approved: bool, review_id: str | None = None
    ) -> None:
        """A named operator answers the newest review."""
        review_id = review_id or f"rev_{len(self.books.opened):032x}"
        decision = ReviewDecision(review_id, approved, "officer-1", "looked at it")
        await self.messages.decide_review(workflow_id, decision, uuid.uuid4().hex)

    async def offered(self, application: ApplicationRef) -> ApplicationRef:
        """Return once the workflow waits for the applicant."""
        await self.until_event(self.application(application), "TIMER_STARTED")
        return application

    async def outcome(self, application: ApplicationRef) -> ApplicationOutcome:
        """How the application ends, when nobody has to wait for it."""
        return await self.application(application).result()

    async def outcome_in_time(self, application: ApplicationRef) -> ApplicationOutcome:
        """How the application ends after days of waiting, which are skipped."""
        async with self.skipping():
            return await self.application(application).result()

    @asynccontextmanager
    async def skipping(self) -> AsyncIterator[None]:
        """Skip waiting time meanwhile: only then do timers fire before their time."""
        if not self.environment.supports_time_skipping:
            yield
            return
        if self._shared:
            raise RuntimeError("other tests live by this server's clock")
        server = self.client.test_service
        await server.unlock_time_skipping(UnlockTimeSkippingRequest())
        try:
            yield
        finally:
            await server.lock_time_skipping(LockTimeSkippingRequest())

    async def until_called(self, activity: str, times: int = 1) -> None:
        """Return once the activity was called that often."""

        async def called() -> bool:
            return self.calls.count(activity) >= times

        await eventually(called)

    async def until_event(
        self, handle: WorkflowHandle[Any, Any], event_type: str, times: int = 1
    ) -> None:
        """Return once the history has that many events of the type (signals: and saw to them)."""

        async def there() -> bool:
            try:
                types = await event_types(handle)
            except RPCError:  # not started yet
                return False
            if types.count(event_type) < times:
                return False
            last = len(types) - 1 - types[::-1].index(event_type)
            signalled = event_type == "WORKFLOW_EXECUTION_SIGNALED"
            return not signalled or "WORKFLOW_TASK_COMPLETED" in types[last:]

        await eventually(there)

    def application(self, application: ApplicationRef) -> WorkflowHandle[Any, ApplicationOutcome]:
        workflow_id = application_workflow_id(application.tenant_id, application.application_id)
        return self.client.get_workflow_handle(workflow_id, result_type=ApplicationOutcome)

    def kyc(self, user_id: str = "user-1") -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(kyc_workflow_id(self.tenant, user_id))

    def workflows_of(self, application: ApplicationRef) -> dict[str, WorkflowHandle[Any, Any]]:
        """The workflows an application may have, by name."""
        tenant_id, application_id = application.tenant_id, application.application_id
        ids = {
            "application": application_workflow_id(tenant_id, application_id),
            "kyc": kyc_workflow_id(tenant_id, application.user_id),
            "risk": risk_workflow_id(tenant_id, application_id),
            "settlement": settlement_workflow_id(tenant_id, application_id),
            "notice": notice_workflow_id(tenant_id, application_id),
        }
        return {name: self.client.get_workflow_handle(each) for name, each in ids.items()}

    async def _terminate_all(self) -> None:
        for application in self._started:
            for handle in self.workflows_of(application).values():
                with suppress(RPCError):
                    await handle.terminate("the test is over")


async def event_types(handle: WorkflowHandle[Any, Any]) -> list[str]:
    """The history's event types in order, such as TIMER_STARTED."""
    return [
        EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
        for event in (await handle.fetch_history()).events
    ]


async def waits_of(handle: WorkflowHandle[Any, Any]) -> list[timedelta]:
    """How long each timer ran that fired, by the server's own clock."""
    started: dict[int, datetime] = {}
    waits = []
    for event in (await handle.fetch_history()).events:
        if event.HasField("timer_started_event_attributes"):
            started[event.event_id] = event.event_time.ToDatetime()
        elif event.HasField("timer_fired_event_attributes"):
            began_at = started[event.timer_fired_event_attributes.started_event_id]
            waits.append(event.event_time.ToDatetime() - began_at)
    return waits


def about(wait: timedelta, expected: timedelta) -> bool:
    """Whether a wait lasted as long as expected, give or take what the servers need."""
    return abs(wait - expected) < timedelta(seconds=10)


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Poll until the condition holds; TimeoutError after twenty seconds."""
    async with asyncio.timeout(_PATIENCE_S):
        while not await condition():
            await asyncio.sleep(0.01)
