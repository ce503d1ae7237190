"""A simulated bank that lends on chain: `python -m sandbox.counterparties.bank`.

    POST /oauth2/token                 HTTP Basic, grant_type=client_credentials -> a bearer token
    POST /v1/quotes                    Bearer, Idempotency-Key -> {quote} or {declined}
    POST /v1/quotes/{quote_id}/accept  Bearer, Idempotency-Key -> the lender's signature, or
                                       409 QUOTE_EXPIRED, 409 TERMS_MISMATCH

It prices by risk (`bank_pricing.py`), checks the borrower's signature itself, and signs one set of
terms per loan reference, for ever: its journal is its memory. Access tokens alone die with the
process. Configuration: `BankConfig` in `bank_messages.py`; the lender's key is never written. Told
so (steering.py), it quotes for another time (`validity_s`), or confirms other terms than it quoted
(`changed_terms`).
"""

from __future__ import annotations

import base64
import hmac
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.chain.eip712 import address_of
from sandbox.counterparties.answers import AnswerBook, Decided, Refusal
from sandbox.counterparties.bank_messages import AcceptRequest, BankConfig, QuoteRequest
from sandbox.counterparties.bank_pricing import cost_of, refusal
from sandbox.counterparties.journal import Journal
from sandbox.counterparties.lending import LoanDesk, by_key, expiry, quote_document, quoted_of
from sandbox.counterparties.serving import (
    body_of,
    healthz,
    idempotency_key,
    message_of,
    route,
    run,
)


class Tokens:
    """The access tokens of this process: unknown after a restart, as with any bank's cache."""

    def __init__(self, config: BankConfig) -> None:
        self._config = config
        self._valid_until: dict[str, float] = {}

    async def issue(self, request: Request) -> Response:
        """POST /oauth2/token (RFC 6749 §4.4)"""
        credentials = f"{self._config.client_id}:{self._config.client_secret}".encode()
        expected = "Basic " + base64.b64encode(credentials).decode("ascii")
        presented = request.headers.get("authorization", "")
        if not hmac.compare_digest(presented.encode("utf-8"), expected.encode("ascii")):
            raise Refusal(401, "INVALID_CLIENT", www_authenticate="Basic")
        form = parse_qs((await body_of(request)).decode("ascii", "replace"))
        if form.get("grant_type") != ["client_credentials"]:
            raise Refusal(400, "UNSUPPORTED_GRANT_TYPE")
        now = time.monotonic()
        self._valid_until = {t: until for t, until in self._valid_until.items() if until > now}
        token = secrets.token_urlsafe(32)
        self._valid_until[token] = now + self._config.token_validity_s
        return JSONResponse(
            {
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": self._config.token_validity_s,
            },
            headers={"cache-control": "no-store"},
        )

    def require(self, request: Request) -> None:
        """Refusal 401 unless the request carries a token that is valid now."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or self._valid_until.get(token, 0.0) <= time.monotonic():
            raise Refusal(401, "TOKEN_INVALID", www_authenticate='Bearer error="invalid_token"')


class Bank:
    """Quotes and confirms; `lender` is the address its loans are paid from."""

    def __init__(self, config: BankConfig, journal: Journal) -> None:
        self._config = config
        self._lender = address_of(config.lender_private_key)
        self._tokens = Tokens(config)
        self._answers = AnswerBook(journal)
        self._desk = LoanDesk(journal, self._answers, by_key(config.lender_private_key))
        for line in journal.effects("quote.issued"):
            quote = line["answer"]["quote"]
            self._desk.quotes[quote["quote_id"]] = quoted_of(quote, line["venue"])

    def routes(self, journal: Journal) -> list[Route]:
        """The bank's interface."""
        return [
            Route("/healthz", healthz),
            route(journal, "POST", "/oauth2/token", self._tokens.issue),
            route(journal, "POST", "/v1/quotes", self.quote),
            route(journal, "POST", "/v1/quotes/{quote_id}/accept", self.accept),
        ]

    async def quote(self, request: Request) -> Response:
        """POST /v1/quotes"""
        self._tokens.require(request)
        key = idempotency_key(request)
        asked, body = await message_of(request, QuoteRequest)
        wanted = asked.wanted()
        wanted.require_addresses()

        def decide() -> Decided:
            declined = refusal(self._config, asked)
            if declined is not None:
                return Decided({"declined": declined}, "quote.declined")
            quote = quote_document(
                wanted,
                cost_of(self._config, asked),
                lender=self._lender,
                quote_id="qte_" + secrets.token_hex(16),
                expires_at=expiry(request, self._config.quote_validity_s),
            )
            self._desk.quotes[quote["quote_id"]] = quoted_of(quote, wanted.venue())
            return Decided({"quote": quote}, "quote.issued", {"venue": wanted.venue()})

        return JSONResponse(self._answers.once("POST /v1/quotes", key, body, decide))

    async def accept(self, request: Request) -> Response:
        """POST /v1/quotes/{quote_id}/accept"""
        self._tokens.require(request)
        key = idempotency_key(request)
        asked, body = await message_of(request, AcceptRequest)
        endpoint = f"POST /v1/quotes/{request.path_params['quote_id']}/accept"
        accepted = (asked.terms_hash, asked.acceptance)
        return JSONResponse(self._desk.confirm(request, endpoint, key, body, accepted))


def build(config: Mapping[str, Any], log: Path) -> Starlette:
    """The application of one bank."""
    journal = Journal(log)
    return Starlette(routes=Bank(BankConfig.model_validate(config), journal).routes(journal))


if __name__ == "__main__":
    run("A simulated bank.", build)
