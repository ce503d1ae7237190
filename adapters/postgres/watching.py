"""What the block watcher reads and writes (role `caas_chain`, across tenants)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adapters.postgres.database import PLATFORM, Database
from models.domain.settlement import ChainReceipt, SettlementState, SignedTransaction


@dataclass(frozen=True, slots=True)
class OpenSettlement:
    """A settlement whose transaction is not final yet, with the bytes that may be sent again."""

    tenant_id: str
    application_id: str
    settlement_id: str
    state: SettlementState
    transaction: SignedTransaction
    seen_at: tuple[str | None, int | None]  # block hash and depth on record
    age_s: float


class PostgresOpenSettlements:
    """Open settlements of one chain."""

    def __init__(self, database: Database, chain_id: int) -> None:
        self._database = database
        self._chain_id = chain_id

    async def open(self, limit: int) -> Sequence[OpenSettlement]:
        """Settlements that are not final, oldest first."""
        async with self._database.transaction(PLATFORM) as tx:
            rows = await tx.rows(
                "SELECT s.tenant_id, s.application_id, s.settlement_id, s.state, a.chain_id,"
                " a.sender, a.nonce, a.tx_hash, a.raw, s.block_hash, s.confirmations,"
                " extract(epoch FROM clock_timestamp() - a.created_at)::float8 AS age_s"
                " FROM settlements s JOIN chain_attempts a USING (tenant_id, settlement_id)"
                " WHERE s.chain_id = $1 AND s.state IN ('signed', 'broadcast', 'included')"
                " ORDER BY a.nonce LIMIT $2",
                self._chain_id, limit,
            )  # fmt: skip
        return [_open(row) for row in rows]

    async def seen(self, settlement: OpenSettlement, receipt: ChainReceipt | None) -> None:
        """Record what the chain shows now: included at a depth, or (again) only broadcast.

        Only a change of state is audited and published; depths are read state, not events.
        """
        state = SettlementState.INCLUDED if receipt else SettlementState.BROADCAST
        async with self._database.transaction(settlement.tenant_id) as tx:
            changed = await tx.value(
                "UPDATE settlements s SET state = $3, block_number = $4, block_hash = $5,"
                " confirmations = $6, updated_at = clock_timestamp()"
                " FROM settlements old WHERE s.tenant_id = $1 AND s.settlement_id = $2"
                " AND old.tenant_id = s.tenant_id AND old.settlement_id = s.settlement_id"
                " AND s.state IN ('signed', 'broadcast', 'included')"
                " RETURNING old.state <> $3 OR old.block_hash IS DISTINCT FROM $5",
                settlement.tenant_id, settlement.settlement_id, state,
                receipt.block_number if receipt else None,
                receipt.block_hash if receipt else None,
                receipt.confirmations if receipt else None,
            )  # fmt: skip
            if changed:
                await tx.record(
                    "watcher",
                    f"settlement.{state}" if receipt else "settlement.reorged",
                    settlement.application_id,
                    {
                        "tx_hash": settlement.transaction.tx_hash,
                        "block_number": receipt.block_number if receipt else None,
                    },
                    key=settlement.application_id,
                )


def _open(row: Any) -> OpenSettlement:
    return OpenSettlement(
        tenant_id=row["tenant_id"],
        application_id=row["application_id"],
        settlement_id=row["settlement_id"],
        state=SettlementState(row["state"]),
        transaction=SignedTransaction(
            row["chain_id"], row["sender"], row["nonce"], row["tx_hash"], row["raw"]
        ),
        seen_at=(row["block_hash"], row["confirmations"]),
        age_s=row["age_s"],
    )
