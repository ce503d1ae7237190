"""Offers in the order of what the applicant wants to have least of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol, TypeVar

from models.domain.offer import Ranking


class Priced(Protocol):
    """What an offer is compared by; amounts in minor units of one currency.

    The total cost is all that is repaid over the term less what is received: interest and every
    fee that the borrower pays.
    """

    @property
    def apr_bps(self) -> int: ...

    @property
    def total_cost_minor(self) -> int: ...

    @property
    def monthly_payment_minor(self) -> int: ...


O = TypeVar("O", bound=Priced)  # noqa: E741 - an offer of any kind

_BY: Final[dict[Ranking, Callable[[Priced], int]]] = {
    Ranking.APR: lambda offer: offer.apr_bps,
    Ranking.TOTAL_COST: lambda offer: offer.total_cost_minor,
    Ranking.MONTHLY_PAYMENT: lambda offer: offer.monthly_payment_minor,
}


def ranked(offers: Iterable[O], ranking: Ranking) -> tuple[O, ...]:
    """The best first; ties are broken by APR, then by total cost, then the given order stands.

    Who pays us is no part of it: a ranking that a lender could buy would mislead the applicant.
    """
    by = _BY[ranking]
    return tuple(
        sorted(offers, key=lambda offer: (by(offer), offer.apr_bps, offer.total_cost_minor))
    )
