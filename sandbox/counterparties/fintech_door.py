"""Who may talk to the simulated fintech: an API key, a signature over the request, and once only.

The caller's X-Signature is the HMAC-SHA256, in hex, of six lines: "v1", the method, the path with
its query, X-Timestamp (Unix seconds), X-Nonce and the SHA-256 of the body. Refused with 401:

    KEY_UNKNOWN          another API key
    REQUEST_STALE        a timestamp more than five minutes from this clock
    SIGNATURE_INVALID    anything of it is not what was signed
    REQUEST_REPLAYED     a nonce that was used within the window

A nonce counts as used only with a valid signature, so nobody can spoil another's. Nonces die with
the process, as with any cache: a restart forgets at most ten minutes of them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable
from typing import Final

from starlette.requests import Request

from sandbox.counterparties.answers import Refusal
from sandbox.counterparties.serving import body_of

WINDOW_S: Final = 300
_DIGITS: Final = re.compile(r"[0-9]{1,12}")
_NONCE: Final = re.compile(r"[0-9a-f]{32}")


class Door:
    """Lets each genuine request in, once."""

    def __init__(self, api_key: str, secret: str, now: Callable[[], float] = time.time) -> None:
        self._api_key = api_key.encode("utf-8")
        self._secret = secret.encode("utf-8")
        self._now = now
        self._used: dict[str, float] = {}

    async def admit(self, request: Request) -> bytes:
        """The body of a genuine request; Refusal 401 for any other."""
        body = await body_of(request)
        stamp, nonce = self._header(request, "x-timestamp"), self._header(request, "x-nonce")
        if not hmac.compare_digest(_bytes(self._header(request, "x-api-key")), self._api_key):
            raise Refusal(401, "KEY_UNKNOWN")
        now = self._now()
        if not _DIGITS.fullmatch(stamp) or abs(now - int(stamp)) > WINDOW_S:
            raise Refusal(401, "REQUEST_STALE")
        presented = _bytes(self._header(request, "x-signature"))
        expected = self._signature(request, stamp, nonce, body).encode("ascii")
        if not _NONCE.fullmatch(nonce) or not hmac.compare_digest(presented, expected):
            raise Refusal(401, "SIGNATURE_INVALID")
        self._used = {used: until for used, until in self._used.items() if until > now}
        if nonce in self._used:
            raise Refusal(401, "REQUEST_REPLAYED")
        # From the future's edge a request stays within the window for twice its length.
        self._used[nonce] = now + 2 * WINDOW_S
        return body

    def _signature(self, request: Request, stamp: str, nonce: str, body: bytes) -> str:
        path = request.scope["raw_path"].decode("latin-1")
        query = request.scope["query_string"].decode("latin-1")
        target = f"{path}?{query}" if query else path
        digest = hashlib.sha256(body).hexdigest()
        text = f"v1\n{request.method}\n{target}\n{stamp}\n{nonce}\n{digest}"
        return hmac.new(self._secret, text.encode("latin-1"), hashlib.sha256).hexdigest()

    @staticmethod
    def _header(request: Request, name: str) -> str:
        return request.headers.get(name, "")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
