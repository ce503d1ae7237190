"""The transport against nodes that misbehave: every failure has its name, none hangs."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapters.chain.rpc import JSONRPCProvider, RPCError
from models.domain.errors import Transient, Unavailable
from settings import ROOT

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def node(handler: Handler, **limits: float) -> AsyncIterator[JSONRPCProvider]:
    """A provider whose node answers every POST with this handler."""
    app = web.Application()
    app.router.add_post("/secret-path", handler)
    server = TestServer(app)
    await server.start_server()
    provider = JSONRPCProvider(str(server.make_url("/secret-path")), **limits)
    try:
        yield provider
    finally:
        await provider.close()
        await server.close()


def answering(body: str, status: int = 200) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=body, status=status)

    return answer


async def echo(request: web.Request) -> web.Response:
    """Answers every call with its own parameters; a batch in reverse order."""
    asked = json.loads(await request.read())
    if isinstance(asked, dict):
        return web.json_response({"jsonrpc": "2.0", "id": asked["id"], "result": asked["params"]})
    return web.json_response(
        [
            {
                "jsonrpc": "2.0",
                "id": call["id"],
                "error": {"code": 3, "message": "no", "data": "0x"},
            }
            if call["method"] == "refuse"
            else {"jsonrpc": "2.0", "id": call["id"], "result": call["params"]}
            for call in reversed(asked)
        ]
    )


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("<html>bad gateway</html>", 502, "CHAIN_HTTP_STATUS"),
        ("", 429, "CHAIN_HTTP_STATUS"),
        ('{"id": 0, "result": "0x1"}', 403, "CHAIN_HTTP_STATUS"),
        ("", 302, "CHAIN_HTTP_STATUS"),
        ("not json", 200, "CHAIN_ANSWER_MALFORMED"),
        ("null", 200, "CHAIN_ANSWER_MALFORMED"),
        ("[]", 200, "CHAIN_ANSWER_MALFORMED"),
        ('"0x1"', 200, "CHAIN_ANSWER_MALFORMED"),
        ('{"id": 999, "result": "0x1"}', 200, "CHAIN_ANSWER_MALFORMED"),
        ('{"id": 0}', 200, "CHAIN_ANSWER_MALFORMED"),
        ('{"id": 0, "result": NaN}', 200, "CHAIN_ANSWER_MALFORMED"),
        ('{"id": 0, "error": {"code": -32005, "message": "slow down"}}', 429, "CHAIN_REFUSED"),
        ('{"id": null, "error": "odd"}', 200, "CHAIN_REFUSED"),
        ('{"id": 0, "result": "' + "a" * 5_000 + '"}', 200, "CHAIN_ANSWER_TOO_LARGE"),
    ],
)
async def test_a_bad_answer_is_transient_and_named(body: str, status: int, code: str) -> None:
    async with node(answering(body, status), answer_limit_bytes=4_000) as provider:
        with pytest.raises(Transient) as failed:
            await provider.call("eth_chainId")
    assert failed.value.code == code
    assert "secret-path" not in str(failed.value)


async def test_an_error_object_is_kept() -> None:
    refusal = '{"id": 0, "error": {"code": 3, "message": "execution reverted", "data": "0xaabb"}}'
    async with node(answering(refusal)) as provider:
        with pytest.raises(RPCError) as failed:
            await provider.call("eth_call")
    assert (failed.value.number, failed.value.message) == (3, "execution reverted")
    assert failed.value.data == "0xaabb"


async def test_a_node_that_does_not_answer_costs_one_deadline_and_nothing_else() -> None:
    release = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"{")
        await release.wait()
        return response

    async with node(hang, deadline_s=0.05) as provider:
        with pytest.raises(Transient) as failed:
            await provider.call("eth_chainId")
        assert failed.value.code == "CHAIN_TIMEOUT"
        assert not await provider.is_connected()
        release.set()


async def test_calls_cancelled_in_flight_leave_the_provider_usable() -> None:
    release = asyncio.Event()

    async def slow_once(request: web.Request) -> web.StreamResponse:
        if json.loads(await request.read())["method"] == "slow":
            await release.wait()
        return await echo(request)

    async with node(slow_once) as provider:
        # More than the pool has connections, so that some are cancelled while they wait for one.
        calls = [asyncio.create_task(provider.call("slow")) for _ in range(40)]
        await asyncio.sleep(0.05)
        for call in calls:
            call.cancel()
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in ended)
        assert await provider.call("fast", "0x1") == ["0x1"]
        release.set()


async def test_a_node_that_is_not_there_is_unavailable() -> None:
    provider = JSONRPCProvider("http://127.0.0.1:9/secret-path")
    with pytest.raises(Unavailable) as failed:
        await provider.call("eth_chainId")
    assert failed.value.code == "CHAIN_UNREACHABLE"
    assert "127.0.0.1" not in str(failed.value)
    await provider.close()


async def test_a_closed_provider_stays_closed() -> None:
    async with node(echo) as provider:
        assert await provider.call("ping") == []
        await provider.close()
        await provider.close()
        with pytest.raises(Unavailable):
            await provider.call("ping")


async def test_a_batch_keeps_its_order_and_its_refusals() -> None:
    async with node(echo) as provider:
        answers = await provider.batch([("a", ("0x1",)), ("refuse", ()), ("b", ("0x2", "0x3"))])
        assert answers[0] == ["0x1"]
        assert isinstance(answers[1], RPCError)
        assert answers[1].number == 3
        assert answers[2] == ["0x2", "0x3"]
        assert await provider.batch([]) == []


async def test_a_long_batch_is_sent_in_parts() -> None:
    sizes = []

    async def counting(request: web.Request) -> web.Response:
        sizes.append(len(json.loads(await request.read())))
        return await echo(request)

    async with node(counting) as provider:
        answers = await provider.batch([("a", (hex(n),)) for n in range(205)])
    assert answers == [[hex(n)] for n in range(205)]
    assert sizes == [100, 100, 5]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('{"id": null, "error": {"code": -32600, "message": "batch too large"}}', "CHAIN_REFUSED"),
        ('{"id": 0, "result": 1}', "CHAIN_ANSWER_MALFORMED"),
        ('[{"id": 0, "result": 1}]', "CHAIN_ANSWER_MALFORMED"),
        ('[{"id": 0, "result": 1}, {"id": 0, "result": 1}]', "CHAIN_ANSWER_MALFORMED"),
        ('[{"id": 0, "result": 1}, {"id": 1}]', "CHAIN_ANSWER_MALFORMED"),
        ('[{"id": 0, "result": 1}, 7]', "CHAIN_ANSWER_MALFORMED"),
        ('[{"id": [], "result": 1}, {"id": 1, "result": 1}]', "CHAIN_ANSWER_MALFORMED"),
    ],
)
async def test_a_bad_batch_answer_is_transient_and_named(body: str, code: str) -> None:
    async with node(answering(body)) as provider:
        with pytest.raises(Transient) as failed:
            await provider.batch([("a", ()), ("b", ())])
    assert failed.value.code == code


def test_reading_a_chain_does_not_load_web3() -> None:
    script = "import sys, adapters.chain.rpc; print({'web3', 'eth_abi'} & set(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "set()"
