"""The checker finds nothing in the evidence of a sound run, and every planted bug, each by the
invariant it is about."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bench.invariants.checks import CHECKS, check, check_all
from bench.invariants.evidence import Evidence, Probe, Row, Tally
from bench.invariants.replay import replayed
from tests.bench.conftest import Examined

pytestmark = pytest.mark.stack

Plant = Callable[[Evidence], None]
PLANTED: list[tuple[str, Plant]] = []
# Under one of these a row names its application.
_SUBJECT = ("application_id", "subject_id", "key")


def plants(invariant: str) -> Callable[[Plant], Plant]:
    """Register a bug with the invariant that must find it."""

    def register(plant: Plant) -> Plant:
        PLANTED.append((invariant, plant))
        return plant

    return register


def funded(evidence: Evidence) -> Row:
    return next(row for row in evidence.rows("applications") if row["state"] == "funded")


def of(evidence: Evidence, table: str, application: Row, **values: Any) -> Row:
    """The first row of an application that has these values."""
    return next(
        row
        for row in evidence.rows(table)
        if row["tenant_id"] == application["tenant_id"]
        and application["application_id"] in {row.get(name) for name in _SUBJECT}
        and all(row[name] == value for name, value in values.items())
    )


def doubled(rows: list[Any], row: Any, **changes: Any) -> None:
    """Add the row once more, with changes."""
    rows.append(copy.deepcopy(row) | changes)


def without(evidence: Evidence, table: str, row: Row) -> None:
    evidence.tables[table] = [each for each in evidence.rows(table) if each is not row]


@plants("I1")
def paid_twice(evidence: Evidence) -> None:
    evidence.chain.disbursed.append(copy.deepcopy(evidence.chain.disbursed[0]))


@plants("I1")
def paid_without_an_application(evidence: Evidence) -> None:
    evidence.chain.disbursed[0].topics[1] = "0x" + "77" * 32


@plants("I1")
def funded_but_never_paid(evidence: Evidence) -> None:
    evidence.chain.disbursed.pop()


@plants("I1")
def paid_another_amount(evidence: Evidence) -> None:
    log = evidence.chain.disbursed[0]
    log.words[2] = f"{int(log.words[2], 16) + 1:064x}"


@plants("I1")
def paid_somebody_else(evidence: Evidence) -> None:
    evidence.chain.disbursed[0].topics[3] = "0x" + "00" * 12 + "99" * 20


@plants("I1")
def tokens_left_a_lender_without_a_disbursement(evidence: Evidence) -> None:
    paid = {log.tx_hash for log in evidence.chain.disbursed}
    log = next(log for log in evidence.chain.transfers if log.tx_hash in paid)
    again = copy.deepcopy(log)
    again.tx_hash = "0x" + "55" * 32
    evidence.chain.transfers.append(again)


@plants("I1")
def the_platform_holds_money(evidence: Evidence) -> None:
    evidence.chain.balances[evidence.chain.aggregator] = 1


@plants("I2")
def posted_twice(evidence: Evidence) -> None:
    doubled(evidence.rows("ledger_postings"), evidence.rows("ledger_postings")[0])


@plants("I2")
def a_posting_is_off_by_one(evidence: Evidence) -> None:
    evidence.rows("ledger_postings")[0]["amount_minor"] += 1


@plants("I2")
def booked_twice(evidence: Evidence) -> None:
    entry = of(evidence, "ledger_entries", funded(evidence), kind="disbursement")
    doubled(evidence.rows("ledger_entries"), entry)


@plants("I2")
def a_commitment_stands_for_ever(evidence: Evidence) -> None:
    without(
        evidence,
        "ledger_entries",
        of(evidence, "ledger_entries", funded(evidence), kind="release"),
    )


@plants("I3")
def an_idempotency_key_is_lost(evidence: Evidence) -> None:
    row = next(r for r in evidence.rows("idempotency_keys") if r["route"].endswith("applications"))
    without(evidence, "idempotency_keys", row)


@plants("I3")
def one_request_made_two_applications(evidence: Evidence) -> None:
    row = next(r for r in evidence.rows("idempotency_keys") if r["route"].endswith("applications"))
    doubled(evidence.rows("idempotency_keys"), row, key="another")


@plants("I3")
def a_repetition_was_answered_otherwise(evidence: Evidence) -> None:
    answered = next(line for line in evidence.client if line["status"] == 202)
    doubled(evidence.client, answered, body_sha256="0" * 64)


@plants("I3")
def what_the_client_was_told_is_gone(evidence: Evidence) -> None:
    doubled(evidence.client, evidence.client[0], key="never-kept")


@plants("I4")
def a_workflow_without_a_row(evidence: Evidence) -> None:
    each = next(e for e in evidence.executions if e.workflow_id.startswith("credit-"))
    again = copy.copy(each)
    again.workflow_id = "credit-application/east/app_" + "0" * 32
    evidence.executions.append(again)


@plants("I4")
def an_application_ran_twice(evidence: Evidence) -> None:
    each = next(e for e in evidence.executions if e.workflow_id.startswith("settlement/"))
    again = copy.copy(each)
    again.run_id = "another"
    evidence.executions.append(again)


@plants("I4")
def an_application_was_never_started(evidence: Evidence) -> None:
    row = funded(evidence)
    lost = f"credit-application/{row['tenant_id']}/{row['application_id']}"
    evidence.executions = [e for e in evidence.executions if e.workflow_id != lost]


@plants("I5")
def two_endings(evidence: Evidence) -> None:
    event = of(evidence, "outbox", funded(evidence), type="application.funded")
    doubled(evidence.rows("outbox"), event, type="application.declined", event_id="evt_other")


@plants("I5")
def the_workflow_ended_otherwise(evidence: Evidence) -> None:
    each = next(
        e
        for e in evidence.executions
        if e.workflow_id.startswith("credit-") and e.result and e.result["state"] == "funded"
    )
    each.result = each.result | {"state": "declined"}


@plants("I6")
def an_effect_happened_twice(evidence: Evidence) -> None:
    lines = evidence.journals["bank"]
    doubled(lines, next(line for line in lines if line.get("effect") == "quote.confirmed"))


@plants("I6")
def a_report_was_bought_twice(evidence: Evidence) -> None:
    lines = evidence.journals["bureau"]
    doubled(lines, next(line for line in lines if line["kind"] == "effect"))


@plants("I7")
def sent_without_an_attempt_on_record(evidence: Evidence) -> None:
    without(evidence, "chain_attempts", evidence.rows("chain_attempts")[0])


@plants("I7")
def recorded_after_it_was_sent(evidence: Evidence) -> None:
    evidence.rows("chain_attempts")[0]["created_at"] += timedelta(minutes=5)


@plants("I7")
def other_bytes_are_on_record(evidence: Evidence) -> None:
    row = evidence.rows("chain_attempts")[0]
    row["raw"] = row["raw"][:-2] + ("00" if row["raw"][-2:] != "00" else "01")


@plants("I8")
def a_second_nonce_for_one_settlement(evidence: Evidence) -> None:
    row = evidence.rows("chain_attempts")[0]
    doubled(evidence.rows("chain_attempts"), row, nonce=row["nonce"] + 99, tx_hash="0x" + "11" * 32)


@plants("I8")
def a_nonce_used_for_two_settlements(evidence: Evidence) -> None:
    row = evidence.rows("chain_attempts")[0]
    doubled(
        evidence.rows("chain_attempts"), row, settlement_id="set_other", tx_hash="0x" + "22" * 32
    )


@plants("I8")
def the_chain_has_used_another_nonce(evidence: Evidence) -> None:
    evidence.chain.transaction_counts[evidence.chain.relayer] += 1


@plants("I9")
def cleared_before_it_was_final(evidence: Evidence) -> None:
    of(evidence, "settlements", funded(evidence))["confirmations"] = 1


@plants("I9")
def cleared_as_soon_as_it_was_mined(evidence: Evidence) -> None:
    entry = of(evidence, "ledger_entries", funded(evidence), kind="disbursement")
    entry["cleared_at"] -= timedelta(seconds=30)


@plants("I9")
def cleared_in_a_block_that_was_reorganised(evidence: Evidence) -> None:
    of(evidence, "settlements", funded(evidence))["block_hash"] = "0x" + "33" * 32


@plants("I10")
def two_accepted_offers(evidence: Evidence) -> None:
    offer = of(evidence, "offers", funded(evidence), status="accepted")
    doubled(evidence.rows("offers"), offer, offer_id="off_other")


@plants("I10")
def accepted_after_it_had_expired(evidence: Evidence) -> None:
    offer = of(evidence, "offers", funded(evidence), status="accepted")
    offer["expires_at"] -= timedelta(days=1)


@plants("I10")
def the_hash_is_of_other_terms(evidence: Evidence) -> None:
    offer = of(evidence, "offers", funded(evidence), status="accepted")
    offer["terms"]["apr_bps"] += 1


@plants("I10")
def the_borrower_signed_other_terms(evidence: Evidence) -> None:
    offer = of(evidence, "offers", funded(evidence), status="accepted")
    offer["acceptance"]["terms_hash"] = "0x" + "44" * 32


@plants("I11")
def a_forged_callback_was_applied(evidence: Evidence) -> None:
    evidence.rows("callback_events")[0]["event_id"] = "evt_forged"


@plants("I11")
def a_callback_was_applied_as_another_verdict(evidence: Evidence) -> None:
    evidence.rows("callback_events")[0]["verdict"] = "unclear"


@plants("I11")
def a_conclusion_was_taken_back(evidence: Evidence) -> None:
    row = next(row for row in evidence.rows("audit_log") if row["action"] == "kyc.verified")
    doubled(evidence.rows("audit_log"), row, action="kyc.failed", seq=10**9)


@plants("I12")
def an_application_is_stuck(evidence: Evidence) -> None:
    waiting = next(r for r in evidence.rows("applications") if r["state"] == "offered")
    waiting["state"] = "processing"


@plants("I12")
def a_callback_was_never_delivered(evidence: Evidence) -> None:
    evidence.rows("callback_events")[0]["delivered_at"] = None


@plants("I12")
def an_event_was_never_published(evidence: Evidence) -> None:
    evidence.rows("outbox")[0]["published_at"] = None


@plants("I12")
def an_event_was_given_up_without_a_reason(evidence: Evidence) -> None:
    evidence.rows("outbox")[0] |= {"parked_at": funded(evidence)["updated_at"]}


@plants("I12")
def a_review_outlives_its_application(evidence: Evidence) -> None:
    row = funded(evidence)
    review = {"review_id": "rev_x", "status": "open", "subject_id": row["application_id"]}
    evidence.rows("reviews").append(review | {"tenant_id": row["tenant_id"]})


@plants("I12")
def a_notice_was_never_sent(evidence: Evidence) -> None:
    notice = evidence.rows("notices")[0]
    notice |= {"status": "pending", "due_at": notice["created_at"]}


@plants("I13")
def an_event_row_is_missing(evidence: Evidence) -> None:
    without(
        evidence, "outbox", of(evidence, "outbox", funded(evidence), type="settlement.broadcast")
    )


@plants("I13")
def an_event_was_lost_on_its_way(evidence: Evidence) -> None:
    assert evidence.topic is not None
    evidence.topic.records.pop()


@plants("I13")
def events_arrived_out_of_order(evidence: Evidence) -> None:
    assert evidence.topic is not None
    ours = funded(evidence)["application_id"]
    at = [n for n, record in enumerate(evidence.topic.records) if record[2] == ours]
    first, second = at[:2]
    one, other = evidence.topic.records[first], evidence.topic.records[second]
    evidence.topic.records[first] = (*one[:3], other[3])
    evidence.topic.records[second] = (*other[:3], one[3])


@plants("I14")
def an_audit_row_is_deleted(evidence: Evidence) -> None:
    row = of(evidence, "audit_log", funded(evidence), action="credit.decided")
    without(evidence, "audit_log", row)


@plants("I14")
def an_audit_row_is_edited(evidence: Evidence) -> None:
    row = of(evidence, "audit_log", funded(evidence), action="application.funded")
    row["detail_text"] = row["detail_text"].replace("funded", "fonded")


@plants("I14")
def an_audit_row_names_somebody_else(evidence: Evidence) -> None:
    of(evidence, "audit_log", funded(evidence), action="offer.accepted")["actor"] = "nobody"


@plants("I14")
def a_seal_is_deleted(evidence: Evidence) -> None:
    seals = evidence.rows("audit_seals")
    without(evidence, "audit_seals", next(each for each in seals if each["position"] == 3))


@plants("I15")
def approved_without_screening(evidence: Evidence) -> None:
    decision = of(evidence, "decisions", funded(evidence), phase="eligibility")
    decision["sanctions_list_version"] = None


@plants("I15")
def approved_by_a_model_that_never_was(evidence: Evidence) -> None:
    of(evidence, "assessments", funded(evidence))["model_sha256"] = "0" * 64


@plants("I15")
def declined_yet_offered(evidence: Evidence) -> None:
    of(evidence, "decisions", funded(evidence), phase="credit")["outcome"] = "decline"


@plants("I15")
def decided_before_it_was_scored(evidence: Evidence) -> None:
    of(evidence, "assessments", funded(evidence))["assessed_at"] += timedelta(hours=1)


@plants("I18")
def a_loan_without_a_settlement(evidence: Evidence) -> None:
    of(evidence, "settlements", funded(evidence))["state"] = "failed"


@plants("I18")
def a_settlement_without_a_loan(evidence: Evidence) -> None:
    without(evidence, "loans", of(evidence, "loans", funded(evidence)))


@plants("I20")
def a_stranger_was_answered(evidence: Evidence) -> None:
    evidence.probes.append(Probe("west", "east", "/api/v1/applications/app_x", 200))


@plants("I20")
def an_offer_belongs_to_another_tenant(evidence: Evidence) -> None:
    of(evidence, "offers", funded(evidence))["tenant_id"] = "north"


async def test_a_sound_run_violates_nothing(examined: Examined) -> None:
    verdicts = await check_all(examined.evidence, examined.access)
    assert [each.line() for each in verdicts if each.violations] == []
    # A check that looks at nothing finds nothing.
    assert {each.invariant for each in verdicts if each.checked == 0} == set()
    assert {each.invariant for each in verdicts} == {*CHECKS, "I19"}


@pytest.mark.parametrize(
    ("invariant", "plant"),
    [pytest.param(invariant, plant, id=plant.__name__) for invariant, plant in PLANTED],
)
def test_a_planted_bug_is_found(evidence: Evidence, invariant: str, plant: Plant) -> None:
    plant(evidence)
    found = {each.invariant for each in check(evidence) if each.violations}
    assert invariant in found, f"{plant.__name__} is found by {sorted(found) or 'nobody'}"


def test_every_invariant_has_a_bug_planted_against_it() -> None:
    assert {invariant for invariant, _ in PLANTED} == set(CHECKS)


async def test_a_history_that_no_code_of_ours_wrote_is_found(examined: Examined) -> None:
    each = next(e for e in examined.evidence.executions if e.workflow_id.startswith("credit-"))
    changed = copy.copy(examined.evidence)
    spoilt = copy.copy(each)
    assert each.history is not None
    spoilt.history = type(each.history)(each.workflow_id, copy.deepcopy(list(each.history.events)))
    for event in spoilt.history.events:
        if event.HasField("start_child_workflow_execution_initiated_event_attributes"):
            told = event.start_child_workflow_execution_initiated_event_attributes
            told.workflow_type.name = "SomethingElse"
    changed.executions = [spoilt]
    tally = Tally()
    await replayed(changed, examined.access, tally)
    assert tally.violations == 1
