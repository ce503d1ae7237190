"""The double-entry ledger: entries of balanced postings, pending until their block is final."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import SQLModel

from models.tables.columns import moment, text, text_key, whole


class LedgerEntryRow(SQLModel, table=True):
    """An entry; each kind exists at most once per application."""

    __tablename__ = "ledger_entries"
    __table_args__ = (
        sa.UniqueConstraint("tenant_id", "application_id", "kind", name="ledger_entries_once"),
    )

    tenant_id: str = text_key()
    entry_id: str = text_key()
    application_id: str = text()
    kind: str = text()
    state: str = text()
    currency: str = text()
    booked_at: datetime = moment(default_now=True)
    cleared_at: datetime | None = moment(nullable=True)


class LedgerPostingRow(SQLModel, table=True):
    """One side of an entry; debit positive, credit negative, in minor units."""

    __tablename__ = "ledger_postings"
    __table_args__ = (
        sa.CheckConstraint("amount_minor <> 0", name="amount"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "entry_id"], ["ledger_entries.tenant_id", "ledger_entries.entry_id"]
        ),
    )

    tenant_id: str = text_key()
    entry_id: str = text_key()
    account: str = text_key()
    amount_minor: int = whole()
