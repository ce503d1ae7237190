"""Time and room: what is too slow is ended, what is too much is put off, and probes always pass."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from settings import APISettings, Settings
from tests.api.answers import problem
from tests.api.serving import Wire, ask, refused, served

HEAD = b"POST /callbacks/identity HTTP/1.1\r\nHost: api\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: api\r\n"
APPLICATION = "/api/v1/applications/app_" + "0" * 32


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A gateway that waits for nobody; what it waits for least ends first on a busy machine too."""
    api = APISettings(
        header_timeout_s=0.5, body_timeout_s=0.5, request_timeout_s=2.0, max_concurrent_requests=2
    )
    return settings.model_copy(update={"api": api})


@pytest_asyncio.fixture(loop_scope="session")
async def hasty(app: FastAPI, settings: Settings) -> AsyncIterator[int]:
    async with served(app, settings.api) as port:
        yield port


# Slow senders.


@pytest.mark.parametrize("raw", [b"", b"\r\n", GET])
async def test_a_connection_that_asks_nothing_is_closed(hasty: int, raw: bytes) -> None:
    wire = await Wire.to(hasty)
    if raw == GET:  # one answer, and then blank lines for ever
        await wire.say(GET + b"\r\n")
        assert (await wire.answer())[0] == 204
        raw = b"\r\n"
    await wire.say(raw)
    assert await wire.ended()
    await wire.close()


async def test_a_head_that_does_not_come_is_not_waited_for(hasty: int) -> None:
    refused(await ask(hasty, GET + b"X-Slow"), 408, "HEAD_TOO_SLOW")


@pytest.mark.parametrize("raw", [b"Content-Length: 10\r\n\r\nabc",
                                 b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"])  # fmt: skip
async def test_a_body_that_does_not_come_is_not_waited_for(hasty: int, raw: bytes) -> None:
    wire = await Wire.to(hasty)
    await wire.say(HEAD + raw)
    refused(await wire.answer(), 408, "BODY_TOO_SLOW")
    assert await wire.ended()
    await wire.close()


async def test_a_body_in_two_parts_is_in_time(hasty: int) -> None:
    wire = await Wire.to(hasty)
    await wire.say(HEAD + b"Content-Length: 6\r\n\r\nabc")
    await asyncio.sleep(0)
    await wire.say(b"abc")
    assert (await wire.answer())[0] == 401
    await wire.close()


# Slow answers.


class Slow:
    """Records that answer when told to, and count who waits."""

    def __init__(self, records: Any) -> None:
        self._records = records
        self.waiting = 0
        self.answered = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    async def view(self, tenant_id: str, application_id: str) -> Any:
        self.waiting += 1
        try:
            await self.answered.wait()
        finally:
            self.waiting -= 1
        return await self._records.view(tenant_id, application_id)


@pytest.fixture
def slow(app: FastAPI, records: Any) -> Slow:
    """Records behind the application that keep everybody waiting."""
    slow: Any = Slow(records)
    services = app.state.services
    app.state.services = type(services)(
        **{name: getattr(services, name) for name in services.__slots__} | {"applications": slow}
    )
    return slow


Bearer = Callable[..., dict[str, str]]


async def test_an_answer_that_takes_too_long_is_given_up(
    http: httpx.AsyncClient, bearer: Bearer, slow: Slow
) -> None:
    answer = await http.get(APPLICATION, headers=bearer("support"))
    problem(answer, 503, "REQUEST_TIMED_OUT")
    assert int(answer.headers["retry-after"]) > 0
    assert slow.waiting == 0  # nobody works on it any more
    slow.answered.set()
    problem(await http.get(APPLICATION, headers=bearer("support")), 404, "NOT_FOUND")


async def test_more_than_there_is_room_for_is_put_off(
    http: httpx.AsyncClient, bearer: Bearer, slow: Slow
) -> None:
    asked = [
        asyncio.create_task(http.get(APPLICATION, headers=bearer("support"))) for _ in range(2)
    ]
    while slow.waiting < 2:
        await asyncio.sleep(0)
    answer = await http.get(APPLICATION, headers=bearer("support"))
    problem(answer, 503, "TOO_BUSY")
    assert int(answer.headers["retry-after"]) > 0
    assert (await http.get("/healthz")).status_code == 204
    assert (await http.get("/readyz")).status_code == 200
    slow.answered.set()
    assert [(await each).status_code for each in asked] == [404, 404]
    problem(await http.get(APPLICATION, headers=bearer("support")), 404, "NOT_FOUND")


async def test_a_stream_of_events_takes_neither_room_nor_time(
    app: FastAPI, http: httpx.AsyncClient, hasty: int
) -> None:
    ended = asyncio.Event()

    async def events() -> AsyncIterator[bytes]:
        yield b": hello\n\n"
        await ended.wait()
        yield b": bye\n\n"

    @app.get("/stream", include_in_schema=False)
    async def stream() -> StreamingResponse:
        return StreamingResponse(events(), media_type="text/event-stream")

    opened = []
    for _ in range(3):
        opened.append(wire := await Wire.to(hasty))
        await wire.say(b"GET /stream HTTP/1.1\r\nHost: api\r\n\r\n")
        assert (await wire.answer())[0] == 200
    await asyncio.sleep(1.2)  # longer than any other answer may take
    assert (await http.get("/nothing")).status_code == 404
    ended.set()
    for wire in opened:
        assert b"bye" in await wire.rest()
        await wire.close()
