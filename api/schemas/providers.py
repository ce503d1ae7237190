"""Requests and answers about providers of credit."""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    StrictInt,
    StringConstraints,
)

from api.schemas import provider_examples as examples
from api.schemas.applications import Country, Message, Text, printable
from api.schemas.provider_examples import reads, shows
from models.domain.money import MAX_AMOUNT_MINOR
from models.domain.provider import ProviderStatus, ProviderType
from models.domain.provider_health import SetBy
from models.domain.provider_record import Draft, ProviderRecord, Source

MOST_CHARACTERS: Final = 16_384
MOST_DEPTH: Final = 6


def _document(value: dict[str, Any]) -> dict[str, Any]:
    """JSON that a database, a log and a screen can hold: bounded, printable, finite."""
    _check(value, MOST_DEPTH)
    if len(json.dumps(value)) > MOST_CHARACTERS:
        raise ValueError("too large")
    return value


def _check(value: Any, depth: int) -> None:
    if depth < 0:
        raise ValueError("too deep")
    if isinstance(value, dict):
        for name, inner in value.items():
            _check(name, depth)
            _check(inner, depth - 1)
    elif isinstance(value, list):
        for inner in value:
            _check(inner, depth - 1)
    elif (isinstance(value, str) and not value.isprintable()) or (
        isinstance(value, float) and not math.isfinite(value)
    ):
        raise ValueError("not printable, or no number")


def _secrets(value: object) -> object:
    """Names with texts; checked as one, so that no name is told in an error."""
    if not isinstance(value, dict) or not 0 < len(value) <= 20:
        raise ValueError("names with secrets")
    for name, secret in value.items():
        if not isinstance(name, str) or not name.isidentifier() or len(name) > 64:
            raise ValueError("names with secrets")
        if not isinstance(secret, str) or not 0 < len(secret) <= 16_384 or "\0" in secret:
            raise ValueError("names with secrets")
    return value


Document = Annotated[dict[str, Any], AfterValidator(_document)]
Secrets = Annotated[
    dict[str, SecretStr],
    BeforeValidator(_secrets),
    Field(
        description="What the adapter authenticates with, by the names it gives them. Kept sealed, "
        "and never answered."
    ),
]
Currency = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Z]{3}$")]
Amount = Annotated[StrictInt, Field(ge=1, le=MAX_AMOUNT_MINOR)]
Months = Annotated[StrictInt, Field(ge=1, le=480)]
Address = Annotated[
    str, StringConstraints(strict=True, min_length=1, max_length=2_000), AfterValidator(printable)
]
Version = Annotated[StrictInt, Field(ge=1, le=2**53)]


class AppetiteBody(Message):
    """Which loans the provider is asked for; narrower than its adapter allows, never wider."""

    countries: Annotated[
        list[Country] | None,
        Field(min_length=1, max_length=250, description="Of residence; null: the adapter's."),
    ] = None
    currencies: Annotated[
        list[Currency] | None,
        Field(min_length=1, max_length=200, description="ISO 4217; null: the adapter's."),
    ] = None
    min_amount_minor: Annotated[
        Amount | None, Field(description="In minor units of the loan's currency, included.")
    ] = None
    max_amount_minor: Annotated[
        Amount | None, Field(description="In minor units of the loan's currency, included.")
    ] = None
    min_term_months: Annotated[Months | None, Field(description="Months, included.")] = None
    max_term_months: Annotated[Months | None, Field(description="Months, included.")] = None


class LimitsBody(Message):
    """How hard each of our processes asks it; gentler than its adapter allows, never harder."""

    requests_per_s: Annotated[
        float | None, Field(gt=0, le=10_000, strict=True, description="Requests a second.")
    ] = None
    burst: Annotated[
        StrictInt | None, Field(ge=1, le=10_000, description="Requests at once after a pause.")
    ] = None
    concurrency: Annotated[
        StrictInt | None, Field(ge=1, le=1_000, description="Requests under way at a time.")
    ] = None
    deadline_s: Annotated[
        float | None, Field(gt=0, le=60, strict=True, description="Seconds for one call.")
    ] = None
    max_bytes: Annotated[
        StrictInt | None, Field(ge=1, le=10_000_000, description="Bytes of one answer.")
    ] = None


class _Described(Message):
    name: Annotated[Text, Field(description="For people, 1 to 200 characters.")]
    url: Annotated[
        Address,
        Field(description="Where its interface is: https, and a public address."),
    ]
    config: Document = Field(
        default_factory=dict, description="What the adapter is told, and may be shown."
    )
    appetite: Annotated[AppetiteBody, Field(description="Which loans it is asked for.")] = (
        AppetiteBody()
    )
    limits: Annotated[LimitsBody, Field(description="How hard it is asked.")] = LimitsBody()
    metadata: Document = Field(
        default_factory=dict,
        description="Yours to use; nothing of ours reads it. No personal data.",
    )
    credentials: Annotated[
        Secrets | None,
        Field(description="Sealed and never answered; null: none yet, or unchanged."),
    ] = None

    def to_draft(self) -> Draft:
        """What an administrator says of a provider."""
        return Draft(
            name=self.name,
            url=self.url,
            config=self.config,
            appetite=self.appetite.model_dump(exclude_none=True),
            limits=self.limits.model_dump(exclude_none=True),
            metadata=self.metadata,
            credentials=plain(self.credentials),
        )


class ProviderBody(_Described):
    """A provider that your tenant borrows from."""

    model_config = reads(examples.REGISTERED)

    adapter: Annotated[
        str,
        StringConstraints(strict=True, pattern=r"^[a-z0-9][a-z0-9._\-]{0,63}$"),
        Field(description="The adapter that speaks its protocol, as `bank-rest`; for good."),
    ]


class ProviderChangeBody(_Described):
    """The provider as it is to be, as a whole; only credentials stay when they are left out."""

    model_config = reads(examples.CHANGED)

    version: Annotated[Version, Field(description="The version this was made from.")]
    status: Annotated[
        Literal["ACTIVE", "MAINTENANCE"] | None,
        Field(
            description="`MAINTENANCE` takes it out until you bring it back by `ACTIVE`; null: as "
            "it is. `INACTIVE` is set by checks alone."
        ),
    ] = None


class CredentialsBody(Message):
    """New credentials; the earlier ones end after an overlap."""

    model_config = reads({"credentials": examples.CREDENTIALS})

    credentials: Secrets


class CredentialsAnswer(BaseModel):
    """What is told of credentials."""

    model_config = shows(examples.CREDENTIALS_SHOWN)

    fields: list[str] = Field(description="Which there are, by name.")
    version: int = Field(description="Grows with each rotation.")
    rotated_at: datetime = Field(description="Since when these are used (RFC 3339).")


class ProviderAnswer(BaseModel):
    """A provider of credit.

    Where it is reached and what its adapter is told is shown to those whose it is.
    """

    provider_id: str = Field(description="`prv_` and 32 hexadecimal digits, or a configured name.")
    name: str = Field(description="For people.")
    type: ProviderType = Field(description="`TRADITIONAL`, `FINTECH` or `DEFI`.")
    adapter: str = Field(description="The adapter that speaks its protocol.")
    source: Source = Field(
        description="`tenant`: yours; `platform`: every tenant's; `configuration`: every tenant's, "
        "and not changed by the API."
    )
    status: ProviderStatus = Field(
        description="`ACTIVE`: asked for offers; `INACTIVE`: does not answer well; `MAINTENANCE`: "
        "taken out on purpose."
    )
    status_reason: str = Field(description="Why, as a code.")
    status_set_by: SetBy = Field(description="`checker`, `lender` or `person`.")
    status_since: datetime | None = Field(description="Since when (RFC 3339); null: not checked.")
    checked_at: datetime | None = Field(description="When it was last checked (RFC 3339).")
    latency_ms: int | None = Field(description="How long that took, in milliseconds.")
    url: str | None = Field(description="Where its interface is; null where it is not yours.")
    config: dict[str, Any] | None = Field(description="What its adapter is told; null likewise.")
    appetite: dict[str, Any] = Field(description="What narrows the loans it is asked for.")
    limits: dict[str, Any] = Field(description="What tempers how hard it is asked.")
    metadata: dict[str, Any] | None = Field(description="Yours; null where it is not yours.")
    credentials: CredentialsAnswer | None = Field(
        description="What is told of them; null without any, or where it is not yours."
    )
    version: int = Field(description="Name it when you change the provider.")
    created_at: datetime | None = Field(description="When (RFC 3339); null: configured.")
    updated_at: datetime | None = Field(description="When (RFC 3339); null: configured.")
    removed_at: datetime | None = Field(description="When it was removed (RFC 3339), or null.")

    @classmethod
    def of(cls, record: ProviderRecord, tenant_id: str) -> ProviderAnswer:
        """The provider as this tenant may see it."""
        full, standing, held = record.shown_in_full_to(tenant_id), record.standing, None
        if full and record.credential is not None:
            known = record.credential
            held = CredentialsAnswer(
                fields=list(known.fields), version=known.version, rotated_at=known.rotated_at
            )
        return cls(
            provider_id=record.provider_id,
            name=record.name,
            type=record.type,
            adapter=record.adapter,
            source=record.source,
            status=standing.health.status,
            status_reason=standing.health.reason,
            status_set_by=standing.health.set_by,
            status_since=standing.since,
            checked_at=standing.checked_at,
            latency_ms=standing.latency_ms,
            url=record.url if full else None,
            config=dict(record.config) if full else None,
            appetite=dict(record.appetite),
            limits=dict(record.limits),
            metadata=dict(record.metadata) if full else None,
            credentials=held,
            version=record.version,
            created_at=record.created_at,
            updated_at=record.updated_at,
            removed_at=record.removed_at,
        )


class ProviderListAnswer(BaseModel):
    """A page of providers."""

    providers: list[ProviderAnswer] = Field(
        description="Registered ones, the newest first, then configured ones."
    )
    next: str | None = Field(
        description="Give it as `after` to get the next page; null on the last one."
    )


class StatusChangeAnswer(BaseModel):
    """A provider's status changed."""

    model_config = shows(examples.STATUS_CHANGE)

    from_status: ProviderStatus = Field(description="What it was.")
    to_status: ProviderStatus = Field(description="What it became.")
    set_by: SetBy = Field(description="`checker`, `lender` or `person`.")
    actor: str | None = Field(description="Who exactly; null where it is not your provider.")
    reason: str = Field(description="Why, as a code.")
    changed_at: datetime = Field(description="When (RFC 3339).")


class StatusHistoryAnswer(BaseModel):
    """How a provider has fared."""

    changes: list[StatusChangeAnswer] = Field(description="The newest first, at most 100.")


class StepAnswer(BaseModel):
    """One step of a trial."""

    step: Literal["resolve", "reach", "authenticate", "status"] = Field(
        description="`resolve` the name, `reach` the address, `authenticate`, ask for the `status`."
    )
    passed: bool = Field(description="Whether it went well.")
    took_ms: int = Field(description="How long it took, in milliseconds.")
    reason: str | None = Field(description="Why it failed, or what is worth knowing, as a code.")


class TrialAnswer(BaseModel):
    """What came of trying a provider; it ends with the first step that fails."""

    passed: bool = Field(description="Whether every step went well.")
    failed_step: str | None = Field(description="The step that failed; null if none did.")
    steps: list[StepAnswer] = Field(description="In order.")


def plain(secrets: dict[str, SecretStr] | None) -> dict[str, str] | None:
    """The secrets themselves, for whoever seals them."""
    if secrets is None:
        return None
    return {name: secret.get_secret_value() for name, secret in secrets.items()}
