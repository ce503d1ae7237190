"""Searching offers, their history, and an applicant's no: requests and answers."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StringConstraints, model_validator

from api.schemas import examples
from api.schemas.applications import Country, EVMAddress, Message
from api.schemas.offer_answers import MissingOfferAnswer, OfferAnswer
from models.domain.money import MAX_AMOUNT_MINOR
from models.domain.offer import MAX_ROUNDS, Quote, Ranking
from models.domain.offer_search import SearchCriteria
from models.domain.views import OfferStanding, OfferView

ApplicationIdText = Annotated[str, StringConstraints(strict=True, pattern=r"^app_[0-9a-f]{32}$")]


class CriteriaBody(Message):
    """A loan that somebody asks about before applying."""

    amount_minor: Annotated[
        StrictInt,
        Field(gt=0, le=MAX_AMOUNT_MINOR, description="Amount in minor units of `currency`."),
    ]
    currency: Annotated[
        Literal["USD", "EUR"],
        Field(description="ISO 4217. 422 `CURRENCY_NOT_SETTLED` where no token pays it out."),
    ]
    term_months: Annotated[
        StrictInt, Field(ge=3, le=120, description="Months over which it is to be repaid.")
    ]
    jurisdiction: Annotated[
        Country, Field(description="Country of residence: ISO 3166-1 alpha-2, in capitals.")
    ]
    wallet: Annotated[
        EVMAddress,
        Field(description="The account to be paid: 20 bytes in 0x hex, in any case. Not proved."),
    ]

    def to_criteria(self, wallet: str) -> SearchCriteria:
        """The criteria, with the wallet as it is checksummed."""
        return SearchCriteria(
            self.amount_minor, self.currency, self.term_months, self.jurisdiction, wallet
        )


class SearchBody(Message):
    """What is searched: by `criteria`, or for an application; exactly one of the two."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [examples.SEARCH, examples.SEARCH_OF_APPLICATION]},
    )

    criteria: Annotated[
        CriteriaBody | None,
        Field(description="Ask lenders about such a loan, before anybody applies."),
    ] = None
    application_id: Annotated[
        ApplicationIdText | None, Field(description="Show the binding offers of this application.")
    ] = None
    ranking: Annotated[
        Ranking,
        Field(
            description="What there should be least of: `apr`, `total_cost` over the term with all "
            "fees, or `monthly_payment`. Ties are broken by APR, then by total cost.",
        ),
    ] = Ranking.APR
    round: Annotated[
        StrictInt | None,
        Field(
            ge=1,
            le=MAX_ROUNDS,
            description="Of an application: ask lenders once more, by naming the round after the "
            f"newest, at most {MAX_ROUNDS}. Naming one that was made already asks nobody.",
        ),
    ] = None

    @model_validator(mode="after")
    def _about_one_thing(self) -> Self:
        if (self.criteria is None) == (self.application_id is None):
            raise ValueError("either criteria or application_id")
        if self.round is not None and self.application_id is None:
            raise ValueError("rounds are an application's")
        return self


class RejectionReason(StrEnum):
    """Why an applicant does not want an offer."""

    TOO_EXPENSIVE = "too_expensive"
    TERMS_UNSUITABLE = "terms_unsuitable"
    OTHER_LENDER = "other_lender"
    NO_LONGER_NEEDED = "no_longer_needed"
    OTHER = "other"


class RejectBody(Message):
    """An applicant's no to an offer."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [examples.REJECTION]}
    )

    reason: Annotated[
        RejectionReason | None,
        Field(
            description="Why: " + ", ".join(f"`{each}`" for each in RejectionReason) + ". Recorded."
        ),
    ] = None


class FoundOfferAnswer(BaseModel):
    """An offer of a search. `GET /api/v1/offers/{offer_id}` shows the terms of a binding one."""

    offer_id: str | None = Field(
        description="`off_` and 32 hexadecimal digits; null for an indicative offer, which nobody "
        "can accept: apply to get binding ones."
    )
    provider_id: str = Field(description="The lender.")
    amount_minor: int = Field(description="Amount paid out in minor units of `currency`.")
    currency: str = Field(description="ISO 4217.")
    term_months: int = Field(description="Months over which it is repaid.")
    nominal_rate_bps: int = Field(description="Nominal annual rate in basis points.")
    apr_bps: int = Field(
        description="Annual percentage rate, fees included, in basis points (1250 is 12.50 %)."
    )
    fee_minor: int = Field(description="Fee in minor units, contained in the total.")
    monthly_payment_minor: int = Field(description="Monthly instalment in minor units.")
    total_repayable_minor: int = Field(description="Sum of all that is repaid, in minor units.")
    total_cost_minor: int = Field(
        description="What the credit costs over its term, fees included: `total_repayable_minor` "
        "less `amount_minor`."
    )
    expires_at: datetime = Field(description="Until when the lender stands by it (RFC 3339).")

    @classmethod
    def indicative(cls, quote: Quote) -> FoundOfferAnswer:
        """A quote for criteria."""
        return cls(
            offer_id=None,
            provider_id=quote.provider_id,
            amount_minor=quote.amount_minor,
            currency=quote.currency,
            term_months=quote.term_months,
            nominal_rate_bps=quote.nominal_rate_bps,
            apr_bps=quote.apr_bps,
            fee_minor=quote.fee_minor,
            monthly_payment_minor=quote.monthly_payment_minor,
            total_repayable_minor=quote.total_repayable_minor,
            total_cost_minor=quote.total_cost_minor,
            expires_at=datetime.fromisoformat(quote.expires_at),
        )

    @classmethod
    def binding(cls, view: OfferView) -> FoundOfferAnswer:
        """An application's own offer."""
        return cls.indicative(view.quote).model_copy(update={"offer_id": view.offer_id})


class SearchAnswer(BaseModel):
    """What lenders offer, the best first by the ranking that was asked for, and who does not."""

    binding: bool = Field(description="Whether these offers can be accepted.")
    search_id: str | None = Field(
        description="What lenders know an indicative search by, `srch_` and 32 hexadecimal digits; "
        "null for an application's."
    )
    application_id: str | None = Field(description="The application; null without one.")
    round: int | None = Field(
        description="Which search of the application this is; null before lenders were asked, and "
        "for indicative ones."
    )
    ranking: Ranking = Field(description="The order of `offers`.")
    offers: list[FoundOfferAnswer] = Field(description="The offers, the best first.")
    missing: list[MissingOfferAnswer] = Field(description="Lenders that made none, and why.")


class RejectedAnswer(BaseModel):
    """The offer is rejected."""

    offer_id: str = Field(description="The offer.")
    status: str = Field(description="`rejected`.")


class KnownOfferAnswer(OfferAnswer):
    """An offer with what it belongs to."""

    application_id: str = Field(description="The application it was made for.")
    round: int = Field(description="Which search of the application found it, from 1.")
    created_at: datetime = Field(description="When it was recorded (RFC 3339).")

    @classmethod
    def known(cls, standing: OfferStanding) -> KnownOfferAnswer:
        """The read model as the API shows it."""
        return cls(
            **OfferAnswer.of(standing.offer).model_dump(),
            application_id=standing.application_id,
            round=standing.round,
            created_at=standing.created_at,
        )


class OfferHistoryAnswer(BaseModel):
    """A page of offers, the newest first."""

    offers: list[KnownOfferAnswer] = Field(description="Offers of every status.")
    next: str | None = Field(
        description="Give it as `after` to get the next page; null on the last one."
    )
