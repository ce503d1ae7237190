"""What talking to any lender over HTTP has in common, whatever its language is."""

from __future__ import annotations

from typing import Final

from adapters.http import Answer, HTTPCaller, RetryLater
from adapters.providers.quote_check import (
    PROVIDER_REFUSED,
    LenderRefused,
    because,
    refusal_code_of,
)
from models.domain.errors import Permanent, Transient
from models.domain.provider import ProviderStatus

CREDENTIALS_REFUSED: Final = "CREDENTIALS_REFUSED"


async def status_of(caller: HTTPCaller, path: str = "/healthz") -> ProviderStatus:
    """What a lender's health address says: 200 is ACTIVE, 503 with Retry-After MAINTENANCE."""
    try:
        answer = await caller.call("GET", path)
    except RetryLater as later:
        planned = later.status == 503 and later.retry_after_s is not None
        return ProviderStatus.MAINTENANCE if planned else ProviderStatus.INACTIVE
    except (Transient, Permanent):
        return ProviderStatus.INACTIVE
    return ProviderStatus.ACTIVE if answer.status == 200 else ProviderStatus.INACTIVE


def require_served(provider_id: str, answer: Answer) -> Answer:
    """The answer unless it is a refusal; raises LenderRefused PROVIDER_REFUSED with its code."""
    if answer.status >= 400:
        raise LenderRefused(
            PROVIDER_REFUSED,
            because(provider_id, answer.status, answer.body),
            refusal_code_of(answer.body),
        )
    return answer


def require_known(provider_id: str, answer: Answer) -> Answer:
    """The answer unless it refuses our credentials; raises Transient CREDENTIALS_REFUSED.

    A wrong key or a wrong clock is ours to repair, and no borrower's fault.
    """
    if answer.status in (401, 403):
        detail = because(provider_id, answer.status, answer.body)
        raise Transient(CREDENTIALS_REFUSED, detail)
    return answer
