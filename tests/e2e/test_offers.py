"""Offers through the running product: searched, compared, asked for again, accepted, rejected."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from sandbox.borrower import Borrower
from sandbox.stack_settings import BANK, FINTECH, POOL
from tests.e2e.outside import World, eventually, refusal_of

pytestmark = pytest.mark.stack

SEARCH = "/api/v1/offers/search"


@dataclass(frozen=True)
class Offered:
    """Somebody with open offers."""

    person: Borrower
    view: dict[str, Any]

    @property
    def application_id(self) -> str:
        return str(self.view["application_id"])

    def offer(self, number: int) -> dict[str, Any]:
        found: dict[str, Any] = self.view["offers"][number]
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def offered(world: World) -> Offered:
    person = world.person()
    return Offered(person, await world.apply_until(person, "offered"))


def criteria(person: Borrower) -> dict[str, Any]:
    return {
        "amount_minor": 500_000, "currency": "USD", "term_months": 24, "jurisdiction": "US",
        "wallet": person.wallet.address,
    }  # fmt: skip


async def post(world: World, person: Borrower, path: str, body: Any, key: str = "") -> Any:
    headers = {**person.headers(), "Idempotency-Key": key or secrets.token_urlsafe(16)}
    return await world.http.post(path, json=body, headers=headers)


async def test_a_search_before_applying_asks_every_lender_and_records_nothing(
    world: World,
) -> None:
    person = world.person()
    body = {"criteria": criteria(person), "ranking": "total_cost"}
    found = (await post(world, person, SEARCH, body)).json()
    named = {each["provider_id"] for each in (*found["offers"], *found["missing"])}
    assert named >= {BANK, FINTECH, POOL}
    costs = [each["total_cost_minor"] for each in found["offers"]]
    assert costs == sorted(costs)
    assert costs  # of those who lend without knowing a score
    assert found["binding"] is False
    # The same again is answered from memory: no lender is asked under the new id.
    again = (await post(world, person, SEARCH, body)).json()
    assert again["search_id"] != found["search_id"]
    asked = world.journals.lines("bank", "request")
    assert any(found["search_id"] in line["key"] for line in asked)
    assert not any(again["search_id"] in line["key"] for line in asked)
    assert await world.truth.footprint(person.data["tenant"]) == {}


async def test_a_search_is_told_as_lenders_answer(world: World) -> None:
    person = world.person()
    headers = {**person.headers(), "accept": "text/event-stream"}
    names: list[str] = []
    whole: dict[str, Any] = {}
    async with world.http.stream(
        "POST", SEARCH, json={"criteria": criteria(person)}, headers=headers
    ) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("event: "):
                names.append(line.removeprefix("event: "))
            elif line.startswith("data: "):
                whole = json.loads(line.removeprefix("data: "))
    assert names[-1] == "done"
    assert names.count("offer") == len(whole["offers"]) >= 1
    assert names.count("missing") == len(whole["missing"])


async def test_an_applications_offers_can_be_compared_and_shown(
    world: World, offered: Offered
) -> None:
    body = {"application_id": offered.application_id, "ranking": "monthly_payment"}
    found = (await post(world, offered.person, SEARCH, body)).json()
    payments = [each["monthly_payment_minor"] for each in found["offers"]]
    assert payments == sorted(payments)
    assert {each["offer_id"] for each in found["offers"]} == {
        each["offer_id"] for each in offered.view["offers"]
    }
    first = found["offers"][0]["offer_id"]
    shown = (await world.http.get(
        f"/api/v1/offers/{first}", headers=offered.person.headers()
    )).json()  # fmt: skip
    [same] = [each for each in offered.view["offers"] if each["offer_id"] == first]
    assert {name: shown[name] for name in same} == same
    assert (shown["application_id"], shown["round"]) == (offered.application_id, 1)


async def test_another_persons_offer_does_not_exist(world: World, offered: Offered) -> None:
    path = f"/api/v1/offers/{offered.offer(0)['offer_id']}"
    tenant = str(offered.person.data["tenant"])
    for stranger in (world.person(tenant=tenant), world.person()):
        refusal_of(await world.http.get(path, headers=stranger.headers()), 404, "NOT_FOUND")
        body = stranger.acceptance_body(offered.offer(0))
        signed = {name: value for name, value in body.items() if name != "offer_id"}
        refusal_of(await post(world, stranger, f"{path}/accept", signed), 404, "NOT_FOUND")
        refusal_of(await post(world, stranger, f"{path}/reject", {}), 404, "NOT_FOUND")
        page = await world.http.get("/api/v1/offers/history", headers=stranger.headers())
        assert page.json() == {"offers": [], "next": None}


async def test_a_rejected_offer_stays_rejected_and_another_is_accepted(world: World) -> None:
    person = world.person()
    view = await world.apply_until(person, "offered")
    unwanted, wanted = view["offers"][0], view["offers"][1]
    path, key = f"/api/v1/offers/{unwanted['offer_id']}/reject", secrets.token_urlsafe(16)
    answers = await asyncio.gather(
        *(post(world, person, path, {"reason": "other_lender"}) for _ in range(4)),
        post(world, person, path, {}, key),
    )
    assert {each.status_code for each in answers} == {200}
    again = await post(world, person, path, {}, key)
    assert again.content == answers[-1].content
    signed = person.acceptance_body(unwanted)
    refused = await post(
        world, person, f"/api/v1/applications/{view['application_id']}/accept", signed
    )
    refusal_of(refused, 409, "OFFER_NOT_OPEN")
    signed = person.acceptance_body(wanted)
    body = {name: value for name, value in signed.items() if name != "offer_id"}
    taken = await post(world, person, f"/api/v1/offers/{wanted['offer_id']}/accept", body)
    assert taken.json()["state"] == "settling"
    refusal_of(await post(
        world, person, f"/api/v1/offers/{wanted['offer_id']}/reject", {}
    ), 409, "OFFER_NOT_OPEN")  # fmt: skip
    await world.until(person, view["application_id"], "funded")
    assert (await world.truth.actions(person.data["tenant"]))["offer.rejected"] == 1

    page = await world.http.get("/api/v1/offers/history?limit=1", headers=person.headers())
    seen: list[Any] = page.json()["offers"]
    while (after := page.json()["next"]) is not None:
        path = f"/api/v1/offers/history?limit=1&after={after}"
        page = await world.http.get(path, headers=person.headers())
        seen += page.json()["offers"]
    assert [each["offer_id"] for each in seen] == sorted(
        (each["offer_id"] for each in view["offers"]), reverse=True
    )
    status = {each["offer_id"]: each["status"] for each in seen}
    assert (status[unwanted["offer_id"]], status[wanted["offer_id"]]) == ("rejected", "accepted")
    only = await world.http.get(
        "/api/v1/offers/history?status=rejected",
        headers=world.staff(person.data["tenant"], "auditor"),
    )
    assert [each["offer_id"] for each in only.json()["offers"]] == [unwanted["offer_id"]]


async def test_one_more_round_asks_lenders_again_and_replaces_what_they_offered(
    world: World,
) -> None:
    person = world.person()
    view = await world.apply_until(person, "offered")
    body = {"application_id": view["application_id"], "round": 2}
    answers = await asyncio.gather(*(post(world, person, SEARCH, body) for _ in range(3)))
    assert {each.status_code for each in answers} <= {200, 409}
    found = (await post(world, person, SEARCH, body)).json()
    assert found["round"] == 2
    before = {each["offer_id"] for each in view["offers"]}
    assert not before & {each["offer_id"] for each in found["offers"]}

    async def replaced() -> bool:
        path = "/api/v1/offers/history?status=replaced"
        page = await world.http.get(path, headers=person.headers())
        return {each["offer_id"] for each in page.json()["offers"]} == before

    await eventually("the first round's offers are replaced", replaced)
    asked = [line["key"] for line in world.journals.lines("bank", "request")]
    ours = [key for key in asked if view["application_id"] in key]
    assert sorted(set(ours)) == [
        f"{view['application_id']}:quote",
        f"{view['application_id']}:quote:2",
    ]


async def test_a_search_needs_no_key(world: World, offered: Offered) -> None:
    body = {"application_id": offered.application_id}
    answer: httpx.Response = await world.http.post(
        SEARCH, json=body, headers=offered.person.headers()
    )
    assert answer.status_code == 200
