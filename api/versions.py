"""Versions of `/api/v1`: dated changes, and how older clients are served by today's code.

A client names the version it was written for in `API-Version: 2026-11-22`; without the header it
gets the newest. The answer names the version it is written in. Routes speak the newest version
only: what an older client sends is brought forward change by change, what it is answered is taken
back in the reverse order, and a route that no change concerns does neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from typing import Any, Final, Protocol

import orjson
from fastapi.responses import Response
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import problem_response

HEADER: Final = "API-Version"
VERSIONED: Final = "/api/v1/"
FIRST: Final = "2026-11-01"
SCOPE_KEY: Final = "caas.api_version"

Document = dict[str, Any]
Operation = tuple[str, str]  # method and path with the parameters' names, as in the description


class NotOfThisVersion(HTTPException):
    """A body that the version it was sent under does not allow: which field, and why.

    An HTTP error, because the framework turns any other one it meets while reading into a 400.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(422)
        self.field = field
        self.reason = reason


class Change(Protocol):
    """One dated change of requests, answers or both."""

    @property
    def version(self) -> str:
        """The day it was published: the name of the version it made."""

    @property
    def about(self) -> str:
        """What changed, for integrators."""

    @property
    def operations(self) -> frozenset[Operation]:
        """Which operations it concerns."""

    def request(self, sent: Document) -> Document:
        """What was sent under the version before, in the form of this one; NotOfThisVersion."""

    def answer(self, given: Document) -> Document:
        """What this version answers, in the form of the version before."""


@dataclass(frozen=True, slots=True)
class Retiring:
    """A version or an operation that is not to be used any more, and until when it is served."""

    deprecated_on: date
    sunset_on: date

    def headers(self) -> dict[str, str]:
        """`Deprecation` (RFC 9745), `Sunset` (RFC 8594) and where to read why."""
        sunset = datetime.combine(self.sunset_on, time.min, UTC)
        since = datetime.combine(self.deprecated_on, time.min, UTC)
        return {
            "deprecation": f"@{int(since.timestamp())}",
            "sunset": format_datetime(sunset, usegmt=True),
            "link": '</docs>; rel="deprecation"; type="text/html"',
        }


class Versions:
    """The published versions, and the way between any of them and the newest."""

    def __init__(
        self,
        changes: Iterable[Change],
        retiring: Mapping[str, Retiring],
        first: str = FIRST,
    ) -> None:
        self.changes = tuple(sorted(changes, key=lambda change: change.version))
        self.known = (first, *dict.fromkeys(change.version for change in self.changes))
        if list(self.known) != sorted(self.known) or not retiring.keys() < set(self.known):
            raise ValueError("versions are days in order, and only a published one retires")
        self.newest = self.known[-1]
        self.retiring = dict(retiring)

    def concerning(self, operation: Operation) -> tuple[Change, ...]:
        """The changes that concern an operation, the oldest first."""
        return tuple(each for each in self.changes if operation in each.operations)

    def brought_forward(
        self, changes: tuple[Change, ...], sent: Document, version: str
    ) -> Document:
        """What was sent under a version, as the newest has it."""
        for change in changes:
            if change.version > version:
                sent = change.request(sent)
        return sent

    def taken_back(self, changes: tuple[Change, ...], answer: Response, version: str) -> Response:
        """The answer as a version has it, and named so.

        A stored answer names the version it was first given in. It is replayed from that form, so
        a repetition gets the same bytes after a newer version was published, too. One that was
        given in an older form than is asked for now stays as it was, byte for byte.
        """
        written_in = answer.headers.get(HEADER, self.newest)
        between = [
            each for each in changes if min(version, written_in) < each.version
            and each.version <= max(version, written_in)
        ]  # fmt: skip
        if not between:
            answer.headers[HEADER] = version
        elif written_in > version and _is_document(answer):
            document = orjson.loads(answer.body)
            for change in reversed(between):
                document = change.answer(document)
            answer.body = orjson.dumps(document)
            answer.headers["content-length"] = str(len(answer.body))
            answer.headers[HEADER] = version
        return answer


def _is_document(answer: Response) -> bool:
    media = answer.headers.get("content-type", "").partition(";")[0]
    return answer.status_code < 400 and media == "application/json"


class VersionHeaders:
    """Reads `API-Version` on the way in, and says on the way out what was served.

    Pure ASGI, and nothing but a look at the headers for whoever does not ask.
    """

    def __init__(
        self,
        app: ASGIApp,
        versions: Versions,
        retiring_operations: Mapping[Operation, Retiring],
    ) -> None:
        self._app = app
        self._versions = versions
        self._of_operation = [
            (method, _matching(path), retiring.headers())
            for (method, path), retiring in retiring_operations.items()
        ]
        self._of_version = {version: each.headers() for version, each in versions.retiring.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(VERSIONED):
            await self._app(scope, receive, send)
            return
        asked = [value for name, value in scope["headers"] if name == b"api-version"]
        version = asked[0].decode("latin-1") if asked else self._versions.newest
        if version not in self._versions.known or len(asked) > 1:
            answer = problem_response(
                400, "API_VERSION_UNKNOWN", "There is no such version of the API.",
                headers={HEADER: self._versions.newest},
            )  # fmt: skip
            await answer(scope, receive, send)
            return
        scope[SCOPE_KEY] = version
        said = self._of_version.get(version, {})
        for method, matching, headers in self._of_operation:
            if method == scope["method"] and matching.fullmatch(scope["path"]):
                said = headers

        async def saying(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered = MutableHeaders(scope=message)
                answered.setdefault(HEADER, version)
                for name, value in said.items():
                    answered.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, saying)


def _matching(path: str) -> re.Pattern[str]:
    """What the paths of an operation look like."""
    literal = re.split(r"\{[^}]*\}", path)
    return re.compile("[^/]+".join(re.escape(part) for part in literal))
