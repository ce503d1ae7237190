"""Offers: search lenders, read what was offered, accept or reject one."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, StringConstraints

from api.acceptance import accept_once
from api.auth import Action, Principal
from api.deps import (
    Caller,
    IdempotencyKey,
    Services,
    StrictRoute,
    Wired,
    checksum,
    loan_reference,
    replay,
    write_key,
)
from api.rendering import rendered
from api.routes.live import MEDIA_TYPE, EventStream
from api.schemas import answer_examples, examples
from api.schemas.application_answers import AcceptedAnswer
from api.schemas.applications import AcceptOfferBody
from api.schemas.offer_answers import MissingOfferAnswer
from api.schemas.offers import (
    CriteriaBody,
    FoundOfferAnswer,
    KnownOfferAnswer,
    OfferHistoryAnswer,
    RejectBody,
    RejectedAnswer,
    SearchAnswer,
    SearchBody,
)
from api.versions import HEADER
from api.versions_changes import VERSIONS
from models.domain.application import ApplicationRef
from models.domain.errors import Invalid, NotFound
from models.domain.graph import Page
from models.domain.ids import is_id, new_id
from models.domain.offer import (
    OfferStatus,
    ProviderAnswer,
    Quote,
    QuoteRequest,
    Ranking,
    SearchAgain,
)
from models.domain.offer_ranking import ranked
from models.domain.offer_search import SEARCH_PREFIX
from models.domain.views import SearchView
from models.domain.writes import StoredAnswer

router = APIRouter(prefix="/api/v1/offers", tags=["offers"], route_class=StrictRoute)

PAGE_MAX: Final = 100

OfferId = Annotated[
    str,
    Path(
        description="The offer's id: `off_` and 32 hexadecimal digits.",
        examples=[examples.OFFER_ID],
    ),
]


@router.post(
    "/search",
    response_model=SearchAnswer,
    summary="Search offers",
    response_description="The offers, ranked, and who made none; or the same as it arrives.",
    responses={
        200: {
            "content": {
                MEDIA_TYPE: {
                    "schema": {"type": "string"},
                    "example": answer_examples.SEARCH_STREAM,
                }
            }
        },
    },
)
async def search(body: SearchBody, request: Request, principal: Caller, wired: Wired) -> Response:
    """Ask all lenders at once and get what they answered within half a second, the best first;
    every lender that made no offer is named with its reason.

    With `criteria` the offers are indicative: lenders see no score, nothing is recorded, and nobody
    can accept them; applying gives binding ones. The same criteria are answered from memory for a
    moment. With `application_id` the answer holds the application's open, binding offers; `round`,
    one more than the newest, asks lenders again first.

    With `Accept: text/event-stream` answers are told as they arrive: events `offer` and `missing`,
    then `done`, whose data is the whole ranked answer. To repeat a search is harmless, so it takes
    no `Idempotency-Key`.
    """
    principal.require(Action.SEARCH_OFFERS)
    if body.criteria is not None:
        told = _indicative(wired, principal, body.criteria, body.ranking)
    else:
        told = _of_application(wired, principal, body)
    if MEDIA_TYPE in request.headers.get("accept", ""):
        return await _streamed(told)
    async with aclosing(told) as events:
        async for _, answer in events:
            if isinstance(answer, SearchAnswer):
                return rendered(answer)
    raise AssertionError("a search ends with its answer")


@router.get(
    "/history",
    response_model=OfferHistoryAnswer,
    summary="List offers",
    response_description="A page of offers.",
)
async def history(
    principal: Caller,
    wired: Wired,
    status: Annotated[
        OfferStatus | None, Query(description="Only offers of this status.", examples=["open"])
    ] = None,
    provider_id: Annotated[
        str | None,
        Query(
            description="Only this lender's offers.",
            examples=["bank"],
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-]{0,63}$",
        ),
    ] = None,
    application_id: Annotated[
        str | None,
        Query(
            description="Only offers made for this application.",
            examples=[examples.APPLICATION_ID],
            pattern=r"^app_[0-9a-f]{32}$",
        ),
    ] = None,
    limit: Annotated[
        int, Query(description="How many at most, 1 to 100.", ge=1, le=PAGE_MAX, examples=[50])
    ] = 50,
    after: Annotated[
        Annotated[str, StringConstraints(pattern=r"^off_[0-9a-f]{32}$")] | None,
        Query(description="`next` of the page before.", examples=[examples.OFFER_ID]),
    ] = None,
) -> Response:
    """Every offer ever made, of every status, the newest first: your own, or, for integrators and
    staff, your tenant's."""
    principal.require(Action.READ_APPLICATION)
    named = {"status": status, "provider_id": provider_id, "application_id": application_id}
    only = {name: str(value) for name, value in named.items() if value is not None}
    found = await wired.offers.history(
        principal.tenant_id,
        _only_user(principal, Action.READ_APPLICATION),
        Page(limit, after, only),
    )
    shown = [KnownOfferAnswer.known(each) for each in found[:limit]]
    going_on = shown[-1].offer_id if len(found) > limit else None
    return rendered(OfferHistoryAnswer(offers=shown, next=going_on))


@router.get(
    "/{offer_id}",
    response_model=KnownOfferAnswer,
    summary="Show an offer",
    response_description="The offer as it stands.",
)
async def show(offer_id: OfferId, principal: Caller, wired: Wired) -> Response:
    """An offer with the terms that its lender signs and the contract pays by."""
    principal.require(Action.READ_APPLICATION)
    _require_form(offer_id)
    only_user = _only_user(principal, Action.READ_APPLICATION)
    standing = await wired.offers.offer(principal.tenant_id, offer_id, only_user)
    return rendered(KnownOfferAnswer.known(standing))


@router.post(
    "/{offer_id}/accept",
    response_model=AcceptedAnswer,
    summary="Accept this offer",
    response_description="The acceptance is on record, and the loan is being paid out.",
)
async def accept(
    offer_id: OfferId,
    body: AcceptOfferBody,
    request: Request,
    principal: Caller,
    key: IdempotencyKey,
    wired: Wired,
) -> Response:
    """Accept an offer with the borrower's EIP-712 signature over exactly its terms."""
    principal.require(Action.ACCEPT_OFFER)
    _require_form(offer_id)
    only_user = _only_user(principal, Action.ACCEPT_OFFER)
    standing = await wired.offers.offer(principal.tenant_id, offer_id, only_user)
    application = ApplicationRef(principal.tenant_id, standing.application_id, standing.user_id)
    write = await write_key(request, principal, f"POST /api/v1/offers/{offer_id}/accept", key)
    return await accept_once(wired, application, offer_id, body, principal, write)


@router.post(
    "/{offer_id}/reject",
    response_model=RejectedAnswer,
    summary="Reject an offer",
    response_description="The offer is rejected.",
)
async def reject(
    offer_id: OfferId,
    body: RejectBody,
    request: Request,
    principal: Caller,
    key: IdempotencyKey,
    wired: Wired,
) -> Response:
    """Say no to an open offer; the others stand, and the application goes on."""
    principal.require(Action.ACCEPT_OFFER)
    _require_form(offer_id)
    write = await write_key(request, principal, f"POST /api/v1/offers/{offer_id}/reject", key)
    document = RejectedAnswer(offer_id=offer_id, status=OfferStatus.REJECTED).model_dump()
    headers = {"content-type": "application/json", HEADER: VERSIONS.newest}
    given = await wired.offers.reject(
        write,
        offer_id,
        _only_user(principal, Action.ACCEPT_OFFER),
        body.reason,
        StoredAnswer(200, headers, orjson.dumps(document)),
    )
    return replay(given)


# What a search tells, in the order in which it is told: the last is the whole answer.
Told = AsyncGenerator[tuple[str, BaseModel], None]


async def _indicative(
    wired: Services, principal: Principal, criteria: CriteriaBody, ranking: Ranking
) -> Told:
    if criteria.currency != wired.settled_currency:
        raise Invalid("CURRENCY_NOT_SETTLED")
    asked = _question(wired, principal.tenant_id, criteria)
    quotes: list[Quote] = []
    missing: list[MissingOfferAnswer] = []
    async with aclosing(wired.offer_search.stream(asked, wired.search_deadline_s)) as answers:
        async for answer in answers:
            if answer.quote is not None:
                quotes.append(answer.quote)
                yield "offer", FoundOfferAnswer.indicative(answer.quote)
            else:
                missing.append(_missing(answer))
                yield "missing", missing[-1]
    yield (
        "done",
        SearchAnswer(
            binding=False,
            search_id=asked.application_id,
            application_id=None,
            round=None,
            ranking=ranking,
            offers=[FoundOfferAnswer.indicative(each) for each in ranked(quotes, ranking)],
            missing=missing,
        ),
    )


async def _of_application(wired: Services, principal: Principal, body: SearchBody) -> Told:
    tenant_id, only_user = principal.tenant_id, _only_user(principal, Action.SEARCH_OFFERS)
    assert body.application_id is not None
    found = await wired.offers.searched(tenant_id, body.application_id, only_user)
    if body.round is not None and body.round > (found.round or 0):
        application = ApplicationRef(tenant_id, found.application_id, found.user_id)
        again = SearchAgain(body.round, principal.subject)
        await wired.messages.search_again(application, again)
        found = await wired.offers.searched(tenant_id, body.application_id, only_user)
    answer = _recorded(found, body.ranking)
    for offer in answer.offers:
        yield "offer", offer
    for missing in answer.missing:
        yield "missing", missing
    yield "done", answer


def _recorded(found: SearchView, ranking: Ranking) -> SearchAnswer:
    answers = [FoundOfferAnswer.binding(each) for each in found.offers]
    return SearchAnswer(
        binding=True,
        search_id=None,
        application_id=found.application_id,
        round=found.round,
        ranking=ranking,
        offers=list(ranked(answers, ranking)),
        missing=[
            MissingOfferAnswer(provider_id=each["provider_id"], reason=each["reason"])
            for each in found.missing
        ],
    )


def _question(wired: Services, tenant_id: str, criteria: CriteriaBody) -> QuoteRequest:
    search_id = new_id(SEARCH_PREFIX)
    return criteria.to_criteria(checksum(criteria.wallet)).request(
        tenant_id, search_id, loan_reference(tenant_id, search_id), wired.venue
    )


def _missing(answer: ProviderAnswer) -> MissingOfferAnswer:
    return MissingOfferAnswer(provider_id=answer.provider_id, reason=answer.reason)


async def _streamed(told: Told) -> EventStream:
    """The stream, once there is something to tell: what is refused is refused by a status."""
    held = AsyncExitStack()
    events = await held.enter_async_context(aclosing(told))
    try:
        first = await anext(events)
    except BaseException:
        await held.aclose()
        raise
    return EventStream(_frames(first, events), held)


async def _frames(first: tuple[str, BaseModel], rest: Told) -> AsyncGenerator[bytes, None]:
    yield _frame(*first)
    async for event in rest:
        yield _frame(*event)


def _frame(name: str, answer: BaseModel) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + rendered(answer).body + b"\n\n"


def _only_user(principal: Principal, action: Action) -> str | None:
    return principal.subject if principal.only_for_self(action) else None


def _require_form(offer_id: str) -> None:
    if not is_id(offer_id, "off"):
        raise NotFound("OFFER_UNKNOWN")
