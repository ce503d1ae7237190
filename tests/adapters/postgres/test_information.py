"""What applicants answer: sealed, once, in time, by the right person, and told to who waits."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.postgres.database import PLATFORM
from adapters.postgres.information import AnsweredRequest, PostgresInformation
from adapters.postgres.people import applicant
from models.domain.application import ApplicationRef, IdentityDocument
from models.domain.errors import Conflict, NotFound
from models.domain.ids import application_workflow_id, kyc_workflow_id
from models.domain.review import InformationProvided, ReviewClosure, ReviewEnd
from tests.adapters.postgres.locking import waits_empty_handed
from tests.adapters.postgres.reviewing import WITHDRAWAL, asked, credit_review, opened

pytestmark = pytest.mark.stack

ANSWERS = {"PROOF_OF_INCOME": "I earn a lot at Quillfeather & Daughters."}
PASSPORT = IdentityDocument("passport", "N7654321", "US")


async def answer(
    lending: Any, ref: ApplicationRef, request_id: str, document: IdentityDocument | None = None
) -> AnsweredRequest:
    answered: AnsweredRequest = await lending.information.provide(
        ref, request_id, ANSWERS, document, ref.user_id
    )
    return answered


async def document_of(lending: Any, ref: ApplicationRef) -> str:
    """The number of the document an application states."""
    async with lending.app.transaction(ref.tenant_id) as tx:
        return (await applicant(tx, ref.application_id)).document.number


async def test_an_answer_is_sealed_and_read_by_name(lending: Any) -> None:
    ref = await lending.application()
    request_id = await asked(lending, ref)
    workflow_id = application_workflow_id(ref.tenant_id, ref.application_id)
    assert await answer(lending, ref, request_id) == AnsweredRequest(
        ref.tenant_id, workflow_id, InformationProvided(request_id, new_document=False)
    )
    stored = await lending.contents(ref.tenant_id)
    for table, rows in stored.items():
        assert "Daughters" not in "".join(rows), table
        assert b"Daughters".hex() not in "".join(rows), table
    review_id = await opened(lending, credit_review(ref))
    read = await lending.information.read(ref.tenant_id, review_id, "olga")
    assert read == {request_id: ANSWERS}
    [audited] = await lending.rows(
        "SELECT actor, subject_id FROM audit_log"
        " WHERE tenant_id = $1 AND action = 'information.read'",
        ref.tenant_id,
    )
    assert tuple(audited) == ("olga", review_id)
    assert await lending.information.read(lending.tenant(), review_id, "eve") == {}


async def test_an_answer_counts_once(lending: Any) -> None:
    ref = await lending.application()
    request_id = await asked(lending, ref)
    assert await lending.reviews.answered(ref.tenant_id, request_id) is None
    first = await answer(lending, ref, request_id)
    before = await lending.contents(ref.tenant_id)
    # Other words and another document: what was said first stays said.
    assert await answer(lending, ref, request_id, PASSPORT) == first
    assert await lending.contents(ref.tenant_id) == before
    assert await lending.reviews.answered(ref.tenant_id, request_id) is False


async def test_nobody_answers_for_another(lending: Any) -> None:
    ref = await lending.application()
    request_id = await asked(lending, ref)
    stranger = await lending.application(ref.tenant_id, "eve")
    foreign_tenant = await lending.application(user_id=ref.user_id)
    other_application = await lending.application(ref.tenant_id, ref.user_id)
    mixed = ApplicationRef(ref.tenant_id, ref.application_id, "eve")
    for each in (stranger, foreign_tenant, other_application, mixed):
        with pytest.raises(NotFound, match="INFORMATION_REQUEST_UNKNOWN"):
            await answer(lending, each, request_id)
    with pytest.raises(NotFound, match="INFORMATION_REQUEST_UNKNOWN"):
        await answer(lending, ref, "inf_" + "0" * 32)


async def test_a_late_answer_is_refused_and_so_is_one_nobody_waits_for(lending: Any) -> None:
    late, closed, withdrawn = [await lending.application() for _ in range(3)]
    requests = {late: await asked(lending, late, days=-0.001)}
    requests |= {each: await asked(lending, each) for each in (closed, withdrawn)}
    review_id = await opened(lending, credit_review(closed))
    await lending.reviews.close(ReviewClosure(closed.tenant_id, review_id, ReviewEnd.UNANSWERED))
    await lending.endings.withdraw(withdrawn, WITHDRAWAL)
    for ref, request_id in requests.items():
        before = await lending.contents(ref.tenant_id)
        with pytest.raises(Conflict, match="INFORMATION_REQUEST_CLOSED"):
            await answer(lending, ref, request_id, PASSPORT)
        assert await lending.contents(ref.tenant_id) == before


async def test_a_new_document_is_stated_in_every_open_application(lending: Any) -> None:
    tenant_id = lending.tenant()
    first, second, ended = [await lending.application(tenant_id) for _ in range(3)]
    neighbour = await lending.application(tenant_id, "eve")
    await lending.endings.withdraw(ended, WITHDRAWAL)
    # Asked about the person: any application of theirs may bring the answer.
    request_id = await asked(lending, first, person=True)
    answered = await answer(lending, second, request_id, PASSPORT)
    assert answered.workflow_id == kyc_workflow_id(tenant_id, "ada")
    assert answered.provided.new_document is True
    assert await lending.reviews.answered(tenant_id, request_id) is True
    stated = [await document_of(lending, each) for each in (first, second, ended, neighbour)]
    assert stated == ["N7654321", "N7654321", "P1234567", "P1234567"]


async def test_an_ending_and_an_answer_wait_for_each_other(lending: Any) -> None:
    """Who ends an application has it, and wants its questions."""
    ref = await lending.application()
    act = answer(lending, ref, await asked(lending, ref), PASSPORT)
    await waits_empty_handed(lending, ref.tenant_id, act, "applications", "information_requests")


async def test_what_no_workflow_was_told_of_is_found_until_it_was(lending: Any) -> None:
    sweeping = PostgresInformation(lending.relay)
    ref, other = await lending.application(), await lending.application()
    unanswered = await asked(lending, await lending.application())
    mine = [await answer(lending, each, await asked(lending, each)) for each in (ref, other)]

    async def left() -> list[AnsweredRequest]:
        found = await sweeping.undelivered(100)
        assert unanswered not in [each.provided.request_id for each in found]
        return [each for each in found if each in mine]

    assert await left() == []  # whoever took the answer is telling the workflow at this moment
    await lending.execute(
        "UPDATE information_requests SET answered_at = answered_at - interval '6 seconds'"
        " WHERE answered_at IS NOT NULL"
    )
    assert await left() == mine
    await sweeping.delivered(mine[0])
    assert await left() == mine[1:]
    await sweeping.delivered(mine[0])
    await sweeping.delivered(mine[1])
    assert await left() == []


async def test_the_sweep_sees_no_answers(lending: Any) -> None:
    ref = await lending.application()
    await answer(lending, ref, await asked(lending, ref))
    async with lending.relay.transaction(PLATFORM) as tx:
        granted = await tx.value(
            "SELECT has_column_privilege('caas_relay', 'subject_keys', 'wrapped_key', 'SELECT')"
        )
    assert granted is False  # sealed answers stay sealed for it
