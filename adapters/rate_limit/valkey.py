"""Token buckets in Valkey (or what speaks its protocol): one script, one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import valkey.asyncio as valkey
from valkey.exceptions import ValkeyError

from models.domain.errors import Unavailable
from models.domain.quota import Grant, Want

# The server's own clock, so that processes whose clocks differ count alike; a test may bring one.
# The arguments after it are four numbers a key: capacity, interval (µs), least and most tokens.
# Keys expire when their buckets are full: a bucket nobody keeps is a full one.
_TAKE: Final = """
local time = redis.call('TIME')
local now = tonumber(ARGV[1])
if now < 0 then now = time[1] * 1000000 + time[2] end
local answer = {}
for number, key in ipairs(KEYS) do
  local at = 4 * number - 2
  local capacity, interval = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local least, most = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local full_at = math.max(tonumber(redis.call('GET', key) or 0), now)
  local free = math.floor((capacity * interval - (full_at - now)) / interval)
  local tokens = 0
  if free >= least then
    tokens = math.min(free, most)
    full_at = full_at + tokens * interval
    local lives_ms = math.ceil((full_at - now) / 1000) + 1
    redis.call('SET', key, string.format('%.0f', full_at), 'PX', string.format('%.0f', lives_ms))
  end
  answer[2 * number - 1] = tokens
  answer[2 * number] = full_at - now
end
return answer
"""

_SERVERS_CLOCK: Final = -1


class ValkeyTokenStore:
    """Satisfies `TokenStore`; what is lost with the cache is at most one window of counting."""

    def __init__(
        self, url: str, *, timeout_s: float = 0.1, clock: Callable[[], int] | None = None
    ) -> None:
        self._client: Any = valkey.Valkey.from_url(
            _known_scheme(url),
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            max_connections=32,
            retry=None,
        )
        self._script: Any = self._client.register_script(_TAKE)
        self._timeout_s = timeout_s
        self._clock = clock

    async def take(self, tenant_id: str, wants: Sequence[Want]) -> list[Grant]:
        now_us = self._clock() if self._clock is not None else _SERVERS_CLOCK
        arguments: list[int] = [now_us]
        for want in wants:
            quota = want.quota
            arguments += (quota.capacity, quota.interval_us, want.least, want.most)
        # In a cluster all keys of one call have to lie together: by the braces they do.
        keys = [f"caas:quota:{{{tenant_id}}}:{want.key}" for want in wants]
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._script(keys=keys, args=arguments)
        except (ValkeyError, OSError, TimeoutError) as error:
            raise Unavailable("CACHE_UNAVAILABLE", type(error).__name__) from error
        return [Grant(answer[at], answer[at + 1]) for at in range(0, len(answer), 2)]

    async def ready(self) -> bool:
        try:
            async with asyncio.timeout(self._timeout_s):
                return bool(await self._client.ping())
        except (ValkeyError, OSError, TimeoutError):
            return False

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()


def _known_scheme(url: str) -> str:
    """The address as the client reads it: Redis's names for the same protocol are usual."""
    scheme, _, rest = url.partition("://")
    return f"{scheme.replace('rediss', 'valkeys').replace('redis', 'valkey')}://{rest}"
