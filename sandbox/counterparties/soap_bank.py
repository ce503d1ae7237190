"""A simulated bank that lends on chain over SOAP: `python -m sandbox.counterparties.soap_bank`.

    POST /soap/v1/quotes       RequestQuote -> a quote, or why there is none
    POST /soap/v1/acceptances  AcceptQuote  -> the lender's signature, or a fault: QUOTE_EXPIRED,
                               TERMS_MISMATCH, LOAN_ALREADY_CONFIRMED, REQUEST_ID_REUSED

Messages follow adapters/providers/soap_bank.wsdl and carry a WS-Security UsernameToken
(soap_bank_door.py). It prices as the bank over REST does, and signs one set of terms per loan
reference, for ever: its journal is its memory. Told so (steering.py), it quotes for another time
(`validity_s`), or confirms other terms than it quoted (`changed_terms`); rules match by endpoint,
for fields are JSON's.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.chain.eip712 import address_of
from sandbox.counterparties.answers import AnswerBook, Decided, Refusal
from sandbox.counterparties.bank_pricing import cost_of, refusal
from sandbox.counterparties.journal import Journal
from sandbox.counterparties.lending import LoanDesk, by_key, expiry, quote_document, quoted_of
from sandbox.counterparties.serving import body_of, healthz, route, run
from sandbox.counterparties.soap_bank_door import Door
from sandbox.counterparties.soap_bank_messages import (
    SOAPBankConfig,
    acceptance,
    answer,
    fault,
    quote_elements,
    quote_request,
    read,
)

QUOTES: Final = "/soap/v1/quotes"
ACCEPTANCES: Final = "/soap/v1/acceptances"
_XML: Final = "text/xml; charset=utf-8"

Answered = Callable[[Request, dict[str, Any]], Mapping[str, Any]]


class SOAPBank:
    """Quotes and confirms; its loans are paid from the address of its key."""

    def __init__(self, config: SOAPBankConfig, journal: Journal) -> None:
        self._config = config
        self._lender = address_of(config.lender_private_key)
        self._journal = journal
        self._door = Door(config.username, config.password)
        self._answers = AnswerBook(journal)
        self._desk = LoanDesk(journal, self._answers, by_key(config.lender_private_key))
        for line in journal.effects("quote.issued"):
            quote = line["answer"]["quote"]
            self._desk.quotes[quote["quote_id"]] = quoted_of(quote, line["venue"])

    def routes(self, journal: Journal) -> list[Route]:
        """The bank's interface."""
        quote = self._operation("RequestQuote", QUOTES, self._quote)
        accept = self._operation("AcceptQuote", ACCEPTANCES, self._accept)
        return [
            Route("/healthz", healthz),
            route(journal, "POST", QUOTES, quote),
            route(journal, "POST", ACCEPTANCES, accept),
        ]

    def _operation(
        self, name: str, path: str, answered: Answered
    ) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint of an operation: refusals are faults, with HTTP's 500 as SOAP 1.1 asks."""

        async def endpoint(request: Request) -> Response:
            key, kind = "", "soap:Client"
            try:
                envelope, asked = read(await body_of(request), name)
                key = asked["RequestId"]
                if not self._door.admits(envelope):
                    kind = "wsse:FailedAuthentication"
                    raise Refusal(401, "UNAUTHENTICATED")
                return Response(answer(name, answered(request, asked)), media_type=_XML)
            except Refusal as refused:
                reused = refused.code == "IDEMPOTENCY_KEY_REUSED"
                code = "REQUEST_ID_REUSED" if reused else refused.code
                self._journal.write("refused", key, endpoint=f"POST {path}", status=500, code=code)
                return Response(fault(kind, code, refused.message), 500, media_type=_XML)

        return endpoint

    def _quote(self, request: Request, asked: dict[str, Any]) -> Mapping[str, Any]:
        loan = quote_request(asked)
        wanted = loan.wanted()
        wanted.require_addresses()

        def decide() -> Decided:
            declined = refusal(self._config, loan)
            if declined is not None:
                return Decided({"declined": declined}, "quote.declined")
            quote = quote_document(
                wanted,
                cost_of(self._config, loan),
                lender=self._lender,
                quote_id="sq_" + secrets.token_hex(16),
                expires_at=expiry(request, self._config.quote_validity_s),
            )
            self._desk.quotes[quote["quote_id"]] = quoted_of(quote, wanted.venue())
            return Decided({"quote": quote}, "quote.issued", {"venue": wanted.venue()})

        decided = self._answers.once(f"POST {QUOTES}", asked["RequestId"], asked, decide)
        if "declined" in decided:
            said = decided["declined"]
            return {"Declined": {"Code": said["code"], "Message": said["message"]}}
        return {"Quote": quote_elements(decided["quote"])}

    def _accept(self, request: Request, asked: dict[str, Any]) -> Mapping[str, Any]:
        key, quote_id = asked["RequestId"], asked["QuoteId"]
        confirmed = self._desk.confirm(
            request,
            f"POST {ACCEPTANCES}",
            key,
            asked,
            (asked["TermsHash"], acceptance(asked)),
            quote_id,
        )
        return {
            "QuoteId": confirmed["quote_id"],
            "TermsHash": confirmed["terms_hash"],
            "LenderSignature": confirmed["lender_signature"],
            "ConfirmedAt": confirmed["confirmed_at"],
        }


def build(config: Mapping[str, Any], log: Path) -> Starlette:
    """The application of one bank."""
    journal = Journal(log)
    bank = SOAPBank(SOAPBankConfig.model_validate(config), journal)
    return Starlette(routes=bank.routes(journal))


if __name__ == "__main__":
    run("A simulated bank that speaks SOAP.", build)
