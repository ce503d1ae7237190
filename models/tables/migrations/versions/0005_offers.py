"""Offers: rounds of a search, what an applicant rejects, searches without an application."""

from __future__ import annotations

from models.tables.row_security import CrossTenant, Directory, Grants, secure

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

GRANTS: Grants = {}
CROSS_TENANT: CrossTenant = ()
DIRECTORY: Directory = ()
SHARED: tuple[str, ...] = ()


def upgrade() -> None:
    secure(GRANTS, CROSS_TENANT, DIRECTORY, SHARED)


def downgrade() -> None:
    raise NotImplementedError("offers are never taken back; restore a backup instead")
