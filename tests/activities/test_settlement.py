"""Sign once, keep before sending, send the same bytes again; only the chain gives up."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from activities.ports.chain import Payment, ReferenceStanding
from activities.ports.settlement_records import Attempt
from activities.settlement import ChainActivities, LoanBookActivities
from models.domain.errors import Conflict, CreditError, InvariantViolated, Permanent, Transient
from models.domain.offer import LenderConfirmation
from models.domain.settlement import (
    ChainReceipt,
    FinalitySignal,
    SettlementOutcome,
    SettlementState,
    SubmittedTransaction,
)
from tests.activities.chain_lane import OUR_HASH, Book, ClosedRecords, Lane, signed
from tests.activities.people import (
    ACCEPTANCE,
    APPLICATION,
    BORROWER,
    LENDER,
    TERMS,
    VENUE,
    Lenders,
)

OTHER_HASH = "0x" + "0e" * 32
PAID = Payment(OTHER_HASH, 40, "0x" + "bb" * 32, 5, BORROWER, LENDER, VENUE.token, TERMS.principal)
# Both signatures have a deadline; the acceptance's is the earlier one here.
FIRST_DEADLINE = min(TERMS.deadline, ACCEPTANCE.deadline)


async def refused(lane: Lane) -> str:
    """The code of a permanent refusal to submit, with nothing signed."""
    with pytest.raises(Permanent) as error:
        await lane.submit()
    assert lane.nothing_was_signed()
    assert lane.chain.sent == []
    return error.value.code


async def test_a_signature_that_is_not_the_lenders_stops_before_signing() -> None:
    lane = Lane()
    lane.chain.signature_is_valid = False
    assert await refused(lane) == "LENDER_SIGNATURE_INVALID"
    assert "record confirmation" not in lane.log


async def test_changed_terms_stop_before_the_signature_is_even_looked_at() -> None:
    lane = Lane()
    lane.lender.confirmation = LenderConfirmation("quote-1", "0x" + "66" * 32, "0xlender")
    lane.chain.signature_is_valid = False
    assert await refused(lane) == "TERMS_CHANGED"
    assert "record confirmation" not in lane.log


async def test_what_needs_a_person_waits_for_one_and_costs_the_borrower_nothing() -> None:
    lane = Lane()
    lane.lender.refusal = Permanent("PROVIDER_NEEDS_PERSON", "the account is under review")
    with pytest.raises(Transient, match="PROVIDER_NEEDS_PERSON"):
        await lane.submit()
    assert lane.nothing_was_signed()


async def test_an_unknown_lender_cannot_be_asked() -> None:
    lane = Lane()
    lane.activities = ChainActivities(lane.records, lane.chain, Lenders())
    assert await refused(lane) == "PROVIDER_UNKNOWN"


async def test_a_settlement_the_contract_would_refuse_is_not_signed() -> None:
    lane = Lane()
    lane.chain.simulation = Permanent("INSUFFICIENT_ALLOWANCE")
    assert await refused(lane) == "INSUFFICIENT_ALLOWANCE"


async def test_a_reference_that_was_paid_already_is_said_by_its_own_code() -> None:
    lane = Lane()
    lane.chain.simulation, lane.chain.settled = Permanent("REFERENCE_USED"), True
    assert await refused(lane) == "REFERENCE_ALREADY_SETTLED"


async def test_a_node_that_cannot_simulate_now_is_asked_again() -> None:
    lane = Lane()
    lane.chain.simulation, lane.chain.settled = Transient("NODE_BUSY"), True
    with pytest.raises(Transient):
        await lane.submit()
    assert lane.nothing_was_signed()


async def test_nothing_is_sent_for_an_application_that_is_no_longer_settling() -> None:
    lane = Lane(ClosedRecords)
    with pytest.raises(Conflict):
        await lane.submit()
    assert lane.chain.sent == []


async def test_everything_is_on_record_before_anything_is_sent() -> None:
    lane = Lane()
    submitted = await lane.submit()
    assert submitted == SubmittedTransaction("set_1", VENUE.chain_id, OUR_HASH, 7)
    assert lane.log == [
        "confirm",
        "record confirmation",
        "persist",
        "sign with 0xlender",
        "send",
        "record broadcast",
    ]
    assert lane.chain.sent == ["raw-7"]


async def test_a_repetition_after_sending_does_nothing_and_answers_the_same() -> None:
    lane = Lane()
    first = await lane.submit()
    lane.log.clear()
    assert await lane.submit() == first
    assert lane.log == []


async def test_a_repetition_before_sending_sends_the_same_bytes() -> None:
    lane = Lane()
    lane.records.kept = Attempt("set_1", signed(3), was_broadcast=False)
    assert (await lane.submit()).nonce == 3
    assert lane.chain.sent == ["raw-3"]
    assert lane.log == ["send", "record broadcast"]


async def test_a_lender_that_has_confirmed_is_not_asked_again() -> None:
    lane = Lane()
    lane.records.signature = "0xearlier"
    await lane.submit()
    assert "confirm" not in lane.log
    assert "sign with 0xearlier" in lane.log


@pytest.mark.parametrize("error", [Permanent("FEE_TOO_LOW"), Transient("NODE_BUSY")])
async def test_after_signing_no_refusal_of_a_node_is_final(error: CreditError) -> None:
    lane = Lane()
    lane.chain.refusal = error
    with pytest.raises(Transient) as raised:
        await lane.submit()
    assert raised.value.code == error.code
    kept = lane.records.kept
    assert kept is not None
    assert not kept.was_broadcast
    lane.chain.refusal = None
    await lane.submit()
    assert lane.chain.sent == [kept.transaction.raw]


def receipt(confirmations: int, *, succeeded: bool = True) -> ChainReceipt:
    return ChainReceipt(OUR_HASH, 41, "0x" + "b7" * 32, succeeded, confirmations, 150_000)


async def test_looking_for_what_was_never_signed_is_a_bug() -> None:
    with pytest.raises(InvariantViolated):
        await Lane().observe()


@pytest.mark.parametrize("confirmations", [None, 1, 2])
async def test_what_is_not_at_depth_is_not_final(confirmations: int | None) -> None:
    lane = Lane()
    await lane.submit()
    if confirmations is not None:
        lane.chain.mined[OUR_HASH] = receipt(confirmations)
    with pytest.raises(Transient) as raised:
        await lane.observe()
    assert raised.value.code == "NOT_FINAL_YET"


@pytest.mark.parametrize("succeeded", [True, False])
async def test_at_depth_the_receipt_is_the_answer(succeeded: bool) -> None:
    lane = Lane()
    await lane.submit()
    lane.chain.mined[OUR_HASH] = receipt(3, succeeded=succeeded)
    assert await lane.observe() == FinalitySignal(
        OUR_HASH, 41, "0x" + "b7" * 32, 3, succeeded=succeeded
    )


@pytest.mark.parametrize("final_time", [0, FIRST_DEADLINE - 1, FIRST_DEADLINE])
async def test_while_somebody_may_still_relay_the_signatures_nothing_is_decided(
    final_time: int,
) -> None:
    lane = Lane()
    lane.chain.now = ReferenceStanding(final_time, None)
    with pytest.raises(Transient) as raised:
        await lane.resolve()
    assert raised.value.code == "NOT_DECIDED_YET"


async def test_after_the_first_deadline_in_a_final_block_nobody_can_pay_any_more() -> None:
    lane = Lane()
    lane.chain.now = ReferenceStanding(FIRST_DEADLINE + 1, None)
    assert await lane.resolve() == FinalitySignal("", 0, "", 0, succeeded=False)


@pytest.mark.parametrize(
    "changes",
    [
        {"borrower": LENDER},
        {"lender": BORROWER},
        {"token": BORROWER},
        {"principal": TERMS.principal - 1},
    ],
    ids=lambda changes: next(iter(changes)),
)
async def test_a_payment_of_anything_else_under_our_reference_is_never_booked(
    changes: dict[str, Any],
) -> None:
    lane = Lane()
    lane.chain.now = ReferenceStanding(0, dataclasses.replace(PAID, **changes))
    with pytest.raises(InvariantViolated):
        await lane.resolve()
    assert lane.records.adopted is None


async def test_a_payment_by_somebody_else_is_ours_to_book() -> None:
    lane = Lane()
    await lane.submit()
    lane.chain.now = ReferenceStanding(0, PAID)
    observed = await lane.resolve()
    assert (observed.tx_hash, observed.succeeded, observed.by_other) == (OTHER_HASH, True, True)
    assert lane.records.adopted is None


async def test_a_payment_we_have_no_record_of_is_adopted() -> None:
    lane = Lane()
    lane.chain.now = ReferenceStanding(0, PAID)
    assert (await lane.resolve()).by_other
    assert lane.records.adopted == OTHER_HASH


async def test_our_own_payment_is_not_somebody_elses() -> None:
    lane = Lane()
    await lane.submit()
    lane.chain.now = ReferenceStanding(0, dataclasses.replace(PAID, tx_hash=OUR_HASH))
    observed = await lane.resolve()
    assert (observed.tx_hash, observed.by_other) == (OUR_HASH, False)


async def test_the_loan_book_has_the_last_word() -> None:
    activities = LoanBookActivities(Book())
    observed = FinalitySignal(OUR_HASH, 41, "0x" + "b7" * 32, 3, succeeded=True)
    booked = await activities.book_loan(APPLICATION, observed)
    assert booked == SettlementOutcome(SettlementState.FINAL, OUR_HASH, "loan_1")
    failed = await activities.fail_settlement(APPLICATION, "off_1", "TERMS_CHANGED")
    assert failed == SettlementOutcome(SettlementState.FAILED, None, None, "TERMS_CHANGED")
