"""The codec endpoint: operators read their own tenant's payloads, and no others."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import MessageToDict
from temporalio.client import Client

from tests.e2e.outside import Loan, World

pytestmark = pytest.mark.stack

CROSS_ORIGIN = "access-control-allow-origin"


@pytest.fixture
async def sealed(loan: Loan, temporal: Client) -> dict[str, Any]:
    """The input of a loan's workflow as Temporal keeps it, in the codec's own protocol."""
    handle = temporal.get_workflow_handle(loan.workflow_ids()[0])
    async for event in handle.fetch_history_events():
        started = event.workflow_execution_started_event_attributes
        return {"payloads": MessageToDict(started.input)["payloads"]}
    raise AssertionError("a workflow without events")


async def _decode(
    world: World, sealed: dict[str, Any], headers: dict[str, str], **more: Any
) -> httpx.Response:
    return await world.http.post("/codec/decode", json=sealed, headers=headers, **more)


async def _decoded_rows(world: World, tenant: str) -> list[dict[str, Any]]:
    return await world.truth.rows(
        "SELECT actor, detail FROM audit_log WHERE tenant_id = $1 AND action = 'payloads.decoded'",
        tenant,
    )


async def test_an_operator_of_the_tenant_reads_and_is_audited(
    world: World, loan: Loan, sealed: dict[str, Any]
) -> None:
    before = len(await _decoded_rows(world, loan.tenant))
    answer = await _decode(world, sealed, world.staff(loan.tenant, "support", "sam-support"))
    assert answer.status_code == 200, answer.text
    [payload] = answer.json()["payloads"]
    assert base64.b64decode(payload["metadata"]["encoding"]) == b"json/plain"
    plain = base64.b64decode(payload["data"]).decode()
    assert loan.application_id in plain
    assert loan.application_id not in str(sealed)
    rows = await _decoded_rows(world, loan.tenant)
    assert len(rows) == before + 1
    assert rows[-1] == {"actor": "sam-support", "detail": {"count": 1}}


async def test_an_operator_of_another_tenant_gets_it_back_as_it_was(
    world: World, loan: Loan, sealed: dict[str, Any]
) -> None:
    rows = await _decoded_rows(world, loan.tenant)
    answer = await _decode(world, sealed, world.staff("another-tenant", "support"))
    assert answer.status_code == 200
    assert answer.json() == sealed
    assert await _decoded_rows(world, loan.tenant) == rows
    assert await _decoded_rows(world, "another-tenant") == []


async def test_others_are_refused(world: World, loan: Loan, sealed: dict[str, Any]) -> None:
    refused = {
        "nobody": ({}, 401),
        "a forger": ({"Authorization": "Bearer eyJhbGciOiJub25lIn0.e30."}, 401),
        "the applicant": (loan.person.headers(), 403),
        "an auditor": (world.staff(loan.tenant, "auditor"), 403),
    }
    for who, (headers, status) in refused.items():
        answer = await _decode(world, sealed, headers)
        assert answer.status_code == status, who
        assert answer.headers["content-type"] == "application/problem+json"
        assert loan.application_id not in answer.text


async def test_an_undecipherable_payload_stays_as_it_is(
    world: World, loan: Loan, sealed: dict[str, Any]
) -> None:
    [payload] = sealed["payloads"]
    data = bytearray(base64.b64decode(payload["data"]))
    data[-1] ^= 1
    changed = {"payloads": [{**payload, "data": base64.b64encode(data).decode()}]}
    answer = await _decode(world, changed, world.staff(loan.tenant, "support"))
    assert answer.status_code == 200
    assert answer.json() == changed


async def test_what_an_operator_encodes_only_their_tenant_reads(world: World, loan: Loan) -> None:
    encoding = base64.b64encode(b"json/plain").decode()
    data = base64.b64encode(b'"hello"').decode()
    plain = {"payloads": [{"metadata": {"encoding": encoding}, "data": data}]}
    support = world.staff(loan.tenant, "support")
    encoded = await world.http.post("/codec/encode", json=plain, headers=support)
    assert encoded.status_code == 200, encoded.text
    [payload] = encoded.json()["payloads"]
    assert base64.b64decode(payload["metadata"]["encoding"]) == b"binary/encrypted"
    assert (await _decode(world, encoded.json(), support)).json() == plain


async def test_only_the_web_uis_origin_may_call_it_from_a_browser(
    world: World, loan: Loan, sealed: dict[str, Any]
) -> None:
    ui = world.stack.temporal.ui_url
    assert ui is not None
    support = world.staff(loan.tenant, "support")
    for origin, allowed in ((ui, ui), ("https://evil.example", None), ("null", None)):
        asked = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,x-namespace",
        }
        preflight = await world.http.options("/codec/decode", headers=asked)
        assert preflight.headers.get(CROSS_ORIGIN) == allowed, origin
        assert preflight.is_success == (allowed is not None)
        answer = await _decode(world, sealed, {**support, "Origin": origin})
        assert answer.headers.get(CROSS_ORIGIN) == allowed, origin
    # Credentials travel to the codec alone: the API itself answers no other origin at all.
    api = await world.http.get(
        f"/api/v1/applications/{loan.application_id}", headers={**support, "Origin": ui}
    )
    assert api.status_code == 200
    assert CROSS_ORIGIN not in api.headers


async def test_the_sign_in_page_sets_a_cookie_that_opens_the_codec_alone(
    world: World, loan: Loan, sealed: dict[str, Any]
) -> None:
    page = await world.http.get("/console/sign-in")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert f'<a href="{world.stack.temporal.ui_url}/namespaces/' in page.text
    token = world.staff(loan.tenant, "support")["Authorization"].removeprefix("Bearer ")
    url, form = "/console/session", {"token": f" {token}\n"}
    async with httpx.AsyncClient(base_url=world.stack.api_url, trust_env=False) as browser:
        signed_in = await browser.post(url, data=form, headers={"Origin": world.stack.api_url})
        assert signed_in.status_code == 303, signed_in.text
        cookie = signed_in.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie or "samesite=strict" in cookie
        decoded = await browser.post("/codec/decode", json=sealed)
        assert decoded.status_code == 200
        assert decoded.json() != sealed
        # A cookie travels by itself, so it writes nothing.
        written = await browser.post(
            f"/api/v1/reviews/rev_{'0' * 32}/decision",
            json={"decision": "approve", "reason": "cross-site"},
            headers={"Idempotency-Key": "cookie-write"},
        )
        assert written.status_code == 401
    for bad in ("garbage", loan.person.token):
        refused = await world.http.post(
            url, data={"token": bad}, headers={"Origin": world.stack.api_url}
        )
        assert refused.status_code == (401 if bad == "garbage" else 403)
        assert refused.headers["content-type"].startswith("text/html")
        assert 'role="alert"' in refused.text
        assert "Temporal Web UI" in refused.text
        assert "set-cookie" not in refused.headers
