"""Applications and what comes of them: offers, assessment, loan."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from api.auth import Action
from api.deps import graph_views as at
from api.graphql import compliance, settlement
from api.graphql.answers import (
    MissingOffer,
    Reason,
    RuleDecision,
    RuleFired,
    ScoreReason,
    Terms,
)
from api.graphql.context import Info
from api.graphql.scalars import Int64, MinorUnits
from api.schemas.application_answers import DECISIONS
from models.domain.graph import (
    ApplicationRecord,
    AssessmentRecord,
    DecisionRecord,
    LoanRecord,
    OfferRecord,
)

if TYPE_CHECKING:
    from api.graphql.compliance import Person, Review
    from api.graphql.settlement import LedgerEntry, Transaction

_Person = Annotated["Person", strawberry.lazy("api.graphql.compliance")]
_Review = Annotated["Review", strawberry.lazy("api.graphql.compliance")]
_Transaction = Annotated["Transaction", strawberry.lazy("api.graphql.settlement")]
_LedgerEntry = Annotated["LedgerEntry", strawberry.lazy("api.graphql.settlement")]


@strawberry.federation.type(
    keys=["applicationId"], description="An application: where it stands, why, what came of it."
)
class Application:
    application_id: strawberry.ID = strawberry.field(description="`app_` and 32 hex digits.")
    user_id: str = strawberry.field(description="The integrator's opaque id of the person.")
    amount_minor: MinorUnits = strawberry.field(description="Amount asked for.")
    currency: str = strawberry.field(description="ISO 4217.")
    term_months: int = strawberry.field(description="Months asked for.")
    purpose: str = strawberry.field(description="As stated in the application.")
    wallet: str = strawberry.field(description="The wallet to be paid, checksummed (EIP-55).")
    chain_id: Int64 = strawberry.field(description="EIP-155 id of the chain it is paid on.")
    stage: str = strawberry.field(description="Where it is on its way.")
    state: str = strawberry.field(description="What it waits for, or how it ended.")
    reasons: list[Reason] = strawberry.field(description="Why it stands as it does.")
    identity: str | None = strawberry.field(description="The person's identity, as verified.")
    decision: str | None = strawberry.field(
        description="`approve`, `review`, `decline` or `block`; null before the rules decided."
    )
    missing_offers: list[MissingOffer] = strawberry.field(description="Lenders that made none.")
    accepted_offer_id: str | None = strawberry.field(description="The accepted offer.")
    created_at: datetime = strawberry.field(description="When it was submitted.")
    updated_at: datetime = strawberry.field(description="When it last changed.")

    @classmethod
    def of(cls, record: ApplicationRecord) -> Application:
        """The record as the REST paths show it."""
        asked = record.request
        return cls(
            application_id=strawberry.ID(record.application_id),
            user_id=record.user_id,
            amount_minor=MinorUnits(asked.amount_minor),
            currency=asked.currency,
            term_months=asked.term_months,
            purpose=asked.purpose,
            wallet=asked.wallet,
            chain_id=Int64(asked.chain_id),
            stage=record.stage,
            state=record.state,
            reasons=Reason.shown(record.reasons),
            identity=record.identity,
            decision=DECISIONS[record.decision] if record.decision else None,
            missing_offers=[
                MissingOffer(provider_id=each["provider_id"], reason=each["reason"])
                for each in record.missing_offers
            ],
            accepted_offer_id=record.accepted_offer_id,
            created_at=record.created_at,
            updated_at=record.updated_at,
        )

    @strawberry.field(description="Whose it is.")
    def person(self) -> _Person:
        return compliance.Person(user_id=strawberry.ID(self.user_id))

    @strawberry.field(description="Offers of lenders, the lowest APR first.")
    async def offers(self, info: Info) -> list[Offer]:
        found = await info.context.of_application(at.OFFERS, self.application_id)
        return [Offer.of(each) for each in found]

    @strawberry.field(description="The score; null before there is one.")
    async def assessment(self, info: Info) -> Assessment | None:
        found = await info.context.one(at.ASSESSMENTS, self.application_id)
        return Assessment.of(found) if found else None

    @strawberry.field(description="The loan; null before it is booked.")
    async def loan(self, info: Info) -> Loan | None:
        found = await info.context.of_application(at.LOANS, self.application_id)
        return Loan.of(found[0]) if found else None

    @strawberry.field(description="The payment on chain; null before there is one.")
    async def transaction(self, info: Info) -> _Transaction | None:
        found = await info.context.of_application(at.SETTLEMENTS, self.application_id)
        return settlement.Transaction.of(found[0]) if found else None

    @strawberry.field(description="Ledger entries, the oldest first. For auditors and admins.")
    async def ledger_entries(self, info: Info) -> list[_LedgerEntry] | None:
        info.context.require(Action.READ_LEDGER)
        found = await info.context.of_application(at.LEDGER, self.application_id)
        return [settlement.LedgerEntry.of(each) for each in found]

    @strawberry.field(description="What the rule book said. For compliance and auditors.")
    async def rule_decisions(self, info: Info) -> list[RuleDecision] | None:
        info.context.require(Action.READ_COMPLIANCE)
        found = await info.context.of_application(at.DECISIONS, self.application_id)
        return [_rule_decision(each) for each in found]

    @strawberry.field(description="Reviews of eligibility and credit, the oldest first. For staff.")
    async def reviews(self, info: Info) -> list[_Review] | None:
        info.context.require(Action.READ_REVIEWS)
        found = await info.context.of_application(at.REVIEWS, self.application_id, "subject_id")
        return [compliance.Review.of(each) for each in found]


def _rule_decision(record: DecisionRecord) -> RuleDecision:
    verdict = record.verdict
    return RuleDecision(
        phase=verdict.phase.value,
        outcome=verdict.outcome.value,
        reasons=list(verdict.reasons),
        fired=[
            RuleFired(
                rule_id=each.rule_id,
                rule_version=each.rule_version,
                action=each.action,
                outcome=each.outcome.value,
                reason_code=each.reason_code,
            )
            for each in verdict.fired
        ],
        packs=list(verdict.packs),
        rule_set_version=verdict.rule_set_version,
        sanctions_list_version=record.sanctions_list_version,
        model_version=record.model_version,
        decided_at=record.decided_at,
    )


async def application_of(info: Info, application_id: str) -> Application | None:
    found = await info.context.one(at.APPLICATIONS, application_id)
    return Application.of(found) if found else None


@strawberry.federation.type(
    keys=["offerId"], description="An offer; `terms` is what the contract sees and pays by."
)
class Offer:
    offer_id: strawberry.ID = strawberry.field(description="`off_` and 32 hex digits.")
    application_id: str = strawberry.field(description="The application it answers.")
    provider_id: str = strawberry.field(description="The lender.")
    status: str = strawberry.field(
        description="`open`, `accepted`, `rejected`, `replaced`, `expired` or `withdrawn`."
    )
    amount_minor: MinorUnits = strawberry.field(description="Amount paid out.")
    currency: str = strawberry.field(description="ISO 4217.")
    term_months: int = strawberry.field(description="Months over which it is repaid.")
    nominal_rate_bps: int = strawberry.field(description="Nominal annual rate, basis points.")
    apr_bps: int = strawberry.field(description="Annual percentage rate, fees included.")
    fee_minor: MinorUnits = strawberry.field(description="Fee, contained in the total.")
    monthly_payment_minor: MinorUnits = strawberry.field(description="Monthly instalment.")
    total_repayable_minor: MinorUnits = strawberry.field(description="Sum of all repaid.")
    total_cost_minor: MinorUnits = strawberry.field(description="What the credit costs.")
    terms_hash: str = strawberry.field(description="EIP-712 struct hash of `terms`.")
    terms: Terms = strawberry.field(description="What the lender signs.")
    chain_id: Int64 = strawberry.field(description="`chainId` of the domain to sign for.")
    aggregator: str = strawberry.field(description="`verifyingContract` of that domain.")
    expires_at: datetime = strawberry.field(description="Until when it may be accepted.")

    @classmethod
    def of(cls, record: OfferRecord) -> Offer:
        """The record as the REST paths show it."""
        quote = record.quote
        return cls(
            offer_id=strawberry.ID(record.offer_id),
            application_id=record.application_id,
            provider_id=quote.provider_id,
            status=record.status,
            amount_minor=MinorUnits(quote.amount_minor),
            currency=quote.currency,
            term_months=quote.term_months,
            nominal_rate_bps=quote.nominal_rate_bps,
            apr_bps=quote.apr_bps,
            fee_minor=MinorUnits(quote.fee_minor),
            monthly_payment_minor=MinorUnits(quote.monthly_payment_minor),
            total_repayable_minor=MinorUnits(quote.total_repayable_minor),
            total_cost_minor=MinorUnits(quote.total_cost_minor),
            terms_hash=quote.terms_hash,
            terms=Terms.of(quote.terms),
            chain_id=Int64(record.chain_id),
            aggregator=record.aggregator,
            expires_at=datetime.fromisoformat(quote.expires_at),
        )

    @strawberry.field(description="The application it answers.")
    async def application(self, info: Info) -> Application | None:
        return await application_of(info, self.application_id)


@strawberry.federation.type(keys=["applicationId"], description="A score with its reasons.")
class Assessment:
    application_id: strawberry.ID = strawberry.field(description="The application scored.")
    score: int | None = strawberry.field(description="300 to 850, higher is better; null if none.")
    score_reasons: list[ScoreReason] = strawberry.field(description="The heaviest first.")
    assessed_at: datetime = strawberry.field(description="When it was given.")
    record: strawberry.Private[AssessmentRecord]

    @classmethod
    def of(cls, record: AssessmentRecord) -> Assessment:
        """The record as the REST paths show it; a referral has no score."""
        given = record.assessment
        scored = given.outcome == "scored"
        return cls(
            application_id=strawberry.ID(record.application_id),
            score=given.score if scored else None,
            score_reasons=[ScoreReason.of(each) for each in given.reasons] if scored else [],
            assessed_at=record.assessed_at,
            record=record,
        )

    @strawberry.field(description="What the model knew. For underwriters, compliance and auditors.")
    def details(self, info: Info) -> AssessmentDetails | None:
        info.context.require(Action.READ_ASSESSMENT)
        given = self.record.assessment
        return AssessmentDetails(
            outcome=given.outcome,
            probability_of_default=given.pd,
            confidence=given.confidence,
            model_version=given.model_version,
            model_sha256=given.model_sha256,
            bureau_status=self.record.bureau_status,
            referred_because=given.reason_referred,
        )

    @strawberry.field(description="The application scored.")
    async def application(self, info: Info) -> Application | None:
        return await application_of(info, self.application_id)


@strawberry.type(description="What the model knew when it scored.")
class AssessmentDetails:
    outcome: str = strawberry.field(description="`scored` or `referred` to a person.")
    probability_of_default: float = strawberry.field(description="0 to 1.")
    confidence: float = strawberry.field(description="0 to 1.")
    model_version: str = strawberry.field(description="The model's version.")
    model_sha256: str = strawberry.field(description="Hash of the model's file; may be empty.")
    bureau_status: str = strawberry.field(description="`present`, `thin` or `missing`.")
    referred_because: str | None = strawberry.field(description="Why a person decides.")


@strawberry.federation.type(keys=["loanId"], description="A loan on the books.")
class Loan:
    loan_id: strawberry.ID = strawberry.field(description="`loan_` and 32 hex digits.")
    application_id: str = strawberry.field(description="The application it came of.")
    offer_id: str = strawberry.field(description="The offer that was accepted.")
    provider_id: str = strawberry.field(description="The lender.")
    amount_minor: MinorUnits = strawberry.field(description="Principal.")
    currency: str = strawberry.field(description="ISO 4217.")
    apr_bps: int = strawberry.field(description="Annual percentage rate, basis points.")
    term_months: int = strawberry.field(description="Months over which it is repaid.")
    monthly_payment_minor: MinorUnits = strawberry.field(description="Monthly instalment.")
    total_repayable_minor: MinorUnits = strawberry.field(description="Sum of all repaid.")
    booked_at: datetime = strawberry.field(description="When it was booked.")

    @classmethod
    def of(cls, record: LoanRecord) -> Loan:
        """The record as the REST paths show it."""
        return cls(
            loan_id=strawberry.ID(record.loan_id),
            application_id=record.application_id,
            offer_id=record.offer_id,
            provider_id=record.provider_id,
            amount_minor=MinorUnits(record.amount_minor),
            currency=record.currency,
            apr_bps=record.apr_bps,
            term_months=record.term_months,
            monthly_payment_minor=MinorUnits(record.monthly_payment_minor),
            total_repayable_minor=MinorUnits(record.total_repayable_minor),
            booked_at=record.booked_at,
        )

    @strawberry.field(description="The application it came of.")
    async def application(self, info: Info) -> Application | None:
        return await application_of(info, self.application_id)

    @strawberry.field(description="The offer that was accepted.")
    async def offer(self, info: Info) -> Offer | None:
        found = await info.context.one(at.OFFERS, self.offer_id)
        return Offer.of(found) if found else None
