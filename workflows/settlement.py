"""Settlement on chain, once: sign, persist, broadcast, wait for depth, book the loan."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.settlement import ChainActivities, LoanBookActivities
    from models.domain.routing import CHAIN_QUEUE, SETTLEMENT_OBSERVED, SETTLEMENT_WORKFLOW
    from models.domain.settlement import (
        FinalitySignal,
        SettlementOrder,
        SettlementOutcome,
        SubmittedTransaction,
    )
    from workflows.options import CHAIN, FINALITY_CHECK, OWN_DATABASE

SETTLEMENT_FAILED = "SETTLEMENT_FAILED"


@workflow.defn(name=SETTLEMENT_WORKFLOW)
class SettlementWorkflow:
    """Pays one accepted offer; ends `final` with a booked loan, or `failed` with a reason."""

    @workflow.init
    def __init__(self, order: SettlementOrder) -> None:
        self.order = order
        self.observed: FinalitySignal | None = None

    @workflow.signal(name=SETTLEMENT_OBSERVED)
    def settlement_observed(self, observed: FinalitySignal) -> None:
        """The watcher saw the transaction at depth; repeated signals change nothing."""
        self.observed = observed

    @workflow.run
    async def run(self, order: SettlementOrder) -> SettlementOutcome:
        workflow.set_current_details("Confirming with the lender and sending the transaction.")
        try:
            submitted: SubmittedTransaction = await workflow.execute_activity_method(
                ChainActivities.submit_settlement,
                order,
                task_queue=CHAIN_QUEUE,
                summary="Confirm, reserve, sign, persist, broadcast",
                **CHAIN,
            )
        except ActivityError as error:
            return await self._fail(_reason(error))
        workflow.set_current_details(
            f"Transaction {submitted.tx_hash} on chain {submitted.chain_id} is broadcast; "
            "waiting for its depth."
        )
        observed = await self._wait_for_finality()
        if not observed.succeeded:
            return await self._fail("TRANSACTION_REVERTED")
        outcome: SettlementOutcome = await workflow.execute_local_activity_method(
            LoanBookActivities.book_loan,
            args=[self.order.application, observed],
            summary="Clear the ledger, book the loan, close the application",
            **OWN_DATABASE,
        )
        workflow.set_current_details(
            f"Final in block {observed.block_number}; loan {outcome.loan_id} is booked."
        )
        return outcome

    async def _wait_for_finality(self) -> FinalitySignal:
        while self.observed is None:
            try:
                await workflow.wait_condition(
                    lambda: self.observed is not None,
                    timeout=FINALITY_CHECK,
                    timeout_summary="Look for finality ourselves",
                )
            except TimeoutError:
                self.observed = await workflow.execute_activity_method(
                    ChainActivities.observe_settlement,
                    self.order.application,
                    task_queue=CHAIN_QUEUE,
                    summary="Look at the chain",
                    **CHAIN,
                )
        return self.observed

    async def _fail(self, reason: str) -> SettlementOutcome:
        workflow.set_current_details(f"Settlement failed: {reason}. No funds have moved.")
        outcome: SettlementOutcome = await workflow.execute_local_activity_method(
            LoanBookActivities.fail_settlement,
            args=[self.order.application, reason],
            summary="Void the ledger entry and record the failure",
            **OWN_DATABASE,
        )
        return outcome


def _reason(error: ActivityError) -> str:
    """The stable code of a permanent refusal; a timeout has none of its own."""
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type:
        return cause.type
    return SETTLEMENT_FAILED
