"""The underwriter of a lending pool: `python -m sandbox.counterparties.pool_underwriter`.

    POST /v1/quotes                    Bearer, Idempotency-Key -> {quote} or {declined}
    POST /v1/quotes/{quote_id}/accept  Bearer, Idempotency-Key -> what the pool answers for, or
                                       409 QUOTE_EXPIRED, 409 TERMS_MISMATCH, 409 POOL_REFUSES

It reads the pool from its chain and reckons its rate in its own way, names the block, and signs the
terms of one quote per loan reference, for ever, unless the pool itself says that it would refuse
them. What it hands out is the pool's signature (ERC-1271): the encoded terms, then its own 65
bytes. Its journal is its memory. Told so (steering.py), it quotes for another time (`validity_s`),
or confirms other terms than it quoted (`changed_terms`).
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import astuple
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any, Final

from eth_abi.abi import encode
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.chain import aggregator_mapping as mapping
from adapters.chain.eip712 import sign_terms
from adapters.chain.pool import PoolStanding, newest_standing
from adapters.chain.rpc import JSONRPCProvider
from models.domain.errors import Permanent, Transient
from models.domain.money import Money, to_token_units
from models.domain.offer import LoanTerms
from sandbox.counterparties.answers import AnswerBook, Decided, Refusal
from sandbox.counterparties.journal import Journal
from sandbox.counterparties.lending import LoanDesk, Wanted, expiry, quote_document, quoted_of
from sandbox.counterparties.pool_messages import AcceptRequest, PoolConfig, PoolQuoteRequest
from sandbox.counterparties.pricing import price
from sandbox.counterparties.serving import (
    healthz,
    idempotency_key,
    message_of,
    require_secret,
    route,
    run,
)

_TERMS: Final = mapping.SETTLE_TYPES[0]
_REFUSAL_OF: Final = f"refusalOf({_TERMS})"


class Underwriter:
    """Quotes by the pool's parameters and signs within its limits."""

    def __init__(self, config: PoolConfig, journal: Journal) -> None:
        self._config = config
        self._rpc = JSONRPCProvider(config.rpc_url)
        self._answers = AnswerBook(journal)
        self._desk = LoanDesk(journal, self._answers, self._sign)
        for line in journal.effects("quote.issued"):
            quote = line["answer"]["quote"]
            self._desk.quotes[quote["quote_id"]] = quoted_of(quote, line["venue"])

    async def close(self) -> None:
        """Give the node's connections back."""
        await self._rpc.close()

    def routes(self, journal: Journal) -> list[Route]:
        """The underwriter's interface."""
        return [
            Route("/healthz", healthz),
            route(journal, "POST", "/v1/quotes", self.quote),
            route(journal, "POST", "/v1/quotes/{quote_id}/accept", self.accept),
        ]

    async def quote(self, request: Request) -> Response:
        """POST /v1/quotes"""
        require_secret(request.headers.get("authorization"), f"Bearer {self._config.api_key}")
        key = idempotency_key(request)
        asked, body = await message_of(request, PoolQuoteRequest)
        wanted = asked.wanted()
        wanted.require_addresses()
        if asked.pool != self._config.pool:
            raise Refusal(404, "POOL_UNKNOWN")
        try:
            standing = await newest_standing(self._rpc, asked.pool)
        except (Transient, Permanent) as error:
            raise Refusal(503, "CHAIN_UNREADABLE", error.code) from None

        def decide() -> Decided:
            declined = _declined(standing, wanted, asked.pd)
            if declined is not None:
                return Decided({"declined": {"code": declined}}, "quote.declined")
            assert asked.pd is not None
            rate = _rate_bps(standing, _units(wanted), asked.pd)
            cost = price(asked.amount_minor, asked.term_months, rate, 0)
            if cost.apr_bps < standing.limits.min_apr_bps:
                return Decided({"declined": {"code": "APR_BELOW_MINIMUM"}}, "quote.declined")
            quote = quote_document(
                wanted,
                cost,
                lender=asked.pool,
                quote_id="pq_" + secrets.token_hex(16),
                expires_at=expiry(request, self._config.quote_validity_s),
            )
            quote["block_number"] = standing.block_number
            self._desk.quotes[quote["quote_id"]] = quoted_of(quote, wanted.venue())
            return Decided({"quote": quote}, "quote.issued", {"venue": wanted.venue()})

        return JSONResponse(self._answers.once("POST /v1/quotes", key, body, decide))

    async def accept(self, request: Request) -> Response:
        """POST /v1/quotes/{quote_id}/accept"""
        require_secret(request.headers.get("authorization"), f"Bearer {self._config.api_key}")
        key = idempotency_key(request)
        asked, body = await message_of(request, AcceptRequest)
        quote_id = request.path_params["quote_id"]
        if not self._desk.is_confirmed(quote_id):
            await self._require_lendable(self._desk.known(quote_id).terms)
        endpoint = f"POST /v1/quotes/{quote_id}/accept"
        accepted = (asked.terms_hash, asked.acceptance)
        return JSONResponse(self._desk.confirm(request, endpoint, key, body, accepted))

    async def _require_lendable(self, terms: LoanTerms) -> None:
        """Refusal 409 for terms that the pool itself would not answer for now."""
        asked = "0x" + (mapping.selector(_REFUSAL_OF) + _encoded(terms)).hex()
        call = {"to": self._config.pool, "data": asked}
        try:
            code = mapping.word(await self._rpc.call("eth_call", call, "latest"))
        except (Transient, Permanent) as error:
            raise Refusal(503, "CHAIN_UNREADABLE", error.code) from None
        if code != 0:
            raise Refusal(409, "POOL_REFUSES", f"by its refusal {code}")

    def _sign(self, terms: LoanTerms, chain_id: int, aggregator: str) -> str:
        own = sign_terms(terms, chain_id, aggregator, self._config.underwriter_private_key)
        return "0x" + _encoded(terms).hex() + own.removeprefix("0x")


def _encoded(terms: LoanTerms) -> bytes:
    reference, *others = astuple(terms)
    return encode([_TERMS], [(bytes.fromhex(reference[2:]), *others)])


def _units(wanted: Wanted) -> int:
    return to_token_units(Money(wanted.amount_minor, wanted.currency), wanted.token_decimals)


def _declined(standing: PoolStanding, wanted: Wanted, pd: float | None) -> str | None:
    """Why the pool does not lend this, or None when it does."""
    limits, units = standing.limits, _units(wanted)
    room = min(standing.idle, limits.max_outstanding - standing.outstanding)
    if standing.paused:
        return "POOL_PAUSED"
    if (standing.aggregator, standing.asset) != (wanted.aggregator, wanted.token):
        return "VENUE_UNKNOWN"
    if pd is None or Fraction(pd) * 10**6 > standing.curve.max_pd_ppm:
        return "RISK_NOT_PRICED"
    if units > limits.max_principal or wanted.term_months > limits.max_term_months:
        return "LOAN_OUT_OF_RANGE"
    if units > room:
        return "LIQUIDITY_SHORT"
    return None


def _rate_bps(standing: PoolStanding, units: int, pd: float) -> int:
    """The curve by rational numbers; the product and the contract have their own reckoning."""
    curve = standing.curve
    use = min(Fraction(standing.outstanding + units, standing.total_assets), Fraction(1))
    millionths = ceil(Fraction(pd) * 10**6)
    loss = Fraction(millionths, 10**6) * curve.loss_given_default_bps
    return curve.base_rate_bps + ceil(curve.utilisation_slope_bps * use) + ceil(loss)


def build(config: Mapping[str, Any], log: Path) -> Starlette:
    """The application of one pool's underwriter."""
    journal = Journal(log)
    underwriter = Underwriter(PoolConfig.model_validate(config), journal)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await underwriter.close()

    return Starlette(routes=underwriter.routes(journal), lifespan=lifespan)


if __name__ == "__main__":
    run("The underwriter of a simulated pool.", build)
