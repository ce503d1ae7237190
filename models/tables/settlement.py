"""Settlements and the transactions that carry them: intent before nonce, bytes before broadcast."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import SQLModel

from models.tables.columns import moment, text, text_key, units, whole, whole_key


class SettlementRow(SQLModel, table=True):
    """The intent to pay one application's loan, once; the reference is unique for ever."""

    __tablename__ = "settlements"
    __table_args__ = (
        sa.UniqueConstraint("tenant_id", "application_id", name="settlements_once"),
        sa.UniqueConstraint("chain_id", "loan_reference", name="settlements_reference"),
        sa.Index("settlements_by_state", "chain_id", "state"),
    )

    tenant_id: str = text_key()
    settlement_id: str = text_key()
    application_id: str = text()
    offer_id: str = text()
    loan_reference: str = text()
    chain_id: int = whole()
    borrower: str = text()
    lender: str = text()
    token: str = text()
    amount_units: int = units()
    state: str = text()
    tx_hash: str | None = text(nullable=True)
    block_number: int | None = whole(nullable=True)
    block_hash: str | None = text(nullable=True)
    confirmations: int | None = whole(nullable=True)
    failure: str | None = text(nullable=True)
    created_at: datetime = moment(default_now=True)
    updated_at: datetime = moment(default_now=True)


class ChainAttemptRow(SQLModel, table=True):
    """Signed bytes with their nonce, stored before they are sent."""

    __tablename__ = "chain_attempts"
    __table_args__ = (
        sa.UniqueConstraint("chain_id", "sender", "nonce", name="chain_attempts_nonce"),
        sa.Index("chain_attempts_by_settlement", "tenant_id", "settlement_id"),
    )

    tenant_id: str = text_key()
    chain_id: int = whole()
    tx_hash: str = text_key()
    settlement_id: str = text()
    sender: str = text()
    nonce: int = whole()
    raw: str = text()
    created_at: datetime = moment(default_now=True)
    broadcast_at: datetime | None = moment(nullable=True)


class ChainAccountRow(SQLModel, table=True):
    """The next nonce of a sending account; belongs to the tenant `platform`."""

    __tablename__ = "chain_accounts"

    tenant_id: str = text_key()
    chain_id: int = whole_key()
    sender: str = text_key()
    next_nonce: int = whole()
