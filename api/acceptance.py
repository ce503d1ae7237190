"""Accepting an offer, by whichever path it is asked for."""

from __future__ import annotations

from typing import Any

from fastapi.responses import Response

from api.auth import Principal
from api.deps import Services, answer_once, checksum
from api.schemas.application_answers import AcceptedAnswer, Links
from api.schemas.applications import SignedAcceptance
from models.domain.application import ApplicationRef
from models.domain.errors import Conflict, Invalid
from models.domain.offer import Acceptance, AcceptOffer
from models.domain.writes import WriteKey


async def accept_once(
    wired: Services,
    application: ApplicationRef,
    offer_id: str,
    signed: SignedAcceptance,
    principal: Principal,
    write: WriteKey,
) -> Response:
    """Deliver the acceptance once per key; the caller may accept for this application.

    Raises Refused with a published code, or Transient.
    """
    accepted = _acceptance(signed, offer_id, application, principal)

    async def effect() -> dict[str, Any]:
        await _deliver(wired, application, accepted, write)
        return AcceptedAnswer(
            application_id=application.application_id,
            offer_id=offer_id,
            state="settling",
            links=Links(self=f"/api/v1/applications/{application.application_id}"),
        ).model_dump()

    return await answer_once(wired, write, effect)


async def _deliver(
    wired: Services, application: ApplicationRef, accepted: AcceptOffer, write: WriteKey
) -> None:
    """Deliver the update; an acceptance that is on record already is no conflict with itself.

    The workflow lets an acceptance wait until it knows its offers. So one of an offer that is on no
    record is refused here: it would wait until the caller is told that nobody answered.
    """
    if await wired.applications.awaits_offer(
        application.tenant_id, application.application_id, accepted.offer_id
    ):
        raise Invalid("OFFER_UNKNOWN")
    try:
        await wired.messages.accept_offer(application, accepted, write.effect_id)
    except Conflict:
        known = await wired.applications.acceptance(
            application.tenant_id, application.application_id
        )
        if known != (accepted.offer_id, accepted.acceptance.signature):
            raise


def _acceptance(
    signed: SignedAcceptance, offer_id: str, application: ApplicationRef, principal: Principal
) -> AcceptOffer:
    nonce = int(signed.nonce)
    if nonce >= 2**256:
        raise Invalid("NONCE_TOO_LARGE")
    return AcceptOffer(
        offer_id=offer_id,
        applicant_id=application.user_id,
        accepted_by=principal.subject,
        acceptance=Acceptance(
            terms_hash=signed.terms_hash,
            borrower=checksum(signed.borrower),
            nonce=nonce,
            deadline=signed.deadline,
            signature=signed.signature.lower(),
        ),
    )
