"""What the gateway's figures are made of, and the client that measures them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from itertools import islice
from typing import Any

import pytest

from bench.driver import Crowd
from bench.gateway import Steady, _figures
from bench.gateway_load import (
    MIX,
    WRITES,
    SaturatedPlan,
    Staff,
    SteadyPlan,
    _kinds,
    document_of,
    plan_of,
)
from bench.saturation import Repeat, Saturated
from bench.wire_client import BROKEN, Wire, request_bytes

CROWD = Crowd("http://127.0.0.1:1", "00" * 32, {"chain_id": 1}, {"tenant": "t"}, [("a", "token")])


def saturated(rate: float, cpu_ms: float) -> Saturated:
    return Saturated(rate, cpu_ms, 0.05)


def test_reads_and_writes_are_counted_apart_and_the_median_ratio_speaks() -> None:
    latencies = {"follow": [1.0] * 90 + [40.0] * 10, "apply": [9.0] * 100, "invite": [3.0] * 100}
    steady = Steady(latencies, 2, 0.1, 0.04, {"api": 150.0})
    repeats = [
        Repeat(saturated(1_000, 0.5), saturated(2_000, 0.3), saturated(500, 1.0)),
        Repeat(saturated(1_000, 0.6), saturated(1_500, 0.3), saturated(800, 0.8)),
        Repeat(saturated(1_000, 0.5), saturated(1_000, 0.3), saturated(700, 1.0)),
    ]
    figures = {figure.name: figure for figure in _figures(steady, repeats)}
    assert figures["gateway.read_p99_ms"].value == 40.0
    assert figures["gateway.write_p99_ms"].value == 9.0
    assert figures["gateway.errors"].value == 2
    assert figures["gateway.cpu.api"].value == 0.5
    rate, by_hand = figures["gateway.rate"], figures["gateway.rate_by_hand"]
    assert (rate.value, rate.baseline, rate.ratio) == (700, 1_000, 0.7)
    assert (by_hand.value, by_hand.baseline, by_hand.ratio) == (800, 1_500, 0.533)
    assert figures["gateway.cpu"].ratio == 0.5


def test_the_mix_is_what_the_goal_says() -> None:
    assert sum(MIX.values()) == 100
    assert MIX["apply"] == 1
    assert sum(MIX[kind] for kind in WRITES) == 5
    assert Counter(islice(_kinds(), 1_000)) == {kind: n * 10 for kind, n in MIX.items()}


@pytest.mark.parametrize(
    "plan",
    [
        SteadyPlan(CROWD, Staff("u", "a"), [("app_1", "token")], 200, 60.0),
        SaturatedPlan("http://127.0.0.1:1", ["GET / HTTP/1.1"], 16, 8.0),
    ],
    ids=lambda plan: type(plan).__name__,
)
def test_a_plan_arrives_as_it_was_sent(plan: Any) -> None:
    sent = json.loads(json.dumps(document_of(plan)))
    if "crowd" in sent:
        sent["crowd"]["people"] = [tuple(each) for each in sent["crowd"]["people"]]
        sent["known"] = [tuple(each) for each in sent["known"]]
    assert plan_of(sent) == plan


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers in two pieces, and the request for /last not at all."""
    while head := await reader.readline():
        while (await reader.readline()).strip():
            pass
        if b"/last" in head:
            break
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 12\r\nx-a: b\r\n\r\n{")
        await writer.drain()
        await asyncio.sleep(0)
        writer.write(b'"said":"1"}')
        await writer.drain()
    writer.close()


async def test_the_client_reads_answers_that_come_in_pieces() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    wire = Wire("127.0.0.1", port)
    for _ in range(2):
        answer = await wire.ask(request_bytes("GET", "/first", {"authorization": "Bearer t"}))
        assert (answer.status, answer.document()) == (202, {"said": "1"})
    assert wire.opened == 1
    # A broken connection is told, and not used again.
    assert await wire.ask(request_bytes("GET", "/last", {})) == BROKEN
    assert (await wire.ask(request_bytes("GET", "/first", {}))).status == 202
    wire.close()
    server.close()
    assert await Wire("127.0.0.1", 1).ask(request_bytes("GET", "/", {})) == BROKEN


def test_a_request_says_how_long_its_body_is() -> None:
    request = request_bytes("POST", "/x", {"idempotency-key": "k"}, {"a": 1})
    assert request == (
        b"POST /x HTTP/1.1\r\nhost: gateway\r\nidempotency-key: k\r\n"
        b'content-type: application/json\r\ncontent-length: 7\r\n\r\n{"a":1}'
    )
