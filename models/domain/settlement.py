"""Settlement on chain: one reference, one intent, one nonce; broadcast, included, final."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from models.domain.application import ApplicationEnding, ApplicationRef, State
from models.domain.offer import Acceptance


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
    """How a settlement ended; `reason` is set when it failed."""

    state: SettlementState
    tx_hash: str | None = None
    loan_id: str | None = None
    reason: str | None = None


# Why a settlement may fail; other codes come from lenders and the contract.
TRANSACTION_REVERTED = "TRANSACTION_REVERTED"
REFERENCE_ALREADY_SETTLED = "REFERENCE_ALREADY_SETTLED"


def ending_of_failure(reason: str) -> ApplicationEnding:
    """How an application ends whose settlement failed; the exact code stays with the settlement."""
    match reason:
        case "QUOTE_EXPIRED":
            return ApplicationEnding(State.EXPIRED, ("OFFER_EXPIRED",))
        case "TERMS_CHANGED":
            return ApplicationEnding(State.EXPIRED, ("TERMS_CHANGED",))
        case _:
            return ApplicationEnding(State.REJECTED, ("SETTLEMENT_FAILED",))
