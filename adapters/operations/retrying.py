"""Retrying what is stuck, and then looking whether it truly goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from activities.ports.workflow_messages import WorkflowMessages
from adapters.operations.examining import AT_A_TIME, Examined, Examiner
from adapters.operations.histories import task_before_failure, task_of
from adapters.operations.workflows import TemporalDesk
from adapters.postgres.operations import PostgresOperations, Search
from models.domain.application import ApplicationRef, Stage
from models.domain.errors import CreditError, NotFound
from models.domain.kyc import PersonRef
from models.domain.operations import (
    Checkpoint,
    Command,
    Condition,
    Trouble,
    WorkflowStatus,
)
from models.domain.recovery import why_not

LOOK_EVERY_S: Final = 0.5


class Recovery(StrEnum):
    """What a retry came to."""

    RECOVERED = "recovered"
    NOT_RECOVERED = "not_recovered"
    NOT_STUCK = "not_stuck"


@dataclass(frozen=True, slots=True)
class Retried:
    """One application's retry: what was stuck, what was done, and what was then seen."""

    ref: ApplicationRef
    recovery: Recovery
    stuck: tuple[Trouble, ...]
    did: tuple[str, ...]
    reason: str


class Retrier:
    """Does what a stuck application needs, in the name of an operator."""

    def __init__(
        self,
        examiner: Examiner,
        records: PostgresOperations,
        desk: TemporalDesk,
        messages: WorkflowMessages,
        command: Command,
        *,
        wait_s: float,
    ) -> None:
        self._examiner = examiner
        self._records = records
        self._desk = desk
        self._messages = messages
        self._command = command
        self._wait_s = wait_s

    async def retry(self, ref: ApplicationRef) -> Retried:
        """Retry one application; what is not stuck is left alone."""
        return await self._retry(await self._examiner.examine(ref))

    async def retry_all(self, search: Search, limit: int) -> AsyncIterator[Retried]:
        """Retry every stuck application of a search, a few at a time; as they are decided."""
        found = [each async for each in self._examiner.search(search, limit, stuck=True)]
        slots = asyncio.Semaphore(AT_A_TIME)

        async def one(examined: Examined) -> Retried:
            async with slots:
                return await self._retry(examined)

        for decided in asyncio.as_completed([one(each) for each in found]):
            yield await decided

    async def _retry(self, before: Examined) -> Retried:
        ref, stuck = before.application.ref, before.troubles
        if not stuck:
            words = f"nothing is stuck: it is {before.application.state}"
            return Retried(ref, Recovery.NOT_STUCK, (), (), words)
        conditions = [each.condition for each in stuck]
        await self._records.audit(ref, self._command, "operations.retry", {"stuck": conditions})
        did: list[str] = []
        try:
            for trouble in stuck:
                did.append(await self._treat(before, trouble))
            recovery, reason = await self._observe(before)
        except CreditError as error:
            recovery, reason = Recovery.NOT_RECOVERED, str(error)
        detail = {"outcome": recovery, "did": did, "seen": reason}
        await self._records.audit(ref, self._command, "operations.retried", detail)
        return Retried(ref, recovery, stuck, tuple(did), reason)

    async def _treat(self, before: Examined, trouble: Trouble) -> str:
        """Do what this trouble needs; says what was done."""
        ref = before.application.ref
        match trouble.condition:
            case Condition.NOT_STARTED:
                await self._messages.start_application(ref)
                return "started its workflow"
            case Condition.STEP_FAILING | Condition.STEP_PAUSED:
                return await self._hurry(trouble)
            case Condition.VERIFICATION_BROKEN if (
                before.workflows[trouble.workflow_id].status is WorkflowStatus.ABSENT
            ):
                await self._messages.join_person(
                    PersonRef(ref.tenant_id, ref.user_id), ref.application_id
                )
                return "began the person's verification again"
            case Condition.WORKFLOW_BROKEN | Condition.VERIFICATION_BROKEN:
                return await self._mend(before, trouble)
            case Condition.OWN_STEP_FAILING | Condition.TASK_FAILING:
                return "nothing: Temporal repeats it by itself"

    async def _hurry(self, trouble: Trouble) -> str:
        assert trouble.step is not None
        try:
            await self._desk.hurry(trouble.workflow_id, trouble.run_id, trouble.step)
        except NotFound:
            return f"nothing: {trouble.step.name} is no longer pending"
        return f"let {trouble.step.name} run now"

    async def _mend(self, before: Examined, trouble: Trouble) -> str:
        """Let a broken workflow go on from before it broke."""
        history = await self._desk.history(trouble.workflow_id, trouble.run_id)
        task_id = task_before_failure(history.events)
        own = trouble.workflow_id == before.application.workflow_id
        if own and before.application.stage is Stage.SETTLEMENT:
            # An acceptance is on record. It is read with the offers, so they are read again.
            task_id = min(task_id, task_of(Checkpoint.OFFERS, history.events) or task_id)
        why = f"{self._command.operator}: {self._command.reason}"
        await self._desk.take_back(trouble.workflow_id, trouble.run_id, task_id, why)
        return f"let {trouble.workflow_id} go on from event {task_id}"

    async def _observe(self, before: Examined) -> tuple[Recovery, str]:
        """Look until every trouble is over, one is back, or the time is up."""
        ref, until = before.application.ref, time.monotonic() + self._wait_s
        while True:
            now = await self._examiner.examine(ref)
            if now.application.ended:
                return Recovery.RECOVERED, f"ended as {now.application.state}"
            verdicts = [why_not(each, now.application, now.workflows) for each in before.troubles]
            again = [each for each in verdicts if each is not None and each.final]
            if again:
                return Recovery.NOT_RECOVERED, again[0].words
            waiting = [each for each in verdicts if each is not None]
            if not waiting:
                here = f"goes on: {now.application.stage}, {now.application.state}"
                return Recovery.RECOVERED, here
            if time.monotonic() >= until:
                return Recovery.NOT_RECOVERED, waiting[0].words
            await asyncio.sleep(LOOK_EVERY_S)
