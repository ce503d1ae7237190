"""Brings a database to the current schema, and holds SQLModel's metadata against it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncpg
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

import models.tables

_MIGRATIONS = Path(models.tables.__file__).parent / "migrations"


async def migrate(owner_dsn: str) -> None:
    """Run all migrations as the schema's owner; running it again changes nothing."""
    engine = _engine(owner_dsn)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


async def differences(owner_dsn: str) -> list[Any]:
    """What autogenerate would still change: empty when tables and migrations agree."""
    engine = _engine(owner_dsn)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_compare)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _compare(connection: Connection) -> list[Any]:
    return list(compare_metadata(MigrationContext.configure(connection), SQLModel.metadata))


def _engine(owner_dsn: str) -> AsyncEngine:
    """SQLAlchemy over a connection whose address asyncpg reads, as it does for every other role.

    SQLAlchemy itself refuses an address with `sslmode`.
    """

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(owner_dsn)

    return create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
