"""A status changes slowly, and what a person has decided only a person takes back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.provider import ProviderStatus
from models.domain.provider_health import (
    Hysteresis,
    ProviderHealth,
    Seen,
    SetBy,
    after_check,
    announcements,
    set_by_person,
)

W, F, M = Seen.WELL, Seen.FAILING, Seen.IN_MAINTENANCE
ACTIVE, INACTIVE, MAINTENANCE = ProviderStatus
ENOUGH = Hysteresis(failures=3, successes=2)

checks = st.lists(st.sampled_from(Seen), max_size=40)
hystereses = st.builds(Hysteresis, failures=st.integers(1, 5), successes=st.integers(1, 5))


def followed(
    seen: Sequence[Seen], enough: Hysteresis = ENOUGH, start: ProviderHealth | None = None
) -> list[ProviderHealth]:
    """The health at the beginning and after each check."""
    healths = [start or ProviderHealth()]
    for each in seen:
        healths.append(after_check(healths[-1], each, enough))
    return healths


@pytest.mark.parametrize(
    ("seen", "statuses"),
    [
        ("FF", "AAA"),
        ("FFF", "AAAI"),
        ("FFWFF", "AAAAAA"),  # not in a row
        ("FFFW", "AAAII"),
        ("FFFWW", "AAAIIA"),
        ("FFFWFWW", "AAAIIIIA"),
        ("M", "AM"),  # announced: at once
        ("MW", "AMM"),
        ("MWW", "AMMA"),
        ("MFFF", "AMMMI"),
        ("FFFM", "AAAIM"),
        ("MMWFWW", "AMMMMMA"),
    ],
)
def test_the_status_after_each_check(seen: str, statuses: str) -> None:
    letters = {"W": W, "F": F, "M": M}
    healths = followed([letters[each] for each in seen])
    assert "".join(each.status.value[0] for each in healths) == statuses


@pytest.mark.parametrize("seen", [[F] * 9, [W] * 9, [M] * 9, [F, W, M] * 3])
def test_maintenance_set_by_a_person_stays(seen: list[Seen]) -> None:
    start = set_by_person(ProviderHealth(), MAINTENANCE)
    for each in followed(seen, start=start):
        assert (each.status, each.set_by) == (MAINTENANCE, SetBy.PERSON)


def test_a_person_brings_it_back_and_checks_count_anew() -> None:
    paused = followed([F, F, F])[-1]
    back = set_by_person(paused, ACTIVE)
    assert (back.status, back.failures) == (ACTIVE, 0)
    assert [each.status for each in followed([F, F, F], start=back)] == [
        ACTIVE, ACTIVE, ACTIVE, INACTIVE,
    ]  # fmt: skip


@given(checks, hystereses)
def test_an_automatic_pause_needs_so_many_failures_in_a_row(
    seen: list[Seen], enough: Hysteresis
) -> None:
    healths = followed(seen, enough)
    for number, (before, after) in enumerate(pairwise(healths), start=1):
        if after.status is INACTIVE and before.status is not INACTIVE:
            assert number >= enough.failures
            assert seen[number - enough.failures : number] == [F] * enough.failures


@given(checks, hystereses)
def test_recovery_needs_so_many_successes_in_a_row(seen: list[Seen], enough: Hysteresis) -> None:
    healths = followed(seen, enough)
    for number, (before, after) in enumerate(pairwise(healths), start=1):
        if after.status is ACTIVE and before.status is not ACTIVE:
            assert seen[number - enough.successes : number] == [W] * enough.successes


@given(checks, hystereses)
def test_enough_failures_pause_whatever_was_before(seen: list[Seen], enough: Hysteresis) -> None:
    assert followed([*seen, *[F] * enough.failures], enough)[-1].status is INACTIVE


@given(checks, hystereses)
def test_enough_successes_bring_back_whatever_was_before(
    seen: list[Seen], enough: Hysteresis
) -> None:
    last = followed([*seen, *[W] * enough.successes], enough)[-1]
    assert (last.status, last.connected) == (ACTIVE, True)


@given(checks, hystereses)
def test_connected_and_disconnected_alternate_and_tell_the_truth(
    seen: list[Seen], enough: Hysteresis
) -> None:
    told = [
        name
        for before, after in pairwise(followed(seen, enough))
        for name in announcements(before, after)
        if name in ("connected", "disconnected")
    ]
    assert told == ["connected", "disconnected"] * (len(told) // 2) + ["connected"] * (
        len(told) % 2
    )
    last = followed(seen, enough)[-1]
    assert last.connected == (bool(told) and told[-1] == "connected")
    assert not last.connected or last.status is ACTIVE


@given(checks, hystereses)
def test_a_change_of_status_is_announced_once_and_nothing_else_is(
    seen: list[Seen], enough: Hysteresis
) -> None:
    for before, after in pairwise(followed(seen, enough)):
        changed = before.status is not after.status
        assert ("status_changed" in announcements(before, after)) == changed


def test_an_error_is_told_once_for_each_row_of_failures() -> None:
    healths = followed([W, F, F, F, F, W, F])
    told = [announcements(*pair) for pair in pairwise(healths)]
    assert [("error" in each) for each in told] == [
        False, True, False, False, False, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize("wrong", [{"failures": 0}, {"successes": 0}, {"failures": -1}])
def test_a_hysteresis_of_nothing_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="one check"):
        Hysteresis(**wrong)
