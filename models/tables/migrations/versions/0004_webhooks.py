"""Webhooks: endpoints, their secrets, deliveries and what could not be delivered."""

from __future__ import annotations

from models.tables.row_security import CrossTenant, Directory, Grants, secure

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

GRANTS: Grants = {}
CROSS_TENANT: CrossTenant = ()
DIRECTORY: Directory = ()
SHARED: tuple[str, ...] = ()


def upgrade() -> None:
    secure(GRANTS, CROSS_TENANT, DIRECTORY, SHARED)


def downgrade() -> None:
    raise NotImplementedError("webhooks are never taken back; restore a backup instead")
