"""The front door of a running stack, as people of one tenant see it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import httpx

from sandbox.stack import Stack

PASSWORD = "heron-lantern-quarry"


def key() -> dict[str, str]:
    """The header of a new write."""
    return {"idempotency-key": uuid.uuid4().hex}


def bearer(token: str) -> dict[str, str]:
    """The header of who holds the token."""
    return {"authorization": f"Bearer {token}"}


@dataclass(frozen=True)
class FrontDoor:
    """One tenant's people at the door of a running API."""

    http: httpx.AsyncClient
    stack: Stack
    tenant: str

    async def open(self, *, registration: bool = True) -> str:
        """Open the tenant; returns the code that makes its first administrator."""
        admin = f"root.{uuid.uuid4().hex[:8]}"
        token = self.stack.issuer.token(admin, "platform", ["platform_admin"])
        body = {
            "tenant": self.tenant,
            "registration_open": registration,
            "admin_email": f"admin@{self.tenant}.example",
        }
        answer = await self.http.post(
            "/api/v1/tenants", json=body, headers={**key(), **bearer(token)}
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["code"])

    async def register(
        self, email: str, *, invitation: str | None = None, **changes: Any
    ) -> httpx.Response:
        """Somebody makes an account."""
        body = {
            "tenant": self.tenant,
            "email": email,
            "name": "Zephyrine Quackenbosh",
            "password": PASSWORD,
            "invitation": invitation,
        }
        headers = changes.pop("headers", None) or key()
        return await self.http.post("/auth/register", json={**body, **changes}, headers=headers)

    async def login(self, email: str, password: str = PASSWORD, **more: Any) -> httpx.Response:
        """Somebody tries to sign in."""
        body = {"tenant": self.tenant, "email": email, "password": password, **more}
        return await self.http.post("/auth/login", json=body)

    async def signed_in(self, email: str, **more: Any) -> dict[str, Any]:
        """The tokens of somebody who has an account."""
        answer = await self.login(email, **more)
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    async def admin(self) -> dict[str, str]:
        """The header of an administrator of this tenant, newly invited and signed in."""
        email = f"admin@{self.tenant}.example"
        made = await self.register(email, invitation=await self.open())
        assert made.status_code == 201, made.text
        return bearer((await self.signed_in(email))["access_token"])

    async def profile(self, token: str) -> httpx.Response:
        """What the door says of who holds a token."""
        return await self.http.get("/auth/profile", headers=bearer(token))
