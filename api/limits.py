"""What surrounds every request: its limits, its names, the headers of its answer, its last resort.

One layer of plain ASGI around the whole application. In this order: whose request it is, whether it
is well-formed, whether there is room for it, whether its address has asked too much; then it is
worked on, with a bounded body and a deadline; then its answer is dressed and counted.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import rate_costs, rate_limits
from api.errors import HTTP_REFUSALS, Problem, problem_response
from api.headers import RawHeaders, dress
from api.metrics import UNMATCHED, FrontDoorMetrics
from api.proxies import TrustedProxies
from api.rate_limits import SCOPE_KEY, Charge, RateLimiter
from models.domain.correlation import CORRELATION_HEADER, CURRENT, TRACE_HEADER, correlate
from settings import APISettings

log = structlog.get_logger()

# Of which a request has one or none: with two, whoever reads the other one is deceived.
_SINGLE: Final = frozenset(
    {b"host", b"content-length", b"content-type", b"authorization", b"idempotency-key"}
)
_CORRELATION: Final = CORRELATION_HEADER.encode("ascii")
_TRACE: Final = TRACE_HEADER.encode("ascii")
_READ: Final = _SINGLE | {
    b"cookie", b"transfer-encoding", b"x-request-id", _CORRELATION, _TRACE,
}  # fmt: skip
_EVENTS: Final = b"text/event-stream"
_CLOSE: Final = (b"connection", b"close")
# A busy process has room again within a request's time; one that timed out needs longer.
_BUSY_RETRY_S: Final = 1
_LATE_RETRY_S: Final = 5

BUSY: Final = (503, "TOO_BUSY", "Too many requests are being worked on; try again.")
LATE: Final = (503, "REQUEST_TIMED_OUT", "The answer took too long; try again.")
REPEATED: Final = (400, "HEADER_REPEATED", "A header of which there is one was sent twice.")
NO_HOST: Final = (400, "HOST_MISSING", "A request names the host it is for.")


class BodyTooLarge(HTTPException):
    """More bytes than any request of ours needs.

    An HTTP error, because the framework turns any other one it meets while reading into a 400.
    """

    def __init__(self) -> None:
        super().__init__(413, headers={"Connection": "close"})


class BodyTooSlow(HTTPException):
    """The body did not arrive in time; an HTTP error for the same reason."""

    def __init__(self) -> None:
        super().__init__(408, headers={"Connection": "close"})


@dataclass(slots=True)
class Exchange:
    """One request and what is known of its answer; lies in the scope for those who charge it."""

    limiter: RateLimiter
    client: str
    names: RawHeaders
    deadline: asyncio.Timeout | None = None
    charge: Charge | None = None
    status: int = 0
    started: bool = False
    streams: bool = False
    replaced: bool = False  # another answer was given in place of the application's
    given: dict[bytes, bytes] = field(default_factory=dict)


class RequestFrame:
    """The layer around the application."""

    def __init__(
        self, app: ASGIApp, settings: APISettings, limiter: RateLimiter, metrics: FrontDoorMetrics
    ) -> None:
        self._app = app
        self._settings = settings
        self._limiter = limiter
        self._metrics = metrics
        self._proxies = TrustedProxies(settings.trusted_proxies, settings.proxy_header)
        self._read = _READ | self._proxies.headers
        self._active = 0
        metrics.watch(lambda: self._active)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        given, repeated = self._headers(scope)
        name = correlate(
            _text(given.get(_CORRELATION)),
            _text(given.get(_TRACE)),
            _text(given.get(b"x-request-id")),
        )
        client = self._proxies.apply(scope, given)
        named = CURRENT.set(name)
        try:
            if scope["type"] != "http":
                await self._app(scope, receive, send)
                return
            names: RawHeaders = [
                (b"x-request-id", (name.request_id or "").encode("ascii")),
                (_CORRELATION, name.correlation_id.encode("ascii")),
                (_TRACE, name.traceparent().encode("ascii")),
            ]
            exchange = Exchange(self._limiter, client, names, given=given)
            scope[SCOPE_KEY] = exchange
            await self._serve(scope, receive, send, exchange, repeated=repeated)
        finally:
            CURRENT.reset(named)

    def _headers(self, scope: Scope) -> tuple[dict[bytes, bytes], bool]:
        """The headers read here, and whether one came twice that may not."""
        given: dict[bytes, bytes] = {}
        repeated = False
        read = self._read
        for name, value in scope["headers"]:
            if name in read:
                if name not in given:
                    given[name] = value
                elif name in _SINGLE:
                    repeated = True
                else:  # lists go on where they were left, as one value with commas would
                    given[name] += b", " + value
        return given, repeated

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, exchange: Exchange, *, repeated: bool
    ) -> None:
        began_s = time.perf_counter()
        path = scope["path"]
        counted = path not in rate_costs.UNCOUNTED

        async def framed_send(message: Message) -> None:
            if exchange.replaced:
                return
            if message["type"] == "http.response.start":
                if message["status"] == 401 and not await self._may_fail(exchange):
                    exchange.replaced = True
                    await self._refuse_charge(scope, receive, plain_send, exchange)
                    return
                self._start(message, scope, exchange)
            await send(message)

        async def plain_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._start(message, scope, exchange)
            await send(message)

        if counted:
            self._active += 1
        try:
            refusal = self._malformed(scope, exchange, repeated=repeated)
            if (
                refusal is None
                and counted
                and self._active > self._settings.max_concurrent_requests
            ):
                refusal = problem_response(*BUSY, headers={"Retry-After": str(_BUSY_RETRY_S)})
                self._metrics.limited(BUSY[1])
            if refusal is not None:
                await refusal(scope, receive, plain_send)
            elif counted and not await self._may_ask(scope, exchange):
                await self._refuse_charge(scope, receive, plain_send, exchange)
            else:
                await self._work(scope, receive, framed_send, exchange)
        finally:
            if counted and not exchange.streams:
                self._active -= 1
            route = getattr(scope.get("route"), "path", None) or UNMATCHED
            elapsed_s = time.perf_counter() - began_s
            self._metrics.answered(_method(scope), route, exchange.status, elapsed_s)
            if self._limiter.gives_back and exchange.charge and 0 < exchange.status < 400:
                self._limiter.give_back(exchange.charge)

    async def _work(self, scope: Scope, receive: Receive, send: Send, exchange: Exchange) -> None:
        """Let the application answer, in time; what escapes it becomes a problem."""
        given = exchange.given
        if b"content-length" in given or b"transfer-encoding" in given:
            receive = self._bounded(receive)
        try:
            async with asyncio.timeout(self._settings.request_timeout_s) as deadline:
                exchange.deadline = deadline
                await self._app(scope, receive, send)
            return
        except (BodyTooLarge, BodyTooSlow) as error:
            refusal = problem_response(
                error.status_code, *HTTP_REFUSALS[error.status_code], headers=error.headers
            )
        except Exception as error:
            if isinstance(error, TimeoutError) and deadline.expired():
                self._metrics.limited(LATE[1])
                log.warning("request_timed_out", method=_method(scope))
                refusal = problem_response(*LATE, headers={"Retry-After": str(_LATE_RETRY_S)})
            else:
                # Here rather than in a handler of the framework's, which would answer outside this
                # frame: without the headers, and logging without the request's name.
                log.error("unhandled_error", error=type(error).__name__, exc_info=error)
                refusal = problem_response(
                    500, "INTERNAL_ERROR", "Something went wrong on our side."
                )
            if exchange.started:
                raise
        if not exchange.started:
            await refusal(scope, receive, send)

    def _malformed(self, scope: Scope, exchange: Exchange, *, repeated: bool) -> Any:
        """The answer to a request that has two readings or is too large; None: it is fine."""
        if _declared_length(exchange.given) > self._settings.max_body_bytes:
            self._metrics.limited(HTTP_REFUSALS[413][0])
            return problem_response(413, *HTTP_REFUSALS[413], headers={"Connection": "close"})
        if repeated:
            return problem_response(*REPEATED, headers={"Connection": "close"})
        if b"host" not in exchange.given and scope.get("http_version") == "1.1":
            return problem_response(*NO_HOST, headers={"Connection": "close"})
        return None

    async def _may_ask(self, scope: Scope, exchange: Exchange) -> bool:
        """Charge a request that shows no credentials to its address."""
        given, path, limiter = exchange.given, scope["path"], exchange.limiter
        if b"authorization" in given or b"caas_session=" in given.get(b"cookie", b""):
            return True
        if path in rate_costs.SIGN_IN and scope["method"] == "POST":
            charge = await limiter.charge_sign_in_address(exchange.client)
            if charge.refused:
                exchange.charge = charge
                return False
        cost = rate_costs.cost_of(scope["method"], path)
        if cost == 0 or path.startswith("/callbacks/"):
            return True
        exchange.charge = await limiter.charge_address(exchange.client, cost)
        return not exchange.charge.refused

    async def _may_fail(self, exchange: Exchange) -> bool:
        """Charge bad credentials to their address; whoever tries too many is not even told so."""
        if exchange.charge is None:
            exchange.charge = await exchange.limiter.charge_address(
                exchange.client, rate_costs.BAD_CREDENTIALS
            )
        return not exchange.charge.refused

    async def _refuse_charge(
        self, scope: Scope, receive: Receive, send: Send, exchange: Exchange
    ) -> None:
        charge = exchange.charge
        assert charge is not None
        problem: Problem = charge.problem()
        await problem_response(
            problem.status, problem.code, problem.title, headers=problem.headers
        )(scope, receive, send)

    def _start(self, message: Message, scope: Scope, exchange: Exchange) -> None:
        """Dress the start of an answer, and let go of one that streams events."""
        exchange.started = True
        status = exchange.status = message["status"]
        own = exchange.names
        charge = exchange.charge
        if charge is not None:
            own = own + charge.headers()
            if status == 429:
                self._metrics.limited(rate_limits.RATE_LIMITED)
        for name, value in message["headers"]:
            if name == b"content-type" and value.startswith(_EVENTS):
                # It may go on for hours, and its route has limits of its own.
                exchange.streams = True
                self._active -= 1
                if exchange.deadline is not None:
                    exchange.deadline.reschedule(None)
        dress(message, scope["path"], scope["scheme"], own)

    def _bounded(self, receive: Receive) -> Receive:
        """Reads a body that may have so many bytes, and so long to arrive."""
        limit, received, complete = self._settings.max_body_bytes, 0, False
        until: float | None = None

        async def bounded() -> Message:
            nonlocal received, complete, until
            if complete:
                return await receive()
            now_s = asyncio.get_running_loop().time()
            if until is None:
                until = now_s + self._settings.body_timeout_s
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                self._metrics.limited(HTTP_REFUSALS[408][0])
                raise BodyTooSlow from None
            received += len(message.get("body", b""))
            if received > limit:
                self._metrics.limited(HTTP_REFUSALS[413][0])
                raise BodyTooLarge
            complete = not message.get("more_body", False)
            return message

        return bounded


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def _method(scope: Scope) -> str:
    """The method, as a label: whoever invents methods must not fill the memory."""
    method: str = scope["method"]
    return method if method in rate_costs.METHODS else "OTHER"


def _declared_length(given: dict[bytes, bytes]) -> int:
    text = given.get(b"content-length", b"0")
    # A length that is no number is the server's to refuse; here it only must not pass as small.
    return int(text) if text.isdigit() and len(text) < 20 else 2**63
