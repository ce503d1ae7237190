"""Who may talk to the simulated SOAP bank: a WS-Security UsernameToken with a password digest.

The digest is Base64(SHA-1(nonce + created + password)), the token profile's own. Refused as the
fault wsse:FailedAuthentication: another name or password, a moment more than five minutes from this
clock, a nonce that was used within that time. Nonces die with the process.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from adapters.providers.soap_xml import SOAP

WINDOW_S: Final = 300
_OASIS: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
_WSSE: Final = f"{_OASIS}wssecurity-secext-1.0.xsd"
_WSU: Final = f"{_OASIS}wssecurity-utility-1.0.xsd"
_DIGEST: Final = f"{_OASIS}username-token-profile-1.0#PasswordDigest"
_TOKEN: Final = f"{{{SOAP}}}Header/{{{_WSSE}}}Security/{{{_WSSE}}}UsernameToken"


class Door:
    """Lets each genuine message in, once."""

    def __init__(self, username: str, password: str, now: Callable[[], float] = time.time) -> None:
        self._username = username
        self._password = password.encode("utf-8")
        self._now = now
        self._used: dict[bytes, float] = {}

    def admits(self, envelope: Any) -> bool:
        """Whether the envelope's token is genuine, fresh and new."""
        tokens, now = envelope.findall(_TOKEN), self._now()
        nonce = self._genuine(tokens[0], now) if len(tokens) == 1 else None
        if nonce is None:
            return False
        self._used = {used: until for used, until in self._used.items() if until > now}
        if nonce in self._used:
            return False
        # From the future's edge a message stays within the window for twice its length.
        self._used[nonce] = now + 2 * WINDOW_S
        return True

    def _genuine(self, token: Any, now: float) -> bytes | None:
        """The nonce of a token that is ours and of these minutes."""
        created = token.findtext(f"{{{_WSU}}}Created") or ""
        password = token.find(f"{{{_WSSE}}}Password")
        try:
            nonce = base64.b64decode(token.findtext(f"{{{_WSSE}}}Nonce") or "", validate=True)
            said_at = datetime.fromisoformat(created)
        except (binascii.Error, ValueError):
            return None
        digest = base64.b64encode(
            hashlib.sha1(nonce + created.encode() + self._password).digest()
        ).decode("ascii")
        genuine = (
            len(nonce) >= 16
            and said_at.tzinfo is not None
            and abs(now - said_at.timestamp()) <= WINDOW_S
            and password is not None
            and password.get("Type") == _DIGEST
            and token.findtext(f"{{{_WSSE}}}Username") == self._username
            and hmac.compare_digest(digest.encode(), (password.text or "").encode("utf-8"))
        )
        return nonce if genuine else None
