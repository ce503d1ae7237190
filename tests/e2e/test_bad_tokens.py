"""Who may not come in, and what those who may come in may not do or see."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sandbox.borrower import Borrower
from tests.e2e.outside import Loan, World, refusal_of

pytestmark = pytest.mark.stack

PATH = "/api/v1/applications"

ROLES_THAT_APPLY = {"applicant", "integrator"}
ROLES = ROLES_THAT_APPLY | {
    "underwriter", "compliance_officer", "support", "auditor", "tenant_admin",
}  # fmt: skip


class Mint:
    """Makes tokens as the issuer does, and as forgers do: by hand, since libraries refuse to."""

    def __init__(self, world: World, tenant: str) -> None:
        directory = world.stack.state_dir / "issuer"
        document = json.loads((directory / "issuer-private-key.json").read_text("utf-8"))
        self.key = Ed25519PrivateKey.from_private_bytes(_unb64(document["d"]))
        self.jwks = (directory / "jwks.json").read_bytes()
        now = int(time.time())
        self.claims: dict[str, Any] = {
            "iss": "urn:caas:sandbox-issuer", "aud": "caas-api", "sub": "mallory",
            "tenant": tenant, "roles": ["applicant"], "iat": now, "nbf": now, "exp": now + 600,
        }  # fmt: skip
        self.header = {"alg": "Ed25519", "typ": "at+jwt", "kid": document["kid"]}

    def token(self, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """The issuer's signature over other claims or another header; None leaves one out."""
        return self._signed({**self.header, **(header or {})}, self.key.sign, **claims)

    def unsigned(self) -> str:
        """`alg: none`."""
        return self._signed({**self.header, "alg": "none"}, lambda _: b"")

    def symmetric(self, secret: bytes) -> str:
        """HS256 under something public, for verifiers that take the algorithm from the header."""
        header = {**self.header, "alg": "HS256"}
        return self._signed(header, lambda signed: hmac.digest(secret, signed, "sha256"))

    def foreign(self) -> str:
        """Another key under the known key's name."""
        return self._signed(self.header, Ed25519PrivateKey.generate().sign)

    def tampered(self) -> str:
        """A genuine token whose claims were changed afterwards."""
        header, _, signature = self.token().split(".")
        claims = {**self.claims, "roles": ["tenant_admin"]}
        return f"{header}.{_b64(json.dumps(claims).encode())}.{signature}"

    def public(self, encoding: Encoding, form: PublicFormat) -> bytes:
        """The public key, as a verifier may mistake it for a secret."""
        return self.key.public_key().public_bytes(encoding, form)

    def _signed(self, header: dict[str, Any], sign: Callable[[bytes], bytes], **claims: Any) -> str:
        kept = {k: v for k, v in {**self.claims, **claims}.items() if v is not None}
        text = ".".join(_b64(json.dumps(part).encode()) for part in (header, kept))
        return f"{text}.{_b64(sign(text.encode()))}"


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


NOW = int(time.time())

BAD_TOKENS: dict[str, Callable[[Mint], str]] = {
    "garbage": lambda _: "garbage",
    "three dots": lambda _: "...",
    "not base64": lambda _: "ü.ü.ü".encode().decode("latin-1"),
    "expired": lambda mint: mint.token(exp=NOW - 3_600),
    "expires never": lambda mint: mint.token(exp=None),
    "expires in words": lambda mint: mint.token(exp="tomorrow"),
    "not valid yet": lambda mint: mint.token(nbf=NOW + 3_600),
    "issued in the future": lambda mint: mint.token(iat=NOW + 3_600),
    "for another audience": lambda mint: mint.token(aud="another-api"),
    "for nobody": lambda mint: mint.token(aud=None),
    "of another issuer": lambda mint: mint.token(iss="urn:evil"),
    "of no issuer": lambda mint: mint.token(iss=None),
    "without a tenant": lambda mint: mint.token(tenant=None),
    "with an empty tenant": lambda mint: mint.token(tenant=""),
    "with two tenants": lambda mint: mint.token(tenant=["a", "b"]),
    "of the platform's own tenant": lambda mint: mint.token(tenant="platform"),
    "with a tenant that is a path": lambda mint: mint.token(tenant="../platform"),
    "without a subject": lambda mint: mint.token(sub=None),
    "without roles": lambda mint: mint.token(roles=None),
    "with a role we do not know": lambda mint: mint.token(roles=["root"]),
    "with roles in a text": lambda mint: mint.token(roles="applicant"),
    "an id token": lambda mint: mint.token(header={"typ": "JWT"}),
    "of no type": lambda mint: mint.token(header={"typ": ""}),
    "by another algorithm's name": lambda mint: mint.token(header={"alg": "EdDSA"}),
    "unsigned": lambda mint: mint.unsigned(),
    "by another key": lambda mint: mint.foreign(),
    "changed afterwards": lambda mint: mint.tampered(),
    "HS256 under the public key": lambda mint: mint.symmetric(
        mint.public(Encoding.Raw, PublicFormat.Raw)
    ),
    "HS256 under the public key's PEM": lambda mint: mint.symmetric(
        mint.public(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    ),
    "HS256 under the JWK set": lambda mint: mint.symmetric(mint.jwks),
    "too long": lambda mint: mint.token(padding="x" * 9_000),
}


async def _apply(world: World, person: Borrower, headers: dict[str, Any]) -> httpx.Response:
    given = {"Idempotency-Key": secrets.token_urlsafe(16), **headers}
    return await world.http.post(PATH, json=person.application_body(), headers=given)


@pytest.mark.parametrize("what", BAD_TOKENS)
async def test_a_bad_token_is_answered_alike_and_leaves_nothing(world: World, what: str) -> None:
    person = world.person()
    mint = Mint(world, person.data["tenant"])
    token = BAD_TOKENS[what](mint).encode("latin-1")
    answer = await _apply(world, person, {"Authorization": b"Bearer " + token})
    told = refusal_of(answer, 401, "UNAUTHENTICATED")
    assert set(told) == {"type", "title", "status", "code"}  # nothing of why
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert await world.truth.footprint(person.data["tenant"]) == {}


async def test_a_genuine_token_of_the_same_make_is_good(world: World) -> None:
    """Or else the table above would prove nothing."""
    person = world.person({"applicant.document.number": "NEVER-3"})
    token = Mint(world, person.data["tenant"]).token(sub=person.data["user_id"])
    answer = await _apply(world, person, {"Authorization": f"Bearer {token}"})
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize("authorization", [None, "Bearer", "Basic bWFsbG9yeTp4", "Token x"])
async def test_no_token_is_no_access(world: World, authorization: str | None) -> None:
    person = world.person()
    headers = {} if authorization is None else {"Authorization": authorization}
    refusal_of(await _apply(world, person, headers), 401, "UNAUTHENTICATED")
    app = f"app_{'0' * 32}"
    for method, path in (
        ("GET", f"{PATH}/{app}"),
        ("GET", "/api/v1/reviews"),
        ("POST", "/codec/decode"),
    ):
        answer = await world.http.request(method, path, headers=headers)
        refusal_of(answer, 401, "UNAUTHENTICATED")
    assert await world.truth.footprint(person.data["tenant"]) == {}


@pytest.mark.parametrize("role", sorted(ROLES - ROLES_THAT_APPLY))
async def test_staff_neither_apply_nor_accept(world: World, loan: Loan, role: str) -> None:
    person = world.person()
    headers = world.staff(person.data["tenant"], role)
    refusal_of(await _apply(world, person, headers), 403, "NOT_ALLOWED")
    assert await world.truth.footprint(person.data["tenant"]) == {}
    own = world.staff(loan.tenant, role)
    answer = await world.http.post(
        f"{PATH}/{loan.application_id}/accept",
        json=loan.person.acceptance_body(loan.view["offers"][0]),
        headers={**own, "Idempotency-Key": secrets.token_urlsafe(16)},
    )
    refusal_of(answer, 403, "NOT_ALLOWED")


async def test_a_token_without_any_role_does_nothing(world: World, loan: Loan) -> None:
    nobody = {"Authorization": f"Bearer {world.stack.token('nobody', loan.tenant)}"}
    answer = await world.http.get(f"{PATH}/{loan.application_id}", headers=nobody)
    refusal_of(answer, 403, "NOT_ALLOWED")


async def test_what_belongs_to_others_looks_like_what_does_not_exist(
    world: World, loan: Loan
) -> None:
    foreigner, neighbour = world.person(), world.person(tenant=loan.tenant)
    absent = f"app_{secrets.token_hex(16)}"
    acceptance = loan.person.acceptance_body(loan.view["offers"][0])
    bodies = set()
    for who in (foreigner.headers(), neighbour.headers(), world.staff("rival-bank", "support")):
        for application_id in (loan.application_id, absent, "app_1", "1%27%20OR%201=1"):
            shown = await world.http.get(f"{PATH}/{application_id}", headers=who)
            refusal_of(shown, 404, "NOT_FOUND")
            bodies.add(shown.content)
    for person in (foreigner, neighbour):
        before = await world.truth.footprint(loan.tenant)
        for application_id in (loan.application_id, absent):
            headers = {**person.headers(), "Idempotency-Key": secrets.token_urlsafe(16)}
            accepted = await world.http.post(
                f"{PATH}/{application_id}/accept", json=acceptance, headers=headers
            )
            refusal_of(accepted, 404, "NOT_FOUND")
            bodies.add(accepted.content)
        assert await world.truth.footprint(loan.tenant) == before
        assert await world.truth.footprint(foreigner.data["tenant"]) == {}
    assert len(bodies) == 1
    # The owner and the tenant's own staff do see it.
    for headers in (loan.person.headers(), world.staff(loan.tenant, "auditor")):
        shown = await world.http.get(f"{PATH}/{loan.application_id}", headers=headers)
        assert shown.status_code == 200
