"""When what has failed is tried again, and who is told of what."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.events import Event
from models.domain.webhook import RetryPlan, Webhook, WebhookStatus, WebhookView

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("attempts", "wait_s"),
    [(1, 5), (2, 20), (3, 80), (4, 320), (5, 1_280), (6, 5_120), (7, 20_480), (8, 21_600),
     (30, 21_600), (10_000, 21_600)],
)  # fmt: skip
def test_waits_grow_to_six_hours(attempts: int, wait_s: float) -> None:
    assert RetryPlan().wait_s(attempts, None, jitter=1.0) == wait_s


def test_what_the_receiver_asks_for_is_kept_but_for_what_would_never_end() -> None:
    plan = RetryPlan()
    assert plan.wait_s(1, 60.0, jitter=1.0) == 60.0
    assert plan.wait_s(1, 1.0, jitter=1.0) == 5.0
    assert plan.wait_s(1, 10.0**9, jitter=1.0) == plan.give_up_after_s


@given(st.integers(1, 10_000), st.none() | st.floats(0, 10**9))
def test_a_wait_is_never_longer_than_all_of_it(attempts: int, asked_s: float | None) -> None:
    plan = RetryPlan()
    wait_s = plan.wait_s(attempts, asked_s)
    assert 0 < wait_s <= plan.give_up_after_s
    assert wait_s >= min(asked_s or 0.0, plan.give_up_after_s)


def test_in_three_days_there_are_some_twenty_attempts() -> None:
    plan, at_s, attempts = RetryPlan(), 0.0, 1
    while at_s + plan.wait_s(attempts, None, jitter=1.0) <= plan.give_up_after_s:
        at_s += plan.wait_s(attempts, None, jitter=1.0)
        attempts += 1
    assert 15 <= attempts <= 25


def webhook(**changes: object) -> Webhook:
    stated = {
        "webhook_id": "whk_1", "provider_id": None, "url": "https://a.example/",
        "event_types": None, "view": WebhookView.WHOLE, "description": "",
        "status": WebhookStatus.ACTIVE, "status_reason": None, "former_secret_until": None,
        "created_by": "ada", "created_at": NOW, **changes,
    }  # fmt: skip
    return Webhook(**stated)  # type: ignore[arg-type]


def event(kind: str) -> Event:
    return Event(1, "evt_1", "acme", "app_1", kind, {"subject_id": "app_1", "score": 7}, NOW)


@pytest.mark.parametrize(
    ("changes", "kind", "providers", "wanted"),
    [
        ({}, "offer.accepted", (), True),
        ({}, "review.opened", (), True),
        ({}, "webhook.dead_lettered", (), False),
        ({"event_types": ("webhook.disabled",)}, "webhook.disabled", (), False),
        ({"event_types": ("offer.accepted",)}, "offer.accepted", (), True),
        ({"event_types": ("offer.accepted",)}, "application.funded", (), False),
        ({"view": WebhookView.APPLICANT}, "offer.accepted", (), True),
        ({"view": WebhookView.APPLICANT}, "review.opened", (), False),
        ({"provider_id": "bank"}, "offer.accepted", ("bank",), True),
        ({"provider_id": "bank"}, "offer.accepted", ("other",), False),
        ({"provider_id": "bank"}, "offer.accepted", (), False),
    ],
)
def test_who_is_told_of_what(
    changes: dict[str, object], kind: str, providers: tuple[str, ...], *, wanted: bool
) -> None:
    assert webhook(**changes).wants(event(kind), frozenset(providers)) is wanted


def test_an_applicants_view_has_an_applicants_facts() -> None:
    seen = WebhookView.APPLICANT.of(event("offer.accepted"))
    assert seen is not None
    assert seen.data == {"subject_id": "app_1"}
    assert WebhookView.WHOLE.of(event("offer.accepted")) == event("offer.accepted")
