"""Idempotent answers: the same key and body get the same answer, and cause one effect."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.counterparties.journal import Journal


class Refusal(Exception):
    """A 4xx answer with the counterparty's own code."""

    def __init__(self, status: int, code: str, message: str = "", **headers: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message or code.replace("_", " ").lower()
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@dataclass(frozen=True, slots=True)
class Decided:
    """A counterparty's decision; without `effect` nothing was done and nothing is remembered."""

    answer: dict[str, Any]
    effect: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


class AnswerBook:
    """What was answered under each idempotency key, kept in the journal's effects."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._answers: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {
            (line["endpoint"], line["key"]): (line["body_sha256"], line["answer"])
            for line in journal.replayed
            if line["kind"] == "effect" and "body_sha256" in line
        }

    def once(
        self, endpoint: str, key: str, body: Mapping[str, Any], decide: Callable[[], Decided]
    ) -> dict[str, Any]:
        """The answer recorded for this key, or the one `decide` makes now.

        Nothing is awaited in between, so two requests under one key cannot both decide. Raises
        Refusal 422 when the key was used with another body.
        """
        sha256 = hashlib.sha256(json.dumps(body, sort_keys=True).encode("utf-8")).hexdigest()
        known = self._answers.get((endpoint, key))
        if known is not None:
            if known[0] != sha256:
                raise Refusal(422, "IDEMPOTENCY_KEY_REUSED", "this key came with another body")
            return known[1]
        decided = decide()
        if decided.effect is not None:
            self._journal.write(
                "effect",
                key,
                effect=decided.effect,
                endpoint=endpoint,
                body_sha256=sha256,
                answer=decided.answer,
                **decided.facts,
            )
            self._answers[endpoint, key] = (sha256, decided.answer)
        return decided.answer
