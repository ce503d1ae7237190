"""A simulated bank that lends on chain: `python -m sandbox.counterparties.bank`.

    POST /oauth2/token                 HTTP Basic, grant_type=client_credentials -> a bearer token
    POST /v1/quotes                    Bearer, Idempotency-Key -> {quote} or {declined}
    POST /v1/quotes/{quote_id}/accept  Bearer, Idempotency-Key -> the lender's signature, or
                                       409 QUOTE_EXPIRED, 409 TERMS_MISMATCH

It prices by risk (`bank_pricing.py`), checks the borrower's signature itself, and signs one set of
terms per loan reference, for ever: its journal is its memory. Access tokens alone die with the
process. Configuration: `BankConfig` in `bank_messages.py`; the lender's key is never written.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.chain.eip712 import address_of, is_address, sign_terms, terms_hash, verify_acceptance
from models.domain.money import Money, to_token_units
from models.domain.offer import Acceptance, LoanTerms
from sandbox.counterparties.answers import AnswerBook, Decided, Refusal
from sandbox.counterparties.bank_messages import AcceptRequest, BankConfig, QuoteRequest
from sandbox.counterparties.bank_pricing import nominal_rate_bps, price
from sandbox.counterparties.journal import Journal
from sandbox.counterparties.serving import (
    body_of,
    healthz,
    idempotency_key,
    message_of,
    route,
    run,
)

# How long after a quote's expiry an accepted one may still settle on chain.
_SETTLEMENT_GRACE: Final = timedelta(hours=1)

_BIG_INTEGERS: Final = ("principal", "total_repayable", "nonce", "deadline")


@dataclass(frozen=True, slots=True)
class Quoted:
    """What the bank remembers of a quote it gave."""

    terms: LoanTerms
    terms_hash: str
    chain_id: int
    aggregator: str
    expires_at: datetime


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
        self._quotes = {
            line["answer"]["quote"]["quote_id"]: _quoted_of(line["answer"]["quote"], line["venue"])
            for line in journal.effects("quote.issued")
        }
        # By loan reference: two quotes for one loan must never both be confirmed.
        self._confirmed: dict[str, dict[str, Any]] = {
            line["loan_reference"]: line["answer"] for line in journal.effects("quote.confirmed")
        }

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
        addresses = (asked.borrower, asked.venue.aggregator, asked.venue.token)
        if not all(map(is_address, addresses)):
            raise Refusal(400, "REQUEST_MALFORMED", "an address is not checksummed (EIP-55)")

        def decide() -> Decided:
            declined = self._appetite(asked)
            if declined is not None:
                return Decided({"declined": declined}, "quote.declined")
            quote = self._priced(asked, "qte_" + secrets.token_hex(16))
            venue = asked.venue.model_dump()
            self._quotes[quote["quote_id"]] = _quoted_of(quote, venue)
            return Decided({"quote": quote}, "quote.issued", {"venue": venue})

        return JSONResponse(self._answers.once("POST /v1/quotes", key, body, decide))

    async def accept(self, request: Request) -> Response:
        """POST /v1/quotes/{quote_id}/accept"""
        self._tokens.require(request)
        key = idempotency_key(request)
        asked, body = await message_of(request, AcceptRequest)
        quote_id = request.path_params["quote_id"]

        def decide() -> Decided:
            quoted = self._quotes.get(quote_id)
            if quoted is None:
                raise Refusal(404, "QUOTE_UNKNOWN")
            if {asked.terms_hash, asked.acceptance.terms_hash} != {quoted.terms_hash}:
                raise Refusal(409, "TERMS_MISMATCH")
            before = self._confirmed.get(quoted.terms.loan_reference)
            if before is not None and before["quote_id"] != quote_id:
                raise Refusal(409, "LOAN_ALREADY_CONFIRMED")
            if before is not None:
                return Decided(before)
            _check_acceptance(asked, quoted)
            confirmation = self._confirmation(quote_id, quoted)
            reference = quoted.terms.loan_reference
            self._confirmed[reference] = confirmation
            return Decided(confirmation, "quote.confirmed", {"loan_reference": reference})

        endpoint = f"POST /v1/quotes/{quote_id}/accept"
        return JSONResponse(self._answers.once(endpoint, key, body, decide))

    def _appetite(self, asked: QuoteRequest) -> dict[str, str] | None:
        """Why the bank does not want this loan, or None when it does."""
        config = self._config
        if asked.amount_minor < config.min_amount_minor:
            return {"code": "AMOUNT_TOO_LOW", "message": "the amount is below our minimum"}
        if asked.amount_minor > config.max_amount_minor:
            return {"code": "AMOUNT_TOO_HIGH", "message": "the amount is above our maximum"}
        if asked.term_months > config.max_term_months:
            return {"code": "TERM_TOO_LONG", "message": "the term is above our maximum"}
        if asked.score is not None and asked.score < config.min_score:
            return {"code": "SCORE_TOO_LOW", "message": "the score is below our minimum"}
        return None

    def _priced(self, asked: QuoteRequest, quote_id: str) -> dict[str, Any]:
        config = self._config
        rate = nominal_rate_bps(config.base_rate_bps, asked.pd, asked.score, asked.term_months)
        cost = price(asked.amount_minor, asked.term_months, rate, config.fee_bps)
        expires_at = datetime.now(UTC) + timedelta(seconds=config.quote_validity_s)
        decimals = asked.venue.token_decimals
        terms = LoanTerms(
            loan_reference=asked.loan_reference,
            lender=self._lender,
            borrower=asked.borrower,
            token=asked.venue.token,
            principal=to_token_units(Money(asked.amount_minor, asked.currency), decimals),
            total_repayable=to_token_units(
                Money(cost.total_repayable_minor, asked.currency), decimals
            ),
            apr_bps=cost.apr_bps,
            term_months=asked.term_months,
            # Follows from the quote, so that a quote has one nonce however often it is computed.
            nonce=int.from_bytes(hashlib.sha256(quote_id.encode("ascii")).digest()[:16], "big"),
            deadline=int((expires_at + _SETTLEMENT_GRACE).timestamp()),
        )
        return {
            "quote_id": quote_id,
            **asdict(cost),
            "amount_minor": asked.amount_minor,
            "currency": asked.currency,
            "term_months": asked.term_months,
            "expires_at": expires_at.isoformat(timespec="milliseconds"),
            "terms": {k: str(v) if k in _BIG_INTEGERS else v for k, v in asdict(terms).items()},
            "terms_hash": terms_hash(terms),
        }

    def _confirmation(self, quote_id: str, quoted: Quoted) -> dict[str, Any]:
        key = self._config.lender_private_key
        return {
            "quote_id": quote_id,
            "terms_hash": quoted.terms_hash,
            "lender_signature": sign_terms(quoted.terms, quoted.chain_id, quoted.aggregator, key),
            "confirmed_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }


def _check_acceptance(asked: AcceptRequest, quoted: Quoted) -> None:
    """Refusal unless the borrower of the terms accepted them, in time, with a valid signature."""
    now = datetime.now(UTC)
    if now >= quoted.expires_at:
        raise Refusal(409, "QUOTE_EXPIRED")
    acceptance = Acceptance(
        terms_hash=asked.acceptance.terms_hash,
        borrower=asked.acceptance.borrower,
        nonce=int(asked.acceptance.nonce),
        deadline=int(asked.acceptance.deadline),
        signature=asked.acceptance.signature,
    )
    if acceptance.deadline <= now.timestamp():
        raise Refusal(422, "ACCEPTANCE_EXPIRED")
    borrower = quoted.terms.borrower
    if not verify_acceptance(quoted.chain_id, quoted.aggregator, borrower, acceptance):
        raise Refusal(422, "ACCEPTANCE_SIGNATURE_INVALID")


def _quoted_of(quote: Mapping[str, Any], venue: Mapping[str, Any]) -> Quoted:
    """A quote as it was answered, and as the journal gives it back after a restart."""
    terms: dict[str, Any] = {
        k: int(v) if k in _BIG_INTEGERS else v for k, v in quote["terms"].items()
    }
    return Quoted(
        terms=LoanTerms(**terms),
        terms_hash=quote["terms_hash"],
        chain_id=venue["chain_id"],
        aggregator=venue["aggregator"],
        expires_at=datetime.fromisoformat(quote["expires_at"]),
    )


def build(config: Mapping[str, Any], log: Path) -> Starlette:
    """The application of one bank."""
    journal = Journal(log)
    return Starlette(routes=Bank(BankConfig.model_validate(config), journal).routes(journal))


if __name__ == "__main__":
    run("A simulated bank.", build)
