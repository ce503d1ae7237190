"""The deployment without containers: its jobs and processes, as the files say, on real services."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from models.domain.ids import new_id
from sandbox.services.ports import LOOPBACK, free_port
from sandbox.services.postgres import Postgres
from sandbox.services.process import ManagedProcess
from sandbox.services.state_dir import hold
from sandbox.stack import Stack
from settings import ROOT
from tests.deploy.deployment import copied, example, services

pytestmark = pytest.mark.stack
BIN = Path(sys.executable).parent
PASSWORDS = {
    name: f"rehearsed-{name.lower().replace('_', '-')}" for name in example() if "PASSWORD" in name
}


@dataclass(frozen=True)
class Place:
    """Where the rehearsal runs: the image's files, and what stands for the other containers."""

    image: Path
    state: Path
    postgres: Postgres
    namespace: str
    port: int
    services: dict[str, dict[str, Any]]
    stack: Stack

    def here(self, text: str) -> str:
        """An address, path or port of a container, on this machine."""
        ours = {
            "@postgres:5432/": f"@{LOOPBACK}:{self.postgres.port}/",
            "temporal:7233": self.stack.temporal.address,
            "kafka:9092": self.stack.kafka.address,
            "/etc/caas/sanctions": str(ROOT / "adapters/sanctions/sample"),
            "/etc/caas/jwks.json": str(self.stack.issuer.jwks_path),
            "/jobs/": f"{ROOT}/deploy/temporal/",
            "/tmp/": f"{self.state}/",
            "0.0.0.0": LOOPBACK,
            f"{LOOPBACK}:8000": f"{LOOPBACK}:{self.port}",
        }
        # In one pass: what was put in may look like what is replaced.
        return re.sub("|".join(map(re.escape, ours)), lambda found: ours[found[0]], text)

    def environment(self, name: str) -> dict[str, str]:
        """The service's own environment, and nothing of ours."""
        told = {
            key: self.here(str(text)) for key, text in self.services[name]["environment"].items()
        }
        for key in ("CAAS_TEMPORAL__NAMESPACE", "TEMPORAL_NAMESPACE"):
            if key in told:
                told[key] = self.namespace
        if "CAAS_API__PORT" in told:
            told["CAAS_API__PORT"] = str(self.port)
        home = self.state / name
        home.mkdir(exist_ok=True)
        return {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(home), **told}

    def command(self, words: Sequence[str], name: str) -> list[str]:
        """The words of a command or a health check; each process writes to a /tmp of its own."""
        own = [self.here(word.replace("/tmp/", f"/tmp/{name}/")) for word in words]
        return [str(BIN / own[0]) if (BIN / own[0]).exists() else own[0], *own[1:]]

    async def job(self, name: str) -> tuple[int, str]:
        """Run a service that ends: its exit code, and what it said."""
        return await self._run(self.command(self.services[name]["command"], name), name)

    async def healthy(self, name: str) -> bool:
        """What the service's own health check says."""
        test = self.services[name]["healthcheck"]["test"]
        code, _ = await self._run(self.command(test[1:], name), name)
        return code == 0

    async def _run(self, command: Sequence[str], name: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.image,
            env=self.environment(name),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode()


def values(stack: Stack) -> dict[str, str]:
    """An operator's caas.env for the services of this stack."""
    settings = stack.environment()
    flat = dict(settings)
    for section in ("CHAIN", "IDENTITY", "BUREAU", "NOTIFIER"):
        for key, value in json.loads(settings[f"CAAS_{section}"]).items():
            text = json.dumps(value) if isinstance(value, list) else str(value)
            flat[f"CAAS_{section}__{key.upper()}"] = text
    issuer = [{"issuer": "urn:caas:sandbox-issuer", "jwks_path": "/etc/caas/jwks.json"}]
    return {
        **{name: text for name, text in example().items() if text},
        **{name: flat[name] for name in example() if name in flat},
        **PASSWORDS,
        "CAAS_ISSUERS": json.dumps(issuer),
    }


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def place(stack: Stack) -> AsyncIterator[Place]:
    state = ROOT / ".run" / f"rehearsal-{os.getpid()}"
    with hold(state):
        postgres = Postgres(state, durable=False)
        await postgres.start()
        try:
            administrator = await asyncpg.connect(postgres.dsn())
            wanted = f"ALTER ROLE postgres PASSWORD '{PASSWORDS['DATABASE_ADMIN_PASSWORD']}'"
            await administrator.execute(wanted)
            await administrator.close()
            yield Place(
                _image(state / "image"),
                state,
                postgres,
                f"deploy-{os.getpid()}",
                free_port(),
                services(values(stack)),
                stack,
            )
        finally:
            await postgres.stop()
    shutil.rmtree(state, ignore_errors=True)


def _image(folder: Path) -> Path:
    """The files the image is made of, and no other of the repository."""
    for source, place in copied():
        target = folder / place.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, target)
    return folder


async def test_jobs_prepare_the_services_and_every_process_becomes_healthy(place: Place) -> None:
    for name in ("database-roles", "migrate", "temporal-namespace"):
        for attempt in ("once", "again"):
            code, said = await place.job(name)
            assert code == 0, f"{name}, {attempt}: {said}"
    await _roles_may_no_more_than_they_need(place)

    running = {name: _process(place, name) for name in ("api", *_workers(place.services))}
    try:
        await asyncio.gather(*(process.start() for process in running.values()))
        await asyncio.gather(*(at.ready(lambda at=at: _began(at), 120) for at in running.values()))
        healthy = await asyncio.gather(*(place.healthy(name) for name in running))
        assert dict(zip(running, healthy, strict=True)) == dict.fromkeys(running, True)
    finally:
        await asyncio.gather(*(process.terminate() for process in running.values()))
    # uvicorn ends in order and then by the signal it was sent.
    codes = {name: process.returncode for name, process in running.items()}
    assert codes == {name: -15 if name == "api" else 0 for name in running}
    for name in _workers(place.services):
        assert not await place.healthy(name), f"{name} has ended, and its health check says well"


async def _roles_may_no_more_than_they_need(place: Place) -> None:
    administrator = await asyncpg.connect(
        place.postgres.dsn("caas", password=PASSWORDS["DATABASE_ADMIN_PASSWORD"])
    )
    try:
        rows = await administrator.fetch(
            "SELECT rolname, rolcanlogin, rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls"
            " AS mighty FROM pg_roles WHERE rolname LIKE 'caas%'"
        )
        assert {(row["rolname"], row["rolcanlogin"], row["mighty"]) for row in rows} == {
            (f"caas_{role}", True, False) for role in ("owner", "app", "chain", "relay")
        }
        owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
        assert [row["tableowner"] for row in await administrator.fetch(owners)] == ["caas_owner"]
    finally:
        await administrator.close()


async def _began(process: ManagedProcess) -> bool:
    said = process.log_tail()
    return "READY" in said


def _workers(all_services: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in all_services if name.startswith("worker-"))


def _process(place: Place, name: str) -> ManagedProcess:
    return ManagedProcess(
        f"{name}-{new_id('app')[-6:]}",
        place.command(place.services[name]["command"], name),
        state_dir=place.state,
        env=place.environment(name),
        inherit_env=False,
        cwd=place.image,
    )
