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
from tests.api.front_door import PASSWORD, FrontDoor, bearer, key

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


async def test_a_registration_repeated_is_answered_alike_and_not_done_again(
    door: FrontDoor,
) -> None:
    write = key()
    first = await door.register("ida@example.org", headers=write)
    again = await door.register("ida@example.org", headers=write)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    other = await door.register("ida@example.org", headers=write, password="another-" + PASSWORD)
    problem(other, 422, "IDEMPOTENCY_KEY_REUSED")
    problem(await door.register("IDA@example.org"), 409, "LOGIN_TAKEN")
    problem(await door.register("joan@example.org", password="x" * 20), 422, "PASSWORD_TOO_WEAK")


async def test_nobody_wrong_is_told_what_is_wrong(door: FrontDoor) -> None:
    await door.register("lise@example.org")
    elsewhere = FrontDoor(door.http, door.stack, "no-such-tenant")
    refusals = [
        await door.login("lise@example.org", "wrong-" + PASSWORD),
        await door.login("nobody@example.org"),
        await elsewhere.login("lise@example.org"),
    ]
    told = [problem(each, 401, "SIGN_IN_REFUSED") for each in refusals]
    assert told[0] == told[1] == told[2]
    unwanted = {"date", "x-request-id", "ratelimit", "x-correlation-id", "traceparent"}
    headers = [{k: v for k, v in each.headers.items() if k not in unwanted} for each in refusals]
    assert headers[0] == headers[1] == headers[2]


async def test_guessing_is_slowed_at_the_door(door: FrontDoor) -> None:
    await door.register("mary@example.org")
    for _ in range(5):
        problem(await door.login("mary@example.org", "wrong"), 401, "SIGN_IN_REFUSED")
    slowed = await door.login("mary@example.org")
    problem(slowed, 429, "SIGN_IN_SLOWED")
    assert 0 < int(slowed.headers["retry-after"]) <= 15


async def test_scopes_asked_for_at_the_door_narrow_all_tokens_of_the_session(
    door: FrontDoor,
) -> None:
    await door.register("noor@example.org")
    tokens = await door.signed_in("noor@example.org", scopes=["profile:read", "ledger:read"])
    assert tokens["scope"] == "profile:read"  # an applicant has no ledger to read
    body = {"refresh_token": tokens["refresh_token"]}
    tokens = (await door.http.post("/auth/refresh", json=body)).json()
    assert tokens["scope"] == "profile:read"
    headers = bearer(tokens["access_token"])
    unknown = f"/api/v1/applications/app_{'0' * 32}"
    problem(await door.http.get(unknown, headers=headers), 403, "NOT_ALLOWED")


async def test_one_tenants_ids_are_nothing_to_another(door: FrontDoor) -> None:
    admin, stranger = await door.admin(), door.stack.issuer.token("eve", "other", ["tenant_admin"])
    made = await door.http.post(
        "/api/v1/service-accounts", json={"name": "A", "roles": ["auditor"]},
        headers={**admin, **key()},
    )  # fmt: skip
    keys = f"/api/v1/service-accounts/{made.json()['service_account_id']}/keys"
    new = (await door.http.post(keys, json={}, headers={**admin, **key()})).json()
    invited = await door.http.post(
        "/api/v1/invitations", json={"email": "a@b.example", "roles": ["support"]},
        headers={**admin, **key()},
    )  # fmt: skip
    mine = (await door.http.get("/api/v1/accounts", headers=admin)).json()["accounts"]
    for path, body in (
        (keys, {}),
        (f"{keys}/{new['key_id']}/rotation", {}),
        (f"{keys}/{new['key_id']}/revocation", None),
        (f"/api/v1/invitations/{invited.json()['invitation_id']}/revocation", None),
        (
            f"/api/v1/accounts/{mine[0]['user_id']}/status",
            {"status": "suspended", "reason": "mine"},
        ),
    ):
        answer = await door.http.post(path, json=body, headers={**bearer(stranger), **key()})
        problem(answer, 404, "NOT_FOUND")
    problem(await door.http.get(keys, headers=bearer(stranger)), 404, "NOT_FOUND")
    for path in ("accounts", "invitations", "service-accounts"):
        listed = await door.http.get(f"/api/v1/{path}", headers=bearer(stranger))
        assert listed.json() == {path.replace("-", "_"): []}
    assert (await door.profile(new["api_key"])).status_code == 200


async def test_staff_that_is_suspended_is_out(door: FrontDoor) -> None:
    admin = await door.admin()
    user_id = (await door.register("olga@example.org")).json()["user_id"]
    tokens = await door.signed_in("olga@example.org")
    status = f"/api/v1/accounts/{user_id}/status"
    body = {"status": "suspended", "reason": "left"}
    suspended = await door.http.post(status, json=body, headers={**admin, **key()})
    assert suspended.json()["status"] == "suspended"
    problem(await door.profile(tokens["access_token"]), 401, "UNAUTHENTICATED")
    problem(await door.login("olga@example.org"), 401, "SIGN_IN_REFUSED")
    body = {"status": "active", "reason": "back"}
    assert (await door.http.post(status, json=body, headers={**admin, **key()})).status_code == 200
    assert await door.signed_in("olga@example.org")


async def test_the_platforms_people_look_after_the_platform(door: FrontDoor) -> None:
    token = door.stack.issuer.token("root", "platform", ["platform_admin"])
    profile = (await door.profile(token)).json()
    assert profile["roles"] == ["platform_admin"]
    assert "applications:read" not in profile["scopes"]
    problem(await door.http.get("/api/v1/reviews", headers=bearer(token)), 403, "NOT_ALLOWED")
    body = {"tenant": "platform", "registration_open": True, "admin_email": "a@b.example"}
    answer = await door.http.post("/api/v1/tenants", json=body, headers={**bearer(token), **key()})
    problem(answer, 409, "TENANT_RESERVED")
    for roles, tenant in (
        (["platform_admin"], door.tenant),
        (["auditor"], "platform"),
        (["platform_admin", "auditor"], "platform"),
    ):
        forged = door.stack.issuer.token("root", tenant, roles)
        problem(await door.profile(forged), 401, "UNAUTHENTICATED")
