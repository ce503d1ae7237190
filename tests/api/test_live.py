"""Live updates over a real server: who may follow what, in which order, and how it ends."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
import uvicorn
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from adapters.kafka_mapping import envelope_of
from api.auth import TokenVerifier
from api.live.hub import LiveHub, LiveLimits
from api.live.protocol import MAX_MESSAGE_BYTES, Close
from api.live.transport import LiveProtocol
from models.domain.events import APPLICANT_EVENTS
from sandbox.counterparties.issuer import SandboxIssuer
from tests.api.events import RememberedEvents
from tests.envelope import violations

LIMIT_S = 180.0
APPLICATION = "app_" + "1" * 32
OTHERS = "app_" + "2" * 32


class QuietServer(uvicorn.Server):
    """Leaves the signals of the process that tests to it."""

    def capture_signals(self) -> Any:
        return nullcontext()


class Served:
    """The API on a port, its events, and tokens for it."""

    def __init__(self, port: int, app: FastAPI, events: RememberedEvents, hub: LiveHub) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        self.url = f"ws://127.0.0.1:{port}/api/v1/live"
        self.port = port
        self.app = app
        self.events = events
        self.hub = hub


@asynccontextmanager
async def serving(
    app: FastAPI, events: RememberedEvents, verifier: TokenVerifier, limits: LiveLimits
) -> AsyncIterator[Served]:
    """Serve the application with a hub of these limits."""
    hub = LiveHub(events, envelope_of, verifier.stands, limits)
    app.state.services = replace(app.state.services, live=hub)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, lifespan="off", log_level="critical", ws=LiveProtocol, timeout_graceful_shutdown=1
    )
    server = QuietServer(config)
    async with hub.running():
        task = asyncio.create_task(server.serve([listening]))
        try:
            yield Served(listening.getsockname()[1], app, events, hub)
        finally:
            hub.close()
            server.should_exit = True
            await task


@pytest.fixture
def limits() -> LiveLimits:
    return LiveLimits(queue_events=128, heartbeat_s=0.2, subscribe_within_s=5.0)


@pytest_asyncio.fixture(loop_scope="session")
async def served(
    app: FastAPI, live_events: RememberedEvents, verifier: TokenVerifier, limits: LiveLimits
) -> AsyncIterator[Served]:
    live_events.application("acme", APPLICATION, "zelda")
    live_events.application("acme", OTHERS, "somebody-else")
    live_events.application("other", APPLICATION.replace("1", "3"), "zelda")
    async with serving(app, live_events, verifier, limits) as running:
        yield running


Bearer = Callable[..., dict[str, str]]


@asynccontextmanager
async def following(
    served: Served, headers: dict[str, str], **subscription: Any
) -> AsyncIterator[ClientConnection]:
    """A client that is subscribed."""
    async with connect(served.url, additional_headers=headers, proxy=None) as client:
        await client.send(json.dumps({"type": "subscribe", **subscription}))
        assert (await said(client))["type"] == "subscribed"
        yield client


async def said(client: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(await asyncio.wait_for(client.recv(), LIMIT_S))
    return message


async def told(client: ClientConnection, count: int) -> list[dict[str, Any]]:
    """So many events, beats left out."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        message = await said(client)
        if message["type"] == "event":
            found.append(message)
    return found


async def closing(client: ClientConnection) -> tuple[int, str]:
    """The code and reason it is closed with."""
    async with asyncio.timeout(LIMIT_S):
        try:
            while True:
                await client.recv()
        except ConnectionClosed as closed:
            return ended_with(closed)


def ended_with(closed: ConnectionClosed) -> tuple[int, str]:
    """What the server said when it closed."""
    return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")


async def eventually(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not what():
            await asyncio.sleep(0.01)


async def test_every_event_once_and_in_order(served: Served, bearer: Bearer) -> None:
    async with following(served, bearer("support")) as client:
        numbers = [served.events.commit(key=f"app_{number}") for number in range(300)]
        messages = await told(client, 300)
    assert [int(each["id"]) for each in messages] == numbers
    assert [violation for each in messages for violation in violations(each["event"])] == []
    assert messages[0]["event"]["sequence"] == messages[0]["id"]


async def test_what_is_undecided_is_waited_for_and_not_skipped(
    served: Served, bearer: Bearer
) -> None:
    async with following(served, bearer("support")) as client:
        first = served.events.commit()
        await told(client, 1)
        served.events.drawn += 1
        late = served.events.undecided = served.events.drawn  # drawn, and not committed yet
        later = served.events.commit()
        assert (await said(client))["type"] == "heartbeat"  # nothing is told before it is decided
        served.events.undecided = None
        served.events.commit(seq=late)
        ids = [int(each["id"]) for each in await told(client, 2)]
    assert ids == [late, later]
    assert first < late < later


async def test_a_client_goes_on_where_it_was(served: Served, bearer: Bearer) -> None:
    async with following(served, bearer("support")) as client:
        for _ in range(3):
            served.events.commit()
        [*_, last] = await told(client, 3)
    missed = [served.events.commit() for _ in range(250)]
    async with following(served, bearer("support"), last_event_id=last["id"]) as client:
        missed.append(served.events.commit())
        assert [int(each["id"]) for each in await told(client, 251)] == missed


async def test_the_place_a_subscription_begins_at_can_be_resumed_from(
    served: Served, bearer: Bearer
) -> None:
    async with connect(served.url, additional_headers=bearer("support"), proxy=None) as client:
        await client.send('{"type": "subscribe"}')
        begun = await said(client)
    number = served.events.commit()
    async with following(served, bearer("support"), last_event_id=begun["id"]) as client:
        assert [int(each["id"]) for each in await told(client, 1)] == [number]


async def test_a_heartbeat_tells_a_place_to_resume_from(served: Served, bearer: Bearer) -> None:
    async with following(served, bearer("support")) as client:
        number = served.events.commit(tenant_id="other")
        served.events.commit()
        await told(client, 1)
        beat = await said(client)
    assert beat["type"] == "heartbeat"
    assert int(beat["id"]) > number


async def test_an_id_that_is_too_old_says_so(served: Served, bearer: Bearer) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=25)
    for _ in range(3):
        served.events.commit(at=long_ago)
    served.events.commit()
    async with connect(served.url, additional_headers=bearer("support"), proxy=None) as client:
        await client.send('{"type": "subscribe", "last_event_id": "0000000000000000002"}')
        assert await closing(client) == (Close.TOO_OLD, "EVENT_TOO_OLD")
    # The same id is good for whoever missed nothing that old.
    async with following(served, bearer("support"), last_event_id="3") as client:
        assert [int(each["id"]) for each in await told(client, 1)] == [4]


async def test_an_id_nobody_drew_says_so(served: Served, bearer: Bearer) -> None:
    async with connect(served.url, additional_headers=bearer("support"), proxy=None) as client:
        await client.send('{"type": "subscribe", "last_event_id": "999999"}')
        assert await closing(client) == (Close.TOO_OLD, "EVENT_TOO_OLD")


async def test_a_process_that_is_behind_does_not_repeat(served: Served, bearer: Bearer) -> None:
    async with following(served, bearer("support")):
        served.events.drawn += 1
        served.events.undecided = served.events.drawn
        ahead = served.events.commit()
        async with following(served, bearer("support"), last_event_id=str(ahead)) as client:
            served.events.undecided = None
            served.events.commit(seq=ahead - 1)
            later = served.events.commit()
            assert [int(each["id"]) for each in await told(client, 1)] == [later]


async def test_a_tenant_is_told_of_its_own_events_only(served: Served, bearer: Bearer) -> None:
    async with following(served, bearer("tenant_admin")) as client:
        served.events.commit(tenant_id="other")
        own = served.events.commit()
        assert [int(each["id"]) for each in await told(client, 1)] == [own]


async def test_applicants_are_told_of_their_own_applications_only(
    served: Served, bearer: Bearer
) -> None:
    async with following(served, bearer("applicant")) as client:
        served.events.commit(key=OTHERS)
        served.events.commit(key="zelda", type="kyc.verified")
        served.events.commit(key=APPLICATION, type="review.opened")
        own = served.events.commit(
            key=APPLICATION, type="application.blocked", state="blocked", reasons=["SANCTIONS_HIT"]
        )
        [message] = await told(client, 1)
    assert int(message["id"]) == own
    assert message["event"]["data"] == {"subject_id": APPLICATION, "state": "blocked"}
    assert violations(message["event"]) == []


@pytest.mark.parametrize(
    ("role", "whole"),
    [("integrator", False), ("underwriter", True), ("compliance_officer", True), ("support", True),
     ("auditor", True), ("tenant_admin", True)],
)  # fmt: skip
async def test_who_reads_reviews_is_told_everything(
    served: Served, bearer: Bearer, role: str, whole: bool
) -> None:
    async with following(served, bearer(role)) as client:
        served.events.commit(key="rev_1", type="review.reassigned")
        served.events.commit(key=OTHERS, type="application.declined", reasons=["INCOME"])
        messages = await told(client, 2 if whole else 1)
    assert (messages[0]["event"]["type"] == "review.reassigned") is whole
    assert ("reasons" in messages[-1]["event"]["data"]) is whole


async def test_a_client_may_want_less(served: Served, bearer: Bearer) -> None:
    wanted = {"application_id": APPLICATION, "types": ["offer.accepted", "offer.confirmed"]}
    async with following(served, bearer("support"), **wanted) as client:
        served.events.commit(key=OTHERS)
        served.events.commit(key=APPLICATION, type="application.funded")
        expected = [
            served.events.commit(key=APPLICATION),
            served.events.commit(key=APPLICATION, type="offer.confirmed"),
        ]
        assert [int(each["id"]) for each in await told(client, 2)] == expected


# What is refused: the attack table.

SUBSCRIBE = '{"type": "subscribe"}'
Attack = tuple[dict[str, Any], list[str | bytes], tuple[int, str]]
ATTACKS: dict[str, Attack] = {
    "no token": ({}, [SUBSCRIBE], (4401, "UNAUTHENTICATED")),
    "a token that is none": (
        {"authorization": "Bearer x.y.z"}, [SUBSCRIBE], (4401, "UNAUTHENTICATED"),
    ),
    "basic authentication": (
        {"authorization": "Basic dTpw"}, [SUBSCRIBE], (4401, "UNAUTHENTICATED"),
    ),
    "an empty bearer": ({"authorization": "Bearer "}, [SUBSCRIBE], (4401, "UNAUTHENTICATED")),
    "an expired token": ({"expired": True}, [SUBSCRIBE], (4401, "UNAUTHENTICATED")),
    "a cookie alone": ({"cookie": "bearer"}, [SUBSCRIBE], (4401, "UNAUTHENTICATED")),
    "a foreign origin": ({"origin": "https://evil.example"}, [SUBSCRIBE],
                         (4403, "ORIGIN_NOT_ALLOWED")),
    "no origin to speak of": ({"origin": "null"}, [SUBSCRIBE], (4403, "ORIGIN_NOT_ALLOWED")),
    "an origin that looks like ours": (
        {"origin": "https://app.example.org.evil.example"}, [SUBSCRIBE],
        (4403, "ORIGIN_NOT_ALLOWED"),
    ),
    "another tenant": ({}, ['{"type": "subscribe", "tenant": "other"}'],
                       (4403, "TENANT_NOT_YOURS")),
    "another tenant's application": (
        {}, [f'{{"type": "subscribe", "application_id": "app_{"3" * 32}"}}'], (4404, "NOT_FOUND"),
    ),
    "an absent application": (
        {}, [f'{{"type": "subscribe", "application_id": "app_{"9" * 32}"}}'], (4404, "NOT_FOUND"),
    ),
    "an id of nothing": (
        {}, ['{"type": "subscribe", "application_id": "../acme"}'], (4404, "NOT_FOUND"),
    ),
    "another applicant's application": (
        {"role": "applicant"}, [f'{{"type": "subscribe", "application_id": "{OTHERS}"}}'],
        (4404, "NOT_FOUND"),
    ),
    "a role that reads nothing": ({"role": "provider"}, [SUBSCRIBE], (4403, "NOT_ALLOWED")),
    "an oversized message": ({}, ["x" * (MAX_MESSAGE_BYTES + 1)], (1009, "")),
    "text that is no JSON": ({}, ["{"], (4400, "MESSAGE_MALFORMED")),
    "JSON that is no object": ({}, ["[]"], (4400, "MESSAGE_MALFORMED")),
    "a key twice": (
        {}, ['{"type": "subscribe", "tenant": "acme", "tenant": "other"}'],
        (4400, "MESSAGE_MALFORMED"),
    ),
    "deep nesting": ({}, ["[" * 4_000], (4400, "MESSAGE_MALFORMED")),
    "a field nobody knows": (
        {}, ['{"type": "subscribe", "roles": ["support"]}'], (4400, "MESSAGE_MALFORMED"),
    ),
    "bytes": ({}, [SUBSCRIBE.encode()], (4400, "MESSAGE_MALFORMED")),
    "an id of a wrong type": (
        {}, ['{"type": "subscribe", "last_event_id": 7}'], (4400, "MESSAGE_MALFORMED"),
    ),
    "an id of other digits": (
        {}, ['{"type": "subscribe", "last_event_id": "١٢"}'], (4400, "MESSAGE_MALFORMED"),
    ),
    "an id without end": (
        {}, ['{"type": "subscribe", "last_event_id": "' + "9" * 20 + '"}'],
        (4400, "MESSAGE_MALFORMED"),
    ),
    "types of a wrong type": (
        {}, ['{"type": "subscribe", "types": [1]}'], (4400, "MESSAGE_MALFORMED"),
    ),
    "no types": ({}, ['{"type": "subscribe", "types": []}'], (4400, "MESSAGE_MALFORMED")),
    "a second subscription": ({}, [SUBSCRIBE, SUBSCRIBE], (4400, "MESSAGE_MALFORMED")),
    "a flood": ({}, [SUBSCRIBE, *['{"type": "ping"}'] * 30], (4429, "TOO_MANY_MESSAGES")),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
async def test_an_attack_is_refused_as_documented(
    served: Served, bearer: Bearer, issuer: SandboxIssuer, name: str
) -> None:
    given, messages, expected = ATTACKS[name]
    headers = dict(given)
    role = headers.pop("role", "support")
    if headers.pop("expired", False):
        old = issuer.token("zelda", "acme", [role], ttl_s=-3_600)
        headers["authorization"] = f"Bearer {old}"
    elif "cookie" in headers:
        headers["cookie"] = "caas_session=" + bearer(role)["authorization"].split()[1]
    elif name != "no token":
        headers = {**bearer(role), **headers}
    origin = headers.pop("origin", None)
    async with connect(served.url, additional_headers=headers, origin=origin, proxy=None) as client:
        try:
            for message in messages:
                await client.send(message)
        except ConnectionClosed:
            pass  # refused before all was said
        code, reason = await closing(client)
    assert code == expected[0]
    assert not expected[1] or reason == expected[1]
    # Nothing of it stays, and the next one is served.
    await eventually(lambda: not served.hub._seats and not served.hub._joined)
    async with following(served, bearer("support")):
        pass


@pytest.mark.parametrize("origin", [None, "own", "https://app.example.org"])
async def test_pages_of_this_host_and_of_configured_origins_may_follow(
    served: Served, bearer: Bearer, origin: Any
) -> None:
    given = served.origin if origin == "own" else origin
    token = bearer("support")["authorization"].split()[1]
    protocols: Any = ["caas.live.v1", f"bearer.{token}"]  # as a page does, which sets no headers
    async with connect(served.url, subprotocols=protocols, origin=given, proxy=None) as client:
        assert client.subprotocol == "caas.live.v1"  # and never the token
        await client.send(SUBSCRIBE)
        assert (await said(client))["type"] == "subscribed"


async def test_a_connection_ends_with_its_token(
    served: Served, issuer: SandboxIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.auth.LEEWAY_S", 0)
    token = issuer.token("zelda", "acme", ["support"], ttl_s=2)
    async with following(served, {"authorization": f"Bearer {token}"}) as client:
        assert await closing(client) == (4401, "TOKEN_EXPIRED")


async def test_a_connection_ends_when_its_token_is_revoked(
    served: Served, bearer: Bearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with following(served, bearer("support")) as client:
        monkeypatch.setattr(served.hub, "_stands", lambda _: False)
        assert await closing(client) == (4401, "TOKEN_EXPIRED")


async def test_who_does_not_subscribe_is_not_kept(
    app: FastAPI, live_events: RememberedEvents, verifier: TokenVerifier, bearer: Bearer
) -> None:
    async with (
        serving(app, live_events, verifier, LiveLimits(subscribe_within_s=0.1)) as served,
        connect(served.url, additional_headers=bearer("support"), proxy=None) as client,
    ):
        assert await closing(client) == (4408, "SUBSCRIPTION_AWAITED")


async def test_connections_are_counted_by_caller_and_in_all(
    app: FastAPI, live_events: RememberedEvents, verifier: TokenVerifier, bearer: Bearer
) -> None:
    few = LiveLimits(max_per_subject=2, max_connections=3)
    async with serving(app, live_events, verifier, few) as served, AsyncExitStack() as open_ones:
        for subject in ("ada", "ada", "bob"):
            await open_ones.enter_async_context(
                following(served, bearer("support", subject=subject))
            )
        for subject, expected in (
            ("ada", (Close.TRY_LATER, "TOO_MANY_CLIENTS")),
            ("eve", (Close.TRY_LATER, "TOO_MANY_CLIENTS")),
        ):
            headers = bearer("support", subject=subject)
            async with connect(served.url, additional_headers=headers, proxy=None) as client:
                assert await closing(client) == expected
    more = LiveLimits(max_per_subject=2, max_connections=3)
    async with serving(app, live_events, verifier, more) as served, AsyncExitStack() as open_ones:
        for _ in range(2):
            await open_ones.enter_async_context(following(served, bearer("support")))
        headers = bearer("support")
        async with connect(served.url, additional_headers=headers, proxy=None) as client:
            assert await closing(client) == (Close.TOO_MUCH, "TOO_MANY_CONNECTIONS")
        async with following(served, bearer("support", subject="bob")):
            pass


async def test_a_sign_of_life_is_answered(served: Served, bearer: Bearer) -> None:
    async with following(served, bearer("support")) as client:
        await client.send('{"type": "ping"}')
        while (message := await said(client))["type"] == "heartbeat":
            pass
        assert message == {"type": "pong"}


async def test_a_stuck_client_is_closed_and_harms_nobody(served: Served, bearer: Bearer) -> None:
    """It takes nothing any more; all others get every event in order meanwhile."""
    stuck = socket.socket()
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    stuck.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(stuck, ("127.0.0.1", served.port))
    head = "".join(f"{name}: {text}\r\n" for name, text in bearer("support").items())
    await loop.sock_sendall(
        stuck,
        (
            f"GET /api/v1/live HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {'A' * 22}==\r\nSec-WebSocket-Version: 13\r\n{head}\r\n"
        ).encode(),
    )
    assert b"101" in await loop.sock_recv(stuck, 4_096)
    text = SUBSCRIBE.encode()
    await loop.sock_sendall(stuck, bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)
    async with AsyncExitStack() as healthy:
        clients = [
            await healthy.enter_async_context(
                following(served, bearer("support", subject=f"user-{number}"))
            )
            for number in range(20)
        ]
        await eventually(lambda: len(served.hub._joined) == 21)

        taken: list[list[int]] = [[] for _ in clients]

        async def take_all(client: ClientConnection, ids: list[int]) -> None:
            while len(ids) < 1_500:
                ids += [int(each["id"]) for each in await told(client, 1)]

        readers = [
            asyncio.create_task(take_all(*each)) for each in zip(clients, taken, strict=True)
        ]
        numbers: list[int] = []
        while len(numbers) < 1_500:
            numbers += [served.events.commit(padding="x" * 400) for _ in range(50)]
            sent = len(numbers)
            await eventually(lambda: min(map(len, taken)) == sent)  # noqa: B023 - awaited here
        await asyncio.gather(*readers)
        assert taken == [numbers] * 20
        await eventually(lambda: len(served.hub._joined) == 20)
    stuck.close()


async def test_nobody_is_lost_over_a_restart(
    app: FastAPI, live_events: RememberedEvents, verifier: TokenVerifier, limits: LiveLimits,
    bearer: Bearer,
) -> None:  # fmt: skip
    """Everybody is told to come back, does, and has every event once and in order."""
    last: dict[int, str] = {}
    seen: dict[int, list[int]] = {number: [] for number in range(30)}

    async def follow(served: Served, number: int, until: int | None) -> tuple[int, str] | None:
        headers = bearer("support", subject=f"user-{number}")
        resumed = {"last_event_id": last[number]} if number in last else {}
        async with connect(served.url, additional_headers=headers, proxy=None) as client:
            await client.send(json.dumps({"type": "subscribe", **resumed}))
            try:
                while True:
                    message = json.loads(await client.recv())
                    if "id" in message:
                        last[number] = message["id"]
                    if message["type"] == "event":
                        seen[number].append(int(message["id"]))
                    if seen[number] and seen[number][-1] == until:
                        return None
            except ConnectionClosed as closed:
                return ended_with(closed)

    async with serving(app, live_events, verifier, limits) as served:
        first = [asyncio.create_task(follow(served, number, None)) for number in seen]
        await eventually(lambda: len(last) == len(seen))
        numbers = [live_events.commit() for _ in range(40)]
    ends = await asyncio.gather(*first)
    assert set(ends) == {(Close.GOING_AWAY, "GOING_AWAY")}
    numbers += [live_events.commit() for _ in range(40)]
    async with serving(app, live_events, verifier, limits) as served:
        second = [asyncio.create_task(follow(served, number, 81)) for number in seen]
        await asyncio.sleep(0)
        numbers.append(live_events.commit())
        async with asyncio.timeout(LIMIT_S):
            await asyncio.gather(*second)
    assert all(each == numbers for each in seen.values())


async def test_an_outage_of_the_database_is_outlived(
    served: Served, bearer: Bearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.live.lanes.RETRY_S", 0.01)
    async with following(served, bearer("support")) as client:
        served.events.away = True
        number = served.events.commit()
        async with connect(served.url, additional_headers=bearer("support"), proxy=None) as other:
            # A lane that is followed already needs no database, a place to go on from does.
            await other.send('{"type": "subscribe", "last_event_id": "9"}')
            assert await closing(other) == (Close.TRY_LATER, "DATABASE_UNAVAILABLE")
        served.events.away = False
        assert [int(each["id"]) for each in await told(client, 1)] == [number]


async def test_events_are_read_once_for_all_clients(served: Served, bearer: Bearer) -> None:
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                following(served, bearer("support", subject=f"user-{number}"))
            )
            for number in range(15)
        ]
        before = served.events.reads
        served.events.commit()
        for client in clients:
            await told(client, 1)
        assert served.events.reads == before + 1


# Server-sent events.


async def lines_of(answer: httpx.Response) -> AsyncIterator[dict[str, str]]:
    """Blocks of fields, as an EventSource reads them."""
    block: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, text = line.partition(": ")
            block[name] = text
        else:
            yield block
            block = {}


@asynccontextmanager
async def streaming(
    served: Served, headers: dict[str, str], query: str = ""
) -> AsyncIterator[tuple[httpx.Response, AsyncIterator[dict[str, str]]]]:
    async with (
        httpx.AsyncClient(base_url=served.origin, trust_env=False, timeout=LIMIT_S) as http,
        http.stream("GET", f"/api/v1/events{query}", headers=headers) as answer,
    ):
        yield answer, lines_of(answer)


async def data_of(blocks: AsyncIterator[dict[str, str]], count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async for block in blocks:
        if "data" in block:
            found.append({"id": block["id"], "event": json.loads(block["data"])})
        if len(found) == count:
            return found
    raise AssertionError("the stream ended")


async def test_server_sent_events_tell_the_same_and_go_on(served: Served, bearer: Bearer) -> None:
    async with streaming(served, bearer("support")) as (answer, blocks):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        assert set(await anext(blocks)) == {"retry", "id"}
        first = served.events.commit()
        [got] = await data_of(blocks, 1)
    assert (int(got["id"]), violations(got["event"])) == (first, [])
    missed = [served.events.commit() for _ in range(5)]
    headers = {**bearer("support"), "last-event-id": got["id"]}
    async with streaming(served, headers) as (_, blocks):
        assert [int(each["id"]) for each in await data_of(blocks, 5)] == missed
    await eventually(lambda: not served.hub._seats)


async def test_server_sent_events_end_with_the_token(
    served: Served, bearer: Bearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with streaming(served, bearer("support")) as (_, blocks):
        await anext(blocks)
        monkeypatch.setattr(served.hub, "_stands", lambda _: False)
        [end] = [block async for block in blocks if block.get("event") == "end"]
    assert json.loads(end["data"]) == {"code": "TOKEN_EXPIRED"}


@pytest.mark.parametrize(
    ("role", "query", "last", "expected"),
    [
        ("", "", "", (401, "UNAUTHENTICATED")),
        ("provider", "", "", (403, "NOT_ALLOWED")),
        ("support", f"?application_id=app_{'3' * 32}", "", (404, "NOT_FOUND")),
        ("support", "?application_id=x", "", (404, "NOT_FOUND")),
        ("applicant", f"?application_id={OTHERS}", "", (404, "NOT_FOUND")),
        ("support", "?type=" + "x" * 65, "", (422, "MESSAGE_MALFORMED")),
        ("support", "", "-1", (422, "MESSAGE_MALFORMED")),
        ("support", "", "9" * 19, (410, "EVENT_TOO_OLD")),
    ],
)
async def test_server_sent_events_are_refused_with_a_problem(
    served: Served, bearer: Bearer, role: str, query: str, last: str, expected: tuple[int, str]
) -> None:
    headers = {**(bearer(role) if role else {}), **({"last-event-id": last} if last else {})}
    async with streaming(served, headers, query) as (answer, _):
        assert answer.status_code == expected[0]
        assert json.loads(await answer.aread())["code"] == expected[1]
    await eventually(lambda: not served.hub._seats)


async def test_what_applicants_see_is_documented() -> None:
    assert {"application.funded", "settlement.reorged"} <= APPLICANT_EVENTS
    assert not any(each.startswith(("review.", "kyc.", "operations.")) for each in APPLICANT_EVENTS)
