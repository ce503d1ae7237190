"""Who writes to workflows in tests: officers at a review, applicants who withdraw or answer."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from models.domain.application import ApplicationRef, Withdrawal
from models.domain.review import (
    Assignment,
    InformationAsked,
    InformationItem,
    InformationProvided,
    ReviewDecision,
    ReviewEnd,
)
from tests.workflows.world import World


@dataclass(frozen=True)
class Officer:
    """A named operator at the newest review of a workflow, heard through the product's messages."""

    world: World
    workflow_id: str
    name: str = "olga"

    def named(self, name: str) -> Officer:
        """Another person at the same review."""
        return Officer(self.world, self.workflow_id, name)

    @property
    def review_id(self) -> str:
        return f"rev_{len(self.world.books.opened):032x}"

    async def decide(self, *, approved: bool) -> ReviewEnd | None:
        decision = ReviewDecision(self.review_id, approved, self.name, "looked at it")
        return await self.world.messages.decide_review(self.workflow_id, decision, uuid.uuid4().hex)

    async def approve(self) -> ReviewEnd | None:
        return await self.decide(approved=True)

    async def reject(self) -> ReviewEnd | None:
        return await self.decide(approved=False)

    async def assign(self, assignee: str, review_id: str | None = None) -> None:
        assignment = Assignment(review_id or self.review_id, assignee, self.name, "knows the trade")
        await self.world.messages.reassign_review(self.workflow_id, assignment, uuid.uuid4().hex)

    async def ask(self, request_id: str, review_id: str | None = None) -> datetime:
        """Ask for proof of income; returns until when the applicant may answer."""
        asked = InformationAsked(
            review_id or self.review_id,
            request_id,
            self.name,
            (InformationItem.PROOF_OF_INCOME,),
            "Please send your last three payslips.",
        )
        return await self.world.messages.ask_applicant(self.workflow_id, asked, uuid.uuid4().hex)


async def answer(
    world: World, workflow_id: str, request_id: str, *, new_document: bool = False
) -> None:
    """The applicant has answered, and the workflow is told."""
    await world.messages.tell_information(
        workflow_id, InformationProvided(request_id, new_document)
    )


async def withdraw(world: World, application: ApplicationRef, update_id: str | None = None) -> None:
    """The applicant withdraws."""
    await world.messages.withdraw(
        application, Withdrawal(application.user_id), update_id or uuid.uuid4().hex
    )


async def under_review(world: World) -> tuple[ApplicationRef, Officer]:
    """An application that waits for an operator, and one."""
    application = await world.apply()
    await world.until_event(world.application(application), "TIMER_STARTED")
    return application, Officer(world, world.application(application).id)


async def identity_under_review(world: World) -> tuple[ApplicationRef, Officer]:
    """A person whose identity waits for an operator, and one."""
    application = await world.apply()
    await world.until_event(world.kyc(), "TIMER_STARTED")
    return application, Officer(world, world.kyc().id)
