"""What applicants do after applying, other than accept; and notices delivered by hand."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from api.auth import Action, Principal
from api.deps import (
    AnsweredRequest,
    Caller,
    IdempotencyKey,
    Services,
    StrictRoute,
    Wired,
    answer_once,
    write_key,
)
from api.schemas import examples
from api.schemas.information import (
    HandedOverAnswer,
    HandOverBody,
    InformationBody,
    InformedAnswer,
    WithdrawBody,
    WithdrawnAnswer,
)
from models.domain.application import ApplicationRef, IdentityDocument, State, Withdrawal
from models.domain.errors import Conflict, Invalid, NotFound, Unavailable
from models.domain.failpoints import failpoint
from models.domain.ids import is_id
from models.domain.notice import NoticeHandedOver
from models.domain.writes import WriteKey

router = APIRouter(prefix="/api/v1/applications", tags=["applications"], route_class=StrictRoute)

ApplicationId = Annotated[
    str,
    Path(
        description="The application's id: `app_` and 32 hexadecimal digits.",
        examples=[examples.APPLICATION_ID],
    ),
]


@router.post(
    "/{application_id}/withdraw",
    response_model=WithdrawnAnswer,
    summary="Withdraw an application",
    response_description="The application is withdrawn.",
)
async def withdraw(
    application_id: ApplicationId,
    body: WithdrawBody,  # noqa: ARG001 - read for its form; the reason is the applicant's own
    request: Request,
    principal: Caller,
    key: IdempotencyKey,
    wired: Wired,
) -> Response:
    """Withdraw, at any time before the payment is signed (then: 409 `SETTLEMENT_SIGNED`)."""
    application = await _own(wired, principal, application_id, Action.WITHDRAW)
    route = f"POST /api/v1/applications/{application_id}/withdraw"
    write = await write_key(request, principal, route, key)

    async def effect() -> dict[str, Any]:
        await _withdraw(wired, application, principal, write)
        return WithdrawnAnswer(
            application_id=application_id, state=State.WITHDRAWN.value
        ).model_dump()

    return await answer_once(wired, write, effect)


@router.post(
    "/{application_id}/information",
    response_model=InformedAnswer,
    summary="Answer an operator's question",
    response_description="The answer is on record.",
)
async def inform(
    application_id: ApplicationId,
    body: InformationBody,
    request: Request,
    principal: Caller,
    key: IdempotencyKey,
    wired: Wired,
) -> Response:
    """Send what an operator has asked for; the review goes on with it."""
    application = await _own(wired, principal, application_id, Action.PROVIDE_INFORMATION)
    answers = {each.item.value: each.text for each in body.answers}
    if len(answers) != len(body.answers) or not (answers or body.document):
        raise Invalid("INFORMATION_INCOMPLETE")
    document = IdentityDocument(**body.document.model_dump()) if body.document else None
    route = f"POST /api/v1/applications/{application_id}/information"
    write = await write_key(request, principal, route, key)

    async def effect() -> dict[str, Any]:
        answered = await wired.information.provide(
            application, body.request_id, answers, document, principal.subject
        )
        wired.start_soon(_tell(wired, answered))
        return InformedAnswer(
            application_id=application_id, request_id=body.request_id
        ).model_dump()

    return await answer_once(wired, write, effect)


@router.post(
    "/{application_id}/notice/delivery",
    response_model=HandedOverAnswer,
    summary="Say that a notice was delivered",
    response_description="It is on record in a moment.",
)
async def hand_over(
    application_id: ApplicationId,
    body: HandOverBody,
    request: Request,
    principal: Caller,
    key: IdempotencyKey,
    wired: Wired,
) -> Response:
    """Say how you delivered a notice that the mail house would not carry."""
    application = await _own(wired, principal, application_id, Action.HAND_OVER_NOTICE)
    route = f"POST /api/v1/applications/{application_id}/notice/delivery"
    write = await write_key(request, principal, route, key)

    async def effect() -> dict[str, Any]:
        await wired.messages.tell_notice(
            application.tenant_id, application_id, NoticeHandedOver(principal.subject, body.how)
        )
        return HandedOverAnswer(application_id=application_id, by=principal.subject).model_dump()

    return await answer_once(wired, write, effect)


async def _own(
    wired: Services, principal: Principal, application_id: str, action: Action
) -> ApplicationRef:
    """The application, if the caller may do this to it; 404 like an absent one otherwise."""
    principal.require(action)
    if not is_id(application_id, "app"):
        raise NotFound("APPLICATION_UNKNOWN")
    application = await wired.applications.ref(principal.tenant_id, application_id)
    if principal.only_for_self(action) and application.user_id != principal.subject:
        raise NotFound("APPLICATION_UNKNOWN")
    return application


async def _withdraw(
    wired: Services, application: ApplicationRef, principal: Principal, write: WriteKey
) -> None:
    """Deliver the withdrawal; one that is on record already is no conflict with itself."""
    try:
        await wired.messages.withdraw(application, Withdrawal(principal.subject), write.effect_id)
    except Conflict:
        view = await wired.applications.view(application.tenant_id, application.application_id)
        if view.state != State.WITHDRAWN:
            raise


async def _tell(wired: Services, answered: AnsweredRequest) -> None:
    """Tell the workflow that waits; if that fails, the sweeper does."""
    failpoint("information.stored")
    try:
        await wired.messages.tell_information(answered.workflow_id, answered.provided)
        await wired.information.delivered(answered)
    except Unavailable:
        return
