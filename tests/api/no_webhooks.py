"""Webhooks of a platform on which nobody has one, and nobody may have another."""

from __future__ import annotations

from typing import Any

from adapters.egress import LOOPBACK, EgressPolicy, check_url
from models.domain.errors import Conflict, NotFound
from models.domain.webhook import NewWebhook

POLICY = EgressPolicy(LOOPBACK, ports=frozenset(), plain_http=True)


class NoWebhooks:
    """Registers none, and knows no id."""

    def __init__(self) -> None:
        self.records = self.deliveries = self

    async def register(self, write: Any, asked: NewWebhook, answer: Any) -> Any:
        check_url(asked.url, POLICY)
        raise Conflict("TOO_MANY_WEBHOOKS")

    async def all(self, tenant_id: str, views: Any) -> tuple[Any, ...]:
        return ()

    async def _unknown(self, *_: Any) -> Any:
        raise NotFound("WEBHOOK_UNKNOWN")

    one = remove = rotate = pause = resume = page = redeliver = redeliver_all = test = _unknown


class NoLenderCallbacks:
    """Callbacks of a platform that no lender shares a secret with."""

    async def receive(self, *_: Any) -> Any:
        raise NotFound("VENDOR_UNKNOWN")
