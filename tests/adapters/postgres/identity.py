"""An identity desk over a real database, with the cheapest passwords there are."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from adapters.accounts.desk import Identity, IdentityOptions, identity_desk
from adapters.postgres.database import Database
from adapters.postgres.sessions import Lifetimes
from api.roles import usable_scopes
from models.domain.accounts import Account, Profile, SignUp, Tokens
from models.domain.writes import StoredAnswer, WriteKey

PASSWORD = "heron-lantern-quarry"
EMAIL = "zephyrine.quackenbosh@example.org"
NAME = "Zephyrine Quackenbosh"
OPTIONS = IdentityOptions(
    issuer="urn:test:own",
    audience="caas-api",
    algorithm="EdDSA",
    lifetimes=Lifetimes(timedelta(minutes=10), timedelta(days=14), timedelta(days=30)),
    invitation=timedelta(days=7),
    key_lead=timedelta(0),
    password_threads=1,
    password_waiting=50,
    password_passes=1,
    password_memory_kib=64,
)


@asynccontextmanager
async def desk(database: Database, options: IdentityOptions = OPTIONS) -> AsyncIterator[Identity]:
    """One process's desk."""
    async with identity_desk(database, options, usable_scopes) as identity:
        yield identity


def write(tenant: str, route: str = "POST /auth/register", **changes: Any) -> WriteKey:
    """A new write of this tenant's administrator."""
    stated: dict[str, Any] = {"subject": "root", "key": uuid.uuid4().hex, "body_sha256": b"b"}
    return WriteKey(tenant, route=route, **{**stated, **changes})


def given(*told: Any) -> StoredAnswer:
    """An answer that says what it was made of."""
    said = " ".join(str(getattr(each, "text", each)) for each in told)
    return StoredAnswer(201, {"content-type": "text/plain"}, said.encode())


async def registered(identity: Identity, tenant: str, email: str = EMAIL, **more: Any) -> Account:
    """Somebody's new account; the tenant is opened for it."""
    await identity.accounts.open_tenant(tenant, "root", registration_open=True)
    made: list[Account] = []

    def answer(account: Account) -> StoredAnswer:
        made.append(account)
        return given(account.user_id)

    sign_up = SignUp(tenant, Profile(email, NAME), PASSWORD, **more)
    await identity.sign_in.register(write(tenant), sign_up, answer)
    return made[0]


async def signed_in(identity: Identity, tenant: str, email: str = EMAIL) -> Tokens:
    """The tokens of who has an account."""
    tokens = await identity.sign_in.login(tenant, email, PASSWORD, None)
    assert isinstance(tokens, Tokens)
    return tokens
