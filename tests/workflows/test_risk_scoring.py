"""What cannot be scored within the hour goes to a person, with the worst numbers there are."""

from __future__ import annotations

from datetime import timedelta

import pytest

from models.domain.application import State
from models.domain.decision import Outcome
from models.domain.risk import Assessment
from tests.workflows.cast import BrokenScorer, Calls, Rules
from tests.workflows.world import World

pytestmark = pytest.mark.stack


def declining(calls: Calls) -> Rules:
    return Rules(calls, credit=Outcome.DECLINE)


async def test_a_score_is_the_workflows_result(world: World) -> None:
    async with world.playing():
        application = await world.offered(await world.apply())
        workflow_id = world.workflows_of(application)["risk"].id
        handle = world.client.get_workflow_handle(workflow_id, result_type=Assessment)
        assessment = await handle.result()
        assert (assessment.outcome, assessment.pd) == ("scored", 0.02)
        assert "refer_unscored" not in world.calls


async def test_scoring_that_fails_for_an_hour_is_referred(world: World) -> None:
    async with world.casts(scorer=BrokenScorer, rules=declining).playing():
        application = await world.apply()
        ended = await world.outcome_in_time(application)
        history = await world.workflows_of(application)["risk"].fetch_history()
        began_at, ended_at = (history.events[each].event_time.ToDatetime() for each in (0, -1))
        # A retry that could not begin within the hour is not waited for.
        assert timedelta(minutes=59) <= ended_at - began_at <= timedelta(minutes=61)
        assert world.calls.count("assess_risk") > 10
        assert world.calls.count("refer_unscored") == 1
        workflow_id = world.workflows_of(application)["risk"].id
        handle = world.client.get_workflow_handle(workflow_id, result_type=Assessment)
        assessment = await handle.result()
        assert (assessment.outcome, assessment.pd, assessment.score) == ("referred", 1.0, 300)
        # The rules were asked nevertheless, and are the ones to end it.
        assert ended.state is State.DECLINED
        assert "decide_credit" in world.calls
