"""A lending pool on chain: priced by its own parameters, signed for by its underwriter.

The lender is the contract. Its underwriter, a service of the pool's, keeps the key and answers over
HTTP; the chain says what the pool lends and at which rate, so a quote is believed only if the
pool's parameters at the block it names come to the same figures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import structlog

from adapters.chain.pool import standing_at
from adapters.chain.rpc import JSONRPCProvider
from adapters.http import Answer, HTTPCaller
from adapters.providers.lender import require_known, require_served, status_of
from adapters.providers.plugin import LenderAddress, Opening, Plugin, Secret, Told, utc_now
from adapters.providers.pool_mapping import (
    acceptance_request,
    quote_of,
    quote_request,
    stated_quote_of,
)
from adapters.providers.quote_check import (
    Declined,
    Expected,
    acceptance_refused,
    confirmation_of,
)
from models.domain.money import CURRENCY_EXPONENT, MAX_AMOUNT_MINOR
from models.domain.offer import Acceptance, LenderConfirmation, LoanTerms, Quote, QuoteRequest
from models.domain.provider import Appetite, ErrorClass, Manifest, ProviderStatus, ProviderType

# Nodes without an archive keep the state of the last 128 blocks; older prices cannot be checked.
MAX_QUOTE_AGE_BLOCKS: Final = 128

_log = structlog.get_logger("adapters.providers")


class PoolProvider:
    """Satisfies `CreditProvider`: one pool, which is its own lender."""

    def __init__(
        self,
        caller: HTTPCaller,
        rpc: JSONRPCProvider,
        provider_id: str,
        *,
        pool_address: str,
        api_key: str,
        terms_hash: Callable[[LoanTerms], str],
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """`pool_address` (checksummed) is the only lender whose terms are passed on."""
        self.provider_id = provider_id
        self._caller = caller
        self._rpc = rpc
        self._pool = pool_address
        self._api_key = api_key
        self._terms_hash = terms_hash
        self._now = now

    async def connect(self) -> None:
        """Nothing is needed beforehand: each request carries the key."""

    async def disconnect(self) -> None:
        """The connections belong to the process."""

    async def get_offers(self, request: QuoteRequest) -> tuple[Quote, ...]:
        """The pool's quote, none if it declines; the same one for the same round.

        Raises Permanent PROVIDER_REFUSED, MALFORMED_RESPONSE, TERMS_INVALID (with the field),
        QUOTE_EXPIRED, BLOCK_TOO_OLD or POOL_ABSENT; Transient.
        """
        answer = await self._authorised(
            "/v1/quotes",
            quote_request(request, self._pool),
            key=request.quote_key,
        )
        require_served(self.provider_id, answer)
        stated = stated_quote_of(answer.body)
        if isinstance(stated, Declined):
            _log.info("quote_declined", provider=self.provider_id, code=stated.code)
            return ()
        standing = await standing_at(
            self._rpc, self._pool, stated.block_number, max_age_blocks=MAX_QUOTE_AGE_BLOCKS
        )
        expected = Expected(self.provider_id, self._pool, self._terms_hash, now=self._now())
        return (quote_of(stated, request, expected, standing),)

    async def accept_offer(
        self,
        tenant_id: str,  # noqa: ARG002 - the port's; application ids are unique without it
        application_id: str,
        quote: Quote,
        acceptance: Acceptance,
    ) -> LenderConfirmation:
        """What the pool answers for over exactly `quote.terms`; the same however often asked.

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
        """Whether underwriter and chain answer at all; never raises their failures."""
        status = await status_of(self._caller)
        if status is ProviderStatus.ACTIVE and not await self._rpc.is_connected():
            return ProviderStatus.INACTIVE
        return status

    async def _authorised(self, path: str, body: Mapping[str, Any], *, key: str) -> Answer:
        headers = {"authorization": f"Bearer {self._api_key}", "idempotency-key": key}
        answer = await self._caller.call("POST", path, json=body, headers=headers)
        return require_known(self.provider_id, answer)


class PoolConfig(Told):
    """`pool_address` (checksummed) is the contract that lends."""

    pool_address: LenderAddress


class PoolCredentials(Told):
    """The key of the pool's underwriter."""

    api_key: Secret


def _open(opening: Opening) -> PoolProvider:
    config: PoolConfig = opening.config
    credentials: PoolCredentials = opening.credentials
    return PoolProvider(
        opening.caller,
        opening.rpc(),
        opening.provider_id,
        pool_address=config.pool_address,
        api_key=credentials.api_key.get_secret_value(),
        terms_hash=opening.terms_hash,
        now=opening.now,
    )


MANIFEST: Final = Manifest(
    adapter="defi-pool",
    version="1.0.0",
    type=ProviderType.DEFI,
    about="A lending pool on the settlement chain, with its underwriter's REST interface",
    appetite=Appetite(currencies=frozenset(CURRENCY_EXPONENT), max_amount_minor=MAX_AMOUNT_MINOR),
    error_map={
        # The pool is another one than we were told: somebody has to look at the configuration.
        "POOL_UNKNOWN": ErrorClass.PERSON,
        # It holds another contract for this loan, or another request under our key.
        "LOAN_ALREADY_CONFIRMED": ErrorClass.PERSON,
        "IDEMPOTENCY_KEY_REUSED": ErrorClass.PERSON,
    },
    rehearsal="sandbox.counterparties.pool_underwriter",
)
PLUGIN: Final = Plugin(MANIFEST, config=PoolConfig, credentials=PoolCredentials, open=_open)
