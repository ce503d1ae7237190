"""Offers over several rounds: what is replaced, what expires, and when nothing is any more."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.domain.application import ApplicationEnding, ApplicationRef, State
from models.domain.errors import Conflict, NotFound
from models.domain.offer import MAX_ROUNDS, OfferBook, ProviderAnswer, Quote
from models.domain.settlement import SettlementOrder, SettlementState

pytestmark = pytest.mark.stack


def quoted(lending: Any, ref: ApplicationRef, name: str, round_: int, **changes: Any) -> Quote:
    """A lender's quote of that round: other terms than in any other round."""
    terms_hash = "0x" + f"{name}{round_}".encode().hex().rjust(64, "0")
    quote: Quote = replace(lending.quote(ref, name), terms_hash=terms_hash, **changes)
    return quote


async def searched(lending: Any, ref: ApplicationRef, round_: int, *names: str) -> OfferBook:
    answers = [ProviderAnswer(name, quoted(lending, ref, name, round_)) for name in names]
    book: OfferBook = await lending.offers.record_search(ref, answers, round_)
    return book


async def statuses(lending: Any, ref: ApplicationRef) -> dict[tuple[str, int], str]:
    """The status of each lender's offer of each round."""
    rows = await lending.rows(
        "SELECT provider_id, round, status FROM offers WHERE application_id = $1",
        ref.application_id,
    )
    return {(row["provider_id"], row["round"]): row["status"] for row in rows}


async def test_newer_quotes_replace_their_own_lenders_and_no_others(lending: Any) -> None:
    ref = await lending.application()
    await searched(lending, ref, 1, "one", "two")
    book = await searched(lending, ref, 2, "one", "three")
    assert book.round == 2
    assert sorted(offer.provider_id for offer in book.offers) == ["one", "three", "two"]
    assert await statuses(lending, ref) == {
        ("one", 1): "replaced", ("two", 1): "open", ("one", 2): "open", ("three", 2): "open",
    }  # fmt: skip
    assert (await lending.published(ref.tenant_id)).count("offer.created") == 4


async def test_a_round_on_record_stands_and_an_older_one_changes_nothing(lending: Any) -> None:
    ref = await lending.application()
    await searched(lending, ref, 1, "one")
    second = await searched(lending, ref, 2, "one")
    before = await lending.contents(ref.tenant_id)
    assert await searched(lending, ref, 2, "four") == second
    assert await searched(lending, ref, 1, "five") == second
    assert await lending.contents(ref.tenant_id) == before


async def test_a_quote_that_is_said_again_is_the_same_offer(lending: Any) -> None:
    ref = await lending.application()
    quote = quoted(lending, ref, "one", 1)
    [first] = (await lending.offers.record_search(ref, [ProviderAnswer("one", quote)])).offers
    again = await lending.offers.record_search(ref, [ProviderAnswer("one", quote)], 2)
    assert again.offers == (first,)
    assert await statuses(lending, ref) == {("one", 1): "open"}


async def test_a_search_without_new_offers_leaves_the_open_ones_on_offer(lending: Any) -> None:
    ref = await lending.application()
    await searched(lending, ref, 1, "one")
    late = [ProviderAnswer("one", None, "DEADLINE_EXCEEDED")]
    book = await lending.offers.record_search(ref, late, 2)
    assert ([offer.provider_id for offer in book.offers], book.missing) == (["one"], tuple(late))
    state = await lending.value(
        "SELECT state FROM applications WHERE application_id = $1", ref.application_id
    )
    assert state == "offered"


async def test_nothing_is_replaced_once_an_offer_is_accepted(lending: Any) -> None:
    ref = await lending.application()
    book = await searched(lending, ref, 1, "one")
    await lending.offers.record_acceptance(ref, lending.accepting(ref, book))
    before = await lending.contents(ref.tenant_id)
    kept = await searched(lending, ref, 2, "one")
    assert (kept.round, kept.accepted is not None) == (1, True)
    assert await lending.contents(ref.tenant_id) == before


async def test_nothing_is_offered_by_an_application_that_has_ended(lending: Any) -> None:
    ref = await lending.application()
    await searched(lending, ref, 1, "one")
    await lending.endings.close(ref, ApplicationEnding(State.EXPIRED, ("OFFER_EXPIRED",)))
    before = await lending.contents(ref.tenant_id)
    assert (await searched(lending, ref, 2, "one")).offers == ()
    assert await lending.contents(ref.tenant_id) == before


async def test_offers_expire_one_by_one_and_once(lending: Any) -> None:
    ref = await lending.application()
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    later = (datetime.now(UTC) + timedelta(minutes=50)).isoformat()
    await lending.offers.record_search(
        ref,
        [
            ProviderAnswer("soon", quoted(lending, ref, "soon", 1, expires_at=soon)),
            ProviderAnswer("later", quoted(lending, ref, "later", 1, expires_at=later)),
        ],
    )
    now = datetime.now(UTC)
    for minutes, left in ((0, ["later", "soon"]), (5.1, ["later"]), (5.1, ["later"]), (50.1, [])):
        moment = (now + timedelta(minutes=minutes)).isoformat()
        book = await lending.offers.expire_offers(ref, moment)
        assert sorted(offer.provider_id for offer in book.offers) == left
    assert (await lending.published(ref.tenant_id)).count("offer.expired") == 2


async def test_an_expired_offer_is_not_accepted(lending: Any) -> None:
    ref = await lending.application()
    book = await searched(lending, ref, 1, "one")
    await lending.offers.expire_offers(ref, (datetime.now(UTC) + timedelta(hours=2)).isoformat())
    with pytest.raises(Conflict, match="OFFER_NOT_OPEN"):
        await lending.offers.record_acceptance(ref, lending.accepting(ref, book))


async def test_an_offer_its_lender_does_not_stand_by_reopens_the_application(lending: Any) -> None:
    ref = await lending.application()
    book = await searched(lending, ref, 1, "one", "two")
    accepting = lending.accepting(ref, book)
    await lending.offers.record_acceptance(ref, accepting)
    order = SettlementOrder(ref, accepting.offer_id, accepting.acceptance)
    for _ in range(2):
        outcome = await lending.loans.fail_settlement(ref, accepting.offer_id, "TERMS_CHANGED")
        assert (outcome.state, outcome.reopened) == (SettlementState.FAILED, True)
    application = (
        await lending.rows("SELECT * FROM applications WHERE tenant_id = $1", ref.tenant_id)
    )[0]
    assert (application["state"], application["accepted_offer_id"]) == ("processing", None)
    assert (await lending.audited(ref.tenant_id)).count("offer.replaced") == 1
    # The slow attempt of before finds nothing to confirm, and nothing to sign.
    chain = lending.settlements()
    with pytest.raises((NotFound, Conflict)):
        await chain.record_confirmation(order, "0x" + "cd" * 65)
    again = await searched(lending, ref, 2, "one")
    chosen = next(each for each in again.offers if each.provider_id == "one")
    await lending.offers.record_acceptance(
        ref, replace(lending.accepting(ref, again), offer_id=chosen.offer_id)
    )
    with pytest.raises(NotFound, match="OFFER_NOT_ACCEPTED"):
        await chain.persist_attempt(
            order, quoted(lending, ref, "one", 1), 0, lending.signer(lending.sender())
        )


async def test_a_confirmed_offer_is_one_its_lender_stands_by(lending: Any) -> None:
    order = await lending.confirmed(await lending.application())
    outcome = await lending.loans.fail_settlement(
        order.application, order.offer_id, "QUOTE_EXPIRED"
    )
    assert (outcome.state, outcome.reopened) == (SettlementState.FAILED, False)
    state = await lending.value(
        "SELECT state FROM applications WHERE application_id = $1",
        order.application.application_id,
    )
    assert state == "expired"


async def test_lenders_are_not_asked_for_ever(lending: Any) -> None:
    ref = await lending.application()
    for round_ in range(1, MAX_ROUNDS + 1):
        book = await searched(lending, ref, round_, "one")
        accepting = lending.accepting(ref, book)
        await lending.offers.record_acceptance(ref, accepting)
        outcome = await lending.loans.fail_settlement(ref, accepting.offer_id, "TERMS_CHANGED")
        assert outcome.reopened is (round_ < MAX_ROUNDS)
    ended = (await lending.rows("SELECT * FROM applications WHERE tenant_id = $1", ref.tenant_id))[
        0
    ]
    assert (ended["state"], ended["reasons"]) == ("expired", '["TERMS_CHANGED"]')
