"""Requests and answers about webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StringConstraints

from api.schemas.applications import Message, printable
from models.domain.events import Event
from models.domain.webhook import Attempt, Delivery, DeliveryStatus, Webhook, WebhookStatus

DAY_S: Final = 86_400
WEBHOOK_ID: Final = "whk_0199000000007000800000000000000c"
DELIVERY_ID: Final = "dlv_0199000000007000800000000000000d"
_EVENT_ID: Final = "evt_0199000000007000800000000000000e"
_APPLICATION_ID: Final = "app_01990000000070008000000000000001"
_SECRET: Final = "whsec_" + "A" * 43 + "="
_AT: Final = "2026-11-22T20:00:00Z"
_URL: Final = "https://hooks.acme.example/credit"
_TYPES: Final = ["application.funded", "offer.accepted"]

_WEBHOOK: Final[dict[str, Any]] = {
    "webhook_id": WEBHOOK_ID,
    "provider_id": None,
    "url": _URL,
    "event_types": _TYPES,
    "description": "Loans, for our ledger",
    "status": "active",
    "status_reason": None,
    "former_secret_until": None,
    "created_by": "svc_0199000000007000800000000000000a",
    "created_at": _AT,
}
_DELIVERY: Final[dict[str, Any]] = {
    "delivery_id": DELIVERY_ID,
    "webhook_id": WEBHOOK_ID,
    "key": _APPLICATION_ID,
    "event_id": _EVENT_ID,
    "type": "offer.accepted",
    "status": "dead_lettered",
    "attempts": 17,
    "last_status": 503,
    "last_reason": "NOT_ACCEPTED",
    "last_ms": 120,
    "created_at": _AT,
    "settled_at": "2026-11-25T20:00:00Z",
    "owner": "svc_0199000000007000800000000000000a",
}
ANSWERS: Final[dict[str, Any]] = {
    "WebhookAnswer": _WEBHOOK,
    "WebhookListAnswer": {"webhooks": [_WEBHOOK]},
    "NewWebhookAnswer": {**_WEBHOOK, "secret": _SECRET},
    "WebhookTestAnswer": {
        "webhook_id": WEBHOOK_ID,
        "event_id": _EVENT_ID,
        "accepted": False,
        "status": 503,
        "reason": "NOT_ACCEPTED",
        "ms": 120,
    },
    "DeliveryAnswer": _DELIVERY,
    "DeliveryListAnswer": {"deliveries": [_DELIVERY], "next": None},
    "RedeliveredAnswer": {"webhook_id": WEBHOOK_ID, "count": 1},
}


def _reads(example: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [example]})


def _each_once(types: list[str]) -> list[str]:
    if len(set(types)) != len(types):
        raise ValueError("each once")
    return types


WebhookURL = Annotated[
    str, StringConstraints(strict=True, min_length=9, max_length=2_000), AfterValidator(printable)
]
EventType = Annotated[
    str, StringConstraints(strict=True, max_length=64, pattern=r"^[a-z]{1,32}\.[a-z_]{1,31}$")
]
Description = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, max_length=200),
    AfterValidator(printable),
]


class WebhookBody(Message):
    """Where, and of what, to tell."""

    model_config = _reads(
        {"url": _URL, "event_types": _TYPES, "description": "Loans, for our ledger"}
    )

    url: Annotated[
        WebhookURL,
        Field(
            description="An address of the public internet, by https at port 443, without a user's "
            "name in it; redirects are not followed."
        ),
    ]
    event_types: Annotated[
        Annotated[list[EventType], Field(min_length=1, max_length=100), AfterValidator(_each_once)]
        | None,
        Field(description="Which types of events; null: all that your role may see."),
    ] = None
    description: Annotated[
        Description, Field(description="For people: at most 200 characters.")
    ] = ""


class WebhookTestBody(Message):
    """Which webhook to try."""

    model_config = _reads({"webhook_id": WEBHOOK_ID})

    webhook_id: Annotated[
        str,
        StringConstraints(strict=True, pattern=r"^whk_[0-9a-f]{32}$"),
        Field(description="`whk_` and 32 hexadecimal digits."),
    ]


class SecretRotationBody(Message):
    """A new secret takes the old one's place."""

    model_config = _reads({"overlap": DAY_S})

    overlap: Annotated[
        StrictInt,
        Field(
            ge=0,
            le=7 * DAY_S,
            description="Seconds for which the old secret signs, too: up to a week.",
        ),
    ] = DAY_S


class WebhookStatusBody(Message):
    """Whether it is told of events."""

    model_config = _reads({"status": "paused"})

    status: Annotated[
        str,
        StringConstraints(strict=True, pattern=r"^(active|paused)$"),
        Field(
            description="`paused`: events wait; `active`: it is told of all that waited, or from "
            "now on if it was `disabled`."
        ),
    ]


class WebhookAnswer(BaseModel):
    """A webhook, without its secrets."""

    webhook_id: str = Field(description="`whk_` and 32 hexadecimal digits.")
    provider_id: str | None = Field(
        description="The provider whose events it is told of; null: all of your tenant's."
    )
    url: str = Field(description="Where it is told.")
    event_types: list[str] | None = Field(description="Which types; null: all you may see.")
    description: str = Field(description="What it was said to be for.")
    status: WebhookStatus = Field(
        description="`active`; `paused`: events wait; `disabled`: it answered 410 Gone, and events "
        "pass it by until it is resumed; `removed`."
    )
    status_reason: str | None = Field(description="Why it is disabled; else null.")
    former_secret_until: datetime | None = Field(
        description="Until when the secret before this one signs, too; null: it was never rotated."
    )
    created_by: str = Field(description="Who registered it, and looks after what it is not told.")
    created_at: datetime = Field(description="When it was registered (RFC 3339).")

    @classmethod
    def of(cls, webhook: Webhook) -> WebhookAnswer:
        """The webhook as the API shows it."""
        return cls(**_shown(webhook))


class NewWebhookAnswer(WebhookAnswer):
    """A webhook with its secret, which is told once."""

    secret: str = Field(
        description="`whsec_` and base64: what is decoded is the key of the HMAC-SHA256 that signs."
    )

    @classmethod
    def telling(cls, webhook: Webhook, secret: str) -> NewWebhookAnswer:
        """The webhook with the secret that was just made."""
        return cls(**_shown(webhook), secret=secret)


class WebhookListAnswer(BaseModel):
    """Your tenant's webhooks."""

    webhooks: list[WebhookAnswer] = Field(description="The newest first.")


class WebhookTestAnswer(BaseModel):
    """What came back."""

    webhook_id: str = Field(description="The webhook that was tried.")
    event_id: str = Field(description="The test event's id: its `webhook-id`.")
    accepted: bool = Field(description="Whether it answered 2xx.")
    status: int | None = Field(description="The status it answered; null: there was no answer.")
    reason: str | None = Field(
        description="Why it does not count: `NOT_ACCEPTED`, `GONE`, `TIMED_OUT`, `UNREACHABLE` or "
        "`ADDRESS_REFUSED`; null if it was accepted."
    )
    ms: int = Field(description="How long it took, in milliseconds.")

    @classmethod
    def of(cls, webhook_id: str, event: Event, attempt: Attempt) -> WebhookTestAnswer:
        """The attempt as the API shows it."""
        return cls(
            webhook_id=webhook_id,
            event_id=event.event_id,
            accepted=attempt.accepted,
            status=attempt.status,
            reason=attempt.reason,
            ms=attempt.ms,
        )


class DeliveryAnswer(BaseModel):
    """One event for one webhook."""

    delivery_id: str = Field(description="`dlv_` and 32 hexadecimal digits.")
    webhook_id: str = Field(description="The webhook.")
    key: str = Field(description="What the event is about: along it, events are told in order.")
    event_id: str = Field(description="The event's id, and every attempt's `webhook-id`.")
    type: str = Field(description="The event's type.")
    status: DeliveryStatus = Field(
        description="`pending`: it waits for its turn or for another attempt; `delivered`; "
        "`dead_lettered`: it was given up."
    )
    attempts: int = Field(description="How often it was attempted, since it was last redelivered.")
    last_status: int | None = Field(description="The last status answered; null: none was.")
    last_reason: str | None = Field(
        description="Why the last attempt does not count, or `REMOVED`; null if it does."
    )
    last_ms: int | None = Field(description="How long the last attempt took, in milliseconds.")
    created_at: datetime = Field(description="When the event was taken up (RFC 3339).")
    settled_at: datetime | None = Field(
        description="When it was delivered or given up (RFC 3339); null while it is pending."
    )
    owner: str = Field(description="Who registered the webhook, and has to look after it.")

    @classmethod
    def of(cls, delivery: Delivery) -> DeliveryAnswer:
        """The delivery as the API shows it."""
        return cls(**{name: getattr(delivery, name) for name in cls.model_fields})


class DeliveryListAnswer(BaseModel):
    """A page of deliveries."""

    deliveries: list[DeliveryAnswer] = Field(description="The newest first.")
    next: str | None = Field(description="What to name in `after` for the next page; null: none.")


class RedeliveredAnswer(BaseModel):
    """What will be told again."""

    webhook_id: str = Field(description="The webhook.")
    count: int = Field(description="How many dead-lettered deliveries: at most 10,000 at a time.")


def _shown(webhook: Webhook) -> dict[str, Any]:
    types = webhook.event_types
    return {
        "webhook_id": webhook.webhook_id,
        "provider_id": webhook.provider_id,
        "url": webhook.url,
        "event_types": list(types) if types is not None else None,
        "description": webhook.description,
        "status": webhook.status,
        "status_reason": webhook.status_reason,
        "former_secret_until": webhook.former_secret_until,
        "created_by": webhook.created_by,
        "created_at": webhook.created_at,
    }
