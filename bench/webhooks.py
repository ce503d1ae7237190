"""How many deliveries a second webhooks get while their receiver fails at times, and what is lost.

Events are written for many keys while several webhooks listen; every failed attempt goes its way
over a workflow. The receiver's own log says what arrived: every event at every webhook, in order
along each key at its first arrival, and under one id however often.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import asyncpg
import httpx
import typer

from bench.figure import Figure
from bench.webhook_receiver import ACCEPTED
from models.domain.ids import new_id
from sandbox.services.state_dir import hold
from sandbox.stack import DATABASE, Stack, StackOptions, forget_earlier_run
from settings import ROOT

DELIVERIES: Final = 20_000
WEBHOOKS: Final = 4
KEYS: Final = 500
FAILURES: Final = 0.05
SEED: Final = 7
TENANT: Final = "acme"
BATCH: Final = 250
LIMIT_S: Final = 3_600.0
STATE_DIR: Final = ROOT / ".run" / "bench-webhooks"
# As in production, but for the first wait, so that a measurement ends.
SCALED: Final = {"CAAS_WEBHOOKS__RETRY_FIRST_S": "0.2"}


@dataclass(frozen=True)
class Counted:
    """What the receiver's log says."""

    deliveries: int
    requests: int
    lost: int
    reordered: int
    other_ids: int
    unsigned: int
    seconds: float

    def figures(self) -> list[Figure]:
        """As they are printed."""
        return [
            Figure("webhooks.deliveries", self.deliveries, f"to {WEBHOOKS} webhooks"),
            Figure("webhooks.delivery_rate", round(self.deliveries / self.seconds, 1), "1/s"),
            Figure("webhooks.requests", self.requests, "those that failed and repeats included"),
            Figure("webhooks.lost", self.lost, "deliveries"),
            Figure("webhooks.reordered", self.reordered, "first arrivals along a webhook's key"),
            Figure("webhooks.duplicates_with_other_id", self.other_ids, "deliveries"),
            Figure("webhooks.bad_signatures", self.unsigned, "requests"),
        ]


async def measure(deliveries: int = DELIVERIES) -> list[Figure]:
    """On a stack of its own: only who delivers and who retries is started, and the API."""
    with hold(STATE_DIR):
        forget_earlier_run(STATE_DIR)
        stack = Stack(STATE_DIR, StackOptions(headless=True))
        try:
            await stack.start_surroundings()
            await asyncio.gather(stack.start_api(), stack.start_worker("worker-workflows", SCALED))
            counted = await deliver(stack, STATE_DIR, deliveries)
        finally:
            await stack.stop()
    return counted.figures()


async def deliver(
    stack: Stack, folder: Path, deliveries: int, keys: int = KEYS, tenant: str = TENANT
) -> Counted:
    """Write events until so many deliveries are due, and wait until all have arrived."""
    log, secrets = folder / f"receiver-{tenant}.jsonl", folder / f"secrets-{tenant}.json"
    log.unlink(missing_ok=True)
    async with _receiver(log, secrets) as url:
        told = await _registered(stack, url, tenant)
        secrets.write_text(json.dumps(told), "utf-8")
        connection = await asyncpg.connect(stack.postgres.dsn(DATABASE))
        try:
            started = time.monotonic()
            events = await _write(connection, tenant, deliveries // WEBHOOKS, keys)
            await _all_delivered(connection, tenant, len(events) * WEBHOOKS)
            seconds = time.monotonic() - started
        finally:
            await connection.close()
    return _counted(log, events, sorted(told), seconds)


@asynccontextmanager
async def _receiver(log: Path, secrets: Path) -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.webhook_receiver", "--log", str(log),
        "--secrets", str(secrets), "--failures", str(FAILURES), "--seed", str(SEED),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        port = int(await process.stdout.readline())
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


async def _registered(stack: Stack, url: str, tenant: str) -> dict[str, str]:
    """Webhooks at paths of the receiver, with their secrets."""
    token = stack.token("integrator-1", tenant, "tenant_admin")
    told = {}
    async with httpx.AsyncClient(base_url=stack.api_url, trust_env=False, timeout=30) as http:
        for number in range(WEBHOOKS):
            answer = await http.post(
                "/api/v1/webhooks",
                json={"url": f"{url}/hook/{number}"},
                headers={
                    "Authorization": f"Bearer {token}", "Idempotency-Key": new_id("key"),
                },
            )  # fmt: skip
            answer.raise_for_status()
            told[f"/hook/{number}"] = answer.json()["secret"]
    return told


async def _write(connection: Any, tenant: str, count: int, keys: int) -> dict[str, tuple[str, int]]:
    """Write events as the product does, many in a transaction; by id: key and number."""
    written: dict[str, tuple[str, int]] = {}
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        ids = [new_id("evt") for _ in numbers]
        names = [f"app_{number * 7919 % keys:032x}" for number in numbers]
        rows = await connection.fetch(
            "INSERT INTO outbox (event_id, tenant_id, key, type, data)"
            " SELECT e.id, $1, e.key, 'application.started', jsonb_build_object("
            "'subject_id', e.key, 'stage', 'identity', 'state', 'processing')"
            " FROM unnest($2::text[], $3::text[]) AS e (id, key) RETURNING event_id, key, seq",
            tenant, ids, names,
        )  # fmt: skip
        written |= {row["event_id"]: (row["key"], row["seq"]) for row in rows}
    return written


async def _all_delivered(connection: Any, tenant: str, expected: int) -> None:
    async with asyncio.timeout(LIMIT_S):
        while True:
            delivered = await connection.fetchval(
                "SELECT count(*) FROM webhook_deliveries"
                " WHERE tenant_id = $1 AND status = 'delivered'",
                tenant,
            )
            if delivered >= expected:
                return
            await asyncio.sleep(0.5)


def _counted(
    log: Path, events: dict[str, tuple[str, int]], paths: list[str], seconds: float
) -> Counted:
    requests = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    accepted = {(each["path"], each["event"]) for each in requests if each["status"] == ACCEPTED}
    due = {(path, event) for path in paths for event in events}
    ids: dict[tuple[str, str], set[str]] = defaultdict(set)
    last: dict[tuple[str, str], int] = {}
    reordered = 0
    for each in requests:
        delivery = each["path"], each["event"]
        if delivery not in ids:  # its first arrival
            line = each["path"], each["key"]
            reordered += each["sequence"] < last.get(line, 0)
            last[line] = max(each["sequence"], last.get(line, 0))
        ids[delivery].add(each["id"])
    return Counted(
        deliveries=len(due),
        requests=len(requests),
        lost=len(due - accepted),
        reordered=reordered,
        other_ids=sum(names != {event} for (_, event), names in ids.items()),
        unsigned=sum(not each["signed"] for each in requests),
        seconds=seconds,
    )


def main(deliveries: Annotated[int, typer.Option()] = DELIVERIES) -> None:
    """Print the figures; fail if anything was lost, reordered or told apart."""
    figures = asyncio.run(measure(deliveries))
    for figure in figures:
        print(figure.line(), flush=True)
    wrong = ("lost", "reordered", "other_id", "bad_signatures")
    if any(figure.value for figure in figures if figure.name.endswith(wrong)):
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
