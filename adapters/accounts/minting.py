"""Access tokens of our own: signed with keys that rotate while their tokens stay good."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from joserfc import jwt
from joserfc.jwk import KeySet

from adapters.accounts.signing_keys import Algorithm, SigningKey
from adapters.postgres.leadership import pause
from adapters.postgres.signing_keys import PostgresSigningKeys
from models.domain.errors import CreditError, Unavailable

log = structlog.get_logger()

LOOK_EVERY_S: Final = 5.0
# No two looks for a key id nobody knows within this time: tokens are free to make up.
COOLDOWN_S: Final = 2.0


class SigningKeys:
    """Our keys as this process knows them: published before they sign, kept while tokens live."""

    def __init__(
        self,
        records: PostgresSigningKeys,
        algorithm: Algorithm,
        lead: timedelta,
        overlap: timedelta,
    ) -> None:
        self._records = records
        self._wanted = (algorithm, lead, overlap)
        self._keys: tuple[SigningKey, ...] = ()
        self._public = KeySet([])
        self._looked_s = float("-inf")

    async def reload(self) -> None:
        """Read the keys again; the first reading makes what is missing."""
        if not self._keys:
            await self._records.ensure(*self._wanted)
        self._keys = await self._records.known()
        self._public = KeySet([key.public for key in self._keys])

    async def look_again(self) -> bool:
        """Reload for a key id nobody knows; False when somebody did so a moment ago."""
        now = time.monotonic()
        if now - self._looked_s < COOLDOWN_S:
            return False
        self._looked_s = now
        await self.reload()
        return True

    def key_set(self) -> KeySet:
        """The public keys whose tokens are good now."""
        now = datetime.now(UTC)
        good = [key for key in self._keys if key.expires_at is None or key.expires_at > now]
        return self._public if len(good) == len(self._keys) else KeySet([k.public for k in good])

    def jwks(self) -> dict[str, Any]:
        """The public keys, to be published; those that will sign soon among them."""
        return {"keys": [dict(key.as_dict(private=False)) for key in self.key_set()]}

    def signing(self) -> SigningKey:
        """The key that signs now; Unavailable until one is known."""
        now = datetime.now(UTC)
        active = [key for key in self._keys if key.active_from <= now]
        if not active:
            raise Unavailable("SIGNING_KEY_UNKNOWN")
        return max(active, key=lambda key: key.active_from)

    async def keep_fresh(self, stop: asyncio.Event) -> None:
        """Reload until told to stop; an outage is said once, and outlived."""
        away = False
        while not stop.is_set():
            try:
                await self.reload()
                away = False
            except CreditError as error:
                if not away:
                    log.warning("signing_keys_stale", code=error.code)
                away = True
            await pause(stop, LOOK_EVERY_S)


@dataclass(frozen=True, slots=True)
class TokenMint:
    """Makes access tokens (RFC 9068) of our own issuer."""

    keys: SigningKeys
    issuer: str
    audience: str
    lifetime_s: int

    def access_token(
        self,
        tenant_id: str,
        subject: str,
        roles: Sequence[str],
        scopes: Sequence[str],
        session_id: str,
    ) -> str:
        """A token that says who calls, for which tenant, as what, and out of which sign-in."""
        key, now = self.keys.signing(), int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": subject,
            "client_id": session_id,
            "tenant": tenant_id,
            "roles": list(roles),
            "scope": " ".join(scopes),
            "sid": session_id,
            "jti": uuid.uuid4().hex,
            "iat": now,
            "nbf": now,
            "exp": now + self.lifetime_s,
        }
        header = {"alg": key.algorithm, "typ": "at+jwt", "kid": key.kid}
        return jwt.encode(header, claims, key.private, algorithms=[key.algorithm])
