"""Who calls, for which tenant, and what they may do."""

from __future__ import annotations

import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from api.errors import Problem
from models.domain.ids import is_name


class Role(StrEnum):
    """What a token may say its bearer is."""

    APPLICANT = "applicant"
    INTEGRATOR = "integrator"
    UNDERWRITER = "underwriter"
    COMPLIANCE_OFFICER = "compliance_officer"
    SUPPORT = "support"
    AUDITOR = "auditor"
    TENANT_ADMIN = "tenant_admin"


class Action(StrEnum):
    """What can be asked of the API."""

    APPLY = "apply"
    READ_APPLICATION = "read_application"
    ACCEPT_OFFER = "accept_offer"
    WITHDRAW = "withdraw"
    PROVIDE_INFORMATION = "provide_information"
    READ_REVIEWS = "read_reviews"
    READ_INFORMATION = "read_information"
    READ_ASSESSMENT = "read_assessment"
    READ_COMPLIANCE = "read_compliance"
    READ_LEDGER = "read_ledger"
    ASK_APPLICANT = "ask_applicant"
    ASSIGN_REVIEW = "assign_review"
    DECIDE_CREDIT_REVIEW = "decide_credit_review"
    DECIDE_COMPLIANCE_REVIEW = "decide_compliance_review"
    HAND_OVER_NOTICE = "hand_over_notice"
    DECODE_PAYLOADS = "decode_payloads"


A, I, U, C, S, D, T = (  # noqa: E741 - the columns of the table below
    Role.APPLICANT,
    Role.INTEGRATOR,
    Role.UNDERWRITER,
    Role.COMPLIANCE_OFFICER,
    Role.SUPPORT,
    Role.AUDITOR,
    Role.TENANT_ADMIN,
)

# Who may do what, within the token's own tenant. Applicants act for themselves only.
ROLE_TABLE: Final[dict[Action, frozenset[Role]]] = {
    Action.APPLY:                    frozenset({A, I}),
    Action.READ_APPLICATION:         frozenset({A, I, U, C, S, D, T}),
    Action.ACCEPT_OFFER:             frozenset({A, I}),
    Action.WITHDRAW:                 frozenset({A, I}),
    Action.PROVIDE_INFORMATION:      frozenset({A, I}),
    Action.READ_REVIEWS:             frozenset({U, C, S, D, T}),
    Action.READ_INFORMATION:         frozenset({U, C}),
    Action.READ_ASSESSMENT:          frozenset({U, C, D}),
    Action.READ_COMPLIANCE:          frozenset({C, D}),
    Action.READ_LEDGER:              frozenset({D, T}),
    Action.ASK_APPLICANT:            frozenset({U, C}),
    Action.ASSIGN_REVIEW:            frozenset({U, C, T}),
    Action.DECIDE_CREDIT_REVIEW:     frozenset({U}),
    Action.DECIDE_COMPLIANCE_REVIEW: frozenset({C}),
    Action.HAND_OVER_NOTICE:         frozenset({C, S}),
    Action.DECODE_PAYLOADS:          frozenset({U, C, S, T}),
}  # fmt: skip

# Clocks of issuers and ours may differ by this much.
LEEWAY_S: Final = 30
MAX_TOKEN_BYTES: Final = 8_192
# About half a kilobyte each; beyond it, whoever came longest ago is verified again.
REMEMBERED_TOKENS: Final = 4_096
ACCESS_TOKEN: Final = "at+jwt"  # noqa: S105 - RFC 9068: an id token is no access token


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller."""

    subject: str
    tenant_id: str
    roles: frozenset[Role]
    expires_at_s: int  # Unix seconds: when the token ends that says all this

    def may(self, action: Action) -> bool:
        """Whether any of the caller's roles allows the action."""
        return not self.roles.isdisjoint(ROLE_TABLE[action])

    def require(self, action: Action) -> None:
        """Raise 403 unless the action is allowed."""
        if not self.may(action):
            raise Problem(403, "NOT_ALLOWED", "Your role does not allow this.")

    def only_for_self(self, action: Action) -> bool:
        """Whether being an applicant is all that allows the action: then it is about oneself."""
        return self.roles & ROLE_TABLE[action] == {Role.APPLICANT}


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An issuer with the keys and algorithms pinned to it."""

    issuer: str
    audience: str
    keys: KeySet
    algorithms: tuple[str, ...]

    @classmethod
    def read(
        cls, issuer: str, audience: str, jwks_path: Path, algorithms: Sequence[str]
    ) -> TrustedIssuer:
        """Read the issuer's keys from a file; raises OSError or ValueError."""
        keys = KeySet.import_key_set(json.loads(jwks_path.read_text("utf-8")))
        return cls(issuer, audience, keys, tuple(algorithms))


class TokenVerifier:
    """Verifies access tokens of the configured issuers; never fetches a key."""

    def __init__(self, issuers: Sequence[TrustedIssuer]) -> None:
        self._issuers = issuers
        # Who was verified, by the token's hash: a caller shows the same token with every request.
        self._verified: OrderedDict[bytes, Principal] = OrderedDict()

    def verify(self, token: str) -> Principal:
        """The caller behind a bearer token; raises a 401 problem that says nothing of why.

        A token that was right stays right until it expires, so its signature is checked once.
        """
        if len(token) > MAX_TOKEN_BYTES:
            raise unauthorised()
        name = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._verified.get(name)
        if known is not None and time.time() < known.expires_at_s:
            self._verified.move_to_end(name)
            return known
        self._verified.pop(name, None)
        principal = self._verify_anew(token)
        self._verified[name] = principal
        if len(self._verified) > REMEMBERED_TOKENS:
            self._verified.popitem(last=False)
        return principal

    def _verify_anew(self, token: str) -> Principal:
        for issuer in self._issuers:
            try:
                return _principal(_claims(token, issuer))
            except (JoseError, ValueError, TypeError, KeyError):
                continue
        raise unauthorised()


def unauthorised() -> Problem:
    """The one answer to every bad token."""
    return Problem(
        401,
        "UNAUTHENTICATED",
        "A valid access token is needed.",
        {"WWW-Authenticate": 'Bearer error="invalid_token"'},
    )


def _claims(token: str, issuer: TrustedIssuer) -> dict[str, Any]:
    registry = JWSRegistry(algorithms=list(issuer.algorithms))
    decoded = jwt.decode(token, issuer.keys, algorithms=list(issuer.algorithms), registry=registry)
    if decoded.header.get("typ") != ACCESS_TOKEN:
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


def _principal(claims: dict[str, Any]) -> Principal:
    subject, tenant, roles = claims["sub"], claims["tenant"], claims["roles"]
    if not (isinstance(subject, str) and isinstance(tenant, str) and isinstance(roles, list)):
        raise TypeError("claims of the wrong type")
    if not (is_name(subject) and is_name(tenant)) or tenant == "platform":
        raise ValueError("claims of the wrong form")
    named = frozenset(Role(role) for role in roles)
    return Principal(subject, tenant, named, int(claims["exp"]))
