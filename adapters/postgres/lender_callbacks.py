"""What lenders have told: each message kept once, applied once, and never after a later one."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from adapters.postgres import providers_health
from adapters.postgres.database import Database, Transaction
from adapters.postgres.security_log import note
from models.domain.errors import NotFound
from models.domain.lender_callback import CallbackOutcome, LenderCallback, LenderCallbackType
from models.domain.provider import ProviderStatus
from models.domain.provider_health import ANNOUNCED_BY_LENDER, SetBy

QUOTE_WITHDRAWN: Final = "QUOTE_WITHDRAWN"


class PostgresLenderCallbacks:
    """Keeps and applies."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def refused(self, owner: str, provider_id: str, code: str) -> None:
        """Somebody sent what the lender did not sign: for auditors."""
        async with self._database.transaction(owner) as tx:
            detail = {"code": code}
            await note(
                tx, f"vendor:{provider_id}", "provider_registry.callback_refused", provider_id,
                detail,
            )  # fmt: skip

    async def store(
        self, tenant_id: str, owner: str, provider_id: str, callback: LenderCallback
    ) -> CallbackOutcome:
        """Keep the message and apply it, in one transaction; returns what came of it at first.

        Raises NotFound for a quote that is none of this lender's and tenant's.
        """
        about_itself = callback.quote_id is None
        async with self._database.transaction(owner if about_itself else tenant_id) as tx:
            await tx.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended($1 || '|' || $2 || '|' || $3, 0))",
                tx.tenant_id, provider_id, callback.subject,
            )  # fmt: skip
            before = await tx.value(
                "SELECT outcome FROM lender_callbacks"
                " WHERE tenant_id = $1 AND provider_id = $2 AND event_id = $3",
                tx.tenant_id, provider_id, callback.event_id,
            )  # fmt: skip
            if before is not None:
                return CallbackOutcome(before)
            outcome = await self._apply(tx, provider_id, callback)
            await tx.execute(
                "INSERT INTO lender_callbacks (tenant_id, provider_id, event_id, type, subject,"
                " sender_sequence, outcome) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                tx.tenant_id, provider_id, callback.event_id, callback.type, callback.subject,
                callback.sequence, outcome,
            )  # fmt: skip
            detail = {"event_id": callback.event_id, "type": callback.type, "outcome": outcome}
            await note(
                tx, f"vendor:{provider_id}", "provider_registry.callback_taken",
                callback.subject or provider_id, detail,
            )  # fmt: skip
        return outcome

    async def _apply(
        self, tx: Transaction, provider_id: str, callback: LenderCallback
    ) -> CallbackOutcome:
        last = await tx.value(
            "SELECT max(sender_sequence) FROM lender_callbacks"
            " WHERE tenant_id = $1 AND provider_id = $2 AND subject = $3",
            tx.tenant_id, provider_id, callback.subject,
        )  # fmt: skip
        if last is not None and callback.sequence <= last:
            return CallbackOutcome.LATE
        match callback.type:
            case LenderCallbackType.QUOTE_WITHDRAWN:
                done = await _withdraw(tx, provider_id, callback.subject)
            case LenderCallbackType.ACCEPTANCE_CONFIRMED:
                # The lender's signature is what counts, and it is asked for.
                await _offer_of(tx, provider_id, callback.subject)
                done = False
            case LenderCallbackType.MAINTENANCE_BEGUN:
                done = await _rest(tx, provider_id, ProviderStatus.MAINTENANCE)
            case LenderCallbackType.MAINTENANCE_ENDED:
                done = await _rest(tx, provider_id, ProviderStatus.ACTIVE)
        return CallbackOutcome.APPLIED if done else CallbackOutcome.RECORDED


async def _offer_of(tx: Transaction, provider_id: str, quote_id: str) -> tuple[str, str]:
    row = await tx.row(
        "SELECT offer_id, application_id FROM offers"
        " WHERE tenant_id = $1 AND provider_id = $2 AND quote_id = $3",
        tx.tenant_id, provider_id, quote_id,
    )  # fmt: skip
    if row is None:
        raise NotFound("QUOTE_UNKNOWN")
    return row["offer_id"], row["application_id"]


async def _withdraw(tx: Transaction, provider_id: str, quote_id: str) -> bool:
    """An open offer is void; one that was accepted is not the lender's alone to take back."""
    offer_id, application_id = await _offer_of(tx, provider_id, quote_id)
    application = await tx.row(
        "SELECT stage, state FROM applications WHERE tenant_id = $1 AND application_id = $2"
        " FOR UPDATE",
        tx.tenant_id, application_id,
    )  # fmt: skip
    changed = await tx.execute(
        "UPDATE offers SET status = 'replaced'"
        " WHERE tenant_id = $1 AND offer_id = $2 AND status = 'open'",
        tx.tenant_id, offer_id,
    )  # fmt: skip
    if changed:
        await tx.record(
            f"vendor:{provider_id}", "offer.replaced", application_id,
            {"stage": application["stage"], "state": application["state"], "reasons": [],
             "offer_id": offer_id, "provider_id": provider_id, "reason": QUOTE_WITHDRAWN},
            key=application_id,
        )  # fmt: skip
    return changed > 0


async def _rest(tx: Transaction, provider_id: str, status: ProviderStatus) -> bool:
    """The lender rests, or is back; what a person or our checks have decided stays."""
    before = await providers_health.begun(tx, provider_id)
    begins = status is ProviderStatus.MAINTENANCE
    allowed = ProviderStatus.ACTIVE if begins else ProviderStatus.MAINTENANCE
    if before.status is not allowed or not (begins or before.set_by is SetBy.LENDER):
        return False
    after = replace(before, status=status, set_by=SetBy.LENDER, reason=ANNOUNCED_BY_LENDER)
    await providers_health.changed(tx, provider_id, before, after, f"vendor:{provider_id}")
    return True
