"""People who sign in: registered, invited, looked up by a keyed index, suspended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import TypeAdapter

from adapters.postgres import idempotency, sessions
from adapters.postgres.database import Database, Transaction
from adapters.postgres.invitations import accept
from adapters.postgres.people import person
from adapters.postgres.security_log import note
from adapters.vault import Keyring
from models.domain.accounts import (
    FORGET_ATTEMPTS_AFTER_S,
    Account,
    AccountStatus,
    Profile,
    SignUp,
    login_wait_s,
    normal_login,
)
from models.domain.errors import Conflict, NotFound
from models.domain.ids import new_id
from models.domain.writes import StoredAnswer, WriteKey

PROFILE: Final = TypeAdapter(Profile)
APPLICANTS_ROLES: Final = ("applicant",)


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """What is known before a password is looked at; `wait_s` when it may not be, yet."""

    wait_s: int = 0
    user_id: str | None = None
    password_hash: str | None = field(default=None, repr=False)
    roles: tuple[str, ...] = ()


class PostgresAccounts:
    """Accounts of tenants whose people sign in here."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open_tenant(self, tenant_id: str, actor: str, *, registration_open: bool) -> None:
        """Let a tenant's people sign in here; applicants by themselves, if registration is open."""
        async with self._database.transaction(tenant_id) as tx:
            await tx.execute(
                "INSERT INTO tenants (tenant_id, registration_open, opened_by) VALUES ($1, $2, $3)"
                " ON CONFLICT (tenant_id) DO UPDATE SET registration_open = $2",
                tenant_id, registration_open, actor,
            )  # fmt: skip
            detail = {"registration_open": registration_open}
            await note(tx, actor, "tenant.opened", tenant_id, detail)

    async def register(
        self,
        write: WriteKey,
        sign_up: SignUp,
        password_hash: str,
        answer: Callable[[Account], StoredAnswer],
    ) -> StoredAnswer:
        """A new account: an applicant, or staff with an invitation; once per idempotency key.

        Raises Conflict REGISTRATION_CLOSED, LOGIN_TAKEN or INVITATION_NOT_OPEN.
        """
        async with self._database.transaction(sign_up.tenant_id) as tx:
            if (earlier := await idempotency.reserve(tx, write)) is not None:
                return earlier
            roles: tuple[str, ...] = APPLICANTS_ROLES
            user_id = new_id("usr")
            if sign_up.invitation is not None:
                roles = await accept(tx, sign_up, user_id, indexes(tx, sign_up.profile.email))
            elif not await _registration_open(tx):
                raise Conflict("REGISTRATION_CLOSED")
            account = await _insert(tx, user_id, sign_up.profile, password_hash, roles)
            given = answer(account)
            await idempotency.answer(tx, write, given)
        return given

    async def attempt(self, tenant_id: str, email: str) -> LoginAttempt:
        """Count an attempt to sign in, before it is known whether it succeeds.

        Counting first is what bounds guesses made at the same time. Logins nobody has are counted
        alike; those of tenants that were never opened are not, and nobody is found there.
        """
        async with self._database.transaction(tenant_id) as tx:
            if not await tx.value("SELECT true FROM tenants WHERE tenant_id = $1", tenant_id):
                return LoginAttempt()
            known = indexes(tx, email)
            if wait_s := await _count_attempt(tx, known[0]):
                return LoginAttempt(wait_s)
            row = await tx.row(
                "SELECT u.user_id, u.password_hash, u.roles FROM users u JOIN subject_keys k"
                " ON k.tenant_id = u.tenant_id AND k.user_id = u.user_id"
                " AND k.wrapped_key IS NOT NULL"
                " WHERE u.tenant_id = $1 AND u.login_index = ANY($2) AND u.status = $3",
                tenant_id, known, AccountStatus.ACTIVE,
            )  # fmt: skip
        if row is None:
            return LoginAttempt()
        return LoginAttempt(0, row["user_id"], row["password_hash"], tuple(row["roles"]))

    async def succeeded(
        self, tenant_id: str, user_id: str, email: str, new_hash: str | None
    ) -> None:
        """The attempts are forgotten; hash and index are renewed where they had aged."""
        async with self._database.transaction(tenant_id) as tx:
            index = indexes(tx, email)[0]
            await tx.execute(
                "DELETE FROM login_attempts WHERE tenant_id = $1 AND login_index = $2",
                tenant_id, index,
            )  # fmt: skip
            await tx.execute(
                "UPDATE users SET login_index = $3, password_hash = coalesce($4, password_hash),"
                " updated_at = clock_timestamp() WHERE tenant_id = $1 AND user_id = $2"
                " AND (login_index <> $3 OR $4::text IS NOT NULL)",
                tenant_id, user_id, index, new_hash,
            )  # fmt: skip

    async def profile(self, tenant_id: str, user_id: str) -> tuple[Account, Profile]:
        """An account with what the person says of themselves; raises NotFound."""
        async with self._database.transaction(tenant_id) as tx:
            row = await tx.row(
                "SELECT * FROM users WHERE tenant_id = $1 AND user_id = $2", tenant_id, user_id
            )
            if row is None:
                raise NotFound("ACCOUNT_UNKNOWN")
            sealed = await person(tx, user_id)
            profile = sealed.open(PROFILE, row["sealed_profile"], _place(user_id))
        return _account(row), profile

    async def accounts(self, tenant_id: str, limit: int) -> tuple[Account, ...]:
        """The tenant's accounts, the newest first."""
        async with self._database.transaction(tenant_id) as tx:
            rows = await tx.rows(
                "SELECT * FROM users WHERE tenant_id = $1 ORDER BY created_at DESC LIMIT $2",
                tenant_id, limit,
            )  # fmt: skip
        return tuple(_account(row) for row in rows)

    async def set_status(
        self,
        write: WriteKey,
        user_id: str,
        status: AccountStatus,
        reason: str,
        access: timedelta,
        answer: Callable[[Account], StoredAnswer],
    ) -> tuple[StoredAnswer, list[str]]:
        """Suspend an account, or let it in again; returns also the sessions this ended."""
        async with self._database.transaction(write.tenant_id) as tx:
            if (earlier := await idempotency.reserve(tx, write)) is not None:
                return earlier, []
            row = await tx.row(
                "UPDATE users SET status = $3, updated_at = clock_timestamp()"
                " WHERE tenant_id = $1 AND user_id = $2 RETURNING *",
                tx.tenant_id, user_id, status,
            )  # fmt: skip
            if row is None:
                raise NotFound("ACCOUNT_UNKNOWN")
            ended: list[str] = []
            if status is AccountStatus.SUSPENDED:
                ended = await sessions.end_all(tx, user_id, "suspended", access)
            await note(tx, write.subject, f"account.{status}", user_id, {"reason": reason})
            given = answer(_account(row))
            await idempotency.answer(tx, write, given)
        return given, ended


def indexes(tx: Transaction, email: str) -> list[str]:
    """What an e-mail address may be filed under, the current master key's index first."""
    return login_indexes(tx.keyring, tx.tenant_id, email)


def login_indexes(keyring: Keyring, tenant_id: str, email: str) -> list[str]:
    """Keyed fingerprints of a login, one for each master key."""
    said = b"login|" + normal_login(email).encode("utf-8", "surrogatepass")
    return [keyring.fingerprint(tenant_id, said, version=each) for each in keyring.masters]


async def _registration_open(tx: Transaction) -> bool:
    return bool(
        await tx.value("SELECT registration_open FROM tenants WHERE tenant_id = $1", tx.tenant_id)
    )


async def _count_attempt(tx: Transaction, index: str) -> int:
    """How long to wait, in seconds; 0 when this attempt may be made, which is counted then."""
    row = await tx.row(
        "INSERT INTO login_attempts (tenant_id, login_index, attempts, last_at, wait_until)"
        " VALUES ($1, $2, 0, clock_timestamp(), clock_timestamp())"
        # Touched either way, so that attempts made at once are counted one after the other.
        " ON CONFLICT (tenant_id, login_index) DO UPDATE SET tenant_id = excluded.tenant_id"
        " RETURNING attempts, last_at, wait_until, clock_timestamp() AS now",
        tx.tenant_id, index,
    )  # fmt: skip
    now: datetime = row["now"]
    if now < row["wait_until"]:
        return int((row["wait_until"] - now).total_seconds()) + 1
    quiet = now - row["last_at"] > timedelta(seconds=FORGET_ATTEMPTS_AFTER_S)
    attempts = 1 if quiet else row["attempts"] + 1
    await tx.execute(
        "UPDATE login_attempts SET attempts = $3, last_at = $4, wait_until = $5"
        " WHERE tenant_id = $1 AND login_index = $2",
        tx.tenant_id, index, attempts, now, now + timedelta(seconds=login_wait_s(attempts)),
    )  # fmt: skip
    if attempts == 1:
        await _forget_attempts(tx)
    return 0


async def _forget_attempts(tx: Transaction) -> None:
    """A few of those that no longer count: guesses at logins nobody has would pile up."""
    await tx.execute(
        "DELETE FROM login_attempts WHERE tenant_id = $1 AND login_index IN ("
        "SELECT login_index FROM login_attempts WHERE tenant_id = $1"
        " AND last_at < clock_timestamp() - $2::interval ORDER BY last_at LIMIT 20"
        " FOR UPDATE SKIP LOCKED)",
        tx.tenant_id, timedelta(seconds=FORGET_ATTEMPTS_AFTER_S),
    )  # fmt: skip


async def _insert(
    tx: Transaction, user_id: str, profile: Profile, password_hash: str, roles: tuple[str, ...]
) -> Account:
    filed = indexes(tx, profile.email)
    # The unique index knows one master key's; two at once under two keys meet here.
    await tx.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(each, 0))"
        " FROM unnest($1::text[]) AS each ORDER BY each", filed,
    )  # fmt: skip
    taken = await tx.value(
        "SELECT true FROM users WHERE tenant_id = $1 AND login_index = ANY($2)",
        tx.tenant_id, filed,
    )  # fmt: skip
    if taken:
        raise Conflict("LOGIN_TAKEN")
    sealed = await person(tx, user_id, create=True)
    row = await tx.row(
        "INSERT INTO users (tenant_id, user_id, login_index, password_hash, roles, status,"
        " sealed_profile) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING *",
        tx.tenant_id, user_id, filed[0], password_hash, list(roles), AccountStatus.ACTIVE,
        sealed.seal(PROFILE, profile, _place(user_id)),
    )  # fmt: skip
    await note(tx, user_id, "account.registered", user_id, {"roles": list(roles)})
    return _account(row)


def _place(user_id: str) -> str:
    return f"users.sealed_profile/{user_id}"


def _account(row: Any) -> Account:
    return Account(
        row["tenant_id"],
        row["user_id"],
        tuple(row["roles"]),
        AccountStatus(row["status"]),
        row["created_at"],
    )
