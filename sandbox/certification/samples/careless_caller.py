"""A caller of outside systems written in a hurry: each promise of HTTPCaller may be missing.

What is not among its mistakes, it does as HTTPCaller does.
"""

from __future__ import annotations

import asyncio
import json as jsonlib
import zlib
from collections.abc import Mapping
from typing import Any, Final

import httpx

from adapters.http import BUSY, MALFORMED_RESPONSE, UNREACHABLE, Answer, RetryLater
from adapters.strict_json import parse_object
from models.domain.errors import Permanent, Unavailable
from sandbox.certification.samples.mistakes import Mistake

INSTEAD: Final = frozenset(
    {
        Mistake.NO_TOTAL_DEADLINE,
        Mistake.READS_WITHOUT_BOUND,
        Mistake.UNPACKS_WITHOUT_BOUND,
        Mistake.FOLLOWS_REDIRECTS,
        Mistake.LETS_PARSER_FAIL,
    }
)
"""The mistakes for which an adapter has to bring its own caller."""

_GZIP: Final = 31


class CarelessCaller:
    """Calls with a synchronous client, whose time limit is for each read and not for all."""

    def __init__(
        self, base_url: str, deadline_s: float, max_bytes: int, mistakes: frozenset[Mistake]
    ) -> None:
        self._base_url = base_url
        self._deadline_s = deadline_s
        self._max_bytes = max_bytes
        self._mistakes = mistakes

    async def call(
        self, method: str, path: str, *, json: Mapping[str, Any], headers: Mapping[str, str]
    ) -> Answer:
        """One request; with NO_TOTAL_DEADLINE the whole process waits for it."""
        sent = {**headers, "accept-encoding": "identity", "content-type": "application/json"}
        arguments = (method, path, jsonlib.dumps(json).encode(), sent)
        if Mistake.NO_TOTAL_DEADLINE in self._mistakes:
            return self._called(*arguments)
        return await asyncio.to_thread(self._called, *arguments)

    def _called(self, method: str, path: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        # Twice, or a machine that stands still for a moment would end a drip-fed answer in time.
        patient = 2 if Mistake.NO_TOTAL_DEADLINE in self._mistakes else 1
        try:
            with (
                httpx.Client(
                    timeout=patient * self._deadline_s,
                    trust_env=False,
                    verify=False,  # the rehearsal is plain HTTP; loading authorities takes long
                    follow_redirects=Mistake.FOLLOWS_REDIRECTS in self._mistakes,
                ) as client,
                client.stream(
                    method, self._base_url + path, content=content, headers=dict(headers)
                ) as answer,
            ):
                return self._read(answer)
        except httpx.TransportError as error:
            raise Unavailable(UNREACHABLE, type(error).__name__) from error

    def _read(self, answer: httpx.Response) -> Answer:
        status = answer.status_code
        if status >= 500 or status == 429:
            after = answer.headers.get("retry-after", "")
            raise RetryLater(BUSY, str(status), int(after) if after.isdigit() else None, status)
        if 300 <= status < 400:
            raise Permanent(MALFORMED_RESPONSE, f"status {status}")
        raw = self._unpacked(answer, self._bounded(answer))
        if Mistake.LETS_PARSER_FAIL in self._mistakes:
            return Answer(status, dict(answer.headers), jsonlib.loads(raw))
        try:
            body = parse_object(raw)
        except ValueError as error:
            if status < 400:
                raise Permanent(MALFORMED_RESPONSE, str(error)) from error
            body = {}
        return Answer(status, dict(answer.headers), body)

    def _bounded(self, answer: httpx.Response) -> bytes:
        raw = bytearray()
        for chunk in answer.iter_raw():
            raw += chunk
            if len(raw) > self._max_bytes and Mistake.READS_WITHOUT_BOUND not in self._mistakes:
                raise Permanent(MALFORMED_RESPONSE, f"over {self._max_bytes} bytes")
        return bytes(raw)

    def _unpacked(self, answer: httpx.Response, raw: bytes) -> bytes:
        if "content-encoding" not in answer.headers:
            return raw
        if Mistake.UNPACKS_WITHOUT_BOUND not in self._mistakes:
            raise Permanent(MALFORMED_RESPONSE, "compressed")
        return zlib.decompress(raw, _GZIP)
