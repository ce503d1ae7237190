"""A letter as the mail house wants it, and what its answer means. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from models.domain.errors import Permanent
from models.domain.notice import RenderedNotice

MALFORMED_RESPONSE: Final = "MALFORMED_RESPONSE"


class _Accepted(BaseModel):
    """What the mail house answers; it may add fields, but not change the type of this one."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    message_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_\-]{1,128}$")]


def notice_request(channel: str, notice: RenderedNotice) -> dict[str, Any]:
    """The mail house's request: to whom, and what it says."""
    return {
        "notice_id": notice.notice_id,
        "application_id": notice.application_id,
        "channel": channel,
        "recipient": {
            "name": notice.recipient_name,
            "address_lines": list(notice.recipient_address_lines),
        },
        "subject": notice.subject,
        "paragraphs": list(notice.paragraphs),
    }


def message_id_of(body: Mapping[str, Any]) -> str:
    """The mail house's message id; raises Permanent MALFORMED_RESPONSE."""
    try:
        return _Accepted.model_validate(body).message_id
    except ValidationError:
        # Without the cause: pydantic's text quotes the answer.
        raise Permanent(MALFORMED_RESPONSE, "the answer names no message") from None
