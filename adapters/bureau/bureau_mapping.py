"""What we ask the bureau, and its file as our `BureauReport`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from models.domain.application import Applicant
from models.domain.errors import Permanent
from models.domain.risk import BureauReport

MALFORMED_RESPONSE: Final = "MALFORMED_RESPONSE"

# The permissible purpose a bureau must be told (15 U.S.C. §1681b(a)(3)(A): a credit transaction).
PURPOSE: Final = "credit_application"


class _Answer(BaseModel):
    """What the bureau sends; it may add fields, but not change the type of these."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class _File(_Answer):
    delinquencies_2y: int
    inquiries_6m: int
    inquiries_12m: int
    revolving_utilisation_bps: int
    total_utilisation_bps: int
    instalment_accounts_opened_12m: int
    instalment_accounts_opened_24m: int
    instalment_accounts_total: int
    instalment_balance_minor: int


class _Report(_Answer):
    report_id: str
    file: _File | None  # null: the bureau knows too little; the field itself is never left out


def report_request(applicant: Applicant) -> dict[str, Any]:
    """The bureau's request: what identifies a person, and why we ask."""
    return {
        "person": {
            "national_id": applicant.national_id,
            "names": {"given": applicant.given_name, "family": applicant.family_name},
            "born_on": applicant.born_on,
        },
        "purpose": PURPOSE,
    }


def report_of(body: Mapping[str, Any]) -> BureauReport | None:
    """The report, None for a thin file; raises Permanent MALFORMED_RESPONSE naming the field.

    Ranges are `BureauReport`'s own: a count below zero is a broken report, not a good one.
    """
    try:
        report = _Report.model_validate(body)
        if report.file is None:
            return None
        return BureauReport(report_id=report.report_id, **report.file.model_dump())
    except ValidationError as error:
        # Without the cause: pydantic's text quotes a person's file.
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise Permanent(MALFORMED_RESPONSE, field) from None
    except ValueError as error:
        raise Permanent(MALFORMED_RESPONSE, str(error)) from error
