"""People, programs and their keys: what a tenant's administrator looks after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from pydantic import BaseModel

from api.auth import Action, Principal, Role
from api.deps import Caller, IdempotencyKey, StrictRoute, Wired, replay, write_key
from api.roles import EMPLOYABLE, INVITABLE
from api.schemas.accounts import (
    INVITATION_ID,
    KEY_ID,
    SERVICE_ACCOUNT_ID,
    AccountAnswer,
    AccountListAnswer,
    APIKeyAnswer,
    APIKeyBody,
    APIKeyListAnswer,
    InvitationAnswer,
    InvitationBody,
    InvitationListAnswer,
    InvitedAnswer,
    NewAPIKeyAnswer,
    RotationBody,
    ServiceAccountAnswer,
    ServiceAccountBody,
    ServiceAccountListAnswer,
    StatusBody,
    TenantBody,
)
from api.schemas.auth import EXAMPLE_USER
from models.domain.accounts import Account, AccountStatus, APIKey, Invitation, ServiceAccount
from models.domain.credentials import Credential
from models.domain.errors import Conflict, Invalid, NotFound
from models.domain.ids import PLATFORM, is_id
from models.domain.writes import StoredAnswer, WriteKey

router = APIRouter(prefix="/api/v1", tags=["accounts"], route_class=StrictRoute)

PAGE: Final = 100

UserId = Annotated[
    str, Path(description="`usr_` and 32 hexadecimal digits.", examples=[EXAMPLE_USER])
]
InvitationId = Annotated[
    str, Path(description="`inv_` and 32 hexadecimal digits.", examples=[INVITATION_ID])
]
ServiceAccountId = Annotated[
    str, Path(description="`svc_` and 32 hexadecimal digits.", examples=[SERVICE_ACCOUNT_ID])
]
KeyId = Annotated[str, Path(description="`key_` and 32 hexadecimal digits.", examples=[KEY_ID])]


@router.post(
    "/tenants",
    status_code=201,
    response_model=InvitedAnswer,
    summary="Open a tenant",
    response_description="The tenant is open, and its first administrator invited.",
)
async def open_tenant(
    body: TenantBody, request: Request, principal: Caller, key: IdempotencyKey, wired: Wired
) -> Response:
    """Let a tenant's people sign in here, and invite its first administrator.

    For the platform's own administrators. Opening a tenant again changes whether registration is
    open, and invites another administrator.
    """
    principal.require(Action.OPEN_TENANT)
    if body.tenant == PLATFORM:
        raise Conflict("TENANT_RESERVED")
    identity = wired.identity
    asked = await write_key(request, principal, "POST /api/v1/tenants", key)
    await identity.accounts.open_tenant(
        body.tenant, principal.subject, registration_open=body.registration_open
    )
    # The invitation is the tenant's, and so is the record of this write.
    write = WriteKey(body.tenant, asked.subject, asked.route, asked.key, asked.body_sha256)
    return await _invite(wired, write, body.admin_email, [Role.TENANT_ADMIN])


@router.get(
    "/accounts",
    response_model=AccountListAnswer,
    summary="List who may sign in",
    response_description="The accounts.",
)
async def accounts(principal: Caller, wired: Wired) -> AccountListAnswer:
    """Your tenant's accounts that sign in here, the newest first, at most 100; nobody's name."""
    principal.require(Action.READ_ACCOUNTS)
    found = await wired.identity.accounts.accounts(principal.tenant_id, PAGE)
    return AccountListAnswer(accounts=[AccountAnswer.of(each) for each in found])


@router.post(
    "/accounts/{user_id}/status",
    response_model=AccountAnswer,
    summary="Suspend an account, or let it in again",
    response_description="The account as it is now.",
)
async def set_account_status(
    user_id: UserId, body: StatusBody, request: Request, principal: Caller, key: IdempotencyKey,
    wired: Wired,
) -> Response:  # fmt: skip
    """Suspend an account, which ends its sessions, or let it in again; never your own."""
    principal.require(Action.MANAGE_ACCOUNTS)
    _refuse_other_than(user_id, "usr")
    if user_id == principal.subject:
        raise Conflict("OWN_ACCOUNT")
    write = await write_key(request, principal, f"POST /api/v1/accounts/{user_id}/status", key)
    identity, access = wired.identity, wired.identity.options.lifetimes.access

    def answer(account: Account) -> StoredAnswer:
        return _answer(200, AccountAnswer.of(account))

    given, ended = await identity.accounts.set_status(
        write, user_id, AccountStatus(body.status), body.reason, access, answer
    )
    identity.forget(ended)
    return replay(given)


@router.get(
    "/invitations",
    response_model=InvitationListAnswer,
    summary="List invitations",
    response_description="The invitations.",
)
async def invitations(principal: Caller, wired: Wired) -> InvitationListAnswer:
    """Your tenant's invitations, the newest first, at most 100."""
    principal.require(Action.READ_ACCOUNTS)
    found = await wired.identity.invitations.all(principal.tenant_id, PAGE)
    return InvitationListAnswer(invitations=[InvitationAnswer.of(each) for each in found])


@router.post(
    "/invitations",
    status_code=201,
    response_model=InvitedAnswer,
    summary="Invite a member of staff",
    response_description="The invitation with its code.",
)
async def invite(
    body: InvitationBody, request: Request, principal: Caller, key: IdempotencyKey, wired: Wired
) -> Response:
    """Invite somebody to become staff of your tenant; they accept by `POST /auth/register`."""
    principal.require(Action.MANAGE_ACCOUNTS)
    _refuse_ungrantable(principal, body.roles, INVITABLE)
    write = await write_key(request, principal, "POST /api/v1/invitations", key)
    return await _invite(wired, write, body.email, body.roles)


@router.post(
    "/invitations/{invitation_id}/revocation",
    response_model=InvitationAnswer,
    summary="Take an invitation back",
    response_description="The invitation as it is now.",
)
async def revoke_invitation(
    invitation_id: InvitationId, request: Request, principal: Caller, key: IdempotencyKey,
    wired: Wired,
) -> Response:  # fmt: skip
    """Take back an invitation that nobody has accepted."""
    principal.require(Action.MANAGE_ACCOUNTS)
    _refuse_other_than(invitation_id, "inv")
    route = f"POST /api/v1/invitations/{invitation_id}/revocation"
    write = await write_key(request, principal, route, key)

    def answer(invitation: Invitation) -> StoredAnswer:
        return _answer(200, InvitationAnswer.of(invitation))

    return replay(await wired.identity.invitations.revoke(write, invitation_id, answer))


@router.get(
    "/service-accounts",
    response_model=ServiceAccountListAnswer,
    summary="List service accounts",
    response_description="The service accounts.",
)
async def service_accounts(principal: Caller, wired: Wired) -> ServiceAccountListAnswer:
    """Your tenant's service accounts, the newest first, at most 100."""
    principal.require(Action.READ_ACCOUNTS)
    found = await wired.identity.service_accounts.all(principal.tenant_id, PAGE)
    return ServiceAccountListAnswer(
        service_accounts=[ServiceAccountAnswer.of(each) for each in found]
    )


@router.post(
    "/service-accounts",
    status_code=201,
    response_model=ServiceAccountAnswer,
    summary="Make a service account",
    response_description="The service account.",
)
async def create_service_account(
    body: ServiceAccountBody, request: Request, principal: Caller, key: IdempotencyKey,
    wired: Wired,
) -> Response:  # fmt: skip
    """Give a program a name of its own, and roles; it signs in with API keys."""
    principal.require(Action.MANAGE_ACCOUNTS)
    _refuse_ungrantable(principal, body.roles, EMPLOYABLE)
    write = await write_key(request, principal, "POST /api/v1/service-accounts", key)

    def answer(account: ServiceAccount) -> StoredAnswer:
        return _answer(201, ServiceAccountAnswer.of(account))

    records = wired.identity.service_accounts
    return replay(await records.create(write, body.name, body.roles, answer))


@router.get(
    "/service-accounts/{service_account_id}/keys",
    response_model=APIKeyListAnswer,
    summary="List API keys",
    response_description="The keys, without their secrets.",
)
async def api_keys(
    service_account_id: ServiceAccountId, principal: Caller, wired: Wired
) -> APIKeyListAnswer:
    """A service account's keys, those that ended among them, the newest first, at most 100."""
    principal.require(Action.READ_ACCOUNTS)
    _refuse_other_than(service_account_id, "svc")
    records = wired.identity.service_accounts
    found = await records.keys(principal.tenant_id, service_account_id)
    return APIKeyListAnswer(keys=[APIKeyAnswer.of(each) for each in found])


@router.post(
    "/service-accounts/{service_account_id}/keys",
    status_code=201,
    response_model=NewAPIKeyAnswer,
    summary="Make an API key",
    response_description="The key with its secret.",
)
async def create_api_key(
    service_account_id: ServiceAccountId, body: APIKeyBody, request: Request, principal: Caller,
    key: IdempotencyKey, wired: Wired,
) -> Response:  # fmt: skip
    """Make an API key; at most ten of an account are good at a time."""
    principal.require(Action.MANAGE_ACCOUNTS)
    _refuse_other_than(service_account_id, "svc")
    route = f"POST /api/v1/service-accounts/{service_account_id}/keys"
    write = await write_key(request, principal, route, key)
    return replay(
        await wired.identity.service_accounts.create_key(
            write, service_account_id, body.scopes, timedelta(seconds=body.expires_in), _with_secret
        )
    )


@router.post(
    "/service-accounts/{service_account_id}/keys/{key_id}/rotation",
    status_code=201,
    response_model=NewAPIKeyAnswer,
    summary="Rotate an API key",
    response_description="The new key with its secret.",
)
async def rotate_api_key(
    service_account_id: ServiceAccountId, key_id: KeyId, body: RotationBody, request: Request,
    principal: Caller, key: IdempotencyKey, wired: Wired,
) -> Response:  # fmt: skip
    """Make a key that takes another's place; the old one stays good for the overlap you name."""
    principal.require(Action.MANAGE_ACCOUNTS)
    _refuse_other_than(service_account_id, "svc")
    _refuse_other_than(key_id, "key")
    route = f"POST /api/v1/service-accounts/{service_account_id}/keys/{key_id}/rotation"
    write = await write_key(request, principal, route, key)
    given, revoked_until = await wired.identity.service_accounts.rotate_key(
        write, service_account_id, key_id, timedelta(seconds=body.expires_in),
        timedelta(seconds=body.overlap), _with_secret,
    )  # fmt: skip
    if revoked_until is not None:
        wired.identity.revocations.add(key_id, until=revoked_until)
    return replay(given)


@router.post(
    "/service-accounts/{service_account_id}/keys/{key_id}/revocation",
    response_model=APIKeyAnswer,
    summary="Revoke an API key",
    response_description="The key as it is now.",
)
async def revoke_api_key(
    service_account_id: ServiceAccountId, key_id: KeyId, request: Request, principal: Caller,
    key: IdempotencyKey, wired: Wired,
) -> Response:  # fmt: skip
    """End a key: here at once, in every process of ours within two seconds."""
    principal.require(Action.MANAGE_ACCOUNTS)
    _refuse_other_than(service_account_id, "svc")
    _refuse_other_than(key_id, "key")
    route = f"POST /api/v1/service-accounts/{service_account_id}/keys/{key_id}/revocation"
    write = await write_key(request, principal, route, key)

    def answer(revoked: APIKey) -> StoredAnswer:
        return _answer(200, APIKeyAnswer.of(revoked))

    given, revoked_until = await wired.identity.service_accounts.revoke_key(
        write, service_account_id, key_id, answer
    )
    if revoked_until is not None:
        wired.identity.revocations.add(key_id, until=revoked_until)
    return replay(given)


async def _invite(wired: Wired, write: WriteKey, email: str, roles: Sequence[Role]) -> Response:
    identity = wired.identity

    def answer(invitation: Invitation, code: Credential) -> StoredAnswer:
        shown = InvitationAnswer.of(invitation).model_dump()
        return _answer(201, InvitedAnswer(**shown, code=code.text))

    index = identity.login_index(write.tenant_id, email)
    lasts = identity.options.invitation
    return replay(await identity.invitations.invite(write, email, roles, lasts, index, answer))


def _with_secret(key: APIKey, secret: Credential) -> StoredAnswer:
    shown = APIKeyAnswer.of(key).model_dump()
    return _answer(201, NewAPIKeyAnswer(**shown, api_key=secret.text))


def _answer(status: int, document: BaseModel) -> StoredAnswer:
    body = document.model_dump_json().encode()
    return StoredAnswer(status, {"content-type": "application/json"}, body)


def _refuse_other_than(named: str, prefix: str) -> None:
    if not is_id(named, prefix):
        raise NotFound("UNKNOWN")


def _refuse_ungrantable(
    principal: Principal, roles: Sequence[Role], grants: Mapping[Role, frozenset[Role]]
) -> None:
    """Nobody hands out more than their own role may."""
    may = frozenset[Role]().union(*(grants.get(role, ()) for role in principal.roles))
    if not may.issuperset(roles):
        raise Invalid("ROLE_NOT_YOURS_TO_GIVE")
