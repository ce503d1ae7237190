"""HTTP/1.1 from the wire: the web server's protocol, with limits on what is not a request yet.

uvicorn's protocol over httptools (llhttp) refuses a length beside `Transfer-Encoding`, two lengths,
folded headers, bare CR or LF, spaces before colons. What it leaves open is closed here: what else
has two readings, how large a head may be and how long it may take, bodies that drip for ever, and
requests behind the last one of a connection. Refusals are problem documents like all others.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api.errors import MEDIA_TYPE, TYPE_PREFIX
from api.headers import SECURITY

MALFORMED: Final = (400, "REQUEST_MALFORMED", "This is no request of HTTP/1.1 with one reading.")
TOO_SLOW: Final = (408, "HEAD_TOO_SLOW", "The request's head did not arrive in time.")
TOO_LARGE: Final = (431, "HEAD_TOO_LARGE", "The request's head is too large.")

# After the application's own limit for bodies, in case it answered without reading its body.
_BODY_GRACE_S: Final = 5.0


class HeadRefused(Exception):
    """A head that is too large, or that others may read in another way than we do."""


class LimitedProtocol(HttpToolsProtocol):
    """The server's protocol, bounded; `limited` makes one with a deployment's numbers."""

    max_header_bytes = 16_384
    max_headers = 64
    max_connections = 4_096
    header_timeout_s = 10.0
    body_timeout_s = 10.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The server's author allows bytes after the last request of a connection; a proxy in front
        # may take them for the next one.
        self.parser.set_dangerous_leniencies(lenient_data_after_close=False)
        self._patience: asyncio.TimerHandle | None = None
        self._reading_head = False
        self._reading_body = False
        self._handed_over = False
        self._head_bytes = 0
        self._refusal = MALFORMED

    def connection_made(self, transport: Any) -> None:
        """Take a connection, if there is room for one more; it has a while to ask something."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            transport.close()
            return
        self._be_patient(self.header_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; whoever sends a part has so long for the rest."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing() or self._handed_over:
            return
        if self._reading_head or self._idle():
            if self._head_bytes > self.max_header_bytes:
                self._refuse(TOO_LARGE)
            elif self._patience is None:
                self._be_patient(self.header_timeout_s)
        elif self._reading_body:
            if self._patience is None:
                self._be_patient(self.body_timeout_s + _BODY_GRACE_S)
        else:
            self._wait_no_more()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._reading_head = True

    def on_headers_complete(self) -> None:
        """Its head is complete."""
        headers = self.headers
        if len(headers) > self.max_headers or (
            self._head_bytes > self.max_header_bytes
            and sum(len(name) + len(value) for name, value in headers) > self.max_header_bytes
        ):
            self._refusal = TOO_LARGE
            raise HeadRefused
        if self._has_two_readings():
            raise HeadRefused
        self._reading_head, self._reading_body = False, True
        self._head_bytes = 0
        self._wait_no_more()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The whole request is here."""
        self._reading_body = False
        self._head_bytes = 0
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """From here on the connection is another protocol's."""
        self._handed_over = True
        self._wait_no_more()
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the server's signature
        """The parser's refusal, as a problem document; the connection ends with it."""
        self._refuse(self._refusal)

    def _has_two_readings(self) -> bool:
        """Whether a proxy in front may take this for another request than we do.

        The parser knows HTTP/0.9, HTTP/1.0 with chunks, other encodings than chunks, and addresses
        of other hosts in the first line; whoever sends us those means somebody else to read them.
        """
        version = self.parser.get_http_version()
        if version not in ("1.0", "1.1") or self.url[:1] != b"/":
            return True
        return any(
            name == b"transfer-encoding" and (value.lower() != b"chunked" or version == "1.0")
            for name, value in self.headers
        )

    def _idle(self) -> bool:
        """Whether bytes came that are no request, and none is under way."""
        return not self._reading_body and (self.cycle is None or self.cycle.response_complete)

    def _be_patient(self, seconds: float) -> None:
        self._wait_no_more()
        self._patience = self.loop.call_later(seconds, self._out_of_patience)

    def _wait_no_more(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _out_of_patience(self) -> None:
        self._patience = None
        if self.transport.is_closing():
            return
        if self._reading_head:
            self._refuse(TOO_SLOW)
        else:
            # Nothing was asked, or a body drips on whose answer was given long ago.
            self.transport.close()

    def _refuse(self, refusal: tuple[int, str, str]) -> None:
        """Answer and close; an earlier request of the connection is answered first, and alone."""
        self._wait_no_more()
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(_answer(*refusal))
        elif not self._reading_body:
            self.cycle.keep_alive = False
            return
        self.transport.close()


def limited(**numbers: float) -> type[LimitedProtocol]:
    """The protocol with these limits."""
    return type("Limited", (LimitedProtocol,), numbers)


def _answer(status: int, code: str, title: str) -> bytes:
    document = orjson.dumps(
        {
            "type": TYPE_PREFIX + code.lower().replace("_", "-"),
            "title": title,
            "status": status,
            "code": code,
        }
    )
    headers = [
        (b"content-type", MEDIA_TYPE.encode("ascii")),
        (b"content-length", str(len(document)).encode("ascii")),
        (b"connection", b"close"),
        *SECURITY,
    ]
    lines = [name + b": " + value + b"\r\n" for name, value in headers]
    return b"".join([STATUS_LINE[status], *lines, b"\r\n", document])
