"""Answers about applications."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final, Literal

from pydantic import BaseModel, Field

from api.schemas.information import InformationRequestAnswer, NoticeAnswer
from api.schemas.offer_answers import MissingOfferAnswer, OfferAnswer
from models.domain.application import TERMINAL_STATES, Stage, State
from models.domain.decision import applicant_reasons
from models.domain.kyc import KYCStatus
from models.domain.risk import MAX_REASONS, SCORE_MAX, SCORE_MIN
from models.domain.views import ApplicationView

# Outcomes as decisions: what follows is a verb of the lender, not the severity of a rule.
DECISIONS: Final = {
    "allow": "approve",
    "review": "review",
    "enhanced_due_diligence": "review",
    "decline": "decline",
    "block": "block",
}


def _one_of(what: str, values: type[StrEnum]) -> str:
    return f"{what}: {', '.join(f'`{each}`' for each in values)}."


class Links(BaseModel):
    """Where to go from here."""

    self: str = Field(description="Path of the application on this host.")


class SubmittedAnswer(BaseModel):
    """The application is stored and will be processed."""

    application_id: str = Field(description="`app_` and 32 hexadecimal digits.")
    state: str = Field(description="`processing`.")
    stage: str = Field(description="`identity`, the first stage.")
    links: Links = Field(description="Where to follow the application.")


class AcceptedAnswer(BaseModel):
    """The acceptance is on record; settlement follows."""

    application_id: str = Field(description="The application.")
    offer_id: str = Field(description="The offer that was accepted.")
    state: Literal["settling"] = Field(description="The loan is being paid out.")
    links: Links = Field(description="Where to follow the application.")


class ReasonAnswer(BaseModel):
    """A published reason code with its text for the applicant."""

    code: str = Field(description="Stable; none is ever reused.")
    text: str = Field(description="In words for the applicant; may change.")


class ScoreReasonAnswer(ReasonAnswer):
    """What kept the score from being higher, and by how many points."""

    impact_points: float = Field(description="Points of the score it cost, to one decimal.")


class TransactionAnswer(BaseModel):
    """Where the settlement stands on chain; nothing is final before `state` says so."""

    settlement_state: str = Field(
        description="`signed`, `broadcast`, `included` in a block, `final`, or `failed`. Only "
        "`final` means that the money has moved for good."
    )
    chain_id: int = Field(description="EIP-155 id of the chain.")
    tx_hash: str | None = Field(
        description="Hash of the latest paying transaction, 32 bytes in 0x hex; null without one."
    )
    block_number: int | None = Field(description="Block it is in; null while it is in none.")
    confirmations: int | None = Field(
        description="Depth in blocks, the transaction's own counted; null while it is in none."
    )
    amount_units: str = Field(
        description="What is paid, in the token's smallest unit, as decimal text."
    )
    borrower: str = Field(description="The wallet that is paid, checksummed (EIP-55).")
    loan_reference: str = Field(
        description="The contract's key of this loan, 32 bytes in 0x hex; paid once, for ever."
    )


class LoanAnswer(BaseModel):
    """A loan on the books."""

    loan_id: str = Field(description="`loan_` and 32 hexadecimal digits.")
    amount_minor: int = Field(description="Principal in minor units of `currency`.")
    currency: str = Field(description="ISO 4217.")
    apr_bps: int = Field(description="Annual percentage rate in basis points (1250 is 12.50 %).")
    term_months: int = Field(description="Months over which it is repaid.")
    monthly_payment_minor: int = Field(description="Monthly instalment in minor units.")
    total_repayable_minor: int = Field(description="Sum of all that is repaid, in minor units.")
    booked_at: datetime = Field(description="When it was booked (RFC 3339).")


class ApplicationAnswer(BaseModel):
    """An application: where it stands, why, and what came of it."""

    application_id: str = Field(description="`app_` and 32 hexadecimal digits.")
    user_id: str = Field(description="The integrator's opaque id of the person.")
    amount_minor: int = Field(description="Amount asked for in minor units of `currency`.")
    currency: str = Field(description="ISO 4217.")
    term_months: int = Field(description="Months asked for.")
    purpose: str = Field(description="As stated in the application.")
    wallet: str = Field(description="The wallet to be paid, checksummed (EIP-55).")
    chain_id: int = Field(description="EIP-155 id of the chain it is paid on.")
    stage: str = Field(description=_one_of("Where it is on its way", Stage))
    state: str = Field(
        description=_one_of("What it waits for, or how it ended", State)
        + " It has ended with "
        + ", ".join(f"`{each}`" for each in State if each in TERMINAL_STATES)
        + "."
    )
    reasons: list[ReasonAnswer] = Field(description="Why it stands as it does; may be empty.")
    identity: str | None = Field(
        description=_one_of("The person's identity", KYCStatus) + " Null before it was asked for."
    )
    decision: str | None = Field(
        description="What the rules decided: `approve`, `review` by a person, or `decline`, "
        "`block`; null before they have."
    )
    score: int | None = Field(
        description=f"Credit score, {SCORE_MIN} to {SCORE_MAX}, higher is better; null without one."
    )
    score_reasons: list[ScoreReasonAnswer] = Field(
        description=f"What cost most of the score, at most {MAX_REASONS}, the heaviest first."
    )
    offers: list[OfferAnswer] = Field(description="Offers of lenders, the lowest APR first.")
    missing_offers: list[MissingOfferAnswer] = Field(description="Lenders that made none.")
    accepted_offer_id: str | None = Field(description="The accepted offer; null without one.")
    transaction: TransactionAnswer | None = Field(
        description="The payment on chain; null before there is one."
    )
    loan: LoanAnswer | None = Field(description="The loan; null before it is booked.")
    information_requests: list[InformationRequestAnswer] = Field(
        description="What operators have asked of the applicant, the oldest first."
    )
    notice: NoticeAnswer | None = Field(
        description="The notice of adverse action; null where none is owed."
    )
    created_at: datetime = Field(description="When it was submitted (RFC 3339).")
    updated_at: datetime = Field(description="When it last changed (RFC 3339).")

    @classmethod
    def of(cls, view: ApplicationView) -> ApplicationAnswer:
        """The read model as the API shows it; screening is never told of."""
        settlement, loan = view.settlement, view.loan
        return cls(
            application_id=view.application_id,
            user_id=view.user_id,
            amount_minor=view.request.amount_minor,
            currency=view.request.currency,
            term_months=view.request.term_months,
            purpose=view.request.purpose,
            wallet=view.request.wallet,
            chain_id=view.request.chain_id,
            stage=view.stage,
            state=view.state,
            reasons=[
                ReasonAnswer(code=each.code, text=each.text)
                for each in applicant_reasons(view.reasons)
            ],
            identity=view.identity,
            decision=DECISIONS[view.decision] if view.decision else None,
            score=view.score,
            score_reasons=[
                ScoreReasonAnswer(
                    code=each.code, text=each.text, impact_points=round(each.impact_points, 1)
                )
                for each in view.score_reasons
            ],
            offers=[OfferAnswer.of(each) for each in view.offers],
            missing_offers=[
                MissingOfferAnswer(provider_id=each["provider_id"], reason=each["reason"])
                for each in view.missing_offers
            ],
            accepted_offer_id=view.accepted_offer_id,
            transaction=settlement
            and TransactionAnswer(
                settlement_state=settlement.state,
                chain_id=settlement.chain_id,
                tx_hash=settlement.tx_hash,
                block_number=settlement.block_number,
                confirmations=settlement.confirmations,
                amount_units=str(settlement.amount_units),
                borrower=settlement.borrower,
                loan_reference=settlement.loan_reference,
            ),
            loan=loan
            and LoanAnswer(
                loan_id=loan.loan_id,
                amount_minor=loan.amount_minor,
                currency=loan.currency,
                apr_bps=loan.apr_bps,
                term_months=loan.term_months,
                monthly_payment_minor=loan.monthly_payment_minor,
                total_repayable_minor=loan.total_repayable_minor,
                booked_at=loan.booked_at,
            ),
            information_requests=[
                InformationRequestAnswer.of(each) for each in view.information_requests
            ],
            notice=NoticeAnswer.of(view.notice) if view.notice else None,
            created_at=view.created_at,
            updated_at=view.updated_at,
        )
