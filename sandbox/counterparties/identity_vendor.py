"""A simulated identity vendor: `python -m sandbox.counterparties.identity_vendor`.

    POST /v1/checks              Bearer key, Idempotency-Key -> 202 {check_id, status: "pending"}
    GET  /v1/checks/{check_id}   Bearer key -> {check_id, status, verdict, reason}

The verdict follows by a callback signed under Standard Webhooks, repeated with growing pauses (at
most 5 s apart, for 10 minutes) until it is answered 2xx, always under the same `webhook-id`. As in
real vendors' sandboxes the document's number steers the outcome; words combine, case is ignored:

    contains        effect
    REJECT          verdict "rejected"
    UNCLEAR         verdict "unclear"
    (neither)       verdict "clear"
    SLOW<seconds>   the verdict takes that long (SLOW5: 5 seconds, at most 9999)
    TWICE           the callback is delivered twice: the same event, the same `webhook-id`
    NEVER           there is no callback, and the check stays pending

It can also be told (steering.py), for the check that a request opens:

    verdict          "clear", "unclear" or "rejected"
    verdict_after_s  how long it takes
    callbacks        what is sent, in this order, each after the one before it was answered:
                     "verdict", "pending", "superseded", "forged", "wrong_verification_id"
                     (identity_plans.py); [] is silence
    copies           each "verdict" is sent so often at once

Configuration: {"api_key": "...", "callback_secret": "whsec_<base64>", "delay_s": 0.5}.
A restarted vendor goes on with the checks and callbacks it owes.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
from pydantic import Field, StringConstraints
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.webhooks.signature import decode_secret, sign_callback
from sandbox.counterparties.answers import AnswerBook, Decided, Refusal
from sandbox.counterparties.identity_plans import plan_for, variant_of, verdict_event
from sandbox.counterparties.journal import Journal
from sandbox.counterparties.serving import (
    Message,
    healthz,
    idempotency_key,
    message_of,
    require_secret,
    route,
    run,
)
from sandbox.counterparties.steering import directive

_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 5.0
_GIVE_UP_AFTER_S: Final = 600.0
_CALLBACK_TIMEOUT_S: Final = 10.0

# What a forger signs with: nobody gave it to us.
_FORGERS_SECRET: Final = b"forged, and known to nobody else"

_Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class VendorConfig(Message):
    """The vendor's settings."""

    api_key: _Text
    callback_secret: _Text
    delay_s: Annotated[float, Field(ge=0, le=3600)] = 0.5


class Names(Message):
    """A person's names."""

    given: _Text
    family: _Text


class Address(Message):
    """Where a person says to live."""

    line1: _Text
    city: _Text
    postal_code: _Text
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]


class Document(Message):
    """The document to be examined."""

    kind: _Text
    number: _Text
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]


class Person(Message):
    """Who is to be verified."""

    names: Names
    born_on: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    address: Address
    document: Document


class CheckRequest(Message):
    """A request for a check; `reference` comes back in the callback."""

    reference: _Text
    callback_url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s]{1,500}$")]
    person: Person


class IdentityVendor:
    """Takes checks, decides them later, and calls back until it is heard."""

    def __init__(self, config: VendorConfig, journal: Journal) -> None:
        self._config = config
        self._secret = decode_secret(config.callback_secret)
        self._journal = journal
        self._answers = AnswerBook(journal)
        self._checks = {
            line["answer"]["check_id"]: line["check"] for line in journal.effects("check.opened")
        }
        self._events = {
            line["event"]["check_id"]: line["event"] for line in journal.effects("check.completed")
        }
        # How often what was sent has arrived; only verdicts are sent until they are heard.
        self._arrived = Counter(
            (line["check_id"], line["sent"])
            for line in journal.replayed
            if line["kind"] == "callback" and (line["sent"] != "verdict" or _heard(line["status"]))
        )
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Serve, and owe nobody a callback for longer than a restart takes."""
        async with httpx.AsyncClient(timeout=_CALLBACK_TIMEOUT_S, trust_env=False) as client:
            self._client = client
            for check_id in self._checks:
                self._start(check_id)
            yield
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def open_check(self, request: Request) -> Response:
        """POST /v1/checks"""
        self._authenticate(request)
        key = idempotency_key(request)
        asked, body = await message_of(request, CheckRequest)
        opened: list[str] = []

        def open_now() -> Decided:
            check_id = "chk_" + hashlib.sha256(key.encode("ascii")).hexdigest()[:32]
            number = asked.person.document.number
            plan = plan_for(number, self._config.delay_s, partial(directive, request))
            self._checks[check_id] = {
                "reference": asked.reference,
                "callback_url": asked.callback_url,
                "due_at": time.time() + plan.delay_s,
                **asdict(plan),
            }
            opened.append(check_id)
            answer = {"check_id": check_id, "status": "pending"}
            return Decided(answer, "check.opened", {"check": self._checks[check_id]})

        answer = self._answers.once("POST /v1/checks", key, body, open_now)
        for check_id in opened:
            self._start(check_id)
        return JSONResponse(answer, 202)

    async def show_check(self, request: Request) -> Response:
        """GET /v1/checks/{check_id}"""
        self._authenticate(request)
        check_id = request.path_params["check_id"]
        if check_id not in self._checks:
            raise Refusal(404, "CHECK_UNKNOWN")
        event = self._events.get(check_id)
        return JSONResponse(
            {
                "check_id": check_id,
                "status": "completed" if event else "pending",
                "verdict": event["verdict"] if event else None,
                "reason": event["reason"] if event else None,
            }
        )

    def _authenticate(self, request: Request) -> None:
        require_secret(request.headers.get("authorization"), f"Bearer {self._config.api_key}")

    def _start(self, check_id: str) -> None:
        task = asyncio.create_task(self._conclude(check_id))
        self._tasks.add(task)  # the loop itself holds tasks only weakly
        task.add_done_callback(self._tasks.discard)

    async def _conclude(self, check_id: str) -> None:
        """Wait until the verdict is due, decide once, and send what is planned in its order."""
        check = self._checks[check_id]
        if not check["callbacks"]:
            return
        await asyncio.sleep(max(0.0, check["due_at"] - time.time()))
        event = self._events.get(check_id) or self._decide(check_id, check)
        arrived = Counter({kind: self._arrived[check_id, kind] for kind in check["callbacks"]})
        for kind in check["callbacks"]:
            planned = check["copies"] if kind == "verdict" else 1
            before = min(planned, arrived[kind])
            arrived[kind] -= before
            url = check["callback_url"]
            await asyncio.gather(
                *(self._deliver(url, check_id, kind, event) for _ in range(planned - before))
            )

    def _decide(self, check_id: str, check: Mapping[str, Any]) -> dict[str, Any]:
        event = verdict_event(check_id, check["reference"], check["verdict"], datetime.now(UTC))
        self._journal.write("effect", check["reference"], effect="check.completed", event=event)
        self._events[check_id] = event
        return event

    async def _deliver(self, url: str, check_id: str, kind: str, event: Mapping[str, Any]) -> None:
        """Post the event: a verdict until it is answered 2xx or 10 minutes have passed."""
        said = variant_of(event, kind)
        body = json.dumps(said, separators=(",", ":")).encode("utf-8")
        secret = _FORGERS_SECRET if kind == "forged" else self._secret
        started, pause_s, attempt = time.monotonic(), _FIRST_PAUSE_S, 0
        while time.monotonic() - started < _GIVE_UP_AFTER_S:
            attempt += 1
            # Signed anew each time: an old timestamp would be refused as a replay.
            signed = sign_callback(secret, said["event_id"], body, datetime.now(UTC))
            status = await self._post(url, body, signed)
            facts = {"check_id": check_id, "sent": kind, "event_id": said["event_id"]}
            self._journal.write(
                "callback", event["reference"], **facts, attempt=attempt, status=status
            )
            if kind != "verdict" or _heard(status):
                return
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _post(self, url: str, body: bytes, signed: Mapping[str, str]) -> int:
        headers = {"content-type": "application/json", **signed}
        try:
            return (await self._client.post(url, content=body, headers=headers)).status_code
        except httpx.HTTPError:
            return 0


def _heard(status: int) -> bool:
    return 200 <= status < 300


def build(config: Mapping[str, Any], log: Path) -> Starlette:
    """The application of one identity vendor."""
    journal = Journal(log)
    vendor = IdentityVendor(VendorConfig.model_validate(config), journal)
    return Starlette(
        routes=[
            Route("/healthz", healthz),
            route(journal, "POST", "/v1/checks", vendor.open_check),
            route(journal, "GET", "/v1/checks/{check_id}", vendor.show_check),
        ],
        lifespan=vendor.lifespan,
    )


if __name__ == "__main__":
    run("A simulated identity vendor.", build)
