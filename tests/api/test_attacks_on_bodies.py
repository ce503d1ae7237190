"""Attacks on the body of every write that the description knows: refused, not echoed, not kept."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from api.app import create_app
from api.auth import TokenVerifier, TrustedIssuer
from api.problems import CATALOGUE
from sandbox.counterparties.issuer import AUDIENCE, ISSUER, SandboxIssuer
from settings import RateLimitSettings, Settings
from tests.api.walking import Operation, Place, walked

CANARY: Final = "Echo5Canary"
EVERYTHING: Final = (
    "applicant", "integrator", "underwriter", "compliance_officer", "support", "auditor",
    "tenant_admin",
)  # fmt: skip
OPERATIONS: Final = {
    each.name: each
    for each in walked(
        create_app(Settings(master_keys={"v1": base64.b64encode(b"k" * 32).decode()})).openapi()
    )
}
WRITES: Final = [name for name, each in OPERATIONS.items() if each.example is not None]
# Signed bytes: read by nobody before the signature has been checked.
SIGNED: Final = "POST /callbacks/{vendor}"
# Objects whose members are somebody else's to name: Temporal's payloads, a query's variables.
FOREIGN_OBJECTS: Final = {
    "POST /codec/decode", "POST /codec/encode", "POST /graphql variables",
    "POST /graphql extensions",
}  # fmt: skip


@pytest.fixture
def verifier(issuer: SandboxIssuer) -> TokenVerifier:
    """Of an issuer that speaks for the platform's people, too."""
    trusted = TrustedIssuer.read(ISSUER, AUDIENCE, issuer.jwks_path, ("Ed25519", "EdDSA"))
    return TokenVerifier([replace(trusted, platform=True)])


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Without limits to how much may be asked: they have tests of their own."""
    most = 1_000_000
    limits = RateLimitSettings(
        max_requests=most, tenant_max_requests=most, address_max_requests=most,
        sign_in_max_attempts=10_000,
    )  # fmt: skip
    return settings.model_copy(update={"rate_limit": limits})


class Attacker:
    """Sends bodies, with every right there is, and looks at what is said about them."""

    def __init__(
        self, http: httpx.AsyncClient, records: Any, bearer: Callable[..., Any], logged: list[Any]
    ) -> None:
        self._http, self._records, self._logged = http, records, logged
        self._everything = bearer(*EVERYTHING)
        self._platform = bearer("platform_admin", tenant="platform")

    async def send(
        self, operation: Operation, body: bytes, *codes: str, about: object = ""
    ) -> httpx.Response:
        """Send it; the answer must be a published problem of one of these codes."""
        answer = await self.answer(operation, body)
        told = (operation.name, about, body[:200], answer.text)
        assert answer.headers["content-type"] == "application/problem+json", told
        document = answer.json()
        assert document["code"] in ({"CALLBACK_SIGNATURE_INVALID"} if operation.name == SIGNED
                                    else set(codes)), told  # fmt: skip
        published = {(each.code, each.status) for each in CATALOGUE}
        assert (document["code"], answer.status_code) in published, told
        return answer

    async def answer(self, operation: Operation, body: bytes) -> httpx.Response:
        """Send it; whatever the answer is, it is none of ours, echoes nothing and keeps nothing."""
        platform = operation.path == "/api/v1/tenants"
        answer = await self._http.request(
            operation.method, operation.url(), content=body,
            headers={**(self._platform if platform else self._everything),
                     "content-type": "application/json", "idempotency-key": "k" * 16},
        )  # fmt: skip
        told = (operation.name, body[:200], answer.text)
        assert answer.status_code < 500, told
        assert CANARY.lower() not in answer.text.lower(), told
        assert "traceback" not in answer.text.lower(), told
        assert self._records.submitted == [], told
        assert self._records.trail.recorded == [], told
        assert [line for line in self._logged if line["log_level"] == "error"] == [], told
        return answer


@pytest_asyncio.fixture(loop_scope="session")
async def attacker(
    http: httpx.AsyncClient, records: Any, bearer: Callable[..., Any], logged: list[Any],
    app: FastAPI,
) -> AsyncIterator[Attacker]:  # fmt: skip
    assert set(app.openapi()["paths"]) == {each.path for each in OPERATIONS.values()}
    yield Attacker(http, records, bearer, logged)


def test_every_body_of_the_description_is_attacked() -> None:
    described = {name for name, each in OPERATIONS.items() if "requestBody" in each.described}
    assert set(WRITES) == described
    assert len(WRITES) >= 21
    fields = [place for name in WRITES for place, _ in OPERATIONS[name].fields()]
    print(f"{len(WRITES)} bodies, {len(fields)} fields")
    assert len(fields) >= 75


# Mass assignment: what is decided here is no field of anybody's.

ASSIGNED: Final = (
    "status", "state", "stage", "tenant_id", "tenant", "user_id", "subject", "id", "application_id",
    "review_id", "score", "pd", "risk_level", "decision", "approved", "roles", "role", "scopes",
    "is_admin", "admin", "verified", "identity", "kyc_status", "apr_bps", "fee_minor", "decided_by",
    "created_at", "expires_at", "password_hash", "__proto__", "constructor", "__class__", "$where",
)  # fmt: skip


async def test_nothing_is_assigned_that_is_not_asked_for(attacker: Attacker) -> None:
    for name in WRITES:
        operation = OPERATIONS[name]
        for place, known in operation.objects():
            for field in sorted(set(ASSIGNED) - known):
                body = operation.planted((*place, field), json.dumps(CANARY))
                if name in FOREIGN_OBJECTS:
                    await attacker.answer(operation, body)
                    continue
                answer = await attacker.send(operation, body, "VALIDATION_FAILED", about=field)
                if name != SIGNED:
                    # The name is the sender's own word, too: it is told where, not what.
                    where = "/" + "/".join(map(str, ("body", *place)))
                    told = {"pointer": where, "reason": "extra_forbidden"}
                    errors = answer.json()["errors"]
                    assert told in errors, (name, field, answer.text)
                    assert not [each for each in errors if field in each["pointer"].split("/")]


# Numbers.

NO_JSON: Final = (
    "NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e1000000", "9" * 5_000, "٣٦", "036",
    "0x24", "1_000", "+1", ".5", "5.", "-", "1e", "--1",
)  # fmt: skip
NO_INTEGER: Final[tuple[str, ...]] = (
    '"36"', '"٣٦"', '"3_6"', '"1e1000000"', '"NaN"', "36.5", "0.1234567890123456789012345678901",
    "3.6e1", "1e300", "true", "-1", "-0.0", str(2**63), str(2**256), "[36]", '{"value":36}',
)  # fmt: skip
NO_DIGITS: Final[tuple[str, ...]] = (
    '"٣٦"', '"3_6"', '"1e5"', '"1e1000000"', '"-1"', '"+1"', '" 7"', '"0x10"', '"1.0"',
    '"0.1234567890123456789012345678901"', '"NaN"', f'"{"9" * 500}"', "36", "36.5", '""',
)  # fmt: skip


async def test_what_is_no_number_of_json_is_no_number(attacker: Attacker) -> None:
    """In any field, whatever it should be: the body is not read."""
    for name in WRITES:
        operation = OPERATIONS[name]
        for place, _ in operation.fields():
            for raw in NO_JSON:
                body = operation.planted(place, raw)
                await attacker.send(operation, body, "BODY_MALFORMED", about=place)


async def test_a_number_is_a_whole_one_within_its_range(attacker: Attacker) -> None:
    for name in WRITES:
        operation = OPERATIONS[name]
        for place, schema in operation.fields():
            digits = "0-9" in schema.get("pattern", "") and operation.example.get(place[-1], "x")
            if schema.get("type") == "integer":
                wrong = NO_INTEGER
            elif isinstance(digits, str) and digits.isdigit():
                wrong = NO_DIGITS
            else:
                continue
            for raw in wrong:
                body = operation.planted(place, raw)
                await attacker.send(operation, body, "VALIDATION_FAILED", about=place)


def test_there_are_numbers_of_both_kinds() -> None:
    integers = [
        (name, place) for name in WRITES for place, schema in OPERATIONS[name].fields()
        if schema.get("type") == "integer"
    ]  # fmt: skip
    assert len(integers) >= 8
    accept = "POST /api/v1/applications/{application_id}/accept"
    assert OPERATIONS[accept].example["nonce"].isdigit()


# Texts.

TOO_LONG: Final = json.dumps("x" * 30_000)
HOSTILE_TEXTS: Final = (
    "'; DROP TABLE applications; --", "' OR '1'='1", '" OR ""="', "1; SELECT pg_sleep(10)",
    "%27%20OR%201=1", "\\'; --", "${jndi:ldap://x/a}", "{{7*7}}", "<script>alert(1)</script>",
    "../../../../etc/passwd", "=cmd|' /C calc'!A0", "%s%s%n", "\u202eevil", "\u200b", "\ufeff",
)  # fmt: skip


def texts(operation: Operation) -> list[Place]:
    """Where its body has a text."""
    return [
        place for place, schema in operation.fields()
        if schema.get("type") == "string" or "enum" in schema or "const" in schema
    ]  # fmt: skip


async def test_a_text_that_nothing_can_keep_is_refused(attacker: Attacker) -> None:
    for name in WRITES:
        operation = OPERATIONS[name]
        for place in texts(operation):
            for raw, code in (
                (TOO_LONG, "VALIDATION_FAILED"),
                ('"\\ud800"', "BODY_MALFORMED"),
                (json.dumps("x" * 70_000), "BODY_TOO_LARGE"),
                ("7", "VALIDATION_FAILED"),
                ('{"$ne": null}', "VALIDATION_FAILED"),
                ('["x"]', "VALIDATION_FAILED"),
            ):
                body = operation.planted(place, raw)
                if code == "BODY_TOO_LARGE" and name == SIGNED:
                    assert (await attacker.answer(operation, body)).status_code == 413
                else:
                    await attacker.send(operation, body, code, about=(place, raw[:40]))


async def test_no_text_holds_what_no_database_and_no_screen_does(attacker: Attacker) -> None:
    for name in WRITES:
        operation = OPERATIONS[name]
        for place in texts(operation):
            # A password is hashed and never shown; GraphQL refuses what it cannot parse itself.
            free = place == ("password",) or name == "POST /graphql"
            for text in ("\x00", "\x1b[2J", "\x9b31m", "\x08", "\u202e"):
                good = str(operation.shown(place) or "xx")
                body = operation.planted(place, json.dumps(good[:1] + text + good[1:]))
                if free:
                    assert (await attacker.answer(operation, body)).status_code < 500
                else:
                    await attacker.send(operation, body, "VALIDATION_FAILED", about=(place, text))


async def test_a_hostile_text_is_a_text(attacker: Attacker) -> None:
    """Refused or taken as data: never an error of ours, never said again."""
    for name in WRITES:
        operation = OPERATIONS[name]
        for place in texts(operation):
            for text in HOSTILE_TEXTS:
                answer = await attacker.answer(
                    operation, operation.planted(place, json.dumps(text))
                )
                assert text not in answer.text, (name, place, answer.text)


# Structure.


async def test_a_body_has_one_reading_and_little_depth(attacker: Attacker) -> None:
    for name in WRITES:
        operation = OPERATIONS[name]
        twice = []
        for place, _ in operation.fields():
            # The same value twice is refused, too: another reader may take the other one.
            *path, last = place
            if isinstance(last, str):
                key = json.dumps(last)
                spare = operation.planted((*path, "\u2604"), "0")
                doubled = f"{key}: 1, {key}: 1".encode()
                twice.append(spare.replace('"\u2604": 0'.encode(), doubled))
        bombs = [
            operation.planted(place, "[" * deep + "]" * deep)
            for place, _ in operation.fields()
            for deep in (200, 20_000)
        ]
        bombs += [b"[" * 60_000, b'{"a":' * 10_000, b'{"a":[' * 8_000]
        for body in [*twice, *bombs]:
            await attacker.send(operation, body, "BODY_MALFORMED")
        for body in (
            b"[]",
            b"null",
            b"7",
            b'"x"',
            b"{",
            b"\xff\xfe",
            b"{} {}",
            b"{'a':1}",
            b"\x00",
        ):
            await attacker.send(operation, body, "BODY_MALFORMED")
