"""Accepts that race: over some applications at once, each asked to accept in every way there is.

Twenty accepts an application, all at the same moment: several people's worth of signatures over the
same offer, a double click (one request sent four times), the same acceptance under other keys,
other offers, and offers that have expired. Half go by the application's path, half by the offer's.
Some lenders hear the acceptance and hang up before they answer.

What happened is read where the product cannot have written it down wrongly to please: from the
client's own answers, the rows as the superuser sees them, and the lenders' own journals.
"""

from __future__ import annotations

import asyncio
import json
import random
import secrets
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import asyncpg
import httpx

from clients.python.caas_client.types import OfferAnswer
from sandbox.borrower import TERMINAL, Borrower, persona
from sandbox.stack import Stack
from sandbox.stack_settings import BANK, FINTECH, POOL
from sandbox.steering import steer, unsteer

PER_APPLICATION: Final = 20
TENANT: Final = "sandbox"
# A term nobody else asks for: the bank's quotes for it expire within seconds.
SHORT_TERM_MONTHS: Final = 31
SHORT_VALIDITY_S: Final = 3.0
_SHORT: Final = "race-short-quotes"
_ACCEPT_ROUTES: Final = {
    "bank": "POST /v1/quotes/{quote_id}/accept",
    "fintech": "POST /v2/offers/{quote_id}/acceptances",
    "pool_underwriter": "POST /v1/quotes/{quote_id}/accept",
}
_RULES_AT_ONCE: Final = 100
_LIMIT_S: Final = 900.0
_LOOK_EVERY_S: Final = 0.5


@dataclass(frozen=True)
class Racer:
    """An application whose offers are on record."""

    person: Borrower
    application_id: str
    offers: tuple[OfferAnswer, ...]


@dataclass(frozen=True)
class Heard:
    """What one accept was answered; status 0: nothing."""

    application_id: str
    offer_id: str
    signature: str
    status: int
    code: str = ""


@dataclass
class Result:
    """What the race showed; the last three must be none."""

    applications: int
    answers: Counter[str] = field(default_factory=Counter)
    swallowed: int = 0
    seconds: float = 0.0
    two_accepted: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    double_effects: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Accepts that were sent."""
        return sum(self.answers.values())


async def race(
    stack: Stack, http: httpx.AsyncClient, count: int, *, tenant: str = TENANT, seed: int = 1,
    applying: int = 25, racing: int = 4, swallowing: int = 5,
) -> Result:  # fmt: skip
    """Bring `count` applications to their offers, race, wait for the endings, and look.

    `applying` apply and `racing` are raced at a time; every `swallowing`th lender hangs up on the
    first acceptance it hears.
    """
    result, rng = Result(count), random.Random(seed)
    truth = await asyncpg.create_pool(stack.postgres.dsn("caas"), min_size=1, max_size=4)
    try:
        await steer(stack, "bank", [_short_quotes()])
        people = [_person(stack, http, tenant, number) for number in range(count)]
        racers = await _offered(truth, people, applying)
        await _expired(racers)
        rules = await _hang_up(stack, truth, racers[::swallowing])
        heard: list[Heard] = []
        clock = asyncio.get_running_loop().time
        began = clock()
        for start in range(0, count, racing):
            lot = racers[start : start + racing]
            heard += await _raced(rng, lot, racers[start - 1])
        result.seconds = clock() - began
        result.answers = Counter(f"{each.status} {each.code}".strip() for each in heard)
        heard += await _insisted(racers, heard)
        await _ended(truth, racers)
        result.swallowed = await _forget(stack, rules)
        await _judge(stack, truth, racers, heard, result)
    finally:
        await truth.close()
        await unsteer(stack, "bank", _SHORT)
    return result


def _short_quotes() -> dict[str, Any]:
    match = {
        "endpoint": "POST /v1/quotes", "field": "term_months", "equals": SHORT_TERM_MONTHS,
    }  # fmt: skip
    return {"id": _SHORT, "match": match, "do": {"validity_s": SHORT_VALIDITY_S}}


def _person(stack: Stack, http: httpx.AsyncClient, tenant: str, number: int) -> Borrower:
    assert stack.deployment is not None
    data = {**persona("approved"), "tenant": tenant}
    data["user_id"] = f"racer-{number}-{secrets.token_hex(4)}"
    if number % 4 == 0:
        data["term_months"] = SHORT_TERM_MONTHS
    token = stack.token(data["user_id"], tenant, "applicant")
    return Borrower.of(http, data, stack.seed, stack.deployment, token)


async def _offered(truth: Any, people: Sequence[Borrower], at_once: int) -> list[Racer]:
    """Everybody applies, so many at a time, and has offers on record."""
    room = asyncio.Semaphore(at_once)

    async def one(person: Borrower) -> Racer:
        async with room:
            application_id = await person.apply()
            await _until(truth, [application_id], ("offered", *TERMINAL))
            view = await person.view(application_id)
        if view["state"] != "offered":
            raise RuntimeError(f"the application is {view['state']}: {view['reasons']}")
        return Racer(person, application_id, tuple(view["offers"]))

    return list(await asyncio.gather(*map(one, people)))


async def _expired(racers: Sequence[Racer]) -> None:
    """Until the short quotes have expired: nobody can say who is first at the very moment."""
    now = datetime.now(UTC)
    soon = [
        at
        for racer in racers
        for each in racer.offers
        if (at := datetime.fromisoformat(each["expires_at"])) < now + timedelta(minutes=1)
    ]
    if soon:
        await asyncio.sleep(max(0.0, (max(soon) - now).total_seconds()))


async def _hang_up(stack: Stack, truth: Any, racers: Iterable[Racer]) -> dict[str, list[str]]:
    """Tell lenders to hear acceptances of these loans' offers, and hang up once."""
    ids = [each["offer_id"] for racer in racers for each in racer.offers]
    rows = await truth.fetch(
        "SELECT quote_id, provider_id FROM offers WHERE offer_id = ANY($1::text[])", ids
    )
    rules: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        name = _counterparty(row["provider_id"])
        match = {
            "endpoint": _ACCEPT_ROUTES[name], "field": "path.quote_id", "equals": row["quote_id"],
        }  # fmt: skip
        rule = {"id": f"race-{row['quote_id']}", "match": match, "times": 1}
        rules[name].append({**rule, "do": {"swallow_reply": True}})
    for name, told in rules.items():
        for start in range(0, len(told), _RULES_AT_ONCE):
            await steer(stack, name, told[start : start + _RULES_AT_ONCE])
    return {name: [each["id"] for each in told] for name, told in rules.items()}


async def _forget(stack: Stack, rules: Mapping[str, list[str]]) -> int:
    """Forget the rules; how often a lender did hang up."""
    swallowed = 0
    for name, ids in rules.items():
        ours = set(ids)
        for rule_id in ids:
            await unsteer(stack, name, rule_id)
        swallowed += sum(
            line["kind"] == "steered" and line["rule"] in ours for line in _journal(stack, name)
        )
    return swallowed


async def _raced(rng: random.Random, lot: Sequence[Racer], other: Racer) -> list[Heard]:
    """All accepts of a few applications at the same moment."""
    sends = [send for racer in lot for send in _accepts(rng, racer, other)]
    rng.shuffle(sends)
    return list(await asyncio.gather(*(_sent(*send) for send in sends)))


Send = tuple[Racer, dict[str, Any], str, bool]


def _accepts(rng: random.Random, racer: Racer, other: Racer) -> list[Send]:
    """Twenty accepts: application, body, key, and whether by the offer's own path."""
    offers = list(racer.offers)
    rng.shuffle(offers)
    wanted, rest = offers[0], offers[1:] or offers
    sign = racer.person.acceptance_body
    clicked, key = dict(sign(wanted)), secrets.token_urlsafe(16)
    bodies = [(clicked, key)] * 4
    bodies += [(clicked, secrets.token_urlsafe(16)) for _ in range(2)]
    bodies += [(dict(sign(wanted)), secrets.token_urlsafe(16)) for _ in range(6)]
    others = [rest[number % len(rest)] for number in range(6)] + [other.offers[0]] * 2
    bodies += [(dict(sign(each)), secrets.token_urlsafe(16)) for each in others]
    assert len(bodies) == PER_APPLICATION
    # A double click goes by one path: the key belongs to it.
    paths = [False] * 4 + [number % 2 == 0 for number in range(PER_APPLICATION - 4)]
    return [(racer, body, key, path) for (body, key), path in zip(bodies, paths, strict=True)]


async def _sent(racer: Racer, body: dict[str, Any], key: str, by_offer: bool) -> Heard:
    path, sent = f"/api/v1/applications/{racer.application_id}/accept", body
    if by_offer:
        path = f"/api/v1/offers/{body['offer_id']}/accept"
        sent = {name: value for name, value in body.items() if name != "offer_id"}
    headers = {**racer.person.headers(), "Idempotency-Key": key}
    heard = Heard(racer.application_id, body["offer_id"], body["signature"].lower(), 0)
    try:
        answer = await racer.person.http.post(path, json=sent, headers=headers)
    except httpx.TransportError as error:
        return replace(heard, code=type(error).__name__)
    code = "" if answer.is_success else str(answer.json()["code"])
    return replace(heard, status=answer.status_code, code=code)


async def _insisted(racers: Sequence[Racer], heard: Sequence[Heard]) -> list[Heard]:
    """Whoever was told "later" by all of the crowd comes back alone."""
    done = {each.application_id for each in heard if each.status == 200}
    late: list[Heard] = []
    for racer in racers:
        if racer.application_id in done:
            continue
        view = await racer.person.view(racer.application_id)
        for offer in view["offers"]:
            if view["state"] == "offered" and offer["status"] == "open":
                body = dict(racer.person.acceptance_body(offer))
                late.append(await _sent(racer, body, secrets.token_urlsafe(16), False))
                break
    return late


async def _ended(truth: Any, racers: Sequence[Racer]) -> None:
    await _until(truth, [each.application_id for each in racers], tuple(TERMINAL))


async def _until(truth: Any, ids: Sequence[str], states: Sequence[str]) -> None:
    others = (
        "SELECT count(*) FROM applications WHERE application_id = ANY($1::text[])"
        " AND NOT state = ANY($2::text[])"
    )
    async with asyncio.timeout(_LIMIT_S):
        while True:
            if not await truth.fetchval(others, list(ids), list(states)):
                return
            await asyncio.sleep(_LOOK_EVERY_S)


async def _judge(
    stack: Stack, truth: Any, racers: Sequence[Racer], heard: Sequence[Heard], result: Result
) -> None:
    """Fill in what must be none."""
    ids = [each.application_id for each in racers]
    rows = await truth.fetch(
        "SELECT a.application_id, a.state, o.offer_id, o.acceptance->>'signature' AS signature"
        " FROM applications a LEFT JOIN offers o ON o.tenant_id = a.tenant_id"
        " AND o.application_id = a.application_id AND o.status = 'accepted'"
        " WHERE a.application_id = ANY($1::text[])",
        ids,
    )
    on_record: dict[str, set[tuple[str, str]]] = {each: set() for each in ids}
    for row in rows:
        if row["offer_id"] is not None:
            on_record[row["application_id"]].add((row["offer_id"], row["signature"]))
    funded = {row["application_id"] for row in rows if row["state"] == "funded"}
    promised: dict[str, set[tuple[str, str]]] = {each: set() for each in ids}
    for one in heard:
        if one.status == 200:
            promised[one.application_id].add((one.offer_id, one.signature))
    for each in ids:
        if len(on_record[each]) > 1 or len(promised[each]) > 1:
            result.two_accepted.append(each)
        if not promised[each] or not promised[each] <= on_record[each] or each not in funded:
            result.lost.append(each)
    result.double_effects += _done_twice(stack)


def _done_twice(stack: Stack) -> list[str]:
    """What lenders did more than once under one key, or for one loan."""
    done: Counter[str] = Counter()
    for name in _ACCEPT_ROUTES:
        for line in _journal(stack, name):
            if line["kind"] == "effect":
                done[f"{name} {line['effect']} {line['key']}"] += 1
                if line["effect"] == "quote.confirmed":
                    done[f"confirmed {line['loan_reference']}"] += 1
    return [what for what, times in done.items() if times > 1]


def _journal(stack: Stack, name: str) -> list[dict[str, Any]]:
    path = stack.counterparty_log(name)
    written = path.read_text("utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in written]


def _counterparty(provider_id: str) -> str:
    return {BANK: "bank", FINTECH: "fintech", POOL: "pool_underwriter"}[provider_id]
