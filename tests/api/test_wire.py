"""What arrives by the wire before it is a request: smuggling, slowness, size. Raw sockets only."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from fastapi import FastAPI

from settings import APISettings
from tests.api.serving import Wire, ask, refused, served

HEAD = b"POST /callbacks/identity HTTP/1.1\r\nHost: api\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: api\r\n"


@pytest_asyncio.fixture(loop_scope="session")
async def port(app: FastAPI) -> AsyncIterator[int]:
    """A server that is patient enough for a busy machine, but bounded."""
    async with served(app, APISettings()) as port:
        yield port


CHUNKED = b"Transfer-Encoding: chunked\r\n"
END = b"\r\n0\r\n\r\n"

TWO_READINGS = {
    "a length beside chunks": HEAD + b"Content-Length: 4\r\n" + CHUNKED + END,
    "chunks beside a length": HEAD + CHUNKED + b"Content-Length: 4\r\n" + END,
    "two lengths": HEAD + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
    "one length twice": HEAD + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd",
    "a list of lengths": HEAD + b"Content-Length: 4, 4\r\n\r\nabcd",
    "a length with a sign": HEAD + b"Content-Length: +4\r\n\r\nabcd",
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\nabcd",
    "a hexadecimal length": HEAD + b"Content-Length: 0x4\r\n\r\nabcd",
    "a space before the colon": HEAD + b"Content-Length : 4\r\n\r\nabcd",
    "chunks that are not last": HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "compressed chunks": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "two encodings": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
    "a hidden encoding": HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": HEAD.replace(b"1.1", b"1.0") + CHUNKED + END,
    "lines without CR": HEAD.replace(b"\r", b"") + b"Transfer-Encoding: chunked\n\n0\n\n",
    "a header without CR": HEAD.replace(b"api\r\n", b"api\n") + b"\r\n",
    "a bare CR": HEAD + b"X: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a folded header": GET + b"X: a\r\n Y: b\r\n\r\n",
    "a NUL": GET + b"X: a\x00b\r\n\r\n",
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "another host in the first line": b"GET http://evil/healthz HTTP/1.1\r\nHost: api\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an unknown method": b"FOO /healthz HTTP/1.1\r\nHost: api\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("what", TWO_READINGS)
async def test_what_others_may_read_otherwise_is_refused(port: int, what: str) -> None:
    """With a second request behind it that is never answered."""
    wire = await Wire.to(port)
    await wire.say(TWO_READINGS[what] + GET.replace(b"/healthz", b"/smuggled") + b"\r\n")
    refused(await wire.answer(), 400, "REQUEST_MALFORMED")
    assert await wire.ended()
    await wire.close()


@pytest.mark.parametrize(
    "body", [b"xyz\r\n", b"4\nabcd\n0\n\n", b"ffffffffffffffff1\r\nabcd\r\n0\r\n\r\n", b"-1\r\n"]
)
async def test_chunks_that_cannot_be_read_end_the_connection(port: int, body: bytes) -> None:
    wire = await Wire.to(port)
    await wire.say(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body)
    assert (await wire.answer())[0] in {0, 400}
    assert await wire.ended()
    await wire.close()


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (GET + b"Host: evil\r\n\r\n", "HEADER_REPEATED"),
        (GET + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n", "HEADER_REPEATED"),
        (GET + b"Idempotency-Key: aaaaaaaa\r\nidempotency-key: b\r\n\r\n", "HEADER_REPEATED"),
        (GET + b"Content-Type: text/plain\r\nContent-Type: a/b\r\n\r\n", "HEADER_REPEATED"),
        (b"GET /healthz HTTP/1.1\r\n\r\n", "HOST_MISSING"),
    ],
)
async def test_headers_of_which_there_is_one_come_once(port: int, raw: bytes, code: str) -> None:
    refused(await ask(port, raw), 400, code)


async def test_nothing_follows_a_closed_connection(port: int) -> None:
    wire = await Wire.to(port)
    await wire.say(GET + b"Connection: close\r\n\r\n" + GET + b"\r\n")
    assert (await wire.answer())[0] == 204
    assert await wire.ended()
    await wire.close()


async def test_two_whole_requests_at_once_are_two_answers(port: int) -> None:
    wire = await Wire.to(port)
    with_body = GET + b"Content-Length: 3\r\n\r\nabc"
    await wire.say(with_body + GET + b"\r\n")
    assert [(await wire.answer())[0], (await wire.answer())[0]] == [204, 204]
    await wire.close()


async def test_a_body_in_chunks_is_read(port: int) -> None:
    status, _, body = await ask(
        port,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n4;a=b\r\nabcd\r\n0\r\nX-Tenant: evil\r\n\r\n",
    )
    assert (status, json.loads(body)["code"]) == (401, "CALLBACK_SIGNATURE_INVALID")


# Size.


@pytest.mark.parametrize(
    "headers",
    [b"X: " + b"a" * 20_000 + b"\r\n", b"X: a\r\n" * 80, (b"X: " + b"a" * 300 + b"\r\n") * 60],
)
async def test_a_head_that_is_too_large_is_refused(port: int, headers: bytes) -> None:
    refused(await ask(port, GET + headers + b"\r\n"), 431, "HEAD_TOO_LARGE")


async def test_a_header_without_end_is_cut_off(port: int) -> None:
    wire = await Wire.to(port)
    for _ in range(40):
        await wire.say(GET.removesuffix(b"\r\n") if _ == 0 else b"a" * 1_000)
    assert (await wire.answer())[0] in {0, 431}  # whoever still writes may not hear why
    assert await wire.ended()
    await wire.close()


async def test_a_large_head_is_read(port: int) -> None:
    head = GET + b"X: " + b"a" * 15_000 + b"\r\n" + b"Y: b\r\n" * 50
    assert (await ask(port, head + b"\r\n"))[0] == 204


async def test_long_bodies_do_not_count_for_the_next_head(port: int) -> None:
    wire = await Wire.to(port)
    for _ in range(3):
        await wire.say(HEAD + b"Content-Length: 60000\r\n\r\n" + b"x" * 30_000)
        await wire.say(b"x" * 30_000)
        assert (await wire.answer())[0] == 401
        await wire.say(GET[:20])
        await wire.say(GET[20:] + b"\r\n")
        assert (await wire.answer())[0] == 204
    await wire.close()


async def test_a_body_too_large_ends_the_connection(port: int) -> None:
    wire = await Wire.to(port)
    await wire.say(HEAD + b"Content-Length: 100000\r\n\r\n" + b"x" * 1_000)
    refused(await wire.answer(), 413, "BODY_TOO_LARGE")
    assert await wire.ended()
    await wire.close()


async def test_connections_beyond_the_limit_are_closed(app: FastAPI) -> None:
    async with served(app, APISettings(max_connections=2)) as port:
        first, second = await Wire.to(port), await Wire.to(port)
        for wire in (first, second):
            await wire.say(GET + b"\r\n")
            assert (await wire.answer())[0] == 204
        third = await Wire.to(port)
        assert await third.ended()
        await first.close()
        await first.ended()
        await second.say(GET + b"\r\n")
        assert (await second.answer())[0] == 204
        await second.close()
        await third.close()
