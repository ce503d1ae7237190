"""One attempt to tell a receiver: signed, bounded, to an address that may be reached."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver

from adapters.egress import EgressPolicy, check_url, new_session, refused_address
from adapters.kafka_mapping import envelope_of
from adapters.webhooks.signature import sign_callback
from models.domain.errors import Invalid
from models.domain.events import Event
from models.domain.webhook import (
    ADDRESS_REFUSED,
    GONE,
    NOT_ACCEPTED,
    TIMED_OUT,
    UNREACHABLE,
    UNSPEAKABLE,
    Attempt,
    Target,
)

DEFAULT_DEADLINE_S: Final = 15.0
# An answer's body means nothing to us; a short one is read, so that the connection can go on.
_READ_BYTES: Final = 16_384
_GONE: Final = 410
_USER_AGENT: Final = "credit-as-a-service-webhooks/1"


class WebhookSender:
    """Sends over keep-alive connections of its own; `close` gives them back."""

    def __init__(
        self,
        policy: EgressPolicy,
        *,
        deadline_s: float = DEFAULT_DEADLINE_S,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._policy = policy
        self._deadline_s = deadline_s
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    def check(self, url: str) -> None:
        """Raise Invalid URL_NOT_ALLOWED for an address that will never be asked."""
        check_url(url, self._policy)

    async def send(self, target: Target, event: Event) -> Attempt:
        """Tell the receiver of the event, once; its id is the message's id."""
        try:
            body = body_of(event)
        except ValueError:
            return Attempt(0, None, UNSPEAKABLE)
        headers = {
            "content-type": "application/json",
            "accept-encoding": "identity",
            "user-agent": _USER_AGENT,
            **sign_callback(target.secrets, event.event_id, body, datetime.now(UTC)),
        }
        started = time.monotonic()
        status: int | None = None
        try:
            url = check_url(target.url, self._policy)
            async with self._client().post(
                url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                status = answer.status
                retry_after_s = _retry_after_s(answer.headers.getall("retry-after", []))
                await answer.content.read(_READ_BYTES)
        except Invalid:
            return Attempt(_ms(started), None, ADDRESS_REFUSED)
        except TimeoutError:
            # An answer that began counts: the receiver has said what it thinks of the event.
            return _judged(started, status, None) if status else _failed(started, TIMED_OUT)
        except (aiohttp.ClientError, OSError) as error:
            if status is not None:
                return _judged(started, status, None)
            return _failed(started, ADDRESS_REFUSED if refused_address(error) else UNREACHABLE)
        return _judged(started, status, retry_after_s)

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = new_session(
                self._policy,
                deadline_s=self._deadline_s,
                max_connections=0,  # whoever sends bounds what is under way, for each receiver
                resolver=self._resolver,
            )
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            # TLS connections end in the next turns of the loop.
            await asyncio.sleep(0)


def body_of(event: Event) -> bytes:
    """The event's envelope (CloudEvents), with the `timestamp` that Standard Webhooks asks for."""
    envelope = envelope_of(event)
    at = event.recorded_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return f'{envelope[:-1]},"timestamp":"{at}"}}'.encode()


def _judged(started: float, status: int, retry_after_s: float | None) -> Attempt:
    if 200 <= status < 300:
        return Attempt(_ms(started), status)
    reason = GONE if status == _GONE else NOT_ACCEPTED
    return Attempt(_ms(started), status, reason, retry_after_s)


def _failed(started: float, reason: str) -> Attempt:
    return Attempt(_ms(started), None, reason)


def _ms(started: float) -> int:
    return round((time.monotonic() - started) * 1_000)


def _retry_after_s(values: Sequence[str]) -> float | None:
    """Seconds asked for, as a number or until a date (RFC 9110, section 10.2.3); None for else."""
    if not values:
        return None
    text = values[0].strip()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
