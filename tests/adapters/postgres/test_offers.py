"""Offers: the first search stands, and one acceptance holds, whoever else tries."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from models.domain.application import ApplicationEnding, ApplicationRef, State
from models.domain.decision import BureauEvidence
from models.domain.errors import Conflict, CreditError, NotFound
from models.domain.offer import ProviderAnswer

pytestmark = pytest.mark.stack


async def assessed(lending: Any) -> ApplicationRef:
    ref: ApplicationRef = await lending.application()
    await lending.risk.record_assessment(ref, lending.assessment(), BureauEvidence.PRESENT)
    return ref


async def test_the_first_search_stands(lending: Any) -> None:
    ref = await assessed(lending)
    first = await lending.offered(ref, lenders=2)
    before = await lending.contents(ref.tenant_id)
    assert await lending.offered(ref, lenders=3) == first
    assert (await lending.offers.asked_for(ref))[2] == first
    assert await lending.contents(ref.tenant_id) == before


async def test_two_searches_at_once_make_one_book(lending: Any) -> None:
    ref = await lending.application()
    books = await asyncio.gather(*(lending.offered(ref, lenders=2) for _ in range(8)))
    assert len({book.offers for book in books}) == 1
    assert len(books[0].offers) == 2


async def test_the_cheapest_offer_is_first_and_absences_have_their_reason(lending: Any) -> None:
    ref = await lending.application()
    book = await lending.offers.record_search(
        ref,
        [
            ProviderAnswer("dear", lending.quote(ref, "dear", apr=1_500)),
            ProviderAnswer("late", None, "DEADLINE"),
            ProviderAnswer("cheap", lending.quote(ref, "cheap", apr=700)),
        ],
    )
    assert [offer.provider_id for offer in book.offers] == ["cheap", "dear"]
    assert [(each.provider_id, each.reason) for each in book.missing] == [("late", "DEADLINE")]


async def test_at_one_apr_the_lower_total_is_first_and_then_the_older_offer(lending: Any) -> None:
    ref = await lending.application()

    def quote(name: str, total_minor: int) -> ProviderAnswer:
        changed = replace(
            lending.quote(ref, name, apr=900),
            total_repayable_minor=total_minor,
            terms_hash="0x" + name.encode().hex().rjust(64, "0"),
        )
        return ProviderAnswer(name, changed)

    dear, first, second = quote("dear", 572_401), quote("first", 572_400), quote("second", 572_400)
    book = await lending.offers.record_search(ref, [dear, first, second])
    ranked = [(offer.provider_id, offer.offer_id) for offer in book.offers]
    assert ranked[-1][0] == "dear"
    assert ranked[:2] == sorted(ranked[:2], key=lambda each: each[1])


async def test_a_search_without_offers_is_a_search(lending: Any) -> None:
    with pytest.raises(NotFound, match="APPLICATION_NOT_ASSESSED"):
        await lending.offers.asked_for(await lending.application())
    ref = await assessed(lending)
    assert (await lending.offers.asked_for(ref))[2] is None
    book = await lending.offers.record_search(ref, [ProviderAnswer("late", None, "DEADLINE")])
    assert (book.offers, len(book.missing)) == ((), 1)
    assert (await lending.offers.asked_for(ref))[2] == book


async def test_an_acceptance_is_kept_and_may_be_repeated(lending: Any) -> None:
    ref = await lending.application()
    request = lending.accepting(ref, await lending.offered(ref, lenders=2))
    await lending.offers.record_acceptance(ref, request)
    before = await lending.contents(ref.tenant_id)
    await lending.offers.record_acceptance(ref, request)
    assert await lending.contents(ref.tenant_id) == before
    row = (await lending.rows("SELECT * FROM applications WHERE tenant_id = $1", ref.tenant_id))[0]
    assert (row["state"], row["accepted_offer_id"]) == ("settling", request.offer_id)


async def test_another_signature_over_the_accepted_offer_is_another_acceptance(
    lending: Any,
) -> None:
    """Whoever is told that it holds finds it on record: signature, nonce and deadline."""
    ref = await lending.application()
    first = lending.accepting(ref, await lending.offered(ref))
    await lending.offers.record_acceptance(ref, first)
    before = await lending.contents(ref.tenant_id)
    again = replace(first.acceptance, nonce=8, signature="0x" + "ba" * 65)
    with pytest.raises(Conflict, match="ALREADY_ACCEPTED"):
        await lending.offers.record_acceptance(ref, replace(first, acceptance=again))
    assert await lending.contents(ref.tenant_id) == before


async def test_of_two_acceptances_at_once_one_holds(lending: Any) -> None:
    for _ in range(5):
        ref = await lending.application()
        book = await lending.offered(ref, lenders=2)
        outcomes = await asyncio.gather(
            *(
                lending.offers.record_acceptance(ref, lending.accepting(ref, book, position))
                for position in (0, 1)
            ),
            return_exceptions=True,
        )
        assert outcomes.count(None) == 1, outcomes
        (refusal,) = (each for each in outcomes if each is not None)
        assert isinstance(refusal, Conflict), refusal
        accepted = await lending.rows(
            "SELECT offer_id FROM offers WHERE tenant_id = $1 AND status = 'accepted'",
            ref.tenant_id,
        )
        named = await lending.value(
            "SELECT accepted_offer_id FROM applications WHERE tenant_id = $1", ref.tenant_id
        )
        assert [row["offer_id"] for row in accepted] == [named]
        assert (await lending.audited(ref.tenant_id)).count("offer.accepted") == 1


async def test_a_second_offer_is_refused_after_the_first(lending: Any) -> None:
    ref = await lending.application()
    book = await lending.offered(ref, lenders=2)
    await lending.offers.record_acceptance(ref, lending.accepting(ref, book, 0))
    with pytest.raises(Conflict) as refused:
        await lending.offers.record_acceptance(ref, lending.accepting(ref, book, 1))
    assert refused.value.code == "ALREADY_ACCEPTED"


async def test_the_index_holds_whatever_the_code_does(lending: Any) -> None:
    ref = await lending.application()
    await lending.offered(ref, lenders=2)
    with pytest.raises(asyncpg.UniqueViolationError, match="offers_one_accepted"):
        await lending.execute(
            "UPDATE offers SET status = 'accepted' WHERE tenant_id = $1", ref.tenant_id
        )


@pytest.mark.parametrize("state", [State.DECLINED, State.EXPIRED])
async def test_an_ended_application_leaves_no_open_offer(lending: Any, state: State) -> None:
    ref = await lending.application()
    book = await lending.offered(ref, lenders=2)
    await lending.endings.close(ref, ApplicationEnding(state, ()))
    statuses = await lending.rows("SELECT status FROM offers WHERE tenant_id = $1", ref.tenant_id)
    assert [row["status"] for row in statuses] == ["withdrawn", "withdrawn"]
    with pytest.raises(CreditError):
        await lending.offers.record_acceptance(ref, lending.accepting(ref, book))


async def test_a_foreign_or_invented_offer_is_not_accepted(lending: Any) -> None:
    ref, other = await lending.application(), await lending.application()
    theirs = lending.accepting(other, await lending.offered(other))
    mine = lending.accepting(ref, await lending.offered(ref))
    for request in (theirs, replace(mine, offer_id="off_" + "0" * 32)):
        with pytest.raises(Conflict, match="OFFER_NOT_OPEN"):
            await lending.offers.record_acceptance(ref, request)
