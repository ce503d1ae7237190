"""A simulated mail house: `python -m sandbox.counterparties.notifier`.

    POST /notices   Bearer key, Idempotency-Key = notice_id -> 202 {message_id}

It carries a letter once per notice: the same notice gets the same answer, another letter under the
same id is refused with 422, and so is an address of a single line.
Configuration: {"api_key": "..."}. Its journal names nobody; `letter_sha256` lets a reader who knows
a letter recognise it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.counterparties.answers import AnswerBook, Decided, Refusal
from sandbox.counterparties.journal import Journal
from sandbox.counterparties.serving import (
    Message,
    healthz,
    idempotency_key,
    message_of,
    require_secret,
    route,
    run,
)

_ENDPOINT = "POST /notices"
_Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_\-]{1,128}$")]
_Line = Annotated[str, StringConstraints(min_length=1, max_length=200)]
_Paragraph = Annotated[str, StringConstraints(min_length=1, max_length=5_000)]


class NotifierConfig(Message):
    """The mail house's settings."""

    api_key: _Line


class Recipient(Message):
    """To whom, and where."""

    name: _Line
    address_lines: Annotated[tuple[_Line, ...], Field(strict=False, min_length=1, max_length=8)]


class Letter(Message):
    """What is to be carried."""

    notice_id: _Id
    application_id: _Id
    channel: Literal["letter"]
    recipient: Recipient
    subject: _Line
    paragraphs: Annotated[tuple[_Paragraph, ...], Field(strict=False, min_length=1, max_length=100)]


class MailHouse:
    """Carries letters: one per notice."""

    def __init__(self, config: NotifierConfig, journal: Journal) -> None:
        self._config = config
        self._answers = AnswerBook(journal)

    async def send(self, request: Request) -> Response:
        """POST /notices"""
        require_secret(request.headers.get("authorization"), f"Bearer {self._config.api_key}")
        key = idempotency_key(request)
        letter, body = await message_of(request, Letter)
        if letter.notice_id != key:
            raise Refusal(422, "KEY_IS_NOT_THE_NOTICE")

        def carry() -> Decided:
            if len(letter.recipient.address_lines) < 2:
                raise Refusal(422, "ADDRESS_INCOMPLETE")
            message_id = "msg_" + hashlib.sha256(key.encode("ascii")).hexdigest()[:32]
            text = json.dumps([letter.subject, *letter.paragraphs]).encode("utf-8")
            facts = {
                "application_id": letter.application_id,
                "letter_sha256": hashlib.sha256(text).hexdigest(),
            }
            return Decided({"message_id": message_id}, "notice.carried", facts)

        return JSONResponse(self._answers.once(_ENDPOINT, key, body, carry), 202)


def build(config: Mapping[str, Any], log: Path) -> Starlette:
    """The application of one mail house."""
    journal = Journal(log)
    house = MailHouse(NotifierConfig.model_validate(config), journal)
    return Starlette(
        routes=[
            Route("/healthz", healthz),
            route(journal, "POST", "/notices", house.send),
        ]
    )


if __name__ == "__main__":
    run("A simulated mail house.", build)
