"""Every ending, reached by a persona through the public API, and what it did to the world outside.

All journeys run at once, on one stack: they share counterparties, and none disturbs another.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from models.domain.offer import MAX_ROUNDS
from sandbox.borrower import TERMINAL
from sandbox.journey import Journey, journey_on
from sandbox.persona import Persona, persona_names, read_persona
from sandbox.stack_settings import LENDERS
from tests.e2e.outside import World, eventually

pytestmark = pytest.mark.stack

NAMES = persona_names()
UNITS_PER_CENT = 10**4  # 6 decimals
OWED_A_NOTICE = {"declined", "sanctioned", "bureau_down", "changed_terms"}
LENT = {name for name in NAMES if read_persona(name).ends_in.state == "funded"}


@dataclass(frozen=True)
class Ended:
    """A persona's journey with what became of it: the last view, or why there is none."""

    persona: Persona
    journey: Journey
    view: dict[str, Any]

    @property
    def tenant(self) -> str:
        return self.persona.tenant

    @property
    def application_id(self) -> str:
        return self.journey.applications[-1]


async def _travel(world: World, name: str) -> Ended | Exception:
    tag = secrets.token_hex(6)
    persona = read_persona(name).as_another(f"tenant-{tag}", f"user-{tag}")
    try:
        journey = await journey_on(world.stack, world.http, persona)
        return Ended(persona, journey, await journey.run())
    except Exception as error:  # told by the tests of that persona
        return error


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def endings(world: World) -> Mapping[str, Ended | Exception]:
    """Every persona's journey, all at once."""
    return dict(zip(NAMES, await asyncio.gather(*(_travel(world, n) for n in NAMES)), strict=True))


@pytest.fixture
def ended(endings: Mapping[str, Ended | Exception], request: pytest.FixtureRequest) -> Ended:
    """The journey of the persona that the test names."""
    one = endings[request.param]
    if isinstance(one, Exception):
        raise one
    return one


def of(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("ended", names, indirect=True)


@of(*NAMES)
async def test_it_ends_as_the_persona_says_and_only_so(world: World, ended: Ended) -> None:
    view, expected = ended.view, ended.persona.ends_in
    told = [reason["code"] for reason in view["reasons"]]
    assert (view["state"], told) == (expected.state, list(expected.reasons))
    assert all(reason["text"] for reason in view["reasons"])
    actions = await world.truth.rows(
        "SELECT action FROM audit_log WHERE tenant_id = $1 AND subject_id = $2"
        " AND action = ANY($3)",
        ended.tenant,
        ended.application_id,
        [f"application.{state}" for state in TERMINAL],
    )
    assert [row["action"] for row in actions] == [f"application.{expected.state}"]


@of(*NAMES)
async def test_who_is_funded_is_paid_once_and_nobody_else_is(world: World, ended: Ended) -> None:
    at, wallet = ended.journey.borrower.deployment, ended.journey.borrower.wallet.address
    lent = ended.persona.name in LENT
    amount_minor = ended.persona.application["amount_minor"] if lent else 0
    assert await world.node.balance_of(at.token, wallet) == amount_minor * UNITS_PER_CENT
    loans = await world.truth.rows("SELECT * FROM loans WHERE tenant_id = $1", ended.tenant)
    assert [loan["application_id"] for loan in loans] == [ended.application_id] * lent
    transaction = ended.view["transaction"]
    if lent:
        assert transaction["settlement_state"] == "final"
        events = await world.node.disbursements(at.aggregator, transaction["loan_reference"])
        assert [event["transactionHash"] for event in events] == [transaction["tx_hash"]]
    else:
        assert transaction is None or transaction["tx_hash"] is None
        assert ended.view["loan"] is None
        signed = "SELECT count(*) FROM chain_attempts WHERE tenant_id = $1"
        assert await world.truth.value(signed, ended.tenant) == 0


@of(*NAMES)
async def test_a_notice_is_sent_once_to_whom_one_is_owed(world: World, ended: Ended) -> None:
    def carried() -> list[dict[str, Any]]:
        return world.journals.effects("notifier", "notice.carried", ended.application_id)

    if ended.persona.name not in OWED_A_NOTICE:
        assert carried() == []
        return

    async def delivered() -> bool:
        view = await ended.journey.borrower.view(ended.application_id)
        return bool(view["notice"] and view["notice"]["status"] == "delivered")

    await eventually("the notice is delivered", delivered)
    assert len(carried()) == 1


def _quotes(world: World, borrower: str) -> list[str]:
    """What the lenders wrote down of quotes to a borrower, as text."""
    lines = [json.dumps(line) for name in LENDERS for line in world.journals.lines(name)]
    return [line for line in lines if borrower in line]


@of("declined", "sanctioned", "bureau_down")
async def test_no_lender_hears_of_whom_the_rules_do_not_let_through(
    world: World, ended: Ended
) -> None:
    borrower = ended.journey.borrower.wallet.address
    assert _quotes(world, borrower) == []


@of("sanctioned")
async def test_a_listed_person_costs_no_report(world: World, ended: Ended) -> None:
    assert world.journals.effects("bureau", "report.billed", ended.application_id) == []


@of("bureau_down")
async def test_a_silent_bureau_is_no_good_report(world: World, ended: Ended) -> None:
    assert ended.view["score"] is None
    assert world.journals.effects("bureau", "report.billed", ended.application_id) == []
    refused = [
        line
        for line in world.journals.lines("bureau", "steered")
        if line["key"] == f"{ended.application_id}:bureau"
    ]
    assert refused


@of("vendor_down")
async def test_the_vendor_was_asked_until_it_answered_and_opened_one_check(
    world: World, ended: Ended
) -> None:
    opened = world.journals.effects("identity_vendor", "check.opened", ended.tenant)
    assert len(opened) == 1
    steered = [
        line["rule"]
        for line in world.journals.lines("identity_vendor", "steered")
        if line["key"] == opened[0]["key"]
    ]
    assert steered == [f"{ended.persona.user_id}:vendor-down"] * 2


@of("verified_before")
async def test_who_was_verified_before_is_not_verified_again(world: World, ended: Ended) -> None:
    first, second = ended.journey.applications
    assert (await ended.journey.borrower.view(first))["state"] == "withdrawn"
    assert second == ended.application_id
    opened = world.journals.effects("identity_vendor", "check.opened", ended.tenant)
    assert len(opened) == 1


@of("expired_offer", "withdrawn")
async def test_an_offer_nobody_accepted_is_confirmed_by_nobody(world: World, ended: Ended) -> None:
    assert ended.view["offers"]
    assert ended.view["accepted_offer_id"] is None
    quoted = " ".join(_quotes(world, ended.journey.borrower.wallet.address))
    [reference] = set(re.findall(r'"loan_reference": "(0x[0-9a-f]{64})"', quoted))
    for lender in LENDERS:
        assert world.journals.effects(lender, "quote.confirmed", reference) == []
    told = {
        lender
        for lender in LENDERS
        for line in world.journals.lines(lender, "steered")
        if line["rule"].startswith(ended.persona.user_id)
    }
    assert told == (set(LENDERS) if ended.persona.name == "expired_offer" else set())


@of("changed_terms")
async def test_terms_the_borrower_did_not_sign_move_nothing(world: World, ended: Ended) -> None:
    rounds = await world.truth.value(
        "SELECT round FROM offer_searches WHERE tenant_id = $1", ended.tenant
    )
    assert rounds == MAX_ROUNDS
    assert ended.view["accepted_offer_id"] is not None
    entries = "SELECT count(*) FROM ledger_entries WHERE tenant_id = $1 AND state = 'final'"
    assert await world.truth.value(entries, ended.tenant) == 0


@of("requoted")
async def test_what_is_paid_are_the_terms_of_the_new_quote(world: World, ended: Ended) -> None:
    statuses = [each["status"] for each in ended.view["offers"]]
    assert (statuses.count("accepted"), "replaced" in statuses) == (1, True)
    audited = await world.truth.rows(
        "SELECT action FROM audit_log WHERE tenant_id = $1 AND action IN"
        " ('offer.accepted', 'offer.replaced', 'offer.confirmed') ORDER BY seq",
        ended.tenant,
    )
    assert [row["action"] for row in audited] == [
        "offer.accepted", "offer.replaced", "offer.accepted", "offer.confirmed",
    ]  # fmt: skip


APPROVALS = {
    "needs_review": ["uma.underwriter"],
    "thin_file": ["uma.underwriter"],
    "enhanced_due_diligence": ["cora.compliance", "carl.compliance"],
}


@of(*APPROVALS)
async def test_operators_are_on_record_by_name(world: World, ended: Ended) -> None:
    audited = await world.truth.rows(
        "SELECT actor, action FROM audit_log WHERE tenant_id = $1 AND action LIKE 'review.%'"
        " ORDER BY seq",
        ended.tenant,
    )
    named = [row["actor"] for row in audited if row["actor"].endswith((".underwriter", "ance"))]
    expected = APPROVALS[ended.persona.name]
    assert [name for name in named if name in expected][-len(expected) :] == expected
    review = await world.truth.rows("SELECT * FROM reviews WHERE tenant_id = $1", ended.tenant)
    assert [row["status"] for row in review] == ["approved"]


@of("thin_file")
async def test_what_was_asked_and_answered_is_on_record(world: World, ended: Ended) -> None:
    [asked] = ended.view["information_requests"]
    assert (asked["items"], asked["status"]) == (["PROOF_OF_INCOME"], "answered")
    # What the applicant wrote is personal data: sealed where it is kept.
    secret = ended.persona.steps[1].answers[0]["text"]
    kept = "SELECT * FROM information_requests WHERE tenant_id = $1"
    [row] = await world.truth.rows(kept, ended.tenant)
    assert secret not in str(row)


async def test_nothing_was_done_twice_by_any_counterparty(
    world: World, endings: Mapping[str, Ended | Exception]
) -> None:
    assert len(endings) == len(NAMES)
    for name in ("identity_vendor", "bureau", "notifier", *LENDERS):
        assert world.journals.repeated(name) == []
