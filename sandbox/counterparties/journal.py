"""A counterparty's own record of what it was asked and what it did: evidence, and its memory.

One JSON object a line. Every line has `at` (UTC), `kind` and `key` (the business key):

    request   it was asked: `endpoint`, `attempt` (1 for the first request under this key)
    refused   it answered 4xx: `endpoint`, `status`, `code`
    steered   it did as it was told beforehand: `endpoint`, `rule`
    effect    it did something, at most once per key: `effect`, the answer, what it must remember
    callback  the identity vendor delivered, or tried to: `attempt`, `status` (0: no answer)

Effects are written before they are answered and read again at the start, so a killed counterparty
forgets nothing. Neither names nor identity numbers are ever written.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class Journal:
    """An append-only JSONL file; `replayed` are the lines that a former process wrote."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self.replayed = _complete_lines(path, self._fd)
        self._attempts = Counter(
            (line["endpoint"], line["key"]) for line in self.replayed if line["kind"] == "request"
        )

    def request(self, endpoint: str, key: str) -> None:
        """Record a request on its arrival, with how often this key was seen here."""
        self._attempts[endpoint, key] += 1
        self.write("request", key, endpoint=endpoint, attempt=self._attempts[endpoint, key])

    def write(self, kind: str, key: str, **facts: Any) -> None:
        """Append one line; it survives the death of this process from here on."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"at": at, "kind": kind, "key": key, **facts}, separators=(",", ":"))
        # One write call: a reader, or a kill, never sees two lines mixed.
        os.write(self._fd, line.encode("utf-8") + b"\n")

    def effects(self, name: str) -> list[dict[str, Any]]:
        """The effects of that name which a former process recorded, oldest first."""
        return [
            line
            for line in self.replayed
            if line["kind"] == "effect" and line.get("effect") == name
        ]


def _complete_lines(path: Path, fd: int) -> list[dict[str, Any]]:
    """The lines of the file; a last one without its end was never answered and is cut off."""
    content = path.read_bytes()
    complete = content[: content.rfind(b"\n") + 1]
    if len(complete) != len(content):
        os.ftruncate(fd, len(complete))
    return [json.loads(line) for line in complete.splitlines()]
