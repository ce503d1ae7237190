"""Opens a lender's adapter from what somebody configured, and puts the shared guard around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from activities.ports.credit_provider import CreditProvider
from adapters.http import HTTPCaller
from adapters.providers.breaker import DEFAULT_POLICY, BreakerPolicy
from adapters.providers.guard import Guarded
from adapters.providers.pacing import Pace
from adapters.providers.plugin import Opening, Plugin, utc_now
from adapters.providers.provider_metrics import ProviderMetrics
from adapters.webhooks.signature import without_callback_secrets
from models.domain.offer import LoanTerms

if TYPE_CHECKING:
    from adapters.chain.rpc import JSONRPCProvider

CallerTo = Callable[[str, float, int], HTTPCaller]
"""A bounded caller of an address: its deadline in seconds, the most bytes of an answer."""


class ProviderMisconfigured(ValueError):
    """A provider cannot be opened with this: `field` (dotted, from `config` or `credentials`), why.

    Neither holds the value that was wrong.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the adapters of one process share.

    `rpc` gives the process's one reader of the settlement chain, opened when it is first asked for.
    """

    caller: CallerTo
    rpc: Callable[[], JSONRPCProvider]
    terms_hash: Callable[[LoanTerms], str]
    now: Callable[[], datetime] = utc_now
    metrics: ProviderMetrics = field(default_factory=ProviderMetrics)
    breaker: BreakerPolicy = DEFAULT_POLICY


def open_provider(
    plugin: Plugin,
    provider_id: str,
    url: str,
    config: Mapping[str, object],
    credentials: Mapping[str, str],
    ctx: Surroundings,
) -> CreditProvider:
    """The lender behind this address, in a `Guarded`; nothing is connected yet.

    Each opening has a breaker and a rate of its own: who wants one for a lender keeps what it got.
    Raises ProviderMisconfigured naming the field, never its value.
    """
    limits = plugin.manifest.limits
    pace = Pace(limits.requests_per_s, limits.burst)
    opening = Opening(
        provider_id=provider_id,
        config=_checked(plugin.config, config, "config"),
        credentials=_checked(plugin.credentials, _of_adapter(credentials), "credentials"),
        caller=ctx.caller(url, limits.deadline_s, limits.max_bytes).through(pace),
        rpc=ctx.rpc,
        terms_hash=ctx.terms_hash,
        now=ctx.now,
    )
    adapter, manifest = plugin.open(opening), plugin.manifest
    return Guarded(adapter, manifest, pace, ctx.terms_hash, ctx.metrics, policy=ctx.breaker)


def check_provider(
    plugin: Plugin, config: Mapping[str, object], credentials: Mapping[str, str]
) -> None:
    """That a provider could be opened with this; raises ProviderMisconfigured as opening does."""
    _checked(plugin.config, config, "config")
    _checked(plugin.credentials, _of_adapter(credentials), "credentials")


def _of_adapter(credentials: Mapping[str, str]) -> Mapping[str, object]:
    """What the adapter is told: not what the lender signs its callbacks with."""
    try:
        return without_callback_secrets(credentials)
    except ValueError as error:
        raise ProviderMisconfigured("credentials.callback_secret", str(error)) from None


def _checked(model: type[BaseModel], told: Mapping[str, object], where: str) -> BaseModel:
    try:
        return model.model_validate(dict(told))
    except ValidationError as error:
        # Without the cause: pydantic's own text would quote what it was given.
        first = error.errors(include_input=False, include_context=False)[0]
        field = ".".join((where, *(str(part) for part in first["loc"])))
        raise ProviderMisconfigured(field, first["msg"]) from None
