"""Gives a database its owner and our roles, each with its password: the first job of a deployment.

    python deploy/database_roles.py

Reads the administrator's address from DATABASE_ADMIN_URL, the database's name from DATABASE_NAME
and the passwords from DATABASE_OWNER_PASSWORD, DATABASE_APP_PASSWORD, DATABASE_CHAIN_PASSWORD and
DATABASE_RELAY_PASSWORD. Running it again changes nothing but passwords that are others now.

The owner may neither make roles nor pass over row-level security; the migrations, which it runs,
find the roles they grant to.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from typing import Final

import asyncpg

OWNER: Final = "caas_owner"
ROLES: Final = {
    OWNER: "DATABASE_OWNER_PASSWORD",
    "caas_app": "DATABASE_APP_PASSWORD",
    "caas_chain": "DATABASE_CHAIN_PASSWORD",
    "caas_relay": "DATABASE_RELAY_PASSWORD",
}
# A password stands in an address: nothing in it may have to be escaped there.
PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")
SHORTEST: Final = 24


class WrongInput(Exception):
    """A variable is missing or not what it has to be; the message names it, never its content."""


async def prepare(environment: Mapping[str, str]) -> None:
    """Create what is missing and set the passwords; raises WrongInput before anything is done."""
    passwords = {role: _password(environment, name) for role, name in ROLES.items()}
    if len(set(passwords.values())) < len(passwords):
        raise WrongInput("every role needs a password of its own")
    database = _given(environment, "DATABASE_NAME")
    administrator = await asyncpg.connect(_given(environment, "DATABASE_ADMIN_URL"), timeout=30)
    try:
        for role, password in passwords.items():
            await _set_role(administrator, role, password)
        exists = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)"
        if not await administrator.fetchval(exists, database):
            await administrator.execute(
                await _statement(administrator, "CREATE DATABASE %I OWNER %I", database, OWNER)
            )
        for grant in ("REVOKE ALL ON DATABASE %I FROM PUBLIC", "GRANT CONNECT ON DATABASE %I TO "):
            to = ", ".join(ROLES) if grant.endswith("TO ") else ""
            await administrator.execute(await _statement(administrator, grant, database) + to)
    finally:
        await administrator.close()


async def _set_role(administrator: asyncpg.Connection, role: str, password: str) -> None:
    """One role that may log in and nothing else."""
    exists = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)"
    if not await administrator.fetchval(exists, role):
        await administrator.execute(await _statement(administrator, "CREATE ROLE %I", role))
    await administrator.execute(
        await _statement(
            administrator,
            "ALTER ROLE %I LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOBYPASSRLS PASSWORD %L",
            role,
            password,
        )
    )


async def _statement(administrator: asyncpg.Connection, template: str, *names: str) -> str:
    """A statement that takes no parameters, quoted by the server itself."""
    places = ", ".join(f"${number}::text" for number in range(2, len(names) + 2))
    return str(await administrator.fetchval(f"SELECT format($1, {places})", template, *names))


def _given(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise WrongInput(f"{name} is not set")
    return value


def _password(environment: Mapping[str, str], name: str) -> str:
    password = _given(environment, name)
    if len(password) < SHORTEST or not PLAIN.issuperset(password):
        raise WrongInput(f"{name} needs {SHORTEST} or more of letters, digits and - . _ ~")
    return password


if __name__ == "__main__":
    try:
        asyncio.run(prepare(os.environ))
    except (WrongInput, asyncpg.PostgresError, OSError) as error:
        # A server's own words may hold a statement; its kind is enough to look it up.
        sys.exit(str(error) if isinstance(error, WrongInput) else type(error).__name__)
