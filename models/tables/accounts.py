"""Accounts: who may sign in, their sessions, and the keys that sign and open doors."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import SQLModel

from models.tables.columns import document, flag, moment, sealed, text, text_key, whole


class TenantRow(SQLModel, table=True):
    """A tenant whose people sign in here, rather than with an identity provider of its own."""

    __tablename__ = "tenants"

    tenant_id: str = text_key()
    registration_open: bool = flag()
    opened_by: str = text()
    opened_at: datetime = moment(default_now=True)


class UserRow(SQLModel, table=True):
    """Somebody who may sign in; `login_index` is a keyed fingerprint of the e-mail address."""

    __tablename__ = "users"
    __table_args__ = (sa.UniqueConstraint("tenant_id", "login_index", name="users_login"),)

    tenant_id: str = text_key()
    user_id: str = text_key()
    login_index: str = text()
    password_hash: str = text()
    roles: list[str] = document()
    status: str = text()
    sealed_profile: bytes = sealed()
    created_at: datetime = moment(default_now=True)
    updated_at: datetime = moment(default_now=True)


class LoginAttemptsRow(SQLModel, table=True):
    """Attempts in a row with one login, whether or not anybody has it."""

    __tablename__ = "login_attempts"
    __table_args__ = (sa.Index("login_attempts_by_time", "tenant_id", "last_at"),)

    tenant_id: str = text_key()
    login_index: str = text_key()
    attempts: int = whole()
    last_at: datetime = moment()
    wait_until: datetime = moment()


class InvitationRow(SQLModel, table=True):
    """Somebody is asked to become staff; the e-mail is sealed, and goes once it is answered."""

    __tablename__ = "invitations"

    tenant_id: str = text_key()
    invitation_id: str = text_key()
    code_hash: str = text()
    login_index: str = text()
    key_id: str = text()
    sealed_email: bytes | None = sealed(nullable=True)
    roles: list[str] = document()
    invited_by: str = text()
    created_at: datetime = moment(default_now=True)
    expires_at: datetime = moment()
    accepted_by: str | None = text(nullable=True)
    accepted_at: datetime | None = moment(nullable=True)
    revoked_at: datetime | None = moment(nullable=True)


class SessionRow(SQLModel, table=True):
    """A sign-in and all tokens that came of it: a family that is revoked as one."""

    __tablename__ = "sessions"
    __table_args__ = (sa.Index("sessions_by_user", "tenant_id", "user_id"),)

    tenant_id: str = text_key()
    session_id: str = text_key()
    user_id: str = text()
    scopes: list[str] | None = document(nullable=True)
    created_at: datetime = moment(default_now=True)
    expires_at: datetime = moment()
    revoked_at: datetime | None = moment(nullable=True)
    revoked_because: str | None = text(nullable=True)


class RefreshTokenRow(SQLModel, table=True):
    """A refresh token, by its hash; used once, and kept so that a second use is noticed."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (sa.Index("refresh_tokens_by_session", "tenant_id", "session_id"),)

    tenant_id: str = text_key()
    token_hash: str = text_key()
    session_id: str = text()
    issued_at: datetime = moment(default_now=True)
    expires_at: datetime = moment()
    used_at: datetime | None = moment(nullable=True)


class RevocationRow(SQLModel, table=True):
    """What was ended before its time: a token, a session, an API key, by its id alone.

    Every process reads the recent ones of all tenants; `expires_at` is when nobody would be let in
    by it anyhow.
    """

    __tablename__ = "revocations"
    __table_args__ = (sa.Index("revocations_by_time", "revoked_at"),)

    tenant_id: str = text_key()
    revoked_id: str = text_key()
    revoked_at: datetime = moment(default_now=True)
    expires_at: datetime = moment()


class ServiceAccountRow(SQLModel, table=True):
    """A program that calls the API by its own name."""

    __tablename__ = "service_accounts"

    tenant_id: str = text_key()
    service_account_id: str = text_key()
    name: str = text()
    roles: list[str] = document()
    created_by: str = text()
    created_at: datetime = moment(default_now=True)


class APIKeyRow(SQLModel, table=True):
    """An API key, by its hash; `replaced_by` once it was rotated."""

    __tablename__ = "api_keys"
    __table_args__ = (sa.Index("api_keys_by_account", "tenant_id", "service_account_id"),)

    tenant_id: str = text_key()
    key_id: str = text_key()
    service_account_id: str = text()
    key_hash: str = text()
    scopes: list[str] | None = document(nullable=True)
    created_by: str = text()
    created_at: datetime = moment(default_now=True)
    expires_at: datetime = moment()
    replaced_by: str | None = text(nullable=True)
    revoked_at: datetime | None = moment(nullable=True)
    last_used_at: datetime | None = moment(nullable=True)


class SigningKeyRow(SQLModel, table=True):
    """A key that signs access tokens, sealed; of the platform.

    It signs from `active_from` on, until a later one does; its tokens are good until `expires_at`.
    """

    __tablename__ = "signing_keys"

    tenant_id: str = text_key()
    kid: str = text_key()
    algorithm: str = text()
    key_id: str = text()
    sealed_private: bytes = sealed()
    created_at: datetime = moment(default_now=True)
    active_from: datetime = moment()
    expires_at: datetime | None = moment(nullable=True)
