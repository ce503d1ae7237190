"""Live updates: a WebSocket, and server-sent events for whoever wants no more than HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, WebSocket
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.auth import Principal
from api.deps import Caller, Services, Wired, parse_object
from api.errors import RETRY_AFTER_S, Problem
from api.live.connection import Connection
from api.live.hub import Beat, LiveHub
from api.live.protocol import Ended, Wanted, event_id, wanted_of
from api.live.subscription import Subscription
from api.roles import Action
from api.schemas import examples

router = APIRouter(prefix="/api/v1", tags=["live"])

MEDIA_TYPE: Final = "text/event-stream"
# What an EventSource waits before it comes back, in milliseconds.
_RECONNECT_MS: Final = 2_000
_EXAMPLE: Final = (
    "retry: 2000\nid: 0000000000000000814\n\n"
    'id: 0000000000000000815\ndata: {"specversion":"1.0","id":"evt_0198…","type":"offer.accepted",'
    '"source":"urn:caas:platform","subject":"app_0198…","time":"2026-11-22T17:42:31.243219Z",'
    '"datacontenttype":"application/json","tenant":"acme","sequence":"0000000000000000815",'
    '"data":{"subject_id":"app_0198…","stage":"settlement"}}\n\n'
)


class EventStream(StreamingResponse):
    """An answer that goes on until its subscription ends; what it holds is given back then."""

    media_type = MEDIA_TYPE

    def __init__(self, content: AsyncIterator[bytes], held: AsyncExitStack) -> None:
        super().__init__(content, headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._held:
            await super().__call__(scope, receive, send)


@router.websocket("/live")
async def live(websocket: WebSocket) -> None:
    """Follow events over a WebSocket: docs/live.md has the protocol."""
    wired: Services = websocket.app.state.services
    connection = Connection(
        websocket,
        wired.live,
        identify=wired.tokens.identify,
        parse=parse_object,
        origins=wired.live_origins,
    )
    await connection.run()


@router.get(
    "/events",
    status_code=200,
    response_class=EventStream,
    response_description="The stream; it ends when the token does.",
    responses={
        200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": _EXAMPLE}}},
    },
    summary="Follow events",
)
async def events(
    principal: Caller,
    wired: Wired,
    application_id: Annotated[
        str | None,
        Query(
            description="Only events of this application.",
            examples=[examples.APPLICATION_ID],
            max_length=64,
        ),
    ] = None,
    types: Annotated[
        list[str] | None,
        Query(
            alias="type",
            description="Only events of this type; give it several times for several types.",
            examples=[["offer.accepted", "application.funded"]],
            max_length=50,
        ),
    ] = None,
    last_event_id: Annotated[
        str | None,
        Header(
            alias="Last-Event-ID",
            description="The `id` of the last event you have: all that followed it comes first. "
            "Without it the stream begins now.",
            examples=["0000000000000000815"],
        ),
    ] = None,
) -> EventStream:
    """Every event you may see, once and in order, as server-sent events whose `data` is the event
    that docs/events.md describes. Applicants see their own applications' events; so do integrators,
    for all applicants, and staff sees all of the tenant's.

    Keep the last `id`, those without data among them, and send it as `Last-Event-ID` to go on where
    you were: browsers' `EventSource` does. An id older than a day is answered 410: read afresh,
    and follow without one. The WebSocket at `/api/v1/live` tells the same; see docs/live.md.
    """
    principal.require(Action.READ_EVENTS)
    hub, held = wired.live, AsyncExitStack()
    try:
        # An EventSource that has no id yet sends none, or an empty one.
        wanted = wanted_of(last_event_id or None, application_id, types)
        subscription = await _admitted(hub, principal, wanted, held)
    except Ended as end:
        await held.aclose()
        raise _problem(end) from end
    except BaseException:
        await held.aclose()
        raise
    return EventStream(_stream(hub, subscription), held)


async def _admitted(
    hub: LiveHub, principal: Principal, wanted: Wanted, held: AsyncExitStack
) -> Subscription:
    held.enter_context(hub.seat(principal))
    return await held.enter_async_context(hub.joined(principal, wanted))


async def _stream(hub: LiveHub, subscription: Subscription) -> AsyncIterator[bytes]:
    yield f"retry: {_RECONNECT_MS}\n".encode()
    try:
        async with aclosing(hub.follow(subscription)) as frames:
            async for frame in frames:
                if isinstance(frame, Beat):
                    # An id without data is no event, but moves the place to go on from.
                    yield f"id: {event_id(frame.seq)}\n\n".encode()
                else:
                    yield frame.server_sent
    except Ended as end:
        yield f'event: end\ndata: {{"code":"{end.ending.reason}"}}\n\n'.encode()


def _problem(end: Ended) -> Problem:
    ending = end.ending
    headers: dict[str, Any] = {}
    if ending.status in (429, 503):
        headers["Retry-After"] = str(RETRY_AFTER_S)
    return Problem(ending.status, ending.reason, ending.title, headers)
