"""Village Credit, simulated: `python -m sandbox.certification.samples.village_lender`.

    POST /loans            X-Api-Key, Idempotency-Key -> {offers}: none if it wants no such loan
    POST /loans/{id}/sign  X-Api-Key, Idempotency-Key -> {id, terms_hash, signature}, or
                           409 OFFER_OVER, 409 TERMS_MISMATCH

Two products for everybody who borrows within its limits. It is as simple as small lenders are: it
remembers what it signed by the caller's key alone, so another key is another signature.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.chain.eip712 import address_of, sign_terms
from sandbox.certification.json_answers import MAJOR, JSONShape
from sandbox.certification.rehearsal import LENDER, LENDER_KEY, Rehearsal, Stage, Step
from sandbox.certification.wire import Asked, Reply
from sandbox.counterparties.answers import AnswerBook, Decided, Refusal
from sandbox.counterparties.journal import Journal
from sandbox.counterparties.lending import (
    Address,
    Currency,
    Hash,
    PrivateKey,
    Quoted,
    SignedAcceptance,
    Text,
    Wanted,
    expiry,
    quote_document,
    quoted_of,
)
from sandbox.counterparties.pricing import price
from sandbox.counterparties.serving import (
    Message,
    healthz,
    idempotency_key,
    message_of,
    require_secret,
    route,
    run,
)

# Product, nominal rate and financed fee in basis points.
_PRODUCTS: Final = (("plain", 890, 0), ("early", 840, 150))
_VALID_S: Final = 900
_MOST_MINOR: Final = 5_000_000

_Dollars = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,9})\.[0-9]{2}$")]


class VillageLenderConfig(Message):
    """What it is told."""

    api_key: Text
    lender_private_key: PrivateKey


class _Settlement(Message):
    chain_id: Annotated[int, Field(ge=1, lt=1 << 63)]
    contract: Address
    token: Address
    token_decimals: Annotated[int, Field(ge=2, le=36)]


class _LoanRequest(Message):
    reference: Text
    loan_reference: Hash
    borrower: Address
    amount: _Dollars
    currency: Currency
    months: Annotated[int, Field(ge=1, le=480)]
    score: Annotated[int, Field(ge=300, le=850)] | None
    settlement: _Settlement

    def wanted(self) -> Wanted:
        """The loan that is asked for."""
        at = self.settlement
        return Wanted(
            self.loan_reference,
            self.borrower,
            int(Decimal(self.amount) * 100),
            self.currency,
            self.months,
            at.chain_id,
            at.contract,
            at.token,
            at.token_decimals,
        )


class _SigningRequest(Message):
    terms_hash: Hash
    acceptance: SignedAcceptance


class VillageLender:
    """Offers, and signs."""

    def __init__(self, config: VillageLenderConfig, journal: Journal) -> None:
        self._config = config
        self._answers = AnswerBook(journal)
        self._offered: dict[str, Quoted] = {}

    def routes(self, journal: Journal) -> list[Route]:
        """Its interface."""
        return [
            Route("/healthz", healthz),
            route(journal, "POST", "/loans", self.offer),
            route(journal, "POST", "/loans/{id}/sign", self.sign),
        ]

    async def offer(self, request: Request) -> Response:
        """POST /loans"""
        require_secret(request.headers.get("x-api-key"), self._config.api_key)
        key = idempotency_key(request)
        asked, body = await message_of(request, _LoanRequest)
        wanted = asked.wanted()

        def decide() -> Decided:
            if wanted.amount_minor > _MOST_MINOR:
                return Decided({"offers": []}, "loan.declined")
            quotes = [self._quote(request, wanted, product) for product in _PRODUCTS]
            return Decided({"offers": [_offer(quote) for quote in quotes]}, "loan.offered")

        return JSONResponse(self._answers.once("POST /loans", key, body, decide))

    async def sign(self, request: Request) -> Response:
        """POST /loans/{id}/sign"""
        require_secret(request.headers.get("x-api-key"), self._config.api_key)
        key = idempotency_key(request)
        asked, body = await message_of(request, _SigningRequest)
        offer_id = request.path_params["id"]
        offered = self._offered.get(offer_id)
        if offered is None:
            raise Refusal(404, "OFFER_UNKNOWN")
        if asked.terms_hash != offered.terms_hash:
            raise Refusal(409, "TERMS_MISMATCH")
        if datetime.now(UTC) >= offered.expires_at:
            raise Refusal(409, "OFFER_OVER")

        def decide() -> Decided:
            signature = sign_terms(
                offered.terms,
                offered.chain_id,
                offered.aggregator,
                self._config.lender_private_key,
            )
            answer = {"id": offer_id, "terms_hash": offered.terms_hash, "signature": signature}
            return Decided(answer, "loan.signed", {"loan_reference": offered.terms.loan_reference})

        endpoint = f"POST /loans/{offer_id}/sign"
        return JSONResponse(self._answers.once(endpoint, key, body, decide))

    def _quote(
        self, request: Request, wanted: Wanted, product: tuple[str, int, int]
    ) -> dict[str, Any]:
        name, rate_bps, fee_bps = product
        quote = quote_document(
            wanted,
            price(wanted.amount_minor, wanted.term_months, rate_bps, fee_bps),
            lender=address_of(self._config.lender_private_key),
            quote_id=f"{name}_{secrets.token_hex(16)}",
            expires_at=expiry(request, _VALID_S),
        )
        self._offered[quote["quote_id"]] = quoted_of(quote, wanted.venue())
        return quote


def _offer(quote: Mapping[str, Any]) -> dict[str, Any]:
    """A quote in this lender's words and units."""
    theirs = {
        name: MAJOR.write(quote[ours]) if ours in _SHAPE.units else quote[ours]
        for ours, name in _SHAPE.names.items()
        if ours in quote
    }
    return {**theirs, **{name: quote[name] for name in ("currency", "terms", "terms_hash")}}


def build(config: Mapping[str, Any], log: Path) -> Starlette:
    """The application of this lender."""
    journal = Journal(log)
    lender = VillageLender(VillageLenderConfig.model_validate(config), journal)
    return Starlette(routes=lender.routes(journal))


# From here on: what the certification kit has to know of the protocol.

_SHAPE: Final = JSONShape(
    quotes=lambda document: document["offers"],
    names={
        "quote_id": "id",
        "amount_minor": "amount",
        "term_months": "months",
        "nominal_rate_bps": "rate_percent",
        "fee_minor": "fee",
        "monthly_payment_minor": "monthly",
        "total_repayable_minor": "total",
        "apr_bps": "apr_percent",
        "expires_at": "valid_until",
        "lender_signature": "signature",
    },
    units=dict.fromkeys(
        (
            "amount_minor",
            "nominal_rate_bps",
            "fee_minor",
            "monthly_payment_minor",
            "total_repayable_minor",
            "apr_bps",
        ),
        MAJOR,
    ),
)
_SIGNS: Final = re.compile(r"/loans/[^/]+/sign")


@asynccontextmanager
async def _stage(_: Path) -> AsyncIterator[Stage]:
    credentials = {"api_key": secrets.token_urlsafe(24)}
    told = {**credentials, "lender_private_key": LENDER_KEY}
    yield Stage(told, config={"lender_address": LENDER}, credentials=credentials)


def _step_of(asked: Asked) -> Step:
    if asked.target == "/loans":
        return Step.QUOTE
    return Step.ACCEPT if _SIGNS.fullmatch(asked.target) else Step.OTHER


REHEARSAL: Final = Rehearsal(
    stage=_stage,
    step_of=_step_of,
    opened=_SHAPE.opened,
    effect="loan.signed",
    refusals={
        "QUOTE_EXPIRED": Reply(409, b'{"code":"OFFER_OVER"}'),
        "TERMS_CHANGED": Reply(409, b'{"code":"TERMS_MISMATCH"}'),
    },
    unwanted={"amount_minor": _MOST_MINOR + 1},
)

if __name__ == "__main__":
    run("Village Credit, simulated.", build)
