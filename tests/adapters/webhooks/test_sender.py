"""One attempt: signed as the specification says, bounded, and never to where it may not go."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from adapters.egress import LOOPBACK, EgressPolicy
from adapters.webhooks.sender import WebhookSender, body_of
from adapters.webhooks.signature import encode_secret, new_secret
from models.domain.errors import Invalid
from models.domain.events import Event
from models.domain.webhook import (
    ADDRESS_REFUSED,
    GONE,
    NOT_ACCEPTED,
    TIMED_OUT,
    UNREACHABLE,
    UNSPEAKABLE,
    Target,
)
from sandbox.services.ports import free_port

SANDBOX = EgressPolicy(LOOPBACK, ports=frozenset(), plain_http=True)
SECRETS = (b"n" * 32, b"o" * 32)
AT = datetime(2026, 11, 22, 17, 42, 31, tzinfo=UTC)
EVENT = Event(7, "evt_1", "acme", "app_1", "offer.accepted", {"subject_id": "app_1"}, AT)


class Door:
    """Answers what a test says, and keeps what arrived."""

    def __init__(self) -> None:
        self.port = 0
        self.arrived: list[tuple[str, dict[str, str], bytes]] = []
        self.answer: Any = lambda _: web.Response(status=204)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.arrived.append(
            (request.path, {k.lower(): v for k, v in request.headers.items()}, body)
        )
        answer = self.answer(request)
        if asyncio.iscoroutine(answer):
            answer = await answer
        assert isinstance(answer, web.StreamResponse)
        return answer

    def target(self, host: str = "127.0.0.1", path: str = "/hook") -> Target:
        return Target(f"http://{host}:{self.port}{path}", SECRETS)


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    made = Door()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


@pytest.fixture
async def sender() -> AsyncIterator[WebhookSender]:
    made = WebhookSender(SANDBOX, deadline_s=5.0)
    yield made
    await made.close()


async def test_it_is_signed_by_each_secret_over_the_bytes_that_travel(
    door: Door, sender: WebhookSender
) -> None:
    attempt = await sender.send(door.target(), EVENT)
    assert (attempt.accepted, attempt.status, attempt.reason) == (True, 204, None)
    [(_, headers, body)] = door.arrived
    signed = f"evt_1.{headers['webhook-timestamp']}.".encode() + body
    assert headers["webhook-signature"].split(" ") == [
        "v1," + base64.b64encode(hmac.new(each, signed, hashlib.sha256).digest()).decode()
        for each in SECRETS
    ]
    assert headers["webhook-id"] == "evt_1"
    assert abs(int(headers["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 60
    assert headers["content-type"] == "application/json"


def test_the_body_is_the_envelope_with_the_specifications_timestamp() -> None:
    body = json.loads(body_of(EVENT))
    assert body["timestamp"] == body["time"] == "2026-11-22T17:42:31Z"
    assert (body["type"], body["id"], body["data"]) == (
        "offer.accepted", "evt_1", {"subject_id": "app_1"},
    )  # fmt: skip


def test_secrets_are_written_as_the_specification_does() -> None:
    text = encode_secret(new_secret())
    assert text.startswith("whsec_")
    assert len(base64.b64decode(text.removeprefix("whsec_"))) == 32


@pytest.mark.parametrize(
    ("status", "reason"),
    [(200, None), (201, None), (299, None), (301, NOT_ACCEPTED), (307, NOT_ACCEPTED),
     (400, NOT_ACCEPTED), (404, NOT_ACCEPTED), (410, GONE), (429, NOT_ACCEPTED),
     (500, NOT_ACCEPTED), (503, NOT_ACCEPTED)],
)  # fmt: skip
async def test_only_2xx_counts(
    door: Door, sender: WebhookSender, status: int, reason: str | None
) -> None:
    door.answer = lambda _: web.Response(status=status, headers={"location": "/elsewhere"})
    attempt = await sender.send(door.target(), EVENT)
    assert (attempt.status, attempt.reason) == (status, reason)
    assert [path for path, _, _ in door.arrived] == ["/hook"]  # no redirect was followed


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [("30", 30, 30), (" 7 ", 7, 7), ("soon", None, None), ("-5", None, None), ("1e9", None, None),
     ("99999999999999", None, None), ("١٢", None, None)],
)  # fmt: skip
async def test_retry_after_is_read(
    door: Door, sender: WebhookSender, asked: str, least: float | None, most: float | None
) -> None:
    door.answer = lambda _: web.Response(status=503, headers={"retry-after": asked})
    attempt = await sender.send(door.target(), EVENT)
    if least is None or most is None:
        assert attempt.retry_after_s is None
    else:
        assert attempt.retry_after_s is not None
        assert least <= attempt.retry_after_s <= most


async def test_retry_after_may_be_a_date(door: Door, sender: WebhookSender) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True)
    door.answer = lambda _: web.Response(status=429, headers={"retry-after": later})
    attempt = await sender.send(door.target(), EVENT)
    assert attempt.retry_after_s is not None
    assert 200 < attempt.retry_after_s <= 300


async def test_nobody_there(sender: WebhookSender) -> None:
    attempt = await sender.send(Target(f"http://127.0.0.1:{free_port()}/", SECRETS), EVENT)
    assert (attempt.status, attempt.reason) == (None, UNREACHABLE)


async def test_a_receiver_that_never_answers_is_left_in_time(door: Door) -> None:
    async def never(_: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    door.answer = never
    sender = WebhookSender(SANDBOX, deadline_s=0.2)
    attempt = await asyncio.wait_for(sender.send(door.target(), EVENT), 60)
    await sender.close()
    assert (attempt.status, attempt.reason) == (None, TIMED_OUT)


async def test_an_answer_that_never_ends_counts_by_its_status(door: Door) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(status=200)
        await answer.prepare(request)
        for _ in range(100):
            await answer.write(b"x")
            await asyncio.sleep(0.05)
        return answer

    door.answer = drip
    sender = WebhookSender(SANDBOX, deadline_s=0.5)
    attempt = await asyncio.wait_for(sender.send(door.target(), EVENT), 60)
    await sender.close()
    assert (attempt.status, attempt.accepted) == (200, True)


class Inside(AbstractResolver):
    """Every name leads to the machine itself."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]  # fmt: skip

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "harmless.example"])
async def test_what_leads_inside_is_never_asked(door: Door, host: str) -> None:
    """The address was acceptable when it was registered; it is looked at again at each attempt."""
    public = EgressPolicy(ports=frozenset(), plain_http=True)
    sender = WebhookSender(public, deadline_s=5.0, resolver=Inside())
    attempt = await sender.send(door.target(host), EVENT)
    await sender.close()
    assert (attempt.status, attempt.reason) == (None, ADDRESS_REFUSED)
    assert door.arrived == []


def test_what_will_never_be_asked_is_refused_beforehand() -> None:
    with pytest.raises(Invalid) as refused:
        WebhookSender(EgressPolicy()).check("https://169.254.169.254/latest/meta-data")
    assert refused.value.code == "URL_NOT_ALLOWED"


async def test_an_event_that_is_no_json_is_our_mistake(door: Door, sender: WebhookSender) -> None:
    broken = Event(1, "evt_1", "acme", "app_1", "x.y", {"n": float("nan")}, AT)
    attempt = await sender.send(door.target(), broken)
    assert (attempt.reason, door.arrived) == (UNSPEAKABLE, [])
