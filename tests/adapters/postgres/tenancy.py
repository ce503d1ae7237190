"""What all migrations together declare about row-level security (models/tables/row_security.py)."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import models.tables.migrations
from models.tables.row_security import ROLES

_FOLDER = Path(next(iter(models.tables.migrations.__path__))) / "versions"
_MIGRATIONS: list[Any] = [
    importlib.import_module(f"models.tables.migrations.versions.{path.stem}")
    for path in sorted(_FOLDER.glob("[0-9]*.py"))
]

GRANTS = {
    table: grants
    for module in _MIGRATIONS
    for table, grants in getattr(module, "GRANTS", {}).items()
}
for _module in _MIGRATIONS:
    for _table, _wider in getattr(_module, "WIDER", {}).items():
        GRANTS[_table] = tuple(
            ", ".join(filter(None, both)) for both in zip(GRANTS[_table], _wider, strict=True)
        )
TABLES = tuple(GRANTS)
CROSS_TENANT = [each for module in _MIGRATIONS for each in getattr(module, "CROSS_TENANT", ())]
DIRECTORY = [each for module in _MIGRATIONS for each in getattr(module, "DIRECTORY", ())]
SHARED = [table for module in _MIGRATIONS for table in getattr(module, "SHARED", ())]
__all__ = ["CROSS_TENANT", "DIRECTORY", "GRANTS", "ROLES", "SHARED", "TABLES"]
