"""Webhooks: who is told of events, what they were told, and what about what they were not."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, StringConstraints

from api.auth import Action, Principal
from api.deps import (
    Caller,
    IdempotencyKey,
    Services,
    StrictRoute,
    Wired,
    answer_once,
    replay,
    write_key,
)
from api.schemas.provider_examples import PROVIDER_ID
from api.schemas.webhooks import (
    DELIVERY_ID,
    WEBHOOK_ID,
    DeliveryAnswer,
    DeliveryListAnswer,
    NewWebhookAnswer,
    RedeliveredAnswer,
    SecretRotationBody,
    WebhookAnswer,
    WebhookBody,
    WebhookListAnswer,
    WebhookStatusBody,
    WebhookTestAnswer,
    WebhookTestBody,
)
from api.versions import HEADER
from api.versions_changes import VERSIONS
from models.domain.errors import NotFound
from models.domain.ids import is_id, is_name
from models.domain.webhook import Delivery, DeliveryStatus, NewWebhook, Webhook, WebhookView
from models.domain.writes import StoredAnswer

router = APIRouter(prefix="/api/v1/webhooks", tags=["webhooks"], route_class=StrictRoute)

PAGE_MAX: Final = 100

WebhookId = Annotated[
    str,
    Path(alias="id", description="`whk_` and 32 hexadecimal digits.", examples=[WEBHOOK_ID]),
]
ProviderId = Annotated[
    str,
    Path(
        alias="id",
        description="The provider's id: `prv_…`, or a configured provider's name.",
        examples=[PROVIDER_ID],
    ),
]
DeliveryId = Annotated[
    str, Path(description="`dlv_` and 32 hexadecimal digits.", examples=[DELIVERY_ID])
]


@router.get(
    "",
    response_model=WebhookListAnswer,
    summary="List webhooks",
    response_description="The webhooks.",
)
async def webhooks(principal: Caller, wired: Wired) -> WebhookListAnswer:
    """Your tenant's webhooks, the newest first; their secrets are never shown again."""
    principal.require(Action.READ_WEBHOOKS)
    found = await wired.webhooks.records.all(principal.tenant_id, _views(principal))
    return WebhookListAnswer(webhooks=[WebhookAnswer.of(each) for each in found])


@router.post(
    "",
    status_code=201,
    response_model=NewWebhookAnswer,
    summary="Register a webhook",
    response_description="The webhook with its secret.",
)
async def register(
    body: WebhookBody, request: Request, principal: Caller, key: IdempotencyKey, wired: Wired
) -> Response:
    """Have an address told of your tenant's events from now on, as far as you may see them.

    Each is a POST signed by the Standard Webhooks specification, whose body is the event; answer
    2xx within 15 seconds. The secret is told in this answer alone.
    """
    principal.require(Action.MANAGE_WEBHOOKS)
    return await _register(body, request, principal, key, wired, "", None)


@router.post(
    "/test",
    response_model=WebhookTestAnswer,
    summary="Test a webhook",
    response_description="What came back.",
)
async def test(
    body: WebhookTestBody, request: Request, principal: Caller, key: IdempotencyKey, wired: Wired
) -> Response:
    """Send a test event (`webhook.test`) to a webhook of yours, now, and tell what came back."""
    principal.require(Action.MANAGE_WEBHOOKS)
    write = await write_key(request, principal, "POST /api/v1/webhooks/test", key)
    views = _views(principal)

    async def effect() -> dict[str, Any]:
        event, attempt = await wired.webhooks.test(write, body.webhook_id, views)
        return WebhookTestAnswer.of(body.webhook_id, event, attempt).model_dump()

    return await answer_once(wired, write, effect)


@router.post(
    "/{id}",
    status_code=201,
    response_model=NewWebhookAnswer,
    summary="Register a webhook for a provider's events",
    response_description="The webhook with its secret.",
)
async def register_for_provider(
    provider_id: ProviderId, body: WebhookBody, request: Request, principal: Caller,
    key: IdempotencyKey, wired: Wired,
) -> Response:  # fmt: skip
    """As `POST /api/v1/webhooks`, for what concerns one provider: its offers and its status.

    The id is the provider's. `GET` and `DELETE` of the same path take a webhook's.
    """
    principal.require(Action.MANAGE_WEBHOOKS)
    if not is_name(provider_id):
        raise NotFound("PROVIDER_UNKNOWN")
    await wired.providers.find(principal.tenant_id, provider_id)
    return await _register(body, request, principal, key, wired, f"/{provider_id}", provider_id)


@router.get(
    "/{id}",
    response_model=WebhookAnswer,
    summary="Show a webhook",
    response_description="The webhook.",
)
async def show(webhook_id: WebhookId, principal: Caller, wired: Wired) -> WebhookAnswer:
    """A webhook, removed ones among them, without its secrets."""
    principal.require(Action.READ_WEBHOOKS)
    _refuse_other_than(webhook_id, "whk")
    records = wired.webhooks.records
    return WebhookAnswer.of(await records.one(principal.tenant_id, webhook_id, _views(principal)))


@router.delete(
    "/{id}",
    response_model=WebhookAnswer,
    summary="Remove a webhook",
    response_description="The webhook as it was.",
)
async def remove(
    webhook_id: WebhookId, request: Request, principal: Caller, key: IdempotencyKey, wired: Wired
) -> Response:
    """Tell it of nothing any more. Its secrets are destroyed; what waited is dead-lettered."""
    principal.require(Action.MANAGE_WEBHOOKS)
    _refuse_other_than(webhook_id, "whk")
    write = await write_key(request, principal, f"DELETE /api/v1/webhooks/{webhook_id}", key)
    records = wired.webhooks.records
    return replay(await records.remove(write, webhook_id, _views(principal), _shown))


@router.post(
    "/{id}/rotation",
    response_model=NewWebhookAnswer,
    summary="Rotate a webhook's secret",
    response_description="The webhook with its new secret.",
)
async def rotate(
    webhook_id: WebhookId, body: SecretRotationBody, request: Request, principal: Caller,
    key: IdempotencyKey, wired: Wired,
) -> Response:  # fmt: skip
    """Make a new secret. For the overlap you name, each message bears both secrets' signatures."""
    principal.require(Action.MANAGE_WEBHOOKS)
    _refuse_other_than(webhook_id, "whk")
    route = f"POST /api/v1/webhooks/{webhook_id}/rotation"
    write = await write_key(request, principal, route, key)
    overlap = timedelta(seconds=body.overlap)

    def answer(webhook: Webhook, secret: str) -> StoredAnswer:
        return _answer(200, NewWebhookAnswer.telling(webhook, secret))

    records = wired.webhooks.records
    return replay(await records.rotate(write, webhook_id, _views(principal), overlap, answer))


@router.post(
    "/{id}/status",
    response_model=WebhookAnswer,
    summary="Pause a webhook, or resume it",
    response_description="The webhook as it is now.",
)
async def set_status(
    webhook_id: WebhookId, body: WebhookStatusBody, request: Request, principal: Caller,
    key: IdempotencyKey, wired: Wired,
) -> Response:  # fmt: skip
    """Let events wait, or tell of them again, in their order."""
    principal.require(Action.MANAGE_WEBHOOKS)
    _refuse_other_than(webhook_id, "whk")
    route = f"POST /api/v1/webhooks/{webhook_id}/status"
    write = await write_key(request, principal, route, key)
    records = wired.webhooks.records
    change = records.pause if body.status == "paused" else records.resume
    return replay(await change(write, webhook_id, _views(principal), _shown))


@router.get(
    "/{id}/deliveries",
    response_model=DeliveryListAnswer,
    summary="List a webhook's deliveries",
    response_description="A page of deliveries.",
)
async def deliveries(
    webhook_id: WebhookId,
    principal: Caller,
    wired: Wired,
    status: Annotated[
        DeliveryStatus | None,
        Query(description="Only of this status.", examples=["dead_lettered"]),
    ] = None,
    limit: Annotated[
        int, Query(description="How many at most, 1 to 100.", ge=1, le=PAGE_MAX, examples=[50])
    ] = 50,
    after: Annotated[
        Annotated[str, StringConstraints(pattern=r"^dlv_[0-9a-f]{32}$")] | None,
        Query(description="`next` of the page before.", examples=[DELIVERY_ID]),
    ] = None,
) -> DeliveryListAnswer:
    """What a webhook was told, and was not, the newest first; `dead_lettered` needs somebody."""
    principal.require(Action.READ_WEBHOOKS)
    _refuse_other_than(webhook_id, "whk")
    found = await wired.webhooks.deliveries.page(
        principal.tenant_id, webhook_id, _views(principal), status, after, limit + 1
    )
    return DeliveryListAnswer(
        deliveries=[DeliveryAnswer.of(each) for each in found[:limit]],
        next=found[limit - 1].delivery_id if len(found) > limit else None,
    )


@router.post(
    "/{id}/deliveries/{delivery_id}/redelivery",
    response_model=DeliveryAnswer,
    summary="Deliver an event again",
    response_description="The delivery as it is now.",
)
async def redeliver(
    webhook_id: WebhookId, delivery_id: DeliveryId, request: Request, principal: Caller,
    key: IdempotencyKey, wired: Wired,
) -> Response:  # fmt: skip
    """Tell of an event again, under the same id, whatever became of it before."""
    principal.require(Action.MANAGE_WEBHOOKS)
    _refuse_other_than(webhook_id, "whk")
    _refuse_other_than(delivery_id, "dlv")
    route = f"POST /api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redelivery"
    write = await write_key(request, principal, route, key)

    def answer(delivery: Delivery) -> StoredAnswer:
        return _answer(200, DeliveryAnswer.of(delivery))

    records = wired.webhooks.deliveries
    return replay(
        await records.redeliver(write, webhook_id, delivery_id, _views(principal), answer)
    )


@router.post(
    "/{id}/redelivery",
    response_model=RedeliveredAnswer,
    summary="Deliver again all that was dead-lettered",
    response_description="How many will be told again.",
)
async def redeliver_all(
    webhook_id: WebhookId, request: Request, principal: Caller, key: IdempotencyKey, wired: Wired
) -> Response:
    """Tell again of all that was given up, in order along each key, under the same ids."""
    principal.require(Action.MANAGE_WEBHOOKS)
    _refuse_other_than(webhook_id, "whk")
    route = f"POST /api/v1/webhooks/{webhook_id}/redelivery"
    write = await write_key(request, principal, route, key)

    def answer(count: int) -> StoredAnswer:
        return _answer(200, RedeliveredAnswer(webhook_id=webhook_id, count=count))

    records = wired.webhooks.deliveries
    return replay(await records.redeliver_all(write, webhook_id, _views(principal), answer))


async def _register(
    body: WebhookBody, request: Request, principal: Principal, key: str, wired: Services,
    path: str, provider_id: str | None,
) -> Response:  # fmt: skip
    write = await write_key(request, principal, f"POST /api/v1/webhooks{path}", key)
    types = body.event_types
    whole = WebhookView.WHOLE in _views(principal)
    view = WebhookView.WHOLE if whole else WebhookView.APPLICANT
    _require_told(types or [], view)
    asked = NewWebhook(
        body.url, tuple(types) if types is not None else None, body.description, provider_id, view
    )

    def answer(webhook: Webhook, secret: str) -> StoredAnswer:
        return _answer(201, NewWebhookAnswer.telling(webhook, secret))

    return replay(await wired.webhooks.register(write, asked, answer))


def _require_told(types: list[str], view: WebhookView) -> None:
    """A type that is misspelt, or not for this role, would be waited for in vain."""
    places = [place for place, each in enumerate(types) if each not in view.types]
    if places:
        raise RequestValidationError(
            [{"loc": ("body", "event_types", each), "type": "never_told"} for each in places]
        )


def _views(principal: Principal) -> frozenset[WebhookView]:
    """Which webhooks the caller may see: as with live updates, whoever reads reviews sees all."""
    if principal.may(Action.READ_REVIEWS):
        return frozenset(WebhookView)
    return frozenset({WebhookView.APPLICANT})


def _shown(webhook: Webhook) -> StoredAnswer:
    return _answer(200, WebhookAnswer.of(webhook))


def _answer(status: int, document: BaseModel) -> StoredAnswer:
    body = document.model_dump_json().encode()
    headers = {"content-type": "application/json", HEADER: VERSIONS.newest}
    return StoredAnswer(status, headers, body)


def _refuse_other_than(named: str, prefix: str) -> None:
    if not is_id(named, prefix):
        raise NotFound("UNKNOWN")
