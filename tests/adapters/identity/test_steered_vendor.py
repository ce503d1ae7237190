"""A vendor that calls back twice, late, out of order or forged, because it was told to."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.http import HTTPCaller
from adapters.identity.verifier import HTTPIdentityVerifier
from adapters.webhooks.signature import decode_secret, verify_callback
from models.domain.errors import Invalid, Transient

SECRET = "whsec_" + base64.b64encode(b"callback secret of the tests").decode()
VERIFICATION = "ver_" + "0" * 32


@dataclass
class Inbox:
    """Answers as the product does: 401 to a bad signature."""

    heard: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)

    async def take(self, request: Request) -> Response:
        body = await request.body()
        try:
            verify_callback(decode_secret(SECRET), request.headers, body, datetime.now(UTC))
        except Invalid:
            self.refused.append(json.loads(body))
            return Response(status_code=401)
        self.heard.append(json.loads(body))
        return Response(status_code=204)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def vendor(counterparty):
    config = {"api_key": "k", "callback_secret": SECRET, "delay_s": 0.0}
    return counterparty("identity_vendor", **config, steering_secret="s")


@pytest.fixture
def verifier(client, vendor, serve, inbox) -> HTTPIdentityVerifier:
    url = serve(Starlette(routes=[Route("/cb", inbox.take, methods=["POST"])])).url + "/cb"
    return HTTPIdentityVerifier(HTTPCaller(client, vendor.url), "veridoc", "k", url)


def _told(vendor: Any, do: dict[str, Any], number: str = "P1234567") -> None:
    field = "person.document.number"
    match = {"endpoint": "POST /v1/checks", "field": field, "equals": number}
    rules = {"rules": [{"id": "a", "match": match, "do": do}]}
    headers = {"authorization": "Bearer s"}
    url = f"{vendor.url}/steering"
    assert httpx.post(url, json=rules, headers=headers, trust_env=False).is_success


async def test_ten_copies_at_once_are_one_event(
    verifier, vendor, inbox, applicant, eventually
) -> None:
    _told(vendor, {"copies": 10})
    await verifier.submit("acme", VERIFICATION, applicant())
    await eventually(lambda: len(inbox.heard) == 10)
    assert len({event["event_id"] for event in inbox.heard}) == 1
    assert len(vendor.lines("effect")) == 2  # the check, its verdict


@pytest.mark.parametrize(
    ("callbacks", "verdicts"),
    [
        (["superseded", "verdict"], ["rejected", "clear"]),
        (["verdict", "superseded"], ["clear", "rejected"]),
        (["pending", "verdict"], [None, "clear"]),
        (["verdict", "pending"], ["clear", None]),
    ],
)
async def test_events_come_in_the_order_told(
    verifier, vendor, inbox, applicant, eventually, callbacks, verdicts
) -> None:
    _told(vendor, {"callbacks": callbacks})
    await verifier.submit("acme", VERIFICATION, applicant())
    await eventually(lambda: len(inbox.heard) == 2)
    assert [event["verdict"] for event in inbox.heard] == verdicts
    await eventually(lambda: len(vendor.lines("callback")) == 2)
    assert [line["sent"] for line in vendor.lines("callback")] == callbacks


async def test_a_forgery_precedes_the_true_verdict(
    verifier, vendor, inbox, applicant, eventually
) -> None:
    _told(vendor, {"callbacks": ["forged", "verdict"], "verdict": "rejected"})
    await verifier.submit("acme", VERIFICATION, applicant())
    await eventually(lambda: len(inbox.heard) == 1)
    assert [event["verdict"] for event in inbox.refused] == ["clear"]
    assert [event["verdict"] for event in inbox.heard] == ["rejected"]


async def test_silence_is_for_the_named_person_alone(
    verifier, vendor, inbox, applicant, eventually
) -> None:
    _told(vendor, {"callbacks": []}, number="SILENT-1")
    await verifier.submit("acme", VERIFICATION, applicant("SILENT-1"))
    await verifier.submit("acme", "ver_" + "1" * 32, applicant())
    await eventually(lambda: len(inbox.heard) == 1)
    assert inbox.heard[0]["reference"] == "acme:ver_" + "1" * 32


async def test_a_restarted_vendor_keeps_to_the_plan_it_was_told(
    verifier, vendor, counterparty, inbox, applicant, eventually
) -> None:
    plan = {"callbacks": ["forged", "verdict"], "verdict_after_s": 1.5, "copies": 2}
    _told(vendor, plan)
    await verifier.submit("acme", VERIFICATION, applicant())
    vendor.stop()
    assert (inbox.heard, inbox.refused) == ([], [])
    restarted = counterparty("identity_vendor", **vendor.config)
    await eventually(lambda: len(restarted.lines("callback")) == 3)
    restarted.stop()
    counterparty("identity_vendor", **vendor.config)
    assert (len(inbox.heard), len(inbox.refused)) == (2, 1)


async def test_a_swallowed_reply_opens_one_check(
    verifier, vendor, inbox, applicant, eventually
) -> None:
    _told(vendor, {"swallow_reply": True})
    with pytest.raises(Transient):
        await verifier.submit("acme", VERIFICATION, applicant())
    await eventually(lambda: len(inbox.heard) == 1)
    assert len([e for e in vendor.lines("effect") if e["effect"] == "check.opened"]) == 1
