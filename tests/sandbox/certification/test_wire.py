"""The line on which faults happen: what passes unchanged, and each fault as it is felt."""

from __future__ import annotations

import asyncio
import socket
import zlib
from collections.abc import Callable, Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.certification import faults
from sandbox.certification.wire import Line, Wire
from tests.adapters.conftest import Served


async def echo(request: Request) -> Response:
    body = await request.body()
    return JSONResponse(
        {"method": request.method, "query": request.url.query, "body": body.decode()},
        201,
        headers={"x-kept": request.headers.get("x-told", "")},
    )


@pytest.fixture
def serve() -> Iterator[Callable[[Starlette], Served]]:
    running: list[Served] = []

    def start(app: Starlette) -> Served:
        running.append(Served(app))
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def upstream(serve) -> str:
    return serve(Starlette(routes=[Route("/echo", echo, methods=["GET", "POST"])])).url


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire() as wire:
        yield wire


@pytest.fixture
def line(wire: Wire, upstream: str) -> Line:
    return wire.line(upstream)


@pytest.fixture
def post(line: Line) -> Callable[[], httpx.Response]:
    return lambda: httpx.post(
        f"{line.url}/echo?a=b", content=b"words", headers={"x-told": "yes"}, trust_env=False
    )


def test_what_is_not_broken_passes_unchanged(line: Line, post) -> None:
    answer = post()
    assert answer.status_code == 201
    assert answer.json() == {"method": "POST", "query": "a=b", "body": "words"}
    assert answer.headers["x-kept"] == "yes"
    [asked] = line.asked
    assert (asked.method, asked.target, asked.body) == ("POST", "/echo?a=b", b"words")
    assert line.faulted == 0


def test_a_fault_is_met_by_those_it_is_meant_for_until_it_is_mended(line: Line, post) -> None:
    line.break_with(faults.status(429, retry_after="7"), lambda asked: asked.method == "POST")
    assert httpx.get(f"{line.url}/echo", trust_env=False).status_code == 201
    answer = post()
    assert (answer.status_code, answer.headers["retry-after"], line.faulted) == (429, "7", 1)
    line.mend()
    assert post().status_code == 201


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.silent(0.1), httpx.RemoteProtocolError),
        (faults.swallowed(0.1), httpx.RemoteProtocolError),
        (faults.truncated(), httpx.RemoteProtocolError),
        (faults.reset(), httpx.ReadError),
    ],
    ids=["silent", "swallowed", "truncated", "reset"],
)
def test_what_is_never_answered_breaks_the_connection(line: Line, post, fault, error) -> None:
    line.break_with(fault)
    with pytest.raises(error):
        post()


def test_a_swallowed_answer_was_given_all_the_same(wire: Wire, serve) -> None:
    done: list[str] = []

    async def do(_: Request) -> Response:
        done.append("it")
        return Response()

    line = wire.line(serve(Starlette(routes=[Route("/", do)])).url)
    line.break_with(faults.swallowed(0.05))
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(line.url, trust_env=False)
    assert done == ["it"]


def test_malformed_is_half_of_the_document_as_if_it_were_whole(line: Line, post) -> None:
    whole = post().content
    line.break_with(faults.malformed())
    assert post().content == whole[: len(whole) // 2]


def test_a_huge_answer_has_the_size_that_was_told(line: Line, post) -> None:
    line.break_with(faults.huge(1_000_000))
    answer = post()
    assert len(answer.content) == 1_000_000
    assert len(answer.json()["padding"]) > 999_000


def test_a_bomb_is_small_until_it_is_unpacked(line: Line) -> None:
    line.break_with(faults.bomb(1_000_000))
    with httpx.stream("POST", f"{line.url}/echo", trust_env=False) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert len(raw) < 10_000
    assert len(zlib.decompress(raw, 31)) == pytest.approx(1_000_000, rel=0.1)


def test_a_dripping_answer_comes_a_byte_at_a_time_and_no_longer_than_told(line: Line, post) -> None:
    line.break_with(faults.dripping(0.05, 0.01))
    with pytest.raises(httpx.RemoteProtocolError, match="received 5 bytes"):
        post()


async def test_two_answers_come_over_one_connection(line: Line) -> None:
    line.break_with(faults.twice(0.05))
    reader, writer = await asyncio.open_connection("127.0.0.1", int(line.url.rpartition(":")[2]))
    writer.write(b"GET /echo HTTP/1.1\r\nhost: lender\r\n\r\n")
    raw = await reader.read()
    writer.close()
    assert raw.count(b"HTTP/1.1 201") == 2


def test_a_cut_line_refuses_connections(line: Line) -> None:
    line.cut()
    with pytest.raises(httpx.ConnectError):
        httpx.get(line.url, trust_env=False)


def test_a_stranger_who_speaks_no_http_harms_nobody(line: Line, post) -> None:
    with socket.create_connection(("127.0.0.1", int(line.url.rpartition(":")[2]))) as stranger:
        stranger.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
        assert stranger.recv(1) == b""
    assert post().status_code == 201
