"""Notices on record: owed with the ending, due by the jurisdiction's clock, delivered for good."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from models.domain.decision import BureauEvidence
from models.domain.errors import NotFound
from models.domain.notice import NoticeResult, NoticeStatus, due_at
from models.domain.risk import Reason
from tests.adapters.postgres.reviewing import owed

pytestmark = pytest.mark.stack

LATE = Reason("DELINQUENCIES", "You paid late.", "delinquencies", 31.0)


async def row_of(lending: Any, tenant_id: str) -> Any:
    [row] = await lending.rows("SELECT * FROM notices WHERE tenant_id = $1", tenant_id)
    return row


async def test_a_notice_is_due_thirty_days_after_the_application(lending: Any) -> None:
    ref = await lending.application()
    notice = await owed(lending, ref)
    [asked] = await lending.rows(
        "SELECT created_at, jurisdiction FROM applications WHERE tenant_id = $1", ref.tenant_id
    )
    row = await row_of(lending, ref.tenant_id)
    assert row["due_at"] == due_at(asked["created_at"], asked["jurisdiction"])
    assert datetime.fromisoformat(notice.due_at) == row["due_at"]
    assert (row["notice_id"], row["kind"], row["status"]) == (
        notice.notice_id, "adverse_action", "pending",
    )  # fmt: skip
    assert row["concluded_at"] is None


async def test_a_letter_is_written_from_what_was_decided_upon(lending: Any) -> None:
    ref = await lending.application()
    assessed = replace(lending.assessment(0.4), reasons=(LATE,))
    await lending.risk.record_assessment(ref, assessed, BureauEvidence.PRESENT)
    case = await lending.endings.notice_case(await owed(lending, ref))
    assert case is not None
    assert [each.code for each in case.reasons] == ["SCORE_TOO_LOW", "DELINQUENCIES"]
    assert (case.score, case.bureau_was_used) == (assessed.score, True)
    assert (case.recipient_name, case.address) == ("Ada Quillfeather", lending.person().address)
    assert (case.amount_minor, case.currency) == (500_000, "USD")


async def test_without_a_score_no_score_is_told_and_never_that_a_name_was_found(
    lending: Any,
) -> None:
    ref = await lending.application()
    case = await lending.endings.notice_case(await owed(lending, ref, "SANCTIONS_NOT_CLEAR"))
    assert case is not None
    assert [each.code for each in case.reasons] == ["CANNOT_PROCEED"]
    assert (case.score, case.bureau_was_used) == (None, False)


@pytest.mark.parametrize("before", [None, NoticeStatus.UNDELIVERABLE, NoticeStatus.OVERDUE])
async def test_what_is_delivered_stays_delivered(lending: Any, before: NoticeStatus | None) -> None:
    notice = await owed(lending, ref := await lending.application())
    if before:
        await lending.endings.record_notice(NoticeResult(notice, before, "notifier", "REFUSED"))
        concluded = (await row_of(lending, ref.tenant_id))["concluded_at"]
        assert (concluded is None) is (before is NoticeStatus.UNDELIVERABLE)
    delivered = NoticeResult(notice, NoticeStatus.DELIVERED, "olga", "by courier")
    await lending.endings.record_notice(delivered)
    record = await lending.contents(ref.tenant_id)
    for later in (delivered, NoticeResult(notice, NoticeStatus.OVERDUE, "deadline", "x")):
        await lending.endings.record_notice(later)
    assert await lending.contents(ref.tenant_id) == record
    row = await row_of(lending, ref.tenant_id)
    assert (row["status"], row["handled_by"], row["detail"]) == (
        "delivered", "olga", "by courier",
    )  # fmt: skip
    assert row["concluded_at"] is not None
    # Whoever would send it now finds it dealt with.
    assert await lending.endings.notice_case(notice) is None


async def test_a_neighbours_notice_is_not_there(lending: Any) -> None:
    notice = await owed(lending, ref := await lending.application())
    foreign = replace(notice, tenant_id=lending.tenant())
    with pytest.raises(NotFound, match="NOTICE_UNKNOWN"):
        await lending.endings.notice_case(foreign)
    await lending.endings.record_notice(
        NoticeResult(foreign, NoticeStatus.DELIVERED, "eve", "never")
    )
    assert (await row_of(lending, ref.tenant_id))["status"] == "pending"
    assert await lending.audited(foreign.tenant_id) == []
