"""Endings: whoever comes first under the application's lock wins, and the ledger stays even."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable
from typing import Any

import pytest

from models.domain.application import ApplicationEnding, ApplicationRef, State
from models.domain.errors import Conflict, InvariantViolated
from models.domain.review import ReviewClosure, ReviewEnd
from models.domain.settlement import SettlementState
from tests.adapters.postgres.reviewing import (
    WITHDRAWAL,
    asked,
    asking,
    credit_review,
    deciding,
    opened,
)

pytestmark = pytest.mark.stack

SIGNATURE = "0x" + "cd" * 65
ROUNDS = range(12)


async def race(seed: int, *acts: Awaitable[Any]) -> list[Any]:
    """What each act returned or raised; they begin within two milliseconds of each other."""
    dice = random.Random(seed)

    async def started(act: Awaitable[Any]) -> Any:
        await asyncio.sleep(dice.random() * 0.002)
        return await act

    return await asyncio.gather(*map(started, acts), return_exceptions=True)


async def state_of(lending: Any, ref: ApplicationRef) -> tuple[str, list[str]]:
    [row] = await lending.rows(
        "SELECT state, reasons FROM applications WHERE application_id = $1", ref.application_id
    )
    return row["state"], json.loads(row["reasons"])


async def offers_of(lending: Any, ref: ApplicationRef) -> list[str]:
    rows = await lending.rows(
        "SELECT status FROM offers WHERE application_id = $1", ref.application_id
    )
    return [row["status"] for row in rows]


async def balances(lending: Any, ref: ApplicationRef) -> dict[str, int]:
    """What stands on each account, pending entries included, void ones not."""
    rows = await lending.rows(
        "SELECT p.account, sum(p.amount_minor)::bigint AS balance FROM ledger_postings p"
        " JOIN ledger_entries e USING (tenant_id, entry_id)"
        " WHERE e.application_id = $1 AND e.state <> 'void' GROUP BY p.account"
        " HAVING sum(p.amount_minor) <> 0",
        ref.application_id,
    )
    return {row["account"]: row["balance"] for row in rows}


def code_of(result: Any) -> str | None:
    """None for success; anything but a conflict is a defect."""
    if isinstance(result, BaseException):
        assert isinstance(result, Conflict), result
        return result.code
    return None


async def test_a_withdrawal_closes_everything_that_is_open(lending: Any) -> None:
    ref = await lending.application()
    request_id = await asked(lending, ref)
    await lending.offered(ref, lenders=2)
    await lending.endings.withdraw(ref, WITHDRAWAL)
    assert await state_of(lending, ref) == ("withdrawn", ["WITHDRAWN_BY_APPLICANT"])
    assert await offers_of(lending, ref) == ["withdrawn", "withdrawn"]
    [review] = await lending.rows("SELECT * FROM reviews WHERE subject_id = $1", ref.application_id)
    assert (review["status"], review["decided_by"]) == ("void", None)
    [question] = await lending.rows(
        "SELECT status FROM information_requests WHERE request_id = $1", request_id
    )
    assert question["status"] == "closed"
    assert await lending.rows("SELECT 1 FROM notices WHERE tenant_id = $1", ref.tenant_id) == []
    [audited] = await lending.rows(
        "SELECT actor FROM audit_log WHERE tenant_id = $1 AND action = 'application.withdrawn'",
        ref.tenant_id,
    )
    assert audited["actor"] == "ada"
    assert await lending.endings.ending(ref) == ApplicationEnding(
        State.WITHDRAWN, ("WITHDRAWN_BY_APPLICANT",)
    )


async def test_a_withdrawn_loan_holds_no_commitment(lending: Any) -> None:
    order = await lending.confirmed(ref := await lending.application())
    assert await balances(lending, ref) != {}
    await lending.endings.withdraw(ref, WITHDRAWAL)
    assert await balances(lending, ref) == {}
    assert await offers_of(lending, ref) == ["withdrawn"]
    with pytest.raises(Conflict, match="SETTLEMENT_CLOSED"):
        await lending.settlements().record_confirmation(order, SIGNATURE)
    settled = await lending.failing(ref, "SETTLEMENT_CLOSED")
    assert settled.state is SettlementState.FAILED
    assert await state_of(lending, ref) == ("withdrawn", ["WITHDRAWN_BY_APPLICANT"])


async def test_what_is_signed_cannot_be_withdrawn(lending: Any) -> None:
    ref = await lending.application()
    attempt = await lending.signed(ref)
    before = await lending.contents(ref.tenant_id)
    with pytest.raises(Conflict, match="SETTLEMENT_SIGNED"):
        await lending.endings.withdraw(ref, WITHDRAWAL)
    assert await lending.contents(ref.tenant_id) == before
    booked = await lending.loans.book_loan(ref, lending.final(attempt.transaction.tx_hash))
    with pytest.raises(Conflict, match="APPLICATION_CLOSED"):
        await lending.endings.withdraw(ref, WITHDRAWAL)
    assert await lending.endings.ending(ref) == ApplicationEnding(
        State.FUNDED, (), booked.loan_id, attempt.transaction.tx_hash
    )


async def test_an_ended_application_cannot_be_withdrawn_nor_a_withdrawn_one_end(
    lending: Any,
) -> None:
    ended, withdrawn = await lending.application(), await lending.application()
    declined = ApplicationEnding(State.DECLINED, ("SCORE_TOO_LOW",))
    notice = await lending.endings.close(ended, declined)
    assert await lending.endings.close(ended, declined) == notice
    with pytest.raises(Conflict, match="APPLICATION_CLOSED"):
        await lending.endings.withdraw(ended, WITHDRAWAL)
    with pytest.raises(InvariantViolated, match="APPLICATION_ENDED_TWICE"):
        await lending.endings.close(ended, ApplicationEnding(State.BLOCKED, ()))
    assert await lending.endings.ending(ended) == declined
    await lending.endings.withdraw(withdrawn, WITHDRAWAL)
    with pytest.raises(Conflict, match="APPLICATION_CLOSED"):
        await lending.endings.close(withdrawn, declined)


async def test_of_signing_and_withdrawing_exactly_one_happens(lending: Any) -> None:
    for seed in ROUNDS:
        sender = lending.sender()
        order = await lending.confirmed(ref := await lending.application())
        records = lending.settlements(sender)
        quote = (await records.accepted_offer(order)).quote
        signing, withdrawing = await race(
            seed,
            records.persist_attempt(order, quote, 0, lending.signer(sender)),
            lending.endings.withdraw(ref, WITHDRAWAL),
        )
        outcome = (code_of(signing), code_of(withdrawing))
        signed = await records.attempt(ref) is not None
        if signed:
            assert outcome == (None, "SETTLEMENT_SIGNED"), seed
            assert (await state_of(lending, ref))[0] == "settling", seed
        else:
            assert outcome == ("SETTLEMENT_CLOSED", None), seed
            assert (await state_of(lending, ref))[0] == "withdrawn", seed
            assert await balances(lending, ref) == {}, seed


async def test_of_accepting_and_withdrawing_the_withdrawal_is_the_end(lending: Any) -> None:
    for seed in ROUNDS:
        ref = await lending.application()
        accepting = lending.accepting(ref, await lending.offered(ref, lenders=2))
        accepted, withdrawn = await race(
            seed,
            lending.offers.record_acceptance(ref, accepting),
            lending.endings.withdraw(ref, WITHDRAWAL),
        )
        assert code_of(accepted) in (None, "OFFER_NOT_OPEN"), seed
        assert code_of(withdrawn) is None, seed
        assert (await state_of(lending, ref))[0] == "withdrawn", seed
        assert set(await offers_of(lending, ref)) == {"withdrawn"}, seed


async def test_of_confirming_and_withdrawing_no_commitment_is_left(lending: Any) -> None:
    for seed in ROUNDS:
        order = await lending.accepted(ref := await lending.application())
        confirmed, withdrawn = await race(
            seed,
            lending.settlements().record_confirmation(order, SIGNATURE),
            lending.endings.withdraw(ref, WITHDRAWAL),
        )
        assert code_of(confirmed) in (None, "SETTLEMENT_CLOSED"), seed
        assert code_of(withdrawn) is None, seed
        assert await balances(lending, ref) == {}, seed


async def test_an_application_ends_in_one_way_however_many_end_it(lending: Any) -> None:
    expired = ApplicationEnding(State.EXPIRED, ("OFFER_EXPIRED",))
    for seed in ROUNDS:
        ref = await lending.application()
        await lending.offered(ref)
        results = await race(
            seed,
            lending.endings.close(ref, expired),
            lending.endings.withdraw(ref, WITHDRAWAL),
            lending.endings.close(ref, expired),
            lending.endings.withdraw(ref, WITHDRAWAL),
        )
        codes = [code_of(result) for result in results]
        state, reasons = await state_of(lending, ref)
        refused = "APPLICATION_CLOSED"
        ways = {
            "expired": ([None, refused, None, refused], ["OFFER_EXPIRED"]),
            "withdrawn": ([refused, None, refused, None], ["WITHDRAWN_BY_APPLICANT"]),
        }
        assert (codes, reasons) == ways[state], seed
        endings = [each for each in await lending.audited(ref.tenant_id) if state in each]
        assert endings == [f"application.{state}"], seed


async def test_a_review_and_a_withdrawal_wait_for_each_other(lending: Any) -> None:
    """Neither a deadlock, nor a question or an open review of a closed application."""
    for seed in ROUNDS:
        ref = await lending.application()
        review_id = await opened(lending, credit_review(ref, approvals_needed=2))
        closure = ReviewClosure(ref.tenant_id, review_id, ReviewEnd.APPROVED, deciding(review_id))
        closed, stepped, withdrawn = await race(
            seed,
            lending.reviews.close(closure),
            lending.reviews.step(asking(ref, review_id)),
            lending.endings.withdraw(ref, WITHDRAWAL),
        )
        assert (code_of(closed), code_of(withdrawn)) == (None, None), seed
        assert code_of(stepped) in (None, "REVIEW_NOT_OPEN"), seed
        view = await lending.reviews.find(ref.tenant_id, review_id)
        assert view.status in ("approved", "void"), seed
        open_ones = await lending.rows(
            "SELECT 1 FROM information_requests WHERE tenant_id = $1 AND status = 'open'",
            ref.tenant_id,
        )
        assert open_ones == [], seed
