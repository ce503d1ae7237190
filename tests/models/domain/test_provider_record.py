"""A provider's configuration narrows its adapter's manifest, and never widens it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.provider import Appetite, Limits, ProviderType
from models.domain.provider_record import (
    Draft,
    ProviderRecord,
    Source,
    Unacceptable,
    narrowed_appetite,
    narrowed_limits,
)

MANIFEST = Appetite(
    countries=frozenset({"US", "DE"}),
    currencies=frozenset({"USD", "EUR"}),
    min_amount_minor=1_000,
    max_amount_minor=100_000,
    min_term_months=3,
    max_term_months=60,
)
LIMITS = Limits(requests_per_s=10.0, burst=5, concurrency=4, deadline_s=2.0, max_bytes=1_000)


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"countries": ["FR"]}, "countries"),
        ({"countries": ["US", "FR"]}, "countries"),
        ({"countries": ["*"]}, "countries"),
        ({"currencies": ["GBP"]}, "currencies"),
        ({"min_amount_minor": 999}, "min_amount_minor"),
        ({"max_amount_minor": 100_001}, "max_amount_minor"),
        ({"min_amount_minor": 100_001}, "min_amount_minor"),
        ({"max_amount_minor": 999}, "max_amount_minor"),
        ({"min_term_months": 2}, "min_term_months"),
        ({"max_term_months": 61}, "max_term_months"),
        ({"min_amount_minor": 5_000, "max_amount_minor": 4_999}, "min_amount_minor"),
        ({"min_term_months": 24, "max_term_months": 12}, "min_term_months"),
    ],
)
def test_an_appetite_that_widens_is_refused_by_name(wish: dict[str, Any], field: str) -> None:
    with pytest.raises(Unacceptable) as refused:
        narrowed_appetite(MANIFEST, wish)
    assert [path for path, _ in refused.value.places] == [("appetite", field)]


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"countries": ["DE"]},
        {"currencies": ["EUR"], "max_amount_minor": 50_000},
        {"min_term_months": 12, "max_term_months": 12},
        {"min_amount_minor": 1_000, "max_amount_minor": 100_000},
    ],
)
def test_a_narrower_appetite_is_taken_as_it_is(wish: dict[str, Any]) -> None:
    told = {
        name: frozenset(value) if isinstance(value, list) else value for name, value in wish.items()
    }
    assert narrowed_appetite(MANIFEST, wish) == replace(MANIFEST, **told)


def test_whoever_serves_every_country_may_be_narrowed_to_some() -> None:
    anywhere = replace(MANIFEST, countries=frozenset({"*"}))
    assert narrowed_appetite(anywhere, {"countries": ["FR"]}).countries == {"FR"}


@given(st.integers(1, 200_000), st.integers(1, 200_000))
def test_what_is_accepted_lies_within_the_manifest(low: int, high: int) -> None:
    try:
        found = narrowed_appetite(MANIFEST, {"min_amount_minor": low, "max_amount_minor": high})
    except Unacceptable:
        assert not 1_000 <= low <= high <= 100_000
    else:
        assert 1_000 <= found.min_amount_minor <= found.max_amount_minor <= 100_000


@pytest.mark.parametrize(
    ("wish", "accepted"),
    [
        ({"requests_per_s": 10.0}, True),
        ({"requests_per_s": 10.1}, False),
        ({"requests_per_s": 0.0}, False),
        ({"burst": 6}, False),
        ({"concurrency": 1, "deadline_s": 0.5}, True),
        ({"max_bytes": 1_001}, False),
    ],
)
def test_limits_are_tightened_alone(wish: dict[str, Any], *, accepted: bool) -> None:
    if accepted:
        assert narrowed_limits(LIMITS, wish) == replace(LIMITS, **wish)
    else:
        with pytest.raises(Unacceptable, match=next(iter(wish))):
            narrowed_limits(LIMITS, wish)


def record(tenant_id: str, source: Source) -> ProviderRecord:
    return ProviderRecord(
        tenant_id, "prv_1", "Bank", "bank-rest", ProviderType.TRADITIONAL, "https://a.example",
        {}, {}, {}, {}, source=source,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("owner", "source", "looker", "may_change", "sees_all"),
    [
        ("acme", Source.TENANT, "acme", True, True),
        ("platform", Source.PLATFORM, "acme", False, False),
        ("platform", Source.PLATFORM, "platform", True, True),
        ("platform", Source.CONFIGURATION, "acme", False, False),
        ("platform", Source.CONFIGURATION, "platform", False, True),
    ],
)
def test_who_may_change_and_see_a_provider(
    owner: str, source: Source, looker: str, *, may_change: bool, sees_all: bool
) -> None:
    found = record(owner, source)
    assert found.belongs_to(looker) == may_change
    assert found.shown_in_full_to(looker) == sees_all


def test_a_draft_shows_no_credentials() -> None:
    draft = Draft("Bank", "https://a.example", credentials={"key": "canary"})
    assert "canary" not in repr(draft)
