"""Who calls, for which tenant, and what they may do."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from api.errors import Problem
from api.roles import ROLE_TABLE, SCOPE_TABLE, Action, Role, Scope
from models.domain.accounts import KeyHolder
from models.domain.credentials import CredentialKind
from models.domain.ids import PLATFORM, is_name

__all__ = [
    "ACCESS_TOKENS", "LEEWAY_S", "MAX_TOKEN_BYTES", "REMEMBERED_TOKENS", "ROLE_TABLE", "Action",
    "ClaimPaths", "Principal", "Role", "Scope", "TokenVerifier", "TrustedIssuer", "unauthorised",
]  # fmt: skip

# Clocks of issuers and ours may differ by this much.
LEEWAY_S: Final = 30
MAX_TOKEN_BYTES: Final = 8_192
# About half a kilobyte each; beyond it, whoever came longest ago is verified again.
REMEMBERED_TOKENS: Final = 4_096
# RFC 9068, section 2.1: an id token is no access token.
ACCESS_TOKENS: Final = frozenset({"at+jwt", "application/at+jwt"})
# Headers by which a token would choose its own key, or its own rules.
FOREIGN_HEADERS: Final = frozenset({"jku", "jwk", "x5u", "x5c", "crit", "b64", "zip"})


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller; `scopes` is None where nothing narrows the roles.

    `revocable` names what would end the caller's access early: the token, its session and signing
    key, the API key.
    """

    subject: str
    tenant_id: str
    roles: frozenset[Role]
    expires_at_s: int  # Unix seconds: when the token ends that says all this
    scopes: frozenset[Scope] | None = None
    revocable: tuple[str, ...] = field(default=(), compare=False)

    def may(self, action: Action) -> bool:
        """Whether any of the caller's roles allows the action, and the scopes do not forbid it."""
        if self.scopes is not None and SCOPE_TABLE[action] not in self.scopes:
            return False
        return not self.roles.isdisjoint(ROLE_TABLE[action])

    def require(self, action: Action) -> None:
        """Raise 403 unless the action is allowed."""
        if not self.may(action):
            raise Problem(403, "NOT_ALLOWED", "Your role does not allow this.")

    def only_for_self(self, action: Action) -> bool:
        """Whether being an applicant is all that allows the action: then it is about oneself."""
        return self.roles & ROLE_TABLE[action] == {Role.APPLICANT}


Path_ = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClaimPaths:
    """Where an issuer's tokens say what we need, each as a path of member names.

    `role_names` translates the issuer's role names to ours, and only what it names counts; without
    it the names must be ours, all of them. `scope` None: this issuer's scopes mean nothing here.
    """

    subject: Path_ = ("sub",)
    tenant: Path_ = ("tenant",)
    roles: Path_ = ("roles",)
    scope: Path_ | None = ("scope",)
    role_names: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An issuer with the keys and algorithms pinned to it, and the tenants it may speak for.

    `newer_keys` looks for keys we have not seen yet, at the configured address alone, and says
    whether it looked; it decides itself how often that may be. `tenants` None: any; the platform's
    own people only with `platform`. `tenant` stands for a claim where all of an issuer's tokens are
    of one tenant.
    """

    issuer: str
    audience: str
    keys: KeySet | Callable[[], KeySet]
    algorithms: tuple[str, ...]
    claims: ClaimPaths = ClaimPaths()
    tenant: str | None = None
    tenants: frozenset[str] | None = None
    platform: bool = False
    newer_keys: Callable[[], Awaitable[bool]] | None = None

    @classmethod
    def read(
        cls, issuer: str, audience: str, jwks_path: Path, algorithms: Sequence[str]
    ) -> TrustedIssuer:
        """Read the issuer's keys from a file; raises OSError or ValueError."""
        keys = KeySet.import_key_set(json.loads(jwks_path.read_text("utf-8")))
        return cls(issuer, audience, keys, tuple(algorithms))

    def key_set(self) -> KeySet:
        """The keys as they are known now."""
        return self.keys() if callable(self.keys) else self.keys

    def speaks_for(self, tenant_id: str) -> bool:
        """Whether its tokens may be about this tenant."""
        if tenant_id == PLATFORM:
            return self.platform
        return self.tenants is None or tenant_id in self.tenants


class KeyDesk(Protocol):
    """Knows API keys."""

    async def holder(self, key: str) -> KeyHolder | None:
        """Whose the key is; None for one that is not valid."""


class TokenVerifier:
    """Verifies access tokens of the configured issuers, and API keys; follows no address in them.

    `revoked` holds the ids of what was ended early, as this process knows them.
    """

    def __init__(
        self,
        issuers: Sequence[TrustedIssuer],
        revoked: Container[str] = frozenset(),
        api_keys: KeyDesk | None = None,
    ) -> None:
        self._issuers = {each.issuer: each for each in issuers}
        self._revoked = revoked
        self._api_keys = api_keys
        # Who was verified, by the token's hash: a caller shows the same token with every request.
        self._verified: OrderedDict[bytes, Principal] = OrderedDict()

    async def identify(self, credential: str) -> Principal:
        """The caller behind an access token or an API key; raises a 401 problem, never says why.

        For a key id nobody has seen yet, its issuer's keys are asked for once more.
        """
        if credential.startswith(CredentialKind.API_KEY):
            return await self._by_api_key(credential)
        try:
            return self.verify(credential)
        except Problem:
            if await self._look_for_newer_keys(credential):
                return self.verify(credential)
            raise

    def verify(self, token: str) -> Principal:
        """The caller behind an access token; raises a 401 problem that says nothing of why.

        A token that was right stays right until it expires, so its signature is checked once;
        whether it was revoked is asked every time.
        """
        if len(token) > MAX_TOKEN_BYTES:
            raise unauthorised()
        name = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        principal = self._verified.get(name)
        if principal is not None and time.time() < principal.expires_at_s:
            self._verified.move_to_end(name)
        else:
            self._verified.pop(name, None)
            principal = self._verify_anew(token)
            self._verified[name] = principal
            if len(self._verified) > REMEMBERED_TOKENS:
                self._verified.popitem(last=False)
        if not self.stands(principal):
            raise unauthorised()
        return principal

    def stands(self, principal: Principal) -> bool:
        """Whether what the caller showed is still worth something: for connections that last."""
        if time.time() >= principal.expires_at_s + LEEWAY_S:
            return False
        return not any(each in self._revoked for each in principal.revocable)

    def _verify_anew(self, token: str) -> Principal:
        issuer = self._issuers.get(_stated(token, 1, "iss"))
        if issuer is None:
            raise unauthorised()
        try:
            return _principal(_claims(token, issuer), issuer, token)
        except (JoseError, ValueError, TypeError, KeyError):
            raise unauthorised() from None

    async def _look_for_newer_keys(self, token: str) -> bool:
        if len(token) > MAX_TOKEN_BYTES:
            return False
        issuer = self._issuers.get(_stated(token, 1, "iss"))
        if issuer is None or issuer.newer_keys is None:
            return False
        kid = _stated(token, 0, "kid")
        if not kid or any(key.kid == kid for key in issuer.key_set()):
            return False
        return await issuer.newer_keys()

    async def _by_api_key(self, key: str) -> Principal:
        holder = await self._api_keys.holder(key) if self._api_keys is not None else None
        if holder is None:
            raise unauthorised()
        principal = Principal(
            holder.service_account_id,
            holder.tenant_id,
            frozenset(Role(role) for role in holder.roles),
            int(holder.expires_at.timestamp()),
            None if holder.scopes is None else frozenset(Scope(each) for each in holder.scopes),
            (holder.key_id,),
        )
        if time.time() >= principal.expires_at_s or not self.stands(principal):
            raise unauthorised()
        return principal


def unauthorised() -> Problem:
    """The one answer to every bad token."""
    return Problem(
        401,
        "UNAUTHENTICATED",
        "A valid access token is needed.",
        {"WWW-Authenticate": 'Bearer error="invalid_token"'},
    )


def _stated(token: str, part: int, name: str) -> str:
    """What a token says of itself, unproved: good for choosing what to compare it with."""
    try:
        text = token.split(".")[part].encode("ascii")
        document = json.loads(base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4)))
    except (ValueError, IndexError, RecursionError):
        return ""
    value = document.get(name) if isinstance(document, dict) else None
    return value if isinstance(value, str) else ""


def _claims(token: str, issuer: TrustedIssuer) -> dict[str, Any]:
    registry = JWSRegistry(algorithms=list(issuer.algorithms))
    decoded = jwt.decode(
        token, issuer.key_set(), algorithms=list(issuer.algorithms), registry=registry
    )
    if not FOREIGN_HEADERS.isdisjoint(decoded.header):
        raise ValueError("a header that chooses keys or rules")
    if str(decoded.header.get("typ")).lower() not in ACCESS_TOKENS:
        raise ValueError("not an access token")
    jwt.JWTClaimsRegistry(
        leeway=LEEWAY_S,
        iss={"essential": True, "value": issuer.issuer},
        aud={"essential": True, "value": issuer.audience},
        exp={"essential": True},
        iat={"essential": True},
        sub={"essential": True},
    ).validate(decoded.claims)
    return dict(decoded.claims)


def _principal(claims: dict[str, Any], issuer: TrustedIssuer, token: str) -> Principal:
    paths = issuer.claims
    subject = _at(claims, paths.subject)
    tenant = issuer.tenant if issuer.tenant is not None else _at(claims, paths.tenant)
    roles = _at(claims, paths.roles)
    if not (isinstance(subject, str) and isinstance(tenant, str) and isinstance(roles, list)):
        raise TypeError("claims of the wrong type")
    if not (is_name(subject) and is_name(tenant)) or not issuer.speaks_for(tenant):
        raise ValueError("claims of the wrong form")
    named = _roles(roles, paths.role_names)
    # The platform has one kind of people, and nobody else is of its kind.
    if named - {Role.PLATFORM_ADMIN} if tenant == PLATFORM else Role.PLATFORM_ADMIN in named:
        raise ValueError("a role of another tenant")
    revocable = [_token_id(claims, issuer, token), _stated(token, 0, "kid")]
    if isinstance(session := claims.get("sid"), str):
        revocable.append(session)
    scopes = _scopes(claims, paths.scope)
    return Principal(subject, tenant, named, int(claims["exp"]), scopes, tuple(revocable))


def _at(claims: Mapping[str, Any], path: Path_) -> Any:
    value: Any = claims
    for name in path:
        value = value[name]
    return value


def _roles(stated: list[Any], names: Mapping[str, str] | None) -> frozenset[Role]:
    if names is None:
        return frozenset(Role(role) for role in stated)
    known = (names[role] for role in stated if isinstance(role, str) and role in names)
    return frozenset(Role(role) for role in known)


def _scopes(claims: Mapping[str, Any], path: Path_ | None) -> frozenset[Scope] | None:
    """The scopes of ours a token is narrowed to; a list, or a text with spaces (RFC 8693)."""
    if path is None:
        return None
    try:
        stated = _at(claims, path)
    except (KeyError, TypeError):
        return None
    words = stated.split() if isinstance(stated, str) else list(stated)
    return frozenset(scope for scope in Scope if scope.value in words)


def _token_id(claims: Mapping[str, Any], issuer: TrustedIssuer, token: str) -> str:
    """What a revocation of this token is filed under, whatever its issuer calls it.

    Without a `jti` it is the signed part: a signature can be written in more than one way.
    """
    jti = claims.get("jti")
    named = jti if isinstance(jti, str) and jti else token.rpartition(".")[0]
    return hashlib.sha256(f"{issuer.issuer} {named}".encode("utf-8", "replace")).hexdigest()
