"""An integrator's receiver, as a process of its own: verifies, logs every request, fails at times.

    python -m bench.webhook_receiver --log FILE --secrets FILE --failures 0.05 --seed 7

It prints its port. `--secrets` is a JSON file of path: secret, written once webhooks are
registered. Of the failures, chosen by seed, message and attempt, some answer 500, some 503 with
`Retry-After`, and some take the message and close the connection without an answer.

The signature is checked by code of its own, not by the product's.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import uvloop
from aiohttp import web

_HEADERS: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")
ACCEPTED: Final = 204
CLOSED: Final = 0  # the connection was closed without an answer


class Receiver:
    """Answers, and writes a line for every request before it does."""

    def __init__(self, log: Path, secrets: Path, failures: float, seed: int) -> None:
        self._log = log.open("a", encoding="utf-8")
        self._secrets_path = secrets
        self._failures = failures
        self._seed = seed
        self._seen: Counter[tuple[str, str]] = Counter()

    @cached_property
    def _secrets(self) -> dict[str, bytes]:
        told = json.loads(self._secrets_path.read_text("utf-8"))
        return {path: base64.b64decode(text.partition("_")[2]) for path, text in told.items()}

    async def handle(self, request: web.Request) -> web.Response:
        """One request."""
        body = await request.read()
        message_id, timestamp, signatures = (request.headers.get(each, "") for each in _HEADERS)
        self._seen[request.path, message_id] += 1
        status = self._status(request.path, message_id)
        envelope = json.loads(body)
        line: dict[str, Any] = {
            "path": request.path,
            "id": message_id,
            "event": envelope["id"],
            "key": envelope["subject"],
            "sequence": int(envelope["sequence"]),
            "signed": self._signed(request.path, message_id, timestamp, signatures, body),
            "status": status,
        }
        self._log.write(json.dumps(line, separators=(",", ":")) + "\n")
        self._log.flush()
        if status == CLOSED:
            assert request.transport is not None
            request.transport.close()
        return web.Response(status=status or ACCEPTED, headers={"Retry-After": "0"})

    def _status(self, path: str, message_id: str) -> int:
        chosen = f"{self._seed}|{path}|{message_id}|{self._seen[path, message_id]}".encode()
        dice = int.from_bytes(hashlib.sha256(chosen).digest()[:8], "big") / 2**64
        if dice >= self._failures:
            return ACCEPTED
        return (500, 503, CLOSED)[int(dice / self._failures * 3)]

    def _signed(
        self, path: str, message_id: str, timestamp: str, signatures: str, body: bytes
    ) -> bool:
        signed = f"{message_id}.{timestamp}.".encode() + body
        digest = hmac.digest(self._secrets[path], signed, "sha256")
        return f"v1,{base64.b64encode(digest).decode()}" in signatures.split(" ")


async def serve(receiver: Receiver) -> None:
    """Serve on a free port of loopback until killed."""
    app = web.Application()
    app.router.add_post("/{tail:.*}", receiver.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=512)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def main(
    log: Annotated[Path, typer.Option()],
    secrets: Annotated[Path, typer.Option()],
    failures: Annotated[float, typer.Option()] = 0.05,
    seed: Annotated[int, typer.Option()] = 7,
) -> None:
    """Serve until killed."""
    uvloop.run(serve(Receiver(log, secrets, failures, seed)))


if __name__ == "__main__":
    typer.run(main)
