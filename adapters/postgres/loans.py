"""Statements for what follows finality or failure of a settlement; satisfies `LoanBook`."""

from __future__ import annotations

from typing import Any

from adapters.postgres import ledger
from adapters.postgres.database import Database, Transaction
from adapters.postgres.endings import close_offers, end
from adapters.postgres.movement import move, state_of
from adapters.postgres.reopening import reopen
from models.domain.application import (
    TERMINAL_STATES,
    ApplicationRef,
    Stage,
    State,
)
from models.domain.errors import InvariantViolated
from models.domain.failpoints import failpoint
from models.domain.ids import new_id
from models.domain.ledger import EntryKind, EntryState, release
from models.domain.settlement import (
    TRANSACTION_REVERTED,
    FinalitySignal,
    SettlementOutcome,
    SettlementState,
    ending_of_failure,
)


class PostgresLoanBook:
    """Books a loan once its block is final, or records that nobody will be paid.

    Either closes the application in the same transaction: there is no moment between.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def book_loan(
        self, application: ApplicationRef, observed: FinalitySignal
    ) -> SettlementOutcome:
        application_id = application.application_id
        async with self._database.transaction(application.tenant_id) as tx:
            await state_of(tx, application_id)  # its lock comes before its settlement's
            settlement = await _settlement(tx, application_id)
            if settlement is None:
                raise InvariantViolated("SETTLEMENT_ABSENT", application_id)
            if settlement["tx_hash"] != observed.tx_hash and not observed.by_other:
                raise InvariantViolated("FOREIGN_TRANSACTION", observed.tx_hash)
            known = await tx.value(
                "SELECT loan_id FROM loans WHERE tenant_id = $1 AND application_id = $2",
                tx.tenant_id, application_id,
            )  # fmt: skip
            if known is not None:
                return SettlementOutcome(SettlementState.FINAL, observed.tx_hash, known)
            await tx.execute(
                "UPDATE settlements SET state = 'final', block_number = $3, block_hash = $4,"
                " confirmations = $5, tx_hash = $6, updated_at = clock_timestamp()"
                " WHERE tenant_id = $1 AND application_id = $2",
                tx.tenant_id, application_id, observed.block_number, observed.block_hash,
                observed.confirmations, observed.tx_hash,
            )  # fmt: skip
            loan_id, offer = await _insert_loan(tx, application_id, settlement["offer_id"])
            await ledger.clear(tx, application_id, EntryKind.DISBURSEMENT, EntryState.FINAL)
            await ledger.book(
                tx,
                application_id,
                release(offer["provider_id"], offer["amount_minor"], offer["currency"]),
            )
            await close_offers(tx, application_id)
            await move(
                tx,
                application_id,
                Stage.CLOSED,
                State.FUNDED,
                "application.funded",
                reasons=(),
                detail={
                    "loan_id": loan_id,
                    "tx_hash": observed.tx_hash,
                    "block_number": observed.block_number,
                    "confirmations": observed.confirmations,
                    "by_other": observed.by_other,
                },
            )
            failpoint("settlement.loan_uncommitted")
        return SettlementOutcome(SettlementState.FINAL, observed.tx_hash, loan_id)

    async def fail_settlement(
        self, application: ApplicationRef, offer_id: str, reason: str
    ) -> SettlementOutcome:
        application_id = application.application_id
        async with self._database.transaction(application.tenant_id) as tx:
            # Nothing is signed while this lock is held, nor once the application is closed.
            state = await state_of(tx, application_id)
            settlement = await _settlement(tx, application_id)
            tx_hash = settlement["tx_hash"] if settlement else None
            if settlement is not None and tx_hash and reason != TRANSACTION_REVERTED:
                if settlement["state"] == SettlementState.FAILED:
                    return SettlementOutcome(SettlementState.FAILED, tx_hash, reason=reason)
                # Signed bytes may mine at any time: only the chain can end this settlement.
                return SettlementOutcome(SettlementState.SIGNED, tx_hash)
            if state is State.FUNDED:
                raise InvariantViolated("SETTLEMENT_IS_FINAL", application_id)
            if state in TERMINAL_STATES:
                # Failed before, or withdrawn while nothing was signed.
                return SettlementOutcome(SettlementState.FAILED, tx_hash, reason=reason)
            if settlement is None and await reopen(tx, application_id, offer_id, reason):
                return SettlementOutcome(SettlementState.FAILED, reason=reason, reopened=True)
            if settlement is not None:
                await tx.execute(
                    "UPDATE settlements SET state = 'failed', failure = $3,"
                    " updated_at = clock_timestamp()"
                    " WHERE tenant_id = $1 AND application_id = $2",
                    tx.tenant_id, application_id, reason,
                )  # fmt: skip
                await ledger.clear(tx, application_id, EntryKind.DISBURSEMENT, EntryState.VOID)
            await tx.record(
                "system", "settlement.failed", application_id, {"reason": reason},
                key=application_id,
            )  # fmt: skip
            await end(tx, application_id, ending_of_failure(reason))
        return SettlementOutcome(SettlementState.FAILED, tx_hash, reason=reason)

    async def outcome(self, application: ApplicationRef) -> SettlementOutcome | None:
        async with self._database.transaction(application.tenant_id) as tx:
            row = await tx.row(
                "SELECT a.state AS application_state, s.state, s.tx_hash, s.failure, l.loan_id"
                " FROM applications a LEFT JOIN settlements s USING (tenant_id, application_id)"
                " LEFT JOIN loans l USING (tenant_id, application_id)"
                " WHERE a.tenant_id = $1 AND a.application_id = $2",
                tx.tenant_id, application.application_id,
            )  # fmt: skip
        if row is None:
            raise InvariantViolated("APPLICATION_ABSENT", application.application_id)
        if row["state"] == SettlementState.FINAL:
            return SettlementOutcome(SettlementState.FINAL, row["tx_hash"], row["loan_id"])
        if row["application_state"] in TERMINAL_STATES:
            return SettlementOutcome(SettlementState.FAILED, row["tx_hash"], reason=row["failure"])
        return None


async def _settlement(tx: Transaction, application_id: str) -> Any:
    return await tx.row(
        "SELECT offer_id, tx_hash, state FROM settlements"
        " WHERE tenant_id = $1 AND application_id = $2 FOR UPDATE",
        tx.tenant_id, application_id,
    )  # fmt: skip


async def _insert_loan(tx: Transaction, application_id: str, offer_id: str) -> tuple[str, Any]:
    offer = await tx.row(
        "SELECT * FROM offers WHERE tenant_id = $1 AND offer_id = $2", tx.tenant_id, offer_id
    )
    loan_id = new_id("loan")
    await tx.execute(
        "INSERT INTO loans (tenant_id, loan_id, application_id, offer_id, provider_id,"
        " amount_minor, currency, apr_bps, term_months, monthly_payment_minor,"
        " total_repayable_minor) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        tx.tenant_id, loan_id, application_id, offer_id, offer["provider_id"],
        offer["amount_minor"], offer["currency"], offer["apr_bps"], offer["term_months"],
        offer["monthly_payment_minor"], offer["total_repayable_minor"],
    )  # fmt: skip
    return loan_id, offer
