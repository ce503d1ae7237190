"""No entry exists that does not balance; each says what moves between which accounts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.errors import InvariantViolated
from models.domain.ledger import (
    Entry,
    EntryKind,
    EntryState,
    Posting,
    commitment,
    disbursement,
    release,
)


def entry(*amounts_minor: int) -> Entry:
    postings = tuple(Posting(f"account-{n}", each) for n, each in enumerate(amounts_minor))
    return Entry(EntryKind.DISBURSEMENT, EntryState.PENDING, "USD", postings)


@pytest.mark.parametrize(
    ("amounts_minor", "code"),
    [
        ((100,), "LEDGER_UNBALANCED"),
        ((100, -99), "LEDGER_UNBALANCED"),
        ((100, 100), "LEDGER_UNBALANCED"),
        ((100, -50, -49), "LEDGER_UNBALANCED"),
        ((10**20, -(10**20) + 1), "LEDGER_UNBALANCED"),
        ((0, 0), "LEDGER_EMPTY_POSTING"),
        ((100, -100, 0), "LEDGER_EMPTY_POSTING"),
    ],
)
def test_an_entry_that_does_not_balance_cannot_be_made(
    amounts_minor: tuple[int, ...], code: str
) -> None:
    with pytest.raises(InvariantViolated) as error:
        entry(*amounts_minor)
    assert error.value.code == code


def test_a_balanced_entry_of_several_postings_can() -> None:
    assert len(entry(100, -60, -40).postings) == 3


@given(st.lists(st.integers(-(10**12), 10**12).filter(bool), min_size=1, max_size=6))
def test_an_entry_exists_exactly_if_it_sums_to_zero(amounts_minor: list[int]) -> None:
    if sum(amounts_minor) == 0:
        entry(*amounts_minor)
        return
    with pytest.raises(InvariantViolated):
        entry(*amounts_minor)
    rest = -sum(amounts_minor)
    assert sum(each.amount_minor for each in entry(*amounts_minor, rest).postings) == 0


@pytest.mark.parametrize("make", [commitment, disbursement, release])
def test_nothing_can_be_booked_of_nothing(make: object) -> None:
    with pytest.raises(InvariantViolated):
        make("bank", 0, "USD")  # type: ignore[operator]


@pytest.mark.parametrize(
    ("made", "kind", "state", "debit", "credit"),
    [
        (
            commitment("bank", 500_000, "USD"),
            EntryKind.COMMITMENT,
            EntryState.FINAL,
            "commitments:bank",
            "committed-funds:bank",
        ),
        (
            disbursement("bank", 500_000, "USD"),
            EntryKind.DISBURSEMENT,
            EntryState.PENDING,
            "loans-receivable:bank",
            "lender-funds:bank",
        ),
        (
            release("bank", 500_000, "USD"),
            EntryKind.RELEASE,
            EntryState.FINAL,
            "committed-funds:bank",
            "commitments:bank",
        ),
    ],
)
def test_entries_of_a_loan(
    made: Entry, kind: EntryKind, state: EntryState, debit: str, credit: str
) -> None:
    assert (made.kind, made.state, made.currency) == (kind, state, "USD")
    assert made.postings == (Posting(debit, 500_000), Posting(credit, -500_000))


def test_commitment_and_release_leave_nothing_behind() -> None:
    balances: dict[str, int] = {}
    for each in (commitment("bank", 500_000, "USD"), release("bank", 500_000, "USD")):
        for posting in each.postings:
            balances[posting.account] = balances.get(posting.account, 0) + posting.amount_minor
    assert set(balances.values()) == {0}
