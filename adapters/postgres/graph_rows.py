"""Rows to the records of the read schema."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from adapters.postgres.rows import assessment_of, credit_request_of, quote_of, verdict_of
from models.domain.graph import (
    ApplicationRecord,
    AssessmentRecord,
    DecisionRecord,
    LedgerRecord,
    LoanRecord,
    OfferRecord,
    PersonRecord,
    SettlementRecord,
)
from models.domain.kyc import KYCStatus
from models.domain.ledger import Entry, EntryKind, EntryState, Posting
from models.domain.screening import ScreeningResult
from models.domain.views import ReviewView

_SCREENING = TypeAdapter(ScreeningResult)


def application_record(row: Any) -> ApplicationRecord:
    return ApplicationRecord(
        application_id=row["application_id"],
        user_id=row["user_id"],
        request=credit_request_of(row),
        stage=row["stage"],
        state=row["state"],
        reasons=tuple(row["reasons"]),
        identity=row["identity"],
        decision=row["decision"],
        missing_offers=tuple(row["missing"] or ()),
        accepted_offer_id=row["accepted_offer_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def offer_record(row: Any) -> OfferRecord:
    return OfferRecord(
        offer_id=row["offer_id"],
        application_id=row["application_id"],
        status=row["status"],
        quote=quote_of(row),
        chain_id=row["chain_id"],
        aggregator=row["aggregator"],
    )


def assessment_record(row: Any) -> AssessmentRecord:
    return AssessmentRecord(
        row["application_id"], assessment_of(row), row["bureau_status"], row["assessed_at"]
    )


def loan_record(row: Any) -> LoanRecord:
    return LoanRecord(**{name: row[name] for name in LoanRecord.__dataclass_fields__})


def settlement_record(row: Any) -> SettlementRecord:
    values = {name: row[name] for name in SettlementRecord.__dataclass_fields__}
    return SettlementRecord(**{**values, "amount_units": int(row["amount_units"])})


def ledger_record(row: Any) -> LedgerRecord:
    postings = tuple(Posting(each["account"], each["amount_minor"]) for each in row["postings"])
    entry = Entry(EntryKind(row["kind"]), EntryState(row["state"]), row["currency"], postings)
    return LedgerRecord(
        row["entry_id"], row["application_id"], entry, row["booked_at"], row["cleared_at"]
    )


def person_record(row: Any) -> PersonRecord:
    screening = row["screening"]
    return PersonRecord(
        user_id=row["user_id"],
        status=KYCStatus(row["status"]),
        reason=row["reason"],
        concluded_by=row["concluded_by"],
        verified_at=row["verified_at"],
        expires_at=row["expires_at"],
        screening=_SCREENING.validate_python(screening) if screening else None,
    )


def decision_record(row: Any) -> DecisionRecord:
    return DecisionRecord(
        row["application_id"],
        verdict_of(row),
        row["sanctions_list_version"],
        row["model_version"],
        row["decided_at"],
    )


def review_record(row: Any) -> ReviewView:
    values = {name: row[name] for name in ReviewView.__dataclass_fields__}
    return ReviewView(
        **{**values, "reasons": tuple(row["reasons"]), "approvals": tuple(row["approvals"])}
    )
