"""Settlement on chain: one reference, one intent, one nonce; broadcast, included, final."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from models.domain.application import ApplicationEnding, ApplicationRef, State
from models.domain.offer import MAX_ROUNDS, Acceptance


class SettlementState(StrEnum):
    """A settlement ends `final` or `failed`; only final clears the ledger."""

    SIGNED = "signed"
    BROADCAST = "broadcast"
    INCLUDED = "included"
    FINAL = "final"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SettlementOrder:
    """What the settlement workflow is given: the application, its offer, the acceptance."""

    application: ApplicationRef
    offer_id: str
    acceptance: Acceptance


@dataclass(frozen=True, slots=True)
class SubmittedTransaction:
    """A transaction handed to the chain; `tx_hash` is known before it is sent."""

    settlement_id: str
    chain_id: int
    tx_hash: str
    nonce: int


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """The exact bytes of a signed transaction (0x hex), as they are stored and sent."""

    chain_id: int
    sender: str
    nonce: int
    tx_hash: str
    raw: str


@dataclass(frozen=True, slots=True)
class ChainReceipt:
    """A receipt with the depth at which it was seen (1 = in the newest block)."""

    tx_hash: str
    block_number: int
    block_hash: str
    succeeded: bool
    confirmations: int
    gas_used: int


@dataclass(frozen=True, slots=True)
class FinalitySignal:
    """What is final on chain: our transaction at depth or reverted, or who else has settled.

    `by_other`: the loan was paid by a transaction that is not ours. Both signatures are public
    once we broadcast, and the contract lets anybody relay them.
    """

    tx_hash: str
    block_number: int
    block_hash: str
    confirmations: int
    succeeded: bool
    by_other: bool = False


@dataclass(frozen=True, slots=True)
class SettlementOutcome:
    """How a settlement ended; `reason` is set when it failed.

    `reopened`: its lender did not stand by the offer before anything was signed, so the application
    goes on with new quotes.
    """

    state: SettlementState
    tx_hash: str | None = None
    loan_id: str | None = None
    reason: str | None = None
    reopened: bool = False


# Why a settlement may fail; other codes come from lenders and the contract.
TRANSACTION_REVERTED = "TRANSACTION_REVERTED"
REFERENCE_ALREADY_SETTLED = "REFERENCE_ALREADY_SETTLED"


# What a lender may answer instead of confirming its offer, so that others may be asked for theirs.
_NOT_STOOD_BY: Final = frozenset({"QUOTE_EXPIRED", "TERMS_CHANGED"})


def reopens(reason: str, round_: int) -> bool:
    """Whether lenders are asked again after this failure; nothing may have been signed."""
    return reason in _NOT_STOOD_BY and round_ < MAX_ROUNDS


def ending_of_failure(reason: str) -> ApplicationEnding:
    """How an application ends whose settlement failed; the exact code stays with the settlement."""
    match reason:
        case "QUOTE_EXPIRED":
            return ApplicationEnding(State.EXPIRED, ("OFFER_EXPIRED",))
        case "TERMS_CHANGED":
            return ApplicationEnding(State.EXPIRED, ("TERMS_CHANGED",))
        case _:
            return ApplicationEnding(State.REJECTED, ("SETTLEMENT_FAILED",))
