"""Providers of credit: whom a tenant borrows from, how they fare, and what admins do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import StringConstraints

from api.auth import Action, Principal
from api.deps import (
    Caller,
    IdempotencyKey,
    StrictRoute,
    Wired,
    answer_once,
    replay,
    write_key,
)
from api.rendering import rendered
from api.schemas.provider_examples import PROVIDER_ID
from api.schemas.providers import (
    CredentialsBody,
    ProviderAnswer,
    ProviderBody,
    ProviderChangeBody,
    ProviderListAnswer,
    StatusChangeAnswer,
    StatusHistoryAnswer,
    StepAnswer,
    TrialAnswer,
    plain,
)
from api.versions import HEADER
from api.versions_changes import VERSIONS
from models.domain.errors import NotFound
from models.domain.ids import is_name
from models.domain.provider import ProviderStatus, ProviderType
from models.domain.provider_record import Change, ProviderRecord, Unacceptable
from models.domain.writes import StoredAnswer

router = APIRouter(prefix="/api/v1/providers", tags=["providers"], route_class=StrictRoute)

PAGE_MAX: Final = 100

ProviderId = Annotated[
    str,
    Path(
        description="`prv_` and 32 hexadecimal digits, or a configured provider's name.",
        examples=[PROVIDER_ID],
    ),
]


@router.get(
    "",
    response_model=ProviderListAnswer,
    summary="List providers",
    response_description="A page of providers.",
)
async def page(
    principal: Caller,
    wired: Wired,
    type: Annotated[
        ProviderType | None, Query(description="Only of this type.", examples=["FINTECH"])
    ] = None,
    status: Annotated[
        ProviderStatus | None, Query(description="Only of this status.", examples=["ACTIVE"])
    ] = None,
    limit: Annotated[
        int, Query(description="How many at most, 1 to 100.", ge=1, le=PAGE_MAX, examples=[50])
    ] = 50,
    after: Annotated[
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-]{0,63}$")] | None,
        Query(description="`next` of the page before.", examples=[PROVIDER_ID]),
    ] = None,
) -> Response:
    """Whom you may borrow from: your tenant's providers, the platform's, and configured ones."""
    principal.require(Action.READ_PROVIDERS)
    tenant_id = principal.tenant_id
    found = await wired.providers.page(
        tenant_id, after=after, limit=limit, type_=type, status=status
    )
    shown = [ProviderAnswer.of(each, tenant_id) for each in found.providers]
    return rendered(ProviderListAnswer(providers=shown, next=found.next_after))


@router.get(
    "/{provider_id}",
    response_model=ProviderAnswer,
    summary="Show a provider",
    response_description="The provider as it stands.",
)
async def show(provider_id: ProviderId, principal: Caller, wired: Wired) -> Response:
    """A provider and how it fares; a removed one stays readable. Never its credentials."""
    principal.require(Action.READ_PROVIDERS)
    _require_form(provider_id)
    record = await wired.providers.find(principal.tenant_id, provider_id)
    return rendered(ProviderAnswer.of(record, principal.tenant_id))


@router.get(
    "/{provider_id}/status-history",
    response_model=StatusHistoryAnswer,
    summary="Show how a provider fared",
    response_description="The changes of its status.",
)
async def status_history(provider_id: ProviderId, principal: Caller, wired: Wired) -> Response:
    """Every change of a provider's status: from what to what, when, why, and by whom."""
    principal.require(Action.READ_PROVIDERS)
    _require_form(provider_id)
    tenant_id = principal.tenant_id
    record = await wired.providers.find(tenant_id, provider_id)
    changes = await wired.providers.history(tenant_id, provider_id)
    full = record.shown_in_full_to(tenant_id)
    shown = [
        StatusChangeAnswer(
            from_status=each.from_status,
            to_status=each.to_status,
            set_by=each.set_by,
            actor=each.actor if full else None,
            reason=each.reason,
            changed_at=each.changed_at,
        )
        for each in changes
    ]
    return rendered(StatusHistoryAnswer(changes=shown))


@router.post(
    "",
    status_code=201,
    response_model=ProviderAnswer,
    summary="Register a provider",
    response_description="The provider, which is asked for offers from now on.",
)
async def register(
    body: ProviderBody, request: Request, principal: Caller, key: IdempotencyKey, wired: Wired
) -> Response:
    """Register a provider of your tenant's; a platform administrator's is every tenant's.

    Its configuration and credentials are checked by its adapter. Without credentials it waits.
    """
    principal.require(Action.MANAGE_PROVIDERS)
    write = await write_key(request, principal, "POST /api/v1/providers", key)
    with _places_told():
        given = await wired.providers.register(
            write, body.adapter, body.to_draft(), _answering(201, principal)
        )
    return replay(given)


@router.put(
    "/{provider_id}",
    response_model=ProviderAnswer,
    summary="Change a provider",
    response_description="The provider as it is now.",
)
async def change(
    provider_id: ProviderId,
    body: ProviderChangeBody,
    request: Request,
    principal: Caller,
    key: IdempotencyKey,
    wired: Wired,
) -> Response:
    """Change a provider as a whole, from the version you have read.

    Credentials are rotated if new ones are given. Loans under way go on: what is replaced ends
    when its last call has.
    """
    principal.require(Action.MANAGE_PROVIDERS)
    _require_form(provider_id)
    write = await write_key(request, principal, f"PUT /api/v1/providers/{provider_id}", key)
    status = ProviderStatus(body.status) if body.status else None
    wanted = Change(body.version, body.to_draft(), status)
    with _places_told():
        given = await wired.providers.change(write, provider_id, wanted, _answering(200, principal))
    return replay(given)


@router.delete(
    "/{provider_id}",
    response_model=ProviderAnswer,
    summary="Remove a provider",
    response_description="The provider as it was, removed.",
)
async def remove(
    provider_id: ProviderId, request: Request, principal: Caller, key: IdempotencyKey, wired: Wired
) -> Response:
    """Ask a provider for no more offers; what it has offered and lent stays on record.

    Not while you have offers of it that are open, or accepted and not yet settled.
    """
    principal.require(Action.MANAGE_PROVIDERS)
    _require_form(provider_id)
    write = await write_key(request, principal, f"DELETE /api/v1/providers/{provider_id}", key)
    return replay(await wired.providers.remove(write, provider_id, _answering(200, principal)))


@router.post(
    "/{provider_id}/credentials",
    response_model=ProviderAnswer,
    summary="Rotate a provider's credentials",
    response_description="The provider as it is now.",
)
async def rotate(
    provider_id: ProviderId,
    body: CredentialsBody,
    request: Request,
    principal: Caller,
    key: IdempotencyKey,
    wired: Wired,
) -> Response:
    """Replace a provider's credentials; in two seconds every process of ours uses the new ones.

    The earlier ones stay usable for calls under way, and are destroyed after an overlap.
    """
    principal.require(Action.MANAGE_PROVIDERS)
    _require_form(provider_id)
    route = f"POST /api/v1/providers/{provider_id}/credentials"
    write = await write_key(request, principal, route, key)
    with _places_told():
        given = await wired.providers.rotate(
            write, provider_id, plain(body.credentials) or {}, _answering(200, principal)
        )
    return replay(given)


@router.post(
    "/{provider_id}/test",
    response_model=TrialAnswer,
    summary="Try a provider",
    response_description="Which steps went well, and which failed.",
)
async def test(
    provider_id: ProviderId, request: Request, principal: Caller, key: IdempotencyKey, wired: Wired
) -> Response:
    """Resolve its name, reach it, authenticate, ask for its status; no quote is asked for.

    It takes 20 seconds at most, and changes nothing but the audit trail.
    """
    principal.require(Action.MANAGE_PROVIDERS)
    _require_form(provider_id)
    write = await write_key(request, principal, f"POST /api/v1/providers/{provider_id}/test", key)

    async def effect() -> dict[str, Any]:
        steps = await wired.providers.test(principal.tenant_id, principal.subject, provider_id)
        failed = next((each.name for each in steps if not each.passed), None)
        shown = [
            StepAnswer.model_validate(
                {
                    "step": each.name,
                    "passed": each.passed,
                    "took_ms": each.took_ms,
                    "reason": each.reason,
                }
            )
            for each in steps
        ]
        return TrialAnswer(passed=failed is None, failed_step=failed, steps=shown).model_dump()

    return await answer_once(wired, write, effect)


@contextmanager
def _places_told() -> Iterator[None]:
    """What an adapter does not accept is told like any wrong field: where and why, not what."""
    try:
        yield
    except Unacceptable as error:
        raise RequestValidationError(
            [{"loc": ("body", *path), "type": reason} for path, reason in error.places]
        ) from None


def _answering(status: int, principal: Principal) -> Callable[[ProviderRecord], StoredAnswer]:
    """The answer to keep, with the provider as this caller may see it."""

    def answer(record: ProviderRecord) -> StoredAnswer:
        body = ProviderAnswer.of(record, principal.tenant_id).model_dump_json().encode()
        headers = {"content-type": "application/json", HEADER: VERSIONS.newest}
        return StoredAnswer(status, headers, body)

    return answer


def _require_form(provider_id: str) -> None:
    if not is_name(provider_id):
        raise NotFound("PROVIDER_UNKNOWN")
