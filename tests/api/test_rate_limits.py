"""Who is charged for what, what the answers say of it, and that no trick gets around it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.rate_costs import COSTS, HEAVY, READ, WRITE, cost_of
from api.rate_limits import RateLimiter, charge_account
from models.domain.quota import Grant, Want
from settings import APISettings, RateLimitSettings, Settings
from tests.api.answers import problem

Bearer = Callable[..., dict[str, str]]
APPLICATION = "/api/v1/applications/app_" + "0" * 32
LIMITS = RateLimitSettings(
    window_s=3_600,
    max_requests=40,
    tenant_max_requests=60,
    address_max_requests=20,
    sign_in_max_attempts=3,
)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    proxied = APISettings(trusted_proxies=["127.0.0.0/8"])
    return settings.model_copy(update={"rate_limit": LIMITS, "api": proxied})


async def spend(http: httpx.AsyncClient, times: int, **how: Any) -> list[int]:
    return [(await http.get(APPLICATION, **how)).status_code for _ in range(times)]


def left(answer: httpx.Response) -> int:
    found = re.fullmatch(r'"[a-z-]+";r=(\d+);t=\d+', answer.headers["ratelimit"])
    assert found, answer.headers["ratelimit"]
    return int(found[1])


async def test_a_caller_is_served_until_the_bucket_is_empty(
    http: httpx.AsyncClient, bearer: Bearer
) -> None:
    zelda = bearer("support")
    assert await spend(http, 40, headers=zelda) == [404] * 40
    refused = await http.get(APPLICATION, headers=zelda)
    problem(refused, 429, "RATE_LIMITED")
    # A token comes back every 90 seconds.
    assert 80 <= int(refused.headers["retry-after"]) <= 90
    assert refused.headers["ratelimit"].startswith('"caller";r=0;t=')
    assert await spend(http, 1, headers=bearer("support", subject="yorick")) == [404]


async def test_answers_tell_what_is_left(http: httpx.AsyncClient, bearer: Bearer) -> None:
    first = await http.get(APPLICATION, headers=bearer("support"))
    assert first.headers["ratelimit-policy"] == '"caller";q=40;w=3600, "tenant";q=60;w=3600'
    assert first.headers["ratelimit"] == '"caller";r=39;t=90'
    assert left(await http.get(APPLICATION, headers=bearer("support"))) == 38


async def test_a_tenant_shares_a_bucket_of_its_own(http: httpx.AsyncClient, bearer: Bearer) -> None:
    assert await spend(http, 40, headers=bearer("support", subject="a")) == [404] * 40
    assert await spend(http, 20, headers=bearer("support", subject="b")) == [404] * 20
    refused = await http.get(APPLICATION, headers=bearer("support", subject="c"))
    problem(refused, 429, "RATE_LIMITED")
    assert refused.headers["ratelimit"].startswith('"tenant";r=0')
    other = bearer("support", subject="c", tenant="other")
    assert await spend(http, 1, headers=other) == [404]


async def test_writes_cost_more_than_reads(
    http: httpx.AsyncClient, bearer: Bearer, application_body: dict[str, Any]
) -> None:
    zelda = {**bearer("applicant"), "idempotency-key": "k" * 16}
    answer = await http.post("/api/v1/applications", json=application_body, headers=zelda)
    assert left(answer) == 40 - HEAVY
    answer = await http.post(f"{APPLICATION}/withdraw", json={}, headers=zelda)
    assert left(answer) == 40 - HEAVY - WRITE


async def test_every_cost_is_of_a_route(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    to_come = {"/auth/login", "/auth/register"}
    for method, path in COSTS:
        assert path in to_come or method.lower() in paths[path], path
    assert max(COSTS.values()) <= 20  # what the smallest bucket holds
    assert (cost_of("GET", "/x"), cost_of("POST", "/x"), cost_of("BREW", "/x")) == (
        READ,
        WRITE,
        WRITE,
    )


# Those who show no credentials, or bad ones.


async def test_an_address_without_credentials_is_limited(http: httpx.AsyncClient) -> None:
    answers = [await http.get("/nothing") for _ in range(20)]
    assert {answer.status_code for answer in answers} == {404}
    assert answers[0].headers["ratelimit-policy"] == '"address";q=20;w=3600'
    problem(await http.get("/nothing"), 429, "RATE_LIMITED")
    problem(await http.get("/docs"), 429, "RATE_LIMITED")


async def test_bad_tokens_are_told_so_only_a_few_times(
    http: httpx.AsyncClient, bearer: Bearer
) -> None:
    spoilt = [{"authorization": f"Bearer guess-{number}"} for number in range(6)]
    answers = [await http.get(APPLICATION, headers=each) for each in spoilt]
    assert [answer.status_code for answer in answers] == [401] * 4 + [429] * 2
    # Whoever has a good one behind the same address is not concerned.
    assert await spend(http, 1, headers=bearer("support")) == [404]


async def test_a_vendor_is_not_limited_but_a_forger_is(http: httpx.AsyncClient) -> None:
    answers = [await http.post("/callbacks/identity", json={}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 4 + [429] * 2


async def test_probes_are_never_refused(http: httpx.AsyncClient) -> None:
    for _ in range(25):
        assert (await http.get("/healthz")).status_code == 204
        ready = await http.get("/readyz")
        assert ready.status_code == 200
        assert "ratelimit" not in ready.headers


# Tricks.


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/NOTHING", "/nothing/", "//nothing", "/nothing?x=1", "/%6eothing", "/docs/../x"],
)
async def test_another_spelling_is_no_other_bucket(http: httpx.AsyncClient, path: str) -> None:
    for _ in range(20):
        await http.get("/nothing")
    problem(await http.get(path), 429, "RATE_LIMITED")


async def test_many_keys_and_sessions_of_one_caller_share_the_bucket(
    http: httpx.AsyncClient, bearer: Bearer
) -> None:
    served = 0
    for number in range(60):  # each token is another one
        headers = {**bearer("support"), "idempotency-key": f"key-{number:08}"}
        served += (await http.get(APPLICATION, headers=headers)).status_code == 404
    assert served == 40


async def test_a_forwarded_address_is_another_client_only_from_our_proxy(
    http: httpx.AsyncClient, app: FastAPI
) -> None:
    """The test's client is 127.0.0.1, a listed proxy; another peer's word is not taken."""
    for _ in range(21):
        await http.get("/nothing", headers={"x-forwarded-for": "203.0.113.7"})
    spent = {"x-forwarded-for": "203.0.113.7"}
    problem(await http.get("/nothing", headers=spent), 429, "RATE_LIMITED")
    # What the client itself put in front of the list does not help it.
    for forged in ("198.51.100.1, 203.0.113.7", "nobody, 203.0.113.7", ", 203.0.113.7"):
        answer = await http.get("/nothing", headers={"x-forwarded-for": forged})
        problem(answer, 429, "RATE_LIMITED")
    other = await http.get("/nothing", headers={"x-forwarded-for": "203.0.113.8"})
    assert other.status_code == 404
    stranger = httpx.ASGITransport(app, client=("192.0.2.1", 1))
    async with httpx.AsyncClient(transport=stranger, base_url="http://api") as outside:
        for number in range(20):
            forged = f"10.0.0.{number}"
            await outside.get("/nothing", headers={"x-forwarded-for": forged, "forwarded": "for=1"})
        answer = await outside.get("/nothing", headers={"x-forwarded-for": "10.9.9.9"})
        problem(answer, 429, "RATE_LIMITED")


@pytest.mark.parametrize(
    "header", ["x-user", "x-tenant", "x-tenant-id", "x-user-id", "x-roles", "x-forwarded-user",
               "x-authenticated-userid", "x-remote-user", "x-original-url", "x-rewrite-url"],
)  # fmt: skip
async def test_an_identity_in_a_header_is_nobodys(
    http: httpx.AsyncClient, bearer: Bearer, header: str
) -> None:
    for value in ("admin", "platform", "other", "/readyz"):
        problem(await http.get(APPLICATION, headers={header: value}), 401, "UNAUTHENTICATED")
    ours = {**bearer("applicant"), header: "tenant_admin"}
    problem(await http.get("/api/v1/reviews", headers=ours), 403, "NOT_ALLOWED")


# Signing in.


async def test_attempts_to_sign_in_are_few_for_an_address(http: httpx.AsyncClient) -> None:
    statuses = []
    for number in range(4):
        body = {"tenant": "acme", "email": f"p{number}@example.org", "password": "x"}
        statuses.append((await http.post("/auth/login", json=body)).status_code)
    assert statuses[3] == 429
    assert 429 not in statuses[:2]


async def test_attempts_to_sign_in_are_few_for_an_account(settings: Settings, app: FastAPI) -> None:
    limiter: RateLimiter = app.state.front_door.limiter

    class Asked:
        charge: Any = None

    asked: Any = Asked()
    asked.limiter = limiter
    for spelling in ("Zelda@example.org", "zelda@example.org ", "ZELDA@EXAMPLE.ORG"):
        await charge_account({"caas.exchange": asked}, "acme", spelling)
    with pytest.raises(Exception, match="RATE_LIMITED"):
        await charge_account({"caas.exchange": asked}, "acme", "zelda@example.org")
    await charge_account({"caas.exchange": asked}, "acme", "yorick@example.org")
    await charge_account({"caas.exchange": asked}, "other", "zelda@example.org")


# What is not to count, and what is drawn in advance.


async def test_what_was_not_refused_need_not_count(
    http: httpx.AsyncClient, app: FastAPI, bearer: Bearer
) -> None:
    app.state.front_door.limiter.gives_back = True
    statuses = {
        (await http.get("/api/v1/reviews", headers=bearer("support"))).status_code
        for _ in range(60)
    }
    assert statuses == {200}
    assert (await spend(http, 60, headers=bearer("support"))).count(404) == 40


class CountingStore:
    """Buckets that are never filled again; counts who asks."""

    def __init__(self) -> None:
        self._buckets: dict[str, int] = {}
        self.asked = 0

    async def take(self, tenant_id: str, wants: list[Want]) -> list[Grant]:
        self.asked += 1
        grants = []
        for want in wants:
            there = self._buckets.setdefault(want.key, want.quota.capacity)
            given = min(there, want.most) if there >= want.least else 0
            self._buckets[want.key] = there - given
            interval = want.quota.interval_us
            grants.append(Grant(given, (want.quota.capacity - there + given) * interval))
        return grants

    async def ready(self) -> bool:
        return True


async def test_tokens_are_drawn_in_advance_and_never_given_out_twice() -> None:
    limits = RateLimitSettings(window_s=3_600, max_requests=1_000, tenant_max_requests=10_000)
    store: Any = CountingStore()
    processes = [RateLimiter(limits, store) for _ in range(3)]
    for each in processes:
        each.use(store)
    served = refused = 0
    while refused < 100:
        for each in processes:
            charge = await each.charge_caller("acme", "zelda", 1)
            served += not charge.refused
            refused += charge.refused
    assert 900 <= served <= 1_000
    assert store.asked < served / 5
    asked = store.asked
    for _ in range(50):  # a refusal is known here until it would be another answer
        assert (await processes[0].charge_caller("acme", "zelda", 1)).refused
    assert store.asked == asked


class DistantStore(CountingStore):
    """As any store that is asked over a network: others go on meanwhile."""

    async def take(self, tenant_id: str, wants: Sequence[Want]) -> list[Grant]:
        grants = await super().take(tenant_id, wants)
        await asyncio.sleep(0)
        return grants


async def test_nobody_is_refused_for_what_others_spend_while_the_store_is_asked() -> None:
    limits = RateLimitSettings(window_s=3_600, max_requests=10_000, tenant_max_requests=10_000)
    store: Any = DistantStore()
    limiter = RateLimiter(limits, store)
    costs = [1, 10, 1, 1, 5, 1] * 50
    charges = await asyncio.gather(
        *(limiter.charge_caller("acme", f"u{n % 7}", cost) for n, cost in enumerate(costs))
    )
    assert not [each for each in charges if each.refused]
    # What was paid is gone: together with what is still held, the bucket is as full as before.
    held = limiter._known["acme", "tenant"].tokens
    assert store._buckets["tenant"] + held == 10_000 - sum(costs)
