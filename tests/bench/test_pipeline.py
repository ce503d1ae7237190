"""What the pipeline's figures are made of, apart from running it."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from sqlmodel import SQLModel

from bench import stored
from bench.driver import Crowd, LoansPlan, StartsPlan, TextbookPlan, document_of, plan_of
from bench.pipeline import Repeat, Window, _figures
from bench.processor import cpu_ms
from sandbox.services.process import ManagedProcess

CROWD = Crowd("http://127.0.0.1:1", "00" * 32, {"chain_id": 1}, {"tenant": "t"}, [("a", "token")])


def window(rate: float, cpu: float) -> Window:
    return Window(100, 100 / rate, {"temporal": cpu * 60, "api": cpu * 40})


def repeat(baseline: tuple[float, float], fresh: tuple[float, float], p99_ms: float) -> Repeat:
    return Repeat(window(*baseline), window(*fresh), window(2 * fresh[0], fresh[1] / 2), p99_ms)


def test_the_repeat_with_the_median_ratio_speaks_for_all() -> None:
    repeats = [
        repeat((10.0, 100.0), (5.0, 200.0), 30.0),  # ratios 0.5 and 0.5
        repeat((20.0, 90.0), (4.0, 300.0), 10.0),  # 0.2 and 0.3
        repeat((8.0, 120.0), (3.0, 300.0), 20.0),  # 0.375 and 0.4
    ]
    figures = {figure.name: figure for figure in _figures(repeats, window(1.0, 250.0))}
    rate, cpu = figures["pipeline.rate"], figures["pipeline.cpu"]
    assert (rate.value, rate.baseline, rate.ratio) == (3.0, 8.0, 0.375)
    assert (cpu.value, cpu.baseline, cpu.ratio) == (300.0, 120.0, 0.4)
    assert figures["pipeline.rate_known"].ratio == 0.75
    assert figures["pipeline.start_p99_ms"].value == 20.0
    assert figures["pipeline.cpu_at_5000"].ratio == pytest.approx(200 / 250)
    assert figures["pipeline.cpu.temporal"].value == 180.0


@pytest.mark.parametrize(
    "plan",
    [LoansPlan(CROWD, 3), StartsPlan(CROWD, 20.0), TextbookPlan("host:1", "caas", "0", 10, 2)],
    ids=lambda plan: type(plan).__name__,
)
def test_a_plan_arrives_as_it_was_sent(plan: Any) -> None:
    sent = json.loads(json.dumps(document_of(plan)))
    if "crowd" in sent:
        sent["crowd"]["people"] = [tuple(each) for each in sent["crowd"]["people"]]
    assert plan_of(sent) == plan


def test_copies_of_rows_belong_together_and_to_nobody_else() -> None:
    loan = '{"application_id": "app_01a20462000070008000000000000fff", "user_id": "person-0-7"}'
    decision = '{"key": "app_01a20462000070008000000000000fff", "hash": "0x' + "ab" * 32 + '"}'
    copied = json.loads(stored._changed(loan, "applications", 3))
    assert copied == {
        "application_id": "app_01a20462000070008000000000001002",
        "user_id": "person-0-7-copy-3",
    }
    other = json.loads(stored._changed(decision, "outbox", 3))
    assert other["key"] == copied["application_id"]
    assert other["hash"] != json.loads(decision)["hash"]
    assert stored._changed(loan, "applications", 4) != stored._changed(loan, "applications", 3)


def test_numbers_that_must_differ_differ() -> None:
    attempt = json.loads(stored._changed('{"nonce": 5}', "chain_attempts", 2))
    key = json.loads(stored._changed('{"key": "k"}', "idempotency_keys", 2))
    assert (attempt, key) == ({"nonce": 2_000_005}, {"key": "k.2"})


async def test_work_of_a_process_and_its_children_is_counted(tmp_path: Any) -> None:
    burn = "x=0\nfor i in range(3000000): x+=i\n"
    command = ["sh", "-c", f"python3 -c '{burn}'; echo DONE; sleep 60"]
    process = ManagedProcess(
        "burner", command, state_dir=tmp_path, env={"PATH": os.environ["PATH"]}
    )
    await process.start()
    try:
        before = cpu_ms({"burner": process})["burner"]

        async def done() -> bool:
            return "DONE" in process.log_tail()

        await process.ready(done, 60.0)
        # The child has ended and was reaped by its parent: its time is not lost.
        assert cpu_ms({"burner": process})["burner"] >= before
        assert cpu_ms({"burner": process})["burner"] >= 50.0
    finally:
        await process.kill()


def test_a_copied_table_has_rows_that_belong_to_a_loan() -> None:
    """Whoever adds a table says whether it grows with the loans that are stored."""
    of_loans = {
        "applications", "assessments", "audit_log", "callback_events", "chain_attempts",
        "decisions", "evidence", "idempotency_keys", "information_requests", "kyc_profiles",
        "kyc_verifications", "kyc_waiters", "ledger_entries", "ledger_postings", "loans",
        "notices", "offer_searches", "offers", "outbox", "reviews", "settlements", "subject_keys",
    }  # fmt: skip
    there_are = {table.name for table in SQLModel.metadata.tables.values()}
    assert there_are - stored._NOT_COPIED == of_loans
