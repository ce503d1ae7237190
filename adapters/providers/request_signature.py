"""Requests signed with a shared secret: an API key beside an HMAC over everything that matters.

What is signed are six lines, joined by a line feed and without one at the end:

    v1
    <method, upper case>
    <path with its query, as sent>
    <Unix seconds>
    <nonce: 32 hex digits, never used twice>
    <SHA-256 of the body, lower-case hex; of nothing for a request without one>

and the headers are X-Api-Key, X-Timestamp, X-Nonce and X-Signature (HMAC-SHA256, lower-case hex).
The time bounds how long a stolen request could be replayed, the nonce forbids it within that time.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping

_VERSION = "v1"


class RequestSigner:
    """Signs as one client of one system; satisfies `Signer` of adapters/http.py."""

    def __init__(
        self,
        api_key: str,
        secret: str,
        *,
        now: Callable[[], float] = time.time,
        nonce: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._api_key = api_key
        self._secret = secret.encode("utf-8")
        self._now = now
        self._nonce = nonce

    def __call__(self, method: str, target: str, body: bytes) -> Mapping[str, str]:
        """The headers of this request; others at every call, as the nonce is."""
        stamp, nonce = str(int(self._now())), self._nonce()
        signed = signed_text(method, target, stamp, nonce, body)
        return {
            "x-api-key": self._api_key,
            "x-timestamp": stamp,
            "x-nonce": nonce,
            "x-signature": hmac.new(self._secret, signed, hashlib.sha256).hexdigest(),
        }


def signed_text(method: str, target: str, stamp: str, nonce: str, body: bytes) -> bytes:
    """The six lines."""
    digest = hashlib.sha256(body).hexdigest()
    return "\n".join((_VERSION, method.upper(), target, stamp, nonce, digest)).encode("utf-8")
