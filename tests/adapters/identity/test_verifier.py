"""The identity vendor: asked once, answering by callbacks that prove their origin."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.http import HTTPCaller
from adapters.identity.verifier import HTTPIdentityVerifier
from adapters.identity.verifier_mapping import parse_callback
from adapters.webhooks.signature import decode_secret, verify_callback
from models.domain.errors import Invalid, Permanent, Transient
from models.domain.kyc import VendorVerdict, VerificationCallback

SECRET = "whsec_" + base64.b64encode(b"callback secret of the tests").decode()
VERIFICATION = "ver_" + "0" * 32


@dataclass
class Inbox:
    """Our end of the callback: answers with the given statuses, then 204."""

    statuses: list[int] = field(default_factory=list)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def take(self, request: Request) -> Response:
        body = await request.body()
        self.received.append((dict(request.headers), body))
        return Response(status_code=self.statuses.pop(0) if self.statuses else 204)

    def ids(self) -> list[str]:
        """The message ids of everything received, each verified as the product verifies it."""
        now, secret = datetime.now(UTC), decode_secret(SECRET)
        return [verify_callback(secret, headers, body, now) for headers, body in self.received]

    def callbacks(self) -> list[tuple[str, VerificationCallback]]:
        return [parse_callback(body) for _, body in self.received]


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def callback_url(serve, inbox) -> str:
    return serve(Starlette(routes=[Route("/cb", inbox.take, methods=["POST"])])).url + "/cb"


@pytest.fixture
def vendor(counterparty, secret_token):
    return counterparty(
        "identity_vendor", api_key=secret_token, callback_secret=SECRET, delay_s=0.0
    )


@pytest.fixture
def verifier(client, vendor, callback_url) -> HTTPIdentityVerifier:
    caller = HTTPCaller(client, vendor.url)
    return HTTPIdentityVerifier(caller, "veridoc", vendor.config["api_key"], callback_url)


@pytest.mark.parametrize(
    ("document", "verdict", "has_reason"),
    [
        ("P1234567", VendorVerdict.CLEAR, False),
        ("P-UNCLEAR-1", VendorVerdict.UNCLEAR, True),
        ("p-reject-slow0", VendorVerdict.REJECTED, True),
    ],
)
async def test_the_verdict_arrives_signed(
    verifier, inbox, applicant, eventually, document, verdict, has_reason
) -> None:
    await verifier.submit("acme", VERIFICATION, applicant(document))
    await eventually(lambda: len(inbox.received) == 1)
    [(tenant_id, callback)] = inbox.callbacks()
    assert (tenant_id, callback.verification_id) == ("acme", VERIFICATION)
    assert (callback.verdict, callback.reason is not None) == (verdict, has_reason)
    assert inbox.ids() == [callback.event_id]


async def test_asking_again_finds_the_same_check_and_one_callback(
    verifier, vendor, inbox, applicant, eventually
) -> None:
    first = await verifier.submit("acme", VERIFICATION, applicant())
    again = await verifier.submit("acme", VERIFICATION, applicant())
    await eventually(lambda: len(vendor.lines("callback")) == 1)
    assert first == again
    assert [line["effect"] for line in vendor.lines("effect")] == [
        "check.opened",
        "check.completed",
    ]
    assert [line["attempt"] for line in vendor.lines("request")] == [1, 2]
    assert len(inbox.received) == 1


async def test_the_same_verification_with_another_person_is_refused(verifier, applicant) -> None:
    await verifier.submit("acme", VERIFICATION, applicant())
    with pytest.raises(Permanent) as raised:
        await verifier.submit("acme", VERIFICATION, applicant("OTHER"))
    assert raised.value.code == "VERIFICATION_REFUSED"
    assert "422" in raised.value.detail


async def test_the_same_verification_id_of_another_tenant_is_another_check(
    verifier, applicant
) -> None:
    ours = await verifier.submit("acme", VERIFICATION, applicant())
    assert await verifier.submit("zenith", VERIFICATION, applicant()) != ours


async def test_a_refused_api_key_is_for_us_to_repair(client, vendor, applicant) -> None:
    verifier = HTTPIdentityVerifier(HTTPCaller(client, vendor.url), "veridoc", "wrong", "http://x/")
    with pytest.raises(Transient) as raised:
        await verifier.submit("acme", VERIFICATION, applicant())
    assert raised.value.code == "CREDENTIALS_REFUSED"
    assert "wrong" not in str(raised.value)


async def test_a_callback_is_repeated_until_it_is_taken(
    verifier, vendor, inbox, applicant, eventually
) -> None:
    inbox.statuses = [500, 401]
    await verifier.submit("acme", VERIFICATION, applicant())
    await eventually(lambda: len(inbox.received) == 3)
    assert len(set(inbox.ids())) == 1
    assert len({body for _, body in inbox.received}) == 1
    await eventually(lambda: len(vendor.lines("callback")) == 3)
    assert [line["status"] for line in vendor.lines("callback")] == [500, 401, 204]


async def test_twice_delivers_the_same_event_twice(verifier, inbox, applicant, eventually) -> None:
    await verifier.submit("acme", VERIFICATION, applicant("TWICE-1"))
    await eventually(lambda: len(inbox.received) == 2)
    assert len(set(inbox.ids())) == 1
    assert len(set(inbox.callbacks())) == 1


async def test_never_stays_pending(client, verifier, vendor, inbox, applicant, eventually) -> None:
    silent = await verifier.submit("acme", VERIFICATION, applicant("NEVER-1"))
    spoken = await verifier.submit("acme", "ver_" + "1" * 32, applicant())
    await eventually(lambda: len(inbox.received) == 1)
    headers = {"authorization": f"Bearer {vendor.config['api_key']}"}
    caller = HTTPCaller(client, vendor.url)
    for check_id, status in ((silent, "pending"), (spoken, "completed")):
        answer = await caller.call("GET", f"/v1/checks/{check_id}", headers=headers)
        assert answer.body["status"] == status
    [(_, callback)] = inbox.callbacks()
    assert callback.verification_id == "ver_" + "1" * 32


async def test_a_restarted_vendor_delivers_what_it_owes_and_nothing_twice(
    verifier, vendor, counterparty, inbox, applicant, eventually
) -> None:
    await verifier.submit("acme", VERIFICATION, applicant())
    await eventually(lambda: len(vendor.lines("callback")) == 1)
    await verifier.submit("acme", "ver_" + "1" * 32, applicant("SLOW2"))
    vendor.stop()
    assert len(inbox.received) == 1
    counterparty("identity_vendor", **vendor.config)
    await eventually(lambda: len(inbox.received) == 2)
    assert [c.verification_id for _, c in inbox.callbacks()] == [VERIFICATION, "ver_" + "1" * 32]


async def test_the_vendor_s_log_names_no_person(
    verifier, vendor, inbox, applicant, eventually
) -> None:
    await verifier.submit("acme", VERIFICATION, applicant("P7654321"))
    await eventually(lambda: len(vendor.lines("callback")) == 1)
    log = vendor.log.read_text()
    for personal in ("Zelda", "Quillfeather", "1990-04-05", "P7654321", "Heron"):
        assert personal not in log
    assert vendor.config["api_key"] not in log


EVENT: dict[str, Any] = {
    "event_id": "evt_1",
    "type": "check.completed",
    "check_id": "chk_1",
    "reference": f"acme:{VERIFICATION}",
    "verdict": "clear",
    "reason": None,
    "occurred_at": "2026-03-01T12:00:00Z",
    "something_new": {"a": 1},
}


def test_a_callback_may_grow_fields() -> None:
    assert parse_callback(json.dumps(EVENT).encode()) == (
        "acme",
        VerificationCallback("evt_1", VERIFICATION, VendorVerdict.CLEAR),
    )


@pytest.mark.parametrize(
    ("stated", "kept"),
    [
        (None, None),
        ("DOCUMENT_NOT_LEGIBLE", "DOCUMENT_NOT_LEGIBLE"),
        ("name Ada Canary differs from the passport", "VENDOR_REMARK"),
        ("ADA CANARY", "VENDOR_REMARK"),
        ("X" * 65, "VENDOR_REMARK"),
        ("", "VENDOR_REMARK"),
    ],
)
def test_only_codes_are_kept_of_a_reason(stated: str | None, kept: str | None) -> None:
    _, callback = parse_callback(json.dumps({**EVENT, "reason": stated}).encode())
    assert callback.reason == kept


@pytest.mark.parametrize(
    "changes",
    [
        {"verdict": "CLEAR"},
        {"verdict": None},
        {"verdict": ["clear"]},
        {"type": "check.reopened"},
        {"event_id": ""},
        {"event_id": 7},
        {"event_id": "evt 1"},
        {"reference": VERIFICATION},
        {"reference": f":{VERIFICATION}"},
        {"reference": "acme:"},
        {"reference": f"acme:{VERIFICATION}:more"},
        {"reference": "acme/x:ver_1"},
        {"reference": "a" * 200},
        {"reason": 5},
    ],
)
def test_a_malformed_callback_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as raised:
        parse_callback(json.dumps({**EVENT, **changes}).encode())
    assert raised.value.code == "CALLBACK_MALFORMED"
    assert raised.value.detail == next(iter(changes))


@pytest.mark.parametrize("body", [b"", b"[]", b'{"verdict":"clear","verdict":"rejected"}', b"\xff"])
def test_a_callback_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid) as raised:
        parse_callback(body)
    assert raised.value.code == "CALLBACK_MALFORMED"
