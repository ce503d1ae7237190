"""The chain: builds, signs, sends and reads settlements; knows nothing of the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from models.domain.offer import Acceptance, LoanTerms, SettlementVenue
from models.domain.settlement import ChainReceipt, SignedTransaction


@dataclass(frozen=True, slots=True)
class GasTerms:
    """Fees in wei and a gas limit, read from the chain before a nonce is taken."""

    gas_limit: int
    max_fee_wei: int
    priority_fee_wei: int


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment under a reference, as its final `Disbursed` event tells it (token units)."""

    tx_hash: str
    block_number: int
    block_hash: str
    confirmations: int
    borrower: str
    lender: str
    token: str
    principal: int


@dataclass(frozen=True, slots=True)
class ReferenceStanding:
    """What the newest final block says: its time (Unix seconds), and the payment, if any."""

    final_time: int
    payment: Payment | None


class SettlementChain(Protocol):
    """One chain with its aggregator contract and the relaying key of this deployment."""

    venue: SettlementVenue
    sender: str
    confirmations: int

    def loan_reference(self, tenant_id: str, application_id: str) -> str:
        """keccak256(abi.encode("caas/v1", tenant, application, "disburse")), 0x hex."""
        ...

    def terms_hash(self, terms: LoanTerms) -> str:
        """The EIP-712 struct hash of the terms, 0x hex."""
        ...

    async def signed_by_lender(self, terms: LoanTerms, signature: str) -> bool:
        """Whether the terms' lender signed exactly these terms for this venue.

        An account by its key; a contract by its own answer at the newest block (ERC-1271), which
        may be another by the block that settles. Raises Transient when it cannot be asked.
        """
        ...

    async def simulate(
        self,
        terms: LoanTerms,
        lender_signature: str,
        acceptance: Acceptance,
    ) -> GasTerms:
        """Estimate `settle` at the newest block; raises Permanent with the revert's name."""
        ...

    async def next_nonce(self) -> int:
        """The sender's next nonce as the chain has it (mined transactions only)."""
        ...

    def sign_settle(
        self,
        terms: LoanTerms,
        lender_signature: str,
        acceptance: Acceptance,
        nonce: int,
        gas: GasTerms,
    ) -> SignedTransaction:
        """Sign `settle` with this nonce: pure, so it may run inside a database transaction."""
        ...

    async def broadcast(self, transaction: SignedTransaction) -> None:
        """Send these bytes; sending them again is harmless. Raises Permanent or Transient."""
        ...

    async def receipts(self, tx_hashes: Sequence[str]) -> dict[str, ChainReceipt]:
        """Receipts of those transactions that are in the canonical chain now."""
        ...

    async def head(self) -> int:
        """The newest block's number."""
        ...

    async def standing(self, loan_reference: str) -> ReferenceStanding:
        """What the final part of the chain says of this reference; raises Transient."""
        ...

    async def is_settled(self, loan_reference: str) -> bool:
        """Whether the contract has ever paid under this reference."""
        ...
