"""Bodies and answers about withdrawal, questions to applicants, and notices."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from api.schemas import examples
from api.schemas.applications import DocumentBody, Message, Text
from models.domain.ids import is_id, is_name
from models.domain.review import InformationItem
from models.domain.views import InformationRequestView, NoticeView

ITEMS = ", ".join(f"`{each}`" for each in InformationItem)


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError("not a name")
    return text


def _request_id(text: str) -> str:
    if not is_id(text, "inf"):
        raise ValueError("not a request's id")
    return text


def _readable(text: str) -> str:
    """Of what is no letter, only line breaks and tabs: an operator reads this on a screen."""
    if not all(each.isprintable() or each in "\n\r\t" for each in text):
        raise ValueError("not readable")
    return text


LongText = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=4000),
    AfterValidator(_readable),
]


class WithdrawBody(Message):
    """The applicant no longer wants the credit."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [examples.WITHDRAWAL]}
    )

    reason: Annotated[
        Text | None,
        Field(description="In the applicant's words, or null; it is not kept."),
    ] = None


class WithdrawnAnswer(BaseModel):
    """The application is withdrawn, for good."""

    application_id: str = Field(description="The application that was withdrawn.")
    state: str = Field(description="`withdrawn`.")


class AskBody(Message):
    """What an operator asks of the applicant before deciding."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [examples.QUESTION]}
    )

    items: Annotated[
        tuple[InformationItem, ...],
        Field(min_length=1, max_length=6, description=f"What is to be sent: {ITEMS}."),
    ]
    message: Annotated[
        Text,
        Field(
            description="For the applicant: 1 to 200 characters. It names no person and no number: "
            "it is kept with the review."
        ),
    ]


class AskedAnswer(BaseModel):
    """The applicant is asked."""

    review_id: str = Field(description="The review that waits for the answer.")
    request_id: str = Field(description="The question: `inf_` and 32 hexadecimal digits.")
    due_at: datetime = Field(description="Until when the applicant may answer (RFC 3339).")


class AnswerBody(Message):
    """The answer to one item."""

    item: Annotated[InformationItem, Field(description="One of the items that were asked for.")]
    text: Annotated[
        LongText, Field(description="1 to 4000 characters; sealed under the person's own key.")
    ]


class InformationBody(Message):
    """What the applicant sends; a new document replaces the one in the application."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [examples.INFORMATION]}
    )

    request_id: Annotated[
        str,
        AfterValidator(_request_id),
        Field(description="The question, as the application shows it."),
    ]
    answers: Annotated[
        tuple[AnswerBody, ...], Field(max_length=6, description="At most one for each item.")
    ] = ()
    document: Annotated[
        DocumentBody | None,
        Field(description="A new government document; for a review of identity it is examined."),
    ] = None


class InformedAnswer(BaseModel):
    """The answer is on record."""

    application_id: str = Field(description="The application it was sent for.")
    request_id: str = Field(description="The question that is answered.")


class AssignBody(Message):
    """Who is to decide from now on, and nobody else."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [examples.ASSIGNMENT]}
    )

    assignee: Annotated[
        str,
        AfterValidator(_name),
        Field(description="Token subject of the person: 1 to 64 letters, digits, '.', '_', '-'."),
    ]
    reason: Annotated[Text, Field(description="Why, for the audit trail: 1 to 200 characters.")]


class AssignedAnswer(BaseModel):
    """The review is assigned."""

    review_id: str = Field(description="The review.")
    assignee: str = Field(description="Who decides.")


class HandOverBody(Message):
    """How the notice was delivered when the mail house would not."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [examples.HAND_OVER]}
    )

    how: Annotated[Text, Field(description="For the audit trail: 1 to 200 characters.")]


class HandedOverAnswer(BaseModel):
    """It is on its way to the record."""

    application_id: str = Field(description="The application the notice belongs to.")
    by: str = Field(description="Token subject of who delivered it.")


class InformationRequestAnswer(BaseModel):
    """What an operator asks of the applicant."""

    request_id: str = Field(description="`inf_` and 32 hexadecimal digits.")
    items: list[str] = Field(description=f"What is to be sent: {ITEMS}.")
    message: str = Field(description="The operator's words.")
    status: str = Field(
        description="`open`, `answered`, `lapsed` when it was not answered in time, or `closed` "
        "when it was decided without."
    )
    due_at: datetime = Field(description="Until when it may be answered (RFC 3339).")

    @classmethod
    def of(cls, view: InformationRequestView) -> Self:
        """The read model as the API shows it."""
        return cls(
            request_id=view.request_id,
            items=list(view.items),
            message=view.message,
            status=view.status,
            due_at=view.due_at,
        )


class NoticeAnswer(BaseModel):
    """The notice an applicant is owed after an adverse action."""

    notice_id: str = Field(description="`ntc_` and 32 hexadecimal digits.")
    kind: str = Field(description="`adverse_action`.")
    status: str = Field(
        description="`pending`, `delivered` to the mail house or by a person, `undeliverable` "
        "while a person has to see to it, or `overdue`."
    )
    due_at: datetime = Field(description="End of the legal period (RFC 3339).")
    delivered_at: datetime | None = Field(description="When (RFC 3339); null before that.")

    @classmethod
    def of(cls, view: NoticeView) -> Self:
        """The read model as the API shows it."""
        return cls(
            notice_id=view.notice_id,
            kind=view.kind,
            status=view.status,
            due_at=view.due_at,
            delivered_at=view.delivered_at,
        )
