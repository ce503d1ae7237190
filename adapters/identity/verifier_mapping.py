"""What we tell the identity vendor of a person, and what its answers mean. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from adapters.strict_json import parse_object
from models.domain.application import Applicant
from models.domain.errors import Invalid, Permanent
from models.domain.ids import is_name
from models.domain.kyc import VendorVerdict, VerificationCallback

CALLBACK_MALFORMED: Final = "CALLBACK_MALFORMED"
MALFORMED_RESPONSE: Final = "MALFORMED_RESPONSE"

VENDOR_REMARK: Final = "VENDOR_REMARK"
_REASON_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{1,63}")

_Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_\-]{1,128}$")]


class _Answer(BaseModel):
    """What the vendor sends; it may add fields, but not change the type of these."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class _CheckAccepted(_Answer):
    check_id: _Id


class _CheckCompleted(_Answer):
    event_id: _Id
    type: Literal["check.completed"]
    check_id: _Id
    reference: Annotated[str, StringConstraints(max_length=129)]
    verdict: Literal["clear", "unclear", "rejected"]
    reason: Annotated[str, StringConstraints(max_length=4_000)] | None = None


def reference_of(tenant_id: str, verification_id: str) -> str:
    """Our name for a verification, which the vendor repeats in its callback."""
    return f"{tenant_id}:{verification_id}"


def check_request(reference: str, callback_url: str, applicant: Applicant) -> dict[str, Any]:
    """The vendor's request: what identifies a person, and nothing about money."""
    address, document = applicant.address, applicant.document
    return {
        "reference": reference,
        "callback_url": callback_url,
        "person": {
            "names": {"given": applicant.given_name, "family": applicant.family_name},
            "born_on": applicant.born_on,
            "address": {
                "line1": address.line1,
                "city": address.city,
                "postal_code": address.postal_code,
                "country": address.country,
            },
            "document": {
                "kind": document.kind,
                "number": document.number,
                "country": document.country,
            },
        },
    }


def check_id_of(body: Mapping[str, Any]) -> str:
    """The vendor's check id; raises Permanent MALFORMED_RESPONSE."""
    try:
        return _CheckAccepted.model_validate(body).check_id
    except ValidationError:
        # Without the cause: pydantic's text quotes the answer.
        raise Permanent(MALFORMED_RESPONSE, "the vendor's answer names no check") from None


def parse_callback(body: bytes) -> tuple[str, VerificationCallback]:
    """The tenant and the verdict in a callback whose signature was verified before.

    Raises Invalid CALLBACK_MALFORMED, naming the field at most.
    """
    try:
        event = _CheckCompleted.model_validate(parse_object(body))
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise Invalid(CALLBACK_MALFORMED, field) from None
    except ValueError as error:
        raise Invalid(CALLBACK_MALFORMED, str(error)) from None
    tenant_id, _, verification_id = event.reference.partition(":")
    if not (is_name(tenant_id) and is_name(verification_id)):
        raise Invalid(CALLBACK_MALFORMED, "reference")
    return tenant_id, VerificationCallback(
        event_id=event.event_id,
        verification_id=verification_id,
        verdict=VendorVerdict(event.verdict),
        reason=_code(event.reason),
    )


def _code(reason: str | None) -> str | None:
    """A vendor's reason if it is a code; free text may name the person, so it is never kept."""
    if reason is None or _REASON_CODE.fullmatch(reason):
        return reason
    return VENDOR_REMARK
