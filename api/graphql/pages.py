"""Lists in pages (Relay's cursor connections), the newest first."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Annotated, Any, Generic, TypeVar

import strawberry

from api.deps import GraphSource
from api.graphql.context import Info
from api.graphql.limits import PAGE_MAX
from api.graphql.refusals import refusal
from models.domain.graph import Page
from models.domain.ids import is_id, is_name

Node = TypeVar("Node")
Record = TypeVar("Record")

First = Annotated[
    int, strawberry.argument(description=f"How many, 1 to {PAGE_MAX}; each counts in the cost.")
]
After = Annotated[
    str | None, strawberry.argument(description="A cursor: the list goes on behind it.")
]


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether the list goes on.")
    has_previous_page: bool = strawberry.field(description="Whether it began before.")
    start_cursor: str | None = strawberry.field(description="Cursor of the first; null if empty.")
    end_cursor: str | None = strawberry.field(description="Cursor of the last; null if empty.")


@strawberry.type(description="One thing of a list, with its place.")
class Edge(Generic[Node]):
    node: Node = strawberry.field(description="The thing.")
    cursor: str = strawberry.field(description="Its place: give it as `after`.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[Node]):
    edges: list[Edge[Node]] = strawberry.field(description="What it holds, the newest first.")
    page_info: PageInfo = strawberry.field(description="Where it stands.")


async def connection(
    info: Info,
    source: GraphSource[Record],
    shown: Callable[[Record], Node],
    first: int,
    after: str | None,
    **only: str | None,
) -> Connection[Node]:
    """A page of the source, narrowed by what `only` names."""
    if not 1 <= first <= PAGE_MAX:
        raise refusal("PAGE_SIZE", f"`first` is 1 to {PAGE_MAX}.", limit=PAGE_MAX)
    if not all(value is None or is_name(value) for value in only.values()):
        raise refusal("FILTER_MALFORMED", "1 to 64 letters, digits, `.`, `_` or `-`.")
    wanted = {column: value for column, value in only.items() if value is not None}
    behind = None if after is None else _key(source, after)
    records = await info.context.page(source, Page(first, behind, wanted))
    edges = [
        Edge(node=shown(each), cursor=_cursor(getattr(each, source.key)))
        for each in records[:first]
    ]
    return Connection(
        edges=edges,
        page_info=PageInfo(
            has_next_page=len(records) > first,
            has_previous_page=after is not None,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        ),
    )


def _cursor(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode()


def _key(source: GraphSource[Any], cursor: str) -> str:
    """The key a cursor stands for; its form says of which list it is."""
    try:
        key = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True).decode(
            "ascii"
        )
    except ValueError:
        key = ""
    if not is_id(key, source.prefix):
        raise refusal("CURSOR_MALFORMED", "`after` is no cursor of this list.")
    return key
