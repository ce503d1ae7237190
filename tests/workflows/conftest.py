"""A time-skipping server for each test that skips: its clock is everybody's on it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from tests.workflows.world import World, development_server, time_skipping


@pytest_asyncio.fixture(loop_scope="session")
async def environment() -> AsyncIterator[WorkflowEnvironment]:
    async with time_skipping() as environment:
        yield environment


@pytest.fixture
def world(environment: WorkflowEnvironment) -> World:
    return World(environment)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def unhurried() -> AsyncIterator[WorkflowEnvironment]:
    async with time_skipping() as environment:
        yield environment


@pytest.fixture
def calm_world(unhurried: WorkflowEnvironment) -> World:
    """A world for stories in which no time needs to be skipped: its server is shared."""
    return World(unhurried, shared=True)


@pytest_asyncio.fixture(loop_scope="session")
async def on_a_real_server() -> AsyncIterator[World]:
    """A world whose time does not skip."""
    async with development_server() as environment:
        yield World(environment)
