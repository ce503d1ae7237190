"""One block watcher per chain: follows open settlements to depth and tells their workflows."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import structlog

from activities.ports.chain import SettlementChain
from activities.ports.workflow_messages import WorkflowMessages
from adapters.postgres.watching import OpenSettlement, PostgresOpenSettlements
from models.domain.errors import CreditError
from models.domain.failpoints import failpoint
from models.domain.settlement import ChainReceipt, FinalitySignal, SettlementState

log = structlog.get_logger()

# Half of the shortest block time we run on; each look costs one batch of calls for all of them.
LOOK_EVERY_S: Final = 0.5
# Settlements followed per look. More than a 30M-gas block can hold.
BATCH: Final = 500
# A transaction not seen in a block for this long is sent again: the same bytes, harmlessly.
RESEND_AFTER_S: Final = 15.0
# A workflow that was told and has not booked is told again after this long: signals can be lost.
TELL_AGAIN_S: Final = 10.0


class BlockWatcher:
    """Receipts are read anew at every look, so a reorganisation undoes what was seen."""

    def __init__(
        self,
        chain: SettlementChain,
        settlements: PostgresOpenSettlements,
        messages: WorkflowMessages,
    ) -> None:
        self._chain = chain
        self._settlements = settlements
        self._messages = messages
        self._resent_at: dict[str, float] = {}
        self._told_at: dict[str, float] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Look until told to stop; an outage is logged and outlived."""
        while not stop.is_set():
            try:
                await self.look()
            except CreditError as error:
                log.warning("watcher_waits", code=error.code)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_EVERY_S)

    async def look(self) -> int:
        """One look at all open settlements; returns how many are at depth."""
        open_ones = await self._settlements.open(BATCH)
        self._forget_all_but({each.settlement_id for each in open_ones})
        if not open_ones:
            return 0
        receipts = await self._chain.receipts([each.transaction.tx_hash for each in open_ones])
        at_depth = 0
        for settlement in open_ones:
            receipt = receipts.get(settlement.transaction.tx_hash)
            try:
                await self._follow(settlement, receipt)
            except CreditError as error:
                # One settlement's trouble is not the others'.
                log.warning(
                    "settlement_not_followed",
                    settlement=settlement.settlement_id,
                    code=error.code,
                )
            at_depth += receipt is not None and receipt.confirmations >= self._chain.confirmations
        return at_depth

    async def _follow(self, settlement: OpenSettlement, receipt: ChainReceipt | None) -> None:
        if receipt is None:
            if settlement.state is SettlementState.INCLUDED:
                log.warning("settlement_reorged", settlement=settlement.settlement_id)
                await self._settlements.seen(settlement, None)
                # Nodes do not put a reorganised transaction back into their pools.
                await self._send(settlement)
                return
            await self._resend(settlement)
            return
        if (receipt.block_hash, receipt.confirmations) != settlement.seen_at:
            await self._settlements.seen(settlement, receipt)
            failpoint("watcher.seen")
        if receipt.confirmations >= self._chain.confirmations:
            await self._tell(settlement, receipt)

    async def _tell(self, settlement: OpenSettlement, receipt: ChainReceipt) -> None:
        told_at = self._told_at.get(settlement.settlement_id)
        if told_at is not None and settlement.age_s - told_at < TELL_AGAIN_S:
            return
        await self._messages.tell_settlement(
            settlement.tenant_id,
            settlement.application_id,
            FinalitySignal(
                tx_hash=receipt.tx_hash,
                block_number=receipt.block_number,
                block_hash=receipt.block_hash,
                confirmations=receipt.confirmations,
                succeeded=receipt.succeeded,
            ),
        )
        failpoint("watcher.told")
        self._told_at[settlement.settlement_id] = settlement.age_s

    async def _resend(self, settlement: OpenSettlement) -> None:
        last = self._resent_at.get(settlement.settlement_id, 0.0)
        if settlement.age_s - last < RESEND_AFTER_S:
            return
        await self._send(settlement)

    async def _send(self, settlement: OpenSettlement) -> None:
        """Send the stored bytes; whether it succeeds or not, not again for a while."""
        self._resent_at[settlement.settlement_id] = settlement.age_s
        await self._chain.broadcast(settlement.transaction)

    def _forget_all_but(self, open_ids: set[str]) -> None:
        for kept in (self._resent_at, self._told_at):
            for settlement_id in kept.keys() - open_ids:
                del kept[settlement_id]
