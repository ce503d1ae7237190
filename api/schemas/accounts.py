"""Requests and answers about people, programs and their keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt

from api.roles import Role, Scope
from api.schemas.applications import Message, Text
from api.schemas.auth import EXAMPLE_EMAIL, EXAMPLE_USER, Email, Scopes, Tenant
from models.domain.accounts import Account, APIKey, Invitation, ServiceAccount

DAY_S: Final = 86_400
INVITATION_ID: Final = "inv_01990000000070008000000000000008"
SERVICE_ACCOUNT_ID: Final = "svc_01990000000070008000000000000009"
KEY_ID: Final = "key_0199000000007000800000000000000a"
_AT: Final = "2026-11-22T20:00:00Z"
_INVITATION: Final[dict[str, Any]] = {
    "invitation_id": INVITATION_ID,
    "email": EXAMPLE_EMAIL,
    "roles": ["underwriter"],
    "state": "open",
    "invited_by": EXAMPLE_USER,
    "created_at": _AT,
    "expires_at": "2026-11-29T20:00:00Z",
}
_SERVICE_ACCOUNT: Final[dict[str, Any]] = {
    "service_account_id": SERVICE_ACCOUNT_ID,
    "name": "Checkout",
    "roles": ["integrator"],
    "created_by": EXAMPLE_USER,
    "created_at": _AT,
}
_KEY: Final[dict[str, Any]] = {
    "key_id": KEY_ID,
    "shown": f"caas_key~acme~{KEY_ID}",
    "scopes": ["applications:read", "applications:write"],
    "created_at": _AT,
    "expires_at": "2027-11-22T20:00:00Z",
    "revoked_at": None,
    "last_used_at": None,
}
# Of these a field may be null, which the framework leaves out of an example.
EXAMPLES: Final[dict[str, Any]] = {
    "APIKeyAnswer": _KEY,
    "NewAPIKeyAnswer": {**_KEY, "api_key": f"caas_key~acme~{KEY_ID}~{'A' * 43}"},
    "APIKeyListAnswer": {"keys": [_KEY]},
}
_ACCOUNT: Final[dict[str, Any]] = {
    "user_id": EXAMPLE_USER,
    "roles": ["underwriter"],
    "status": "active",
    "created_at": _AT,
}

Roles = Annotated[list[Role], Field(min_length=1, max_length=len(Role))]
Lifetime = Annotated[StrictInt, Field(ge=3_600, le=730 * DAY_S)]


def _whole(value: object) -> object:
    """Zero as a whole number alone: `0.0` and `false` are equal to it, too."""
    if type(value) is not int:
        raise ValueError("not a whole number")
    return value


def _shows(example: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


def _reads(example: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [example]})


class InvitationBody(Message):
    """Somebody is asked to become staff."""

    model_config = _reads({"email": EXAMPLE_EMAIL, "roles": ["underwriter"]})

    email: Annotated[Email, Field(description="Whom it is for: nobody else can use it.")]
    roles: Annotated[
        Roles,
        Field(description="What they will be: staff, never an applicant or an integrator."),
    ]


class ServiceAccountBody(Message):
    """A program gets a name of its own."""

    model_config = _reads({"name": "Checkout", "roles": ["integrator"]})

    name: Annotated[Text, Field(description="For people, 1 to 200 characters.")]
    roles: Annotated[
        Roles,
        Field(description="`integrator`, `provider`, `support` or `auditor`; fixed for good."),
    ]


class APIKeyBody(Message):
    """A new API key."""

    model_config = _reads(
        {"scopes": ["applications:read", "applications:write"], "expires_in": 365 * DAY_S}
    )

    scopes: Annotated[
        Scopes | None,
        Field(description="What the key is narrowed to; null: all that the roles allow."),
    ] = None
    expires_in: Annotated[
        Lifetime, Field(description="Seconds until it ends: an hour to two years.")
    ] = 365 * DAY_S


class RotationBody(Message):
    """A key takes another's place."""

    model_config = _reads({"overlap": DAY_S, "expires_in": 365 * DAY_S})

    overlap: Annotated[
        Annotated[Literal[0], BeforeValidator(_whole)]
        | Annotated[StrictInt, Field(ge=120, le=30 * DAY_S)],
        Field(
            description="Seconds for which the old key stays good: 0, or two minutes to 30 days."
        ),
    ] = DAY_S
    expires_in: Annotated[
        Lifetime, Field(description="Seconds until the new key ends: an hour to two years.")
    ] = 365 * DAY_S


class StatusBody(Message):
    """An account is suspended, or let in again."""

    model_config = _reads({"status": "suspended", "reason": "Left the company."})

    status: Annotated[
        Literal["active", "suspended"],
        Field(description="`suspended` ends every session at once."),
    ]
    reason: Annotated[Text, Field(description="Why, for the audit trail: 1 to 200 characters.")]


class TenantBody(Message):
    """A tenant's people sign in here from now on."""

    model_config = _reads(
        {"tenant": "acme", "registration_open": True, "admin_email": EXAMPLE_EMAIL}
    )

    tenant: Annotated[Tenant, Field(description="The tenant's name, which stays.")]
    registration_open: Annotated[
        StrictBool, Field(description="Whether applicants may make accounts by themselves.")
    ]
    admin_email: Annotated[Email, Field(description="Who is invited as the first administrator.")]


class InvitationAnswer(BaseModel):
    """An invitation, without its code."""

    model_config = _shows(_INVITATION)

    invitation_id: str = Field(description="`inv_` and 32 hexadecimal digits.")
    email: str | None = Field(description="Whom it is for; null once it was answered.")
    roles: list[Role] = Field(description="What they will be.")
    state: str = Field(description="`open`, `accepted`, `revoked` or `expired`.")
    invited_by: str = Field(description="The subject of who invited them.")
    created_at: datetime = Field(description="When (RFC 3339).")
    expires_at: datetime = Field(description="Until when it may be accepted (RFC 3339).")

    @classmethod
    def of(cls, invitation: Invitation) -> InvitationAnswer:
        """The invitation as the API shows it."""
        return cls(
            invitation_id=invitation.invitation_id,
            email=invitation.email,
            roles=[Role(each) for each in invitation.roles],
            state=invitation.state,
            invited_by=invitation.invited_by,
            created_at=invitation.created_at,
            expires_at=invitation.expires_at,
        )


class InvitedAnswer(InvitationAnswer):
    """A new invitation, with its code."""

    model_config = _shows({**_INVITATION, "code": f"caas_invite~acme~{INVITATION_ID}~{'A' * 43}"})

    code: str = Field(description="Give it to them: `POST /auth/register` takes it. Told once.")


class InvitationListAnswer(BaseModel):
    """Invitations, the newest first."""

    model_config = _shows({"invitations": [_INVITATION]})

    invitations: list[InvitationAnswer] = Field(description="The newest first, at most 100.")


class ServiceAccountAnswer(BaseModel):
    """A program that calls the API by its own name."""

    model_config = _shows(_SERVICE_ACCOUNT)

    service_account_id: str = Field(description="`svc_` and 32 hexadecimal digits; its subject.")
    name: str = Field(description="For people.")
    roles: list[Role] = Field(description="What it may be.")
    created_by: str = Field(description="The subject of who made it.")
    created_at: datetime = Field(description="When (RFC 3339).")

    @classmethod
    def of(cls, account: ServiceAccount) -> ServiceAccountAnswer:
        """The account as the API shows it."""
        return cls(
            service_account_id=account.service_account_id,
            name=account.name,
            roles=[Role(each) for each in account.roles],
            created_by=account.created_by,
            created_at=account.created_at,
        )


class ServiceAccountListAnswer(BaseModel):
    """Service accounts, the newest first."""

    model_config = _shows({"service_accounts": [_SERVICE_ACCOUNT]})

    service_accounts: list[ServiceAccountAnswer] = Field(
        description="The newest first, at most 100."
    )


class APIKeyAnswer(BaseModel):
    """An API key, without its secret."""

    key_id: str = Field(description="`key_` and 32 hexadecimal digits.")
    shown: str = Field(description="What the key begins with: all of it that is not secret.")
    scopes: list[Scope] | None = Field(description="What it is narrowed to; null: nothing.")
    created_at: datetime = Field(description="When it was made (RFC 3339).")
    expires_at: datetime = Field(description="When it ends (RFC 3339).")
    revoked_at: datetime | None = Field(description="When it was revoked (RFC 3339).")
    last_used_at: datetime | None = Field(
        description="When it was last used (RFC 3339), right to about two minutes."
    )

    @classmethod
    def of(cls, key: APIKey) -> APIKeyAnswer:
        """The key as the API shows it."""
        return cls(
            key_id=key.key_id,
            shown=key.shown,
            scopes=None if key.scopes is None else [Scope(each) for each in key.scopes],
            created_at=key.created_at,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
            last_used_at=key.last_used_at,
        )


class NewAPIKeyAnswer(APIKeyAnswer):
    """A new API key, with its secret."""

    api_key: str = Field(description="Send it as `Authorization: Bearer …`. Told once.")


class APIKeyListAnswer(BaseModel):
    """A service account's keys, the newest first."""

    keys: list[APIKeyAnswer] = Field(description="The newest first, at most 100.")


class AccountAnswer(BaseModel):
    """Somebody who may sign in; who they are is theirs alone."""

    model_config = _shows(_ACCOUNT)

    user_id: str = Field(description="`usr_` and 32 hexadecimal digits; the tokens' subject.")
    roles: list[Role] = Field(description="What they may be.")
    status: str = Field(description="`active` or `suspended`.")
    created_at: datetime = Field(description="Since when (RFC 3339).")

    @classmethod
    def of(cls, account: Account) -> AccountAnswer:
        """The account as the API shows it."""
        return cls(
            user_id=account.user_id,
            roles=[Role(each) for each in account.roles],
            status=account.status,
            created_at=account.created_at,
        )


class AccountListAnswer(BaseModel):
    """Accounts, the newest first."""

    model_config = _shows({"accounts": [_ACCOUNT]})

    accounts: list[AccountAnswer] = Field(description="The newest first, at most 100.")
