"""The sweeper: starts what was left unstarted, delivers what was left undelivered, and goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from adapters.postgres.callbacks import StoredCallback
from adapters.postgres.information import AnsweredRequest
from adapters.sweeper import BATCH, Sweeper
from models.domain.application import ApplicationRef
from models.domain.errors import Unavailable
from models.domain.kyc import PersonRef, VendorVerdict, VerificationCallback
from models.domain.review import InformationProvided


class LeftOver:
    """Start intents and callbacks that a crash left; the intents may be unreachable."""

    def __init__(self) -> None:
        self.intents: list[ApplicationRef] = []
        self.callbacks: list[StoredCallback] = []
        self.limits: list[int] = []
        self.away = False

    async def unstarted(self, limit: int) -> Sequence[ApplicationRef]:
        if self.away:
            raise Unavailable("DATABASE_UNAVAILABLE")
        self.limits.append(limit)
        return self.intents[:limit]

    async def undelivered(self, limit: int) -> Sequence[tuple[str, StoredCallback]]:
        self.limits.append(limit)
        return [("vendor", each) for each in self.callbacks[:limit]]

    async def delivered(self, vendor: str, stored: StoredCallback) -> None:
        assert vendor == "vendor"
        self.callbacks.remove(stored)


class UnheardAnswers:
    """What applicants answered and no workflow knows."""

    def __init__(self) -> None:
        self.answers: list[AnsweredRequest] = []
        self.limits: list[int] = []

    async def undelivered(self, limit: int) -> Sequence[AnsweredRequest]:
        self.limits.append(limit)
        return self.answers[:limit]

    async def delivered(self, answered: AnsweredRequest) -> None:
        self.answers.remove(answered)


class PickyWorkflows:
    """Takes messages, but not those about the ones it is told to choke on."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.told: list[str] = []
        self.chokes_on: set[str] = set()

    async def start_application(self, application: ApplicationRef) -> None:
        if application.application_id in self.chokes_on:
            raise Unavailable("TEMPORAL_UNAVAILABLE")
        self.started.append(application.application_id)

    async def tell_verification(self, person: PersonRef, callback: VerificationCallback) -> None:
        if callback.event_id in self.chokes_on:
            raise Unavailable("TEMPORAL_UNAVAILABLE")
        assert person == PersonRef("acme", "zelda")
        self.told.append(callback.event_id)

    async def tell_information(self, workflow_id: str, provided: InformationProvided) -> None:
        if provided.request_id in self.chokes_on:
            raise Unavailable("TEMPORAL_UNAVAILABLE")
        assert workflow_id == "kyc/acme/zelda"
        self.told.append(provided.request_id)


class Sweep:
    """A sweeper with everything it looks at."""

    def __init__(self) -> None:
        self.left, self.unheard, self.workflows = LeftOver(), UnheardAnswers(), PickyWorkflows()
        self.sweeper = Sweeper(
            self.left,  # type: ignore[arg-type]
            self.left,  # type: ignore[arg-type]
            self.unheard,  # type: ignore[arg-type]
            self.workflows,  # type: ignore[arg-type]
        )

    def leave(self, *names: str) -> None:
        for name in names:
            self.left.intents.append(ApplicationRef("acme", f"app_{name}", "zelda"))
            callback = VerificationCallback(f"evt_{name}", "ver_1", VendorVerdict.CLEAR)
            stored = StoredCallback(PersonRef("acme", "zelda"), callback, delivered=False)
            self.left.callbacks.append(stored)
            provided = InformationProvided(f"inf_{name}", new_document=True)
            self.unheard.answers.append(AnsweredRequest("acme", "kyc/acme/zelda", provided))


async def test_everything_left_is_started_and_delivered_oldest_first() -> None:
    sweep = Sweep()
    sweep.leave("a", "b")
    assert await sweep.sweeper.sweep() == (2, 4)
    assert sweep.workflows.started == ["app_a", "app_b"]
    assert sweep.workflows.told == ["evt_a", "evt_b", "inf_a", "inf_b"]
    # Delivered; intents are removed by the workflow itself.
    assert sweep.left.callbacks == sweep.unheard.answers == []
    assert sweep.left.limits + sweep.unheard.limits == [BATCH, BATCH, BATCH]


async def test_nothing_left_is_nothing_done() -> None:
    assert await Sweep().sweeper.sweep() == (0, 0)


async def test_an_intent_is_started_again_until_its_workflow_runs() -> None:
    sweep = Sweep()
    sweep.leave("a")
    await sweep.sweeper.sweep()
    assert await sweep.sweeper.sweep() == (1, 0)
    sweep.left.intents.clear()
    assert await sweep.sweeper.sweep() == (0, 0)


@pytest.mark.parametrize("unheard", ["evt_a", "inf_a"])
async def test_what_was_not_heard_stays_undelivered(unheard: str) -> None:
    sweep = Sweep()
    sweep.leave("a")
    sweep.workflows.chokes_on = {unheard}
    assert await sweep.sweeper.sweep() == (1, 1)
    assert len(sweep.left.callbacks) + len(sweep.unheard.answers) == 1
    sweep.workflows.chokes_on = set()
    assert (await sweep.sweeper.sweep())[1] == 1
    assert unheard in sweep.workflows.told


async def test_one_items_trouble_is_not_the_others() -> None:
    sweep = Sweep()
    sweep.leave("a", "b", "c")
    sweep.workflows.chokes_on = {"app_a", "evt_b", "inf_a"}
    assert await sweep.sweeper.sweep() == (2, 4)
    assert sweep.workflows.started == ["app_b", "app_c"]
    assert sweep.workflows.told == ["evt_a", "evt_c", "inf_b", "inf_c"]


async def test_outages_are_outlived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.sweeper.SWEEP_EVERY_S", 0.001)
    sweep = Sweep()
    sweep.leave("a")
    sweep.left.away = True
    stop = asyncio.Event()
    running: asyncio.Task[Any] = asyncio.create_task(sweep.sweeper.run(stop))
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert not running.done()
    assert sweep.workflows.told == []
    sweep.left.away = False
    async with asyncio.timeout(60):
        while not sweep.workflows.told:
            await asyncio.sleep(0.001)
    stop.set()
    await asyncio.wait_for(running, 60)
