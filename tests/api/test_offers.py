"""Offers over the API: searches ranked or as they arrive, pages of the past, an applicant's no."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from adapters.chain.eip712 import checksum
from adapters.offer_search import ConcurrentOfferSearch
from models.domain.errors import Conflict, NotFound, Unavailable
from models.domain.graph import Page
from models.domain.offer import SearchAgain
from models.domain.provider import MissingProvider
from models.domain.views import OfferStanding, OfferView, SearchView
from tests.activities.people import BORROWER
from tests.adapters.lenders import Directory, FailingLender, Lender, quote_of

CRITERIA = {
    "amount_minor": 500_000, "currency": "USD", "term_months": 12, "jurisdiction": "US",
    "wallet": BORROWER,
}  # fmt: skip
APPLICATION = "app_" + "1" * 32
PATH = "/api/v1/offers/search"

# Cheapest a month, cheapest in all, and of the lowest rate: three different ones.
EASY = quote_of("easy", apr_bps=1_300, monthly_payment_minor=20_000, total_repayable_minor=720_000)
SHORT = quote_of(
    "short", apr_bps=1_200, monthly_payment_minor=90_000, total_repayable_minor=540_000
)
LOW = quote_of("low", apr_bps=900, monthly_payment_minor=44_000, total_repayable_minor=560_000)


class Book:
    """Knows one application with the offers of its rounds; remembers what it was asked."""

    def __init__(self, owner: str = "zelda") -> None:
        self.owner = owner
        self.round = 1
        self.pages: list[tuple[str | None, Page]] = []
        self.rejected: list[tuple[str, str | None, str | None]] = []
        self.refuses: Exception | None = None

    def views(self) -> tuple[OfferView, ...]:
        return tuple(
            OfferView(f"off_{number:032x}", "open", quote, 31337, "0x" + "44" * 20)
            for number, quote in enumerate((EASY, SHORT, LOW), start=1)
        )

    async def searched(self, tenant: str, application_id: str, only_user: str | None) -> SearchView:
        if application_id != APPLICATION or only_user not in (None, self.owner):
            raise NotFound("APPLICATION_UNKNOWN")
        missing = ({"provider_id": "late", "quote": None, "reason": "DEADLINE_EXCEEDED"},)
        return SearchView(APPLICATION, self.owner, self.round, self.views(), missing)

    async def search_again(self, application: Any, request: SearchAgain) -> int:
        if self.refuses is not None:
            raise self.refuses
        self.round = request.round
        return self.round

    async def history(self, tenant: str, only_user: str | None, page: Page) -> list[OfferStanding]:
        self.pages.append((only_user, page))
        at = datetime(2026, 11, 22, tzinfo=UTC)
        known = [OfferStanding(each, APPLICATION, self.owner, 1, at) for each in self.views()]
        return known[: page.first + 1]

    async def reject(
        self, write: Any, offer_id: str, only_user: str | None, reason: str | None, given: Any
    ) -> Any:
        if self.refuses is not None:
            raise self.refuses
        self.rejected.append((offer_id, only_user, reason))
        return given


@pytest.fixture
def book(app: FastAPI) -> Book:
    book: Any = Book()
    services = app.state.services
    app.state.services = dataclasses.replace(services, offers=book, messages=book)
    return book


def lending(app: FastAPI, *lenders: Lender, **directory: Any) -> None:
    search = ConcurrentOfferSearch(Directory(*lenders, **directory))
    app.state.services = dataclasses.replace(app.state.services, offer_search=search)


def events(text: str) -> list[tuple[str, Any]]:
    """Event names and data of a stream."""
    found = []
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


@pytest.mark.parametrize(
    ("ranking", "order"),
    [
        (None, ["low", "short", "easy"]),
        ("apr", ["low", "short", "easy"]),
        ("total_cost", ["short", "low", "easy"]),
        ("monthly_payment", ["easy", "low", "short"]),
    ],
)
async def test_indicative_offers_stand_as_the_applicant_wants(
    app: FastAPI, http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]],
    ranking: str | None, order: list[str],
) -> None:  # fmt: skip
    lending(app, Lender("easy", EASY), Lender("short", SHORT), Lender("low", LOW))
    body: dict[str, Any] = {"criteria": CRITERIA} | ({"ranking": ranking} if ranking else {})
    answer = await http.post(PATH, json=body, headers=bearer("applicant"))
    found = answer.json()
    assert answer.status_code == 200
    assert [each["provider_id"] for each in found["offers"]] == order
    assert [each["total_cost_minor"] for each in found["offers"]] == [
        {"low": 60_000, "short": 40_000, "easy": 220_000}[name] for name in order
    ]
    assert {each["offer_id"] for each in found["offers"]} == {None}
    assert (found["binding"], found["application_id"], found["round"]) == (False, None, None)
    assert found["search_id"].startswith("srch_")


async def test_lenders_are_asked_under_the_searchs_id_and_told_no_score(
    app: FastAPI, http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]]
) -> None:
    lender = Lender("low", LOW)
    lending(app, lender)
    await http.post(PATH, json={"criteria": CRITERIA}, headers=bearer("applicant", tenant="acme"))
    [asked] = lender.asked
    assert asked.application_id.startswith("srch_")
    assert (asked.tenant_id, asked.score, asked.pd) == ("acme", None, None)
    assert (asked.borrower, asked.amount_minor, asked.term_months) == (
        checksum(BORROWER), 500_000, 12,
    )  # fmt: skip


async def test_answers_are_streamed_as_they_arrive_and_then_all_of_them_ranked(
    app: FastAPI, http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]]
) -> None:
    lending(
        app, Lender("easy", EASY), Lender("low", LOW), Lender("silent", held=True),
        FailingLender("failing", Unavailable("UPSTREAM_UNREACHABLE")),
        missing=[MissingProvider("paused", "PROVIDER_PAUSED")],
    )  # fmt: skip
    app.state.services = dataclasses.replace(app.state.services, search_deadline_s=0.05)
    headers = {**bearer("applicant"), "accept": "text/event-stream"}
    answer = await http.post(PATH, json={"criteria": CRITERIA}, headers=headers)
    told = events(answer.text)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    assert told[0] == ("missing", {"provider_id": "paused", "reason": "PROVIDER_PAUSED"})
    assert told[-2] == ("missing", {"provider_id": "silent", "reason": "DEADLINE_EXCEEDED"})
    name, whole = told[-1]
    assert name == "done"
    assert [each["provider_id"] for each in whole["offers"]] == ["low", "easy"]
    assert {each["provider_id"]: each["reason"] for each in whole["missing"]} == {
        "paused": "PROVIDER_PAUSED", "silent": "DEADLINE_EXCEEDED",
        "failing": "UPSTREAM_UNREACHABLE",
    }  # fmt: skip
    assert sorted(each for each, _ in told) == ["done", *["missing"] * 3, *["offer"] * 2]


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_a_directory_that_is_away_is_a_refusal_in_either_form(
    app: FastAPI, http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]], accept: str
) -> None:
    lending(app, held=True)
    app.state.services = dataclasses.replace(app.state.services, search_deadline_s=0.02)
    headers = {**bearer("applicant"), "accept": accept}
    answer = await http.post(PATH, json={"criteria": CRITERIA}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (503, "PROVIDERS_UNKNOWN")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ranking": "apr"},
        {"criteria": CRITERIA, "application_id": APPLICATION},
        {"criteria": CRITERIA, "round": 2},
        {"application_id": APPLICATION, "round": 0},
        {"application_id": APPLICATION, "round": 99},
        {"application_id": APPLICATION, "ranking": "best"},
        {"criteria": {**CRITERIA, "amount_minor": 0}},
        {"criteria": {**CRITERIA, "score": 850}},
    ],
    ids=[
        "nothing", "only-a-ranking", "both", "a-round-of-criteria", "round-0", "round-99",
        "unknown-ranking", "no-amount", "a-score",
    ],
)  # fmt: skip
async def test_what_is_searched_is_one_thing(
    http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]], body: Any, book: Book
) -> None:
    answer = await http.post(PATH, json=body, headers=bearer("applicant"))
    assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_FAILED")


async def test_a_currency_that_is_not_paid_out_is_not_searched(
    http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]]
) -> None:
    body = {"criteria": {**CRITERIA, "currency": "EUR"}}
    answer = await http.post(PATH, json=body, headers=bearer("applicant"))
    assert (answer.status_code, answer.json()["code"]) == (422, "CURRENCY_NOT_SETTLED")


async def test_an_applications_offers_are_its_binding_ones(
    http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]], book: Book
) -> None:
    body = {"application_id": APPLICATION, "ranking": "total_cost"}
    found = (await http.post(PATH, json=body, headers=bearer("applicant"))).json()
    assert [each["offer_id"][-1] for each in found["offers"]] == ["2", "3", "1"]
    assert found["missing"] == [{"provider_id": "late", "reason": "DEADLINE_EXCEEDED"}]
    assert (found["binding"], found["round"], found["search_id"]) == (True, 1, None)
    headers = {**bearer("applicant"), "accept": "text/event-stream"}
    told = events((await http.post(PATH, json=body, headers=headers)).text)
    assert [name for name, _ in told] == ["offer", "offer", "offer", "missing", "done"]
    assert told[-1][1] == found


async def test_naming_the_next_round_asks_lenders_again_and_an_older_one_nobody(
    http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]], book: Book
) -> None:
    for wanted, then in ((1, 1), (2, 2), (2, 2), (1, 2)):
        body = {"application_id": APPLICATION, "round": wanted}
        found = (await http.post(PATH, json=body, headers=bearer("applicant"))).json()
        assert (found["round"], book.round) == (then, then)
    book.refuses = Conflict("ALREADY_ACCEPTED")
    body = {"application_id": APPLICATION, "round": 3}
    answer = await http.post(PATH, json=body, headers=bearer("applicant"))
    assert (answer.status_code, answer.json()["code"]) == (409, "ALREADY_ACCEPTED")


async def test_another_persons_application_is_nobodys(
    http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]], book: Book
) -> None:
    body = {"application_id": APPLICATION, "round": 2}
    answer = await http.post(PATH, json=body, headers=bearer("applicant", subject="yorick"))
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
    assert book.round == 1
    theirs = await http.post(PATH, json=body, headers=bearer("integrator", subject="shop"))
    assert theirs.status_code == 200


async def test_pages_of_the_past_go_on_where_they_ended(
    http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]], book: Book
) -> None:
    path = "/api/v1/offers/history?limit=2&status=open&provider_id=low"
    first = (await http.get(path, headers=bearer("applicant"))).json()
    assert len(first["offers"]) == 2
    assert first["next"] == first["offers"][-1]["offer_id"]
    last = await http.get(
        f"/api/v1/offers/history?after={first['next']}", headers=bearer("auditor")
    )
    assert last.json()["next"] is None
    assert book.pages == [
        ("zelda", Page(2, None, {"status": "open", "provider_id": "low"})),
        (None, Page(50, first["next"], {})),
    ]


async def test_a_no_is_told_to_the_records_with_its_reason(
    http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]], book: Book
) -> None:
    path = f"/api/v1/offers/off_{'0' * 31}1/reject"
    headers = {**bearer("applicant"), "idempotency-key": "k" * 16}
    answer = await http.post(path, json={"reason": "too_expensive"}, headers=headers)
    assert answer.json() == {"offer_id": f"off_{'0' * 31}1", "status": "rejected"}
    assert book.rejected == [(f"off_{'0' * 31}1", "zelda", "too_expensive")]
    book.refuses = Conflict("OFFER_NOT_OPEN")
    refused = await http.post(path, json={}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "OFFER_NOT_OPEN")


@pytest.mark.parametrize(
    "code", ["SEARCH_UNDER_WAY", "SEARCH_ROUND_UNKNOWN", "SEARCH_ROUNDS_EXHAUSTED"]
)
async def test_a_round_that_cannot_be_asked_for_is_refused_by_a_published_code(
    app: FastAPI, http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]], book: Book,
    code: str,
) -> None:  # fmt: skip
    book.refuses = Conflict(code)
    body = {"application_id": APPLICATION, "round": 2}
    answer = await http.post(PATH, json=body, headers=bearer("applicant"))
    published = app.openapi()["paths"][PATH]["post"]["responses"]["409"]["content"]
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert answer.json() == published["application/problem+json"]["examples"][code]["value"]
