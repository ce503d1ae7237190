"""A simulated credit bureau: `python -m sandbox.counterparties.bureau`.

    POST /v1/reports   X-Api-Key, Idempotency-Key; {person, purpose} -> {report_id, file | null}

The file depends on the person's national id alone, compared without separators:

    listed in bureau_files.json   that file: 100-10-0001 prime, -0002 near-prime, -0003 subprime
    starting with 9               a file derived from the id's SHA-256 (see `synthetic_file`)
    anything else                 null: the bureau knows too little of this person

Configuration: {"api_key": "..."}. Its journal never names a person.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import StringConstraints
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

_FILES: Final = Path(__file__).with_name("bureau_files.json")
_DAY: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class BureauConfig(Message):
    """The bureau's settings."""

    api_key: _Text


class Names(Message):
    """A person's names."""

    given: _Text
    family: _Text


class Person(Message):
    """Whom the report is about."""

    national_id: _Text
    names: Names
    born_on: Annotated[str, StringConstraints(pattern=_DAY)]


class ReportRequest(Message):
    """A request for a report; without a permissible purpose there is none."""

    person: Person
    purpose: Literal["credit_application"]


class Bureau:
    """Sells reports: one bill per idempotency key."""

    def __init__(self, config: BureauConfig, journal: Journal) -> None:
        self._config = config
        self._answers = AnswerBook(journal)
        self._files: dict[str, dict[str, int]] = json.loads(_FILES.read_text("utf-8"))

    async def report(self, request: Request) -> Response:
        """POST /v1/reports"""
        require_secret(request.headers.get("x-api-key"), self._config.api_key)
        key = idempotency_key(request)
        asked, body = await message_of(request, ReportRequest)

        def sell() -> Decided:
            national_id = re.sub(r"[^0-9A-Za-z]", "", asked.person.national_id)
            if not national_id:
                raise Refusal(422, "PERSON_UNIDENTIFIED")
            report_id = "rep_" + hashlib.sha256(key.encode("ascii")).hexdigest()[:32]
            return Decided(
                {"report_id": report_id, "file": self._file_of(national_id)}, "report.billed"
            )

        return JSONResponse(self._answers.once("POST /v1/reports", key, body, sell))

    def _file_of(self, national_id: str) -> dict[str, int] | None:
        if national_id.startswith("9"):
            return synthetic_file(national_id)
        return self._files.get(national_id)


def synthetic_file(national_id: str) -> dict[str, int]:
    """A file derived from the id: eight bytes of its SHA-256 decide, each as a share u = byte/255.

    Powers of u where small values are common (delinquencies, inquiries, balances), so that the
    files spread over the ranges seen in Lending Club's loans with most people near the good end.
    """
    u = [byte / 255 for byte in hashlib.sha256(national_id.encode("ascii")).digest()[:8]]
    inquiries_6m = int(u[1] ** 3 * 5)
    accounts = 1 + int(u[6] * 24)
    opened_24m = min(accounts, int(u[5] ** 2 * 6))
    return {
        "delinquencies_2y": int(u[0] ** 4 * 5),
        "inquiries_6m": inquiries_6m,
        "inquiries_12m": inquiries_6m + int(u[2] ** 2 * 6),
        "revolving_utilisation_bps": int(u[3] * 10_000),
        "total_utilisation_bps": 1_000 + int((u[3] + u[4]) / 2 * 9_000),
        "instalment_accounts_opened_12m": opened_24m // 2,
        "instalment_accounts_opened_24m": opened_24m,
        "instalment_accounts_total": accounts,
        "instalment_balance_minor": int(u[7] ** 2 * 12_000_000),
    }


def build(config: Mapping[str, Any], log: Path) -> Starlette:
    """The application of one bureau."""
    journal = Journal(log)
    bureau = Bureau(BureauConfig.model_validate(config), journal)
    return Starlette(
        routes=[
            Route("/healthz", healthz),
            route(journal, "POST", "/v1/reports", bureau.report),
        ]
    )


if __name__ == "__main__":
    run("A simulated credit bureau.", build)
