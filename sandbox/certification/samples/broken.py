"""Village Credit's adapter with every plausible mistake, each of which a row is meant to find.

`PLUGIN` makes them all. A single one, or some, are found by name, as attributes of this module:
`sandbox.certification.samples.broken:BELIEVES_CURRENCY+RETRIES_BY_ITSELF`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import structlog
from pydantic import BaseModel, ConfigDict

from adapters.http import MALFORMED_RESPONSE, Answer, RetryLater
from adapters.providers.lender import CREDENTIALS_REFUSED
from adapters.providers.plugin import Opening, Plugin
from adapters.providers.quote_check import PROVIDER_REFUSED, confirmation_of
from models.domain.errors import Permanent, Transient
from models.domain.offer import Acceptance, LenderConfirmation, Quote, QuoteRequest
from models.domain.provider import ANY, Appetite, Limits, Manifest, ProviderStatus
from sandbox.certification.samples.careless_caller import INSTEAD, CarelessCaller
from sandbox.certification.samples.credulous_mapping import believed
from sandbox.certification.samples.mistakes import Mistake
from sandbox.certification.samples.village import MANIFEST, VillageConfig, VillageCredentials
from sandbox.certification.samples.village import PLUGIN as VILLAGE
from sandbox.certification.samples.village_mapping import (
    confirmation_document,
    loan_request,
    offers_in,
    signing_request,
)

_ATTEMPTS: Final = 2
_log = structlog.get_logger("samples.broken")


class BrokenProvider:
    """What an adapter with these mistakes does, and the sound adapter's part of all else."""

    def __init__(self, opening: Opening, mistakes: frozenset[Mistake]) -> None:
        self.provider_id = opening.provider_id
        self._mistakes = mistakes
        sound: Any = VILLAGE.open(opening)
        self._sound = sound
        self._api_key: str = sound._api_key
        self._careless: CarelessCaller | None = None
        if mistakes & INSTEAD:
            at = opening.caller
            self._careless = CarelessCaller(at._base_url, at._deadline_s, at._max_bytes, mistakes)
        self._closed = False
        self._process = secrets.token_hex(8)

    async def connect(self) -> None:
        """As the sound adapter."""
        await self._sound.connect()

    async def disconnect(self) -> None:
        """Closes what belongs to others, with CLOSES_FOR_GOOD."""
        self._closed = self._makes(Mistake.CLOSES_FOR_GOOD)

    async def get_offers(self, request: QuoteRequest) -> tuple[Quote, ...]:
        """Offers, as these mistakes understand them."""
        try:
            return await self._offers(request)
        except Transient:
            if self._makes(Mistake.NO_OFFERS_ON_FAILURE):
                return ()
            raise

    async def _offers(self, request: QuoteRequest) -> tuple[Quote, ...]:
        if self._makes(Mistake.NEEDS_A_SCORE) and not request.score > 0:  # type: ignore[operator]
            return ()
        key = request.quote_key
        if self._makes(Mistake.IGNORES_ROUND):
            key = f"{request.application_id}:quote"
        if self._makes(Mistake.FRESH_KEY_PER_PROCESS):
            key = f"{key}:{self._process}"
        answer = await self._ask("/loans", loan_request(request), key)
        if answer.status == 400 and self._makes(Mistake.READS_ERRORS_AS_OFFERS):
            return ()
        if answer.status >= 400:
            self._refuse(answer)
        if self._makes(Mistake.LETS_PARSER_FAIL):
            _ = answer.body["offers"]
        offers = offers_in(answer.body)
        if not offers and self._makes(Mistake.DECLINE_IS_AN_ERROR):
            raise Permanent(PROVIDER_REFUSED, "no offers")
        return believed(offers, request, self._sound._expected(), self._mistakes)

    async def accept_offer(
        self,
        tenant_id: str,  # noqa: ARG002 - the port's
        application_id: str,
        quote: Quote,
        acceptance: Acceptance,
    ) -> LenderConfirmation:
        """A confirmation, as these mistakes understand it."""
        key = quote.accept_key(application_id)
        if self._makes(Mistake.FRESH_KEY_PER_ACCEPTANCE):
            key = secrets.token_hex(16)
        body = signing_request(quote, acceptance)
        answer = await self._ask(f"/loans/{quote.quote_id}/sign", body, key)
        if answer.status >= 400:
            self._refuse_acceptance(answer)
        document = confirmation_document(answer.body)
        if self._makes(Mistake.SIGNS_WITH_THE_BORROWERS):
            document["lender_signature"] = acceptance.signature
        if self._makes(Mistake.BELIEVES_CONFIRMATION):
            return LenderConfirmation(
                quote.quote_id, quote.terms_hash, document["lender_signature"]
            )
        return confirmation_of(document, quote)

    async def get_status(self) -> ProviderStatus:
        """The lender's health, or what these mistakes take for it."""
        status: ProviderStatus = await self._sound.get_status()
        if self._makes(Mistake.STATUS_RAISES) and status is not ProviderStatus.ACTIVE:
            raise Transient("UPSTREAM_UNREACHABLE", "not healthy")
        if self._makes(Mistake.NO_MAINTENANCE) and status is ProviderStatus.MAINTENANCE:
            return ProviderStatus.INACTIVE
        return status

    async def _ask(self, path: str, body: Mapping[str, Any], key: str) -> Answer:
        if self._closed:
            raise Permanent(MALFORMED_RESPONSE, "the session is closed")
        attempts = _ATTEMPTS if self._makes(Mistake.RETRIES_BY_ITSELF) else 1
        for attempt in range(1, attempts + 1):
            try:
                return self._known(await self._sent(path, body, key))
            except RetryLater as later:
                if attempt == attempts:
                    self._raise(later)
        raise AssertionError("an attempt returns or raises")

    async def _sent(self, path: str, body: Mapping[str, Any], key: str) -> Answer:
        headers = {"x-api-key": self._api_key, "idempotency-key": key}
        if self._makes(Mistake.LOGS_THE_KEY):
            _log.info("asking", path=path, reason=f"with {headers}")
        if self._careless is not None:
            return await self._careless.call("POST", path, json=body, headers=headers)
        answer: Answer = await self._sound._caller.call("POST", path, json=body, headers=headers)
        return answer

    def _known(self, answer: Answer) -> Answer:
        if answer.status in (401, 403) and not self._makes(Mistake.CREDENTIALS_ARE_A_REFUSAL):
            raise Transient(CREDENTIALS_REFUSED, str(answer.status))
        return answer

    def _raise(self, later: RetryLater) -> None:
        if self._makes(Mistake.GIVES_UP_ON_SERVER_ERRORS) and later.status >= 500:
            raise Permanent(PROVIDER_REFUSED, str(later.status)) from later
        if self._makes(Mistake.FORGETS_RETRY_AFTER):
            raise Transient(later.code, str(later.status)) from later
        raise later

    def _refuse(self, answer: Answer) -> None:
        said = dict(answer.body) if self._makes(Mistake.QUOTES_THE_LENDER) else answer.status
        raise Permanent(PROVIDER_REFUSED, str(said))

    def _refuse_acceptance(self, answer: Answer) -> None:
        known = {"OFFER_OVER": "QUOTE_EXPIRED", "TERMS_MISMATCH": "TERMS_CHANGED"}
        code = known.get(str(answer.body.get("code")), PROVIDER_REFUSED)
        if self._makes(Mistake.ALL_REFUSALS_ARE_ONE):
            code = PROVIDER_REFUSED
        raise Permanent(code, str(answer.status))

    def _makes(self, mistake: Mistake) -> bool:
        return mistake in self._mistakes


class _LooseConfig(VillageConfig):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class _ShownKey(str):
    """A key in clear, with the one method of a SecretStr that the sound adapter uses."""

    __slots__ = ()

    def get_secret_value(self) -> str:
        return str(self)


class _ClearCredentials(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, arbitrary_types_allowed=True
    )

    api_key: str

    def model_post_init(self, _: object) -> None:
        object.__setattr__(self, "api_key", _ShownKey(self.api_key))


def broken(*mistakes: Mistake) -> Plugin:
    """A plugin that makes these mistakes and no others."""
    made = frozenset(mistakes)
    return Plugin(
        manifest=_manifest(made),
        config=_LooseConfig if Mistake.LOOSE_SETTINGS in made else VillageConfig,
        credentials=(
            _ClearCredentials if Mistake.SHOWS_CREDENTIALS in made else VillageCredentials
        ),
        open=lambda opening: BrokenProvider(opening, made),
    )


def _manifest(made: frozenset[Mistake]) -> Manifest:
    manifest = replace(MANIFEST, adapter="broken-sample")
    appetite = manifest.appetite
    if Mistake.SAYS_NOTHING in made:
        manifest = replace(manifest, about="")
    if Mistake.BOUNDLESS_LIMITS in made:
        manifest = replace(manifest, limits=Limits(deadline_s=600.0, max_bytes=200_000))
    if Mistake.PROMISES_TOO_MUCH in made:
        appetite = Appetite(frozenset({ANY}), frozenset({ANY}))
    if Mistake.IMPOSSIBLE_APPETITE in made:
        appetite = replace(appetite, min_term_months=48, max_term_months=6)
    return replace(manifest, appetite=appetite)


def __getattr__(name: str) -> Plugin:
    """The plugin with the mistakes in this name, joined by `+`."""
    try:
        return broken(*(Mistake[each] for each in name.split("+")))
    except KeyError:
        raise AttributeError(name) from None


PLUGIN: Final = broken(*Mistake)
