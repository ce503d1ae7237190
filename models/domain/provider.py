"""Providers of credit: what kind they are, what they lend, and how their errors are taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from models.domain.offer import ProviderAnswer, QuoteRequest

ANY: Final = "*"


class ProviderType(StrEnum):
    """What a provider is, in the specification's words."""

    TRADITIONAL = "TRADITIONAL"
    FINTECH = "FINTECH"
    DEFI = "DEFI"


class ProviderStatus(StrEnum):
    """ACTIVE is asked for offers; INACTIVE does not answer; MAINTENANCE was taken out on purpose.

    What a provider has already offered is honoured in every status.
    """

    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"
    MAINTENANCE = "MAINTENANCE"


class ErrorClass(StrEnum):
    """How a provider's error is taken: asked again, given up, or brought before a person."""

    RETRY = "retry"
    PERMANENT = "permanent"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Appetite:
    """Which loans a provider wants to be asked for; `*` stands for every country or currency.

    Amounts are minor units of the loan's own currency, terms months; both ends are included.
    """

    countries: frozenset[str] = frozenset({ANY})
    currencies: frozenset[str] = frozenset({ANY})
    min_amount_minor: int = 1
    max_amount_minor: int = 10**15
    min_term_months: int = 1
    max_term_months: int = 480

    def refuses(self, request: QuoteRequest) -> str | None:
        """Why this loan is outside, as a reason code; None when it is inside."""
        checks = (
            (_names(self.countries, request.jurisdiction), "COUNTRY_NOT_SERVED"),
            (_names(self.currencies, request.currency), "CURRENCY_NOT_SERVED"),
            (request.amount_minor >= self.min_amount_minor, "AMOUNT_TOO_LOW"),
            (request.amount_minor <= self.max_amount_minor, "AMOUNT_TOO_HIGH"),
            (request.term_months >= self.min_term_months, "TERM_TOO_SHORT"),
            (request.term_months <= self.max_term_months, "TERM_TOO_LONG"),
        )
        return next((reason for inside, reason in checks if not inside), None)


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard a provider may be asked: by every process for itself."""

    requests_per_s: float = 50.0
    burst: int = 50
    concurrency: int = 20
    deadline_s: float = 5.0  # for one call of the contract, all its requests together
    max_bytes: int = 1_000_000  # of one answer


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an adapter says of itself; a provider's own configuration may narrow it, never widen.

    `adapter` is the name it is chosen by. `error_map` names the provider's own codes that are not
    taken as usual. `rehearsal` is the import path of a simulated counterparty that speaks the
    provider's protocol: the certification kit runs the adapter against it.
    """

    adapter: str
    version: str
    type: ProviderType
    about: str
    appetite: Appetite = Appetite()
    limits: Limits = Limits()
    error_map: Mapping[str, ErrorClass] = field(default_factory=dict)
    rehearsal: str | None = None


@dataclass(frozen=True, slots=True)
class MissingProvider:
    """A provider that gives no offers to this search, and why not."""

    provider_id: str
    reason: str
    passing: bool = False  # away for now, whatever it would say to this loan

    def answer(self) -> ProviderAnswer:
        """The same as part of a search's answers."""
        return ProviderAnswer(self.provider_id, None, self.reason, self.passing)


def _names(allowed: frozenset[str], one: str) -> bool:
    return ANY in allowed or one in allowed
