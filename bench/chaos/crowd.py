"""The people of a run: applicants on their journeys, and operators who leave nothing lying."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from bench.chaos.schedule import TENANTS, Arrival
from sandbox.borrower import TERMINAL
from sandbox.journey import Journey, JourneyStuckError, journey_on
from sandbox.persona import read_persona
from sandbox.stack import Stack

# Longer than every outage of a run together would hold up one journey.
JOURNEY_LIMIT_S: Final = 200.0
TOKENS_VALID_S: Final = 6 * 3600
# A review that its story's own operator has not dealt with by then was caused by a fault.
ON_DUTY_AFTER_S: Final = 20.0
_LOOK_EVERY_S: Final = 2.0
_OPERATORS: Final = (
    ("dora.duty", "underwriter"),
    ("dirk.duty", "underwriter"),
    ("cleo.duty", "compliance_officer"),
    ("carl.duty", "compliance_officer"),
)


@dataclass
class Told:
    """One journey as it went: the state it came to and why, and what the story had foreseen."""

    persona: str
    applications: list[str]
    state: str
    foreseen: str
    why: str = ""


@dataclass
class Crowd:
    """Everybody who applies during a run."""

    stack: Stack
    http: httpx.AsyncClient
    told: list[Told] = field(default_factory=list)
    _journeys: list[Journey] = field(default_factory=list)

    async def arrive(self, arrivals: Iterable[Arrival], began: float) -> None:
        """Send everybody off at their moment; returns when the last journey has ended."""
        async with asyncio.TaskGroup() as group:
            for arrival in arrivals:
                await asyncio.sleep(max(0.0, began + arrival.at_s - time.monotonic()))
                group.create_task(self._travel(arrival))

    async def _travel(self, arrival: Arrival) -> None:
        persona = read_persona(arrival.persona).as_another(arrival.tenant, arrival.user_id)
        journey = await _patiently(
            lambda: journey_on(
                self.stack,
                self.http,
                persona,
                limit_s=JOURNEY_LIMIT_S,
                tokens_valid_s=TOKENS_VALID_S,
            )
        )
        self._journeys.append(journey)
        foreseen = persona.ends_in.state
        try:
            view = await journey.run()
            why = ", ".join(reason["code"] for reason in view["reasons"])
            self.told.append(Told(persona.name, journey.applications, view["state"], foreseen, why))
        except JourneyStuckError as error:
            self.told.append(
                Told(persona.name, journey.applications, "", foreseen, str(error)[:200])
            )

    async def withdraw_what_is_left(self) -> int:
        """Applicants whose story went otherwise withdraw; returns how many did."""
        withdrawn = 0
        for journey in self._journeys:
            for application_id in journey.applications:
                view = await _patiently(lambda: journey.borrower.view(application_id))  # noqa: B023
                if view["state"] in TERMINAL:
                    continue
                with suppress(httpx.HTTPStatusError):
                    await journey.borrower.post(
                        f"/api/v1/applications/{application_id}/withdraw", {"reason": None}
                    )
                    withdrawn += 1
        return withdrawn

    def acknowledged(self) -> set[str]:
        """Every application whose submission was answered."""
        return {each for journey in self._journeys for each in journey.applications}

    async def stand_duty(self) -> None:
        """Approve whatever review lies open for too long, by two people, until cancelled."""
        since: dict[str, float] = {}
        while True:
            for tenant in TENANTS:
                for name, role in _OPERATORS:
                    with suppress(httpx.HTTPError):
                        await self._decide(tenant, name, role, since)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _decide(self, tenant: str, name: str, role: str, since: dict[str, float]) -> None:
        token = self.stack.token(name, tenant, role, ttl_s=TOKENS_VALID_S)
        headers = {"Authorization": f"Bearer {token}"}
        listed = await self.http.get("/api/v1/reviews", headers=headers)
        listed.raise_for_status()
        for review in listed.json()["reviews"]:
            review_id, now = review["review_id"], time.monotonic()
            if now - since.setdefault(review_id, now) < ON_DUTY_AFTER_S:
                continue
            await self.http.post(
                f"/api/v1/reviews/{review_id}/decision",
                json={"decision": "approve", "reason": "Seen to by whoever was on duty."},
                headers={**headers, "Idempotency-Key": f"duty-{review_id}-{name}"},
            )


async def _patiently(ask: Any) -> Any:
    """Ask until somebody answers: the API, or a counterparty, may be on its way back."""
    deadline = time.monotonic() + JOURNEY_LIMIT_S
    while True:
        try:
            return await ask()
        except httpx.HTTPError as error:
            refused = isinstance(error, httpx.HTTPStatusError) and error.response.status_code < 500
            if refused or time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.5)
