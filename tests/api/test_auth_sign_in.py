"""Signing up, in and out at the front door of the running product."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from sandbox.stack import Stack
from tests.api.answers import framed, problem
from tests.api.front_door import FrontDoor, bearer, key

pytestmark = pytest.mark.stack


@pytest_asyncio.fixture(loop_scope="session")
async def door(stack: Stack) -> AsyncIterator[FrontDoor]:
    """A tenant of this test's own, open to applicants."""
    async with httpx.AsyncClient(base_url=stack.api_url, trust_env=False, timeout=30) as client:
        door = FrontDoor(client, stack, f"tenant-{uuid.uuid4().hex[:10]}")
        await door.open()
        yield door


async def test_an_applicant_registers_signs_in_and_is_known(door: FrontDoor) -> None:
    made = await door.register("Zephyrine@Example.org")
    assert made.status_code == 201, made.text
    account = made.json()
    assert account["roles"] == ["applicant"]
    tokens = await door.signed_in("zephyrine@example.org")
    assert tokens["token_type"] == "Bearer"
    profile = (await door.profile(tokens["access_token"])).json()
    assert (profile["subject"], profile["tenant"]) == (account["user_id"], door.tenant)
    assert (profile["email"], profile["name"]) == ("Zephyrine@Example.org", "Zephyrine Quackenbosh")
    assert profile["scopes"] == ["applications:read", "applications:write", "profile:read"]
    framed(made)


async def test_a_session_goes_on_and_ends(door: FrontDoor) -> None:
    await door.register("ada@example.org")
    first = await door.signed_in("ada@example.org")
    answer = await door.http.post("/auth/refresh", json={"refresh_token": first["refresh_token"]})
    assert answer.status_code == 200, answer.text
    second = answer.json()
    assert second["refresh_token"] != first["refresh_token"]
    for tokens in (first, second):
        assert (await door.profile(tokens["access_token"])).status_code == 200
    out = await door.http.post("/auth/logout", headers=bearer(second["access_token"]))
    assert (out.status_code, out.content) == (204, b"")
    for tokens in (first, second):
        problem(await door.profile(tokens["access_token"]), 401, "UNAUTHENTICATED")
        again = await door.http.post(
            "/auth/refresh", json={"refresh_token": tokens["refresh_token"]}
        )
        problem(again, 401, "SIGN_IN_REFUSED")


async def test_staff_comes_by_invitation(door: FrontDoor) -> None:
    admin = await door.admin()
    body = {"email": "uma@example.org", "roles": ["underwriter"]}
    write = {**admin, **key()}
    invited = await door.http.post("/api/v1/invitations", json=body, headers=write)
    assert invited.status_code == 201, invited.text
    again = await door.http.post("/api/v1/invitations", json=body, headers=write)
    assert again.content == invited.content  # the code too, byte for byte
    code = invited.json()["code"]
    made = await door.register("uma@example.org", invitation=code)
    assert made.json()["roles"] == ["underwriter"]
    problem(await door.register("eve@example.org", invitation=code), 409, "INVITATION_NOT_OPEN")
    tokens = await door.signed_in("uma@example.org")
    reviews = await door.http.get("/api/v1/reviews", headers=bearer(tokens["access_token"]))
    assert reviews.status_code == 200


async def test_a_service_account_calls_by_its_key(door: FrontDoor) -> None:
    admin = await door.admin()
    made = await door.http.post(
        "/api/v1/service-accounts",
        json={"name": "Checkout", "roles": ["integrator"]},
        headers={**admin, **key()},
    )
    assert made.status_code == 201, made.text
    account = made.json()["service_account_id"]
    keys = f"/api/v1/service-accounts/{account}/keys"
    new = await door.http.post(keys, json={"scopes": ["profile:read"]}, headers={**admin, **key()})
    assert new.status_code == 201, new.text
    secret = new.json()["api_key"]
    profile = (await door.profile(secret)).json()
    assert (profile["subject"], profile["scopes"]) == (account, ["profile:read"])
    problem(
        await door.http.get("/api/v1/applications/x", headers=bearer(secret)), 403, "NOT_ALLOWED"
    )
    rotated = await door.http.post(
        f"{keys}/{new.json()['key_id']}/rotation", json={"overlap": 600},
        headers={**admin, **key()},
    )  # fmt: skip
    assert rotated.status_code == 201, rotated.text
    for each in (secret, rotated.json()["api_key"]):
        assert (await door.profile(each)).status_code == 200
    revoked = await door.http.post(
        f"{keys}/{new.json()['key_id']}/revocation", headers={**admin, **key()}
    )
    assert revoked.status_code == 200, revoked.text
    problem(await door.profile(secret), 401, "UNAUTHENTICATED")
    assert (await door.profile(rotated.json()["api_key"])).status_code == 200
    listed = (await door.http.get(keys, headers=admin)).json()["keys"]
    assert len(listed) == 2
    assert all(each["last_used_at"] for each in listed)
    assert secret.rpartition("~")[2] not in str(listed)


async def test_two_at_once_with_one_refresh_token_end_the_session(door: FrontDoor) -> None:
    await door.register("grace@example.org")
    first = await door.signed_in("grace@example.org")
    body = {"refresh_token": first["refresh_token"]}
    both = await asyncio.gather(*(door.http.post("/auth/refresh", json=body) for _ in range(2)))
    assert sorted(answer.status_code for answer in both) == [200, 401]
    [won] = [answer.json() for answer in both if answer.status_code == 200]
    for token in (first["access_token"], won["access_token"]):
        problem(await door.profile(token), 401, "UNAUTHENTICATED")
    after = await door.http.post("/auth/refresh", json={"refresh_token": won["refresh_token"]})
    problem(after, 401, "SIGN_IN_REFUSED")


async def test_keys_are_published(door: FrontDoor) -> None:
    answer = await door.http.get("/.well-known/jwks.json")
    [published] = answer.json()["keys"]
    assert (published["kty"], published["crv"], published["use"]) == ("OKP", "Ed25519", "sig")
    assert "d" not in published
