"""Passwords are compared off the event loop, at one cost, by a bounded number at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from adapters.accounts.passwords import PasswordDesk
from models.domain.errors import Unavailable


@pytest.fixture
def desk() -> Iterator[PasswordDesk]:
    """The cheapest there is: what it costs is not asked here."""
    desk = PasswordDesk(threads=1, waiting=1, passes=1, memory_kib=64)
    yield desk
    desk.close()


async def test_the_right_password_alone_matches(desk: PasswordDesk) -> None:
    kept = await desk.hash("heron-lantern-quarry")
    assert kept.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert await desk.matches(kept, "heron-lantern-quarry")
    assert not await desk.matches(kept, "heron-lantern-quarrY")
    assert kept != await desk.hash("heron-lantern-quarry")


async def test_without_an_account_the_same_work_is_done_for_nothing(
    desk: PasswordDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []
    monkeypatch.setattr(desk, "_verify", lambda kept, _: verified.append(kept) or True)
    assert not await desk.matches(None, "heron-lantern-quarry")
    assert len(verified) == 1
    assert verified[0].startswith("$argon2id$v=19$m=64,t=1,p=1$")


@pytest.mark.parametrize("kept", ["", "plain", "$argon2id$", "$2b$12$" + "a" * 53])
async def test_what_is_no_hash_matches_nothing(desk: PasswordDesk, kept: str) -> None:
    assert not await desk.matches(kept or "x", "heron-lantern-quarry")


async def test_a_hash_of_other_parameters_is_outdated(desk: PasswordDesk) -> None:
    stronger = PasswordDesk(threads=1, waiting=0, passes=2, memory_kib=64)
    kept = await desk.hash("heron-lantern-quarry")
    assert stronger.is_outdated(kept)
    assert not desk.is_outdated(kept)
    assert await stronger.matches(kept, "heron-lantern-quarry")
    stronger.close()


async def test_too_many_at_once_are_sent_away_and_places_come_back(
    desk: PasswordDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the places of those who did not wait for their answer."""
    go_on, at_work = threading.Event(), []

    def slow(*_: Any) -> bool:
        at_work.append(threading.current_thread().name)
        go_on.wait(30)
        return True

    monkeypatch.setattr(desk, "_verify", slow)
    waiting = [asyncio.create_task(desk.matches("kept", "x")) for _ in range(2)]
    while not at_work:
        await asyncio.sleep(0)
    with pytest.raises(Unavailable) as refused:
        await desk.matches("kept", "x")
    assert refused.value.code == "SIGN_IN_BUSY"
    waiting[0].cancel()
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):  # its thread is still at work
        await desk.matches("kept", "x")
    go_on.set()
    assert await waiting[1]
    assert await desk.matches("kept", "x")
    assert at_work[0].startswith("passwords")
