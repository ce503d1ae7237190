"""Who may accept what, and when: refusals leave no trace, an acceptance counts once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from models.domain.application import State
from models.domain.decision import Outcome
from models.domain.errors import Conflict, Invalid, Refused
from models.domain.kyc import VendorVerdict
from tests.workflows.cast import Rules, SilentVendor
from tests.workflows.lenders_and_chains import (
    STRANGER,
    ForgetfulWatcher,
    HesitantLender,
    OneLender,
    RefusesToRecordOnce,
    SlowToRecord,
)
from tests.workflows.world import World, event_types

pytestmark = pytest.mark.stack

REFUSALS: list[tuple[str, type[Refused], dict[str, Any]]] = [
    ("OFFER_UNKNOWN", Invalid, {"offer_id": "off_" + "0" * 32}),
    ("OFFER_UNKNOWN", Invalid, {"applicant_id": "somebody-else"}),
    ("TERMS_HASH_MISMATCH", Invalid, {"terms_hash": "0x" + "11" * 32}),
    (
        "BORROWER_MISMATCH",
        Invalid,
        {"borrower": STRANGER.address, "signed_by": STRANGER.private_key},
    ),
    ("ACCEPTANCE_DEADLINE_TOO_SOON", Invalid, {"deadline_in": timedelta(minutes=4)}),
    ("ACCEPTANCE_DEADLINE_TOO_SOON", Invalid, {"deadline_in": timedelta(minutes=-1)}),
    ("SIGNATURE_INVALID", Invalid, {"signed_by": STRANGER.private_key}),
]


async def test_refused_acceptances_leave_nothing_in_history(on_a_real_server: World) -> None:
    world = on_a_real_server
    async with world.playing():
        application = await world.offered(await world.apply())
        handle = world.application(application)
        before = await event_types(handle)
        for code, kind, template in REFUSALS:
            changes = dict(template)
            if within := changes.pop("deadline_in", None):
                changes["deadline"] = int((await world.now() + within).timestamp())
            with pytest.raises(kind) as refused:
                await world.accept(application, **changes)
            assert refused.value.code == code
            assert await event_types(handle) == before, code
        assert "record_acceptance" not in world.calls
        await world.accept(application)
        assert (await world.outcome(application)).state is State.FUNDED


async def test_a_second_acceptance_is_refused(world: World) -> None:
    async with world.casts(chain=ForgetfulWatcher).playing():
        application = await world.offered(await world.apply())
        await world.accept(application)
        with pytest.raises(Conflict) as refused:
            await world.accept(application, nonce=8)
        assert refused.value.code == "ALREADY_ACCEPTED"
        assert world.calls.count("record_acceptance") == 1


async def test_nothing_can_be_accepted_of_an_application_that_ended_or_never_was(
    world: World,
) -> None:
    async with world.playing():
        application = await world.offered(await world.apply())
        ended = await world.outcome_in_time(application)
        assert ended.state is State.EXPIRED
        for each in (application, world.drafted()):
            with pytest.raises(Conflict) as refused:
                await world.accept(each, world.offers(application)[0])
            assert refused.value.code == "APPLICATION_NOT_WAITING"


async def test_an_acceptance_before_the_workflow_has_the_offers_waits_for_them(
    world: World,
) -> None:
    lender = world.casts(lender=HesitantLender).lender
    assert isinstance(lender, HesitantLender)
    async with world.playing():
        application = await world.apply()
        await lender.asked.wait()
        shown = await OneLender.offers(lender, application)
        early = asyncio.create_task(world.accept(application, shown[0]))
        await world.until_event(
            world.application(application), "WORKFLOW_EXECUTION_UPDATE_ACCEPTED"
        )
        assert not early.done()
        lender.may_answer.set()
        await early
        assert (await world.outcome(application)).state is State.FUNDED


async def test_an_early_acceptance_of_another_offer_is_refused_and_the_offers_stand(
    world: World,
) -> None:
    lender = world.casts(lender=HesitantLender).lender
    assert isinstance(lender, HesitantLender)
    async with world.playing():
        application = await world.apply()
        await lender.asked.wait()
        other = await lender.offer(application, 9, timedelta(hours=1))
        early = asyncio.create_task(world.accept(application, other))
        await world.until_event(
            world.application(application), "WORKFLOW_EXECUTION_UPDATE_ACCEPTED"
        )
        lender.may_answer.set()
        with pytest.raises(Invalid) as refused:
            await early
        assert refused.value.code == "OFFER_UNKNOWN"
        await world.offered(application)
        await world.accept(application)
        assert (await world.outcome(application)).state is State.FUNDED


async def test_an_early_acceptance_does_not_keep_a_declined_application_open(
    world: World,
) -> None:
    def declining(calls: list[str]) -> Rules:
        return Rules(calls, eligibility=Outcome.DECLINE)

    async with world.casts(vendor=SilentVendor, rules=declining).playing():
        application = await world.apply()
        await world.until_called("submit_verification")
        offer = await world.lender.offer(application, 1, timedelta(hours=1))
        early = asyncio.create_task(world.accept(application, offer))
        await world.until_event(
            world.application(application), "WORKFLOW_EXECUTION_UPDATE_ACCEPTED"
        )
        await world.vendor.call_back(world.vendor.requests[0].verification_id, VendorVerdict.CLEAR)
        with pytest.raises(Conflict) as refused:
            await early
        assert refused.value.code == "APPLICATION_CLOSED"
        assert (await world.outcome(application)).state is State.DECLINED


async def test_an_acceptance_our_records_refuse_leaves_the_offers_open(world: World) -> None:
    async with world.casts(lender=RefusesToRecordOnce).playing():
        application = await world.offered(await world.apply())
        with pytest.raises(Conflict) as refused:
            await world.accept(application)
        assert refused.value.code == "OFFER_NOT_OPEN"
        assert "submit_settlement" not in world.calls
        await world.accept(application)
        assert (await world.outcome(application)).state is State.FUNDED


async def test_nothing_is_settled_before_the_acceptance_is_on_record(world: World) -> None:
    lender = world.casts(lender=SlowToRecord).lender
    assert isinstance(lender, SlowToRecord)
    async with world.playing():
        # A task that outlives its timeout hands in what it has decided so far, a started
        # settlement among it.
        application = await world.apply_hastily()
        handle = world.application(application)
        await world.offered(application)
        accepting = asyncio.create_task(world.accept(application))
        await lender.recording.wait()
        await world.until_event(handle, "WORKFLOW_EXECUTION_UPDATE_ACCEPTED")
        assert "submit_settlement" not in world.calls
        assert (await event_types(handle)).count("START_CHILD_WORKFLOW_EXECUTION_INITIATED") == 1
        lender.may_record.set()
        await accepting
        assert (await world.outcome(application)).state is State.FUNDED
