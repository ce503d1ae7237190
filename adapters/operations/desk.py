"""What the commands on applications work with, connected and closed together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from temporalio.service import TLSConfig

from adapters.operations.examining import Examiner
from adapters.operations.workflows import TemporalDesk
from adapters.postgres.database import Database
from adapters.postgres.operations import PostgresOperations
from adapters.temporal import connect
from adapters.vault import Keyring
from adapters.workflow_messages import TemporalMessages


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the desk finds things; without the relay's role it looks at one tenant at a time."""

    app_url: str
    relay_url: str | None
    temporal: str
    namespace: str
    tls: TLSConfig | None = None
    api_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Desk:
    """Rows, workflows, both together, and messages to workflows."""

    records: PostgresOperations
    temporal: TemporalDesk
    examiner: Examiner
    messages: TemporalMessages


@asynccontextmanager
async def desk(at: Addresses, keyring: Keyring) -> AsyncIterator[Desk]:
    """A connected desk; raises Unavailable when the database or Temporal is away."""
    async with AsyncExitStack() as connected:

        async def database(url: str) -> Database:
            opened = await Database.connect(url, keyring)
            connected.push_async_callback(opened.close)
            return opened

        app_role = await database(at.app_url)
        relay_role = await database(at.relay_url) if at.relay_url else None
        records = PostgresOperations(app_role, relay_role)
        client = await connect(at.temporal, at.namespace, keyring, tls=at.tls, api_key=at.api_key)
        temporal = TemporalDesk(client)
        yield Desk(records, temporal, Examiner(records, temporal), TemporalMessages(client))
