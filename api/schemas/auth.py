"""Requests and answers of signing up, in and out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from api.roles import Role, Scope
from api.schemas.applications import Message, Text, printable

TENANT_FORM: Final = r"^[A-Za-z0-9][A-Za-z0-9._\-]{0,63}$"
EMAIL_FORM: Final = r"^[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,189}$"
Tenant = Annotated[str, StringConstraints(strict=True, pattern=TENANT_FORM)]
Email = Annotated[
    str,
    StringConstraints(strict=True, max_length=254, pattern=EMAIL_FORM),
    AfterValidator(printable),
]
Password = Annotated[SecretStr, Field(min_length=1, max_length=128)]
Secret = Annotated[
    str, StringConstraints(strict=True, min_length=1, max_length=256, pattern=r"^[\x21-\x7e]+$")
]
Scopes = Annotated[list[Scope], Field(min_length=1, max_length=len(Scope))]

EXAMPLE_TENANT: Final = "acme"
EXAMPLE_EMAIL: Final = "ada@example.com"
EXAMPLE_PASSWORD: Final = "heron-lantern-quarry"  # noqa: S105 - an example
EXAMPLE_USER: Final = "usr_01990000000070008000000000000006"
_TOKENS: Final[dict[str, Any]] = {
    "access_token": "eyJhbGciOiJFZDI1NTE5IiwidHlwIjoiYXQrand0In0.e30.AA",
    "token_type": "Bearer",
    "expires_in": 600,
    "refresh_token": f"caas_refresh~acme~ses_01990000000070008000000000000007~{'A' * 43}",
    "refresh_expires_in": 1_209_600,
    "scope": "applications:read applications:write profile:read",
}

TENANT: Final = "Whose customer or staff it is; the tenant's name."


class LoginBody(Message):
    """Somebody signs in."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "tenant": EXAMPLE_TENANT,
                    "email": EXAMPLE_EMAIL,
                    "password": EXAMPLE_PASSWORD,
                }
            ]
        },
    )

    tenant: Annotated[Tenant, Field(description=TENANT)]
    email: Annotated[Email, Field(description="The address the account was made with.")]
    password: Annotated[Password, Field(description="The account's password.")]
    scopes: Annotated[
        Scopes | None,
        Field(description="What the tokens are narrowed to; null: all that the roles allow."),
    ] = None


class RefreshBody(Message):
    """The session's next tokens are asked for."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"refresh_token": _TOKENS["refresh_token"]}]},
    )

    refresh_token: Annotated[
        Secret, Field(description="The latest one; it works once, and names its tenant.")
    ]


class RegisterBody(Message):
    """Somebody makes an account: as an applicant, or as staff with an invitation."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "tenant": EXAMPLE_TENANT,
                    "email": EXAMPLE_EMAIL,
                    "name": "Ada Example",
                    "password": EXAMPLE_PASSWORD,
                }
            ]
        },
    )

    tenant: Annotated[Tenant, Field(description=TENANT)]
    email: Annotated[Email, Field(description="Unique within the tenant; in any spelling of it.")]
    name: Annotated[Text, Field(description="What you want to be called, 1 to 200 characters.")]
    password: Annotated[
        Password,
        Field(
            description="12 to 128 characters, at least 5 different ones, not the e-mail address. "
            "Length is what counts: no kind of character is asked for."
        ),
    ]
    invitation: Annotated[
        Secret | None,
        Field(description="The code of an invitation to this address; null: an applicant."),
    ] = None


class TokensAnswer(BaseModel):
    """Somebody is signed in."""

    model_config = ConfigDict(json_schema_extra={"examples": [_TOKENS]})

    access_token: str = Field(description="A JWT of type `at+jwt` (RFC 9068), for every request.")
    token_type: Literal["Bearer"] = Field(description="How the access token is sent.")
    expires_in: int = Field(description="Seconds until the access token ends.")
    refresh_token: str = Field(
        description="Gets the next tokens, once. Keep it secret: a second use ends the session."
    )
    refresh_expires_in: int = Field(description="Seconds until the refresh token ends.")
    scope: str = Field(description="The scopes of the access token, with spaces between them.")


class RegisteredAnswer(BaseModel):
    """The account is made; nothing of what was said is repeated."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"tenant": EXAMPLE_TENANT, "user_id": EXAMPLE_USER, "roles": ["applicant"]}
            ]
        }
    )

    tenant: str = Field(description="The tenant the account belongs to.")
    user_id: str = Field(description="The subject of the account's tokens.")
    roles: list[Role] = Field(description="What the account may be.")


class ProfileAnswer(BaseModel):
    """Who you are."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "tenant": EXAMPLE_TENANT,
                    "subject": EXAMPLE_USER,
                    "roles": ["applicant"],
                    "scopes": ["applications:read", "applications:write", "profile:read"],
                    "expires_at": "2026-11-22T21:10:00Z",
                    "email": EXAMPLE_EMAIL,
                    "name": "Ada Example",
                }
            ]
        }
    )

    tenant: str = Field(description="The tenant you act within.")
    subject: str = Field(description="The subject of your token, or your service account's id.")
    roles: list[Role] = Field(description="Your roles.")
    scopes: list[Scope] = Field(description="What your roles and your token's scopes allow.")
    expires_at: datetime = Field(description="When what you showed ends (RFC 3339).")
    email: str | None = Field(description="Your address; null for accounts kept elsewhere.")
    name: str | None = Field(description="What you are called; null for accounts kept elsewhere.")


class KeysAnswer(BaseModel):
    """A JWK set (RFC 7517)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "keys": [
                        {
                            "kty": "OKP",
                            "crv": "Ed25519",
                            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                            "use": "sig",
                            "alg": "Ed25519",
                            "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
                        }
                    ]
                }
            ]
        }
    )

    keys: list[dict[str, str]] = Field(
        description="Public keys, those that will sign soon among them."
    )
