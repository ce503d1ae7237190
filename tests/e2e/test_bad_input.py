"""Applications that nobody should send: refused as documented, nothing echoed, nothing stored."""

from __future__ import annotations

import asyncio
import copy
import json
import secrets
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio

from sandbox.borrower import Borrower
from tests.e2e.outside import World, changed, refusal_of

pytestmark = pytest.mark.stack

PATH = "/api/v1/applications"
ECHO = "Echo5Canary"

# (field, JSON as it stands in the body, status). 400: not JSON as we read it; 422: JSON, but not
# an acceptable application.
WRONG_VALUES = [
    *(
        (field, literal, status)
        for field in (
            "amount_minor",
            "term_months",
            "finances.annual_income_minor",
            "finances.employment_months",
            "wallet.issued_at",
        )
        for literal, status in (
            ('"36"', 422),
            ('"٣٦"', 422),  # Arabic-Indic digits: int() would read them
            ('"3_6"', 422),
            ("36.0", 422),
            ("36.5", 422),
            ("3.6e1", 422),
            ("true", 422),
            ("null", 422),
            ("[36]", 422),
            ('{"value":36}', 422),
            ("-1", 422),
            (str(2**63), 422),
            (str(2**256), 422),
            ("9" * 5_000, 400),
            ("NaN", 400),
            ("Infinity", 400),
            ("-Infinity", 400),
            ("1e400", 400),
            ("-1e400", 400),
            ("٣٦", 400),
            ("036", 400),
            ("0x24", 400),
        )
    ),
    ("amount_minor", "0", 422),
    ("amount_minor", "1000000001", 422),
    ("term_months", "0", 422),
    ("term_months", "2", 422),
    ("term_months", "121", 422),
    ("currency", '"usd"', 422),
    ("currency", f'"{ECHO}"', 422),
    ("currency", '"EUR"', 422),  # a currency we know, that settles on no chain here
    ("purpose", f'"{ECHO}"', 422),
    ("purpose", "1", 422),
    ("applicant", "[]", 422),
    ("applicant", f'"{ECHO}"', 422),
    ("applicant.given_name", '""', 422),
    ("applicant.given_name", '"   "', 422),
    ("applicant.given_name", "17", 422),
    ("applicant.given_name", f'"{ECHO}\\u0000"', 422),
    ("applicant.given_name", f'"{ECHO}\\u202e"', 422),
    ("applicant.given_name", f'"{ECHO}\\ud800"', 400),
    ("applicant.given_name", f'"{ECHO * 20}"', 422),
    ("applicant.born_on", '"1985-02-30"', 422),
    ("applicant.born_on", '"12.04.1985"', 422),
    ("applicant.born_on", '"1985-04-12T00:00:00Z"', 422),
    ("applicant.born_on", '"١٩٨٥-٠٤-١٢"', 422),
    ("applicant.born_on", "19850412", 422),
    ("applicant.email", f'"{ECHO}"', 422),
    ("applicant.email", f'"{ECHO}@x@y.example"', 422),
    ("applicant.national_id", f'"{ECHO}; DROP TABLE applications"', 422),
    ("applicant.national_id", '"١٠٠"', 422),
    ("applicant.address.country", '"us"', 422),
    ("applicant.address.country", f'"{ECHO}"', 422),
    ("applicant.document.kind", f'"{ECHO}"', 422),
    ("user_id", '"somebody-else"', 403),
    ("user_id", f'"{ECHO}/../x"', 422),
    ("wallet.address", '"0x12"', 422),
    ("wallet.address", f'"{"0x" + "zz" * 20}"', 422),
    ("wallet.signature", f'"{"0x" + "00" * 65}"', 422),
    ("wallet.signature", f'"{"0x" + "ff" * 65}"', 422),
    ("wallet.signature", '"0x"', 422),
]


def _missing(field: str) -> Callable[[dict[str, Any]], bytes]:
    def body(valid: dict[str, Any]) -> bytes:
        *path, last = field.split(".")
        place = valid
        for part in path:
            place = place[part]
        del place[last]
        return json.dumps(valid).encode()

    return body


def _with(**more: Any) -> Callable[[dict[str, Any]], bytes]:
    return lambda valid: json.dumps({**valid, **more}).encode()


def _twice(valid: dict[str, Any]) -> bytes:
    return b'{"amount_minor":1,' + json.dumps(valid).encode()[1:]


def _nested(valid: dict[str, Any]) -> bytes:
    return b'{"applicant":' + b"[" * 20_000 + b"]" * 20_000 + b"}"


# What is wrong with the whole body.
WRONG_BODIES: dict[str, tuple[Callable[[dict[str, Any]], bytes], int]] = {
    "an unknown field": (_with(**{ECHO: 1}), 422),
    "an unknown field deep down": (
        lambda valid: json.dumps(changed(valid, {f"applicant.address.{ECHO}": 1})).encode(),
        422,
    ),
    "a protected attribute": (
        lambda valid: json.dumps(changed(valid, {"applicant.religion": ECHO})).encode(),
        422,
    ),
    "no amount": (_missing("amount_minor"), 422),
    "no wallet": (_missing("wallet"), 422),
    "no wallet proof": (_missing("wallet.signature"), 422),
    "no name": (_missing("applicant.family_name"), 422),
    "a key twice": (_twice, 400),
    "deep nesting": (_nested, 400),
    "100 KB": (_with(padding=ECHO * 10_000), 413),
    "no JSON": (lambda _: f"<{ECHO}/>".encode(), 400),
    "half of it": (lambda valid: json.dumps(valid).encode()[:-5], 400),
    "two documents": (lambda valid: json.dumps(valid).encode() * 2, 400),
    "an array": (lambda valid: json.dumps([valid]).encode(), 400),
    "a string": (lambda _: f'"{ECHO}"'.encode(), 400),
    "null": (lambda _: b"null", 400),
    "an empty object": (lambda _: b"{}", 422),
    "UTF-16": (lambda valid: json.dumps(valid).encode("utf-16"), 400),
    "not UTF-8": (lambda _: b'{"purpose":"\xff\xfe"}', 400),
    "a NUL byte": (lambda _: b'{"purpose":"\x00"}', 400),
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stranger(world: World) -> Borrower:
    """Somebody whose every request here is refused: their tenant stays empty."""
    return world.person()


def _valid(person: Borrower) -> dict[str, Any]:
    """A body that would be accepted, to be spoiled."""
    return copy.deepcopy(person.application_body())


async def _refused(
    world: World, person: Borrower, content: bytes, status: int, **headers: str
) -> httpx.Response:
    """Post bytes that must be refused without a trace."""
    given = {
        **person.headers(),
        "Content-Type": "application/json",
        "Idempotency-Key": secrets.token_urlsafe(16),
        **headers,
    }
    answer = await world.http.post(PATH, content=content, headers=given)
    told = refusal_of(answer, status)
    assert ECHO.lower() not in answer.text.lower(), told
    for stated in ("Sandbox", person.wallet.address, "100-10-0001", person.data["user_id"]):
        assert stated not in answer.text
    assert await world.truth.footprint(person.data["tenant"]) == {}
    return answer


@pytest.mark.parametrize(("field", "literal", "status"), WRONG_VALUES)
async def test_a_wrong_value_is_refused(
    world: World, stranger: Borrower, field: str, literal: str, status: int
) -> None:
    body = json.dumps(changed(_valid(stranger), {field: "@@"}))
    answer = await _refused(world, stranger, body.replace('"@@"', literal).encode(), status)
    # Refused for this field and no other.
    place = "/body/" + field.replace(".", "/")
    pointers = {each["pointer"] for each in answer.json().get("errors", ())}
    assert all(pointer.startswith(place) for pointer in pointers), pointers


@pytest.mark.parametrize("what", WRONG_BODIES)
async def test_a_wrong_body_is_refused(world: World, stranger: Borrower, what: str) -> None:
    make, status = WRONG_BODIES[what]
    await _refused(world, stranger, make(_valid(stranger)), status)


async def test_an_empty_body_and_another_content_type_are_refused(
    world: World, stranger: Borrower
) -> None:
    await _refused(world, stranger, b"", 422)
    valid = json.dumps(stranger.application_body()).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; x"):
        answer = await _refused(world, stranger, valid, 415, **{"Content-Type": kind})
        assert answer.json()["code"] == "MEDIA_TYPE_NOT_READ"


async def test_a_wallet_of_somebody_else_is_refused(world: World, stranger: Borrower) -> None:
    other = world.person().application_body()["wallet"]
    own = stranger.application_body()
    replayed = world.restated(stranger, {"tenant": "another-tenant"}).application_body()["wallet"]
    old = {**own["wallet"], "issued_at": int(time.time()) - 3_600}
    for wallet in (other, replayed, old):
        body = json.dumps({**own, "wallet": wallet}).encode()
        answer = await _refused(world, stranger, body, 422)
        assert answer.json()["code"] == "WALLET_PROOF_INVALID"


@pytest.mark.parametrize("key", ["", "short", "x" * 129, "eight ch", "schlüssel-8", "tab\there-8"])
async def test_a_malformed_key_is_refused(world: World, stranger: Borrower, key: str) -> None:
    headers = {**stranger.headers(), "Idempotency-Key": key.encode()}
    answer = await world.http.post(PATH, json=stranger.application_body(), headers=headers)
    refusal_of(answer, 400, "IDEMPOTENCY_KEY_MALFORMED")
    assert await world.truth.footprint(stranger.data["tenant"]) == {}


async def test_a_missing_key_is_refused(world: World, stranger: Borrower) -> None:
    answer = await world.http.post(
        PATH, json=stranger.application_body(), headers=stranger.headers()
    )
    refusal_of(answer, 400, "IDEMPOTENCY_KEY_MISSING")
    assert await world.truth.footprint(stranger.data["tenant"]) == {}


async def test_a_repetition_gets_the_same_bytes_and_another_body_is_refused(world: World) -> None:
    person, key = world.person({"applicant.document.number": "NEVER-1"}), secrets.token_urlsafe(16)
    body, headers = person.application_body(), {**person.headers(), "Idempotency-Key": key}
    first = await world.http.post(PATH, json=body, headers=headers)
    assert first.status_code == 202
    again = await world.http.post(PATH, json=body, headers=headers)
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["location"] == first.headers["location"]
    other = await world.http.post(PATH, json={**body, "amount_minor": 1}, headers=headers)
    refusal_of(other, 422, "IDEMPOTENCY_KEY_REUSED")
    # The same bytes of somebody else of the tenant are another request as well.
    neighbour = world.person(tenant=person.data["tenant"])
    theirs = await world.http.post(PATH, json=body, headers={**headers, **neighbour.headers()})
    assert theirs.status_code == 422
    assert (await world.truth.footprint(person.data["tenant"]))["applications"] == 1


async def test_twenty_at_once_under_one_key_are_one_application(world: World) -> None:
    person, key = world.person({"applicant.document.number": "NEVER-2"}), secrets.token_urlsafe(16)
    body, headers = person.application_body(), {**person.headers(), "Idempotency-Key": key}
    answers = await asyncio.gather(
        *(world.http.post(PATH, json=body, headers=headers) for _ in range(20))
    )
    accepted = [answer for answer in answers if answer.status_code == 202]
    assert len({answer.content for answer in accepted}) == 1
    for answer in answers:
        if answer.status_code != 202:
            refusal_of(answer, 409, "REQUEST_IN_FLIGHT")
    rows = await world.truth.footprint(person.data["tenant"])
    assert (rows["applications"], rows["idempotency_keys"]) == (1, 1)
