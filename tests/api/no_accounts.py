"""An identity desk of a platform that nobody has an account on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from models.domain.accounts import SignInRefused
from models.domain.errors import Conflict, NotFound


class NoPeople:
    """No account of anybody."""

    async def accounts(self, tenant_id: str, limit: int) -> tuple[Any, ...]:
        return ()

    async def profile(self, tenant_id: str, user_id: str) -> Any:
        raise NotFound("ACCOUNT_UNKNOWN")

    async def open_tenant(self, tenant_id: str, actor: str, *, registration_open: bool) -> None:
        return None

    async def set_status(self, *_: Any) -> Any:
        raise NotFound("ACCOUNT_UNKNOWN")


class NoAccounts:
    """Refuses every sign-in, lists nothing, knows no id; `signed_out` is what was revoked."""

    def __init__(self) -> None:
        self.options = SimpleNamespace(
            lifetimes=SimpleNamespace(access=timedelta(minutes=10)), invitation=timedelta(days=7)
        )
        self.accounts = NoPeople()
        self.sign_in = self.invitations = self.service_accounts = self
        self.signing_keys = self.revocations = self
        self.signed_out: list[tuple[Any, ...]] = []
        self.refuses_with = SignInRefused()

    async def register(self, write: Any, sign_up: Any, answer: Any) -> Any:
        raise Conflict("REGISTRATION_CLOSED")

    async def login(self, *asked: Any) -> SignInRefused:
        return self.refuses_with

    refresh = login

    async def logout(self, *named: Any) -> None:
        self.signed_out.append(named)

    async def all(self, tenant_id: str, limit: int) -> tuple[Any, ...]:
        return ()

    async def _unknown(self, *_: Any) -> Any:
        raise NotFound("UNKNOWN")

    invite = create = keys = create_key = rotate_key = revoke_key = revoke = _unknown

    def jwks(self) -> dict[str, Any]:
        return {"keys": []}

    def login_index(self, tenant_id: str, email: str) -> str:
        return "index"

    def body_digest(self, tenant_id: str, body: bytes) -> bytes:
        return b"digest"

    def forget(self, sessions: list[str]) -> None:
        return None

    def add(self, *revoked: str, until: datetime) -> None:
        assert until > datetime.now(UTC)
