"""The attack table of access tokens: every row is refused, with one word and no fetch."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

from adapters.accounts.provider_keys import usable_keys
from api.auth import ClaimPaths, TokenVerifier, TrustedIssuer
from tests.api.answers import problem

ISSUER, AUDIENCE = "https://login.example.com", "caas-api"
Claims = dict[str, Any]


def encoded(part: Any) -> str:
    text = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def good(**changes: Any) -> Claims:
    """Claims of a right token; None leaves one out."""
    now = int(time.time())
    stated = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "zelda",
        "tenant": "acme",
        "roles": ["auditor"],
        "iat": now,
        "nbf": now,
        "exp": now + 600,
        "jti": "token-1",
        **changes,
    }
    return {name: value for name, value in stated.items() if value is not None}


@dataclass(frozen=True)
class Forge:
    """An issuer's keys, one of each kind, and tokens signed with any of them."""

    edwards: OKPKey
    elliptic: ECKey
    rsa: RSAKey

    @classmethod
    def new(cls) -> Forge:
        return cls(
            OKPKey.generate_key("Ed25519", auto_kid=True),
            ECKey.generate_key("P-256", auto_kid=True),
            RSAKey.generate_key(2048, auto_kid=True),
        )

    def sign(self, header: Claims | None = None, claims: Claims | None = None) -> str:
        """Signed by the Ed25519 key, whatever the header says."""
        top = {"alg": "Ed25519", "typ": "at+jwt", "kid": self.edwards.kid, **(header or {})}
        top = {name: value for name, value in top.items() if value is not None}
        signed = f"{encoded(top)}.{encoded(claims or good())}"
        return f"{signed}.{encoded(self.edwards.get_op_key('sign').sign(signed.encode()))}"


@pytest.fixture(scope="module")
def forge() -> Forge:
    return Forge.new()


@pytest.fixture
def verifier(forge: Forge) -> TokenVerifier:
    """Our tokens' verifier: the issuer has three keys, and one algorithm of them is ours."""
    keys = KeySet([forge.edwards, forge.elliptic, forge.rsa])
    return TokenVerifier([TrustedIssuer(ISSUER, AUDIENCE, keys, ("Ed25519",))])


@pytest.fixture
def refused(app: FastAPI, http: httpx.AsyncClient, verifier: TokenVerifier) -> Callable[[str], Any]:
    """Asks the API with a token, which must not let anybody in or say why."""

    async def ask(token: str) -> None:
        app.state.services = _with(app.state.services, verifier)
        asked = await http.get("/auth/profile", headers={"authorization": f"Bearer {token}"})
        refusal = problem(asked, 401, "UNAUTHENTICATED")
        assert set(refusal) == {"type", "title", "status", "code"}
        assert asked.headers["www-authenticate"] == 'Bearer error="invalid_token"'

    return ask


def _with(services: Any, verifier: TokenVerifier) -> Any:
    from dataclasses import replace  # noqa: PLC0415

    return replace(services, tokens=verifier)


async def test_the_token_that_all_rows_spoil_is_right(
    app: FastAPI, http: httpx.AsyncClient, verifier: TokenVerifier, forge: Forge
) -> None:
    app.state.services = _with(app.state.services, verifier)
    for token in (forge.sign(), forge.sign({"typ": "application/at+jwt"})):
        asked = await http.get("/auth/profile", headers={"authorization": f"Bearer {token}"})
        assert asked.status_code == 200, asked.text


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", None])
@pytest.mark.parametrize("signature", ["", "AA"])
async def test_unsigned(refused: Any, algorithm: str | None, signature: str) -> None:
    top = {"alg": algorithm, "typ": "at+jwt"}
    await refused(f"{encoded(top)}.{encoded(good())}.{signature}")


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_a_public_key_used_as_a_shared_secret(
    refused: Any, forge: Forge, algorithm: str
) -> None:
    digest = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}[algorithm]
    for key in (forge.edwards, forge.elliptic, forge.rsa):
        public = dict(key.as_dict(private=False))
        for secret in (
            key.as_pem(private=False),
            key.as_der(private=False),
            json.dumps(public).encode(),
            str(public.get("x") or public["n"]).encode(),
        ):
            top = {"alg": algorithm, "typ": "at+jwt", "kid": key.kid}
            signed = f"{encoded(top)}.{encoded(good())}"
            mac = hmac.new(secret, signed.encode(), digest).digest()
            await refused(f"{signed}.{encoded(mac)}")


async def test_a_right_key_by_an_algorithm_that_is_not_pinned(refused: Any, forge: Forge) -> None:
    for key, algorithm in (
        (forge.rsa, "RS256"), (forge.rsa, "PS256"), (forge.elliptic, "ES256"),
    ):  # fmt: skip
        top = {"alg": algorithm, "typ": "at+jwt", "kid": key.kid}
        await refused(jwt.encode(top, good(), key, algorithms=[algorithm]))


KEY_IDS = [
    "../../../../dev/null", "/dev/null", "../keys/../../etc/passwd", "file:///dev/null",
    "' OR '1'='1", "x' UNION SELECT 'secret' --", "1; DROP TABLE signing_keys", "$(id)", "`id`",
    "http://127.0.0.1:1/jwks.json", "https://attacker.example/k", "ldap://127.0.0.1/x",
    "\x00", "%00", "a" * 2_000, "", 7, None, [], {}, True, ["kid"],
]  # fmt: skip


@pytest.mark.parametrize("kid", KEY_IDS, ids=lambda kid: repr(kid)[:30])
async def test_a_key_id_is_looked_up_and_nothing_else(refused: Any, forge: Forge, kid: Any) -> None:
    """Signed by a stranger under an id that would lead elsewhere, or with a secret guessed so."""
    stranger = OKPKey.generate_key("Ed25519")
    top = {"alg": "Ed25519", "typ": "at+jwt", "kid": kid}
    signed = f"{encoded(top)}.{encoded(good())}"
    for signature in (
        stranger.get_op_key("sign").sign(signed.encode()),
        hmac.new(b"", signed.encode(), hashlib.sha256).digest(),
    ):
        await refused(f"{signed}.{encoded(signature)}")
    if kid is not None:
        await refused(forge.sign({"kid": kid}))


class Lure:
    """Somewhere a token would like its key to be fetched from."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, *_: Any, **__: Any) -> Any:
        self.asked += 1
        raise AssertionError("an address was followed")


@pytest.mark.parametrize("header", ["jku", "x5u", "jwk", "x5c", "x5t", "x5t#S256"])
@pytest.mark.parametrize("named", ["ours", "theirs", "none"])
async def test_a_token_brings_no_key_along(
    refused: Any, forge: Forge, monkeypatch: pytest.MonkeyPatch, header: str, named: str
) -> None:
    lure = Lure()
    monkeypatch.setattr("socket.socket.connect", lure)
    monkeypatch.setattr("httpx.AsyncHTTPTransport.handle_async_request", lure)
    stranger = OKPKey.generate_key("Ed25519", auto_kid=True)
    brought = {
        "jku": "http://127.0.0.1:1/jwks.json",
        "x5u": "http://127.0.0.1:1/cert.pem",
        "jwk": dict(stranger.as_dict(private=False)),
        "x5c": ["MIIB"],
        "x5t": "AAAA",
        "x5t#S256": "AAAA",
    }[header]
    kid = {"ours": forge.edwards.kid, "theirs": stranger.kid, "none": None}[named]
    top = {"alg": "Ed25519", "typ": "at+jwt", header: brought, **({"kid": kid} if kid else {})}
    signed = f"{encoded(top)}.{encoded(good())}"
    signature = stranger.get_op_key("sign").sign(signed.encode())
    await refused(f"{signed}.{encoded(signature)}")
    assert lure.asked == 0


@pytest.mark.parametrize("header", ["jku", "x5u", "jwk", "x5c", "b64", "zip"])
async def test_a_right_signature_does_not_excuse_a_header_that_chooses(
    refused: Any, forge: Forge, header: str
) -> None:
    value: Any = False if header == "b64" else "http://127.0.0.1:1/x"
    await refused(forge.sign({header: value}))


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"]},
        {"crit": ["exp"], "exp": 1},
        {"crit": ["urn:example:must"], "urn:example:must": True},
        {"crit": ["b64"], "b64": True},
        {"crit": []},
        {"crit": "alg"},
        {"crit": None, "typ": None},
    ],
    ids=str,
)
async def test_critical_headers_nobody_knows(
    refused: Any, forge: Forge, header: dict[str, Any]
) -> None:
    await refused(forge.sign(header))


@pytest.mark.parametrize("kind", ["JWT", "jwt", "id_token", "logout+jwt", "dpop+jwt", "", None, 7])
async def test_another_kind_of_token(refused: Any, forge: Forge, kind: Any) -> None:
    """An id token is signed by the same key, for another purpose."""
    await refused(forge.sign({"typ": kind}))
    id_claims = good(aud="portal", nonce="n", auth_time=1)
    await refused(forge.sign({"typ": kind}, id_claims))


WRONG_CLAIMS: list[Claims] = [
    {"iss": "https://login.example.com/"}, {"iss": "https://login.example.com.evil.example"},
    {"iss": "HTTPS://LOGIN.EXAMPLE.COM"}, {"iss": [ISSUER]}, {"iss": None}, {"iss": ""},
    {"aud": "another-api"}, {"aud": ["another-api"]}, {"aud": []}, {"aud": None},
    {"aud": {"caas-api": 1}}, {"aud": "caas-api "}, {"exp": -600}, {"exp": None},
    {"exp": "tomorrow"}, {"exp": 0}, {"nbf": 600}, {"nbf": "later"}, {"iat": 600}, {"iat": None},
    {"sub": None}, {"sub": ""}, {"sub": "a/b"}, {"sub": 7}, {"tenant": "platform"},
    {"tenant": None}, {"tenant": "../acme"}, {"tenant": ["acme"]}, {"roles": "auditor"},
    {"roles": ["root"]}, {"roles": None}, {"roles": ["platform_admin"]},
    {"roles": ["platform_admin"], "tenant": "platform"}, {"scope": 7},
]  # fmt: skip
MOMENTS = {"exp", "nbf", "iat"}


@pytest.mark.parametrize("claims", WRONG_CLAIMS, ids=str)
async def test_a_right_signature_under_wrong_claims(
    refused: Any, forge: Forge, claims: Claims
) -> None:
    """Moments are in seconds from now, so that the table is the same in every process."""
    now = int(time.time())
    stated = {
        name: now + value if name in MOMENTS and isinstance(value, int) and value else value
        for name, value in claims.items()
    }
    await refused(forge.sign(claims=good(**stated)))


def scoped(forge: Forge, **claims: Any) -> frozenset[str] | None:
    keys = KeySet([forge.edwards])
    issuer = TrustedIssuer(ISSUER, AUDIENCE, keys, ("Ed25519",), ClaimPaths())
    scopes = TokenVerifier([issuer]).verify(forge.sign(claims=good(**claims))).scopes
    return None if scopes is None else frozenset(str(each) for each in scopes)


def test_scopes_narrow_and_unknown_ones_allow_nothing(forge: Forge) -> None:
    assert scoped(forge) is None
    assert scoped(forge, scope="openid ledger:read") == {"ledger:read"}
    assert scoped(forge, scope=["ledger:read", "admin"]) == {"ledger:read"}
    assert scoped(forge, scope="openid email") == frozenset()
    assert scoped(forge, scope="") == frozenset()


# What an identity provider publishes is not trusted further than it has to be.


def test_only_public_keys_that_can_prove_something_are_taken(forge: Forge) -> None:
    weak = rsa.generate_private_key(65_537, 1_024)
    published: list[Any] = [
        dict(forge.edwards.as_dict(private=False)),
        dict(OctKey.generate_key(256, auto_kid=True).as_dict(private=True)),
        {**dict(forge.elliptic.as_dict(private=False)), "use": "enc"},
        dict(RSAKey.import_key(weak.public_key(), {"kid": "weak"}).as_dict()),
        {"kty": "EC", "kid": "broken", "crv": "P-256", "x": "AA", "y": "AA"},
        {**dict(forge.rsa.as_dict(private=False)), "kid": None},
        "key", None, {"kty": "XYZ", "kid": "x"},
    ]  # fmt: skip
    assert [key.kid for key in usable_keys({"keys": published})] == [forge.edwards.kid]


def test_a_private_key_somebody_published_is_read_as_its_public_half(forge: Forge) -> None:
    [key] = usable_keys({"keys": [dict(forge.edwards.as_dict(private=True))]})
    assert "d" not in key.as_dict(private=None)


@pytest.mark.parametrize("document", [{}, {"keys": {}}, {"keys": []}, {"keys": [{}] * 33}], ids=str)
def test_what_is_no_key_set_replaces_none(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="key"):
        usable_keys(document)
