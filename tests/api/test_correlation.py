"""One name from the caller's header to the logs; what is not well-formed is never taken."""

from __future__ import annotations

import json
import re

import httpx
import pytest
import structlog

from adapters import telemetry
from models.domain.correlation import CURRENT, Correlation, correlate

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


async def test_a_proper_name_is_kept_and_returned(http: httpx.AsyncClient) -> None:
    answer = await http.get("/healthz", headers={"x-correlation-id": "order-4711.a_b"})
    assert answer.headers["x-correlation-id"] == "order-4711.a_b"
    assert answer.headers["x-request-id"] != "order-4711.a_b"


async def test_a_trace_goes_on(http: httpx.AsyncClient) -> None:
    answer = await http.get("/healthz", headers={"traceparent": PARENT})
    assert answer.headers["x-correlation-id"] == TRACE
    version, trace, parent, flags = answer.headers["traceparent"].split("-")
    assert (version, trace, flags) == ("00", TRACE, "01")
    assert re.fullmatch("[0-9a-f]{16}", parent)
    assert parent != "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "name",
    ["short", "x" * 65, "with space 123", '{"evil": 1}', "a\u00e9bcdefgh", "\x1b[31mred-alert",
     "line\\nbreak", "`rm -rf /`-x", "zelda@example.org"],
)  # fmt: skip
async def test_a_name_that_would_spoil_a_log_is_replaced(
    http: httpx.AsyncClient, name: str
) -> None:
    answer = await http.get("/healthz", headers={"x-correlation-id": name.encode("utf-8")})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-correlation-id"])
    assert answer.headers["x-correlation-id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "parent",
    ["", "x", PARENT + "-00", PARENT.replace("00-", "ff-", 1), PARENT.upper(),
     f"00-{'0' * 32}-00f067aa0ba902b7-01", f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE}-abc-01"],
)  # fmt: skip
def test_a_trace_that_is_none_is_not_taken(parent: str) -> None:
    found = correlate(None, parent)
    assert found.trace_id != TRACE
    assert re.fullmatch(f"00-{found.trace_id}-[0-9a-f]{{16}}-00", found.traceparent())


def test_what_travels_on_is_read_again() -> None:
    name = correlate("order-4711", PARENT, "request-1")
    assert Correlation.parse(name.carried()) == Correlation("order-4711", TRACE, "01")
    for text in ("", "x y", name.carried() + " ", "a b-c", "order-4711 " + "z" * 32 + "-00"):
        assert Correlation.parse(text) is None


def test_every_line_bears_the_name(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure("INFO")
    named = CURRENT.set(correlate("order-4711", None, "request-1"))
    try:
        structlog.get_logger().info("told", reason="a\nb\x1b[31m\u2028\x00", secret="hidden")
    finally:
        CURRENT.reset(named)
        structlog.reset_defaults()
    written = capsys.readouterr().err.splitlines()
    assert len(written) == 1  # whatever is in it, a line stays a line
    assert "\x1b" not in written[0]
    line = json.loads(written[0])
    assert (line["correlation_id"], line["request_id"]) == ("order-4711", "request-1")
    assert "secret" not in line
