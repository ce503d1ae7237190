"""The words of live updates: what a client may ask, and how and why a connection ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from models.domain.ids import is_id

SUBPROTOCOL: Final = "caas.live.v1"
# A browser cannot set headers, but it may offer protocols: the token travels as one of them.
BEARER: Final = "bearer."

MAX_MESSAGE_BYTES: Final = 4_096
MAX_TYPES: Final = 50
_SEQUENCE_DIGITS: Final = 19
_TYPE_CHARACTERS: Final = 64


class Close(IntEnum):
    """Close codes of the WebSocket; those of RFC 6455 where it has one, else like HTTP's."""

    GOING_AWAY = 1001
    MESSAGE_TOO_LARGE = 1009
    TRY_LATER = 1013
    MALFORMED = 4400
    UNAUTHENTICATED = 4401
    FORBIDDEN = 4403
    UNKNOWN = 4404
    NOT_SUBSCRIBED = 4408
    TOO_OLD = 4410
    TOO_MUCH = 4429


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a connection ends: the close code, a stable reason, and the same as an HTTP answer."""

    code: Close
    reason: str
    status: int
    title: str


GOING_AWAY: Final = Ending(Close.GOING_AWAY, "GOING_AWAY", 503, "The server ends; come back.")
TOO_LARGE: Final = Ending(
    Close.MESSAGE_TOO_LARGE, "MESSAGE_TOO_LARGE", 413, "The message is too large."
)
FULL: Final = Ending(Close.TRY_LATER, "TOO_MANY_CLIENTS", 503, "Too many follow; come back later.")
AWAY: Final = Ending(
    Close.TRY_LATER, "DATABASE_UNAVAILABLE", 503, "A service we depend on is away; try again."
)
MALFORMED: Final = Ending(
    Close.MALFORMED, "MESSAGE_MALFORMED", 422, "The message is not of the documented form."
)
UNAUTHENTICATED: Final = Ending(
    Close.UNAUTHENTICATED, "UNAUTHENTICATED", 401, "A valid access token is needed."
)
EXPIRED: Final = Ending(
    Close.UNAUTHENTICATED, "TOKEN_EXPIRED", 401, "The access token has ended; come back with one."
)
FOREIGN_ORIGIN: Final = Ending(
    Close.FORBIDDEN, "ORIGIN_NOT_ALLOWED", 403, "Pages of this origin may not follow."
)
FOREIGN_TENANT: Final = Ending(
    Close.FORBIDDEN, "TENANT_NOT_YOURS", 403, "The token is for another tenant."
)
NOT_ALLOWED: Final = Ending(Close.FORBIDDEN, "NOT_ALLOWED", 403, "Your role does not allow this.")
UNKNOWN: Final = Ending(Close.UNKNOWN, "NOT_FOUND", 404, "There is nothing here.")
NOT_SUBSCRIBED: Final = Ending(
    Close.NOT_SUBSCRIBED, "SUBSCRIPTION_AWAITED", 422, "No subscription came."
)
TOO_OLD: Final = Ending(
    Close.TOO_OLD,
    "EVENT_TOO_OLD",
    410,
    "What followed this event is no longer kept: read afresh, and follow from now on.",
)
TOO_SLOW: Final = Ending(
    Close.TOO_MUCH, "TOO_SLOW", 503, "Events came faster than they were taken; resume."
)
TOO_MANY_CONNECTIONS: Final = Ending(
    Close.TOO_MUCH, "TOO_MANY_CONNECTIONS", 429, "You have too many connections at a time."
)
TOO_MANY_MESSAGES: Final = Ending(
    Close.TOO_MUCH, "TOO_MANY_MESSAGES", 429, "You send too many messages."
)


class Ended(Exception):
    """The connection ends, for this reason."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.reason)
        self.ending = ending


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client wants to follow; everything it may see, unless it names less.

    `after` is the number of the last event it has; None: from now on.
    """

    after: int | None = None
    application_id: str | None = None
    types: frozenset[str] | None = None


def wanted_from(message: Mapping[str, Any], tenant_id: str) -> Wanted:
    """What a `subscribe` message asks for; Ended if it is malformed or for another tenant."""
    known = {"type", "tenant", "last_event_id", "application_id", "types"}
    if message.get("type") != "subscribe" or not known.issuperset(message):
        raise Ended(MALFORMED)
    if message.get("tenant", tenant_id) != tenant_id:
        raise Ended(FOREIGN_TENANT)
    after, application_id = message.get("last_event_id"), message.get("application_id")
    types = message.get("types")
    if not (after is None or isinstance(after, str)):
        raise Ended(MALFORMED)
    if not (application_id is None or isinstance(application_id, str)):
        raise Ended(MALFORMED)
    if not (types is None or (isinstance(types, list) and all(isinstance(t, str) for t in types))):
        raise Ended(MALFORMED)
    return wanted_of(after, application_id, types)


def wanted_of(after: str | None, application_id: str | None, types: list[str] | None) -> Wanted:
    """The same from its parts; Ended if one is malformed, UNKNOWN for an id of no application."""
    if after is not None and not (
        after.isascii() and after.isdigit() and len(after) <= _SEQUENCE_DIGITS
    ):
        raise Ended(MALFORMED)
    if types is not None and (
        not 0 < len(types) <= MAX_TYPES
        or not all(0 < len(each) <= _TYPE_CHARACTERS for each in types)
    ):
        raise Ended(MALFORMED)
    if application_id is not None and not is_id(application_id, "app"):
        raise Ended(UNKNOWN)
    return Wanted(
        after=None if after is None else int(after),
        application_id=application_id,
        types=None if types is None else frozenset(types),
    )


def event_id(seq: int) -> str:
    """The id to resume from: the event's `sequence`."""
    return f"{seq:0{_SEQUENCE_DIGITS}d}"
