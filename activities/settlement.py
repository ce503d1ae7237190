"""Settle on chain: confirm, reserve, sign, persist, then broadcast; book when final."""

from __future__ import annotations

from temporalio import activity

from activities.ports.chain import GasTerms, Payment, SettlementChain
from activities.ports.credit_provider import ProviderDirectory
from activities.ports.settlement_records import Attempt, ChainRecords, LoanBook
from models.domain.application import ApplicationRef
from models.domain.errors import InvariantViolated, Permanent, Transient
from models.domain.failpoints import failpoint
from models.domain.offer import Quote
from models.domain.settlement import (
    REFERENCE_ALREADY_SETTLED,
    FinalitySignal,
    SettlementOrder,
    SettlementOutcome,
    SubmittedTransaction,
)

# Something a person has to settle with the lender; the acceptance waits for that.
NEEDS_PERSON = "PROVIDER_NEEDS_PERSON"


class ChainActivities:
    """The chain lane: the only place that signs, and only what is on record."""

    def __init__(
        self,
        records: ChainRecords,
        chain: SettlementChain,
        lenders: ProviderDirectory,
    ) -> None:
        self._records = records
        self._chain = chain
        self._lenders = lenders

    @activity.defn(name="submit_settlement")
    async def submit_settlement(self, order: SettlementOrder) -> SubmittedTransaction:
        """Send the one transaction of this settlement; a repetition sends the same bytes.

        Raises Permanent only while nothing is signed: afterwards the chain alone decides.
        """
        attempt = await self._records.attempt(order.application)
        if attempt is None:
            attempt = await self._sign(order)
            failpoint("settlement.attempt_persisted")
        if not attempt.was_broadcast:
            await self._broadcast(order.application, attempt)
        sent = attempt.transaction
        return SubmittedTransaction(attempt.settlement_id, sent.chain_id, sent.tx_hash, sent.nonce)

    @activity.defn(name="observe_settlement")
    async def observe_settlement(self, application: ApplicationRef) -> FinalitySignal:
        """Look at the chain for a settlement; Transient until it is at depth."""
        attempt = await self._records.attempt(application)
        if attempt is None:
            raise InvariantViolated("NOTHING_SIGNED", application.application_id)
        tx_hash = attempt.transaction.tx_hash
        receipt = (await self._chain.receipts([tx_hash])).get(tx_hash)
        if receipt is None or receipt.confirmations < self._chain.confirmations:
            raise Transient("NOT_FINAL_YET", tx_hash)
        return FinalitySignal(
            tx_hash=tx_hash,
            block_number=receipt.block_number,
            block_hash=receipt.block_hash,
            confirmations=receipt.confirmations,
            succeeded=receipt.succeeded,
        )

    @activity.defn(name="resolve_settlement")
    async def resolve_settlement(self, order: SettlementOrder) -> FinalitySignal:
        """Whether the loan was paid after all, when our own transaction did not pay it.

        A revert proves nothing: somebody else may have relayed the same signatures, or may do so
        until the first of their deadlines. Transient until a final block is later than that.
        """
        quote = (await self._records.accepted_offer(order)).quote
        standing = await self._chain.standing(quote.terms.loan_reference)
        if (paid := standing.payment) is not None:
            return await self._paid(order, quote, paid)
        if standing.final_time <= min(quote.terms.deadline, order.acceptance.deadline):
            raise Transient("NOT_DECIDED_YET", quote.terms.loan_reference)
        return FinalitySignal("", 0, "", 0, succeeded=False)

    async def _paid(self, order: SettlementOrder, quote: Quote, paid: Payment) -> FinalitySignal:
        terms = quote.terms
        if (paid.borrower, paid.lender, paid.token, paid.principal) != (
            terms.borrower,
            terms.lender,
            terms.token,
            terms.principal,
        ):
            raise InvariantViolated("REFERENCE_PAID_OTHERWISE", paid.tx_hash)
        attempt = await self._records.attempt(order.application)
        if attempt is None:
            await self._records.adopt(order, quote, paid.tx_hash)
        return FinalitySignal(
            tx_hash=paid.tx_hash,
            block_number=paid.block_number,
            block_hash=paid.block_hash,
            confirmations=paid.confirmations,
            succeeded=True,
            by_other=attempt is None or attempt.transaction.tx_hash != paid.tx_hash,
        )

    async def _sign(self, order: SettlementOrder) -> Attempt:
        offer = await self._records.accepted_offer(order)
        quote = offer.quote
        lender_signature = offer.lender_signature or await self._confirm(order, quote)
        gas = await self._simulate(order, quote, lender_signature)
        return await self._records.persist_attempt(
            order,
            quote,
            await self._chain.next_nonce(),
            lambda nonce: self._chain.sign_settle(
                quote.terms, lender_signature, order.acceptance, nonce, gas
            ),
        )

    async def _simulate(
        self, order: SettlementOrder, quote: Quote, lender_signature: str
    ) -> GasTerms:
        try:
            return await self._chain.simulate(quote.terms, lender_signature, order.acceptance)
        except Permanent as error:
            # Somebody was paid under this reference and we have no record of signing it.
            if await self._chain.is_settled(quote.terms.loan_reference):
                raise Permanent(REFERENCE_ALREADY_SETTLED, quote.terms.loan_reference) from error
            raise

    async def _confirm(self, order: SettlementOrder, quote: Quote) -> str:
        """The lender's signature over exactly the accepted terms, checked before it is used."""
        provider = await self._lenders.find(order.application.tenant_id, quote.provider_id)
        if provider is None:
            raise Permanent("PROVIDER_UNKNOWN", quote.provider_id)
        try:
            confirmation = await provider.accept_offer(
                order.application.tenant_id,
                order.application.application_id,
                quote,
                order.acceptance,
            )
        except Permanent as error:
            if error.code != NEEDS_PERSON:
                raise
            # Not the borrower's fault, and not for us to give up: support sees it as stuck.
            raise Transient(error.code, error.detail) from error
        signature = confirmation.lender_signature
        if confirmation.terms_hash != quote.terms_hash:
            raise Permanent("TERMS_CHANGED", quote.provider_id)
        if not await self._chain.signed_by_lender(quote.terms, signature):
            raise Permanent("LENDER_SIGNATURE_INVALID", quote.provider_id)
        await self._records.record_confirmation(order, signature)
        failpoint("settlement.lender_confirmed")
        return signature

    async def _broadcast(self, application: ApplicationRef, attempt: Attempt) -> None:
        try:
            await self._chain.broadcast(attempt.transaction)
        except Permanent as error:
            # The bytes are signed and stored: nothing may give up on them but the chain.
            raise Transient(error.code, error.detail) from error
        failpoint("settlement.broadcast")
        await self._records.record_broadcast(application, attempt)


class LoanBookActivities:
    """What follows finality or failure, on our own books."""

    def __init__(self, records: LoanBook) -> None:
        self._records = records

    @activity.defn(name="book_loan")
    async def book_loan(
        self, application: ApplicationRef, observed: FinalitySignal
    ) -> SettlementOutcome:
        """Clear the ledger, book the loan and close the application, in one transaction."""
        return await self._records.book_loan(application, observed)

    @activity.defn(name="fail_settlement")
    async def fail_settlement(
        self, application: ApplicationRef, offer_id: str, reason: str
    ) -> SettlementOutcome:
        """Record that this settlement pays nobody, and whether lenders are asked again."""
        return await self._records.fail_settlement(application, offer_id, reason)

    @activity.defn(name="follow_settlement")
    async def follow_settlement(self, application: ApplicationRef) -> SettlementOutcome:
        """How the settlement that is on record ends; Transient while it is open."""
        outcome = await self._records.outcome(application)
        if outcome is None:
            raise Transient("NOT_SETTLED_YET", application.application_id)
        return outcome
