"""How operations are asked: headers, keys, and refusals as exceptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx


class Refused(httpx.HTTPStatusError):
    """The API refused; `code` is stable and published, `problem` the whole document (RFC 9457)."""

    def __init__(self, response: httpx.Response) -> None:
        self.problem = _problem(response)
        self.code = str(self.problem.get("code", ""))
        self.status = response.status_code
        said = self.problem.get("title") or response.reason_phrase
        super().__init__(
            f"{response.status_code} {self.code}: {said}",
            request=response.request,
            response=response,
        )

    @property
    def retry_after_s(self) -> float | None:
        """Seconds after which the same request may be repeated, if the API says so."""
        text = self.response.headers.get("retry-after", "")
        return float(text) if text.isascii() and text.isdigit() else None


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        document = response.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


class _Asking:
    """What both transports have in common: the request, and the reading of its answer."""

    def __init__(self, token: str | None, version: str) -> None:
        self._token = token
        self._version = version

    @staticmethod
    def quoted(value: str) -> str:
        """A path parameter, so that no id reaches another path; ValueError for what is none."""
        if value in ("", ".", ".."):
            raise ValueError(f"{value!r} is no id")
        return quote(value, safe="")

    def _request(
        self,
        body: object,
        query: Mapping[str, Any] | None,
        header: Mapping[str, Any] | None,
        *,
        write: bool,
    ) -> dict[str, Any]:
        headers = {name: str(value) for name, value in (header or {}).items() if value is not None}
        headers["API-Version"] = self._version
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        if write:
            headers.setdefault("Idempotency-Key", str(uuid4()))
        request: dict[str, Any] = {"headers": headers}
        if query:
            request["params"] = {k: v for k, v in query.items() if v is not None}
        if body is not None:
            request["json"] = body
        return request

    @staticmethod
    def _read(response: httpx.Response) -> Any:
        if not response.is_success:
            raise Refused(response)
        return response.json() if response.content else None


class Transport(_Asking):
    """Asks, and waits for the answer."""

    def __init__(self, http: httpx.Client, token: str | None, version: str) -> None:
        super().__init__(token, version)
        self._http = http

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, Any] | None = None,
        header: Mapping[str, Any] | None = None,
        write: bool = False,
    ) -> Any:
        """The answer's document; raises Refused, or httpx.TransportError without an answer."""
        request = self._request(body, query, header, write=write)
        return self._read(self._http.request(method, path, **request))


class AsyncTransport(_Asking):
    """Asks, and is awaited."""

    def __init__(self, http: httpx.AsyncClient, token: str | None, version: str) -> None:
        super().__init__(token, version)
        self._http = http

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, Any] | None = None,
        header: Mapping[str, Any] | None = None,
        write: bool = False,
    ) -> Any:
        """The answer's document; raises Refused, or httpx.TransportError without an answer."""
        request = self._request(body, query, header, write=write)
        return self._read(await self._http.request(method, path, **request))
