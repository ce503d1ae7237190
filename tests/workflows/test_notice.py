"""A notice of adverse action has thirty days, and outlives its application."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from models.domain.application import ApplicationRef, State
from models.domain.decision import Outcome
from models.domain.errors import NotFound
from models.domain.ids import new_id
from models.domain.notice import NoticeHandedOver, NoticeRef, NoticeStatus
from models.domain.routing import ADVERSE_ACTION_WORKFLOW, WORKFLOWS_QUEUE
from tests.workflows.cast import Books, LostLetters, RefusedLetters, Rules
from tests.workflows.world import World, about

pytestmark = pytest.mark.stack

MONTH = timedelta(days=30)
MAIL_HOUSE = "notifier"

declining = partial(Rules, credit=Outcome.DECLINE)


def became(world: World) -> list[tuple[NoticeStatus, str, str]]:
    """What became of the notice, step by step."""
    return [(each.status, each.by, each.detail) for each in world.books.notices]


async def ended(world: World) -> ApplicationRef:
    """A declined application: it has ended, whatever becomes of its notice."""
    application = await world.apply()
    assert (await world.outcome(application)).state is State.DECLINED
    return application


async def hand_over(world: World, application: ApplicationRef, name: str) -> None:
    await world.messages.tell_notice(
        application.tenant_id, application.application_id, NoticeHandedOver(name, "by courier")
    )


async def started(world: World, due_at: datetime) -> tuple[ApplicationRef, Any]:
    """A notice by itself."""
    application = world.drafted()
    notice = world.workflows_of(application)["notice"]
    await world.client.start_workflow(
        ADVERSE_ACTION_WORKFLOW,
        NoticeRef(world.tenant, application.application_id, new_id("ntc"), due_at.isoformat()),
        id=notice.id,
        task_queue=WORKFLOWS_QUEUE,
    )
    return application, notice


async def lasted_until(handle: Any) -> tuple[datetime, datetime]:
    """When a workflow began and ended, by the server's clock."""
    events = (await handle.fetch_history()).events
    return events[0].event_time.ToDatetime(), events[-1].event_time.ToDatetime()


async def test_a_refusal_is_explained_by_a_letter(calm_world: World) -> None:
    world = calm_world
    async with world.casts(rules=declining).playing():
        application = await ended(world)
        notice = world.workflows_of(application)["notice"]
        assert await notice.result() == NoticeStatus.DELIVERED
        assert became(world) == [(NoticeStatus.DELIVERED, MAIL_HOUSE, "msg-1")]
        assert world.calls[-3:] == ["close_application", "send_notice", "record_notice"]
        # Nothing waits any more, and nothing ever waited for another one.
        for each in (application, world.drafted()):
            with pytest.raises(NotFound, match="NOTICE_NOT_WAITING"):
                await hand_over(world, each, "olga")


@pytest.mark.parametrize(
    ("books", "reason"), [(RefusedLetters, "NOTICE_REFUSED"), (LostLetters, "MAIL_HOUSE_DOWN")]
)
async def test_thirty_days_without_a_letter_are_on_record_the_moment_they_are_over(
    world: World, books: type[Books], reason: str
) -> None:
    async with world.casts(rules=declining, books=books).playing():
        application = await ended(world)
        notice = world.workflows_of(application)["notice"]
        async with world.skipping():
            assert await notice.result() == NoticeStatus.OVERDUE
        assert became(world) == [
            (NoticeStatus.UNDELIVERABLE, MAIL_HOUSE, reason),
            (NoticeStatus.OVERDUE, "deadline", reason),
        ]
        began_at, ended_at = await lasted_until(notice)
        assert about(ended_at - began_at, MONTH)
        due_at = datetime.fromisoformat(world.books.notices[0].notice.due_at)
        assert ended_at >= due_at.replace(tzinfo=None)


async def test_what_the_mail_house_refuses_a_person_hands_over(calm_world: World) -> None:
    world = calm_world
    async with world.casts(rules=declining, books=RefusedLetters).playing():
        application = await ended(world)
        notice = world.workflows_of(application)["notice"]
        await world.until_event(notice, "TIMER_STARTED")
        await hand_over(world, application, "olga")
        assert await notice.result() == NoticeStatus.DELIVERED
        assert became(world) == [
            (NoticeStatus.UNDELIVERABLE, MAIL_HOUSE, "NOTICE_REFUSED"),
            (NoticeStatus.DELIVERED, "olga", "by courier"),
        ]
        assert world.calls.count("send_notice") == 1


async def test_a_person_need_not_wait_for_a_mail_house_that_is_down(calm_world: World) -> None:
    world = calm_world
    async with world.casts(rules=declining, books=LostLetters).playing():
        application = await ended(world)
        await world.until_called("send_notice")
        await hand_over(world, application, "olga")
        notice = world.workflows_of(application)["notice"]
        assert await notice.result() == NoticeStatus.DELIVERED
        assert became(world) == [(NoticeStatus.DELIVERED, "olga", "by courier")]


async def test_the_first_who_hands_it_over_is_named(calm_world: World) -> None:
    world = calm_world.casts(books=RefusedLetters)
    application, notice = await started(world, await world.now() + MONTH)
    for name in ("olga", "otto"):
        await hand_over(world, application, name)
    async with world.playing():
        assert await notice.result() == NoticeStatus.DELIVERED
        assert became(world)[-1] == (NoticeStatus.DELIVERED, "olga", "by courier")


async def test_what_is_late_from_the_start_is_not_sent_but_on_record(calm_world: World) -> None:
    world = calm_world
    _, notice = await started(world, await world.now() - timedelta(days=1))
    async with world.playing():
        assert await notice.result() == NoticeStatus.OVERDUE
        assert became(world) == [(NoticeStatus.OVERDUE, "deadline", "DEADLINE_PASSED")]
        assert "send_notice" not in world.calls
