"""One bounded HTTP call, against a server that misbehaves byte by byte."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from adapters.http import HTTPCaller, HTTPClient, RetryLater
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
