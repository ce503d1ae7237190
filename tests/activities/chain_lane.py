"""The chain lane over memory: our records, a chain and a lender, and a log of who did what when."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from activities.ports.chain import GasTerms, ReferenceStanding
from activities.ports.settlement_records import AcceptedOffer, Attempt
from activities.settlement import ChainActivities
from models.domain.application import ApplicationRef
from models.domain.errors import Conflict, CreditError, Permanent
from models.domain.offer import Acceptance, LenderConfirmation, LoanTerms, Quote, QuoteRequest
from models.domain.provider import ProviderStatus
from models.domain.settlement import (
    ChainReceipt,
    FinalitySignal,
    SettlementOrder,
    SettlementOutcome,
    SettlementState,
    SignedTransaction,
    SubmittedTransaction,
)
from tests.activities.people import (
    ACCEPTANCE,
    APPLICATION,
    ORDER,
    QUOTE,
    TERMS,
    VENUE,
    Lenders,
)

GAS = GasTerms(200_000, 10**9, 10**8)


OUR_HASH = "0x" + "00" * 31 + "07"


def signed(nonce: int) -> SignedTransaction:
    return SignedTransaction(VENUE.chain_id, "0xrelay", nonce, f"0x{nonce:064x}", f"raw-{nonce}")


class MemoryRecords:
    """Our rows, and in `log` what was done in which order."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.kept: Attempt | None = None
        self.signature: str | None = None
        self.adopted: str | None = None

    async def attempt(self, application: ApplicationRef) -> Attempt | None:
        return self.kept

    async def accepted_offer(self, order: SettlementOrder) -> AcceptedOffer:
        return AcceptedOffer(QUOTE, self.signature)

    async def adopt(self, order: SettlementOrder, quote: Quote, tx_hash: str) -> None:
        self.adopted = tx_hash

    async def record_confirmation(self, order: SettlementOrder, lender_signature: str) -> None:
        self.log.append("record confirmation")
        self.signature = lender_signature

    async def persist_attempt(
        self,
        order: SettlementOrder,
        quote: Quote,
        chain_nonce: int,
        sign: Callable[[int], SignedTransaction],
    ) -> Attempt:
        self.log.append("persist")
        self.kept = Attempt("set_1", sign(chain_nonce), was_broadcast=False)
        return self.kept

    async def record_broadcast(self, application: ApplicationRef, attempt: Attempt) -> None:
        self.log.append("record broadcast")
        self.kept = dataclasses.replace(attempt, was_broadcast=True)


class ClosedRecords(MemoryRecords):
    """The application is no longer settling."""

    async def persist_attempt(
        self,
        order: SettlementOrder,
        quote: Quote,
        chain_nonce: int,
        sign: Callable[[int], SignedTransaction],
    ) -> Attempt:
        raise Conflict("SETTLEMENT_CLOSED")


class SteadyChain:
    """A chain that takes what it is given."""

    venue = VENUE
    sender = "0xrelay"
    confirmations = 3

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.sent: list[str] = []
        self.signature_is_valid = True
        self.simulation: CreditError | None = None
        self.refusal: CreditError | None = None
        self.settled = False
        self.mined: dict[str, ChainReceipt] = {}
        self.now = ReferenceStanding(0, None)

    def loan_reference(self, tenant_id: str, application_id: str) -> str:
        return TERMS.loan_reference

    def terms_hash(self, terms: LoanTerms) -> str:
        return QUOTE.terms_hash

    async def signed_by_lender(self, terms: LoanTerms, signature: str) -> bool:
        return self.signature_is_valid

    async def simulate(
        self, terms: LoanTerms, lender_signature: str, acceptance: Acceptance
    ) -> GasTerms:
        if self.simulation is not None:
            raise self.simulation
        return GAS

    async def next_nonce(self) -> int:
        return 7

    def sign_settle(
        self,
        terms: LoanTerms,
        lender_signature: str,
        acceptance: Acceptance,
        nonce: int,
        gas: GasTerms,
    ) -> SignedTransaction:
        assert (terms, acceptance, gas) == (TERMS, ACCEPTANCE, GAS)
        self.log.append(f"sign with {lender_signature}")
        return signed(nonce)

    async def broadcast(self, transaction: SignedTransaction) -> None:
        self.log.append("send")
        if self.refusal is not None:
            raise self.refusal
        self.sent.append(transaction.raw)

    async def receipts(self, tx_hashes: Sequence[str]) -> dict[str, ChainReceipt]:
        return {each: self.mined[each] for each in tx_hashes if each in self.mined}

    async def head(self) -> int:
        return 50

    async def standing(self, loan_reference: str) -> ReferenceStanding:
        return self.now

    async def is_settled(self, loan_reference: str) -> bool:
        return self.settled


class ConfirmingLender:
    provider_id = "bank"

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.confirmation = LenderConfirmation("quote-1", QUOTE.terms_hash, "0xlender")
        self.refusal: Permanent | None = None

    async def connect(self) -> None:
        return

    async def disconnect(self) -> None:
        return

    async def get_status(self) -> ProviderStatus:
        return ProviderStatus.ACTIVE

    async def get_offers(self, request: QuoteRequest) -> tuple[Quote, ...]:
        raise AssertionError("settlement searches nothing")

    async def accept_offer(
        self, tenant_id: str, application_id: str, quote: Quote, acceptance: Acceptance
    ) -> LenderConfirmation:
        self.log.append("confirm")
        if self.refusal is not None:
            raise self.refusal
        return self.confirmation


class Lane:
    """The chain lane over memory."""

    def __init__(self, records: type[MemoryRecords] = MemoryRecords) -> None:
        self.log: list[str] = []
        self.records = records(self.log)
        self.chain = SteadyChain(self.log)
        self.lender = ConfirmingLender(self.log)
        self.activities = ChainActivities(self.records, self.chain, Lenders(self.lender))

    async def submit(self) -> SubmittedTransaction:
        return await self.activities.submit_settlement(ORDER)

    async def observe(self) -> FinalitySignal:
        return await self.activities.observe_settlement(APPLICATION)

    async def resolve(self) -> FinalitySignal:
        return await self.activities.resolve_settlement(ORDER)

    def nothing_was_signed(self) -> bool:
        return self.records.kept is None and not any(each.startswith("sign") for each in self.log)


class Book:
    """Answers with what it was asked."""

    async def book_loan(
        self, application: ApplicationRef, observed: FinalitySignal
    ) -> SettlementOutcome:
        return SettlementOutcome(SettlementState.FINAL, observed.tx_hash, "loan_1")

    async def fail_settlement(
        self, application: ApplicationRef, offer_id: str, reason: str
    ) -> SettlementOutcome:
        return SettlementOutcome(SettlementState.FAILED, None, None, reason)
