"""Attacks that only the running product can withstand: its log, its tables, its memory of keys."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio

from api.openapi import operations
from tests.api.front_door import FrontDoor, bearer, key
from tests.api.serving import Wire
from tests.e2e.outside import World, refusal_of

pytestmark = pytest.mark.stack

# Log lines.

FORGED: Final = '{"event":"LogCanary","level":"error"}'
# What ends a line, starts one, or speaks to the terminal of who reads it.
BREAKS: Final = {
    "ANSI": b"\x1b[2K\x1b[1A", "C1": b"\x9b2J", "NEL": b"\xc2\x85", "LS": b"\xe2\x80\xa8",
    "tab": b"\t", "latin-1 NEL": b"\x85", "backspace": b"\x08", "DEL": b"\x7f", "NUL": b"\x00",
    "bare LF": b"\n", "bare CR": b"\r", "escaped": b"\\n\\r", "encoded": b"%0d%0a", "quote": b'"}',
}  # fmt: skip
NAMED: Final = (
    "X-Request-Id", "X-Correlation-Id", "traceparent", "User-Agent", "Referer", "Origin",
    "Authorization", "Idempotency-Key", "API-Version", "Last-Event-ID", "Cookie", "webhook-id",
    "webhook-timestamp", "webhook-signature", "Content-Type", "X-Forwarded-For", "Accept", "Host",
)  # fmt: skip


async def test_nobody_writes_lines_of_the_log(world: World) -> None:
    """In any header that is read, and in the path, as raw bytes: each line stays one of JSON."""
    log = world.stack.processes["api"].log_path
    before = log.stat().st_size
    for name in NAMED:
        for spoilt in BREAKS.values():
            value = b"x-name-1" + spoilt + FORGED.encode() + spoilt
            host = b"" if name == "Host" else b"Host: api\r\n"
            await _sent(
                world,
                b"POST /callbacks/identity HTTP/1.1\r\n" + host + name.encode() + b": " + value
                + b"\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
            )  # fmt: skip
    for path in ("/callbacks/%0aLogCanary", "/%1b[2KLogCanary", "/api/v1/reviews/%0d%0aLogCanary",
                 "/api/v1/events?type=LogCanary%0a&application_id=%1b"):  # fmt: skip
        await _sent(world, f"POST {path} HTTP/1.1\r\nHost: api\r\nContent-Length: 0\r\n"
                           "Connection: close\r\n\r\n".encode())  # fmt: skip
    staff = world.staff(f"tenant-{secrets.token_hex(6)}", "support")
    for query in (f"{{a{FORGED}\x1b", '{loan(loanId:"LogCanary\\u001b"){loanId}}'):
        await world.http.post("/graphql", json={"query": query}, headers=staff)
    with log.open("rb") as written:
        written.seek(before)
        text = written.read()
    lines = text.splitlines()
    assert len(lines) > 100  # callbacks that were refused are told of
    assert b"LogCanary" not in text
    assert [byte for byte in (0x1B, 0x9B, 0x85, 0x08, 0x7F, 0x00, 0x0D) if byte in text] == []
    for line in lines:
        assert {"event", "level"} <= set(json.loads(line)), line


async def _sent(world: World, raw: bytes) -> int:
    wire = await Wire.to(world.stack.api_port)
    try:
        await wire.say(raw)
        status, headers, _ = await wire.answer()
    finally:
        await wire.close()
    assert status < 500, raw
    assert "logcanary" not in str(headers).lower(), raw
    return status


# Keys of idempotency.


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tenants(world: World) -> tuple[str, str]:
    """Two tenants that registered people may come to."""
    names = tuple(f"attacked-{secrets.token_hex(6)}" for _ in range(2))
    for name in names:
        await FrontDoor(world.http, world.stack, name).open()
    return names[0], names[1]


async def test_a_key_of_somebody_else_is_another_key(
    world: World, tenants: tuple[str, str]
) -> None:
    """The same key with the same body: nobody is ever told what somebody else was."""
    first, second = tenants
    shared = {"Idempotency-Key": secrets.token_urlsafe(16)}
    body = {"name": "Checkout", "roles": ["support"]}

    async def ask(tenant: str, subject: str, **changes: Any) -> httpx.Response:
        headers = {**world.staff(tenant, "tenant_admin", subject), **shared}
        return await world.http.post(
            "/api/v1/service-accounts", json={**body, **changes}, headers=headers
        )

    ours, theirs, again = [await ask(first, "ann"), await ask(second, "ann"),
                           await ask(first, "ann")]  # fmt: skip
    assert {ours.status_code, theirs.status_code} == {201}
    ids = [answer.json()["service_account_id"] for answer in (ours, theirs)]
    assert len(set(ids)) == 2
    assert again.content == ours.content  # one's own is a repetition
    refusal_of(await ask(first, "bob"), 422, "IDEMPOTENCY_KEY_REUSED")
    refusal_of(await ask(first, "ann", name="Another"), 422, "IDEMPOTENCY_KEY_REUSED")
    staff = world.staff(first, "tenant_admin", "ann")
    # On another path it is new, whatever was sent under it before.
    elsewhere = await world.http.post(
        f"/api/v1/service-accounts/{ids[0]}/keys", json={}, headers={**staff, **shared}
    )
    assert elsewhere.status_code == 201, elsewhere.text
    assert await world.truth.value(
        "SELECT count(*) FROM service_accounts WHERE tenant_id = ANY($1::text[])", list(tenants)
    ) == 2  # fmt: skip


# Who has an account.


async def test_signing_in_does_not_tell_who_has_an_account(
    world: World, tenants: tuple[str, str]
) -> None:
    first, second = tenants
    door = FrontDoor(world.http, world.stack, first)
    known, suspended = (f"{secrets.token_hex(6)}@example.org" for _ in range(2))
    assert (await door.register(known)).status_code == 201
    made = await door.register(suspended)
    barred = await world.http.post(
        f"/api/v1/accounts/{made.json()['user_id']}/status",
        json={"status": "suspended", "reason": "It was lent."},
        headers={**world.staff(first, "tenant_admin"), **key()},
    )
    assert barred.status_code == 200, barred.text
    nobody = f"{secrets.token_hex(6)}@example.org"
    answers = [
        await door.login(known, "not-the-password"),
        await door.login(nobody, "not-the-password"),
        await door.login(suspended),
        await FrontDoor(world.http, world.stack, second).login(known),
        await FrontDoor(world.http, world.stack, "no-such-tenant").login(known),
        await world.http.post("/auth/refresh", json={"refresh_token": "x"}),
    ]
    for answer in answers:
        refusal_of(answer, 401, "SIGN_IN_REFUSED")
    assert len({answer.content for answer in answers}) == 1
    assert len({tuple(sorted(set(answer.headers))) for answer in answers}) == 1
    assert (await door.login(known)).status_code == 200


async def test_guessing_is_slowed_alike_whether_or_not_there_is_an_account(
    world: World, tenants: tuple[str, str]
) -> None:
    door = FrontDoor(world.http, world.stack, tenants[0])
    known, nobody = (f"{secrets.token_hex(6)}@example.org" for _ in range(2))
    assert (await door.register(known)).status_code == 201
    told = []
    for email in (known, nobody):
        statuses = [(await door.login(email, f"guess-{n}")).status_code for n in range(6)]
        slowed = await door.login(
            email.upper()
        )  # in whatever spelling; the right one does not help
        refusal_of(slowed, 429, "SIGN_IN_SLOWED")
        assert int(slowed.headers["retry-after"]) <= 900
        told.append((statuses, slowed.content))
    assert told[0] == told[1]
    assert told[0][0][:5] == [401] * 5


async def test_a_token_that_was_replaced_ends_the_session_for_thief_and_owner(
    world: World, tenants: tuple[str, str]
) -> None:
    door = FrontDoor(world.http, world.stack, tenants[0])
    email = f"{secrets.token_hex(6)}@example.org"
    await door.register(email)
    stolen = await door.signed_in(email)
    body = {"refresh_token": stolen["refresh_token"]}
    owner = (await world.http.post("/auth/refresh", json=body)).json()
    refusal_of(await world.http.post("/auth/refresh", json=body), 401, "SIGN_IN_REFUSED")
    body = {"refresh_token": owner["refresh_token"]}
    refusal_of(await world.http.post("/auth/refresh", json=body), 401, "SIGN_IN_REFUSED")
    for tokens in (stolen, owner):
        refusal_of(await door.profile(tokens["access_token"]), 401, "UNAUTHENTICATED")


# Statements.

HOSTILE: Final = (
    "'; DROP TABLE applications; --", "' OR '1'='1", "1); SELECT pg_sleep(30); --", "%00", "\\",
    "%27%3B%20TRUNCATE%20accounts%3B--", "..%2F..%2Fetc%2Fpasswd", "%C0%AE%C0%AE%2F", "%FF",
    "app_%27", "x" * 7_000, "%E2%80%AE", "$1", "{}", "*", "_", "app_" + "%25" * 32,
)  # fmt: skip


async def test_no_id_reaches_a_statement_as_its_text(
    world: World, tenants: tuple[str, str]
) -> None:
    """Every id in every path, and GraphQL's, on the real database: nothing there, nothing done."""
    described: dict[str, Any] = (await world.http.get("/openapi.json")).json()
    tables = await world.truth.tables()
    before = await world.truth.footprint(tenants[0])
    roles = ("applicant", "underwriter", "compliance_officer", "support", "tenant_admin")
    token = world.stack.token("sam", tenants[0], *roles)
    asked = [
        (method.upper(), path.replace(f"{{{parameter['name']}}}", hostile, 1))
        for path, method, operation in operations(described)
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "path"
        for hostile in HOSTILE
    ]
    assert len(asked) >= 15 * len(HOSTILE)
    room = asyncio.Semaphore(8)

    async def refused(method: str, path: str) -> None:
        url = httpx.URL(world.stack.api_url).copy_with(
            raw_path=path.replace("{", "%7B").replace("}", "%7D").replace(" ", "%20").encode()
        )
        async with room:
            answer = await world.http.request(
                method, url, headers={**bearer(token), **key()}, json={}
            )
        assert 400 <= answer.status_code < 500, (method, path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"

    await asyncio.gather(*(refused(*each) for each in asked))
    for hostile in HOSTILE:
        for query in ("loan(loanId:$id){loanId}", "person(userId:$id){userId}",
                      "applications(state:$id){edges{cursor}}"):  # fmt: skip
            kind = "String" if "state" in query else "ID!"
            answer = await world.http.post(
                "/graphql", headers=bearer(token),
                json={"query": f"query($id:{kind}){{{query}}}", "variables": {"id": hostile}},
            )  # fmt: skip
            assert answer.status_code == 200, answer.text
            told = {each["extensions"]["code"] for each in answer.json().get("errors", ())}
            assert told <= {"FILTER_MALFORMED"}, answer.text
    assert await world.truth.tables() == tables
    assert await world.truth.footprint(tenants[0]) == before


@pytest.mark.parametrize(
    "name", ["Robert'); DROP TABLE accounts;--", '" OR ""="', "%s%n$1 \\ \\' {{7*7}} ${7*7}",
             "<img src=x onerror=alert(1)>", "=cmd|' /C calc'!A0", "O’Brien-Żółć 名前"],
)  # fmt: skip
async def test_a_text_is_kept_as_it_was_said(
    world: World, tenants: tuple[str, str], name: str
) -> None:
    door = FrontDoor(world.http, world.stack, tenants[0])
    email = f"{secrets.token_hex(6)}@example.org"
    assert (await door.register(email, name=name)).status_code == 201
    profile = await door.profile((await door.signed_in(email))["access_token"])
    assert profile.json()["name"] == name
    assert profile.headers["content-type"] == "application/json"
