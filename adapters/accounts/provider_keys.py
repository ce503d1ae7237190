"""An identity provider's public keys, fetched from the configured address and nowhere else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet, RSAKey

from adapters.http import HTTPCaller
from adapters.postgres.leadership import pause
from models.domain.errors import CreditError

log = structlog.get_logger()

FETCH_EVERY_S: Final = 300.0
# For a key id nobody knows; tokens are free to make up, and the provider is not ours to flood.
COOLDOWN_S: Final = 10.0
# A provider that was away so long may have withdrawn keys meanwhile.
STALE_AFTER_S: Final = 86_400.0
MOST_KEYS: Final = 32
MOST_BYTES: Final = 262_144
SHORTEST_RSA_BITS: Final = 2_048
_KINDS: Final = frozenset({"RSA", "EC", "OKP"})  # never "oct": a shared secret is not published
_PUBLIC: Final = frozenset({"kty", "use", "alg", "kid", "n", "e", "crv", "x", "y"})


class ProviderKeys:
    """Keys of one issuer: fetched at the start, every five minutes, and for an unknown key id."""

    def __init__(self, caller: HTTPCaller, issuer: str, *, cooldown_s: float = COOLDOWN_S) -> None:
        self._caller = caller
        self._issuer = issuer
        self._cooldown_s = cooldown_s
        self._keys = KeySet([])
        self._fetched_s = self._tried_s = float("-inf")
        self._one_at_a_time = asyncio.Lock()

    def key_set(self) -> KeySet:
        """The keys; none when the provider could not be asked for a day."""
        if time.monotonic() - self._fetched_s > STALE_AFTER_S:
            return KeySet([])
        return self._keys

    async def newer(self) -> bool:
        """Fetch again; False when that was tried a moment ago."""
        waited_from = time.monotonic()
        async with self._one_at_a_time:
            if self._tried_s >= waited_from:
                return True  # whoever was before us in the queue has just looked
            if time.monotonic() - self._tried_s < self._cooldown_s:
                return False
            return await self._fetch()

    async def keep_fresh(self, stop: asyncio.Event) -> None:
        """Fetch until told to stop."""
        while not stop.is_set():
            async with self._one_at_a_time:
                fetched = await self._fetch()
            await pause(stop, FETCH_EVERY_S if fetched else self._cooldown_s)

    async def _fetch(self) -> bool:
        self._tried_s = time.monotonic()
        try:
            answer = await self._caller.call("GET", "")
            if answer.status != 200:
                raise ValueError(f"status {answer.status}")
            keys = usable_keys(answer.body)
        except (CreditError, ValueError) as error:
            log.warning("provider_keys_not_fetched", issuer=self._issuer, reason=str(error)[:200])
            return False
        self._keys, self._fetched_s = KeySet(keys), time.monotonic()
        return True


def usable_keys(document: Mapping[str, Any]) -> list[Key]:
    """The signature keys of a JWK set that we would trust; raises ValueError if there are none."""
    stated = document.get("keys")
    if not isinstance(stated, list) or len(stated) > MOST_KEYS:
        raise ValueError("not a JWK set, or one of too many keys")
    keys = [key for each in stated if (key := _usable(each)) is not None]
    if not keys:
        raise ValueError("no usable key")
    return keys


def _usable(stated: Any) -> Key | None:
    if not isinstance(stated, dict) or stated.get("kty") not in _KINDS:
        return None
    if stated.get("use", "sig") != "sig" or not isinstance(stated.get("kid"), str):
        return None
    try:
        key = JWKRegistry.import_key({k: v for k, v in stated.items() if k in _PUBLIC})
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    if isinstance(key, RSAKey) and key.public_key.key_size < SHORTEST_RSA_BITS:
        return None
    return key
