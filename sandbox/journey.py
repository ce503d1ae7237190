"""A persona's journey through the public API: what the person and the operators do, in order.

Everything is done as outsiders do it, with tokens, idempotency keys and patience: a request that
got no answer is repeated under the same key, so a journey survives an API that is restarted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar, cast
from uuid import uuid4

import httpx

from clients.python.caas_client import AsyncClient, Refused
from clients.python.caas_client.types import (
    AnswerBody,
    ApplicationAnswer,
    DocumentBody,
    InformationItem,
    OfferAnswer,
    ReviewAnswer,
)
from sandbox.borrower import TERMINAL, Borrower
from sandbox.persona import Persona, Step
from sandbox.stack import Stack
from sandbox.stack_settings import LENDERS
from sandbox.steering import steer

T = TypeVar("T")

FOLLOW_EVERY_S: Final = 0.1
RETRY_EVERY_S: Final = 0.5
DEFAULT_LIMIT_S: Final = 300.0

# Whoever gets one of these may ask again: the API, or what stands before it, cannot serve now.
_NOT_NOW: Final = frozenset({429, 502, 503, 504})
_IN_FLIGHT: Final = "REQUEST_IN_FLIGHT"

# An application nobody has looked at yet.
_NOT_SEEN: Final = cast("ApplicationAnswer", {})


class JourneyStuckError(Exception):
    """The journey did not go on in time, or was refused; the message says where it stood."""


class Companion(Protocol):
    """Who hears of the journey while it happens."""

    def told(self, counterparty: str, rules: Sequence[Mapping[str, Any]]) -> None:
        """A counterparty was told beforehand how to behave."""

    def applied(self, application_id: str, data: Mapping[str, Any], wallet: str) -> None:
        """The application was taken."""

    def follow(self, view: ApplicationAnswer) -> None:
        """The application was looked at."""

    def accepted(self, offer: OfferAnswer) -> None:
        """The borrower accepted this offer."""

    def took(self, step: Step) -> None:
        """Any other step was taken."""


class Nobody:
    """A companion who keeps quiet."""

    def told(self, counterparty: str, rules: Sequence[Mapping[str, Any]]) -> None:
        """Say nothing."""

    def applied(self, application_id: str, data: Mapping[str, Any], wallet: str) -> None:
        """Say nothing."""

    def follow(self, view: ApplicationAnswer) -> None:
        """Say nothing."""

    def accepted(self, offer: OfferAnswer) -> None:
        """Say nothing."""

    def took(self, step: Step) -> None:
        """Say nothing."""


ALONE: Final = Nobody()


async def journey_on(
    stack: Stack,
    http: httpx.AsyncClient,
    persona: Persona,
    companion: Companion = ALONE,
    *,
    limit_s: float = DEFAULT_LIMIT_S,
    tokens_valid_s: int = 3600,
) -> Journey:
    """The persona's journey on a running stack; the counterparties have been told what to do."""
    assert stack.deployment is not None
    tenant = persona.tenant
    token = stack.token(persona.user_id, tenant, "applicant", ttl_s=tokens_valid_s)
    borrower = Borrower.of(http, persona.data, stack.seed, stack.deployment, token)
    for counterparty, rules in persona.rules(borrower.wallet.address, LENDERS).items():
        await steer(stack, counterparty, rules)
        companion.told(counterparty, rules)
    return Journey(
        persona,
        borrower,
        lambda name, role: stack.token(name, tenant, role, ttl_s=tokens_valid_s),
        companion,
        limit_s,
    )


class Journey:
    """One persona's way from application to ending.

    `operator_token(name, role)` is an access token of the tenant's staff. `applications` holds the
    ids of all that were submitted, the last one last.
    """

    def __init__(
        self,
        persona: Persona,
        borrower: Borrower,
        operator_token: Callable[[str, str], str],
        companion: Companion = ALONE,
        limit_s: float = DEFAULT_LIMIT_S,
    ) -> None:
        self.persona = persona
        self.borrower = borrower
        self.applications: list[str] = []
        self._operator_token = operator_token
        self._companion = companion
        self._deadline = time.monotonic() + limit_s
        self._view = _NOT_SEEN
        self._takes: Mapping[str, Callable[[Step], Awaitable[None]]] = {
            "accept": self._accept,
            "withdraw": self._withdraw,
            "provide_information": self._provide_information,
            "apply_again": self._apply_again,
            "wait": self._wait,
            "approve": self._decide,
            "reject": self._decide,
            "request_information": self._request_information,
            "reassign": self._reassign,
        }

    async def run(self) -> ApplicationAnswer:
        """Apply, take every step, and follow to the ending; the application as it ended.

        Raises JourneyStuckError.
        """
        await self._apply()
        for step in self.persona.steps:
            await self._until(step.when)
            await self._takes[step.do](step)
            if step.do not in ("accept", "apply_again", "wait"):
                self._companion.took(step)
        while self._view.get("state") not in TERMINAL:
            await self._look()
            last = self.persona.steps[-1:]
            if last and last[0].do == "accept" and self._view["state"] == "offered":
                # Another lender did not stand by its offer: whoever wants the loan accepts again.
                await self._accept(last[0])
        return self._view

    # The applicant's steps.

    async def _apply(self) -> None:
        body, key = self.borrower.application_body(), _key()
        answer = await self._insist(
            "apply", lambda: self._own.applications.submit(body, idempotency_key=key)
        )
        self.applications.append(answer["application_id"])
        self._view = _NOT_SEEN
        self._companion.applied(
            self.applications[-1], self.borrower.data, self.borrower.wallet.address
        )

    async def _apply_again(self, _: Step) -> None:
        await self._apply()

    async def _accept(self, step: Step) -> None:
        offers = [each for each in self._view["offers"] if each["status"] == "open"]
        wanted = [o for o in offers if step.provider in (None, o["provider_id"])]
        if not wanted:
            raise JourneyStuckError(f"there is no offer from {step.provider}: {offers}")
        body, key = self.borrower.acceptance_body(wanted[0]), _key()
        await self._insist(
            "accept", lambda: self._own.applications.accept(self._id, body, idempotency_key=key)
        )
        self._companion.accepted(wanted[0])
        # A lender may not stand by it: what there is to accept then is another view.
        await self._look()

    async def _withdraw(self, step: Step) -> None:
        reason, key = step.reason or None, _key()
        await self._insist(
            "withdraw",
            lambda: self._own.applications.withdraw(
                self._id, {"reason": reason}, idempotency_key=key
            ),
        )

    async def _provide_information(self, step: Step) -> None:
        await self._until({"information_requests": [{"status": "open"}]})
        [asked] = [r for r in self._view["information_requests"] if r["status"] == "open"]
        key = _key()
        # What a persona sends is written down in a file; the API is the judge of its form.
        answers = cast("list[AnswerBody]", list(step.answers))
        document = cast("DocumentBody | None", step.document and step.document.model_dump())
        await self._insist(
            "inform",
            lambda: self._own.applications.inform(
                self._id,
                {"request_id": asked["request_id"], "answers": answers, "document": document},
                idempotency_key=key,
            ),
        )

    async def _wait(self, _: Step) -> None:
        """What there was to wait for has come."""

    # The operators' steps, each about the open review of this application or its applicant.

    async def _decide(self, step: Step) -> None:
        client, review, key = *await self._open_review(step), _key()
        await self._insist(
            "decide",
            lambda: client.reviews.decide(
                review["review_id"],
                {"decision": "approve" if step.do == "approve" else "reject",
                 "reason": step.reason},
                idempotency_key=key,
            ),
        )  # fmt: skip

    async def _request_information(self, step: Step) -> None:
        client, review, key = *await self._open_review(step), _key()
        items = cast("list[InformationItem]", list(step.items))
        await self._insist(
            "ask",
            lambda: client.reviews.ask(
                review["review_id"], {"items": items, "message": step.message},
                idempotency_key=key,
            ),
        )  # fmt: skip

    async def _reassign(self, step: Step) -> None:
        client, review, key = *await self._open_review(step), _key()
        await self._insist(
            "assign",
            lambda: client.reviews.assign(
                review["review_id"], {"assignee": step.assignee, "reason": step.reason},
                idempotency_key=key,
            ),
        )  # fmt: skip

    async def _open_review(self, step: Step) -> tuple[AsyncClient, ReviewAnswer]:
        """The operator's own client, and the open review of this application or its applicant."""
        client = AsyncClient(self.borrower.http, self._operator_token(step.by, step.role))
        subjects = (self._id, self.persona.user_id)
        while True:
            listed = await self._insist("list reviews", client.reviews.open_reviews)
            for review in listed["reviews"]:
                if review["subject_id"] in subjects and review["status"] == "open":
                    return client, review
            await self._look()

    # Looking and asking.

    @property
    def _own(self) -> AsyncClient:
        return self.borrower.client

    @property
    def _id(self) -> str:
        return self.applications[-1]

    async def _until(self, when: Mapping[str, Any]) -> None:
        """Follow the application until it looks so; stuck if it has ended otherwise."""
        while not _looks_like(self._view, when):
            state = self._view.get("state")
            if state in TERMINAL and when.get("state", state) != state:
                raise JourneyStuckError(f"waited for {dict(when)}, but {self._where()}")
            await self._look()

    async def _look(self) -> None:
        if self._view:
            await asyncio.sleep(FOLLOW_EVERY_S)
        self._view = await self._insist("look", lambda: self._own.applications.show(self._id))
        self._companion.follow(self._view)
        if time.monotonic() > self._deadline:
            raise JourneyStuckError(f"out of time: {self._where()}")

    def _where(self) -> str:
        view, reasons = self._view, [each["code"] for each in self._view.get("reasons", [])]
        return f"{self._id} is {view.get('state')} in stage {view.get('stage')}" + (
            f" ({', '.join(reasons)})" if reasons else ""
        )

    async def _insist(self, what: str, ask: Callable[[], Awaitable[T]]) -> T:
        """What is answered, asked for again while nobody answers."""
        while True:
            try:
                return await ask()
            except Refused as refusal:
                trouble = f"{refusal.status} {refusal.response.text}"
                again = refusal.status in _NOT_NOW or refusal.code == _IN_FLIGHT
            except httpx.TransportError as error:
                trouble, again = repr(error), True
            if not again or time.monotonic() > self._deadline:
                raise JourneyStuckError(f"{what}: {trouble}")
            await asyncio.sleep(RETRY_EVERY_S)


def _key() -> str:
    """A key for one write and its repetitions."""
    return str(uuid4())


def _looks_like(seen: Any, wanted: Any) -> bool:
    """Whether everything wanted is in what is seen; of a list, whether each is there somewhere."""
    if isinstance(wanted, Mapping):
        return isinstance(seen, Mapping) and all(
            name in seen and _looks_like(seen[name], each) for name, each in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(seen, list) and all(
            any(_looks_like(one, each) for one in seen) for each in wanted
        )
    return bool(seen == wanted)
