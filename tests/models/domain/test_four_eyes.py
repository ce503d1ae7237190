"""Four eyes: two approvals are of two people, and nobody approves their own case."""

from __future__ import annotations

import pytest

from models.domain.four_eyes import Approvals, Objection

AUTHOR = frozenset({"ada"})


@pytest.mark.parametrize(
    ("approvals", "person", "objection"),
    [
        (Approvals(2), "uma", None),
        (Approvals(2, ("uma",)), "uma", Objection.APPROVED_ALREADY),
        (Approvals(2, ("uma",)), "Uma", None),
        (Approvals(1, (), AUTHOR), "ada", Objection.OWN_CASE),
        (Approvals(1, (), AUTHOR), "uma", None),
        (Approvals(1, ("uma",)), "uma", Objection.APPROVED_ALREADY),
    ],
)
def test_who_may_approve(approvals: Approvals, person: str, objection: Objection | None) -> None:
    assert approvals.objection(person) is objection
    if objection is None:
        assert approvals.with_one_more(person).given == (*approvals.given, person)
    else:
        with pytest.raises(ValueError, match=objection):
            approvals.with_one_more(person)


@pytest.mark.parametrize(
    ("needed", "given", "completes", "complete"),
    [
        (1, (), True, False),
        (1, ("a",), True, True),
        (2, (), False, False),
        (2, ("a",), True, False),
        (2, ("a", "b"), True, True),
        (3, ("a",), False, False),
    ],
)
def test_how_many_it_takes(
    needed: int, given: tuple[str, ...], completes: bool, complete: bool
) -> None:
    approvals = Approvals(needed, given)
    assert (approvals.completes(), approvals.complete) == (completes, complete)


@pytest.mark.parametrize(
    ("needed", "given", "barred"),
    [(0, (), ()), (-1, (), ()), (2, ("a", "a"), ()), (2, ("ada",), ("ada",))],
)
def test_approvals_that_cannot_be_are_refused(
    needed: int, given: tuple[str, ...], barred: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match="approval"):
        Approvals(needed, given, frozenset(barred))
