"""The script of the bank's REST protocol (sandbox/counterparties/bank.py)."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from sandbox.certification.json_answers import JSONShape
from sandbox.certification.rehearsal import LENDER, LENDER_KEY, Rehearsal, Stage, Step
from sandbox.certification.wire import Asked, Reply

_ACCEPTS: Final = re.compile(r"/v1/quotes/[^/]+/accept")
_CLIENT_ID: Final = "caas-rehearsal"

REFUSALS: Final[Mapping[str, Reply]] = {
    "QUOTE_EXPIRED": Reply(409, b'{"code":"QUOTE_EXPIRED"}'),
    "TERMS_CHANGED": Reply(409, b'{"code":"TERMS_MISMATCH"}'),
}


@asynccontextmanager
async def _stage(_: Path) -> AsyncIterator[Stage]:
    secret = secrets.token_urlsafe(24)
    credentials = {"client_id": _CLIENT_ID, "client_secret": secret}
    yield Stage(
        counterparty={**credentials, "lender_private_key": LENDER_KEY},
        config={"lender_address": LENDER},
        credentials=credentials,
    )


def step_of(asked: Asked) -> Step:
    """By the path."""
    if asked.target == "/v1/quotes":
        return Step.QUOTE
    return Step.ACCEPT if _ACCEPTS.fullmatch(asked.target) else Step.OTHER


def quote_in(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The one quote, if there is one."""
    return [document["quote"]] if "quote" in document else []


REHEARSAL: Final = Rehearsal(
    stage=_stage,
    step_of=step_of,
    opened=JSONShape(quote_in, single="quote").opened,
    effect="quote.confirmed",
    refusals=REFUSALS,
    unwanted={"amount_minor": 10_000_001},
)
