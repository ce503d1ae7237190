"""What routes depend on: the wired services, the caller, the idempotency key, strict JSON."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import orjson
from fastapi import Depends, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope

from adapters.accounts.desk import Identity
from adapters.chain.eip712 import (
    acceptance_digest,
    acceptance_typed_data,
    checksum,
    loan_reference,
    signed_by,
    wallet_ownership_digest,
    wallet_ownership_typed_data,
)
from adapters.identity.verifier_mapping import parse_callback
from adapters.offer_search import ConcurrentOfferSearch
from adapters.postgres import graph_views
from adapters.postgres.applications import PostgresApplications
from adapters.postgres.callbacks import PostgresCallbacks
from adapters.postgres.database import Database
from adapters.postgres.graph_views import GraphSnapshot, PostgresGraph
from adapters.postgres.graph_views import Source as GraphSource
from adapters.postgres.idempotency import IdempotentWrites
from adapters.postgres.information import AnsweredRequest, PostgresInformation
from adapters.postgres.offer_views import PostgresOffers
from adapters.postgres.reviews import PostgresReviewRecords
from adapters.providers.desk import ProviderDesk
from adapters.rate_limit.memory import MemoryTokenStore
from adapters.strict_json import parse_object
from adapters.temporal import PayloadDesk
from adapters.webhooks.desk import WebhookDesk
from adapters.webhooks.lender_callbacks import LenderCallbacks
from adapters.webhooks.signature import DEFAULT_TOLERANCE_S as CALLBACK_TOLERANCE_S
from adapters.webhooks.signature import verify_callback
from adapters.workflow_messages import TemporalMessages
from api.auth import Principal, TokenVerifier, unauthorised
from api.errors import Problem
from api.live.hub import LiveHub
from api.rate_limits import charge_caller
from api.versions import HEADER, SCOPE_KEY, Change, NotOfThisVersion
from api.versions_changes import VERSIONS
from models.domain.errors import Refused, Transient
from models.domain.failpoints import failpoint
from models.domain.offer import SettlementVenue
from models.domain.quota import TokenStore
from models.domain.writes import StoredAnswer, WriteKey

__all__ = [
    "CALLBACK_TOLERANCE_S", "AnsweredRequest", "Caller", "GraphSnapshot", "GraphSource",
    "IdempotencyKey", "MemoryTokenStore", "PostgresGraph", "Services",
    "StrictRoute", "Wired", "acceptance_digest", "acceptance_typed_data", "answer_once",
    "checksum", "graph_views", "loan_reference", "parse_callback", "parse_object", "replay",
    "signed_by", "verify_callback",
    "wallet_ownership_digest", "wallet_ownership_typed_data", "write_key",
]  # fmt: skip

SESSION_COOKIE: Final = "caas_session"
_KEY = re.compile(r"^[\x21-\x7e]{8,128}$")
_JSON = re.compile(r"application/([^/]+\+)?json")


@dataclass(frozen=True, slots=True)
class Services:
    """Everything routes may use; made once by wiring.py."""

    database: Database
    applications: PostgresApplications
    reviews: PostgresReviewRecords
    information: PostgresInformation
    providers: ProviderDesk
    offers: PostgresOffers
    offer_search: ConcurrentOfferSearch
    search_deadline_s: float  # for all lenders of one search together
    webhooks: WebhookDesk
    lender_callbacks: LenderCallbacks
    callbacks: PostgresCallbacks
    graph: PostgresGraph
    graphql_introspection: bool
    writes: IdempotentWrites
    messages: TemporalMessages
    payloads: PayloadDesk
    tokens: TokenVerifier
    live: LiveHub
    live_origins: frozenset[str]
    identity: Identity
    venue: SettlementVenue
    settled_currency: str
    secure_cookies: bool
    callback_secrets: dict[str, tuple[bytes, ...]]
    start_soon: Callable[[Coroutine[Any, Any, None]], None]
    # Where rate limits are counted together; None: each process by itself.
    quotas: TokenStore | None = field(default=None, kw_only=True)
    # What else is counted in this process, in Prometheus's text format.
    more_numbers: Callable[[], bytes] = field(default=bytes, kw_only=True)


async def services(request: Request) -> Services:
    """The wired services of this process.

    It awaits nothing, but a plain function would be run in a thread of its own for every request.
    """
    wired: Services = request.app.state.services
    return wired


Wired = Annotated[Services, Depends(services)]


class CallerByToken(HTTPBearer):
    """Who calls: a bearer token, or the cookie of a signed-in operator; charged for the route.

    One dependency without others of its own: the framework takes as long to resolve a chain of
    them as all our checks take.
    """

    async def __call__(self, request: Request) -> Principal:  # type: ignore[override]
        principal = await _recognised(request, await services(request))
        await charge_caller(request.scope, principal.tenant_id, principal.subject)
        return principal


caller = CallerByToken(
    scheme_name="HTTPBearer",
    description="An access token (RFC 9068) of ours or your issuer, or an API key (`caas_key~…`).",
)


async def _recognised(request: Request, wired: Services) -> Principal:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return await wired.tokens.identify(token.strip())
    if not scheme and (cookie := request.cookies.get(SESSION_COOKIE)):
        if request.method != "GET" and not request.url.path.startswith("/codec/"):
            # A cookie travels by itself, so it never authorises a write of the API.
            raise unauthorised()
        return await wired.tokens.identify(cookie)
    raise unauthorised()


Caller = Annotated[Principal, Depends(caller)]


async def idempotency_key(
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="8 to 128 printable ASCII characters; a repetition gets the same answer.",
        ),
    ] = None,
) -> str:
    """The key every write needs; 400 without one."""
    if key is None:
        raise Problem(400, "IDEMPOTENCY_KEY_MISSING", "Every write needs an Idempotency-Key.")
    if not _KEY.fullmatch(key):
        raise Problem(400, "IDEMPOTENCY_KEY_MALFORMED", "8 to 128 printable ASCII characters.")
    return key


IdempotencyKey = Annotated[str, Depends(idempotency_key)]


async def write_key(request: Request, principal: Principal, route: str, key: str) -> WriteKey:
    """The write this request stands for: tenant, subject, route, key and exact body."""
    digest = hashlib.sha256(await request.body()).digest()
    return WriteKey(principal.tenant_id, principal.subject, route, key, digest)


async def answer_once(
    wired: Services, write: WriteKey, effect: Callable[[], Awaitable[dict[str, Any]]]
) -> Response:
    """Run an effect that lies outside the database once per key; repetitions get its answer.

    A refusal frees the key. After an outage nobody knows whether the effect happened, so the key
    stays reserved for a repetition, whose effect has the same identity.
    """
    if (earlier := await wired.writes.reserve(write)) is not None:
        return replay(earlier)
    try:
        document = await effect()
    except Refused:
        await wired.writes.forget(write)
        raise
    except Transient:
        await wired.writes.release(write)
        raise
    failpoint("write.effected")
    headers = {"content-type": "application/json", HEADER: VERSIONS.newest}
    given = StoredAnswer(200, headers, orjson.dumps(document))
    await wired.writes.answer(write, given)
    failpoint("write.kept")
    return replay(given)


def replay(answer: StoredAnswer) -> Response:
    """The stored answer, byte for byte."""
    return Response(answer.body, answer.status, headers=answer.headers)


class MalformedJSON(HTTPException):
    """The body is not a JSON object as we read it."""

    def __init__(self, reason: str) -> None:
        super().__init__(400, reason)


class StrictRequest(Request):
    """Reads JSON without NaN, infinities, duplicate keys or deep nesting, in the newest form."""

    def __init__(self, scope: Scope, receive: Receive, changes: tuple[Change, ...]) -> None:
        super().__init__(scope, receive)
        self._changes = changes

    async def json(self) -> Any:
        try:
            sent = parse_object(await self.body())
        except ValueError as error:
            raise MalformedJSON(str(error)) from None
        version = self.scope.get(SCOPE_KEY, VERSIONS.newest)
        return VERSIONS.brought_forward(self._changes, sent, version)


class StrictRoute(APIRoute):
    """A route whose JSON body is read strictly, and only from a request that calls it JSON (415).

    A form on a foreign page can send text that is JSON, but cannot say so. Clients of an older
    version are read and answered in its form.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        method = min(set(self.methods or ()) - {"HEAD"}, default="")
        changes = VERSIONS.concerning((method, self.path_format))

        async def strictly(request: Request) -> Response:
            read = StrictRequest(request.scope, request.receive, changes)
            if self.body_field and not _says_json(request) and await read.body():
                raise HTTPException(415)
            try:
                answer = await handle(read)
            except NotOfThisVersion as wrong:
                refused = {"loc": ("body", wrong.field), "type": wrong.reason}
                raise RequestValidationError([refused]) from None
            version = request.scope.get(SCOPE_KEY)
            return VERSIONS.taken_back(changes, answer, version) if version else answer

        return strictly


def _says_json(request: Request) -> bool:
    media = request.headers.get("content-type", "").partition(";")[0]
    return _JSON.fullmatch(media.strip().lower()) is not None
