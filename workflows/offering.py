"""Lenders' offers to one application: asked for, shown until one expires or is accepted."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.offers import OfferActivities
    from models.domain.application import ApplicationRef
    from models.domain.offer import (
        MAX_ROUNDS,
        AcceptOffer,
        OfferBook,
        OfferSummary,
        SearchAgain,
    )
    from models.domain.routing import ACCEPT_OFFER, SEARCH_AGAIN
    from workflows.acceptance import check_acceptance
    from workflows.failures import not_recorded
    from workflows.options import ASK_AGAIN_AFTER, OFFERS, OWN_DATABASE, SHORTEST_TIMER


class OfferDesk:
    """The open offers of one application; at most one acceptance holds at a time."""

    def __init__(self, application: ApplicationRef) -> None:
        self._application = application
        self._book: OfferBook | None = None
        self._shown: dict[str, OfferSummary] = {}
        self._searching = False
        self._closed = False
        self._recorded = False
        self.accepted: AcceptOffer | None = None

    # For the handlers of the workflow that owns the desk.

    def refuse_acceptance(self, request: AcceptOffer) -> None:
        """For validators: raise the published code of why this acceptance cannot stand."""
        self._refuse_unless_open()
        if self._book is not None:
            self._refuse_gone(request.offer_id)
            check_acceptance(self._application, self._book, request)

    async def accept(self, request: AcceptOffer) -> None:
        """Take the acceptance once it is on record."""
        # The read model may show offers a moment before this workflow has them; an application
        # that ends without any must not wait for this handler.
        await workflow.wait_condition(lambda: self._book is not None or self._closed)
        self.refuse_acceptance(request)
        self.accepted = request
        try:
            await workflow.execute_local_activity_method(
                OfferActivities.record_acceptance,
                args=[self._application, request],
                summary="Record the acceptance",
                **OWN_DATABASE,
            )
        except FailureError as error:
            # Our records refuse it: nothing was accepted, and the offers still stand.
            self.accepted = None
            raise not_recorded(error, "the acceptance") from error
        self._recorded = True

    def refuse_search(self, request: SearchAgain) -> None:
        """For validators: raise the published code of why lenders are not asked (again)."""
        self._refuse_unless_open()
        if request.round > MAX_ROUNDS:
            raise _refusal("SEARCH_ROUNDS_EXHAUSTED", "lenders were asked often enough")
        if not 1 <= request.round <= self.round + 1:
            raise _refusal("SEARCH_ROUND_UNKNOWN", "that round is not the next one")
        if self._searching:
            raise _refusal("SEARCH_UNDER_WAY", "lenders are being asked already")

    async def search_again(self, request: SearchAgain) -> int:
        """Ask lenders once more, unless that round is on record; the round that is."""
        await workflow.wait_condition(lambda: self._book is not None or self._closed)
        self.refuse_search(request)
        if request.round > self.round:
            await self._search_once(request.round)
        return self.round

    # For the workflow's own course.

    @property
    def round(self) -> int:
        """Which search the offers are of; 1 before the first."""
        return self._book.round if self._book is not None else 1

    def close(self) -> None:
        """Nothing is accepted any more; who waits to accept is refused."""
        self._closed = True

    async def collect(self) -> bool:
        """Ask lenders for the first time; whether there is anything to accept.

        Gone through again after a reset, the acceptance on record stands.
        """
        book = await self._search_patiently(1)
        if book.accepted is not None:
            self.accepted, self._recorded = book.accepted, True
        return bool(book.offers) or self._recorded

    async def collect_anew(self) -> bool:
        """The lender did not stand by the accepted offer: ask all again; whether any offers."""
        following = self.round + 1
        self.accepted, self._recorded, self._book = None, False, None
        return bool((await self._search_patiently(following)).offers)

    async def until_accepted(self, show: Callable[[str], None]) -> bool:
        """Wait for an acceptance on record; False when the last offer has expired.

        `show` is told in plain words what is waited for, whenever that changes.
        """
        shown: OfferBook | None = None
        while not self._recorded:
            await workflow.wait_condition(lambda: not self._empty_handed())
            assert self._book is not None
            if not self._book.offers:
                return False
            if self._book is not shown:
                shown = self._book
                show(_in_words(shown))
            try:
                await self._until_answered(shown)
            except TimeoutError:
                await self._expire()
            # The chain lane settles what is on record, so it is not asked any earlier.
            await workflow.wait_condition(lambda: self._recorded or self.accepted is None)
        return True

    def _refuse_unless_open(self) -> None:
        if self.accepted is not None:
            raise ApplicationError("an offer was accepted already", type="ALREADY_ACCEPTED")
        if self._closed:
            raise ApplicationError("the application is closed", type="APPLICATION_CLOSED")

    def _refuse_gone(self, offer_id: str) -> None:
        """An offer that was open once is told from one that never was."""
        assert self._book is not None
        gone = self._shown.get(offer_id)
        if gone is None or gone in self._book.offers:
            return
        if datetime.fromisoformat(gone.expires_at) <= workflow.now():
            raise _refusal("OFFER_EXPIRED", "the offer has expired")
        raise _refusal("OFFER_NOT_OPEN", "the offer was replaced by a newer one")

    def _empty_handed(self) -> bool:
        """Whether there is nothing to accept while lenders are being asked for more."""
        return self._searching and self._book is not None and not self._book.offers

    async def _until_answered(self, shown: OfferBook) -> None:
        """Until an offer is accepted or the book is another; TimeoutError when one expires."""
        first = min(datetime.fromisoformat(offer.expires_at) for offer in shown.offers)
        await workflow.wait_condition(
            lambda: self.accepted is not None or self._book is not shown,
            timeout=max(first - workflow.now(), SHORTEST_TIMER),
            timeout_summary="An offer expires",
        )

    async def _search_patiently(self, round_: int) -> OfferBook:
        """Ask lenders, and again while there is no offer and some of them were only away."""
        book = await self._search(round_)
        while book.worth_asking_again:
            with suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda seen=book: self._book is not seen,  # type: ignore[misc]
                    timeout=ASK_AGAIN_AFTER[book.round - 1],
                    timeout_summary="Lenders that did not answer are asked again",
                )
            await workflow.wait_condition(lambda: not self._searching)
            if self._book is book:
                await self._search_once(book.round + 1)
            assert self._book is not None
            book = self._book
        return book

    async def _search_once(self, round_: int) -> None:
        """Ask lenders while nobody else does."""
        self._searching = True
        try:
            await self._search(round_)
        finally:
            self._searching = False

    async def _search(self, round_: int) -> OfferBook:
        """Ask lenders; a round that is on record is not asked for again."""
        book: OfferBook = await workflow.execute_activity_method(
            OfferActivities.collect_offers,
            args=[self._application, round_],
            summary="Ask every eligible lender for offers",
            **OFFERS,
        )
        self._book = book
        self._shown |= {offer.offer_id: offer for offer in book.offers}
        return book

    async def _expire(self) -> None:
        book: OfferBook = await workflow.execute_local_activity_method(
            OfferActivities.expire_offers,
            args=[self._application, workflow.now().isoformat()],
            summary="Mark offers that have expired",
            **OWN_DATABASE,
        )
        # A search that was recorded meanwhile knows of more.
        if book.round >= self.round and book != self._book:
            self._book = book


class Offered:
    """The messages of a workflow that offers credit; mixed into the one that does."""

    offers: OfferDesk

    @workflow.update(name=ACCEPT_OFFER)
    async def accept_offer(self, request: AcceptOffer) -> None:
        """The applicant accepts one offer; answered once the acceptance is on record."""
        await self.offers.accept(request)

    @accept_offer.validator
    def _validate_acceptance(self, request: AcceptOffer) -> None:
        self.offers.refuse_acceptance(request)

    @workflow.update(name=SEARCH_AGAIN)
    async def search_again(self, request: SearchAgain) -> int:
        """Lenders are asked once more; answered with the round whose offers are on record."""
        return await self.offers.search_again(request)

    @search_again.validator
    def _validate_search(self, request: SearchAgain) -> None:
        self.offers.refuse_search(request)


def _in_words(book: OfferBook) -> str:
    best = book.offers[0]
    last = max(datetime.fromisoformat(offer.expires_at) for offer in book.offers).astimezone(UTC)
    return (
        f"{len(book.offers)} offer(s) open, best {best.apr_bps / 100:.2f} % APR from "
        f"{best.provider_id}; waiting for the applicant until {last:%Y-%m-%d %H:%M} UTC."
    )


def _refusal(code: str, detail: str) -> ApplicationError:
    return ApplicationError(detail, type=code, non_retryable=True)
