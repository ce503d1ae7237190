"""Rate limits: who is charged for what, and the headers that tell (draft RateLimit fields).

Callers with a token are charged the cost of the route on two buckets, their own and their tenant's;
everybody else on their address's. To keep that cheap, a process draws tokens from the store in
advance and spends them here: in most requests nobody is asked. Drawn tokens were taken from the
bucket, so together all processes never give out more than there are; who comes seldom draws singly.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.types import Scope

from api.errors import Problem
from api.proxies import bucket_of
from api.rate_costs import cost_of
from models.domain.quota import Quota, TokenStore, Want
from settings import RateLimitSettings

# Drawn in advance at most: one in so many of the bucket, and so many at a time.
_ADVANCE_SHARE: Final = 20
_ADVANCE_MOST: Final = 1_000
# About 200 bytes each; whoever came longest ago draws anew.
_KNOWN: Final = 20_000
# Where a request's exchange lies in its scope (see api/limits.py).
SCOPE_KEY: Final = "caas.exchange"
PLATFORM: Final = "platform"

RATE_LIMITED: Final = "RATE_LIMITED"
TITLE: Final = "Too many requests; try again after `Retry-After` seconds."


@dataclass(slots=True)
class _Drawn:
    """Tokens this process holds of one bucket, and how the bucket stood when it drew them."""

    want: Want
    tokens: int = 0
    left: int = 0
    ahead_us: int = 0
    advance: int = 1  # what is drawn next time; doubles while the caller keeps coming
    refused_until_s: float = 0.0
    refused_cost: int = 0
    wait_us: int = 0
    asking: int = 0  # requests that wait for the store's answer about this bucket

    def refuses(self, cost: int, now_s: float) -> bool:
        """Whether the store said no to as little a moment ago, and would again."""
        return self.tokens < cost and now_s < self.refused_until_s and cost >= self.refused_cost


@dataclass(slots=True)
class Charge:
    """What a request was charged: how its buckets stand, and who refused it, if anybody did."""

    cost: int
    drawn: list[_Drawn]
    policy: bytes
    refused: bool

    def headers(self) -> list[tuple[bytes, bytes]]:
        """`RateLimit` of the tightest bucket, and `RateLimit-Policy` of all."""
        tightest = self.drawn[0]
        for each in self.drawn:
            if each.left + each.tokens < tightest.left + tightest.tokens:
                tightest = each
        left = tightest.left + tightest.tokens
        full_in_s = -(-tightest.ahead_us // 1_000_000)
        value = f'"{tightest.want.quota.name}";r={left};t={full_in_s}'
        return [(b"ratelimit", value.encode("ascii")), (b"ratelimit-policy", self.policy)]

    def retry_after_s(self) -> int:
        """Whole seconds until every bucket could serve such a request, at least one."""
        waits = (each.wait_us for each in self.drawn if each.tokens < self.cost)
        wait_us = max(waits, default=0)
        return max(1, -(-wait_us // 1_000_000))

    def problem(self) -> Problem:
        """The refusal; its RateLimit headers are added with those of every answer."""
        return Problem(429, RATE_LIMITED, TITLE, {"Retry-After": str(self.retry_after_s())})


class RateLimiter:
    """Charges callers; `use` gives it the store of the running process."""

    def __init__(self, settings: RateLimitSettings, store: TokenStore) -> None:
        window_s = settings.window_s
        self._caller = Quota("caller", settings.max_requests, window_s)
        self._tenant = Quota("tenant", settings.tenant_max_requests, window_s)
        self._address = Quota("address", settings.address_max_requests, window_s)
        self._sign_in = Quota("sign-in", settings.sign_in_max_attempts, window_s)
        self._store = store
        self._known: OrderedDict[tuple[str, str], _Drawn] = OrderedDict()
        self._policies: dict[tuple[Quota, ...], bytes] = {}
        self.gives_back = settings.skip_successful_requests

    def use(self, store: TokenStore) -> None:
        """Count in this store from now on."""
        self._store = store
        self._known.clear()

    async def charge_caller(self, tenant_id: str, subject: str, cost: int) -> Charge:
        """Charge a caller and the caller's tenant."""
        buckets = (("u:" + subject, self._caller), ("tenant", self._tenant))
        return await self._charge(tenant_id, buckets, cost)

    async def charge_address(self, client: str, cost: int) -> Charge:
        """Charge a client address, for requests that nobody answers for."""
        return await self._charge(
            PLATFORM, ((_hidden("a:", bucket_of(client)), self._address),), cost
        )

    async def charge_sign_in(self, tenant_id: str, account: str) -> Charge:
        """Charge an attempt to sign in, whatever address it comes from."""
        return await self._charge(tenant_id, ((_hidden("s:", account), self._sign_in),), 1)

    async def charge_sign_in_address(self, client: str) -> Charge:
        """Charge an attempt to sign in, whatever account it is for."""
        return await self._charge(PLATFORM, ((_hidden("i:", bucket_of(client)), self._sign_in),), 1)

    def give_back(self, charge: Charge) -> None:
        """Undo a charge, for requests that are not to count."""
        for each in charge.drawn:
            each.tokens += charge.cost

    async def _charge(
        self, tenant_id: str, buckets: Sequence[tuple[str, Quota]], cost: int
    ) -> Charge:
        drawn = [self._drawn(tenant_id, key, quota) for key, quota in buckets]
        paid = True
        for each in drawn:
            if each.tokens < cost:
                paid = await self._paid_by_drawing(tenant_id, drawn, cost)
                break
        else:
            for each in drawn:
                each.tokens -= cost
        policy = self._policy(tuple(quota for _, quota in buckets))
        return Charge(cost, drawn, policy, not paid)

    async def _paid_by_drawing(self, tenant_id: str, drawn: Sequence[_Drawn], cost: int) -> bool:
        """Pay with what is held and what the store gives to it; False: nothing was paid.

        What is held is put aside while the store is asked. Otherwise other requests spend it
        meanwhile, and this one is refused though its buckets are full.
        """
        now_s = time.monotonic()
        if any(each.refuses(cost, now_s) for each in drawn):
            return False
        aside = [min(each.tokens, cost) for each in drawn]
        for each, held in zip(drawn, aside, strict=True):
            each.tokens -= held
        lacking = [
            (each, cost - held) for each, held in zip(drawn, aside, strict=True) if held < cost
        ]
        paid = False
        try:
            paid = await self._draw(tenant_id, lacking, cost, now_s)
        finally:
            if not paid:
                for each, held in zip(drawn, aside, strict=True):
                    each.tokens += held
        if paid:
            for each, missing in lacking:
                each.tokens -= missing
        elif all(each.tokens >= cost for each in drawn):
            # Somebody else has drawn in advance what the store no longer has.
            paid = True
            for each in drawn:
                each.tokens -= cost
        return paid

    async def _draw(
        self, tenant_id: str, lacking: Sequence[tuple[_Drawn, int]], cost: int, now_s: float
    ) -> bool:
        """Draw what each lacks, and more where it may; False: a bucket did not have as much."""
        wants = [self._want(each, missing) for each, missing in lacking]
        for each, _ in lacking:
            each.asking += 1
        try:
            grants = await self._store.take(tenant_id, wants)
        finally:
            for each, _ in lacking:
                each.asking -= 1
        enough = True
        for (each, missing), want, grant in zip(lacking, wants, grants, strict=True):
            # Another request may have drawn meanwhile: what is held is added to, never set.
            each.tokens += grant.tokens
            each.left, each.ahead_us = grant.left(want), grant.ahead_us
            enough = enough and grant.tokens >= missing
            if not grant.tokens:
                each.wait_us = grant.wait_us(want)
                each.refused_until_s = now_s + each.wait_us / 1_000_000
                each.refused_cost = cost
        return enough

    def _want(self, drawn: _Drawn, missing: int) -> Want:
        quota = drawn.want.quota
        least = min(missing, quota.capacity)
        if drawn.asking:
            # In a burst, one request draws for those to come; each of the others for itself.
            return Want(drawn.want.key, quota, least, least)
        most = max(least, min(drawn.advance, quota.capacity // _ADVANCE_SHARE))
        drawn.advance = min(drawn.advance * 2, _ADVANCE_MOST)
        return Want(drawn.want.key, quota, least, most)

    def _drawn(self, tenant_id: str, key: str, quota: Quota) -> _Drawn:
        name = (tenant_id, key)
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = _Drawn(Want(key, quota, 1, 1))
            if len(self._known) > _KNOWN:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(name)
        return known

    def _policy(self, quotas: tuple[Quota, ...]) -> bytes:
        known = self._policies.get(quotas)
        if known is None:
            parts = [f'"{each.name}";q={each.capacity};w={each.window_s}' for each in quotas]
            known = self._policies[quotas] = ", ".join(parts).encode("ascii")
        return known


def _hidden(kind: str, personal: str) -> str:
    """The key of an address or an account name, which are not written down where we count."""
    return kind + hashlib.sha256(personal.encode("utf-8", "surrogatepass")).hexdigest()[:32]


async def charge_caller(scope: Scope, tenant_id: str, subject: str) -> None:
    """Charge who was just recognised for the route that was matched; 429 when it is too much."""
    exchange = scope.get(SCOPE_KEY)
    if exchange is None or exchange.charge is not None:
        return
    route = scope.get("route")
    cost = cost_of(scope["method"], str(getattr(route, "path", scope["path"])))
    if cost == 0:
        return
    exchange.charge = await exchange.limiter.charge_caller(tenant_id, subject, cost)
    if exchange.charge.refused:
        raise exchange.charge.problem()


async def charge_account(scope: Scope, tenant_id: str, account: str) -> None:
    """Charge an attempt to sign in to an account, however it is spelt; 429 when it is too much."""
    exchange = scope.get(SCOPE_KEY)
    if exchange is None:
        return
    charge = await exchange.limiter.charge_sign_in(tenant_id, account.strip().casefold())
    if charge.refused:
        exchange.charge = charge
        raise charge.problem()
