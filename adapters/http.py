"""One bounded HTTP call to an outside system: a deadline, a size limit, JSON or nothing.

What every adapter wants from HTTP and httpx alone does not promise: the deadline covers the whole
call however slowly the bytes drip, the body is bounded while it is read, redirects are refused,
and failures arrive as the domain's errors. It never retries: Temporal does.
"""

from __future__ import annotations

import asyncio
import json as jsonlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final

import httpx
import structlog

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

Signer = Callable[[str, str, bytes], Mapping[str, str]]
"""Headers that authenticate a request, from its method, its path with query, and its body."""

_log = structlog.get_logger("adapters.http")


class RetryLater(Transient):
    """The other side answered that it cannot serve now; `retry_after_s` is its own advice."""

    def __init__(self, code: str, detail: str, retry_after_s: int | None) -> None:
        super().__init__(code, detail)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer: 2xx with its JSON object, or 4xx with what could be read of it."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: Mapping[str, Any]


def new_client(max_connections: int = 100) -> httpx.AsyncClient:
    """The client all callers of a process share; whoever opens it closes it.

    The environment's proxies are ignored (settings are the only configuration) and cookies are
    never kept: they know no ports, so one system's would be sent to another on the same host.
    """
    client = httpx.AsyncClient(
        follow_redirects=False,
        trust_env=False,
        limits=httpx.Limits(max_connections=max_connections),
    )
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=()))
    return client


class HTTPCaller:
    """Calls one outside system under one base address."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        base_url: str,
        deadline_s: float = DEFAULT_DEADLINE_S,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        self._client = client
        self._base_url = base_url.rstrip("/")
        self._host = httpx.URL(base_url).netloc.decode("ascii")
        self._deadline_s = deadline_s
        self._max_bytes = max_bytes

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
        request = self._request(method, path, json, form, headers)
        if sign is not None:
            target = request.url.raw_path.decode("ascii")
            request.headers.update(sign(request.method, target, request.content))
        what = f"{method} {path.partition('?')[0]}"
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._deadline_s):
                async with self._sent(request, auth) as response:
                    answer = await self._read(response, what)
        except (TimeoutError, httpx.TransportError) as error:
            self._report(what, started, failure=type(error).__name__)
            raise Unavailable(UNREACHABLE, f"{what}: {type(error).__name__}") from error
        except (Transient, Permanent) as error:
            self._report(what, started, failure=str(error))
            raise
        self._report(what, started, status=answer.status)
        return answer

    def _request(
        self,
        method: str,
        path: str,
        json: Mapping[str, Any] | None,
        form: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
    ) -> httpx.Request:
        sent = {"accept": "application/json", "accept-encoding": "identity", **(headers or {})}
        # Not to everybody's use, but nothing of ours can be told from it, and a vendor who logs it
        # can answer for one request of many.
        if (current := CURRENT.get()) is not None:
            sent |= {
                CORRELATION_HEADER: current.correlation_id,
                TRACE_HEADER: current.traceparent(),
            }
        content: bytes | None = None
        if json is not None:
            sent["content-type"] = "application/json"
            content = jsonlib.dumps(json, allow_nan=False, separators=(",", ":")).encode("utf-8")
        return self._client.build_request(
            method,
            self._base_url + path,
            content=content,
            data=form,
            headers=sent,
            timeout=self._deadline_s,
        )

    @asynccontextmanager
    async def _sent(
        self, request: httpx.Request, auth: tuple[str, str] | None
    ) -> AsyncIterator[httpx.Response]:
        # Without `auth` httpx must not look for credentials in the address or a .netrc either.
        response = await self._client.send(
            request,
            stream=True,
            auth=httpx.BasicAuth(*auth) if auth else None,
            follow_redirects=False,
        )
        try:
            yield response
        finally:
            await response.aclose()

    async def _read(self, response: httpx.Response, what: str) -> Answer:
        status = response.status_code
        if status >= 500 or status in _TRANSIENT_4XX:
            retry_after_s = _retry_after_s(response.headers.get("retry-after"))
            raise RetryLater(BUSY, f"{what}: status {status}", retry_after_s)
        if status < 200 or 300 <= status < 400:
            raise Permanent(MALFORMED_RESPONSE, f"{what}: status {status} is not followed")
        raw = await self._bounded(response, what)
        try:
            body = _parsed(response, raw)
        except ValueError as error:
            # A proxy's HTML page beside a 4xx: the status says all the adapter needs.
            if status < 400:
                raise Permanent(MALFORMED_RESPONSE, f"{what}: {error}") from error
            body = {}
        return Answer(status, dict(response.headers), body)

    async def _bounded(self, response: httpx.Response, what: str) -> bytes:
        """The body as sent; compressed ones were not asked for and could expand without limit."""
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise Permanent(MALFORMED_RESPONSE, f"{what}: compressed")
        raw = bytearray()
        async for chunk in response.aiter_raw():
            raw += chunk
            if len(raw) > self._max_bytes:
                raise Permanent(MALFORMED_RESPONSE, f"{what}: over {self._max_bytes} bytes")
        return bytes(raw)

    def _report(self, what: str, started: float, **outcome: int | str) -> None:
        # Neither bodies nor headers: they hold personal data and credentials.
        elapsed_ms = round((time.monotonic() - started) * 1000)
        write = _log.warning if "failure" in outcome else _log.info
        write("outside_call", host=self._host, call=what, elapsed_ms=elapsed_ms, **outcome)


def _parsed(response: httpx.Response, raw: bytes) -> dict[str, Any]:
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise ValueError("not of type application/json")
    return parse_object(raw)


def _retry_after_s(header: str | None) -> int | None:
    """Seconds from a Retry-After header; its date form is not used by the systems we call."""
    if header is None or not (header.isascii() and header.isdigit()) or len(header) > 9:
        return None
    return min(int(header), _MAX_RETRY_AFTER_S)
