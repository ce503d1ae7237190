"""Older clients are read and answered as they were, and told until when."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Any, Final

import httpx
import orjson
import pytest
from fastapi import FastAPI, Response

from api.deps import Services, replay
from api.routes import reviews
from api.versions import FIRST, NotOfThisVersion, Retiring, VersionHeaders, Versions
from api.versions_changes import RETIRING, VERSIONS, DecisionsByName
from models.domain.review import ReviewEnd
from models.domain.views import ReviewView
from models.domain.writes import StoredAnswer, WriteKey
from settings import ROOT
from tests.api.answers import problem

NEWEST: Final = "2026-11-22"
REVIEW: Final = "rev_" + "0" * 32
DECISION: Final = f"/api/v1/reviews/{REVIEW}/decision"


class OneReview:
    """One open credit review, and the answers that were kept."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, bytes], StoredAnswer] = {}
        self.decided: list[Any] = []

    async def find(self, tenant_id: str, review_id: str) -> ReviewView:
        fields: dict[str, Any] = dict.fromkeys(ReviewView.__dataclass_fields__)
        fields |= {"review_id": review_id, "kind": "credit", "status": "open"}
        fields |= {"workflow_id": "credit-application/acme/app_1", "applicant_id": "zelda"}
        return ReviewView(**fields)

    async def decide_review(self, workflow_id: str, decision: Any, effect_id: str) -> str:
        self.decided.append(decision)
        return (ReviewEnd.APPROVED if decision.approved else ReviewEnd.REJECTED).value

    async def reserve(self, write: WriteKey) -> StoredAnswer | None:
        return self.kept.get((write.key, write.body_sha256))

    async def answer(self, write: WriteKey, given: StoredAnswer) -> None:
        self.kept[write.key, write.body_sha256] = given


@pytest.fixture
def review(app: FastAPI) -> OneReview:
    one: Any = OneReview()
    wired: Services = app.state.services
    for name in ("reviews", "messages", "writes"):
        object.__setattr__(wired, name, one)
    return one


@pytest.fixture
def headers(bearer: Callable[..., dict[str, str]]) -> dict[str, str]:
    return {**bearer("underwriter", subject="uma"), "idempotency-key": "k" * 16}


def test_the_published_versions_are_days_in_order() -> None:
    assert VERSIONS.known == (FIRST, NEWEST)
    assert VERSIONS.newest == NEWEST
    assert [date.fromisoformat(each) for each in VERSIONS.known] == sorted(
        date.fromisoformat(each) for each in VERSIONS.known
    )
    assert set(RETIRING) == set(VERSIONS.known[:-1])  # whoever is superseded is told until when
    for retiring in RETIRING.values():
        assert (retiring.sunset_on - retiring.deprecated_on).days >= 365


def test_a_change_concerns_operations_that_exist(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    for change in VERSIONS.changes:
        assert change.operations
        for method, path in change.operations:
            assert method.lower() in paths[path], (method, path)


# The dated change, both ways.


@pytest.mark.parametrize(("approved", "decision"), [(True, "approve"), (False, "reject")])
def test_a_decision_reads_alike_in_both_forms(approved: bool, decision: str) -> None:
    change = DecisionsByName()
    assert change.request({"approved": approved, "reason": "so"}) == {
        "decision": decision, "reason": "so",
    }  # fmt: skip
    new = {"review_id": REVIEW, "decision": decision, "status": "open"}
    old = {"review_id": REVIEW, "approved": approved, "status": "open"}
    assert change.answer(new) == old
    assert list(change.answer(new)) == list(old)  # in its place


@pytest.mark.parametrize(
    ("sent", "field", "reason"),
    [
        ({"reason": "so"}, "approved", "missing"),
        ({"approved": "true"}, "approved", "bool_type"),
        ({"approved": 1}, "approved", "bool_type"),
        ({"approved": None}, "approved", "bool_type"),
        ({"decision": "approve"}, "decision", "extra_forbidden"),
        ({"decision": "approve", "approved": True}, "decision", "extra_forbidden"),
    ],
)
def test_what_the_first_version_did_not_take_it_does_not_take_now(
    sent: dict[str, Any], field: str, reason: str
) -> None:
    with pytest.raises(NotOfThisVersion) as refused:
        DecisionsByName().request(sent)
    assert (refused.value.field, refused.value.reason) == (field, reason)


# Through the front door.


async def test_without_the_header_the_newest_is_spoken(
    http: httpx.AsyncClient, review: OneReview, headers: dict[str, str]
) -> None:
    body = {"decision": "approve", "reason": "so"}
    answer = await http.post(DECISION, json=body, headers=headers)
    assert answer.json() == {"review_id": REVIEW, "decision": "approve", "status": "approved"}
    assert answer.headers["api-version"] == NEWEST
    assert not {"deprecation", "sunset"} & set(answer.headers)
    named = await http.post(DECISION, json=body, headers={**headers, "API-Version": NEWEST})
    assert (named.content, named.headers["api-version"]) == (answer.content, NEWEST)


@pytest.mark.parametrize("approved", [True, False])
async def test_an_older_client_decides_as_before(
    http: httpx.AsyncClient, review: OneReview, headers: dict[str, str], approved: bool
) -> None:
    body = {"approved": approved, "reason": "so"}
    answer = await http.post(DECISION, json=body, headers={**headers, "API-Version": FIRST})
    status = "approved" if approved else "rejected"
    assert answer.json() == {"review_id": REVIEW, "approved": approved, "status": status}
    assert [each.approved for each in review.decided] == [approved]
    assert answer.headers["api-version"] == FIRST
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["deprecation"] == "@1795305600"
    assert answer.headers["sunset"] == "Wed, 01 Dec 2027 00:00:00 GMT"
    assert 'rel="deprecation"' in answer.headers["link"]


async def test_a_repetition_is_answered_byte_for_byte_to_the_same_client(
    http: httpx.AsyncClient, review: OneReview, headers: dict[str, str]
) -> None:
    old = {**headers, "API-Version": FIRST}
    body = b'{ "reason" : "so", "approved" :true}'
    sent = {"content": body, "headers": {**old, "content-type": "application/json"}}
    first, again = await http.post(DECISION, **sent), await http.post(DECISION, **sent)
    assert first.content == again.content == orjson.dumps(
        {"review_id": REVIEW, "approved": True, "status": "approved"}
    )  # fmt: skip
    unlike = (
        "x-request-id", "x-correlation-id", "traceparent", "date", "ratelimit",
    )  # fmt: skip
    assert [each for each in first.headers.items() if each[0] not in unlike] == [
        each for each in again.headers.items() if each[0] not in unlike
    ]
    assert len(review.decided) == 1
    # The same request under the newest version has a body that version does not know.
    assert (await http.post(DECISION, **{**sent, "headers": {
        **headers, "content-type": "application/json"}})).status_code == 422  # fmt: skip


async def test_a_wrong_field_is_named_as_the_older_client_knows_it(
    http: httpx.AsyncClient, review: OneReview, headers: dict[str, str]
) -> None:
    old = {**headers, "API-Version": FIRST}
    answer = await http.post(DECISION, json={"approved": "yes", "reason": "so"}, headers=old)
    told = problem(answer, 422, "VALIDATION_FAILED")
    assert told["errors"] == [{"pointer": "/body/approved", "reason": "bool_type"}]
    newer = {"decision": "approve", "reason": "so"}
    told = problem(await http.post(DECISION, json=newer, headers=old), 422, "VALIDATION_FAILED")
    assert told["errors"] == [{"pointer": "/body", "reason": "extra_forbidden"}]
    assert review.decided == []


@pytest.mark.parametrize(
    "asked", ["2026-11-21", "2027-01-01", "", "newest", "２０２６-11-22", "1" * 4000]
)
async def test_a_version_that_never_was_is_refused(
    http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]], asked: str
) -> None:
    raw = [*bearer("auditor").items(), ("API-Version", asked.encode())]
    answer = await http.get("/api/v1/reviews", headers=raw)
    problem(answer, 400, "API_VERSION_UNKNOWN")
    assert answer.headers["api-version"] == NEWEST


async def test_two_versions_at_once_are_refused(
    http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]]
) -> None:
    raw = [*bearer("auditor").items(), ("API-Version", FIRST), ("API-Version", NEWEST)]
    problem(await http.get("/api/v1/reviews", headers=raw), 400, "API_VERSION_UNKNOWN")


async def test_refusals_and_paths_that_are_not_there_say_their_version_too(
    http: httpx.AsyncClient,
) -> None:
    for path in ("/api/v1/reviews", "/api/v1/nowhere"):
        answer = await http.get(path, headers={"API-Version": FIRST})
        assert answer.status_code in (401, 404)
        assert (answer.headers["api-version"], "sunset" in answer.headers) == (FIRST, True)
    assert "api-version" not in (await http.get("/healthz")).headers


# The chain, over changes of our own.


class Renamed:
    """A change that renames one field."""

    def __init__(self, version: str, old: str, new: str) -> None:
        self.version, self.about = version, f"{old} is {new}"
        self.operations = frozenset({("GET", "/api/v1/things")})
        self._old, self._new = old, new

    def request(self, sent: dict[str, Any]) -> dict[str, Any]:
        return {(self._new if name == self._old else name): sent[name] for name in sent}

    def answer(self, given: dict[str, Any]) -> dict[str, Any]:
        return {(self._old if name == self._new else name): given[name] for name in given}


THINGS: Final = ("GET", "/api/v1/things")
CHAIN: Final = Versions([Renamed("2027-02-02", "b", "c"), Renamed("2027-01-01", "a", "b")], {})


@pytest.mark.parametrize(
    ("version", "name"), [(FIRST, "a"), ("2027-01-01", "b"), ("2027-02-02", "c")]
)
def test_changes_are_applied_one_after_the_other(version: str, name: str) -> None:
    changes = CHAIN.concerning(THINGS)
    assert CHAIN.brought_forward(changes, {name: 1}, version) == {"c": 1}
    answer = CHAIN.taken_back(changes, replay(_stored({"c": 1}, CHAIN.newest)), version)
    assert orjson.loads(answer.body) == {name: 1}
    assert answer.headers["api-version"] == version


@pytest.mark.parametrize("asked", [FIRST, "2027-01-01", "2027-02-02"])
def test_an_answer_kept_before_a_change_was_published_is_replayed_as_it_was(asked: str) -> None:
    """Whoever repeats after an upgrade of ours gets the bytes it got before."""
    kept = _stored({"b": 1}, "2027-01-01")
    answer = CHAIN.taken_back(CHAIN.concerning(THINGS), replay(kept), asked)
    if asked == FIRST:
        assert (orjson.loads(answer.body), answer.headers["api-version"]) == ({"a": 1}, FIRST)
    else:
        assert (answer.body, answer.headers["api-version"]) == (kept.body, "2027-01-01")


def test_what_no_change_concerns_is_left_alone() -> None:
    assert CHAIN.concerning(("POST", "/api/v1/things")) == ()
    body = b'{ "c" : 1 }'
    answer = CHAIN.taken_back((), Response(body, media_type="application/json"), FIRST)
    assert answer.body == body
    changes = CHAIN.concerning(THINGS)
    newest = CHAIN.taken_back(changes, Response(body, media_type="application/json"), CHAIN.newest)
    assert newest.body == body  # not even written anew
    for other in (Response(body, 422, media_type="application/json"), Response(body)):
        assert CHAIN.taken_back(changes, other, FIRST).body == body


def test_a_version_that_was_never_published_cannot_retire() -> None:
    with pytest.raises(ValueError, match="days in order"):
        Versions([], {"2020-01-01": Retiring(date(2026, 1, 1), date(2027, 1, 1))})
    with pytest.raises(ValueError, match="days in order"):
        Versions([], {FIRST: Retiring(date(2026, 1, 1), date(2027, 1, 1))})  # the newest stays
    with pytest.raises(ValueError, match="days in order"):
        Versions([Renamed("2020-01-01", "a", "b")], {})


async def test_an_operation_on_its_way_out_says_so() -> None:
    async def thing(scope: Any, receive: Any, send: Any) -> None:
        await Response(b"{}", media_type="application/json")(scope, receive, send)

    leaving = {("GET", "/api/v1/things/{thing_id}"): Retiring(date(2026, 1, 1), date(2027, 1, 2))}
    app = VersionHeaders(thing, CHAIN, leaving)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        answer = await client.get("/api/v1/things/7")
        assert answer.headers["deprecation"] == "@1767225600"
        assert answer.headers["sunset"] == "Sat, 02 Jan 2027 00:00:00 GMT"
        others = [
            ("GET", "/api/v1/things"), ("POST", "/api/v1/things/7"),
            ("GET", "/api/v1/things/7/x"), ("GET", "/other/things/7"),
        ]  # fmt: skip
        for method, path in others:
            assert "sunset" not in (await client.request(method, path)).headers


def _stored(document: dict[str, Any], version: str) -> StoredAnswer:
    headers = {"content-type": "application/json", "API-Version": version}
    return StoredAnswer(200, headers, orjson.dumps(document))


def test_the_routes_module_speaks_the_newest_form_only() -> None:
    assert not hasattr(reviews.DecisionBody, "approved")
    assert set(reviews.DecisionBody.model_fields) == {"decision", "reason"}


def test_the_page_lists_the_versions_there_are() -> None:
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    listed = re.findall(r"^\| `([0-9-]+)` \|", page, re.MULTILINE)
    assert listed == list(reversed(VERSIONS.known))
