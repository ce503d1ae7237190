"""GraphQL of the running product: the loan that REST tells of, and nothing of anybody's person."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.e2e.outside import Loan, World

pytestmark = pytest.mark.stack

LOAN = """query ($id: ID!) { application(applicationId: $id) { state score: assessment { score }
  offers { offerId aprBps } loan { loanId }
  transaction { settlementState txHash blockNumber } } }"""
ALL = """{ applications(first: 5) { edges { node { applicationId userId wallet purpose
  person { userId kyc { status screening { status matches { matchedName } } } }
  ruleDecisions { phase outcome fired { ruleId } } ledgerEntries { kind postings { account } }
  assessment { details { outcome modelVersion } } reviews { reasons } } } } }"""


async def ask(world: World, headers: dict[str, str], query: str, **variables: Any) -> Any:
    answer = await _posted(world, headers, query, **variables)
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert "errors" not in document, document["errors"]
    return document["data"]


async def _posted(
    world: World, headers: dict[str, str], query: str, **variables: Any
) -> httpx.Response:
    body = {"query": query, "variables": variables}
    return await world.http.post("/graphql", json=body, headers=headers)


async def test_a_borrower_reads_the_loan_that_rest_tells_of(world: World, loan: Loan) -> None:
    token = world.stack.token(loan.person.data["user_id"], loan.tenant, "applicant")
    own = {"authorization": f"Bearer {token}"}
    shown = (await ask(world, own, LOAN, id=loan.application_id))["application"]
    rest, paid = loan.view, loan.transaction
    assert shown["state"] == rest["state"] == "funded"
    assert shown["score"] == {"score": rest["score"]}
    assert [each["offerId"] for each in shown["offers"]] == [
        each["offer_id"] for each in rest["offers"]
    ]
    assert shown["loan"] == {"loanId": rest["loan"]["loan_id"]}
    assert shown["transaction"] == {
        "settlementState": "final", "txHash": paid["tx_hash"], "blockNumber": paid["block_number"],
    }  # fmt: skip
    for stranger in (
        world.stack.token("somebody-else", loan.tenant, "applicant"),
        world.stack.token(loan.person.data["user_id"], "another-tenant", "applicant"),
        world.stack.token("olga", "another-tenant", "auditor"),
    ):
        headers = {"authorization": f"Bearer {stranger}"}
        assert await ask(world, headers, LOAN, id=loan.application_id) == {"application": None}


async def test_an_auditor_reads_everything_but_who_it_is(world: World, loan: Loan) -> None:
    shown = await ask(world, world.staff(loan.tenant, "auditor"), ALL)
    (edge,) = shown["applications"]["edges"]
    assert edge["node"]["person"]["kyc"]["screening"]["status"] == "clear"
    assert {each["kind"] for each in edge["node"]["ledgerEntries"]} >= {"commitment"}
    assert [each for each in loan.stated if each in json.dumps(shown, ensure_ascii=False)] == []


async def test_nobody_asks_without_a_token(world: World) -> None:
    assert (await _posted(world, {}, "{ __typename }")).status_code == 401
