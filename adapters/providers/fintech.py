"""A fintech over HTTP: signed requests, offers in pages, acceptances it confirms by signature."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from adapters.http import MALFORMED_RESPONSE, Answer, HTTPCaller, Signer
from adapters.providers.fintech_mapping import (
    Page,
    acceptance_request,
    confirmation_document,
    offers_request,
    page_of,
    quotes_of,
)
from adapters.providers.lender import require_known, require_served, status_of
from adapters.providers.plugin import LenderAddress, Opening, Plugin, Secret, Told, utc_now
from adapters.providers.quote_check import (
    Expected,
    acceptance_refused,
    confirmation_of,
)
from adapters.providers.request_signature import RequestSigner
from models.domain.errors import Permanent
from models.domain.money import CURRENCY_EXPONENT, MAX_AMOUNT_MINOR
from models.domain.offer import Acceptance, LenderConfirmation, LoanTerms, Quote, QuoteRequest
from models.domain.provider import Appetite, ErrorClass, Manifest, ProviderStatus, ProviderType

# A search is one screen of offers, not a catalogue: who has more pages than this has a bug.
MAX_PAGES: Final = 5


class FintechProvider:
    """Satisfies `CreditProvider`: one fintech that lends from one address."""

    def __init__(
        self,
        caller: HTTPCaller,
        provider_id: str,
        *,
        signer: Signer,
        terms_hash: Callable[[LoanTerms], str],
        lender_address: str,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """`lender_address` (checksummed) is the only lender whose terms are passed on."""
        self.provider_id = provider_id
        self._caller = caller
        self._signer = signer
        self._terms_hash = terms_hash
        self._lender_address = lender_address
        self._now = now

    async def connect(self) -> None:
        """Nothing is needed beforehand: each request carries its own proof."""

    async def disconnect(self) -> None:
        """The connections belong to the process's shared client."""

    async def get_offers(self, request: QuoteRequest) -> tuple[Quote, ...]:
        """The fintech's offers, none if it wants no such loan; the same for the same round.

        Raises Permanent PROVIDER_REFUSED, MALFORMED_RESPONSE, TERMS_INVALID (with the field) or
        QUOTE_EXPIRED; Transient.
        """
        pages = await self._pages(request)
        expected = Expected(
            self.provider_id, self._lender_address, self._terms_hash, now=self._now()
        )
        return quotes_of(pages, request, expected)

    async def accept_offer(
        self,
        tenant_id: str,  # noqa: ARG002 - the port's; application ids are unique without it
        application_id: str,
        quote: Quote,
        acceptance: Acceptance,
    ) -> LenderConfirmation:
        """The fintech's signature over exactly `quote.terms`; the same however often asked.

        Raises Permanent QUOTE_EXPIRED, TERMS_CHANGED, PROVIDER_REFUSED or MALFORMED_RESPONSE;
        Transient.
        """
        answer = await self._signed(
            "POST",
            f"/v2/offers/{quote.quote_id}/acceptances",
            acceptance_request(quote, acceptance),
            key=quote.accept_key(application_id),
        )
        if answer.status >= 400:
            raise acceptance_refused(
                self.provider_id, answer.status, answer.body, expired="OFFER_EXPIRED"
            )
        return confirmation_of(confirmation_document(answer.body), quote)

    async def get_status(self) -> ProviderStatus:
        """Whether the fintech answers at all; never raises its failures."""
        return await status_of(self._caller)

    async def _pages(self, request: QuoteRequest) -> list[Page]:
        """All pages, a bounded number of them, none twice."""
        key = request.quote_key.replace(":quote", ":offers", 1)
        answer = await self._signed("POST", "/v2/offers", offers_request(request), key=key)
        pages = [self._page(answer)]
        seen: set[str] = set()
        while (cursor := pages[-1].next_cursor) is not None:
            if cursor in seen:
                raise Permanent(MALFORMED_RESPONSE, "a cursor came twice")
            if len(pages) == MAX_PAGES:
                raise Permanent(MALFORMED_RESPONSE, f"over {MAX_PAGES} pages")
            seen.add(cursor)
            pages.append(self._page(await self._signed("GET", f"/v2/offers?cursor={cursor}")))
        return pages

    def _page(self, answer: Answer) -> Page:
        return page_of(require_served(self.provider_id, answer).body)

    async def _signed(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, key: str = ""
    ) -> Answer:
        headers = {"idempotency-key": key} if key else None
        answer = await self._caller.call(
            method, path, json=body, headers=headers, sign=self._signer
        )
        return require_known(self.provider_id, answer)


class FintechConfig(Told):
    """`lender_address` (checksummed) is the account the fintech lends from."""

    lender_address: LenderAddress


class FintechCredentials(Told):
    """The API key, and the secret requests are signed with."""

    api_key: Secret
    signing_secret: Secret


def _open(opening: Opening) -> FintechProvider:
    config: FintechConfig = opening.config
    credentials: FintechCredentials = opening.credentials
    signer = RequestSigner(
        credentials.api_key.get_secret_value(), credentials.signing_secret.get_secret_value()
    )
    return FintechProvider(
        opening.caller,
        opening.provider_id,
        signer=signer,
        terms_hash=opening.terms_hash,
        lender_address=config.lender_address,
        now=opening.now,
    )


MANIFEST: Final = Manifest(
    adapter="fintech-hmac",
    version="1.0.0",
    type=ProviderType.FINTECH,
    about="A fintech's REST interface with an API key, signed requests and pages of offers",
    appetite=Appetite(currencies=frozenset(CURRENCY_EXPONENT), max_amount_minor=MAX_AMOUNT_MINOR),
    # It holds another contract for this loan, or another request under our key: no program knows.
    error_map={
        "LOAN_ALREADY_CONFIRMED": ErrorClass.PERSON,
        "IDEMPOTENCY_KEY_REUSED": ErrorClass.PERSON,
    },
    rehearsal="sandbox.counterparties.fintech",
)
PLUGIN: Final = Plugin(MANIFEST, config=FintechConfig, credentials=FintechCredentials, open=_open)
