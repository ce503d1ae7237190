"""What all migrations together declare about row-level security (models/tables/row_security.py)."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import models.tables.migrations
from models.tables.row_security import ROLES

_FOLDER = Path(next(iter(models.tables.migrations.__path__))) / "versions"
_DECLARING: list[Any] = [
    module
    for path in sorted(_FOLDER.glob("[0-9]*.py"))
    if hasattr(
        module := importlib.import_module(f"models.tables.migrations.versions.{path.stem}"),
        "GRANTS",
    )
]

GRANTS = {table: grants for module in _DECLARING for table, grants in module.GRANTS.items()}
TABLES = tuple(GRANTS)
CROSS_TENANT = [each for module in _DECLARING for each in module.CROSS_TENANT]
DIRECTORY = [each for module in _DECLARING for each in module.DIRECTORY]
SHARED = [table for module in _DECLARING for table in getattr(module, "SHARED", ())]
__all__ = ["CROSS_TENANT", "DIRECTORY", "GRANTS", "ROLES", "SHARED", "TABLES"]
