"""Double-entry postings of a loan: every entry sums to zero, pending until its block is final."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from models.domain.errors import InvariantViolated


class EntryKind(StrEnum):
    """The entries a loan may have, each at most once per application."""

    COMMITMENT = "commitment"
    DISBURSEMENT = "disbursement"
    RELEASE = "release"
    REVERSAL = "reversal"


class EntryState(StrEnum):
    """Only a final block makes an entry final; a reversed one keeps its row."""

    PENDING = "pending"
    FINAL = "final"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class Posting:
    """A signed amount on an account: positive is a debit, negative a credit (minor units)."""

    account: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A balanced set of postings in one currency; an unbalanced one cannot be made."""

    kind: EntryKind
    state: EntryState
    currency: str
    postings: tuple[Posting, ...]

    def __post_init__(self) -> None:
        if sum(posting.amount_minor for posting in self.postings) != 0:
            raise InvariantViolated("LEDGER_UNBALANCED", self.kind)
        if any(posting.amount_minor == 0 for posting in self.postings):
            raise InvariantViolated("LEDGER_EMPTY_POSTING", self.kind)


def _transfer(
    kind: EntryKind, state: EntryState, currency: str, amount_minor: int, debit: str, credit: str
) -> Entry:
    return Entry(
        kind, state, currency, (Posting(debit, amount_minor), Posting(credit, -amount_minor))
    )


def commitment(provider_id: str, amount_minor: int, currency: str) -> Entry:
    """The lender has confirmed: its commitment stands until it is disbursed or released."""
    return _transfer(
        EntryKind.COMMITMENT, EntryState.FINAL, currency, amount_minor,
        f"commitments:{provider_id}", f"committed-funds:{provider_id}",
    )  # fmt: skip


def disbursement(provider_id: str, amount_minor: int, currency: str) -> Entry:
    """Principal moves from the lender to the borrower; pending until the block is final."""
    return _transfer(
        EntryKind.DISBURSEMENT, EntryState.PENDING, currency, amount_minor,
        f"loans-receivable:{provider_id}", f"lender-funds:{provider_id}",
    )  # fmt: skip


def release(provider_id: str, amount_minor: int, currency: str) -> Entry:
    """The commitment ends: the loan was disbursed, or will never be."""
    return _transfer(
        EntryKind.RELEASE, EntryState.FINAL, currency, amount_minor,
        f"committed-funds:{provider_id}", f"commitments:{provider_id}",
    )  # fmt: skip
