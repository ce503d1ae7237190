"""Who is let in: a right token is, and a table of wrong ones is not, without a word of why."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey

from api.auth import (
    LEEWAY_S,
    MAX_TOKEN_BYTES,
    ROLE_TABLE,
    Action,
    Principal,
    Role,
    TokenVerifier,
    TrustedIssuer,
)
from api.errors import Problem
from sandbox.counterparties.issuer import AUDIENCE, ISSUER, SandboxIssuer


class FromNow(int):
    """A moment in seconds from when the token is made, not from when this file was read."""


def good(**changes: Any) -> dict[str, Any]:
    """The claims of a right token, with these changed; None leaves one out."""
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "zelda",
        "tenant": "acme",
        "roles": ["applicant"],
        "iat": FromNow(0),
        "exp": FromNow(600),
        **changes,
    }
    now = int(time.time())
    return {
        name: now + value if isinstance(value, FromNow) else value
        for name, value in claims.items()
        if value is not None
    }


def encoded(part: Any) -> str:
    text = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def refusal(verifier: TokenVerifier, token: str) -> Problem:
    with pytest.raises(Problem) as raised:
        verifier.verify(token)
    return raised.value


@pytest.fixture
def key(issuer: SandboxIssuer) -> OKPKey:
    private = json.loads((issuer.jwks_path.parent / "issuer-private-key.json").read_text())
    return OKPKey.import_key(private)


@pytest.fixture
def sign(key: OKPKey) -> Callable[..., str]:
    """A token signed by the issuer's key, with these claims and this header changed."""

    def make(header: dict[str, Any] | None = None, **claims: Any) -> str:
        stated = good(**claims)
        top = {"alg": "Ed25519", "typ": "at+jwt", "kid": key.kid, **(header or {})}
        top = {name: value for name, value in top.items() if value is not None}
        signed = f"{encoded(top)}.{encoded(stated)}"
        signature = key.get_op_key("sign").sign(signed.encode())
        return f"{signed}.{encoded(signature)}"

    return make


def test_a_right_token_names_its_bearer(verifier: TokenVerifier, sign: Callable[..., str]) -> None:
    expires_at_s = int(time.time()) + 3_600
    assert verifier.verify(sign(exp=expires_at_s + 0.5)) == Principal(
        "zelda", "acme", frozenset({Role.APPLICANT}), expires_at_s
    )
    assert verifier.verify(sign(roles=["support", "auditor"])).roles == {
        Role.SUPPORT,
        Role.AUDITOR,
    }
    assert verifier.verify(sign(aud=["another", AUDIENCE])).subject == "zelda"
    assert verifier.verify(sign(exp=FromNow(10 - LEEWAY_S))).subject == "zelda"
    assert verifier.verify(sign(nbf=FromNow(LEEWAY_S - 10))).subject == "zelda"


WRONG_CLAIMS: list[dict[str, Any]] = [
    {"aud": "another-api"},
    {"aud": [AUDIENCE + "x"]},
    {"aud": []},
    {"aud": None},
    {"iss": "urn:somebody:else"},
    {"iss": None},
    {"iss": [ISSUER]},
    {"exp": FromNow(-600)},
    {"exp": None},
    {"exp": "tomorrow"},
    {"exp": 0},
    {"nbf": FromNow(600)},
    {"nbf": "later"},
    {"iat": None},
    {"iat": FromNow(600)},
    {"sub": None},
    {"sub": ""},
    {"sub": 7},
    {"sub": ["zelda"]},
    {"sub": "zelda quill"},
    {"sub": "zelda/../eve"},
    {"sub": "z" * 65},
    {"sub": "zelda\n"},
    {"tenant": None},
    {"tenant": ""},
    {"tenant": "platform"},
    {"tenant": "ac me"},
    {"tenant": "acme/other"},
    {"tenant": ["acme"]},
    {"tenant": {"id": "acme"}},
    {"roles": None},
    {"roles": "applicant"},
    {"roles": {"applicant": True}},
    {"roles": ["applicant", "god"]},
    {"roles": ["Applicant"]},
    {"roles": [7]},
    {"roles": [["applicant"]]},
    {"roles": [None]},
]


@pytest.mark.parametrize("claims", WRONG_CLAIMS, ids=str)
def test_wrong_claims_are_refused(
    verifier: TokenVerifier, sign: Callable[..., str], claims: dict[str, Any]
) -> None:
    problem = refusal(verifier, sign(**claims))
    assert (problem.status, problem.code) == (401, "UNAUTHENTICATED")
    assert problem.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_claim_that_is_null_is_a_missing_one(verifier: TokenVerifier, key: OKPKey) -> None:
    for name in good():
        top = {"alg": "Ed25519", "typ": "at+jwt", "kid": key.kid}
        token = jwt.encode(top, {**good(), name: None}, key, algorithms=["Ed25519"])
        assert refusal(verifier, token).status == 401, name


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"typ": None},
        {"typ": "id_token"},
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "RS256"},
        {"alg": None},
        {"alg": 5},
        {"alg": ["Ed25519"]},
        {"kid": "another"},
        {"kid": "../../etc/passwd"},
        {"kid": "' OR 1=1 --"},
        {"kid": 7},
        {"crit": ["exp"], "exp": 1},
    ],
    ids=str,
)
def test_wrong_headers_are_refused(
    verifier: TokenVerifier, sign: Callable[..., str], header: dict[str, Any]
) -> None:
    assert refusal(verifier, sign(header)).status == 401


@pytest.mark.parametrize("signature", ["", encoded(b"x" * 64)])
def test_an_unsigned_token_is_refused(verifier: TokenVerifier, signature: str) -> None:
    for algorithm in ("none", "None", "NONE", ""):
        top = encoded({"alg": algorithm, "typ": "at+jwt"})
        assert refusal(verifier, f"{top}.{encoded(good())}.{signature}").status == 401


def test_the_public_key_is_no_shared_secret(verifier: TokenVerifier, key: OKPKey) -> None:
    """Algorithm confusion: HMAC with bytes that everybody knows."""
    public = key.as_dict(private=False)
    for secret in (
        base64.urlsafe_b64decode(str(public["x"]) + "="),
        json.dumps(public).encode(),
        key.as_pem(private=False),
    ):
        signed = f"{encoded({'alg': 'HS256', 'typ': 'at+jwt', 'kid': key.kid})}.{encoded(good())}"
        digest = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
        assert refusal(verifier, f"{signed}.{encoded(digest)}").status == 401


@pytest.mark.parametrize("named", ["jwk", "jku", "x5u", "x5c"])
def test_a_key_the_token_brings_along_is_not_used(
    verifier: TokenVerifier, key: OKPKey, named: str
) -> None:
    stranger = OKPKey.generate_key("Ed25519", auto_kid=True)
    public = dict(stranger.as_dict(private=False))
    brought = {
        "jwk": public,
        "jku": "http://127.0.0.1:1/keys",
        "x5u": "http://127.0.0.1:1/keys",
        "x5c": ["MIIB"],
    }[named]
    for kid in (key.kid, stranger.kid, None):
        top = {"alg": "Ed25519", "typ": "at+jwt", named: brought} | ({"kid": kid} if kid else {})
        signed = f"{encoded(top)}.{encoded(good())}"
        signature = stranger.get_op_key("sign").sign(signed.encode())
        assert refusal(verifier, f"{signed}.{encoded(signature)}").status == 401


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "....",
        "a.b.c",
        "é.é.é",
        "\x00",
        encoded(b"[" * 4_000) + ".e30.e30",
        encoded(b'{"a":' * 1_200) + ".e30.e30",
        encoded([]) + "." + encoded(good()) + ".AA",
        encoded("text") + "." + encoded(good()) + ".AA",
        encoded({"alg": "Ed25519"}) + "." + encoded([]) + ".AA",
        "e30.e30.e30",
        "x" * (MAX_TOKEN_BYTES + 1),
        "x" * MAX_TOKEN_BYTES,
    ],
    ids=lambda token: f"{token[:12]!r} of {len(token)}",
)
def test_what_is_no_token_is_refused_quietly(verifier: TokenVerifier, token: str) -> None:
    assert refusal(verifier, token).status == 401


@pytest.mark.parametrize("payload", [b"[" * 4_000, b"7", b'"text"', b"[]", b"", b"{", b"null"])
def test_a_signed_payload_that_is_no_claim_set_is_refused(
    verifier: TokenVerifier, key: OKPKey, payload: bytes
) -> None:
    top = {"alg": "Ed25519", "typ": "at+jwt", "kid": key.kid}
    signed = f"{encoded(top)}.{encoded(payload)}"
    signature = key.get_op_key("sign").sign(signed.encode())
    assert refusal(verifier, f"{signed}.{encoded(signature)}").status == 401


def test_a_changed_token_is_refused(verifier: TokenVerifier, sign: Callable[..., str]) -> None:
    top, _, signature = sign().split(".")
    forged = encoded(good(roles=["underwriter"]))
    assert refusal(verifier, f"{top}.{forged}.{signature}").status == 401
    assert refusal(verifier, f"{top}.{forged}.").status == 401


def test_an_oversized_token_is_not_even_read(
    verifier: TokenVerifier, sign: Callable[..., str]
) -> None:
    assert refusal(verifier, sign(padding="x" * MAX_TOKEN_BYTES)).status == 401


# Several issuers, each with its own keys and algorithms.


@pytest.fixture
def elliptic() -> ECKey:
    return ECKey.generate_key("P-256", auto_kid=True)


@pytest.fixture
def both(issuer: SandboxIssuer, elliptic: ECKey, tmp_path: Path) -> TokenVerifier:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [dict(elliptic.as_dict(private=False))]}))
    return TokenVerifier(
        [
            TrustedIssuer.read(ISSUER, AUDIENCE, issuer.jwks_path, ("Ed25519",)),
            TrustedIssuer.read("urn:other", AUDIENCE, path, ("ES256",)),
        ]
    )


def test_an_es256_issuer_stands_beside_the_other(
    both: TokenVerifier, sign: Callable[..., str], elliptic: ECKey
) -> None:
    top = {"alg": "ES256", "typ": "at+jwt", "kid": elliptic.kid}
    token = jwt.encode(top, good(iss="urn:other"), elliptic, algorithms=["ES256"])
    assert both.verify(token).subject == "zelda"
    assert both.verify(sign()).subject == "zelda"


def test_one_issuer_cannot_speak_for_another(
    both: TokenVerifier, sign: Callable[..., str], elliptic: ECKey
) -> None:
    top = {"alg": "ES256", "typ": "at+jwt", "kid": elliptic.kid}
    assert refusal(both, jwt.encode(top, good(), elliptic, algorithms=["ES256"])).status == 401
    assert refusal(both, sign(iss="urn:other")).status == 401


def test_without_an_issuer_nobody_is_let_in(sign: Callable[..., str]) -> None:
    assert refusal(TokenVerifier([]), sign()).status == 401
    empty = TrustedIssuer(ISSUER, AUDIENCE, KeySet([]), ("Ed25519",))
    assert refusal(TokenVerifier([empty]), sign()).status == 401


# Who may do what.


def test_the_role_table_is_complete() -> None:
    assert set(ROLE_TABLE) == set(Action)
    assert set().union(*ROLE_TABLE.values()) == set(Role)
    assert all(ROLE_TABLE.values()), "an action nobody may take"


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("role", Role)
def test_a_role_may_what_the_table_says(role: Role, action: Action) -> None:
    principal = Principal("zelda", "acme", frozenset({role}), 1)
    if role in ROLE_TABLE[action]:
        principal.require(action)
    else:
        with pytest.raises(Problem) as refused:
            principal.require(action)
        assert (refused.value.status, refused.value.code) == (403, "NOT_ALLOWED")


def test_nobody_without_a_role_may_anything() -> None:
    assert not any(Principal("zelda", "acme", frozenset(), 1).may(action) for action in Action)


def test_the_duties_are_separated() -> None:
    """Whoever decides does not apply, and who decides credit does not decide compliance."""
    deciding = ROLE_TABLE[Action.DECIDE_CREDIT_REVIEW], ROLE_TABLE[Action.DECIDE_COMPLIANCE_REVIEW]
    assert deciding[0].isdisjoint(deciding[1])
    for roles in deciding:
        assert roles.isdisjoint(ROLE_TABLE[Action.APPLY] | ROLE_TABLE[Action.ACCEPT_OFFER])
    assert Role.AUDITOR not in ROLE_TABLE[Action.DECODE_PAYLOADS]


@pytest.mark.parametrize(
    ("roles", "action", "only"),
    [
        ({Role.APPLICANT}, Action.APPLY, True),
        ({Role.APPLICANT, Role.AUDITOR}, Action.APPLY, True),
        ({Role.APPLICANT, Role.UNDERWRITER}, Action.ACCEPT_OFFER, True),
        ({Role.APPLICANT, Role.AUDITOR}, Action.READ_APPLICATION, False),
        ({Role.INTEGRATOR}, Action.APPLY, False),
        ({Role.INTEGRATOR, Role.APPLICANT}, Action.APPLY, False),
    ],
)
def test_applicants_act_for_themselves_whatever_else_they_are(
    roles: set[Role], action: Action, only: bool
) -> None:
    assert Principal("zelda", "acme", frozenset(roles), 1).only_for_self(action) is only
