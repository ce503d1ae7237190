"""Village Credit over HTTP: an adapter to learn from. An API key, a list of offers, a signature."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from adapters.http import Answer, HTTPCaller
from adapters.providers.lender import require_known, require_served, status_of
from adapters.providers.plugin import LenderAddress, Opening, Plugin, Secret, Told
from adapters.providers.quote_check import Expected, acceptance_refused, confirmation_of
from models.domain.offer import Acceptance, LenderConfirmation, LoanTerms, Quote, QuoteRequest
from models.domain.provider import Appetite, Limits, Manifest, ProviderStatus, ProviderType
from sandbox.certification.samples.village_mapping import (
    confirmation_document,
    loan_request,
    offers_in,
    quotes_of,
    signing_request,
)


class VillageProvider:
    """Satisfies `CreditProvider`."""

    def __init__(
        self,
        caller: HTTPCaller,
        provider_id: str,
        *,
        api_key: str,
        lender_address: str,
        terms_hash: Callable[[LoanTerms], str],
        now: Callable[[], datetime],
    ) -> None:
        self.provider_id = provider_id
        self._caller = caller
        self._api_key = api_key
        self._lender_address = lender_address
        self._terms_hash = terms_hash
        self._now = now

    async def connect(self) -> None:
        """Nothing is needed beforehand: each request carries the key."""

    async def disconnect(self) -> None:
        """The connections belong to the process."""

    async def get_offers(self, request: QuoteRequest) -> tuple[Quote, ...]:
        """The lender's offers, none if it wants no such loan; the same ones for the same round.

        Raises Permanent PROVIDER_REFUSED, MALFORMED_RESPONSE, TERMS_INVALID or QUOTE_EXPIRED;
        Transient.
        """
        answer = await self._ask("/loans", loan_request(request), key=request.quote_key)
        offers = offers_in(require_served(self.provider_id, answer).body)
        return quotes_of(offers, request, self._expected())

    async def accept_offer(
        self,
        tenant_id: str,  # noqa: ARG002 - the port's; application ids are unique without it
        application_id: str,
        quote: Quote,
        acceptance: Acceptance,
    ) -> LenderConfirmation:
        """The lender's signature over exactly `quote.terms`; the same one however often asked.

        Raises Permanent QUOTE_EXPIRED, TERMS_CHANGED, PROVIDER_REFUSED or MALFORMED_RESPONSE;
        Transient.
        """
        answer = await self._ask(
            f"/loans/{quote.quote_id}/sign",
            signing_request(quote, acceptance),
            key=quote.accept_key(application_id),
        )
        if answer.status >= 400:
            raise acceptance_refused(
                self.provider_id, answer.status, answer.body, expired="OFFER_OVER"
            )
        return confirmation_of(confirmation_document(answer.body), quote)

    async def get_status(self) -> ProviderStatus:
        """What the lender's health address says; never raises."""
        return await status_of(self._caller)

    def _expected(self) -> Expected:
        return Expected(self.provider_id, self._lender_address, self._terms_hash, self._now())

    async def _ask(self, path: str, body: Mapping[str, Any], *, key: str) -> Answer:
        headers = {"x-api-key": self._api_key, "idempotency-key": key}
        answer = await self._caller.call("POST", path, json=body, headers=headers)
        return require_known(self.provider_id, answer)


class VillageConfig(Told):
    """`lender_address` (checksummed) is the account Village Credit lends from."""

    lender_address: LenderAddress


class VillageCredentials(Told):
    """The key it gave us."""

    api_key: Secret


def _open(opening: Opening) -> VillageProvider:
    config: VillageConfig = opening.config
    credentials: VillageCredentials = opening.credentials
    return VillageProvider(
        opening.caller,
        opening.provider_id,
        api_key=credentials.api_key.get_secret_value(),
        lender_address=config.lender_address,
        terms_hash=opening.terms_hash,
        now=opening.now,
    )


MANIFEST: Final = Manifest(
    adapter="village-credit",
    version="1.0.0",
    type=ProviderType.TRADITIONAL,
    about="Village Credit, a small lender with an API key and a list of offers",
    appetite=Appetite(
        countries=frozenset({"US"}),
        currencies=frozenset({"USD"}),
        min_amount_minor=100_000,
        max_amount_minor=5_000_000,
        min_term_months=6,
        max_term_months=48,
    ),
    limits=Limits(requests_per_s=20, burst=20, concurrency=5, deadline_s=3.0, max_bytes=200_000),
    rehearsal="sandbox.certification.samples.village_lender",
)
PLUGIN: Final = Plugin(MANIFEST, config=VillageConfig, credentials=VillageCredentials, open=_open)
