"""Offers stand in the order of what the applicant wants to have least of."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from models.domain.offer import Ranking
from models.domain.offer_ranking import ranked
from tests.activities.people import QUOTE


@dataclass(frozen=True)
class Offer:
    name: str
    apr_bps: int
    total_cost_minor: int
    monthly_payment_minor: int


# 10,000.00 for 12, 24 and 36 months: a short loan costs least in all and most a month.
SHORT = Offer("short", 1_200, 66_184, 88_849)
LONG = Offer("long", 1_100, 178_568, 32_739)
CHEAP = Offer("cheap", 1_000, 107_478, 46_145)


@pytest.mark.parametrize(
    ("ranking", "names"),
    [
        (Ranking.APR, ["cheap", "long", "short"]),
        (Ranking.TOTAL_COST, ["short", "cheap", "long"]),
        (Ranking.MONTHLY_PAYMENT, ["long", "cheap", "short"]),
    ],
)
def test_the_applicants_wish_decides(ranking: Ranking, names: list[str]) -> None:
    assert [each.name for each in ranked([SHORT, LONG, CHEAP], ranking)] == names


def test_ties_are_broken_by_apr_then_by_total_cost_then_the_given_order_stands() -> None:
    offers = [
        Offer("d", 900, 50_000, 10_000),
        Offer("c", 900, 50_000, 10_000),
        Offer("b", 900, 40_000, 10_000),
        Offer("a", 800, 60_000, 10_000),
    ]
    ordered = [each.name for each in ranked(offers, Ranking.MONTHLY_PAYMENT)]
    assert ordered == ["a", "b", "d", "c"]


def test_the_total_cost_holds_interest_and_fees() -> None:
    # 5,000.00 received, 5,289.00 repaid over the term.
    assert QUOTE.total_cost_minor == 28_900
    assert ranked([QUOTE], Ranking.TOTAL_COST) == (QUOTE,)
