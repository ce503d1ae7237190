"""SQLModel rows: they define the schema that Alembic migrates and the adapters query."""

from models.tables import (
    applications,
    correspondence,
    identity,
    ledger,
    lending,
    records,
    settlement,
)

__all__ = [
    "applications",
    "correspondence",
    "identity",
    "ledger",
    "lending",
    "records",
    "settlement",
]
