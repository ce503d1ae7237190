"""Applications: submit, read, accept an offer."""

from __future__ import annotations

import time
from typing import Annotated, Final

import orjson
import structlog
from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from api.acceptance import accept_once
from api.auth import Action, Principal
from api.deps import (
    Caller,
    IdempotencyKey,
    Services,
    StrictRoute,
    Wired,
    checksum,
    replay,
    signed_by,
    wallet_ownership_digest,
    write_key,
)
from api.errors import Problem
from api.rendering import rendered
from api.schemas import examples
from api.schemas.application_answers import (
    AcceptedAnswer,
    ApplicationAnswer,
    Links,
    SubmittedAnswer,
)
from api.schemas.applications import AcceptBody, ApplicationBody
from api.versions import HEADER
from api.versions_changes import VERSIONS
from models.domain.application import ApplicationRef, Stage, State
from models.domain.errors import Invalid, NotFound, Unavailable
from models.domain.failpoints import failpoint
from models.domain.ids import is_id, new_id
from models.domain.writes import StoredAnswer

log = structlog.get_logger()
router = APIRouter(prefix="/api/v1/applications", tags=["applications"], route_class=StrictRoute)

# A proof of ownership is signed for this application; it does not keep.
WALLET_PROOF_AGE_S: Final = 600
WALLET_PROOF_SKEW_S: Final = 60


ApplicationId = Annotated[
    str,
    Path(
        description="The application's id: `app_` and 32 hexadecimal digits.",
        examples=[examples.APPLICATION_ID],
    ),
]


@router.post(
    "",
    status_code=202,
    response_model=SubmittedAnswer,
    summary="Apply for credit",
    response_description="The application is stored; `Location` says where to follow it.",
)
async def submit(
    body: ApplicationBody,
    request: Request,
    principal: Caller,
    key: IdempotencyKey,
    wired: Wired,
) -> Response:
    """Apply for credit. The answer is 202 and a link; the application goes its way by itself."""
    principal.require(Action.APPLY)
    user_id = _applicant_id(principal, body)
    wallet = checksum(body.wallet.address)
    write = await write_key(request, principal, "POST /api/v1/applications", key)
    application = ApplicationRef(principal.tenant_id, new_id("app"), user_id)

    def admit() -> StoredAnswer:
        _check_wallet(wired, application, wallet, body)
        if body.currency != wired.settled_currency:
            raise Invalid("CURRENCY_NOT_SETTLED")
        return _submitted(application)

    answer, fresh = await wired.applications.submit(
        write,
        application,
        body.to_request(wired.venue.chain_id, wallet),
        body.to_applicant(),
        admit,
    )
    if fresh:
        # The answer does not wait for Temporal: what a crash or an outage leaves unstarted, the
        # sweeper starts.
        wired.start_soon(_start(wired, application))
    return replay(answer)


@router.get(
    "/{application_id}",
    response_model=ApplicationAnswer,
    summary="Follow an application",
    response_description="The application as it stands.",
)
async def show(application_id: ApplicationId, principal: Caller, wired: Wired) -> Response:
    """Where an application stands, why, and what came of it."""
    principal.require(Action.READ_APPLICATION)
    _require_form(application_id)
    view = await wired.applications.view(principal.tenant_id, application_id)
    if principal.only_for_self(Action.READ_APPLICATION) and view.user_id != principal.subject:
        raise NotFound("APPLICATION_UNKNOWN")
    return rendered(ApplicationAnswer.of(view))


@router.post(
    "/{application_id}/accept",
    response_model=AcceptedAnswer,
    summary="Accept an offer",
    response_description="The acceptance is on record, and the loan is being paid out.",
)
async def accept(
    application_id: ApplicationId,
    body: AcceptBody,
    request: Request,
    principal: Caller,
    key: IdempotencyKey,
    wired: Wired,
) -> Response:
    """Accept an offer with the borrower's EIP-712 signature over exactly its terms."""
    principal.require(Action.ACCEPT_OFFER)
    _require_form(application_id)
    application = await wired.applications.ref(principal.tenant_id, application_id)
    if principal.only_for_self(Action.ACCEPT_OFFER) and application.user_id != principal.subject:
        raise NotFound("APPLICATION_UNKNOWN")
    route = f"POST /api/v1/applications/{application_id}/accept"
    write = await write_key(request, principal, route, key)
    return await accept_once(wired, application, body.offer_id, body, principal, write)


async def _start(wired: Services, application: ApplicationRef) -> None:
    try:
        await wired.messages.start_application(application)
        failpoint("application.dispatched")
    except Unavailable as error:
        log.warning("start_deferred", application=application.application_id, code=error.code)


def _applicant_id(principal: Principal, body: ApplicationBody) -> str:
    if principal.only_for_self(Action.APPLY):
        if body.user_id not in (None, principal.subject):
            raise Problem(403, "NOT_ALLOWED", "Applicants apply for themselves.")
        return principal.subject
    if body.user_id is None:
        raise Invalid("USER_ID_MISSING")
    return body.user_id


def _check_wallet(
    wired: Services, application: ApplicationRef, wallet: str, body: ApplicationBody
) -> None:
    """The applicant holds the wallet's key, and said so for this tenant and person just now."""
    age_s = time.time() - body.wallet.issued_at
    digest = wallet_ownership_digest(
        application.tenant_id,
        application.user_id,
        wallet,
        body.wallet.issued_at,
        chain_id=wired.venue.chain_id,
        aggregator=wired.venue.aggregator,
    )
    fresh = -WALLET_PROOF_SKEW_S <= age_s <= WALLET_PROOF_AGE_S
    if not fresh or not signed_by(digest, body.wallet.signature, wallet):
        raise Invalid("WALLET_PROOF_INVALID")


def _submitted(application: ApplicationRef) -> StoredAnswer:
    links = _links(application.application_id)
    document = SubmittedAnswer(
        application_id=application.application_id,
        state=State.PROCESSING,
        stage=Stage.IDENTITY,
        links=links,
    ).model_dump()
    headers = {
        "content-type": "application/json",
        "location": links.self,
        HEADER: VERSIONS.newest,
    }
    return StoredAnswer(202, headers, orjson.dumps(document))


def _links(application_id: str) -> Links:
    return Links(self=f"/api/v1/applications/{application_id}")


def _require_form(application_id: str) -> None:
    if not is_id(application_id, "app"):
        raise NotFound("APPLICATION_UNKNOWN")
