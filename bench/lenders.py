"""Twenty light banks, each a process of its own: `python -m bench.lenders` with a plan on stdin.

Each speaks the bank's protocol as `sandbox/counterparties/bank.py` does, as far as a search needs
it: an access token, and quotes whose figures, terms and hash are true; the same quote for the same
idempotency key. It keeps no journal and signs nothing, so that twenty of them fit on one core.

Some hang (they take the request and never answer) and some fail (503). A quote's id says how long
the bank had it: `q-{microseconds}-{number}`, its own delay included.

The plan is a JSON line of `Bank`s; the ports are answered in a JSON line. The banks end when stdin
does.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
import sys
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httptools
import uvloop

from adapters.chain.eip712 import checksum
from sandbox.counterparties.bank_pricing import nominal_rate_bps
from sandbox.counterparties.lending import Wanted, quote_document
from sandbox.counterparties.pricing import price

CLIENT_ID: Final = "bench"
CLIENT_SECRET: Final = "bench-secret"
_BASIC: Final = b"Basic " + b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode())
_TOKEN: Final = "bench-token"
_BEARER: Final = b"Bearer " + _TOKEN.encode()
_VALIDITY: Final = timedelta(minutes=15)

Reply = tuple[int, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Bank:
    """One bank: `mode` is good, hang or fail; it takes `delay_ms` for a quote."""

    number: int
    mode: str
    delay_ms: int

    @property
    def lender_address(self) -> str:
        """The account it would lend from."""
        return checksum("0x" + hashlib.sha256(f"bank {self.number}".encode()).hexdigest()[:40])

    @property
    def base_rate_bps(self) -> int:
        """No two banks offer the same."""
        return 400 + 10 * self.number


class Desk:
    """What one bank answers."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._lender = bank.lender_address
        self._quotes: dict[bytes, dict[str, Any]] = {}

    def answer(self, path: bytes, headers: dict[bytes, bytes], body: bytes) -> Reply | None:
        """The reply; None: there will be none."""
        if path == b"/oauth2/token" and headers.get(b"authorization") == _BASIC:
            return 200, {"access_token": _TOKEN, "token_type": "Bearer", "expires_in": 3_600}
        if headers.get(b"authorization") != _BEARER:
            return 401, {"code": "TOKEN_INVALID"}
        if path != b"/v1/quotes":
            return 404, {"code": "NOT_FOUND"}
        match self._bank.mode:
            case "hang":
                return None
            case "fail":
                return 503, {"code": "CORE_BANKING_AWAY"}
        key = headers[b"idempotency-key"]
        if key not in self._quotes:
            self._quotes[key] = self._quote(json.loads(body))
        return 200, {"quote": self._quotes[key]}

    def _quote(self, asked: dict[str, Any]) -> dict[str, Any]:
        amount_minor, months = asked["amount_minor"], asked["term_months"]
        rate = nominal_rate_bps(self._bank.base_rate_bps, asked["pd"], asked["score"], months)
        wanted = Wanted(
            loan_reference=asked["loan_reference"],
            borrower=asked["borrower"],
            amount_minor=amount_minor,
            currency=asked["currency"],
            term_months=months,
            **asked["venue"],
        )
        return quote_document(
            wanted,
            price(amount_minor, months, rate, fee_bps=100),
            lender=self._lender,
            quote_id=f"q-{len(self._quotes)}",
            expires_at=datetime.now(UTC) + _VALIDITY,
        )


class Door(asyncio.Protocol):
    """One connection of a client: HTTP/1.1, kept alive."""

    def __init__(self, desk: Desk, delay_s: float) -> None:
        self._desk = desk
        self._delay_s = delay_s
        self._transport: Any = None
        self._parser = httptools.HttpRequestParser(self)
        self._path, self._headers, self._body = b"", {}, b""  # type: tuple[bytes, Any, bytes]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path, self._headers, self._body = url, {}, b""

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        began = time.perf_counter()
        reply = self._desk.answer(self._path, self._headers, self._body)
        if reply is None:
            return
        quoted = "quote" in reply[1]
        left_s = began + self._delay_s - time.perf_counter() if quoted else 0.0
        asyncio.get_running_loop().call_later(max(0.0, left_s), self._send, reply, began)

    def _send(self, reply: Reply, began: float) -> None:
        status, document = reply
        if "quote" in document:
            quote = document["quote"]
            had_us = round((time.perf_counter() - began) * 1e6)
            number = quote["quote_id"].rpartition("-")[2]
            document = {"quote": {**quote, "quote_id": f"q-{had_us}-{number}"}}
        body = json.dumps(document, separators=(",", ":")).encode()
        head = (
            f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        if not self._transport.is_closing():  # whoever asked has not waited
            self._transport.write(head.encode() + body)


async def _serve(bank: Bank, listening: socket.socket, ended: int) -> None:
    desk = Desk(bank)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Door(desk, bank.delay_ms / 1_000), sock=listening)
    over = asyncio.Event()
    loop.add_reader(ended, over.set)
    await over.wait()
    server.close()


def _child(bank: Bank, listening: socket.socket, ended: int) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(bank, listening, ended))


def _forked(run: Callable[[], None]) -> int:
    """A process of its own that runs this and ends."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        run()
        status = 0
    finally:
        os._exit(status)


def main() -> None:
    """Open the banks, say where they are, and end with stdin."""
    plan = [Bank(**each) for each in json.loads(sys.stdin.readline())]
    # Its end is heard by every bank, however this process ends.
    ended, held = os.pipe()
    pids = []
    ports = []
    for bank in plan:
        listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        ports.append(listening.getsockname()[1])

        def run(bank: Bank = bank, listening: socket.socket = listening) -> None:
            os.close(held)
            _child(bank, listening, ended)

        pids.append(_forked(run))
        listening.close()
    print(json.dumps(ports), flush=True)
    sys.stdin.read()
    os.close(held)
    for pid in pids:
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
