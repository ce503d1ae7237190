"""Our records of settlements: intent, signed bytes, receipts, ledger, loan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from models.domain.application import ApplicationRef
from models.domain.offer import Quote
from models.domain.settlement import (
    FinalitySignal,
    SettlementOrder,
    SettlementOutcome,
    SignedTransaction,
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A signed transaction on record; whether it was ever sent is in `was_broadcast`."""

    settlement_id: str
    transaction: SignedTransaction
    was_broadcast: bool


@dataclass(frozen=True, slots=True)
class AcceptedOffer:
    """An offer as its lender quoted it, and the lender's signature once it has confirmed.

    A lender that has confirmed is not asked twice.
    """

    quote: Quote
    lender_signature: str | None


class ChainRecords(Protocol):
    """What the chain lane writes; each method is one transaction and may be repeated."""

    async def attempt(self, application: ApplicationRef) -> Attempt | None:
        """The signed transaction on record, if there is one."""
        ...

    async def accepted_offer(self, order: SettlementOrder) -> AcceptedOffer:
        """The accepted offer; NotFound unless it is the accepted one."""
        ...

    async def adopt(self, order: SettlementOrder, quote: Quote, tx_hash: str) -> None:
        """Record a settlement that was paid by a transaction we have no record of signing."""
        ...

    async def record_confirmation(self, order: SettlementOrder, lender_signature: str) -> None:
        """Keep the lender's signature and book its commitment."""
        ...

    async def persist_attempt(
        self,
        order: SettlementOrder,
        quote: Quote,
        chain_nonce: int,
        sign: Callable[[int], SignedTransaction],
    ) -> Attempt:
        """Reserve, take a nonce, sign and store: one transaction, before anything is sent.

        `chain_nonce` is the account's next nonce on chain; the one taken is never below it.
        Raises Conflict SETTLEMENT_CLOSED once the application is no longer settling.
        """
        ...

    async def record_broadcast(self, application: ApplicationRef, attempt: Attempt) -> None:
        """The bytes were handed to a node."""
        ...


class LoanBook(Protocol):
    """What follows finality or failure; each method is one transaction and may be repeated."""

    async def book_loan(
        self, application: ApplicationRef, observed: FinalitySignal
    ) -> SettlementOutcome:
        """Clear the ledger, book the loan, close the application as funded."""
        ...

    async def fail_settlement(
        self, application: ApplicationRef, offer_id: str, reason: str
    ) -> SettlementOutcome:
        """Void what was pending and close the application, or reopen it for new quotes.

        It is reopened when the lender of this offer did not stand by it before anything was signed
        by anybody but the borrower, and lenders may be asked again. May be repeated. Returns the
        state SIGNED and changes nothing while signed bytes could still mine, unless `reason` says
        that the chain itself has ruled that out.
        """
        ...

    async def outcome(self, application: ApplicationRef) -> SettlementOutcome | None:
        """How the settlement on record ended; None while it is open."""
        ...
