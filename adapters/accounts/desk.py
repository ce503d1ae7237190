"""Everything of identity one process needs, put together and kept fresh."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import structlog

from adapters.accounts.key_desk import KeyDesk
from adapters.accounts.minting import SigningKeys, TokenMint
from adapters.accounts.passwords import PasswordDesk
from adapters.accounts.provider_keys import ProviderKeys
from adapters.accounts.revocations import Revocations
from adapters.accounts.sign_in import ScopesOf, SignIn
from adapters.accounts.signing_keys import Algorithm
from adapters.postgres.accounts import PostgresAccounts, login_indexes
from adapters.postgres.database import Database
from adapters.postgres.invitations import PostgresInvitations
from adapters.postgres.service_accounts import PostgresServiceAccounts
from adapters.postgres.sessions import SLACK, Lifetimes, PostgresSessions
from adapters.postgres.signing_keys import PostgresSigningKeys
from models.domain.errors import CreditError

log = structlog.get_logger()

# Tokens of a key that no longer signs are good for their own life, and for clocks that differ.
CLOCKS_DIFFER_BY: Final = timedelta(seconds=60)


class KeptFresh(Protocol):
    """Something that reads again what it knows."""

    async def keep_fresh(self, stop: asyncio.Event) -> None:
        """Until told to stop."""


@dataclass(frozen=True, slots=True)
class IdentityOptions:
    """What can be set."""

    issuer: str
    audience: str
    algorithm: Algorithm
    lifetimes: Lifetimes
    invitation: timedelta
    key_lead: timedelta
    password_threads: int
    password_waiting: int
    password_passes: int
    password_memory_kib: int


@dataclass(frozen=True, slots=True)
class Identity:
    """What the front door asks about people, programs and keys."""

    options: IdentityOptions
    sign_in: SignIn
    accounts: PostgresAccounts
    invitations: PostgresInvitations
    service_accounts: PostgresServiceAccounts
    api_keys: KeyDesk
    signing_keys: SigningKeys
    revocations: Revocations
    database: Database

    def forget(self, sessions: Sequence[str]) -> None:
        """These sessions were ended: their tokens open nothing here from now on."""
        until = datetime.now(UTC) + self.options.lifetimes.access + SLACK
        self.revocations.add(*sessions, until=until)

    def login_index(self, tenant_id: str, email: str) -> str:
        """What an e-mail address is filed under now."""
        return login_indexes(self.database.keyring, tenant_id, email)[0]

    def body_digest(self, tenant_id: str, body: bytes) -> bytes:
        """What is kept of a body that holds a password: a keyed hash, since a bare one is a gift.

        Whoever read the table could try passwords on it as fast as hashes can be computed.
        """
        return self.database.keyring.fingerprint(tenant_id, b"body|" + body).encode()


def _assemble(database: Database, options: IdentityOptions, scopes_of: ScopesOf) -> Identity:
    revocations = Revocations(database)
    signing_keys = SigningKeys(
        PostgresSigningKeys(database),
        options.algorithm,
        options.key_lead,
        options.lifetimes.access + CLOCKS_DIFFER_BY,
    )
    accounts = PostgresAccounts(database)
    service_accounts = PostgresServiceAccounts(database)
    access_s = int(options.lifetimes.access.total_seconds())
    sign_in = SignIn(
        accounts,
        PostgresSessions(database, options.lifetimes),
        PasswordDesk(
            threads=options.password_threads,
            waiting=options.password_waiting,
            passes=options.password_passes,
            memory_kib=options.password_memory_kib,
        ),
        TokenMint(signing_keys, options.issuer, options.audience, access_s),
        revocations,
        scopes_of,
    )
    return Identity(
        options,
        sign_in,
        accounts,
        PostgresInvitations(database),
        service_accounts,
        KeyDesk(service_accounts),
        signing_keys,
        revocations,
        database,
    )


@asynccontextmanager
async def identity_desk(
    database: Database,
    options: IdentityOptions,
    scopes_of: ScopesOf,
    providers: tuple[ProviderKeys, ...] = (),
) -> AsyncIterator[Identity]:
    """The desk, with what it knows kept fresh in the background until it closes.

    Without the database it opens all the same, and learns what there is when that comes back.
    """
    identity = _assemble(database, options, scopes_of)
    stop = asyncio.Event()
    try:
        await identity.signing_keys.reload()
        await identity.revocations.reload()
    except CreditError as error:
        log.warning("identity_starts_without_database", code=error.code)
    fresh: tuple[KeptFresh, ...] = (identity.revocations, identity.signing_keys, *providers)
    work = [asyncio.create_task(each.keep_fresh(stop)) for each in fresh]
    try:
        yield identity
    finally:
        stop.set()
        await asyncio.gather(*work, return_exceptions=True)
        identity.sign_in.passwords.close()
