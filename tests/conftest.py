"""One embedded stack per test session, on free ports, in a directory of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import hypothesis
import pytest
import pytest_asyncio
import structlog

from sandbox.services.state_dir import hold
from sandbox.stack import Stack, StackOptions
from settings import ROOT

RUN_DIR = ROOT / ".run"
# Files and folders by how long they take, the longest first.
LONGEST = ("e2e/test_failpoint_sweep", "e2e/test_crash", "e2e/", "bench/", "api/", "sandbox/")

# Machines are busy: no test is about how long it takes.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


def pytest_configure(config: pytest.Config) -> None:
    """Keep every temporary file in the repository, apart from those of a run beside this one."""
    scratch = RUN_DIR / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    os.environ["TMPDIR"] = str(scratch)
    if config.option.basetemp is None:
        config.option.basetemp = str(RUN_DIR / f"pytest-{os.getpid()}")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Nothing of a run stays but what a failure needs."""
    if getattr(config, "caas_failed", False):
        return
    shutil.rmtree(RUN_DIR / f"pytest-{os.getpid()}", ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that wait longest come first: beside them there is time for all others."""
    items.sort(key=lambda item: _place(item.path.relative_to(ROOT / "tests").as_posix()))


def _place(file: str) -> int:
    return next((n for n, begins in enumerate(LONGEST) if file.startswith(begins)), len(LONGEST))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Remember whether something failed: then logs and data are kept."""
    session.config.caas_failed = exitstatus != 0  # type: ignore[attr-defined]


@pytest.fixture(scope="session", autouse=True)
def _no_logger_is_kept() -> Iterator[None]:
    """A logger that was kept at its first use could not be listened to by a later test."""
    configure = structlog.configure
    structlog.configure = lambda **told: configure(**told | {"cache_logger_on_first_use": False})
    yield
    structlog.configure = configure


@pytest.fixture(autouse=True)
def _logs_are_written_as_at_first() -> Iterator[None]:
    """What one test sets up does not silence the next."""
    yield
    structlog.reset_defaults()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(request: pytest.FixtureRequest) -> AsyncIterator[Stack]:
    """The whole product with everything around it; shared, so tests use tenants of their own."""
    state_dir: Path = RUN_DIR / f"stack-{os.getpid()}"
    with hold(state_dir):
        running = Stack(state_dir, StackOptions(durable=False, identity_delay_s=0.1))
        try:
            await running.start()
            yield running
            assert running.postgres.deadlocks() == 0, running.postgres.process.log_path
        finally:
            await running.stop()
    if not request.session.testsfailed:
        shutil.rmtree(state_dir, ignore_errors=True)


@pytest_asyncio.fixture(loop_scope="session")
async def http(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API that trusts nothing of the environment."""
    async with httpx.AsyncClient(base_url=stack.api_url, trust_env=False, timeout=120.0) as client:
        yield client
