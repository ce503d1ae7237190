"""A provider as it is kept: what an administrator registered, narrowed within its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from models.domain.errors import Invalid
from models.domain.ids import PLATFORM
from models.domain.provider import ANY, Appetite, Limits, ProviderStatus, ProviderType
from models.domain.provider_health import ProviderHealth

# What a narrowing may name, and which way narrower is.
_SETS = ("countries", "currencies")
_RANGES = (("min_amount_minor", "max_amount_minor"), ("min_term_months", "max_term_months"))


class Source(StrEnum):
    """Whose a provider is."""

    TENANT = "tenant"
    PLATFORM = "platform"
    CONFIGURATION = "configuration"


class Unacceptable(Invalid):
    """What was asked is not acceptable in these places: (path within the request, reason).

    Neither a path nor a reason holds a value.
    """

    def __init__(self, *places: tuple[tuple[str, ...], str]) -> None:
        said = ", ".join(f"{'.'.join(path)} {reason}" for path, reason in places)
        super().__init__("PROVIDER_UNACCEPTABLE", said)
        self.places = places


@dataclass(frozen=True, slots=True)
class CredentialState:
    """What is told of credentials: which fields there are, since when, under which version."""

    version: int
    fields: tuple[str, ...]
    rotated_at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """A provider's health as it is kept, with when it began and when it was last checked."""

    health: ProviderHealth = field(default_factory=ProviderHealth)
    since: datetime | None = None
    checked_at: datetime | None = None
    latency_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ProviderRecord:
    """A provider on record; `appetite` and `limits` are what narrows its adapter's manifest."""

    tenant_id: str
    provider_id: str
    name: str
    adapter: str
    type: ProviderType
    url: str
    config: Mapping[str, Any]
    appetite: Mapping[str, Any]
    limits: Mapping[str, Any]
    metadata: Mapping[str, Any]
    version: int = 1
    credential: CredentialState | None = None
    standing: Standing = field(default_factory=Standing)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    removed_at: datetime | None = None
    source: Source = Source.TENANT

    def belongs_to(self, tenant_id: str) -> bool:
        """Whether this tenant may change it, and see all of it."""
        if self.source is Source.CONFIGURATION:
            return False
        return self.tenant_id == tenant_id

    def shown_in_full_to(self, tenant_id: str) -> bool:
        """Whether this tenant may see where it is reached and what its adapter is told."""
        return tenant_id in (self.tenant_id, PLATFORM)


@dataclass(frozen=True, slots=True)
class Draft:
    """What an administrator says of a provider; of credentials, only what is to change."""

    name: str
    url: str
    config: Mapping[str, Any] = field(default_factory=dict)
    appetite: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    credentials: Mapping[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Change:
    """What is to become of a provider, made from this version of it."""

    version: int
    draft: Draft
    status: ProviderStatus | None = None


def narrowed_appetite(manifest: Appetite, wish: Mapping[str, Any]) -> Appetite:
    """The manifest's appetite, narrowed; raises Unacceptable naming what would widen it."""
    wrong: list[tuple[tuple[str, ...], str]] = []
    told: dict[str, Any] = {}
    for name in _SETS:
        if name in wish:
            allowed, wanted = getattr(manifest, name), frozenset(wish[name])
            if ANY not in allowed and not wanted <= allowed:
                wrong.append((("appetite", name), "wider_than_manifest"))
            told[name] = wanted
    for low, high in _RANGES:
        least, most = getattr(manifest, low), getattr(manifest, high)
        named = {name: wish[name] for name in (low, high) if name in wish}
        wider = [name for name, bound in named.items() if not least <= bound <= most]
        wrong += [(("appetite", name), "wider_than_manifest") for name in wider]
        if not wider and named.get(low, least) > named.get(high, most):
            wrong.append((("appetite", low), "above_maximum"))
        told |= named
    if wrong:
        raise Unacceptable(*wrong)
    return replace(manifest, **told)


def narrowed_limits(manifest: Limits, wish: Mapping[str, Any]) -> Limits:
    """The manifest's limits, tightened; raises Unacceptable naming what would loosen them."""
    names = [each.name for each in fields(Limits) if each.name in wish]
    wrong = [
        (("limits", name), "wider_than_manifest")
        for name in names
        if not 0 < wish[name] <= getattr(manifest, name)
    ]
    if wrong:
        raise Unacceptable(*wrong)
    return replace(manifest, **{name: wish[name] for name in names})
