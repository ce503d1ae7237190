"""Offers as they are read, and an applicant's no: of one transaction, once, and never both ways."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from adapters.postgres.offer_views import PostgresOffers
from models.domain.application import ApplicationRef
from models.domain.errors import Conflict, NotFound
from models.domain.graph import Page
from models.domain.writes import StoredAnswer

pytestmark = pytest.mark.stack

NO = StoredAnswer(200, {}, b'{"status":"rejected"}')


@pytest.fixture
def offers(lending: Any) -> PostgresOffers:
    return PostgresOffers(lending.app)


async def reject(
    lending: Any, offers: PostgresOffers, ref: ApplicationRef, offer_id: str, user: str | None
) -> StoredAnswer:
    write = lending.write(ref.tenant_id, route=f"POST /api/v1/offers/{offer_id}/reject")
    return await offers.reject(write, offer_id, user, "too_expensive", NO)


async def test_an_open_offer_is_rejected_with_its_audit_row_and_its_event(
    lending: Any, offers: PostgresOffers
) -> None:
    ref = await lending.application()
    unwanted, other = (await lending.offered(ref, lenders=2)).offers
    assert await reject(lending, offers, ref, unwanted.offer_id, "ada") == NO
    assert await reject(lending, offers, ref, unwanted.offer_id, "ada") == NO
    standing = await offers.offer(ref.tenant_id, unwanted.offer_id, "ada")
    assert (standing.offer.status, standing.application_id) == ("rejected", ref.application_id)
    assert (await lending.audited(ref.tenant_id)).count("offer.rejected") == 1
    assert (await lending.published(ref.tenant_id)).count("offer.rejected") == 1
    left = await offers.searched(ref.tenant_id, ref.application_id, "ada")
    assert [each.offer_id for each in left.offers] == [other.offer_id]


async def test_a_repetition_gets_the_first_answer(lending: Any, offers: PostgresOffers) -> None:
    ref = await lending.application()
    [offer] = (await lending.offered(ref)).offers
    write = lending.write(ref.tenant_id)
    await offers.reject(write, offer.offer_id, "ada", None, NO)
    before = await lending.contents(ref.tenant_id)
    again = await offers.reject(write, offer.offer_id, "ada", None, StoredAnswer(500, {}, b"other"))
    assert again == NO
    assert await lending.contents(ref.tenant_id) == before


async def test_what_was_accepted_cannot_be_rejected_nor_the_other_way_round(
    lending: Any, offers: PostgresOffers
) -> None:
    ref = await lending.application()
    order = await lending.accepted(ref)
    before = await lending.contents(ref.tenant_id)
    with pytest.raises(Conflict, match="OFFER_NOT_OPEN"):
        await reject(lending, offers, ref, order.offer_id, "ada")
    assert await lending.contents(ref.tenant_id) == before

    other = await lending.application()
    book = await lending.offered(other)
    await reject(lending, offers, other, book.offers[0].offer_id, None)
    with pytest.raises(Conflict, match="OFFER_NOT_OPEN"):
        await lending.offers.record_acceptance(other, lending.accepting(other, book))


async def test_of_a_yes_and_a_no_at_once_one_counts(lending: Any, offers: PostgresOffers) -> None:
    for _ in range(8):
        ref = await lending.application()
        book = await lending.offered(ref)
        yes = lending.offers.record_acceptance(ref, lending.accepting(ref, book))
        no = reject(lending, offers, ref, book.offers[0].offer_id, "ada")
        told = await asyncio.gather(yes, no, return_exceptions=True)
        refused = [each for each in told if isinstance(each, Conflict)]
        assert [each.code for each in refused] == ["OFFER_NOT_OPEN"]
        standing = await offers.offer(ref.tenant_id, book.offers[0].offer_id, "ada")
        assert standing.offer.status == ("rejected" if refused[0] is told[0] else "accepted")


async def test_another_persons_and_another_tenants_offers_do_not_exist(
    lending: Any, offers: PostgresOffers
) -> None:
    ref = await lending.application()
    [offer] = (await lending.offered(ref)).offers
    stranger = await lending.application()
    before = await lending.contents(ref.tenant_id)
    for tenant, user in ((ref.tenant_id, "eve"), (stranger.tenant_id, None)):
        with pytest.raises(NotFound):
            await offers.offer(tenant, offer.offer_id, user)
        with pytest.raises(NotFound):
            await offers.searched(tenant, ref.application_id, user)
        write = lending.write(tenant, subject="eve")
        with pytest.raises(NotFound):
            await offers.reject(write, offer.offer_id, user, None, NO)
        assert await offers.history(tenant, user, Page(10)) == []
    assert await lending.contents(ref.tenant_id) == before


async def test_a_search_that_was_not_made_has_no_round(
    lending: Any, offers: PostgresOffers
) -> None:
    ref = await lending.application()
    found = await offers.searched(ref.tenant_id, ref.application_id, "ada")
    assert (found.round, found.offers, found.missing) == (None, (), ())


async def test_an_offer_whose_time_is_up_can_no_longer_be_found(
    lending: Any, offers: PostgresOffers
) -> None:
    ref = await lending.application()
    late, open_ = (await lending.offered(ref, lenders=2)).offers
    await lending.execute(
        "UPDATE offers SET expires_at = now() - interval '1 second' WHERE offer_id = $1",
        late.offer_id,
    )
    found = await offers.searched(ref.tenant_id, ref.application_id, "ada")
    assert [each.offer_id for each in found.offers] == [open_.offer_id]


async def test_the_past_is_read_in_pages_the_newest_first(
    lending: Any, offers: PostgresOffers
) -> None:
    ref = await lending.application()
    made = [each.offer_id for each in (await lending.offered(ref, lenders=3)).offers]
    other = await lending.application(ref.tenant_id, "bob")
    theirs = (await lending.offered(other)).offers[0].offer_id
    first = await offers.history(ref.tenant_id, "ada", Page(2))
    assert [each.offer.offer_id for each in first] == sorted(made, reverse=True)
    rest = await offers.history(ref.tenant_id, "ada", Page(2, first[1].offer.offer_id))
    assert [each.offer.offer_id for each in rest] == sorted(made)[:1]
    everybodys = await offers.history(ref.tenant_id, None, Page(10))
    assert {each.offer.offer_id for each in everybodys} == {*made, theirs}
    of_bob = await offers.history(
        ref.tenant_id, None, Page(10, None, {"application_id": other.application_id})
    )
    assert [(each.offer.offer_id, each.user_id) for each in of_bob] == [(theirs, "bob")]
