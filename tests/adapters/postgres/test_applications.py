"""Submitting once per key, whatever the client repeats and however often at once."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from adapters.postgres.applications import PostgresApplications
from adapters.postgres.idempotency import IdempotentWrites
from adapters.vault import Undecipherable
from models.domain.application import ApplicationRef
from models.domain.errors import Conflict, CreditError, Invalid, NotFound
from models.domain.ids import new_id
from models.domain.writes import StoredAnswer, WriteKey

pytestmark = pytest.mark.stack

# Bytes no JSON library would give back the same: spacing and key order show that they are stored.
ANSWER = StoredAnswer(
    202, {"location": "/x", "content-type": "application/json"}, b'{"b": 1,"a":2}'
)


async def submit(
    lending: Any, write: WriteKey, answer: StoredAnswer = ANSWER
) -> tuple[StoredAnswer, bool]:
    ref = ApplicationRef(write.tenant_id, new_id("app"), write.subject)
    return await PostgresApplications(lending.app).submit(
        write, ref, lending.request(), lending.person(), lambda: answer
    )


async def applications(lending: Any, tenant_id: str) -> int:
    return int(
        await lending.value("SELECT count(*) FROM applications WHERE tenant_id = $1", tenant_id)
    )


async def test_fifty_at_once_make_one_application(lending: Any) -> None:
    write = lending.write(lending.tenant())
    outcomes = await asyncio.gather(
        *(submit(lending, write) for _ in range(50)), return_exceptions=True
    )
    answers = [each for each in outcomes if isinstance(each, tuple)]
    refusals = [each for each in outcomes if isinstance(each, BaseException)]
    assert [fresh for _, fresh in answers].count(True) == 1
    assert {answer.body for answer, _ in answers} == {ANSWER.body}
    assert {(type(each), each.code) for each in refusals if isinstance(each, CreditError)} <= {
        (Conflict, "REQUEST_IN_FLIGHT")
    }
    assert all(isinstance(each, CreditError) for each in refusals)
    for table in ("applications", "start_intents", "subject_keys", "audit_log", "outbox"):
        count = f"SELECT count(*) FROM {table} WHERE tenant_id = $1"
        assert await lending.value(count, write.tenant_id) == 1, table


async def test_a_repetition_gets_the_same_bytes_and_admits_nobody(lending: Any) -> None:
    write = lending.write(lending.tenant())
    first, fresh = await submit(lending, write)
    again, new = await submit(lending, write, StoredAnswer(500, {}, b"another"))
    assert (fresh, new) == (True, False)
    assert again == first == ANSWER


@pytest.mark.parametrize(
    "changes",
    [{"body_sha256": hashlib.sha256(b"other").digest()}, {"subject": "eve"}],
    ids=["other body", "other subject"],
)
async def test_a_key_is_not_used_for_anything_else(lending: Any, changes: dict[str, Any]) -> None:
    write = lending.write(lending.tenant())
    await submit(lending, write)
    other = WriteKey(
        write.tenant_id,
        changes.get("subject", write.subject),
        write.route,
        write.key,
        changes.get("body_sha256", write.body_sha256),
    )
    with pytest.raises(Invalid) as refused:
        await submit(lending, other)
    assert refused.value.code == "IDEMPOTENCY_KEY_REUSED"
    assert await applications(lending, write.tenant_id) == 1


async def test_another_tenant_or_route_has_the_same_key_to_itself(lending: Any) -> None:
    write = lending.write(lending.tenant())
    elsewhere = lending.write(lending.tenant(), key=write.key)
    sibling = lending.write(write.tenant_id, key=write.key, route="POST /api/v1/other")
    for each in (write, elsewhere, sibling):
        assert (await submit(lending, each))[1]
    assert await applications(lending, write.tenant_id) == 2
    assert await applications(lending, elsewhere.tenant_id) == 1


async def test_a_refused_admission_leaves_nothing(lending: Any) -> None:
    write = lending.write(lending.tenant())

    def refuse() -> StoredAnswer:
        raise Invalid("WALLET_PROOF_INVALID")

    with pytest.raises(Invalid, match="WALLET_PROOF_INVALID"):
        await PostgresApplications(lending.app).submit(
            write, ApplicationRef(write.tenant_id, new_id("app"), "ada"),
            lending.request(), lending.person(), refuse,
        )  # fmt: skip
    assert not any((await lending.contents(write.tenant_id)).values())
    assert (await submit(lending, write))[1]  # the key is free


async def test_a_lease_is_taken_over_only_when_it_has_run_out(lending: Any) -> None:
    writes = IdempotentWrites(lending.app)
    write = lending.write(lending.tenant())
    assert await writes.reserve(write) is None
    with pytest.raises(Conflict) as refused:
        await writes.reserve(write)
    assert refused.value.code == "REQUEST_IN_FLIGHT"
    await lending.execute(
        "UPDATE idempotency_keys SET lease_until = now() - interval '1 second'"
        " WHERE tenant_id = $1",
        write.tenant_id,
    )
    assert await writes.reserve(write) is None
    with pytest.raises(Conflict):  # the new holder's lease protects it as well
        await writes.reserve(write)
    await writes.answer(write, ANSWER)
    assert await writes.reserve(write) == ANSWER


async def test_one_of_many_takes_over_a_lease(lending: Any) -> None:
    writes = IdempotentWrites(lending.app)
    write = lending.write(lending.tenant())
    await writes.reserve(write)
    await writes.release(write)
    outcomes = await asyncio.gather(
        *(writes.reserve(write) for _ in range(20)), return_exceptions=True
    )
    assert outcomes.count(None) == 1
    assert sum(isinstance(each, Conflict) for each in outcomes) == 19


async def test_a_forgotten_key_is_free_even_for_another_body(lending: Any) -> None:
    writes = IdempotentWrites(lending.app)
    write = lending.write(lending.tenant())
    await writes.reserve(write)
    await writes.forget(write)
    other = lending.write(
        write.tenant_id, key=write.key, body_sha256=hashlib.sha256(b"other").digest()
    )
    assert await writes.reserve(other) is None


async def test_an_answer_outlives_forget_and_release(lending: Any) -> None:
    writes = IdempotentWrites(lending.app)
    write = lending.write(lending.tenant())
    await writes.reserve(write)
    await writes.answer(write, ANSWER)
    await writes.forget(write)
    await writes.release(write)
    assert await writes.reserve(write) == ANSWER


async def test_the_view_is_the_tenants_alone(lending: Any) -> None:
    ref = await lending.application()
    applications = PostgresApplications(lending.app)
    view = await applications.view(ref.tenant_id, ref.application_id)
    assert (view.state, view.stage, view.request) == ("processing", "identity", lending.request())
    assert (view.offers, view.settlement, view.loan, view.score) == ((), None, None, None)
    for read in (applications.view, applications.ref):
        with pytest.raises(NotFound):
            await read(lending.tenant(), ref.application_id)


async def test_the_view_tells_the_whole_story_of_a_funded_loan(lending: Any) -> None:
    ref = await lending.application()
    await lending.verified(ref)
    attempt = await lending.signed(ref)
    await lending.loans.book_loan(ref, lending.final(attempt.transaction.tx_hash))
    view = await PostgresApplications(lending.app).view(ref.tenant_id, ref.application_id)
    assert (view.state, view.stage, view.identity) == ("funded", "closed", "verified")
    assert view.settlement is not None
    assert (view.settlement.state, view.settlement.amount_units) == ("final", 5_000_000_000)
    assert view.loan is not None
    assert (view.loan.amount_minor, view.loan.total_repayable_minor) == (500_000, 572_400)
    assert [offer.status for offer in view.offers] == ["accepted"]
    assert view.offers[0].quote.terms.nonce == 2**255 + 1  # beyond any float


async def test_personal_data_is_unreadable_at_rest_and_gone_with_its_key(lending: Any) -> None:
    ref = await lending.application()
    sealed = await lending.value(
        "SELECT sealed_applicant FROM applications WHERE tenant_id = $1", ref.tenant_id
    )
    assert b"Quillfeather" not in sealed
    person = (await lending.begun(ref)).person
    assert (await lending.kyc.applicant_of(person)).family_name == "Quillfeather"
    await lending.execute(
        "UPDATE subject_keys SET wrapped_key = NULL, destroyed_at = now() WHERE tenant_id = $1",
        ref.tenant_id,
    )
    with pytest.raises(NotFound, match="PERSON_UNKNOWN"):
        await lending.kyc.applicant_of(person)
    with pytest.raises(Invalid, match="PERSON_ERASED"):
        await submit(lending, lending.write(ref.tenant_id))
    assert await applications(lending, ref.tenant_id) == 1


async def test_sealed_data_opens_in_its_own_place_alone(lending: Any) -> None:
    """Copied into another application of the same person, the bytes do not open."""
    first = await lending.application()
    second = await lending.application(first.tenant_id)
    await lending.execute(
        "UPDATE applications SET sealed_applicant = (SELECT sealed_applicant FROM applications"
        " WHERE application_id = $1) WHERE application_id = $2",
        first.application_id,
        second.application_id,
    )
    with pytest.raises(Undecipherable):
        await lending.risk.case(second, "bureau")
    assert (await lending.risk.case(first, "bureau")).applicant == lending.person()
