"""Signing up, in and out, and the keys that prove our tokens."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.auth import Action, Role, Scope
from api.deps import Caller, IdempotencyKey, StrictRoute, Wired, replay
from api.errors import Problem
from api.rate_limits import charge_account
from api.roles import scopes_of
from api.schemas.auth import (
    KeysAnswer,
    LoginBody,
    ProfileAnswer,
    RefreshBody,
    RegisterBody,
    RegisteredAnswer,
    TokensAnswer,
)
from models.domain.accounts import Account, Profile, SignInRefused, SignUp, Tokens
from models.domain.errors import NotFound
from models.domain.writes import StoredAnswer, WriteKey

router = APIRouter(tags=["auth"], route_class=StrictRoute)

# Whoever registers has no name yet: their keys are told apart by tenant and body.
NOBODY = "nobody"


@router.post(
    "/auth/register",
    status_code=201,
    response_model=RegisteredAnswer,
    summary="Make an account",
    response_description="The account is made.",
)
async def register(
    body: RegisterBody, request: Request, key: IdempotencyKey, wired: Wired
) -> Response:
    """Make an account: an applicant's, or with an invitation the account of a member of staff."""
    digest = wired.identity.body_digest(body.tenant, await request.body())
    write = WriteKey(body.tenant, NOBODY, "POST /auth/register", key, digest)
    profile = Profile(body.email, body.name)
    sign_up = SignUp(body.tenant, profile, body.password.get_secret_value(), body.invitation)

    def answer(account: Account) -> StoredAnswer:
        made = RegisteredAnswer(
            tenant=account.tenant_id,
            user_id=account.user_id,
            roles=[Role(each) for each in account.roles],
        )
        return StoredAnswer(
            201, {"content-type": "application/json"}, orjson.dumps(made.model_dump())
        )

    return replay(await wired.identity.sign_in.register(write, sign_up, answer))


@router.post(
    "/auth/login",
    response_model=TokensAnswer,
    summary="Sign in",
    response_description="Signed in.",
)
async def login(body: LoginBody, request: Request, wired: Wired) -> TokensAnswer:
    """Sign in with address and password, for an access token and a refresh token.

    Whatever is wrong, the answer is the same, after the same work. After five attempts in a row
    with one address the next one has to wait (429), for 15 seconds first and a quarter of an hour
    at most, whether or not anybody has that address. Takes no `Idempotency-Key`: a repetition
    opens another session.
    """
    await charge_account(request.scope, body.tenant, body.email)
    scopes = None if body.scopes is None else [scope.value for scope in body.scopes]
    password = body.password.get_secret_value()
    return _tokens(await wired.identity.sign_in.login(body.tenant, body.email, password, scopes))


@router.post(
    "/auth/refresh",
    response_model=TokensAnswer,
    summary="Get the next tokens",
    response_description="The session's next tokens.",
)
async def refresh(body: RefreshBody, wired: Wired) -> TokensAnswer:
    """Exchange a refresh token for new tokens.

    Each refresh token works once. When one comes a second time, somebody else has it, too: the
    session ends, and all its tokens with it. Takes no `Idempotency-Key`: the token itself is one.
    """
    return _tokens(await wired.identity.sign_in.refresh(body.refresh_token))


@router.post(
    "/auth/logout",
    status_code=204,
    response_class=Response,
    summary="Sign out",
    response_description="Signed out.",
)
async def logout(principal: Caller, wired: Wired) -> Response:
    """End the session of the access token you show: that token, and every other one of the session.

    The token is refused here at once, and by every process of ours within two seconds. A token of
    another issuer is refused from now on, too; its session is that issuer's to end. API keys are
    revoked, not signed out. Takes no `Idempotency-Key`: once signed out is signed out.
    """
    if len(principal.revocable) < 2:  # an API key, and nothing that was signed
        raise Problem(403, "NOT_ALLOWED", "Your role does not allow this.")
    # Never the key that signed it: that one signed other people's tokens as well.
    token_id, _, *session = principal.revocable
    expires_at = datetime.fromtimestamp(principal.expires_at_s, UTC)
    await wired.identity.sign_in.logout(
        principal.tenant_id, principal.subject, [token_id, *session], expires_at
    )
    return Response(status_code=204)


@router.get(
    "/auth/profile",
    response_model=ProfileAnswer,
    summary="Show who you are",
    response_description="Who you are.",
)
async def profile(principal: Caller, wired: Wired) -> ProfileAnswer:
    """Who you are, and what you may do; for accounts of ours also what you said of yourself."""
    principal.require(Action.READ_PROFILE)
    try:
        _, said = await wired.identity.accounts.profile(principal.tenant_id, principal.subject)
    except NotFound:
        said = None
    allowed = scopes_of(principal.roles)
    usable = allowed if principal.scopes is None else allowed & principal.scopes
    return ProfileAnswer(
        tenant=principal.tenant_id,
        subject=principal.subject,
        roles=sorted(principal.roles),
        scopes=[Scope(each) for each in sorted(usable)],
        expires_at=datetime.fromtimestamp(principal.expires_at_s, UTC),
        email=None if said is None else said.email,
        name=None if said is None else said.name,
    )


@router.get(
    "/.well-known/jwks.json",
    response_model=KeysAnswer,
    summary="List our public keys",
    response_description="Our public keys.",
)
async def keys(wired: Wired, response: Response) -> dict[str, Any]:
    """The public keys that prove our access tokens; a new one is here before it signs."""
    response.headers["cache-control"] = "public, max-age=30"
    return wired.identity.signing_keys.jwks()


def _tokens(given: Tokens | SignInRefused) -> TokensAnswer:
    if isinstance(given, SignInRefused):
        if given.wait_s:
            raise Problem(
                429, "SIGN_IN_SLOWED", "Too many attempts to sign in; wait.",
                {"Retry-After": str(given.wait_s)},
            )  # fmt: skip
        raise Problem(
            401, "SIGN_IN_REFUSED", "Nobody can be signed in with this.",
            {"WWW-Authenticate": "Bearer"},
        )  # fmt: skip
    return TokensAnswer(
        access_token=given.access_token,
        token_type="Bearer",  # noqa: S106 - its name
        expires_in=given.expires_in_s,
        refresh_token=given.refresh_token,
        refresh_expires_in=given.refresh_expires_in_s,
        scope=" ".join(given.scopes),
    )
