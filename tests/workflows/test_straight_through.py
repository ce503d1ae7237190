"""From application to funding, in the one order there is, within the budget of events."""

from __future__ import annotations

import pytest

from models.domain.application import State
from models.domain.settlement import SettlementOrder
from tests.workflows.cast import TX_HASH
from tests.workflows.world import World, event_types

pytestmark = pytest.mark.stack

# The budget of events: see "Rules that hold everywhere" in the design.
APPLICATION_EVENTS = 50
LOAN_EVENTS = 100

STORY = [
    "join_verification",
    "submit_verification",
    "conclude_verification",
    "check_eligibility",
    "assess_risk",
    "decide_credit",
    "collect_offers",
    "record_acceptance",
    "submit_settlement",
    "book_loan",
]


async def test_every_stage_happens_once_and_in_order(world: World) -> None:
    async with world.playing():
        application = await world.offered(await world.apply())
        await world.accept(application)
        outcome = await world.outcome(application)
        assert world.calls == STORY
        assert (outcome.state, outcome.reasons) == (State.FUNDED, ())
        assert (outcome.loan_id, outcome.tx_hash) == ("loan_1", TX_HASH)
        accepted = world.lender.accepted[0]
        assert world.chain.orders == [
            SettlementOrder(application, accepted.offer_id, accepted.acceptance)
        ]


async def test_a_loan_stays_within_its_budget_of_events(world: World) -> None:
    async with world.playing():
        application = await world.offered(await world.apply())
        await world.accept(application)
        await world.outcome(application)
        handles = world.workflows_of(application)
        assert handles.pop("notice", None)  # a funded loan owes no notice
        counts = {name: len(await event_types(each)) for name, each in handles.items()}
        assert counts["application"] <= APPLICATION_EVENTS, counts
        assert sum(counts.values()) <= LOAN_EVENTS, counts


async def test_an_application_is_started_once_however_often_it_is_asked_for(world: World) -> None:
    async with world.playing():
        application = await world.apply()
        await world.messages.start_application(application)
        await world.offered(application)
        await world.accept(application)
        await world.outcome(application)
        await world.messages.start_application(application)
        assert (await world.outcome(application)).state is State.FUNDED
        assert world.calls == STORY


async def test_a_verified_person_is_not_asked_again(world: World) -> None:
    async with world.playing():
        await world.offered(await world.apply())
        await world.offered(await world.apply())
        assert world.calls.count("join_verification") == 2
        assert world.calls.count("submit_verification") == 1
