"""A simulated fintech that lends on chain: `python -m sandbox.counterparties.fintech`.

    POST /v2/offers                         Idempotency-Key -> {offers, next_cursor}: a first page
    GET  /v2/offers?cursor=…                -> the next one, until next_cursor is null
    POST /v2/offers/{quote_id}/acceptances  Idempotency-Key -> the lender's signature, or
                                            409 OFFER_EXPIRED, 409 TERMS_MISMATCH

Every request is signed (fintech_door.py). It has two products: one without a fee, one with a lower
rate and a fee, which costs more over any term it lends for. It signs one of them per loan
reference, for ever: its journal is its memory. Told so (steering.py), it offers for another time
(`validity_s`), lists its offers again (`duplicate_offers`: how often, once if true), or confirms
other terms than it offered (`changed_terms`).
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.chain.eip712 import address_of
from adapters.strict_json import parse_object
from sandbox.counterparties.answers import AnswerBook, Decided, Refusal
from sandbox.counterparties.fintech_door import Door
from sandbox.counterparties.fintech_messages import (
    AcceptanceRequest,
    FintechConfig,
    OffersRequest,
)
from sandbox.counterparties.journal import Journal
from sandbox.counterparties.lending import LoanDesk, by_key, expiry, quote_document, quoted_of
from sandbox.counterparties.pricing import price
from sandbox.counterparties.serving import M, healthz, idempotency_key, route, run
from sandbox.counterparties.steering import directive

# Product, what it takes off the rate, and its fee.
_PRODUCTS: Final = (("instant", 0, 0), ("flex", 60, 400))
_LGD: Final = Fraction(45, 100)
_BEST_SCORE: Final = 850


class Fintech:
    """Offers in pages, and confirms; `lender` is the address its loans are paid from."""

    def __init__(self, config: FintechConfig, journal: Journal) -> None:
        self._config = config
        self._lender = address_of(config.lender_private_key)
        self._door = Door(config.api_key, config.signing_secret)
        self._answers = AnswerBook(journal)
        self._desk = LoanDesk(journal, self._answers, by_key(config.lender_private_key))
        # By the key of the search: all its offers, in the order they are listed.
        self._searches: dict[str, list[dict[str, Any]]] = {}
        for line in journal.effects("offers.issued"):
            self._remember(line["key"], line["answer"]["offers"], line["venue"])

    def routes(self, journal: Journal) -> list[Route]:
        """The fintech's interface."""
        accept = "/v2/offers/{quote_id}/acceptances"
        return [
            Route("/healthz", healthz),
            route(journal, "POST", "/v2/offers", self.search),
            route(journal, "GET", "/v2/offers", self.page),
            route(journal, "POST", accept, self.accept),
        ]

    async def search(self, request: Request) -> Response:
        """POST /v2/offers"""
        asked, body = _message(await self._door.admit(request), OffersRequest)
        key = idempotency_key(request)
        wanted = asked.wanted()
        wanted.require_addresses()

        def decide() -> Decided:
            if not self._wants(asked):
                return Decided({"offers": []}, "offers.declined")
            quotes = [
                quote_document(
                    wanted,
                    price(asked.principal_minor, asked.months, self._rate_bps(asked) - off, fee),
                    lender=self._lender,
                    quote_id=f"{product}_{secrets.token_hex(16)}",
                    expires_at=expiry(request, self._config.quote_validity_s),
                )
                for product, off, fee in _PRODUCTS
            ]
            listed = quotes * (1 + int(directive(request, "duplicate_offers") or 0))
            self._remember(key, listed, wanted.venue())
            return Decided({"offers": listed}, "offers.issued", {"venue": wanted.venue()})

        self._answers.once("POST /v2/offers", key, body, decide)
        return self._page(key, 0)

    async def page(self, request: Request) -> Response:
        """GET /v2/offers"""
        await self._door.admit(request)
        try:
            key, start = json.loads(base64.urlsafe_b64decode(request.query_params["cursor"] + "=="))
        except (KeyError, ValueError, TypeError):
            raise Refusal(400, "CURSOR_UNKNOWN") from None
        known = isinstance(key, str) and key in self._searches
        if not known or type(start) is not int or start < 0:
            raise Refusal(400, "CURSOR_UNKNOWN")
        return self._page(key, start)

    async def accept(self, request: Request) -> Response:
        """POST /v2/offers/{quote_id}/acceptances"""
        asked, body = _message(await self._door.admit(request), AcceptanceRequest)
        key = idempotency_key(request)
        endpoint = f"POST /v2/offers/{request.path_params['quote_id']}/acceptances"
        accepted = (asked.terms_hash, asked.acceptance)
        try:
            confirmed = self._desk.confirm(request, endpoint, key, body, accepted)
        except Refusal as refusal:
            if refusal.code == "QUOTE_EXPIRED":
                raise Refusal(409, "OFFER_EXPIRED") from None
            raise
        return JSONResponse(
            {
                "offer_id": confirmed["quote_id"],
                "terms_hash": confirmed["terms_hash"],
                "signature": confirmed["lender_signature"],
            }
        )

    def _remember(self, key: str, quotes: list[dict[str, Any]], venue: Mapping[str, Any]) -> None:
        self._searches[key] = quotes
        for quote in quotes:
            self._desk.quotes[quote["quote_id"]] = quoted_of(quote, venue)

    def _page(self, key: str, start: int) -> Response:
        offers, size = self._searches.get(key, []), self._config.page_size
        end = start + size
        return JSONResponse(
            {
                "offers": [_offer(quote) for quote in offers[start:end]],
                "next_cursor": _cursor(key, end) if end < len(offers) else None,
            }
        )

    def _wants(self, asked: OffersRequest) -> bool:
        config, risk = self._config, asked.risk
        # It lends by model alone: whom nobody scored, others may know better.
        if risk.score is None or risk.pd is None or risk.score < config.min_score:
            return False
        within = config.min_amount_minor <= asked.principal_minor <= config.max_amount_minor
        return within and asked.months <= config.max_term_months

    def _rate_bps(self, asked: OffersRequest) -> int:
        """Base rate, expected loss of a year, and a basis point per point below the best score."""
        assert asked.risk.pd is not None
        assert asked.risk.score is not None
        expected_loss_bps = ceil(Fraction(asked.risk.pd) * _LGD * 10_000)
        return self._config.base_rate_bps + expected_loss_bps + _BEST_SCORE - asked.risk.score


def _offer(quote: Mapping[str, Any]) -> dict[str, Any]:
    """A quote in this fintech's own words."""
    return {
        "offer_id": quote["quote_id"],
        "product": quote["quote_id"].partition("_")[0],
        "principal_minor": quote["amount_minor"],
        "currency": quote["currency"],
        "months": quote["term_months"],
        "rate_bps": quote["nominal_rate_bps"],
        "fee_minor": quote["fee_minor"],
        "instalment_minor": quote["monthly_payment_minor"],
        "repay_minor": quote["total_repayable_minor"],
        "apr_bps": quote["apr_bps"],
        "valid_until": quote["expires_at"],
        "terms": quote["terms"],
        "terms_hash": quote["terms_hash"],
    }


def _cursor(key: str, start: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([key, start]).encode()).decode().rstrip("=")


def _message(raw: bytes, model: type[M]) -> tuple[M, dict[str, Any]]:
    """The request's JSON as a message, and as it came; Refusal 400 names the field."""
    try:
        body = parse_object(raw)
        return model.model_validate(body), body
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise Refusal(400, "REQUEST_MALFORMED", f"field {field}") from None
    except ValueError as error:
        raise Refusal(400, "REQUEST_MALFORMED", str(error)) from None


def build(config: Mapping[str, Any], log: Path) -> Starlette:
    """The application of one fintech."""
    journal = Journal(log)
    return Starlette(routes=Fintech(FintechConfig.model_validate(config), journal).routes(journal))


if __name__ == "__main__":
    run("A simulated fintech.", build)
