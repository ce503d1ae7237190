"""Providers, their credentials and their health, under row-level security."""

from __future__ import annotations

from models.tables.row_security import CrossTenant, Directory, Grants, secure

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

GRANTS: Grants = {}
CROSS_TENANT: CrossTenant = ()
DIRECTORY: Directory = ()
SHARED: tuple[str, ...] = ()


def upgrade() -> None:
    secure(GRANTS, CROSS_TENANT, DIRECTORY, SHARED)


def downgrade() -> None:
    raise NotImplementedError("providers are never taken back; restore a backup instead")
