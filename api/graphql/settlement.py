"""Payments on chain and what the ledger says of them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from api.auth import Action
from api.graphql import lending
from api.graphql.answers import Posting
from api.graphql.context import Info
from api.graphql.scalars import Int64
from models.domain.graph import LedgerRecord, SettlementRecord

if TYPE_CHECKING:
    from api.graphql.lending import Application

_Application = Annotated["Application", strawberry.lazy("api.graphql.lending")]


@strawberry.federation.type(
    keys=["settlementId"],
    description="A payment on chain; nothing is final before `settlementState` says so.",
)
class Transaction:
    settlement_id: strawberry.ID = strawberry.field(description="`set_` and 32 hex digits.")
    application_id: str = strawberry.field(description="The application it pays.")
    offer_id: str = strawberry.field(description="The offer that was accepted.")
    settlement_state: str = strawberry.field(
        description="`signed`, `broadcast`, `included`, `final` or `failed`."
    )
    chain_id: Int64 = strawberry.field(description="EIP-155 id of the chain.")
    tx_hash: str | None = strawberry.field(description="Hash of the latest paying transaction.")
    block_number: Int64 | None = strawberry.field(description="Block it is in.")
    confirmations: Int64 | None = strawberry.field(description="Depth in blocks.")
    amount_units: str = strawberry.field(description="In the token's smallest unit, decimal.")
    borrower: str = strawberry.field(description="The wallet that is paid, checksummed.")
    lender: str = strawberry.field(description="The account that pays, checksummed.")
    token: str = strawberry.field(description="The ERC-20 token, checksummed.")
    loan_reference: str = strawberry.field(description="The contract's key of this loan.")
    created_at: datetime = strawberry.field(description="When it was signed.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    failed_because: strawberry.Private[str | None]

    @classmethod
    def of(cls, record: SettlementRecord) -> Transaction:
        """The record as the REST paths show it."""
        number, depth = record.block_number, record.confirmations
        return cls(
            settlement_id=strawberry.ID(record.settlement_id),
            application_id=record.application_id,
            offer_id=record.offer_id,
            settlement_state=record.state,
            chain_id=Int64(record.chain_id),
            tx_hash=record.tx_hash,
            block_number=None if number is None else Int64(number),
            confirmations=None if depth is None else Int64(depth),
            amount_units=str(record.amount_units),
            borrower=record.borrower,
            lender=record.lender,
            token=record.token,
            loan_reference=record.loan_reference,
            created_at=record.created_at,
            updated_at=record.updated_at,
            failed_because=record.failure,
        )

    @strawberry.field(description="The lender's or the chain's own code. For auditors and admins.")
    def failure(self, info: Info) -> str | None:
        info.context.require(Action.READ_LEDGER)
        return self.failed_because

    @strawberry.field(description="The application it pays.")
    async def application(self, info: Info) -> _Application | None:
        return await lending.application_of(info, self.application_id)


@strawberry.federation.type(
    keys=["entryId"], description="A balanced ledger entry. For auditors and admins."
)
class LedgerEntry:
    entry_id: strawberry.ID = strawberry.field(description="`led_` and 32 hex digits.")
    application_id: str = strawberry.field(description="The application it is about.")
    kind: str = strawberry.field(
        description="`commitment`, `disbursement`, `release` or `reversal`."
    )
    state: str = strawberry.field(description="`pending`, `final` or `void`.")
    currency: str = strawberry.field(description="ISO 4217, of all postings.")
    postings: list[Posting] = strawberry.field(description="Its sides; they sum to zero.")
    booked_at: datetime = strawberry.field(description="When it was booked.")
    cleared_at: datetime | None = strawberry.field(description="When it became final or void.")

    @classmethod
    def of(cls, record: LedgerRecord) -> LedgerEntry:
        """The entry with its postings."""
        return cls(
            entry_id=strawberry.ID(record.entry_id),
            application_id=record.application_id,
            kind=record.entry.kind.value,
            state=record.entry.state.value,
            currency=record.entry.currency,
            postings=Posting.all_of(record),
            booked_at=record.booked_at,
            cleared_at=record.cleared_at,
        )

    @strawberry.field(description="The application it is about.")
    async def application(self, info: Info) -> _Application | None:
        return await lending.application_of(info, self.application_id)
