"""An application whose lender did not stand by its offer goes back to offers: nobody is paid."""

from __future__ import annotations

from adapters.postgres.database import Transaction
from adapters.postgres.movement import SYSTEM, move
from models.domain.application import Stage, State
from models.domain.offer import OfferStatus
from models.domain.settlement import reopens


async def reopen(tx: Transaction, application_id: str, offer_id: str, reason: str) -> bool:
    """Void the acceptance of this offer, if lenders may be asked again; whether it is void.

    Only while the lender has signed nothing: a confirmed offer is one it stands by. The caller
    holds the application's lock, and knows that no transaction was signed. May be repeated.
    """
    offer = await tx.row(
        "SELECT o.status, o.provider_id, o.lender_signature, s.round FROM offers o"
        " JOIN offer_searches s USING (tenant_id, application_id)"
        " WHERE o.tenant_id = $1 AND o.offer_id = $2 AND o.application_id = $3",
        tx.tenant_id, offer_id, application_id,
    )  # fmt: skip
    if offer is None or offer["lender_signature"] is not None:
        return False
    if offer["status"] == OfferStatus.REPLACED:
        return True
    if offer["status"] != OfferStatus.ACCEPTED or not reopens(reason, offer["round"]):
        return False
    await tx.execute(
        "UPDATE offers SET status = 'replaced' WHERE tenant_id = $1 AND offer_id = $2",
        tx.tenant_id, offer_id,
    )  # fmt: skip
    await tx.execute(
        "UPDATE applications SET accepted_offer_id = NULL"
        " WHERE tenant_id = $1 AND application_id = $2",
        tx.tenant_id, application_id,
    )  # fmt: skip
    await move(
        tx,
        application_id,
        Stage.OFFERS,
        State.PROCESSING,
        "offer.replaced",
        actor=SYSTEM,
        detail={"offer_id": offer_id, "provider_id": offer["provider_id"], "reason": reason},
    )
    return True
