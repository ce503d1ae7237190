"""Statements of the chain lane; satisfies `ChainRecords`. Runs under the role `caas_chain`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from activities.ports.settlement_records import AcceptedOffer, Attempt
from adapters.postgres import ledger
from adapters.postgres.database import PLATFORM, Database, Transaction
from adapters.postgres.movement import state_of
from adapters.postgres.rows import quote_of
from models.domain.application import ApplicationRef, State
from models.domain.errors import Conflict, NotFound
from models.domain.failpoints import failpoint
from models.domain.ids import new_id
from models.domain.ledger import commitment, disbursement
from models.domain.offer import Quote
from models.domain.settlement import SettlementOrder, SignedTransaction

_ATTEMPT = (
    "SELECT a.chain_id, a.sender, a.nonce, a.tx_hash, a.raw, a.broadcast_at, a.settlement_id"
    " FROM chain_attempts a JOIN settlements s USING (tenant_id, settlement_id)"
    " WHERE a.tenant_id = $1 AND s.application_id = $2"
)


class _NoAccountError(Exception):
    """No nonce was ever taken from this account."""


class PostgresChainRecords:
    """Intent before nonce, nonce before signature, stored bytes before broadcast."""

    def __init__(self, database: Database, chain_id: int, sender: str) -> None:
        self._database = database
        self._chain_id = chain_id
        self._sender = sender

    async def attempt(self, application: ApplicationRef) -> Attempt | None:
        async with self._database.transaction(application.tenant_id) as tx:
            return await _attempt(tx, application.application_id)

    async def accepted_offer(self, order: SettlementOrder) -> AcceptedOffer:
        async with self._database.transaction(order.application.tenant_id) as tx:
            row = await _accepted_offer(tx, order)
        return AcceptedOffer(quote_of(row), row["lender_signature"])

    async def adopt(self, order: SettlementOrder, quote: Quote, tx_hash: str) -> None:
        application_id = order.application.application_id
        async with self._database.transaction(order.application.tenant_id) as tx:
            await state_of(tx, application_id)
            settlement_id = await self._reserve(tx, order, quote)
            adopted = await tx.execute(
                "UPDATE settlements SET state = 'included', tx_hash = $3,"
                " updated_at = clock_timestamp() WHERE tenant_id = $1 AND settlement_id = $2"
                " AND tx_hash IS NULL",
                tx.tenant_id, settlement_id, tx_hash,
            )  # fmt: skip
            if not adopted:
                return
            entry = disbursement(quote.provider_id, quote.amount_minor, quote.currency)
            await ledger.book(tx, application_id, entry)
            await tx.record(
                "system",
                "settlement.adopted",
                application_id,
                {"settlement_id": settlement_id, "tx_hash": tx_hash},
                key=application_id,
            )

    async def record_confirmation(self, order: SettlementOrder, lender_signature: str) -> None:
        application_id = order.application.application_id
        async with self._database.transaction(order.application.tenant_id) as tx:
            # Once the application is closed nothing is committed for it any more.
            if await state_of(tx, application_id) is not State.SETTLING:
                raise Conflict("SETTLEMENT_CLOSED", application_id)
            offer = await _accepted_offer(tx, order)
            if offer["lender_signature"] == lender_signature:
                return
            if offer["lender_signature"] is not None:
                raise Conflict("LENDER_SIGNED_TWICE", order.offer_id)
            await tx.execute(
                "UPDATE offers SET lender_signature = $3 WHERE tenant_id = $1 AND offer_id = $2",
                tx.tenant_id, order.offer_id, lender_signature,
            )  # fmt: skip
            entry = commitment(offer["provider_id"], offer["amount_minor"], offer["currency"])
            await ledger.book(tx, application_id, entry)
            await tx.record(
                f"provider:{offer['provider_id']}",
                "offer.confirmed",
                application_id,
                {"offer_id": order.offer_id, "terms_hash": offer["terms_hash"]},
                key=application_id,
            )

    async def persist_attempt(
        self,
        order: SettlementOrder,
        quote: Quote,
        chain_nonce: int,
        sign: Callable[[int], SignedTransaction],
    ) -> Attempt:
        try:
            return await self._persist(order, quote, chain_nonce, sign)
        except _NoAccountError:
            # The first settlement ever: the account's row belongs to the platform, and must exist
            # before this tenant's transaction can lock it.
            await self._open_account(chain_nonce)
            return await self._persist(order, quote, chain_nonce, sign)

    async def _persist(
        self,
        order: SettlementOrder,
        quote: Quote,
        chain_nonce: int,
        sign: Callable[[int], SignedTransaction],
    ) -> Attempt:
        application_id = order.application.application_id
        async with self._database.transaction(order.application.tenant_id) as tx:
            # Whoever gives up on the settlement closes the application under the same lock, so
            # an attempt that was slow to get here cannot sign any more.
            state = await state_of(tx, application_id)
            settlement_id = await self._reserve(tx, order, quote)
            if (known := await _attempt(tx, application_id)) is not None:
                return known
            if state is not State.SETTLING or await _is_adopted(tx, settlement_id):
                raise Conflict("SETTLEMENT_CLOSED", application_id)
            # Whoever reopens the application voids the acceptance under the same lock.
            await _accepted_offer(tx, order)
            transaction = sign(await self._take_nonce(tx, chain_nonce))
            await tx.execute(
                "INSERT INTO chain_attempts (tenant_id, chain_id, tx_hash, settlement_id, sender,"
                " nonce, raw) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                tx.tenant_id, transaction.chain_id, transaction.tx_hash, settlement_id,
                transaction.sender, transaction.nonce, transaction.raw,
            )  # fmt: skip
            await tx.execute(
                "UPDATE settlements SET state = 'signed', tx_hash = $3,"
                " updated_at = clock_timestamp() WHERE tenant_id = $1 AND settlement_id = $2",
                tx.tenant_id, settlement_id, transaction.tx_hash,
            )  # fmt: skip
            entry = disbursement(quote.provider_id, quote.amount_minor, quote.currency)
            await ledger.book(tx, application_id, entry)
            await tx.record(
                "system",
                "settlement.signed",
                application_id,
                {
                    "settlement_id": settlement_id,
                    "tx_hash": transaction.tx_hash,
                    "nonce": transaction.nonce,
                    "chain_id": transaction.chain_id,
                },
                key=application_id,
            )
            failpoint("settlement.attempt_uncommitted")
        return Attempt(settlement_id, transaction, was_broadcast=False)

    async def record_broadcast(self, application: ApplicationRef, attempt: Attempt) -> None:
        async with self._database.transaction(application.tenant_id) as tx:
            first = await tx.execute(
                "UPDATE chain_attempts SET broadcast_at = clock_timestamp()"
                " WHERE tenant_id = $1 AND tx_hash = $2 AND broadcast_at IS NULL",
                tx.tenant_id, attempt.transaction.tx_hash,
            )  # fmt: skip
            if not first:
                return
            # The watcher may have seen it included already; that is never taken back.
            await tx.execute(
                "UPDATE settlements SET state = 'broadcast', updated_at = clock_timestamp()"
                " WHERE tenant_id = $1 AND settlement_id = $2 AND state = 'signed'",
                tx.tenant_id, attempt.settlement_id,
            )  # fmt: skip
            await tx.record(
                "system",
                "settlement.broadcast",
                application.application_id,
                {"settlement_id": attempt.settlement_id, "tx_hash": attempt.transaction.tx_hash},
                key=application.application_id,
            )

    async def _reserve(self, tx: Transaction, order: SettlementOrder, quote: Quote) -> str:
        """The intent to settle, one per application; concurrent attempts wait for each other."""
        terms = quote.terms
        await tx.execute(
            "INSERT INTO settlements (tenant_id, settlement_id, application_id, offer_id,"
            " loan_reference, chain_id, borrower, lender, token, amount_units, state)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'signed')"
            " ON CONFLICT (tenant_id, application_id) DO NOTHING",
            tx.tenant_id, new_id("set"), order.application.application_id, order.offer_id,
            terms.loan_reference, self._chain_id, terms.borrower, terms.lender, terms.token,
            terms.principal,
        )  # fmt: skip
        settlement_id: str = await tx.value(
            "SELECT settlement_id FROM settlements"
            " WHERE tenant_id = $1 AND application_id = $2 FOR UPDATE",
            tx.tenant_id, order.application.application_id,
        )  # fmt: skip
        return settlement_id

    async def _open_account(self, chain_nonce: int) -> None:
        async with self._database.transaction(PLATFORM) as tx:
            await tx.execute(
                "INSERT INTO chain_accounts (tenant_id, chain_id, sender, next_nonce)"
                " VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
                PLATFORM, self._chain_id, self._sender, chain_nonce,
            )  # fmt: skip

    async def _take_nonce(self, tx: Transaction, chain_nonce: int) -> int:
        """The next nonce, under a row lock: it is taken if and only if the bytes are stored."""
        nonce: int | None = await tx.value(
            "UPDATE chain_accounts SET next_nonce = GREATEST(next_nonce, $4) + 1"
            " WHERE tenant_id = $1 AND chain_id = $2 AND sender = $3"
            " RETURNING next_nonce - 1",
            PLATFORM, self._chain_id, self._sender, chain_nonce,
        )  # fmt: skip
        if nonce is None:
            raise _NoAccountError
        return nonce


async def _accepted_offer(tx: Transaction, order: SettlementOrder) -> Any:
    row = await tx.row(
        "SELECT * FROM offers WHERE tenant_id = $1 AND offer_id = $2 AND application_id = $3"
        " AND status = 'accepted' FOR UPDATE",
        tx.tenant_id, order.offer_id, order.application.application_id,
    )  # fmt: skip
    if row is None:
        raise NotFound("OFFER_NOT_ACCEPTED", order.offer_id)
    return row


async def _is_adopted(tx: Transaction, settlement_id: str) -> bool:
    """Whether a transaction that is not ours was found to have paid this settlement."""
    return bool(
        await tx.value(
            "SELECT tx_hash IS NOT NULL FROM settlements"
            " WHERE tenant_id = $1 AND settlement_id = $2",
            tx.tenant_id, settlement_id,
        )
    )  # fmt: skip


async def _attempt(tx: Transaction, application_id: str) -> Attempt | None:
    row = await tx.row(_ATTEMPT, tx.tenant_id, application_id)
    if row is None:
        return None
    return Attempt(
        row["settlement_id"],
        SignedTransaction(row["chain_id"], row["sender"], row["nonce"], row["tx_hash"], row["raw"]),
        was_broadcast=row["broadcast_at"] is not None,
    )
