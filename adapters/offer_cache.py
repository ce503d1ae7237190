"""Lenders' answers to recent searches, kept for a short time in this process's memory."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from models.domain.offer import ProviderAnswer, QuoteRequest
from models.domain.offer_search import NOT_OFFERED

DEFAULT_TTL_S: Final = 30.0
DEFAULT_CAPACITY: Final = 10_000  # answers, of some 2 KB each

# A shown offer should be open for as long as it takes to read it.
_SHOWABLE_S: Final = 5.0

Answers = tuple[ProviderAnswer, ...]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class OfferCache:
    """One provider's answer to one set of criteria; the least recently used one goes first.

    A quote or a plain "not offered" is kept; a failure never is: the next search asks again.
    """

    def __init__(
        self,
        ttl_s: float = DEFAULT_TTL_S,
        capacity: int = DEFAULT_CAPACITY,
        *,
        now: Callable[[], datetime] = _utc_now,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ttl_s = ttl_s
        self._capacity = capacity
        self._now = now
        self._monotonic_s = monotonic_s
        self._kept: OrderedDict[tuple[str, QuoteRequest], tuple[float, Answers]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, provider_id: str, criteria: QuoteRequest) -> Answers | None:
        """What the provider answered, if it is still good."""
        found = self._kept.get((provider_id, criteria))
        if found is None:
            return None
        until_s, answers = found
        if self._monotonic_s() >= until_s:
            del self._kept[provider_id, criteria]
            return None
        self._kept.move_to_end((provider_id, criteria))
        return answers

    def keep(self, provider_id: str, criteria: QuoteRequest, answers: Answers) -> None:
        """Remember an answer, never beyond the earliest expiry of its quotes."""
        lifetime_s = self._lifetime_s(answers)
        if lifetime_s <= 0 or self._capacity < 1:
            return
        self._kept[provider_id, criteria] = (self._monotonic_s() + lifetime_s, answers)
        self._kept.move_to_end((provider_id, criteria))
        while len(self._kept) > self._capacity:
            self._kept.popitem(last=False)

    def _lifetime_s(self, answers: Answers) -> float:
        if not all(each.quote is not None or each.reason == NOT_OFFERED for each in answers):
            return 0.0
        now = self._now()
        open_s = (
            (datetime.fromisoformat(each.quote.expires_at) - now).total_seconds() - _SHOWABLE_S
            for each in answers
            if each.quote is not None
        )
        return min(self._ttl_s, *open_s, self._ttl_s)
