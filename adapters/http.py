"""One bounded HTTP call to an outside system: a deadline, a size limit, JSON or nothing.

What every adapter wants from HTTP and a client library alone does not promise: the deadline covers
the whole call however slowly the bytes drip, the body is bounded while it is read, redirects are
refused, and failures arrive as the domain's errors. It never retries: Temporal does.

Beneath is aiohttp, whose client costs a sixth of httpx's time (docs/adr/0015).
"""

from __future__ import annotations

import asyncio
import base64
import json as jsonlib
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self, TypeVar
from urllib.parse import urlencode

import aiohttp
import structlog
from aiohttp.abc import AbstractResolver
from multidict import CIMultiDictProxy
from yarl import URL

from adapters.strict_json import parse_object
from models.domain.correlation import CORRELATION_HEADER, CURRENT, TRACE_HEADER
from models.domain.errors import Permanent, Transient, Unavailable

UNREACHABLE: Final = "UPSTREAM_UNREACHABLE"
BUSY: Final = "UPSTREAM_BUSY"
MALFORMED_RESPONSE: Final = "MALFORMED_RESPONSE"

DEFAULT_DEADLINE_S: Final = 10.0
DEFAULT_MAX_BYTES: Final = 1_000_000  # the largest honest answer, a bureau file, is a few kilobytes

# Statuses by which a server says "not now": Request Timeout, Too Early, Too Many Requests.
_TRANSIENT_4XX: Final = frozenset({408, 425, 429})
_MAX_RETRY_AFTER_S: Final = 3600
# Shorter than servers commonly keep an idle connection, so that they are seldom first to close it.
_KEEPALIVE_S: Final = 15.0

Signer = Callable[[str, str, bytes], Mapping[str, str]]
"""Headers that authenticate a request, from its method, its path with query, and its body."""

A = TypeVar("A")

_log = structlog.get_logger("adapters.http")


class RetryLater(Transient):
    """The other side answered that it cannot serve now; `retry_after_s` is its own advice."""

    def __init__(self, code: str, detail: str, retry_after_s: int | None, status: int) -> None:
        super().__init__(code, detail)
        self.retry_after_s = retry_after_s
        self.status = status


class Gate(Protocol):
    """Who decides when a request may be sent, and hears when the other side says "not now"."""

    async def before(self) -> None:
        """Return when one more request may be sent; raises Transient when none may in time."""
        ...

    def told(self, later: RetryLater) -> None:
        """The other side's answer to a request that came too soon."""
        ...


@dataclass(frozen=True, slots=True)
class Received:
    """A complete answer as it came, its body not yet read as anything."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    raw: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer: 2xx with its JSON object, or 4xx with what could be read of it."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: Mapping[str, Any]


class HTTPClient:
    """The connections all callers of a process share; whoever opens it closes it.

    The environment's proxies are ignored (settings are the only configuration) and cookies are
    never kept: they know no ports, so one system's would be sent to another on the same host.
    Connections are counted by host: a system that hangs takes no place from the others. It belongs
    to the event loop of its first request.

    `resolver` answers which addresses a name has, and may refuse (adapters/egress.py), but is not
    asked about hosts that are plain addresses. `tls` says whom to trust instead of the system.
    """

    def __init__(
        self,
        max_connections: int = 100,
        *,
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._max_connections = max_connections
        self._resolver, self._tls = resolver, tls
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    def session(self) -> aiohttp.ClientSession:
        """The open session; raises Unavailable once it was closed."""
        if self._closed:
            raise Unavailable(UNREACHABLE, "closed")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0,
                    limit_per_host=self._max_connections,
                    keepalive_timeout=_KEEPALIVE_S,
                    resolver=self._resolver,
                    ssl=self._tls or True,
                ),
                timeout=aiohttp.ClientTimeout(total=None),  # each call holds the one deadline
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                headers={"user-agent": "credit-as-a-service"},
            )
            # There is no public word for it: without it, a GET that meets a connection which has
            # just been closed would be sent twice.
            self._session._retry_connection = False
        return self._session

    async def aclose(self) -> None:
        """Close the connections; closing twice is harmless."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


new_client: Final = HTTPClient


class HTTPCaller:
    """Calls one outside system under one base address."""

    def __init__(
        self,
        client: HTTPClient,
        base_url: str,
        deadline_s: float = DEFAULT_DEADLINE_S,
        max_bytes: int = DEFAULT_MAX_BYTES,
        gate: Gate | None = None,
    ) -> None:
        self._client = client
        # A user in the address would be sent along as credentials nobody asked for.
        base = URL(base_url).with_user(None)
        self._base_url = str(base).rstrip("/")
        self._host = base.raw_authority
        self._deadline_s = deadline_s
        self._max_bytes = max_bytes
        self._gate = gate

    def through(self, gate: Gate) -> HTTPCaller:
        """The same caller, each of whose requests passes the gate."""
        return HTTPCaller(self._client, self._base_url, self._deadline_s, self._max_bytes, gate)

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        sign: Signer | None = None,
    ) -> Answer:
        """Send one request with a JSON or form body and read the whole answer.

        `sign` sees exactly the bytes that are sent.

        Returns 2xx and 4xx. Raises Unavailable (no complete answer within the deadline),
        RetryLater (408, 425, 429, 5xx) or Permanent MALFORMED_RESPONSE (too large, compressed,
        redirected, or 2xx without a JSON object).
        """
        sent, content = {"accept": "application/json", **(headers or {})}, None
        if json is not None:
            sent["content-type"] = "application/json"
            content = jsonlib.dumps(json, allow_nan=False, separators=(",", ":")).encode("utf-8")
        elif form is not None:
            sent["content-type"] = "application/x-www-form-urlencoded"
            content = urlencode(form).encode("ascii")
        if auth is not None:
            sent["authorization"] = _basic(*auth)
        request = _Request(method, URL(self._base_url + path), sent, content)
        return await self._sent(request, sign, frozenset(), _json_answer)

    async def exchange(
        self,
        method: str,
        path: str,
        content: bytes,
        headers: Mapping[str, str],
        *,
        answers: frozenset[int] = frozenset(),
    ) -> Received:
        """As `call`, for systems that speak no JSON: the body is sent and returned as it is.

        `answers` are statuses that are handed over although they usually say "not now": a SOAP
        fault comes as 500.
        """
        request = _Request(method, URL(self._base_url + path), dict(headers), content)
        return await self._sent(request, None, answers, lambda received: received)

    async def _sent(
        self,
        request: _Request,
        sign: Signer | None,
        answers: frozenset[int],
        read: Callable[[Received], A],
    ) -> A:
        request.complete(sign)
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._deadline_s):
                if self._gate is not None:
                    await self._gate.before()
                received = await self._received(request, answers)
            answer = read(received)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            self._report(request, started, failure=type(error).__name__)
            raise Unavailable(UNREACHABLE, f"{request.what}: {type(error).__name__}") from error
        except ValueError as error:
            self._report(request, started, failure=str(error))
            raise Permanent(MALFORMED_RESPONSE, f"{request.what}: {error}") from error
        except (Transient, Permanent) as error:
            self._report(request, started, failure=str(error))
            if self._gate is not None and isinstance(error, RetryLater):
                self._gate.told(error)
            raise
        self._report(request, started, status=received.status)
        return answer

    async def _received(self, request: _Request, answers: frozenset[int]) -> Received:
        async with self._client.session().request(
            request.method,
            request.url,
            data=request.content,
            headers=request.headers,
            allow_redirects=False,
        ) as response:
            status, headers = response.status, response.headers
            if status not in answers:
                _require_final(status, headers, request.what)
            raw = await self._bounded(response, request.what)
        return Received(status, {name.lower(): text for name, text in headers.items()}, raw)

    async def _bounded(self, response: aiohttp.ClientResponse, what: str) -> bytes:
        """The body as sent; compressed ones were not asked for and could expand without limit."""
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise Permanent(MALFORMED_RESPONSE, f"{what}: compressed")
        raw = bytearray()
        async for chunk in response.content.iter_any():
            raw += chunk
            if len(raw) > self._max_bytes:
                raise Permanent(MALFORMED_RESPONSE, f"{what}: over {self._max_bytes} bytes")
        return bytes(raw)

    def _report(self, request: _Request, started: float, **outcome: int | str) -> None:
        # Neither bodies nor headers: they hold personal data and credentials.
        elapsed_ms = round((time.monotonic() - started) * 1000)
        write = _log.warning if "failure" in outcome else _log.info
        write("outside_call", host=self._host, call=request.what, elapsed_ms=elapsed_ms, **outcome)


@dataclass(slots=True)
class _Request:
    """A request as it will be sent; `what` names it in logs and errors, without its query."""

    method: str
    url: URL
    headers: dict[str, str]
    content: bytes | None

    @property
    def what(self) -> str:
        return f"{self.method} {self.url.raw_path}"

    def complete(self, sign: Signer | None) -> None:
        """Add what every request carries, and the signature over it."""
        self.headers["accept-encoding"] = "identity"
        # Not to everybody's use, but nothing of ours can be told from it, and a vendor who logs it
        # can answer for one request of many.
        if (current := CURRENT.get()) is not None:
            self.headers[CORRELATION_HEADER] = current.correlation_id
            self.headers[TRACE_HEADER] = current.traceparent()
        if sign is not None:
            self.headers |= sign(self.method, self.url.raw_path_qs, self.content or b"")


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


def _require_final(status: int, headers: CIMultiDictProxy[str], what: str) -> None:
    if status >= 500 or status in _TRANSIENT_4XX:
        retry_after_s = _retry_after_s(headers.get("retry-after"))
        raise RetryLater(BUSY, f"{what}: status {status}", retry_after_s, status)
    if status < 200 or 300 <= status < 400:
        raise Permanent(MALFORMED_RESPONSE, f"{what}: status {status} is not followed")


def _json_answer(received: Received) -> Answer:
    """Raises ValueError for a 2xx that is no JSON object."""
    try:
        body = _parsed(received)
    except ValueError:
        # A proxy's HTML page beside a 4xx: the status says all the adapter needs.
        if received.status < 400:
            raise
        body = {}
    return Answer(received.status, received.headers, body)


def _parsed(received: Received) -> dict[str, Any]:
    media_type = received.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise ValueError("not of type application/json")
    return parse_object(received.raw)


def _retry_after_s(header: str | None) -> int | None:
    """Seconds from a Retry-After header; its date form is not used by the systems we call."""
    if header is None or not (header.isascii() and header.isdigit()) or len(header) > 9:
        return None
    return min(int(header), _MAX_RETRY_AFTER_S)
