"""Follows a tenant's loans by the API's event stream, as an integrator does instead of asking."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from typing import Any, Final

import httpx

from sandbox.borrower import TERMINAL

OFFERED: Final = "offers.collected"
ENDINGS: Final = frozenset(f"application.{state}" for state in TERMINAL)
_COME_BACK_S: Final = 1.0


class LoanEvents:
    """What has happened to each application, and a way to wait for what has not."""

    def __init__(self) -> None:
        self._happened: defaultdict[str, set[str]] = defaultdict(set)
        self._waiting: dict[str, asyncio.Event] = {}
        self._last_id: str | None = None
        self.following = asyncio.Event()

    async def run(self, http: httpx.AsyncClient, token: str) -> None:
        """Read the stream until cancelled; one that breaks off is taken up where it ended."""
        while True:
            try:
                await self._read(http, token)
            except httpx.TransportError:
                await asyncio.sleep(_COME_BACK_S)

    async def until(self, application_id: str, *types: str) -> str:
        """Wait for the first of these types to happen to the application."""
        while not (happened := self._happened[application_id].intersection(types)):
            woken = self._waiting.setdefault(application_id, asyncio.Event())
            await woken.wait()
            woken.clear()
        return min(happened)

    async def _read(self, http: httpx.AsyncClient, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        if self._last_id is not None:
            headers["Last-Event-ID"] = self._last_id
        asked: dict[str, Any] = {"type": [OFFERED, *sorted(ENDINGS)]}
        stream = http.stream("GET", "/api/v1/events", params=asked, headers=headers, timeout=None)
        async with stream as answer:
            answer.raise_for_status()
            self.following.set()
            async for line in answer.aiter_lines():
                name, _, value = line.partition(":")
                if name == "id":
                    self._last_id = value.strip()
                elif name == "data":
                    self._note(json.loads(value))

    def _note(self, event: dict[str, Any]) -> None:
        if "subject" not in event:  # the stream's own last word
            return
        self._happened[event["subject"]].add(event["type"])
        if (woken := self._waiting.get(event["subject"])) is not None:
            woken.set()
