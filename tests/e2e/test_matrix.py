"""Every operation, asked by every role about its own, another's and a foreign tenant's things."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio
from temporalio.client import Client
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from api.graphql.schema import SCHEMA
from api.openapi import operations
from api.roles import ROLE_TABLE, SCOPE_TABLE, Action, Role, Scope
from models.domain.ids import PLATFORM, notice_workflow_id
from tests.api.walking import walked
from tests.e2e.homes import full_home, neighbour, platform_home
from tests.e2e.matrix import (
    ASKED_BY_ROWS,
    BESIDE,
    COLUMNS,
    IN_BODIES,
    NOT_LOOKED_UP,
    ROWS,
    TABLE,
    Home,
    Row,
    absent,
    body_of,
    read_table,
)  # fmt: skip
from tests.e2e.outside import World

pytestmark = pytest.mark.stack

AT_ONCE = 8
LIMIT_S = 180.0
SERVED: Final = frozenset({101, 200, 201, 202, 204, 409, 422})
# Where nobody of the table finds things as the request needs them, and what they are told instead:
# loans that are paid out, proofs that nobody signed.
IN_VAIN: Final = {
    "POST /api/v1/applications": "WALLET_PROOF_INVALID",
    "POST /api/v1/applications (for somebody else)": "WALLET_PROOF_INVALID",
    "POST /api/v1/applications/{application_id}/accept": "APPLICATION_NOT_WAITING",
    "POST /api/v1/applications/{application_id}/withdraw": "APPLICATION_NOT_WAITING",
    "POST /api/v1/offers/{offer_id}/accept": "APPLICATION_NOT_WAITING",
    "POST /api/v1/offers/{offer_id}/reject": "OFFER_NOT_OPEN",
}
# How a WebSocket says what an answer's status says (docs/live.md).
CLOSED: Final = {4401: 401, 4403: 403, 4404: 404}
# Of an answer's headers, those that are another with each request.
OWN_OF_A_REQUEST: Final = frozenset(
    {"x-request-id", "x-correlation-id", "traceparent", "date", "ratelimit", "retry-after"}
)


@dataclass(frozen=True)
class Heard:
    """An answer: its status (a WebSocket's and GraphQL's translated), its code, and all of it."""

    status: int
    code: str = ""
    whole: tuple[Any, ...] = field(default=(), repr=False)

    @property
    def text(self) -> str:
        return str(self.whole)


@dataclass(frozen=True)
class Walk:
    """What everybody heard, by row, mark and whose things were asked for."""

    homes: dict[str, Home]
    heard: dict[tuple[str, str, str], Heard]
    unscoped: dict[str, Heard]
    in_bodies: dict[tuple[str, str, str], Heard]
    before: Mapping[str, Mapping[str, int]]
    after: Mapping[str, Mapping[str, int]]


class Asker:
    """Asks for rows of the table."""

    def __init__(self, world: World, document: dict[str, Any], homes: dict[str, Home]) -> None:
        self.world, self.homes = world, homes
        self.examples = {
            f"{method.upper()} {path}": example
            for path, method, operation in operations(document)
            if (example := _example(document, operation)) is not None
        }
        self._room = asyncio.Semaphore(AT_ONCE)

    def credential(self, mark: str, home: Home, subject: str = "", **claims: Any) -> str:
        """What this role shows within its home."""
        role = COLUMNS[mark]
        if mark == "L" and home.provider_key and not claims:
            return home.provider_key
        assert role is not None
        tenant = PLATFORM if mark == "P" else home.tenant
        return self.world.stack.token(subject or f"{role.value}-1", tenant, role.value, **claims)

    async def ask(self, row: Row, home: Home, credential: str | None, about: str | None) -> Heard:
        """What this caller is told, asking about this id, in a home whose other ids are right."""
        headers = {} if credential is None else {"Authorization": f"Bearer {credential}"}
        async with self._room, asyncio.timeout(LIMIT_S):
            if row.method == "WS":
                return await self._follow(headers, about)
            if row.method == "QUERY":
                return await self._query(row, headers, home, about)
            return await self._request(row, headers, home, about)

    async def _request(
        self, row: Row, headers: dict[str, str], home: Home, about: str | None
    ) -> Heard:
        path = _filled(row, home, about)
        body = body_of(row, home, self.examples)
        if row.asked == "POST /api/v1/offers/search (of an application)":
            body = {"application_id": about}
        if row.asked == "POST /api/v1/webhooks/test":
            body = {"webhook_id": about}
        if row.method != "GET":
            headers["Idempotency-Key"] = secrets.token_urlsafe(16)
        if row.path == "/api/v1/events":
            named = {} if about is None else {"application_id": about}
            async with self.world.http.stream("GET", path, headers=headers, params=named) as answer:
                content = b"" if answer.is_success else await answer.aread()
                return _heard(answer, content)
        answer = await self.world.http.request(row.method, path, headers=headers, json=body)
        return _heard(answer, answer.content)

    async def _query(
        self, row: Row, headers: dict[str, str], home: Home, about: str | None
    ) -> Heard:
        body = {**body_of(row, home, {}), "variables": {} if about is None else {"id": about}}
        answer = await self.world.http.post("/graphql", json=body, headers=headers)
        heard = _heard(answer, answer.content)
        if heard.status != 200:
            return heard
        document = answer.json()
        codes = {each["extensions"]["code"] for each in document.get("errors", ())}
        if codes:
            status = 403 if codes == {"NOT_ALLOWED"} else 500
            return Heard(status, ",".join(sorted(codes)), heard.whole)
        root = document["data"][row.path.partition(".")[0]]
        return Heard(404, "NOT_FOUND", heard.whole) if root in (None, [None]) else heard

    async def _follow(self, headers: dict[str, str], about: str | None) -> Heard:
        url = self.world.stack.api_url.replace("http", "ws", 1) + "/api/v1/live"
        wanted = {"type": "subscribe", **({} if about is None else {"application_id": about})}
        async with connect(url, additional_headers=headers, proxy=None) as client:
            with suppress(ConnectionClosed):
                await client.send(json.dumps(wanted))
                assert json.loads(await client.recv())["type"] == "subscribed"
                return Heard(101)
        code, reason = client.close_code or 1006, client.close_reason or ""
        return Heard(CLOSED.get(code, code), reason, (code, reason))


def _heard(answer: httpx.Response, content: bytes) -> Heard:
    headers = sorted(
        (name, value) for name, value in answer.headers.multi_items()
        if name not in OWN_OF_A_REQUEST
    )  # fmt: skip
    problem = answer.headers.get("content-type") == "application/problem+json"
    code = json.loads(content)["code"] if problem else ""
    return Heard(answer.status_code, code, (answer.status_code, tuple(headers), content))


def _filled(row: Row, home: Home, about: str | None) -> str:
    """The path with the id asked about; where it names two, the other one is the home's own."""
    ids = {**home.ids, "vendor": "identity"}
    if about is not None and row.object is not None:
        [*_, name] = re.findall(r"\{(\w+)\}", row.path) or [""]
        ids[name] = about
    return re.sub(r"\{(\w+)\}", lambda found: ids.get(found[1], absent("x")), row.path)


def _example(document: dict[str, Any], operation: dict[str, Any]) -> Any:
    media = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if media is None:
        return None
    schema = media["schema"]
    if name := schema.get("$ref", "").rpartition("/")[2]:
        schema = document["components"]["schemas"][name]
    [example, *_] = schema["examples"]
    return example


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def document(world: World) -> dict[str, Any]:
    described: dict[str, Any] = (await world.http.get("/openapi.json")).json()
    return described


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def walk(world: World, document: dict[str, Any]) -> Walk:
    """Everything is asked once: first what must be refused, and what it left is counted."""
    at = world.stack.temporal
    temporal = await Client.connect(at.address, namespace=at.namespace)
    ours, theirs, platform = await asyncio.gather(
        full_home(world, temporal), neighbour(world), platform_home(world)
    )
    homes = {"ours": ours, "theirs": theirs, "platform": platform}
    asker = Asker(world, document, homes)
    before = await world.truth.footprint(ours.tenant)
    refused = await _gathered({
        (row.asked, mark, whose): _asked(asker, row, mark, whose)
        for row in ROWS.values()
        for mark in COLUMNS
        for whose in _refusals(row, mark)
    })  # fmt: skip
    unscoped = await _gathered({
        row.asked: _without_scope(asker, row) for row in ROWS.values() if row.action in set(Action)
    })  # fmt: skip
    in_bodies = await _gathered({
        (asked, name, whose): _with_id(asker, ROWS[asked], name, whose)
        for asked, name in IN_BODIES
        for whose in ("foreign", "absent")
    })  # fmt: skip
    after = await world.truth.footprint(ours.tenant)
    served = {
        (row.asked, mark, "own"): await _asked(asker, row, mark, "own")
        for row in ROWS.values()
        for mark in COLUMNS
        if row.marks[mark] != "."
    }
    waiting = notice_workflow_id(ours.tenant, ours.ids["noticed"])
    await temporal.get_workflow_handle(waiting).terminate("All has been asked.")
    return Walk(
        homes, {**refused, **served}, unscoped, in_bodies, {"ours": before}, {"ours": after}
    )


async def _gathered(asked: dict[Any, Any]) -> dict[Any, Heard]:
    return dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))


def _refusals(row: Row, mark: str) -> list[str]:
    """Whose things a role asks for in vain; with `absent`, what that must look like."""
    cases = ["own"] if row.marks[mark] == "." else []
    if row.object is None or mark == "-":
        return cases
    cases += ["foreign", "absent"]
    if row.marks[mark] == "o":
        cases += ["another's", "absent here"]
    if row.path.count("{") == 2:
        cases += ["foreign under own"]
    return cases


async def _asked(asker: Asker, row: Row, mark: str, whose: str) -> Heard:
    ours, theirs, platform = (asker.homes[name] for name in ("ours", "theirs", "platform"))
    own = platform if mark == "P" else ours
    stranger = platform if mark == "P" else theirs
    target = (own.ids if whose == "own" else ours.ids).get(row.object or "")
    if row.object is not None and target is None:
        target = absent(ours.ids[row.object])  # the platform has no such thing
    if mark == "-":
        return await asker.ask(row, ours, None, target)
    if whose in ("own", "another's", "absent here"):
        subject = own.owners.get(row.object or "", "") if mark == "A" else ""
        if whose != "own":
            subject = "another-applicant"
        about = absent(ours.ids[row.object or ""]) if whose == "absent here" else target
        return await asker.ask(row, own, asker.credential(mark, own, subject), about)
    credential = asker.credential(mark, stranger)
    about = absent(ours.ids[row.object or ""]) if whose == "absent" else target
    within = stranger if whose == "foreign under own" else ours
    return await asker.ask(row, within, credential, about)


async def _without_scope(asker: Asker, row: Row) -> Heard:
    """What a role that may is told when its token was narrowed to everything but this."""
    [mark, *_] = [mark for mark, given in row.marks.items() if given != "."]
    home = asker.homes["platform" if mark == "P" else "ours"]
    others = " ".join(set(Scope) - {SCOPE_TABLE[Action(row.action)]})
    subject = home.owners.get(row.object or "", "") if mark == "A" else ""
    token = asker.credential(mark, home, subject, scope=others)
    return await asker.ask(row, home, token, home.ids.get(row.object or ""))


async def _with_id(asker: Asker, row: Row, name: str, whose: str) -> Heard:
    """What a stranger is told, of a thing of their own, with this id of ours in the body."""
    ours, theirs = asker.homes["ours"], asker.homes["theirs"]
    given = ours.ids[name] if whose == "foreign" else absent(ours.ids[name])
    if name == "invitation":  # a code with its secret, that names our tenant: another of ours
        given = given if whose == "foreign" else ours.ids[name][:-6] + "AAAAAA"
        given = given.replace(ours.tenant, theirs.tenant)
        name = "shown"
    home = replace(theirs, ids={**theirs.ids, name: given})
    token = asker.credential("A", theirs, theirs.owners["application_id"])
    about = theirs.ids[row.object] if row.object else None
    return await asker.ask(row, home, None if name == "shown" else token, about)


# The table itself.


def test_every_operation_has_a_row(document: dict[str, Any]) -> None:
    described = {f"{method.upper()} {path}" for path, method, _ in operations(document)}
    asked = {row.operation for row in ROWS.values()}
    assert {each for each in asked if not each.startswith(("QUERY", "WS"))} == described
    roots = {each.partition(" ")[2].partition(".")[0] for each in asked if "QUERY" in each}
    query = SCHEMA.core.query_type
    assert query is not None
    assert roots == set(query.fields)


def test_no_row_stands_twice() -> None:
    assert len(read_table()) == len(ROWS) == len(TABLE.strip().splitlines()) - 1


def test_the_role_table_is_the_one_that_was_expected() -> None:
    of_action: dict[Action, set[frozenset[Role]]] = {}
    for row in ROWS.values():
        if row.action in set(Action) and "(for somebody else)" not in row.asked:
            of_action.setdefault(Action(row.action), set()).add(frozenset(row.roles()))
    told = {action: {ROLE_TABLE[action]} for action in Action if action not in BESIDE}
    assert of_action == told
    assert set(BESIDE.values()) <= set(ROWS)
    # Of two rows that only differ in the kind of review, everybody who may the one or the other.
    for action, asked in BESIDE.items():
        kinds = [row for row in ROWS.values() if row.operation == ROWS[asked].operation]
        assert {role for row in kinds for role in row.roles()} == ROLE_TABLE[action]


def test_every_id_in_a_body_is_known_to_be_one(document: dict[str, Any]) -> None:
    found = {
        (operation.name, str(place[-1]))
        for operation in walked(document)
        for place, _ in operation.fields()
        if place
        and (
            str(place[-1]).endswith(("_id", "_token"))
            or place[-1] in ("assignee", "invitation", "id", "key", "code")
        )
    }
    assert found == IN_BODIES | NOT_LOOKED_UP | ASKED_BY_ROWS


# What was heard.


@pytest.mark.parametrize("asked", ROWS)
async def test_who_may_is_served_and_nobody_else(walk: Walk, asked: str) -> None:
    row = ROWS[asked]
    for mark, role in COLUMNS.items():
        heard = walk.heard[asked, mark, "own"]
        who = (asked, role or "nobody", heard)
        if row.action == "credential":
            assert heard.status in (401, 404), who
            assert heard.whole == walk.heard[asked, "A", "own"].whole, who
        elif row.marks[mark] == ".":
            expected = (401, "UNAUTHENTICATED") if role is None else (403, "NOT_ALLOWED")
            assert (heard.status, heard.code) == expected, who
        else:
            assert heard.status in SERVED, who
            assert heard.code != "VALIDATION_FAILED", who
            assert heard.status == 200 or row.method not in ("GET", "QUERY") or not heard.code, who


@pytest.mark.parametrize("asked", [asked for asked, row in ROWS.items() if row.object])
async def test_what_is_not_ones_own_looks_like_what_does_not_exist(walk: Walk, asked: str) -> None:
    row = ROWS[asked]
    for mark, role in COLUMNS.items():
        if role is None:
            continue
        pairs = [("foreign", "absent")]
        pairs += [("another's", "absent here")] if row.marks[mark] == "o" else []
        pairs += [("foreign under own", "absent")] if row.path.count("{") == 2 else []
        for whose, nothing in pairs:
            heard, missing = (walk.heard[asked, mark, each] for each in (whose, nothing))
            assert heard.whole == missing.whole, (asked, role, whose)
            allowed = {404} if row.marks[mark] != "." else {403, 404}
            assert heard.status in allowed, (asked, role, whose, heard)


@pytest.mark.parametrize(("asked", "name"), sorted(IN_BODIES))
async def test_a_foreign_id_in_a_body_is_one_of_nothing(walk: Walk, asked: str, name: str) -> None:
    foreign, missing = (walk.in_bodies[asked, name, each] for each in ("foreign", "absent"))
    assert foreign.whole == missing.whole
    assert foreign.status in (404, 409, 422)
    assert foreign.code in ("NOT_FOUND", "OFFER_UNKNOWN", "INVITATION_NOT_OPEN"), foreign


async def test_strangers_are_told_nothing_of_a_tenant(walk: Walk) -> None:
    named = set(walk.homes["ours"].ids.values())
    for (asked, mark, whose), heard in walk.heard.items():
        ours = mark != "P" and whose in ("own", "another's", "absent here")
        if not ours or mark == "-":
            assert [each for each in named if each in heard.text] == [], (asked, mark, whose)


async def test_what_was_refused_left_nothing(walk: Walk) -> None:
    assert walk.after == walk.before


async def test_a_token_without_the_scope_is_refused_whatever_the_role(walk: Walk) -> None:
    assert len(walk.unscoped) > 50
    for asked, heard in walk.unscoped.items():
        assert (heard.status, heard.code) == (403, "NOT_ALLOWED"), (asked, heard)


async def test_what_is_allowed_is_done_where_it_can_be(walk: Walk) -> None:
    """Else a request that is wrong in some other way would pass for one that is allowed."""
    found = {}
    for asked, row in ROWS.items():
        told = {walk.heard[asked, mark, "own"] for mark in COLUMNS if row.marks[mark] != "."}
        if row.action != "credential" and all(heard.status >= 300 for heard in told):
            found[asked] = {heard.code for heard in told} - {"USER_ID_MISSING"}
    assert found == {asked: {code} for asked, code in IN_VAIN.items()}


async def test_the_walk_went_everywhere(walk: Walk) -> None:
    """Rows × roles, and again for what is another's, a foreign tenant's, and nobody's."""
    print(f"{len(ROWS)} rows, {len(walk.heard) + len(walk.unscoped)} requests")
    assert len(walk.heard) > 1_000
    assert {whose for _, _, whose in walk.heard} == {
        "own", "foreign", "absent", "another's", "absent here", "foreign under own",
    }  # fmt: skip
