"""Callbacks the identity vendor did not send: refused, stored nowhere, believed by nobody."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from adapters.webhooks.signature import decode_secret, sign_callback
from sandbox.borrower import Borrower
from tests.e2e.outside import World, eventually, refusal_of

pytestmark = pytest.mark.stack

PATH = "/callbacks/identity"


@dataclass(frozen=True)
class Waiting:
    """A person whose verification the vendor never answers, and what would verify them."""

    person: Borrower
    application_id: str
    verification: dict[str, Any]
    secret: bytes

    def event(self, **changes: Any) -> dict[str, Any]:
        """The event that would verify the person."""
        tenant, verification = self.person.data["tenant"], self.verification["verification_id"]
        return {
            "event_id": f"evt_{secrets.token_hex(16)}",
            "type": "check.completed",
            "check_id": self.verification["check_id"],
            "reference": f"{tenant}:{verification}",
            "verdict": "clear",
            "reason": None,
            "occurred_at": datetime.now(UTC).isoformat(),
            **changes,
        }

    def signed(self, body: bytes, *, secret: bytes | None = None, age_s: int = 0) -> dict[str, str]:
        """The vendor's headers over a body."""
        at = datetime.now(UTC) - timedelta(seconds=age_s)
        return sign_callback(secret or self.secret, f"evt_{secrets.token_hex(8)}", body, at)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def waiting(world: World) -> Waiting:
    """Somebody who is not verified, and never will be by the vendor."""
    return await _waiting_of(world, world.person({"applicant.document.number": "NEVER-4"}))


async def _waiting_of(world: World, person: Borrower) -> Waiting:
    """The person, once the vendor has their documents."""
    application_id = await person.apply()

    async def submitted() -> list[dict[str, Any]]:
        return await world.truth.rows(
            "SELECT verification_id, check_id FROM kyc_verifications"
            " WHERE tenant_id = $1 AND check_id IS NOT NULL",
            person.data["tenant"],
        )

    [verification] = await eventually("the vendor has the documents", submitted)
    secret = decode_secret(world.stack.callback_secret())
    return Waiting(person, application_id, verification, secret)


def _bytes(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode()


def _genuine(waiting: Waiting, **changes: Any) -> tuple[bytes, dict[str, str]]:
    body = _bytes(waiting.event(**changes))
    return body, waiting.signed(body)


def _other_key(waiting: Waiting) -> tuple[bytes, dict[str, str]]:
    body = _bytes(waiting.event())
    return body, waiting.signed(body, secret=secrets.token_bytes(32))


def _other_body(waiting: Waiting) -> tuple[bytes, dict[str, str]]:
    return _bytes(waiting.event()), waiting.signed(_bytes(waiting.event(verdict="rejected")))


def _other_id(waiting: Waiting) -> tuple[bytes, dict[str, str]]:
    body, headers = _genuine(waiting)
    return body, {**headers, "webhook-id": "evt_other"}


def _aged(age_s: int) -> Callable[[Waiting], tuple[bytes, dict[str, str]]]:
    def make(waiting: Waiting) -> tuple[bytes, dict[str, str]]:
        body = _bytes(waiting.event())
        return body, waiting.signed(body, age_s=age_s)

    return make


def _without(name: str) -> Callable[[Waiting], tuple[bytes, dict[str, str]]]:
    def make(waiting: Waiting) -> tuple[bytes, dict[str, str]]:
        body, headers = _genuine(waiting)
        return body, {key: value for key, value in headers.items() if key != name}

    return make


def _signature(text: str) -> Callable[[Waiting], tuple[bytes, dict[str, str]]]:
    def make(waiting: Waiting) -> tuple[bytes, dict[str, str]]:
        body, headers = _genuine(waiting)
        return body, {**headers, "webhook-signature": text}

    return make


FORGED: dict[str, Callable[[Waiting], tuple[bytes, dict[str, str]]]] = {
    "signed with another key": _other_key,
    "signed over another body": _other_body,
    "signed for another event": _other_id,
    "an hour old": _aged(3_600),
    "from the future": _aged(-3_600),
    "without a signature": _without("webhook-signature"),
    "without an id": _without("webhook-id"),
    "without a timestamp": _without("webhook-timestamp"),
    "with an empty signature": _signature(""),
    "with a signature of another version": _signature("v2,AAAA"),
    "with a signature that is no base64": _signature("v1,@@@@"),
    "with the signature of nothing": _signature("v1,"),
}

# Signed by the vendor, and still not to be believed.
UNACCEPTABLE: dict[str, tuple[dict[str, Any], int]] = {
    "of a verification nobody asked for": ({"reference": "acme-wallet:ver_" + "0" * 32}, 404),
    "without a tenant": ({"reference": "ver_" + "0" * 32}, 422),
    "of a tenant that is a path": ({"reference": "../x:ver_1"}, 422),
    "with a verdict we do not know": ({"verdict": "approved"}, 422),
    "with a verdict in a list": ({"verdict": ["clear"]}, 422),
    "of another kind": ({"type": "check.opened"}, 422),
    "with an id that is a number": ({"event_id": 7}, 422),
    "with an id that is a statement": ({"event_id": "x'; DROP TABLE applications --"}, 422),
}


@pytest.mark.parametrize("what", FORGED)
async def test_a_forged_callback_is_refused(world: World, waiting: Waiting, what: str) -> None:
    body, headers = FORGED[what](waiting)
    answer = await _unmoved(world, waiting, body, headers)
    refusal_of(answer, 401)


@pytest.mark.parametrize("what", UNACCEPTABLE)
async def test_a_signed_callback_must_make_sense(world: World, waiting: Waiting, what: str) -> None:
    changes, status = UNACCEPTABLE[what]
    body, headers = _genuine(waiting, **changes)
    refusal_of(await _unmoved(world, waiting, body, headers), status)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"null", 422),
        (b"[]", 422),
        (b"{}", 422),
        (b'{"verdict":NaN}', 422),
        (b'{"verdict":"clear","verdict":"clear"}', 422),
        (b'{"reason":"\\ud800"}', 422),
        (b"\xff", 422),
        (b'{"a":' * 20_000, 413),
        (b"[" * 50_000, 422),
    ],
)
async def test_a_signed_body_that_is_no_event_is_refused(
    world: World, waiting: Waiting, body: bytes, status: int
) -> None:
    refusal_of(await _unmoved(world, waiting, body, waiting.signed(body)), status)


async def test_another_tenants_name_on_a_verification_is_unknown(
    world: World, waiting: Waiting
) -> None:
    verification = waiting.verification["verification_id"]
    body, headers = _genuine(waiting, reference=f"another-tenant:{verification}")
    refusal_of(await _unmoved(world, waiting, body, headers), 404, "NOT_FOUND")
    assert await world.truth.footprint("another-tenant") == {}


async def test_an_unknown_vendor_is_not_found(world: World, waiting: Waiting) -> None:
    body, headers = _genuine(waiting)
    for path in ("/callbacks/somebody", "/callbacks/identity%2F..", "/callbacks/"):
        answer = await _unmoved(world, waiting, body, headers, path=path)
        refusal_of(answer, 404, "NOT_FOUND")


async def test_the_genuine_callback_would_have_been_believed(world: World) -> None:
    """Or else the tables above would prove nothing; a repetition is answered alike, stored once."""
    person = world.person({"applicant.document.number": "NEVER-5"})
    own = await _waiting_of(world, person)
    body, headers = _genuine(own)
    for _ in range(2):
        assert (await world.http.post(PATH, content=body, headers=headers)).status_code == 204
    await world.until(person, own.application_id, "offered")
    assert (await world.truth.footprint(person.data["tenant"]))["callback_events"] == 1


async def _unmoved(
    world: World, waiting: Waiting, body: bytes, headers: dict[str, str], *, path: str = PATH
) -> httpx.Response:
    """Deliver what must change nothing at all."""
    tenant = waiting.person.data["tenant"]
    before = await world.truth.footprint(tenant)
    answer = await world.http.post(path, content=body, headers=headers)
    assert await world.truth.footprint(tenant) == before
    assert "callback_events" not in before
    view = await waiting.person.view(waiting.application_id)
    assert (view["state"], view["stage"], view["identity"]) == ("processing", "identity", "pending")
    return answer
