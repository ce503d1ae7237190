"""One bounded HTTP call, against a server that misbehaves byte by byte."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp.abc import AbstractResolver
from structlog.testing import capture_logs

from adapters.http import HTTPCaller, HTTPClient, RetryLater, new_client
from models.domain.errors import Permanent, Transient, Unavailable

Behaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Misbehaving:
    """Answers each path with the bytes a test gave it, and remembers what it was sent."""

    def __init__(self) -> None:
        self.behaviours: dict[str, Behaviour] = {}
        self.requests: list[bytes] = []
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head)
            await self.behaviours[head.split(b" ", 2)[1].decode()](writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Misbehaving]:
    misbehaving = Misbehaving()
    listening = await asyncio.start_server(misbehaving.handle, "127.0.0.1", 0)
    misbehaving.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    yield misbehaving
    listening.close()


def says(
    status: str, body: bytes = b"{}", *headers: str, kind: str = "application/json"
) -> Behaviour:
    async def behave(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", f"content-length: {len(body)}"]
        writer.write("\r\n".join([*lines, "connection: close", *headers, "", ""]).encode() + body)

    return behave


async def drips(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def drips_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nx-slow: ")
    while True:
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(0.02)


async def never_ends(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
    while True:
        writer.write(b" " * 65_536)
        await writer.drain()


async def hangs_up(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def breaks_off(writer: asyncio.StreamWriter) -> None:
    writer.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"
    )


def caller_of(
    client: HTTPClient, server: Misbehaving, behaviour: Behaviour, deadline_s: float = 5.0
) -> HTTPCaller:
    server.behaviours["/x"] = behaviour
    return HTTPCaller(client, server.url, deadline_s, max_bytes=100_000)


@pytest.mark.parametrize("behaviour", [drips, drips_headers], ids=["body", "headers"])
async def test_the_deadline_covers_a_slow_drip(client, server, behaviour) -> None:
    with pytest.raises(Unavailable) as raised:
        await caller_of(client, server, behaviour, deadline_s=0.2).call("GET", "/x")
    assert raised.value.code == "UPSTREAM_UNREACHABLE"


@pytest.mark.parametrize("behaviour", [hangs_up, breaks_off])
async def test_a_lost_connection_is_unavailable(client, server, behaviour) -> None:
    with pytest.raises(Unavailable):
        await caller_of(client, server, behaviour).call("GET", "/x")


async def test_nobody_listening_is_unavailable(client, server) -> None:
    with pytest.raises(Unavailable):
        await HTTPCaller(client, "http://127.0.0.1:1", 5.0).call("GET", "/x")


MALFORMED = {
    "endless body": never_ends,
    "oversize": says("200 OK", b'{"a":"' + b"x" * 100_000 + b'"}'),
    "oversize refusal": says("404 Not Found", b"x" * 100_001),
    "compressed": says("200 OK", gzip.compress(b"{}"), "content-encoding: gzip"),
    "redirect": says("302 Found", b"{}", "location: /elsewhere"),
    "redirect that keeps the method": says("307 Temporary", b"{}", "location: /elsewhere"),
    "HTML": says("200 OK", b"<html></html>", kind="text/html"),
    "JSON called text": says("200 OK", b"{}", kind="text/plain"),
    "no content": says("204 No Content", b""),
    "truncated JSON": says("200 OK", b'{"a":'),
    "duplicate keys": says("200 OK", b'{"a":1,"a":2}'),
    "NaN": says("200 OK", b'{"a":NaN}'),
    "1e400": says("200 OK", b'{"a":1e400}'),
    "list": says("200 OK", b"[]"),
}


@pytest.mark.parametrize("behaviour", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_answer_is_permanent(client, server, behaviour) -> None:
    with pytest.raises(Permanent) as raised:
        await caller_of(client, server, behaviour).call("POST", "/x", json={})
    assert raised.value.code == "MALFORMED_RESPONSE"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "header", "retry_after_s"),
    [
        ("408 Request Timeout", "x: y", None),
        ("425 Too Early", "retry-after: 0", 0),
        ("429 Too Many Requests", "retry-after: 7", 7),
        ("500 Internal Server Error", "retry-after: soon", None),
        ("503 Service Unavailable", "retry-after: 99999999", 3600),
        ("503 Service Unavailable", "retry-after: -5", None),
    ],
)
async def test_not_now_is_transient_with_its_advice(
    client, server, status, header, retry_after_s
) -> None:
    behaviour = says(status, b"<html>", header, kind="text/html")
    with pytest.raises(RetryLater) as raised:
        await caller_of(client, server, behaviour).call("GET", "/x")
    assert isinstance(raised.value, Transient)
    assert raised.value.retry_after_s == retry_after_s
    assert len(server.requests) == 1  # an adapter never retries on its own


@pytest.mark.parametrize(
    ("behaviour", "body"),
    [
        (
            says("404 Not Found", b'{"code":"GONE"}', kind="application/problem+json"),
            {"code": "GONE"},
        ),
        (says("409 Conflict", b"<html>", kind="text/html"), {}),
        (says("422 Unprocessable", b'{"a":1,"a":2}'), {}),
    ],
)
async def test_other_refusals_go_to_the_adapter(client, server, behaviour, body) -> None:
    answer = await caller_of(client, server, behaviour).call("GET", "/x")
    assert 400 <= answer.status < 500
    assert answer.body == body


async def test_a_good_answer_arrives_whole(client, server) -> None:
    behaviour = says("201 Created", json.dumps({"a": [1, "é"]}).encode(), "X-Request-Id: 7")
    answer = await caller_of(client, server, behaviour).call("POST", "/x", json={"b": "ü"})
    assert (answer.status, answer.body) == (201, {"a": [1, "é"]})
    assert answer.headers["x-request-id"] == "7"


async def test_cookies_are_never_sent_back(client, server) -> None:
    caller = caller_of(client, server, says("200 OK", b"{}", "set-cookie: session=1; Path=/"))
    await caller.call("GET", "/x")
    await caller.call("GET", "/x")
    assert not any(b"cookie:" in request.lower() for request in server.requests)


async def test_a_request_that_is_no_json_is_refused_before_it_is_sent(client, server) -> None:
    with pytest.raises(ValueError, match="JSON"):
        await caller_of(client, server, says("200 OK")).call("POST", "/x", json={"a": float("nan")})
    assert server.requests == []


async def test_logs_hold_neither_bodies_nor_secrets(client, server) -> None:
    caller = caller_of(client, server, says("200 OK", b'{"name":"Zelda-answered"}'))
    with capture_logs() as logs:
        await caller.call(
            "POST",
            "/x",
            json={"name": "Zelda-asked"},
            headers={"authorization": "Bearer Zelda-token"},
        )
        await caller.call("POST", "/x", form={"a": "Zelda-asked"}, auth=("me", "Zelda-password"))
        server.behaviours["/x"] = says("200 OK", b'{"Zelda-answered"')
        with pytest.raises(Permanent):
            await caller.call("GET", "/x")
    assert len(logs) == 3
    assert "Zelda" not in json.dumps(logs)


async def test_a_get_is_not_sent_again_over_another_connection(client) -> None:
    """A kept connection that is closed instead of answered: nobody knows what became of it."""
    requests = 0

    async def answers_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await reader.readuntil(b"\r\n\r\n")
        requests += 1
        kind = b"content-type: application/json"
        writer.write(b"HTTP/1.1 200 OK\r\n" + kind + b"\r\ncontent-length: 2\r\n\r\n{}")
        if await reader.read(65_536):
            requests += 1
        writer.close()

    listening = await asyncio.start_server(answers_once, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    caller = HTTPCaller(client, f"http://127.0.0.1:{port}")
    await caller.call("GET", "/x")
    with pytest.raises(Unavailable):
        await caller.call("GET", "/x")
    assert requests == 2
    listening.close()


async def test_who_was_busy_says_with_which_status(client, server) -> None:
    caller = caller_of(client, server, says("503 Service Unavailable", b"", "retry-after: 5"))
    with pytest.raises(RetryLater) as raised:
        await caller.call("GET", "/x")
    assert (raised.value.status, raised.value.retry_after_s) == (503, 5)


async def test_credentials_in_the_address_are_not_sent(client, server) -> None:
    server.behaviours["/x"] = says("200 OK")
    address = server.url.replace("http://", "http://user:Zelda-password@")
    with capture_logs() as logs:
        await HTTPCaller(client, address).call("GET", "/x")
    assert b"authorization" not in server.requests[0].lower()
    assert "Zelda" not in json.dumps(logs)


async def test_a_closed_client_sends_nothing(server) -> None:
    client = new_client()
    caller = caller_of(client, server, says("200 OK"))
    await caller.call("GET", "/x")
    await client.aclose()
    await client.aclose()
    with pytest.raises(Unavailable):
        await caller.call("GET", "/x")
    assert len(server.requests) == 1


async def test_names_lead_where_the_resolver_says(server) -> None:
    asked: list[str] = []

    class Resolver(AbstractResolver):
        async def resolve(self, host, port=0, family=socket.AF_INET):
            asked.append(host)
            if host == "inside.example":
                raise OSError("not for you")
            here = {"hostname": host, "host": "127.0.0.1", "port": port}
            return [{**here, "family": family, "proto": 0, "flags": 0}]

        async def close(self) -> None:
            pass

    server.behaviours["/x"] = says("200 OK")
    port = server.url.rpartition(":")[2]
    async with new_client(resolver=Resolver()) as client:
        await HTTPCaller(client, f"http://lender.example:{port}").call("GET", "/x")
        with pytest.raises(Unavailable):
            await HTTPCaller(client, f"http://inside.example:{port}").call("GET", "/x")
    assert asked == ["lender.example", "inside.example"]
    assert len(server.requests) == 1


async def test_a_hanging_host_takes_no_place_from_another(server) -> None:
    async def hangs(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    async with new_client(max_connections=1) as client:
        hanging = asyncio.create_task(caller_of(client, server, hangs).call("GET", "/x"))
        while not server.requests:
            await asyncio.sleep(0.01)
        other = Misbehaving()
        listening = await asyncio.start_server(other.handle, "127.0.0.1", 0)
        other.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        assert (await caller_of(client, other, says("200 OK")).call("GET", "/x")).status == 200
        with pytest.raises(Unavailable):  # waiting for a place is part of the deadline
            await HTTPCaller(client, server.url, 0.1).call("GET", "/x")
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)
        listening.close()


class Toll:
    """A gate that counts, and lets nobody pass once it is shut."""

    def __init__(self) -> None:
        self.passed, self.shut = 0, False
        self.heard: list[int | None] = []

    async def before(self) -> None:
        if self.shut:
            raise Transient("RATE_LIMITED")
        self.passed += 1

    def told(self, later: RetryLater) -> None:
        self.heard.append(later.retry_after_s)


async def test_every_request_passes_the_gate_and_it_hears_of_refusals(client, server) -> None:
    gate = Toll()
    behaviour = says("429 Too Many Requests", b"", "retry-after: 7")
    caller = caller_of(client, server, behaviour).through(gate)
    with pytest.raises(RetryLater):
        await caller.call("GET", "/x")
    assert (gate.passed, gate.heard) == (1, [7])
    gate.shut = True
    with pytest.raises(Transient, match="RATE_LIMITED"):
        await caller.call("GET", "/x")
    assert len(server.requests) == 1


async def test_bodies_that_are_no_json_are_exchanged_as_they_are(client, server) -> None:
    caller = caller_of(client, server, says("500 Broken", b"<fault/>", kind="text/xml"))
    headers = {"content-type": "text/xml", "soapaction": '"x"'}
    with pytest.raises(RetryLater):
        await caller.exchange("POST", "/x", b"<a/>", headers)
    received = await caller.exchange("POST", "/x", b"<a/>", headers, answers=frozenset({500}))
    assert (received.status, received.raw) == (500, b"<fault/>")
    assert received.headers["content-type"] == "text/xml"
    assert b'soapaction: "x"' in server.requests[1].lower()


@pytest.mark.parametrize("behaviour", [never_ends, says("302 Found", b"", "location: /y")])
async def test_an_exchange_is_bounded_alike(client, server, behaviour) -> None:
    with pytest.raises(Permanent, match="MALFORMED_RESPONSE"):
        await caller_of(client, server, behaviour).exchange("POST", "/x", b"", {})
