"""Webhooks as the API asks for them: registered where they may be reached, tried on request."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

from adapters.postgres.database import Database
from adapters.postgres.webhook_deliveries import PostgresWebhookDeliveries
from adapters.postgres.webhooks import AnswerWithSecret, PostgresWebhooks
from models.domain.events import Event
from models.domain.webhook import Attempt, NewWebhook, Target, WebhookView, event_for_test
from models.domain.writes import StoredAnswer, WriteKey


class CheckingSender(Protocol):
    """Sends, and says beforehand where it never will."""

    def check(self, url: str) -> None:
        """Raise Invalid URL_NOT_ALLOWED."""

    async def send(self, target: Target, event: Event) -> Attempt:
        """Tell a receiver of an event, once."""


class WebhookDesk:
    """What the front door asks about webhooks."""

    def __init__(self, database: Database, sender: CheckingSender) -> None:
        self.records = PostgresWebhooks(database)
        self.deliveries = PostgresWebhookDeliveries(database)
        self._sender = sender

    async def register(
        self, write: WriteKey, asked: NewWebhook, answer: AnswerWithSecret
    ) -> StoredAnswer:
        """As `PostgresWebhooks.register`; raises Invalid URL_NOT_ALLOWED, too."""
        self._sender.check(asked.url)
        return await self.records.register(write, asked, answer)

    async def test(
        self, write: WriteKey, webhook_id: str, views: frozenset[WebhookView]
    ) -> tuple[Event, Attempt]:
        """Send a test event now, once, and say what came back; nothing else waits for it."""
        target = await self.records.target(write.tenant_id, webhook_id, views)
        event_id = "evt_" + write.effect_id[:32]
        event = event_for_test(write.tenant_id, webhook_id, event_id, datetime.now(UTC))
        return event, await self._sender.send(target, event)
