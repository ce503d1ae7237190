"""Every step writes state, audit row and event together: all three, or none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from adapters.postgres.callbacks import PostgresCallbacks
from adapters.postgres.database import Transaction
from adapters.postgres.decisions import PostgresDecisionRecords
from adapters.postgres.reviews import PostgresReviewRecords
from adapters.postgres.watching import PostgresOpenSettlements
from models.domain.application import ApplicationEnding, IdentityDocument, State
from models.domain.decision import (
    BureauEvidence,
    Facts,
    Outcome,
    Phase,
    RuleFired,
    SettlementKind,
    Verdict,
)
from models.domain.kyc import KYCStatus, VendorVerdict, VerificationCallback
from models.domain.notice import NoticeResult, NoticeStatus
from models.domain.review import (
    Assignment,
    ReviewClosure,
    ReviewDecision,
    ReviewEnd,
    ReviewKind,
    ReviewRequest,
    ReviewStep,
)
from models.domain.risk import BureauReport
from models.domain.screening import ScreeningResult, ScreeningStatus
from models.domain.settlement import ChainReceipt
from tests.adapters.postgres.reviewing import (
    WITHDRAWAL,
    asked,
    asking,
    credit_review,
    deciding,
    opened,
    owed,
)

pytestmark = pytest.mark.stack

CLEAR = ScreeningResult(ScreeningStatus.CLEAR, (), "list-1", 1)
CHAIN_ID = 31337
REPORT = BureauReport("report-1", 0, 1, 2, 3_000, 4_000, 1, 2, 3, 1_000_000)
VERDICT = Verdict.of(
    Phase.ELIGIBILITY,
    (RuleFired("US-1", 1, "REVIEW", Outcome.REVIEW, "AMOUNT_ABOVE_LIMIT"),),
    ("MiCA",),
    "rules-1",
)
FACTS = Facts(500_000, "USD", "US", SettlementKind.CRYPTO, 36, KYCStatus.VERIFIED)

Step = Callable[[], Awaitable[Any]]
Prepare = Callable[[Any, Any], Awaitable[Step]]
STEPS: dict[str, Prepare] = {}


def step(prepare: Prepare) -> Prepare:
    """A step: given the database and a stored application, prepare it and return its last act."""
    STEPS[prepare.__name__] = prepare
    return prepare


@step
async def submit(lending: Any, ref: Any) -> Step:
    return lambda: lending.application(ref.tenant_id)


@step
async def join(lending: Any, ref: Any) -> Step:
    return lambda: lending.kyc.join(ref)


@step
async def submit_to_vendor(lending: Any, ref: Any) -> Step:
    request = await lending.begun(ref)
    return lambda: lending.kyc.record_submission(request, "check-1")


@step
async def take_callback(lending: Any, ref: Any) -> Step:
    request = await lending.begun(ref)
    callback = VerificationCallback("evt-1", request.verification_id, VendorVerdict.CLEAR)
    return lambda: PostgresCallbacks(lending.app).store(ref.tenant_id, "vendor", callback)


@step
async def conclude(lending: Any, ref: Any) -> Step:
    await lending.kyc.join(ref)
    request = await lending.begun(ref)
    return lambda: lending.kyc.conclude(lending.concluding(request), CLEAR)


@step
async def expire(lending: Any, ref: Any) -> Step:
    request = await lending.verified(ref)
    await lending.execute(
        "UPDATE kyc_profiles SET expires_at = now() - interval '1 day' WHERE tenant_id = $1",
        ref.tenant_id,
    )
    return lambda: lending.kyc.expire(request.person)


@step
async def decide(lending: Any, ref: Any) -> Step:
    return lambda: PostgresDecisionRecords(lending.app).record_verdict(
        ref, VERDICT, FACTS, "list-1"
    )


@step
async def keep_evidence(lending: Any, ref: Any) -> Step:
    return lambda: lending.risk.record_evidence(ref, "bureau", BureauEvidence.PRESENT, REPORT)


@step
async def assess(lending: Any, ref: Any) -> Step:
    return lambda: lending.risk.record_assessment(ref, lending.assessment(), BureauEvidence.PRESENT)


@step
async def open_review(lending: Any, ref: Any) -> Step:
    request = ReviewRequest(
        ref.tenant_id, ReviewKind.CREDIT, ref.application_id, ref.user_id, "credit-application/x/y",
        ("SCORE_BORDERLINE",),
    )  # fmt: skip
    return lambda: PostgresReviewRecords(lending.app).open(request)


@step
async def open_identity_review(lending: Any, ref: Any) -> Step:
    await lending.kyc.join(ref)
    request = ReviewRequest(
        ref.tenant_id, ReviewKind.IDENTITY, ref.user_id, ref.user_id, "kyc/x/y", ("UNCLEAR",)
    )
    return lambda: PostgresReviewRecords(lending.app).open(request)


@step
async def close_review(lending: Any, ref: Any) -> Step:
    review_id = (await (await open_review(lending, ref))()).review_id
    decision = ReviewDecision(review_id, True, "olga", "income is documented")
    closure = ReviewClosure(ref.tenant_id, review_id, ReviewEnd.APPROVED, decision)
    return lambda: PostgresReviewRecords(lending.app).close(closure)


@step
async def leave_review_undecided(lending: Any, ref: Any) -> Step:
    review_id = (await (await open_identity_review(lending, ref))()).review_id
    closure = ReviewClosure(ref.tenant_id, review_id, ReviewEnd.UNDECIDED)
    return lambda: PostgresReviewRecords(lending.app).close(closure)


@step
async def search(lending: Any, ref: Any) -> Step:
    return lambda: lending.offered(ref)


@step
async def accept(lending: Any, ref: Any) -> Step:
    request = lending.accepting(ref, await lending.offered(ref))
    return lambda: lending.offers.record_acceptance(ref, request)


@step
async def confirm(lending: Any, ref: Any) -> Step:
    order = await lending.accepted(ref)
    return lambda: lending.settlements().record_confirmation(order, "0x" + "cd" * 65)


@step
async def sign(lending: Any, ref: Any) -> Step:
    order = await lending.confirmed(ref)
    sender = lending.sender()
    records = lending.settlements(sender)
    quote = (await records.accepted_offer(order)).quote
    return lambda: records.persist_attempt(order, quote, 0, lending.signer(sender))


@step
async def adopt(lending: Any, ref: Any) -> Step:
    order = await lending.confirmed(ref)
    records = lending.settlements()
    quote = (await records.accepted_offer(order)).quote
    return lambda: records.adopt(order, quote, "0x" + "77" * 32)


@step
async def broadcast(lending: Any, ref: Any) -> Step:
    attempt = await lending.signed(ref)
    return lambda: lending.settlements().record_broadcast(ref, attempt)


@step
async def see_included(lending: Any, ref: Any) -> Step:
    attempt = await lending.signed(ref)
    watched = PostgresOpenSettlements(lending.chain, CHAIN_ID)
    seen = next(each for each in await watched.open(500) if each.tenant_id == ref.tenant_id)
    receipt = ChainReceipt(attempt.transaction.tx_hash, 9, "0x" + "55" * 32, True, 1, 1)
    return lambda: watched.seen(seen, receipt)


@step
async def book_loan(lending: Any, ref: Any) -> Step:
    attempt = await lending.signed(ref)
    return lambda: lending.loans.book_loan(ref, lending.final(attempt.transaction.tx_hash))


@step
async def fail_settlement(lending: Any, ref: Any) -> Step:
    await lending.signed(ref)
    return lambda: lending.failing(ref, "TRANSACTION_REVERTED")


@step
async def close(lending: Any, ref: Any) -> Step:
    await lending.offered(ref)
    return lambda: lending.endings.close(ref, ApplicationEnding(State.DECLINED, ("X",)))


@step
async def withdraw(lending: Any, ref: Any) -> Step:
    await lending.confirmed(ref)
    return lambda: lending.endings.withdraw(ref, WITHDRAWAL)


@step
async def approve_once(lending: Any, ref: Any) -> Step:
    review_id = await opened(lending, credit_review(ref, approvals_needed=2))
    return lambda: lending.reviews.step(ReviewStep(ref.tenant_id, approval=deciding(review_id)))


@step
async def reassign(lending: Any, ref: Any) -> Step:
    review_id = await opened(lending, credit_review(ref))
    assignment = Assignment(review_id, "otto", "olga", "knows the trade")
    return lambda: lending.reviews.step(ReviewStep(ref.tenant_id, assignment=assignment))


@step
async def ask_applicant(lending: Any, ref: Any) -> Step:
    question = asking(ref, await opened(lending, credit_review(ref)))
    return lambda: lending.reviews.step(question)


@step
async def leave_question_unanswered(lending: Any, ref: Any) -> Step:
    await asked(lending, ref)
    review_id = await opened(lending, credit_review(ref))
    closure = ReviewClosure(ref.tenant_id, review_id, ReviewEnd.UNANSWERED)
    return lambda: lending.reviews.close(closure)


@step
async def provide_information(lending: Any, ref: Any) -> Step:
    request_id = await asked(lending, ref, person=True)
    document = IdentityDocument("passport", "N7654321", "US")
    return lambda: lending.information.provide(
        ref, request_id, {"EXPLANATION": "b"}, document, "ada"
    )


@step
async def record_notice(lending: Any, ref: Any) -> Step:
    notice = await owed(lending, ref)
    result = NoticeResult(notice, NoticeStatus.DELIVERED, "notifier", "msg-1")
    return lambda: lending.endings.record_notice(result)


class Cut(Exception):
    """The process ends here."""


@pytest.mark.parametrize("name", STEPS)
async def test_a_step_is_whole_or_has_not_happened(
    lending: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    ref = await lending.application()
    act = await STEPS[name](lending, ref)
    before = await lending.contents(ref.tenant_id)
    record = Transaction.record

    async def record_and_die(*args: Any, **kwargs: Any) -> None:
        await record(*args, **kwargs)
        raise Cut

    with monkeypatch.context() as patched:
        patched.setattr(Transaction, "record", record_and_die)
        with pytest.raises(Cut):
            await act()
    assert await lending.contents(ref.tenant_id) == before
    await act()
    after = await lending.contents(ref.tenant_id)
    changed = {table for table in after if after[table] != before[table]}
    assert changed > {"audit_log", "outbox"}, "nothing but the trail has changed"
    new = {table: len(after[table]) - len(before[table]) for table in ("audit_log", "outbox")}
    assert new["audit_log"] == new["outbox"] >= 1
    trail, events = await lending.audited(ref.tenant_id), await lending.published(ref.tenant_id)
    assert trail == events


@pytest.mark.parametrize("name", sorted(set(STEPS) - {"submit"}))
async def test_a_repeated_step_changes_nothing(lending: Any, name: str) -> None:
    ref = await lending.application()
    act = await STEPS[name](lending, ref)
    first = await act()
    before = await lending.contents(ref.tenant_id)
    again = await act()
    after = await lending.contents(ref.tenant_id)
    # The moment of a row's last look is no statement about anybody.
    looked_at = {"join": "kyc_profiles", "see_included": "settlements"}.get(name)
    assert {table for table in after if after[table] != before[table]} <= {looked_at}
    if name != "sign":  # a repetition may know already what became of the first
        assert again == first


async def test_events_hold_no_personal_data(lending: Any) -> None:
    ref = await lending.application()
    for name in ("join", "keep_evidence", "decide", "book_loan"):
        await (await STEPS[name](lending, ref))()
    written = await lending.rows(
        "SELECT detail::text AS t FROM audit_log WHERE tenant_id = $1"
        " UNION ALL SELECT data::text FROM outbox WHERE tenant_id = $1",
        ref.tenant_id,
    )
    said = " ".join(row["t"] for row in written)
    for secret in ("Quillfeather", "ada@example.org", "100-10-0001", "P1234567", "Heron"):
        assert secret not in said
