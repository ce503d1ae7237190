"""Settlement on chain, once: sign, persist, broadcast, wait for depth, book the loan."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.settlement import ChainActivities, LoanBookActivities
    from models.domain.routing import CHAIN_QUEUE, SETTLEMENT_OBSERVED, SETTLEMENT_WORKFLOW
    from models.domain.settlement import (
        REFERENCE_ALREADY_SETTLED,
        TRANSACTION_REVERTED,
        FinalitySignal,
        SettlementOrder,
        SettlementOutcome,
        SettlementState,
        SubmittedTransaction,
    )
    from workflows.options import CHAIN, FINALITY_CHECK, OWN_DATABASE, RESOLUTION

SETTLEMENT_FAILED = "SETTLEMENT_FAILED"


@workflow.defn(name=SETTLEMENT_WORKFLOW)
class SettlementWorkflow:
    """Pays one accepted offer; ends `final` with a booked loan, or `failed` with a reason."""

    @workflow.init
    def __init__(self, order: SettlementOrder) -> None:
        self.order = order
        self.observed: dict[str, FinalitySignal] = {}

    @workflow.signal(name=SETTLEMENT_OBSERVED)
    def settlement_observed(self, observed: FinalitySignal) -> None:
        """The watcher saw a transaction at depth; repeated and foreign signals change nothing."""
        self.observed.setdefault(observed.tx_hash, observed)

    @workflow.run
    async def run(self, order: SettlementOrder) -> SettlementOutcome:
        # Money that is on its way is seen through: a cancellation in the Web UI changes nothing.
        course = asyncio.create_task(self._course())
        while not course.done():
            with suppress(asyncio.CancelledError):
                await workflow.wait_condition(course.done)
        return course.result()

    async def _course(self) -> SettlementOutcome:
        refusal, tx_hash = await self._submit()
        if tx_hash is None and refusal != REFERENCE_ALREADY_SETTLED:
            failed = await self._fail(refusal)
            if failed.state is SettlementState.FAILED:
                return failed
            tx_hash = failed.tx_hash  # a slower attempt had signed: only the chain decides now
        observed = await self._wait_for_finality(tx_hash) if tx_hash else None
        if observed is None or not observed.succeeded:
            observed = await self._resolve()
        if not observed.succeeded:
            return await self._fail(TRANSACTION_REVERTED)
        return await self._book(observed)

    async def _submit(self) -> tuple[str, str | None]:
        """(reason, None) if it was refused before anything was signed, else ("", tx hash)."""
        workflow.set_current_details("Confirming with the lender and sending the transaction.")
        try:
            submitted: SubmittedTransaction = await workflow.execute_activity_method(
                ChainActivities.submit_settlement,
                self.order,
                task_queue=CHAIN_QUEUE,
                summary="Confirm, reserve, sign, persist, broadcast",
                **CHAIN,
            )
        except ActivityError as error:
            return _reason(error), None
        workflow.set_current_details(
            f"Transaction {submitted.tx_hash} on chain {submitted.chain_id} is broadcast; "
            "waiting for its depth."
        )
        return "", submitted.tx_hash

    async def _wait_for_finality(self, tx_hash: str) -> FinalitySignal:
        try:
            await workflow.wait_condition(
                lambda: tx_hash in self.observed,
                timeout=FINALITY_CHECK,
                timeout_summary="Look for finality ourselves",
            )
        except TimeoutError:
            self.observed[tx_hash] = await workflow.execute_activity_method(
                ChainActivities.observe_settlement,
                self.order.application,
                task_queue=CHAIN_QUEUE,
                summary="Look at the chain",
                **CHAIN,
            )
        return self.observed[tx_hash]

    async def _resolve(self) -> FinalitySignal:
        """Our transaction did not pay: find out whether another one did, or still may."""
        workflow.set_current_details(
            "Our transaction did not pay; waiting until nobody else can relay the signatures."
        )
        resolved: FinalitySignal = await workflow.execute_activity_method(
            ChainActivities.resolve_settlement,
            self.order,
            task_queue=CHAIN_QUEUE,
            summary="Ask the final chain whether the reference was paid",
            **RESOLUTION,
        )
        return resolved

    async def _book(self, observed: FinalitySignal) -> SettlementOutcome:
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

    async def _fail(self, reason: str) -> SettlementOutcome:
        outcome: SettlementOutcome = await workflow.execute_local_activity_method(
            LoanBookActivities.fail_settlement,
            args=[self.order.application, self.order.offer_id, reason],
            summary="Void the ledger entry and record the failure",
            **OWN_DATABASE,
        )
        if outcome.state is SettlementState.FAILED:
            workflow.set_current_details(f"Settlement failed: {reason}. No funds have moved.")
        return outcome


def _reason(error: ActivityError) -> str:
    """The stable code of a permanent refusal; a timeout has none of its own."""
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type:
        return cause.type
    return SETTLEMENT_FAILED
