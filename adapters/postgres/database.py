"""Tenant-scoped transactions: state, audit row and outbox row commit together or not at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, Self

import asyncpg

from adapters.vault import Keyring
from models.domain.errors import CreditError, Permanent, Unavailable
from models.domain.ids import new_id

PLATFORM: Final = "platform"

_SET_TENANT: Final = "SELECT set_config('app.tenant_id', $1, true)"
_SET_TENANT_AND_LIMIT: Final = (
    "SELECT set_config('app.tenant_id', $1, true), set_config('statement_timeout', $2, true)"
)

# What a database says when it is away, restarting, full, or asks to try again.
_TRY_AGAIN: Final = (
    OSError,
    TimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InsufficientResourcesError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
)


class Transaction:
    """One transaction of one tenant."""

    def __init__(self, connection: Any, tenant_id: str, keyring: Keyring) -> None:
        self._connection = connection
        self.tenant_id = tenant_id
        self.keyring = keyring

    async def execute(self, sql: str, *args: object) -> int:
        """Run a statement; returns how many rows it touched."""
        status: str = await self._connection.execute(sql, *args)
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement for each row."""
        await self._connection.executemany(sql, rows)

    async def row(self, sql: str, *args: object) -> Any:
        """The first row, or None."""
        return await self._connection.fetchrow(sql, *args)

    async def rows(self, sql: str, *args: object) -> list[Any]:
        """All rows."""
        return list(await self._connection.fetch(sql, *args))

    async def value(self, sql: str, *args: object) -> Any:
        """The first column of the first row, or None."""
        return await self._connection.fetchval(sql, *args)

    async def record(
        self, actor: str, action: str, subject_id: str, detail: dict[str, Any], *, key: str
    ) -> None:
        """Write the audit row and its event; `key` orders the events of one application.

        `detail` holds ids and derived facts only: both tables may be read by people.
        """
        await self._connection.execute(
            "WITH audit AS (INSERT INTO audit_log (tenant_id, actor, action, subject_id, detail)"
            " VALUES ($1, $2, $3, $4, $5)) "
            "INSERT INTO outbox (event_id, tenant_id, key, type, data) VALUES ($6, $1, $7, $3, $8)",
            self.tenant_id, actor, action, subject_id, detail,
            new_id("evt"), key, {"subject_id": subject_id, **detail},
        )  # fmt: skip

    async def record_each(
        self,
        actor: str,
        action: str,
        subject_id: str,
        details: Sequence[dict[str, Any]],
        *,
        key: str,
    ) -> None:
        """As `record`, once for each of the details, in their order."""
        await self._connection.execute(
            "WITH told AS (SELECT * FROM unnest($5::jsonb[], $6::text[])"
            " WITH ORDINALITY AS each (detail, event_id, position)),"
            " audit AS (INSERT INTO audit_log (tenant_id, actor, action, subject_id, detail)"
            " SELECT $1, $2, $3, $4, detail FROM told ORDER BY position) "
            "INSERT INTO outbox (event_id, tenant_id, key, type, data) SELECT event_id, $1, $7, $3,"
            " jsonb_build_object('subject_id', $4::text) || detail FROM told ORDER BY position",
            self.tenant_id, actor, action, subject_id, list(details),
            [new_id("evt") for _ in details], key,
        )  # fmt: skip


class Session:
    """One connection; its lock and everything it was told end with it."""

    def __init__(self, connection: Any, keyring: Keyring) -> None:
        self._connection = connection
        self._keyring = keyring
        self._listeners: list[tuple[str, Any]] = []

    async def lock(self, task: int) -> bool:
        """Whether this session may do the task, which one session at a time does."""
        return bool(await self._connection.fetchval("SELECT pg_try_advisory_lock($1, 0)", task))

    async def listen(self, channel: str) -> asyncio.Event:
        """An event that is set whenever somebody commits a notification on the channel."""
        heard = asyncio.Event()
        await self.hear(channel, lambda _: heard.set())
        return heard

    async def hear(self, channel: str, heard: Callable[[str], None]) -> None:
        """Call `heard` with what each notification on the channel says, once it is committed."""

        def notified(*told: Any) -> None:
            heard(told[-1])

        await self._connection.add_listener(channel, notified)
        self._listeners.append((channel, notified))

    async def leave(self) -> None:
        """Leave the connection as it was found, its lock given back; or not at all.

        The next to get it from the pool must find nothing, so one that cannot be cleared is closed.
        """
        if self._connection.is_closed():
            return
        try:
            while self._listeners:
                await self._connection.remove_listener(*self._listeners.pop())
            await self._connection.reset()
        except BaseException:
            self._connection.terminate()
            raise

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A transaction in this session: it fails if the session, and so its lock, was lost."""
        async with _in_transaction(self._connection, PLATFORM):
            yield Transaction(self._connection, PLATFORM, self._keyring)


class Database:
    """A pool of connections under one of our roles."""

    def __init__(self, pool: Any, keyring: Keyring, timeout_s: float) -> None:
        self._pool = pool
        self._timeout_s = timeout_s
        self.keyring = keyring

    @classmethod
    async def connect(
        cls,
        dsn: str,
        keyring: Keyring,
        *,
        max_size: int = 10,
        timeout_s: float = 10.0,
        wait_s: float = 5.0,
    ) -> Self:
        """Connect and refuse a role that row-level security would not bind.

        A statement may take `timeout_s`, and waiting for a free connection `wait_s`.

        Raises Unavailable when the database is away, Permanent DATABASE_REFUSED (no such database
        or role, wrong password) or ROLE_TOO_STRONG.
        """
        try:
            with _unavailable_when_away():
                pool = await asyncpg.create_pool(
                    dsn,
                    min_size=1,
                    max_size=max_size,
                    timeout=timeout_s,
                    command_timeout=timeout_s,
                    init=_speak_json,
                    reset=_as_it_is,
                )
        except (
            asyncpg.InvalidAuthorizationSpecificationError,
            asyncpg.InvalidCatalogNameError,
        ) as error:
            raise Permanent("DATABASE_REFUSED", type(error).__name__) from error
        database = cls(pool, keyring, min(wait_s, timeout_s))
        try:
            await database._refuse_strong_role()
        except CreditError:
            await database.close()
            raise
        return database

    async def close(self) -> None:
        """Give all connections back."""
        await self._pool.close()

    @asynccontextmanager
    async def transaction(self, tenant_id: str) -> AsyncIterator[Transaction]:
        """A transaction that sees and writes this tenant's rows only.

        Raises Unavailable when the database is away or asks to try again.
        """
        with _unavailable_when_away():
            # An exhausted pool is said to be one, instead of a queue that grows for ever.
            async with (
                self._pool.acquire(timeout=self._timeout_s) as connection,
                _in_transaction(connection, tenant_id),
            ):
                yield Transaction(connection, tenant_id, self.keyring)

    @asynccontextmanager
    async def snapshot(self, tenant_id: str, statement_s: float) -> AsyncIterator[Transaction]:
        """A transaction that sees this tenant's rows as of one moment, and can write none.

        No statement of it may run longer than `statement_s` seconds. Raises Unavailable as
        `transaction` does, and when a statement takes longer.
        """
        with _unavailable_when_away():
            async with (
                self._pool.acquire(timeout=self._timeout_s) as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                await connection.execute(
                    _SET_TENANT_AND_LIMIT, tenant_id, str(round(statement_s * 1_000))
                )
                yield Transaction(connection, tenant_id, self.keyring)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """A connection of one's own, for what outlives transactions: locks and notifications.

        Raises Unavailable when the database is away, or once this very connection is lost.
        """
        with _unavailable_when_away():
            async with self._pool.acquire(timeout=self._timeout_s) as connection:
                session = Session(connection, self.keyring)
                try:
                    yield session
                finally:
                    await session.leave()

    def pool_use(self) -> tuple[int, int]:
        """(open, idle) connections."""
        return self._pool.get_size(), self._pool.get_idle_size()

    async def ready(self) -> bool:
        """Whether the database answers."""
        try:
            async with self.transaction(PLATFORM) as tx:
                return bool(await tx.value("SELECT true"))
        except Unavailable:
            return False

    async def _refuse_strong_role(self) -> None:
        async with self.transaction(PLATFORM) as tx:
            strong = await tx.value(
                "SELECT rolsuper OR rolbypassrls OR EXISTS (SELECT FROM pg_tables"
                " WHERE schemaname = 'public' AND pg_has_role(rolname, tableowner, 'MEMBER'))"
                " FROM pg_roles WHERE rolname = current_user"
            )
        if strong:
            raise Permanent(
                "ROLE_TOO_STRONG", "the application's role owns tables or bypasses row security"
            )


@asynccontextmanager
async def _in_transaction(connection: Any, tenant_id: str) -> AsyncIterator[None]:
    """Begin as this tenant, in one message instead of two; commit, or roll back on any error."""
    try:
        await connection.execute(
            f"BEGIN; SELECT set_config('app.tenant_id', {_literal(tenant_id)}, true)"
        )
        yield
    except BaseException:
        await _roll_back(connection)
        raise
    await connection.execute("COMMIT")


async def _roll_back(connection: Any) -> None:
    """Leave nothing begun: a connection that cannot even roll back is given up."""
    if connection.is_closed():
        return
    try:
        await connection.execute("ROLLBACK")
    except BaseException:
        # The error that led here is the one to tell; the server rolls back what it lost.
        connection.terminate()


def _literal(text: str) -> str:
    """A string constant of SQL, for statements that take no parameters."""
    if "\0" in text:
        raise ValueError("no text of SQL holds a NUL")
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def _unavailable_when_away() -> Iterator[None]:
    try:
        yield
    except _TRY_AGAIN as error:
        raise Unavailable("DATABASE_UNAVAILABLE", type(error).__name__) from error
    except (asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        # An idle connection whose server died fails with the second. The driver also raises the
        # first of arguments it cannot encode: those are bugs, not outages.
        if isinstance(error, ValueError):
            raise
        raise Unavailable("DATABASE_UNAVAILABLE", type(error).__name__) from error


async def _as_it_is(_: Any) -> None:
    """Nothing to undo: a transaction's settings and locks end with it, a session undoes its own.

    The driver would ask the server to forget everything after each transaction, which costs as
    much as a short transaction itself (measured).
    """


async def _speak_json(connection: Any) -> None:
    # The standard library's codec keeps integers of any size exact; NaN is refused. In PostgreSQL's
    # binary form (a version before the text), so that rows within rows can hold it.
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: b"\x01" + json.dumps(value, allow_nan=False).encode(),
        decoder=lambda data: json.loads(data[1:]),
        format="binary",
    )
