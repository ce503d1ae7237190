"""A persona's journey through the public API: what the person and the operators do, in order.

Everything is done as outsiders do it, with tokens, idempotency keys and patience: a request that
got no answer is repeated under the same key, so a journey survives an API that is restarted.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import httpx

from sandbox.borrower import TERMINAL, Borrower
from sandbox.persona import Persona, Step
from sandbox.stack import Stack
from sandbox.stack_settings import LENDERS
from sandbox.steering import steer

FOLLOW_EVERY_S: Final = 0.1
RETRY_EVERY_S: Final = 0.5
DEFAULT_LIMIT_S: Final = 120.0

# Whoever gets one of these may ask again: the API, or what stands before it, cannot serve now.
_NOT_NOW: Final = frozenset({429, 502, 503, 504})
_IN_FLIGHT: Final = "REQUEST_IN_FLIGHT"


class JourneyStuckError(Exception):
    """The journey did not go on in time, or was refused; the message says where it stood."""


class Companion(Protocol):
    """Who hears of the journey while it happens."""

    def told(self, counterparty: str, rules: Sequence[Mapping[str, Any]]) -> None:
        """A counterparty was told beforehand how to behave."""

    def applied(self, application_id: str, data: Mapping[str, Any], wallet: str) -> None:
        """The application was taken."""

    def follow(self, view: Mapping[str, Any]) -> None:
        """The application was looked at."""

    def accepted(self, offer: Mapping[str, Any]) -> None:
        """The borrower accepted this offer."""

    def took(self, step: Step) -> None:
        """Any other step was taken."""


class Nobody:
    """A companion who keeps quiet."""

    def told(self, counterparty: str, rules: Sequence[Mapping[str, Any]]) -> None:
        """Say nothing."""

    def applied(self, application_id: str, data: Mapping[str, Any], wallet: str) -> None:
        """Say nothing."""

    def follow(self, view: Mapping[str, Any]) -> None:
        """Say nothing."""

    def accepted(self, offer: Mapping[str, Any]) -> None:
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
        self._view: dict[str, Any] = {}
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

    async def run(self) -> dict[str, Any]:
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
        return self._view

    # The applicant's steps.

    async def _apply(self) -> None:
        answer = await self._post(
            "/api/v1/applications", self.borrower.application_body(), self.borrower.headers()
        )
        self.applications.append(answer["application_id"])
        self._view = {}
        self._companion.applied(
            self.applications[-1], self.borrower.data, self.borrower.wallet.address
        )

    async def _apply_again(self, _: Step) -> None:
        await self._apply()

    async def _accept(self, step: Step) -> None:
        offers = self._view["offers"]
        wanted = [o for o in offers if step.provider in (None, o["provider_id"])]
        if not wanted:
            raise JourneyStuckError(f"there is no offer from {step.provider}: {offers}")
        body = self.borrower.acceptance_body(wanted[0])
        await self._post(self._own("accept"), body, self.borrower.headers())
        self._companion.accepted(wanted[0])

    async def _withdraw(self, step: Step) -> None:
        body = {"reason": step.reason or None}
        await self._post(self._own("withdraw"), body, self.borrower.headers())

    async def _provide_information(self, step: Step) -> None:
        await self._until({"information_requests": [{"status": "open"}]})
        [asked] = [r for r in self._view["information_requests"] if r["status"] == "open"]
        body = {
            "request_id": asked["request_id"],
            "answers": list(step.answers),
            "document": step.document.model_dump() if step.document else None,
        }
        await self._post(self._own("information"), body, self.borrower.headers())

    async def _wait(self, _: Step) -> None:
        """What there was to wait for has come."""

    # The operators' steps, each about the open review of this application or its applicant.

    async def _decide(self, step: Step) -> None:
        body = {"decision": step.do, "reason": step.reason}
        await self._review_step(step, "decision", body)

    async def _request_information(self, step: Step) -> None:
        body = {"items": list(step.items), "message": step.message}
        await self._review_step(step, "information", body)

    async def _reassign(self, step: Step) -> None:
        body = {"assignee": step.assignee, "reason": step.reason}
        await self._review_step(step, "assignment", body)

    async def _review_step(self, step: Step, what: str, body: Mapping[str, Any]) -> None:
        token = self._operator_token(step.by, step.role)
        headers = {"Authorization": f"Bearer {token}"}
        subjects = (self.applications[-1], self.persona.user_id)
        while True:
            listed = await self._get("/api/v1/reviews", headers)
            open_ones = [
                review
                for review in listed["reviews"]
                if review["subject_id"] in subjects and review["status"] == "open"
            ]
            if open_ones:
                break
            await self._look()
        path = f"/api/v1/reviews/{open_ones[0]['review_id']}/{what}"
        await self._post(path, body, headers)

    # Looking and asking.

    def _own(self, what: str) -> str:
        return f"/api/v1/applications/{self.applications[-1]}/{what}"

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
        path = f"/api/v1/applications/{self.applications[-1]}"
        self._view = await self._get(path, self.borrower.headers())
        self._companion.follow(self._view)
        if time.monotonic() > self._deadline:
            raise JourneyStuckError(f"out of time: {self._where()}")

    def _where(self) -> str:
        view, reasons = self._view, [each["code"] for each in self._view.get("reasons", [])]
        return f"{self.applications[-1]} is {view.get('state')} in stage {view.get('stage')}" + (
            f" ({', '.join(reasons)})" if reasons else ""
        )

    async def _get(self, path: str, headers: Mapping[str, str]) -> dict[str, Any]:
        return await self._asked("GET", path, headers=dict(headers))

    async def _post(
        self, path: str, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> dict[str, Any]:
        keyed = {**headers, "Idempotency-Key": secrets.token_urlsafe(16)}
        return await self._asked("POST", path, json=body, headers=keyed)

    async def _asked(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """The answer's document, asked for again while there is none."""
        while True:
            try:
                answer = await self.borrower.http.request(method, path, **request)
                if answer.is_success:
                    document: dict[str, Any] = answer.json()
                    return document
                trouble = f"{answer.status_code} {answer.text}"
                again = answer.status_code in _NOT_NOW or _IN_FLIGHT in answer.text
            except httpx.TransportError as error:
                trouble, again = repr(error), True
            if not again or time.monotonic() > self._deadline:
                raise JourneyStuckError(f"{method} {path}: {trouble}")
            await asyncio.sleep(RETRY_EVERY_S)


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
