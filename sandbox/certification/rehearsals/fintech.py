"""The script of the fintech's REST protocol (sandbox/counterparties/fintech.py)."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from sandbox.certification.json_answers import JSONShape
from sandbox.certification.rehearsal import LENDER, LENDER_KEY, Rehearsal, Stage, Step
from sandbox.certification.wire import Asked, Reply

_ACCEPTS: Final = re.compile(r"/v2/offers/[^/]+/acceptances")
_NAMES: Final = {
    "quote_id": "offer_id",
    "amount_minor": "principal_minor",
    "term_months": "months",
    "nominal_rate_bps": "rate_bps",
    "monthly_payment_minor": "instalment_minor",
    "total_repayable_minor": "repay_minor",
    "expires_at": "valid_until",
    "lender_signature": "signature",
}


@asynccontextmanager
async def _stage(_: Path) -> AsyncIterator[Stage]:
    credentials = {
        "api_key": secrets.token_urlsafe(24),
        "signing_secret": secrets.token_urlsafe(24),
    }
    # One offer a page: whatever is asked takes several requests, and the cursor is followed.
    counterparty = {**credentials, "lender_private_key": LENDER_KEY, "page_size": 1}
    yield Stage(counterparty, {"lender_address": LENDER}, credentials)


def _step_of(asked: Asked) -> Step:
    if asked.target.partition("?")[0] == "/v2/offers":
        return Step.QUOTE
    return Step.ACCEPT if _ACCEPTS.fullmatch(asked.target) else Step.OTHER


def _offers(document: dict[str, Any]) -> list[dict[str, Any]]:
    offers: list[dict[str, Any]] = document["offers"]
    return offers


REHEARSAL: Final = Rehearsal(
    stage=_stage,
    step_of=_step_of,
    opened=JSONShape(_offers, _NAMES).opened,
    effect="quote.confirmed",
    refusals={
        "QUOTE_EXPIRED": Reply(409, b'{"code":"OFFER_EXPIRED"}'),
        "TERMS_CHANGED": Reply(409, b'{"code":"TERMS_MISMATCH"}'),
    },
    unwanted={"amount_minor": 5_000_001},
)
