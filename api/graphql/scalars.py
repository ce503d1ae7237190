"""Values that GraphQL has no type for, as the REST paths write them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NewType

import strawberry
from strawberry.types.scalar import ScalarDefinition

MinorUnits = NewType("MinorUnits", int)
Int64 = NewType("Int64", int)


def _moment(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


SCALARS: Final[dict[Any, ScalarDefinition]] = {
    MinorUnits: strawberry.scalar(
        name="MinorUnits",
        description="Money in the smallest unit of its currency: a whole JSON number.",
        serialize=int,
        parse_value=int,
    ),
    Int64: strawberry.scalar(
        name="Int64",
        description="A whole JSON number of up to 64 bits.",
        serialize=int,
        parse_value=int,
    ),
    datetime: strawberry.scalar(
        name="DateTime",
        description="A moment in UTC (RFC 3339).",
        serialize=_moment,
        parse_value=datetime.fromisoformat,
    ),
}
