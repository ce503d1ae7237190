"""What others see of a loan: the chain over plain JSON-RPC, the rows, the counterparties' journals.

Nothing of the product's own reading code is used here, so a mistake in it cannot hide itself.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import httpx
from eth_hash.auto import keccak

from sandbox.borrower import Borrower, persona
from sandbox.stack import Stack

POLL_S = 0.05
# Generous: it only decides how long a failure takes.
PATIENCE_S = 180.0


async def eventually(what: str, holds: Callable[[], Awaitable[Any]]) -> Any:
    """Poll until `holds` gives something true, and return it; fails naming what never came."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not (found := await holds()):
                await asyncio.sleep(POLL_S)
            return found
    except TimeoutError:
        raise AssertionError(f"never happened: {what}") from None


class NodeError(Exception):
    """A JSON-RPC error with its data."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(f"{error['code']} {error['message']}")
        self.code: int = error["code"]
        self.data: Any = error.get("data")


class Node:
    """An EVM node, asked with plain JSON-RPC posts."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self._http = http
        self._url = url
        self._ids = itertools.count(1)

    async def call(self, method: str, *params: object) -> Any:
        """One call's result; raises NodeError."""
        request = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        answer = (await self._http.post(self._url, json=request)).json()
        if "error" in answer:
            raise NodeError(answer["error"])
        return answer["result"]

    async def head(self) -> int:
        """The number of the newest block."""
        return int(await self.call("eth_blockNumber"), 16)

    async def view(self, to: str, signature: str, *words: str, block: int | None = None) -> str:
        """`eth_call` of a function whose arguments are whole 32-byte words, without 0x."""
        data = "0x" + selector(signature) + "".join(words)
        at = "latest" if block is None else hex(block)
        answer: str = await self.call("eth_call", {"to": to, "data": data}, at)
        return answer

    async def balance_of(self, token: str, owner: str, block: int | None = None) -> int:
        """Token units an account holds, after the given block or now."""
        return int(await self.view(token, "balanceOf(address)", word(owner), block=block), 16)

    async def disbursements(self, aggregator: str, loan_reference: str) -> list[dict[str, Any]]:
        """Every `Disbursed` event there ever was for a reference."""
        topics = [DISBURSED, loan_reference]
        asked = {"address": aggregator, "fromBlock": "0x0", "toBlock": "latest", "topics": topics}
        logs: list[dict[str, Any]] = await self.call("eth_getLogs", asked)
        return logs


def selector(signature: str) -> str:
    """The first four bytes of a signature's hash, without 0x."""
    return keccak(signature.encode()).hex()[:8]


def word(value: str | int) -> str:
    """An address, hash or number as a 32-byte word, without 0x."""
    number = int(value, 16) if isinstance(value, str) else value
    return f"{number:064x}"


DISBURSED = "0x" + keccak(b"Disbursed(bytes32,uint256,address,address,address,uint256)").hex()


class Truth:
    """The database as its superuser sees it, row-level security aside."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def rows(self, sql: str, *args: object) -> list[dict[str, Any]]:
        """All rows."""
        return [dict(row) for row in await self._connection.fetch(sql, *args)]

    async def value(self, sql: str, *args: object) -> Any:
        """The first column of the first row."""
        return await self._connection.fetchval(sql, *args)

    async def tables(self) -> list[str]:
        """Every table of ours."""
        rows = await self.rows(
            "SELECT table_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND column_name = 'tenant_id' ORDER BY 1"
        )
        return [row["table_name"] for row in rows]

    async def footprint(self, tenant_id: str) -> dict[str, int]:
        """How many rows a tenant has in each table where it has any.

        Without the seals: they follow what was written earlier, whatever is sent now.
        """
        counts = " UNION ALL ".join(
            f"SELECT '{table}' AS name, count(*) AS n FROM {table} WHERE tenant_id = $1"
            for table in await self.tables()
            if table not in ("audit_seals", "audit_unsealed")
        )
        return {row["name"]: row["n"] for row in await self.rows(counts, tenant_id) if row["n"]}

    async def actions(self, tenant_id: str) -> Counter[str]:
        """How often each action was audited for a tenant."""
        rows = await self.rows("SELECT action FROM audit_log WHERE tenant_id = $1", tenant_id)
        return Counter(row["action"] for row in rows)

    @staticmethod
    async def connect(stack: Stack) -> Truth:
        """Connect as superuser."""
        connection = await asyncpg.connect(stack.postgres.dsn("caas"))
        await connection.set_type_codec(
            "jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads
        )
        return Truth(connection)

    async def close(self) -> None:
        """Disconnect."""
        await self._connection.close()


@dataclass(frozen=True)
class Journals:
    """What the counterparties themselves wrote down."""

    stack: Stack

    def lines(self, name: str, kind: str = "effect") -> list[dict[str, Any]]:
        """A counterparty's lines of one kind."""
        path = self.stack.counterparty_log(name)
        written = path.read_text("utf-8").splitlines() if path.exists() else []
        return [line for line in map(json.loads, written) if line["kind"] == kind]

    def effects(self, name: str, effect: str, containing: str) -> list[dict[str, Any]]:
        """Effects of one sort whose line names the given id."""
        return [
            line
            for line in self.lines(name)
            if line["effect"] == effect and containing in json.dumps(line)
        ]

    def repeated(self, name: str) -> list[tuple[str, str]]:
        """(effect, business key) of everything that was done more than once."""
        done = Counter((line["effect"], line["key"]) for line in self.lines(name))
        return [what for what, times in done.items() if times > 1]


@dataclass(frozen=True)
class World:
    """The running product and everybody who can look at it."""

    stack: Stack
    http: httpx.AsyncClient
    node: Node
    truth: Truth
    journals: Journals

    def person(self, changes: Mapping[str, Any] | None = None, *, tenant: str = "") -> Borrower:
        """A new person, of a new tenant unless told which, with the approved persona's data.

        `changes` replace data by dotted name, such as `applicant.document.number`.
        """
        data = copy.deepcopy(persona("approved"))
        data["tenant"] = tenant or f"tenant-{secrets.token_hex(6)}"
        data["user_id"] = f"user-{secrets.token_hex(6)}"
        return self.as_(changed(data, changes or {}))

    def as_(self, data: Mapping[str, Any]) -> Borrower:
        """The borrower of this data."""
        at = self.stack.deployment
        assert at is not None
        token = self.stack.token(data["user_id"], data["tenant"], "applicant")
        return Borrower.of(self.http, data, self.stack.seed, at, token)

    def restated(self, person: Borrower, changes: Mapping[str, Any]) -> Borrower:
        """The same person, with other statements."""
        return replace(person, data=changed(copy.deepcopy(dict(person.data)), changes))

    def staff(self, tenant: str, role: str, name: str = "") -> dict[str, str]:
        """What authenticates a member of a tenant's staff."""
        token = self.stack.token(name or f"{role.replace('_', '-')}-1", tenant, role)
        return {"Authorization": f"Bearer {token}"}

    async def searched(self, tenant: str) -> dict[str, Any]:
        """What lenders say to a usual loan that nobody of this tenant has applied for yet."""
        criteria = {
            "amount_minor": 500_000, "currency": "USD", "term_months": 36, "jurisdiction": "US",
            "wallet": self.person(tenant=tenant).wallet.address,
        }  # fmt: skip
        answer = await self.http.post(
            "/api/v1/offers/search", json={"criteria": criteria},
            headers=self.staff(tenant, "integrator"),
        )  # fmt: skip
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def apply_until(self, person: Borrower, *states: str) -> dict[str, Any]:
        """Apply and follow the application into one of the states."""
        application_id = await person.apply()
        return await self.until(person, application_id, *states)

    async def until(self, person: Borrower, application_id: str, *states: str) -> dict[str, Any]:
        """Follow an application into one of the states; fails if it ends anywhere else."""
        view = await person.until(application_id, *states, timeout_s=PATIENCE_S)
        assert view["state"] in states, view
        return view

    async def fund(self, person: Borrower) -> dict[str, Any]:
        """Apply, accept the best offer, and follow to the end."""
        offered = await self.apply_until(person, "offered")
        await person.accept(offered["application_id"], offered["offers"][0])
        return await self.until(person, offered["application_id"], "funded")


@dataclass(frozen=True)
class Loan:
    """A funded application with the canaries its applicant stated."""

    person: Borrower
    view: dict[str, Any]
    stated: tuple[str, ...]

    @property
    def tenant(self) -> str:
        return str(self.person.data["tenant"])

    @property
    def application_id(self) -> str:
        return str(self.view["application_id"])

    @property
    def transaction(self) -> dict[str, Any]:
        return dict(self.view["transaction"])

    def workflow_ids(self) -> list[str]:
        application = f"{self.tenant}/{self.application_id}"
        return [
            f"credit-application/{application}",
            f"kyc/{self.tenant}/{self.person.data['user_id']}",
            f"risk-scoring/{application}",
            f"settlement/{application}",
        ]


def changed(data: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The data with values replaced by dotted name."""
    for name, value in changes.items():
        *path, last = name.split(".")
        place = data
        for part in path:
            place = place[part]
        place[last] = value
    return data


def refusal_of(answer: httpx.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """The problem document (RFC 9457) of an answer that must be this refusal."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert told["status"] == status
    assert told["type"] == "urn:caas:problem:" + told["code"].lower().replace("_", "-")
    assert told["title"]
    assert code in (None, told["code"]), told
    return told
