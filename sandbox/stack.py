"""Everything the product runs on, on this machine: real services, counterparties, our processes.

The product is started as anywhere else, from its own entry points and `CAAS_…` settings: the
sandbox only supplies addresses and keys, which are drawn anew for every state directory.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx

from adapters.postgres.schema import migrate
from sandbox.access import Access
from sandbox.counterparties.issuer import SandboxIssuer
from sandbox.services.chain import SANDBOX_CHAIN_ID, Anvil
from sandbox.services.deployment import Deployment, deploy
from sandbox.services.kafka import KafkaBroker
from sandbox.services.pool_deployment import deploy_pool
from sandbox.services.ports import LOOPBACK, claim_port, port_number
from sandbox.services.postgres import Postgres
from sandbox.services.process import ManagedProcess
from sandbox.services.temporal import TemporalServer
from sandbox.services.valkey import Valkey
from sandbox.stack_secrets import DATABASE_ROLES, Secrets
from sandbox.stack_settings import LENDERS, counterparty_settings, product_settings
from sandbox.wallets import DEVELOPMENT_DEPLOYER_KEY, Wallet, seed_in, wallet
from settings import ROOT

DATABASE: Final = "caas"
_START_LIMIT_S: Final = 240.0

# Which roles share a process here; a production deployment gives each its own.
WORKER_GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "worker-workflows": ("workflows", "relay"),
    "worker-scoring": ("scoring",),
    "worker-chain": ("chain",),
}

Say = Callable[[str], None]


@dataclass(frozen=True)
class StackOptions:
    """What may differ between a demo and a test; None for a port means any free one."""

    block_time_s: int = 1
    confirmations: int = 3
    headless: bool = False
    durable: bool = True
    chain_saved: bool = True  # without it the chain does not outlive its process
    quote_validity_s: int = 900
    identity_delay_s: float = 0.5
    workflow_sandbox: bool = True
    soap_bank: bool = False  # a fourth lender, which the demo does without
    ports: Mapping[str, int] = field(default_factory=dict)

    @staticmethod
    def ports_from(environment: Mapping[str, str]) -> dict[str, int]:
        """Ports set by `CAAS_…_PORT`; NotAPortError names the one that is no port."""
        ports = {}
        for name in ("API", "POSTGRES", "TEMPORAL", "TEMPORAL_UI", "CHAIN", "KAFKA", "VALKEY"):
            text = environment.get(f"CAAS_{name}_PORT", "")
            if text:
                ports[name] = port_number(text, f"CAAS_{name}_PORT")
        return ports


class Stack:
    """The whole product with everything around it; `start` it, use it, `stop` it."""

    def __init__(self, state_dir: Path, options: StackOptions = StackOptions()) -> None:
        self.state_dir = state_dir.absolute()
        self.options = options
        ports = options.ports
        self.postgres = Postgres(self.state_dir, ports.get("POSTGRES"), durable=options.durable)
        self.chain = Anvil(
            self.state_dir, SANDBOX_CHAIN_ID, options.block_time_s, ports.get("CHAIN"),
            saved=options.chain_saved,
        )  # fmt: skip
        self.kafka = KafkaBroker(self.state_dir, ports.get("KAFKA"))
        self.valkey = Valkey(self.state_dir, ports.get("VALKEY"))
        self.api_port = claim_port(ports.get("API"), "CAAS_API_PORT")
        self.temporal = TemporalServer(
            self.state_dir,
            ports.get("TEMPORAL"),
            ports.get("TEMPORAL_UI"),
            codec_endpoint=f"{self.api_url}/codec",
            headless=options.headless,
        )
        self.issuer = SandboxIssuer.create(self.state_dir / "issuer")
        seed = seed_in(self.state_dir)
        self.lender: Wallet = wallet("lender:bank", seed)
        self.fintech_lender: Wallet = wallet("lender:fintech", seed)
        self.soap_lender: Wallet = wallet("lender:soap-bank", seed)
        self.underwriter: Wallet = wallet("underwriter:pool", seed)
        self.relayer: Wallet = wallet("relayer", seed)
        self.seed = seed
        self.deployment: Deployment | None = None
        self.pool = ""  # the lending pool's address, once the chain is started
        self.processes: dict[str, ManagedProcess] = {}
        self._ports: dict[str, int] = {}
        self.secrets = Secrets()

    @property
    def api_url(self) -> str:
        """Where the API listens."""
        return f"http://{LOOPBACK}:{self.api_port}"

    async def start(self, say: Say = lambda _: None) -> None:
        """Start everything in the order it is needed; `say` hears what is ready."""
        await self.start_surroundings(say)
        await asyncio.gather(self.start_api(), *(self.start_worker(name) for name in WORKER_GROUPS))
        say("API and workers")

    async def start_surroundings(self, say: Say = lambda _: None) -> None:
        """Start all but the product's own processes."""
        await asyncio.gather(
            self._start_database(say),
            self._start_chain(say),
            self._start_temporal(say),
            self._start_kafka(say),
            self._start_cache(say),
        )
        others = ("soap_bank",) if self.options.soap_bank else ()
        names = (*_COUNTERPARTIES, *others)
        await asyncio.gather(*(self._start_counterparty(name) for name in names))
        say("identity vendor, credit bureau, mail house, bank, fintech and pool underwriter")
        Access.of(self).write(self.state_dir)

    async def stop(self) -> None:
        """Stop everything in the reverse order; leaves no process."""
        await asyncio.gather(*(each.terminate() for each in self.processes.values()))
        await asyncio.gather(*(each.stop() for each in self._services()))

    def managed(self) -> list[ManagedProcess]:
        """The processes of a started stack, as they are now."""
        return [*(each.process for each in self._services()), *self.processes.values()]

    def _services(self) -> tuple[Postgres | Anvil | TemporalServer | KafkaBroker | Valkey, ...]:
        return self.postgres, self.chain, self.temporal, self.kafka, self.valkey

    async def start_api(self, extra: Mapping[str, str] | None = None) -> ManagedProcess:
        """Start the API as it is started anywhere."""
        process = await self._start_process("api", [sys.executable, "-m", "api"], extra)

        async def answers() -> bool:
            return await _answers(f"{self.api_url}/readyz")

        await process.ready(answers, _START_LIMIT_S)
        return process

    async def start_worker(
        self, name: str, extra: Mapping[str, str] | None = None
    ) -> ManagedProcess:
        """Start one worker process, `worker-chain` or another of its kind, `worker-chain#2`.

        Returns when it polls its task queues.
        """
        group = WORKER_GROUPS[name.partition("#")[0]]
        roles = [part for role in group for part in ("--role", role)]
        process = await self._start_process(name, [sys.executable, "worker.py", *roles], extra)

        async def polls() -> bool:
            return "READY" in process.log_tail()

        await process.ready(polls, _START_LIMIT_S)
        return process

    def environment(self) -> dict[str, str]:
        """The settings of our processes, as an operator would export them."""
        return product_settings(self)

    def database_url(self, role: str) -> str:
        """The product's database, as that role of it."""
        return self.postgres.dsn(DATABASE, f"caas_{role}", self.secrets.database[role])

    def callback_secret(self) -> str:
        """What the identity vendor signs with: for tests that play the vendor."""
        return self.secrets.callback_secret

    def token(self, subject: str, tenant: str, *roles: str, **overrides: Any) -> str:
        """An access token of the sandbox issuer."""
        return self.issuer.token(subject, tenant, list(roles), **overrides)

    @property
    def steering_secret(self) -> str:
        """What lets a caller tell the counterparties how to behave (sandbox/steering.py)."""
        return self.secrets.steering

    def counterparty_url(self, name: str) -> str:
        """Where a counterparty listens."""
        return f"http://{LOOPBACK}:{self._ports[name]}"

    def counterparty_log(self, name: str) -> Path:
        """What a counterparty itself wrote down about its requests and effects."""
        return self.state_dir / "counterparties" / f"{name}.jsonl"

    async def _start_database(self, say: Say) -> None:
        await self.postgres.start()
        say("PostgreSQL")
        administrator = await asyncpg.connect(self.postgres.dsn())
        try:
            known = await administrator.fetchval(
                "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", DATABASE
            )
            if not known:
                await administrator.execute(
                    f"CREATE ROLE caas_owner LOGIN CREATEROLE PASSWORD '{self.secrets.owner}'"
                )
                await administrator.execute(f"CREATE DATABASE {DATABASE} OWNER caas_owner")
            await migrate(self.postgres.dsn(DATABASE, "caas_owner", self.secrets.owner))
            for role in DATABASE_ROLES:
                await administrator.execute(
                    f"ALTER ROLE caas_{role} LOGIN PASSWORD '{self.secrets.database[role]}'"
                )
        finally:
            await administrator.close()
        say("database schema")

    async def _start_chain(self, say: Say) -> None:
        await self.chain.start()
        self.deployment = await deploy(
            self.chain.rpc_url,
            self.chain.chain_id,
            DEVELOPMENT_DEPLOYER_KEY,
            [each.private_key for each in self._lending_accounts()],
            relayer=self.relayer.address,
        )
        self.pool = await deploy_pool(
            self.chain.rpc_url, self.deployment, DEVELOPMENT_DEPLOYER_KEY, self.underwriter.address
        )
        say(f"EVM chain {self.chain.chain_id} with CreditAggregator {self.deployment.aggregator}")

    def _lending_accounts(self) -> list[Wallet]:
        """Lenders that pay from accounts of their own; the pool is a contract."""
        accounts = [self.lender, self.fintech_lender]
        return [*accounts, self.soap_lender] if self.options.soap_bank else accounts

    async def _start_temporal(self, say: Say) -> None:
        await self.temporal.start()
        say("Temporal")

    async def _start_kafka(self, say: Say) -> None:
        await self.kafka.start()
        say(f"Kafka broker with the topic {self.kafka.topic}")

    async def _start_cache(self, say: Say) -> None:
        await self.valkey.start()
        say("Valkey")

    async def _start_counterparty(self, name: str) -> None:
        home = self.state_dir / "counterparties"
        home.mkdir(parents=True, exist_ok=True)
        config = home / f"{name}.json"
        config.touch(mode=0o600)
        config.write_text(json.dumps(counterparty_settings(self, name)))
        port = self._ports.setdefault(name, claim_port(None, ""))
        command = [
            sys.executable, "-m", f"sandbox.counterparties.{name}", "--port", str(port),
            "--config", str(config), "--log", str(self.counterparty_log(name)),
        ]  # fmt: skip
        process = ManagedProcess(name, command, state_dir=self.state_dir, cwd=ROOT)
        self.processes[name] = process
        await process.start()

        async def answers() -> bool:
            return await _answers(f"{self.counterparty_url(name)}/healthz")

        await process.ready(answers, _START_LIMIT_S)

    async def _start_process(
        self, name: str, command: Sequence[str], extra: Mapping[str, str] | None
    ) -> ManagedProcess:
        # Settings are all there is: nothing of the caller's own CAAS_… variables gets through.
        inherited = {key: text for key, text in os.environ.items() if not key.startswith("CAAS_")}
        process = ManagedProcess(
            name,
            command,
            state_dir=self.state_dir,
            env={**inherited, **self.environment(), **(extra or {})},
            inherit_env=False,
            cwd=ROOT,
        )
        self.processes[name] = process
        await process.start()
        return process


_COUNTERPARTIES: Final = ("identity_vendor", "bureau", "notifier", *LENDERS)


async def _answers(url: str) -> bool:
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.get(url, timeout=2.0)).is_success
    except httpx.HTTPError:
        return False


def forget_earlier_run(state_dir: Path) -> None:
    """Remove the data an earlier run left: a new run starts with nothing."""
    for name in (
        "postgres",
        "temporal",
        "anvil",
        "kafka",
        "valkey",
        "counterparties",
        "issuer",
        "logs",
        "processes",
    ):
        shutil.rmtree(state_dir / name, ignore_errors=True)
    for name in (
        "wallets.seed",
        "endpoints.json",
        "result.json",
        "access.json",
        "client.jsonl",
        "operator.token",
        "operator.env",
    ):
        (state_dir / name).unlink(missing_ok=True)
