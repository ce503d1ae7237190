"""SQLModel rows: they define the schema that Alembic migrates and the adapters query."""

from models.tables import (
    accounts,
    applications,
    correspondence,
    identity,
    ledger,
    lending,
    providers,
    records,
    settlement,
    webhooks,
)

__all__ = [
    "accounts",
    "applications",
    "correspondence",
    "identity",
    "ledger",
    "lending",
    "providers",
    "records",
    "settlement",
    "webhooks",
]
