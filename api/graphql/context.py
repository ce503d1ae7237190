"""What resolvers read from: one moment of the tenant's records, each kind asked for in batches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, TypeVar

import strawberry
from graphql import DocumentNode
from strawberry.dataloader import DataLoader

from api.auth import Action, Principal
from api.deps import GraphSnapshot, GraphSource, PostgresGraph
from models.domain.errors import CreditError, Unavailable
from models.domain.graph import ApplicationRecord, Page, PersonRecord
from models.domain.ids import is_id, is_name

T = TypeVar("T")

# Beyond it a batch is divided; the fullest answer allowed has fewer of anything.
MAX_BATCH: Final = 1_000


class Reading:
    """One request's reads: who asks, the moment they see, and the batches under way.

    The records are not touched before something is asked of them. Whatever of them fails is
    remembered in `outage`, because a resolver's error is only part of an answer.
    """

    def __init__(self, graph: PostgresGraph, principal: Principal, document: DocumentNode) -> None:
        self.principal = principal
        self.document = document
        self.outage: CreditError | None = None
        self._graph = graph
        self._snapshot: GraphSnapshot | None = None
        self._connections = AsyncExitStack()
        # One connection, one statement at a time: the moment is the connection's.
        self._turn = asyncio.Lock()
        self._closed = False
        self._loaders: dict[tuple[Any, ...], DataLoader[str, Any]] = {}

    @classmethod
    @asynccontextmanager
    async def open(
        cls, graph: PostgresGraph, principal: Principal, document: DocumentNode
    ) -> AsyncIterator[Reading]:
        """A reading that ends with the request, whatever is still under way then."""
        reading = cls(graph, principal, document)
        try:
            yield reading
        finally:
            async with reading._turn:
                reading._closed = True
                await reading._connections.aclose()

    def require(self, action: Action) -> None:
        """Raise NOT_ALLOWED unless the caller may do this."""
        self.principal.require(action)

    async def one(self, source: GraphSource[T], key: str | None) -> T | None:
        """The record of this key; None for an absent one, and for anybody else's."""
        if key is None or not is_id(key, source.prefix):
            return None
        load = self._loader((source.table, "key"), lambda at, keys: at.by_key(source, keys))
        found: T | None = await load.load(key)
        return found

    async def of_application(
        self, source: GraphSource[T], application_id: str, column: str = "application_id"
    ) -> list[T]:
        """The application's records of this kind."""

        async def read(at: GraphSnapshot, keys: Sequence[str]) -> dict[str, list[T]]:
            return await at.of_applications(source, keys, column)

        found: list[T] | None = await self._loader((source.table, column), read).load(
            application_id
        )
        return found or []

    async def person(self, user_id: str) -> PersonRecord | None:
        """What is known of a person's identity."""
        if not is_name(user_id):
            return None
        load = self._loader(("people",), lambda at, keys: at.people(keys))
        found: PersonRecord | None = await load.load(user_id)
        return found

    async def applications_of(self, user_id: str) -> list[ApplicationRecord]:
        """A person's newest applications."""
        if not is_name(user_id):
            return []
        load = self._loader(
            ("applications", "person"), lambda at, keys: at.applications_of_people(keys)
        )
        found: list[ApplicationRecord] | None = await load.load(user_id)
        return found or []

    async def page(self, source: GraphSource[T], page: Page) -> list[T]:
        """A part of a list, with one more than asked for if there is one."""
        return await self._read(lambda at: at.page(source, page))

    def _loader(
        self,
        name: tuple[Any, ...],
        read: Callable[[GraphSnapshot, Sequence[str]], Awaitable[dict[str, Any]]],
    ) -> DataLoader[str, Any]:
        if name not in self._loaders:

            async def load(keys: list[str]) -> list[Any]:
                found = await self._read(lambda at: read(at, keys))
                return [found.get(key) for key in keys]

            self._loaders[name] = DataLoader(load_fn=load, max_batch_size=MAX_BATCH)
        return self._loaders[name]

    async def _read(self, ask: Callable[[GraphSnapshot], Awaitable[T]]) -> T:
        async with self._turn:
            if self._closed or self.outage is not None:
                raise self.outage or Unavailable("QUERY_TOO_SLOW")
            try:
                if self._snapshot is None:
                    self._snapshot = await self._connections.enter_async_context(
                        self._graph.snapshot(self.principal.tenant_id, self._only_user())
                    )
                return await ask(self._snapshot)
            except CreditError as error:
                self.outage = error
                raise

    def _only_user(self) -> str | None:
        alone = self.principal.only_for_self(Action.READ_APPLICATION)
        return self.principal.subject if alone else None


Info = strawberry.Info[Reading, None]
