"""Offers: rounds of a search, what an applicant rejects, what its lender does not stand by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from models.tables.row_security import Grants, widen

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# What these tables' roles may do beside what they might before.
WIDER: Grants = {"offer_searches": ("UPDATE", "", "")}


def upgrade() -> None:
    for table in ("offer_searches", "offers"):
        op.add_column(
            table, sa.Column("round", sa.BigInteger(), server_default="1", nullable=False)
        )
    widen(WIDER)


def downgrade() -> None:
    raise NotImplementedError("offers are never taken back; restore a backup instead")
