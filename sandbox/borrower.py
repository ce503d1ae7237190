"""A borrower with a real wallet: applies, follows, signs and accepts through the public API."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self, cast

import httpx

from adapters.chain.eip712 import sign_acceptance, sign_wallet_ownership
from clients.python.caas_client import AsyncClient
from clients.python.caas_client.types import (
    AcceptBody,
    AcceptedAnswer,
    ApplicationAnswer,
    ApplicationBody,
    OfferAnswer,
)
from sandbox.persona import read_persona
from sandbox.services.deployment import Deployment
from sandbox.wallets import Wallet, wallet

ACCEPTANCE_VALID_S: Final = 3600
FOLLOW_EVERY_S: Final = 0.25
TERMINAL: Final = frozenset({"funded", "declined", "withdrawn", "expired", "blocked", "rejected"})


def persona(name: str) -> dict[str, Any]:
    """Whose persona it is and what they state; UnknownPersonaError lists those there are."""
    return read_persona(name).data


@dataclass(frozen=True)
class Borrower:
    """One person with a wallet and an access token."""

    http: httpx.AsyncClient
    data: Mapping[str, Any]
    wallet: Wallet
    deployment: Deployment
    token: str

    @classmethod
    def of(
        cls,
        http: httpx.AsyncClient,
        data: Mapping[str, Any],
        seed: bytes,
        deployment: Deployment,
        token: str,
    ) -> Self:
        """The borrower of a persona; the wallet belongs to tenant and user."""
        return cls(
            http, data, wallet(f"borrower:{data['tenant']}:{data['user_id']}", seed), deployment,
            token,
        )  # fmt: skip

    @property
    def client(self) -> AsyncClient:
        """The published client, with the borrower's token."""
        return AsyncClient(self.http, self.token)

    def application_body(self) -> ApplicationBody:
        """The body of `POST /api/v1/applications`, with a fresh proof of the wallet."""
        issued_at = int(time.time())
        signature = sign_wallet_ownership(
            self.data["tenant"],
            self.data["user_id"],
            self.wallet.address,
            issued_at,
            chain_id=self.deployment.chain_id,
            aggregator=self.deployment.aggregator,
            private_key=self.wallet.private_key,
        )
        stated = {
            name: value for name, value in self.data.items() if name not in ("tenant", "user_id")
        }
        proof = {
            "address": self.wallet.address,
            "issued_at": issued_at,
            "signature": signature,
        }
        # What a persona states is written down in a file; the API is the judge of its form.
        return cast("ApplicationBody", {**stated, "wallet": proof})

    def acceptance_body(self, offer: OfferAnswer) -> AcceptBody:
        """The body of `POST …/accept`, signed by the wallet over the offer's terms hash."""
        nonce, deadline = secrets.randbits(128), int(time.time()) + ACCEPTANCE_VALID_S
        signature = sign_acceptance(
            offer["terms_hash"],
            self.wallet.address,
            nonce,
            deadline,
            chain_id=offer["chain_id"],
            aggregator=offer["aggregator"],
            private_key=self.wallet.private_key,
        )
        return {
            "offer_id": offer["offer_id"],
            "terms_hash": offer["terms_hash"],
            "borrower": self.wallet.address,
            "nonce": str(nonce),
            "deadline": deadline,
            "signature": signature,
        }

    async def apply(self, key: str | None = None) -> str:
        """Submit the application; returns its id."""
        body = self.application_body()
        answer = await self.client.applications.submit(body, idempotency_key=key)
        return answer["application_id"]

    async def accept(
        self, application_id: str, offer: OfferAnswer, key: str | None = None
    ) -> AcceptedAnswer:
        """Accept an offer."""
        body = self.acceptance_body(offer)
        return await self.client.applications.accept(application_id, body, idempotency_key=key)

    async def view(self, application_id: str) -> ApplicationAnswer:
        """The application as the API shows it."""
        return await self.client.applications.show(application_id)

    async def until(self, application_id: str, *states: str, timeout_s: float) -> ApplicationAnswer:
        """Follow the application into one of the states, or any ending; TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while True:
                view = await self.view(application_id)
                if view["state"] in states or view["state"] in TERMINAL:
                    return view
                await asyncio.sleep(FOLLOW_EVERY_S)

    async def post(self, path: str, body: Any, key: str | None = None) -> dict[str, Any]:
        """A write with an idempotency key; raises httpx.HTTPStatusError on refusal."""
        headers = {**self.headers(), "Idempotency-Key": key or secrets.token_urlsafe(16)}
        answer = await self.http.post(path, json=body, headers=headers)
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document

    def headers(self) -> dict[str, str]:
        """What authenticates the borrower."""
        return {"Authorization": f"Bearer {self.token}"}
