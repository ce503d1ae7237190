"""Column shapes used by every table, so that the same kind of thing has the same type everywhere.

Annotated types rather than factories: SQLModel copies them into a fresh column per table.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

NOW = sa.text("clock_timestamp()")


def text_key() -> Any:
    """A text column that is part of the primary key."""
    return Field(sa_type=sa.Text, primary_key=True)


def text(*, nullable: bool = False, index: bool = False) -> Any:
    """A text column."""
    return Field(sa_type=sa.Text, nullable=nullable, index=index)


def whole(*, nullable: bool = False, default: int | None = None) -> Any:
    """A 64-bit integer: minor units, basis points, counts; `default` is what earlier rows have."""
    extra = {} if default is None else {"sa_column_kwargs": {"server_default": str(default)}}
    return Field(sa_type=sa.BigInteger, nullable=nullable, **extra)  # type: ignore[call-overload]


def units() -> Any:
    """Token units or wei: up to 78 decimal digits, no fraction (uint256)."""
    return Field(sa_type=sa.Numeric(78, 0), nullable=False)


def moment(*, nullable: bool = False, default_now: bool = False) -> Any:
    """A moment in UTC."""
    extra = {"sa_column_kwargs": {"server_default": NOW}} if default_now else {}
    return Field(sa_type=sa.DateTime(timezone=True), nullable=nullable, **extra)  # type: ignore[call-overload]


def flag() -> Any:
    """Yes or no; no unless said otherwise."""
    return Field(
        sa_type=sa.Boolean, nullable=False, sa_column_kwargs={"server_default": sa.false()}
    )


def document(*, nullable: bool = False) -> Any:
    """A JSON document."""
    return Field(sa_type=JSONB, nullable=nullable)


def sealed(*, nullable: bool = False) -> Any:
    """Ciphertext under a subject's or tenant's key."""
    return Field(sa_type=sa.LargeBinary, nullable=nullable)


def sequence() -> Any:
    """A number the database hands out in order; gaps mean rollbacks."""
    return Field(sa_type=sa.BigInteger, primary_key=True, sa_column_kwargs={"autoincrement": True})


def whole_key() -> Any:
    """A 64-bit integer that is part of the primary key."""
    return Field(sa_type=sa.BigInteger, primary_key=True, sa_column_kwargs={"autoincrement": False})
