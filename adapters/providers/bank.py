"""A bank over HTTP: OAuth 2.0, quotes, and acceptances that it confirms with its signature."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import structlog

from adapters.http import Answer, HTTPCaller
from adapters.providers.bank_mapping import acceptance_request, quote_of, quote_request
from adapters.providers.client_credentials import ClientCredentials
from adapters.providers.lender import CREDENTIALS_REFUSED, require_served, status_of
from adapters.providers.plugin import LenderAddress, Opening, Plugin, Secret, Told, utc_now
from adapters.providers.quote_check import (
    Declined,
    Expected,
    acceptance_refused,
    confirmation_of,
)
from models.domain.errors import Transient
from models.domain.money import CURRENCY_EXPONENT, MAX_AMOUNT_MINOR
from models.domain.offer import Acceptance, LenderConfirmation, LoanTerms, Quote, QuoteRequest
from models.domain.provider import Appetite, ErrorClass, Manifest, ProviderStatus, ProviderType

_log = structlog.get_logger("adapters.providers")


class BankProvider:
    """Satisfies `CreditProvider`: one bank that lends from one address."""

    def __init__(
        self,
        caller: HTTPCaller,
        provider_id: str,
        *,
        client_id: str,
        client_secret: str,
        terms_hash: Callable[[LoanTerms], str],
        lender_address: str,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """`lender_address` (checksummed) is the only lender whose terms are passed on."""
        self.provider_id = provider_id
        self._caller = caller
        self._credentials = ClientCredentials(caller, client_id, client_secret)
        self._terms_hash = terms_hash
        self._lender_address = lender_address
        self._now = now

    async def connect(self) -> None:
        """Obtain an access token; raises Permanent or Transient."""
        await self._credentials.token()

    async def disconnect(self) -> None:
        """Drop the access token; the connections belong to the process's shared client."""
        self._credentials.forget()

    async def get_offers(self, request: QuoteRequest) -> tuple[Quote, ...]:
        """The bank's quote, none if it declines; the same one for the same round.

        Raises Permanent PROVIDER_REFUSED, MALFORMED_RESPONSE, TERMS_INVALID (with the field) or
        QUOTE_EXPIRED; Transient.
        """
        answer = await self._authorised("/v1/quotes", quote_request(request), key=request.quote_key)
        require_served(self.provider_id, answer)
        expected = Expected(
            self.provider_id, self._lender_address, self._terms_hash, now=self._now()
        )
        quote = quote_of(answer.body, request, expected)
        if isinstance(quote, Declined):
            _log.info("quote_declined", provider=self.provider_id, code=quote.code)
            return ()
        return (quote,)

    async def accept_offer(
        self,
        tenant_id: str,  # noqa: ARG002 - the port's; this bank keys by application alone
        application_id: str,
        quote: Quote,
        acceptance: Acceptance,
    ) -> LenderConfirmation:
        """The bank's signature over exactly `quote.terms`; the same one however often asked.

        Raises Permanent QUOTE_EXPIRED, TERMS_CHANGED, PROVIDER_REFUSED or MALFORMED_RESPONSE;
        Transient.
        """
        answer = await self._authorised(
            f"/v1/quotes/{quote.quote_id}/accept",
            acceptance_request(quote, acceptance),
            key=quote.accept_key(application_id),
        )
        if answer.status >= 400:
            raise acceptance_refused(
                self.provider_id, answer.status, answer.body, expired="QUOTE_EXPIRED"
            )
        return confirmation_of(answer.body, quote)

    async def get_status(self) -> ProviderStatus:
        """Whether the bank answers at all; never raises its failures."""
        return await status_of(self._caller)

    async def _authorised(self, path: str, body: Mapping[str, Any], *, key: str) -> Answer:
        """POST with a bearer token; a token the bank no longer knows is replaced once."""
        refused: str | None = None
        for _ in range(2):
            token = await self._credentials.token(refused)
            headers = {"authorization": f"Bearer {token}", "idempotency-key": key}
            answer = await self._caller.call("POST", path, json=body, headers=headers)
            if answer.status != 401:
                return answer
            refused = token
        raise Transient(CREDENTIALS_REFUSED, f"{self.provider_id} refuses a fresh token")


class BankConfig(Told):
    """`lender_address` (checksummed) is the account the bank lends from."""

    lender_address: LenderAddress


class BankCredentials(Told):
    """OAuth 2.0 client credentials."""

    client_id: Secret
    client_secret: Secret


def _open(opening: Opening) -> BankProvider:
    config: BankConfig = opening.config
    credentials: BankCredentials = opening.credentials
    return BankProvider(
        opening.caller,
        opening.provider_id,
        client_id=credentials.client_id.get_secret_value(),
        client_secret=credentials.client_secret.get_secret_value(),
        terms_hash=opening.terms_hash,
        lender_address=config.lender_address,
        now=opening.now,
    )


MANIFEST: Final = Manifest(
    adapter="bank-rest",
    version="1.0.0",
    type=ProviderType.TRADITIONAL,
    about="A bank's REST interface with OAuth 2.0 client credentials",
    appetite=Appetite(currencies=frozenset(CURRENCY_EXPONENT), max_amount_minor=MAX_AMOUNT_MINOR),
    # It holds another contract for this loan, or another request under our key: no program knows.
    error_map={
        "LOAN_ALREADY_CONFIRMED": ErrorClass.PERSON,
        "IDEMPOTENCY_KEY_REUSED": ErrorClass.PERSON,
    },
    rehearsal="sandbox.counterparties.bank",
)
PLUGIN: Final = Plugin(MANIFEST, config=BankConfig, credentials=BankCredentials, open=_open)
