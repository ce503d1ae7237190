"""Small values of the schema that are no entities of their own."""

from __future__ import annotations

from datetime import datetime

import strawberry

from api.graphql.scalars import MinorUnits
from models.domain.decision import applicant_reasons
from models.domain.graph import LedgerRecord
from models.domain.offer import LoanTerms
from models.domain.risk import Reason as ScoredReason
from models.domain.screening import ScreeningResult


@strawberry.type(description="A published reason code with its text for the applicant.")
class Reason:
    code: str = strawberry.field(description="Stable; none is ever reused.")
    text: str = strawberry.field(description="In words for the applicant; may change.")

    @classmethod
    def shown(cls, codes: tuple[str, ...]) -> list[Reason]:
        """Reasons as anybody may read them: none tells of screening."""
        return [cls(code=each.code, text=each.text) for each in applicant_reasons(codes)]


@strawberry.type(description="What kept the score from being higher, and by how many points.")
class ScoreReason:
    code: str = strawberry.field(description="Stable; none is ever reused.")
    text: str = strawberry.field(description="In words for the applicant; may change.")
    impact_points: float = strawberry.field(description="Points of the score, to one decimal.")

    @classmethod
    def of(cls, reason: ScoredReason) -> ScoreReason:
        return cls(code=reason.code, text=reason.text, impact_points=round(reason.impact_points, 1))


@strawberry.type(description="A lender that made no offer.")
class MissingOffer:
    provider_id: str = strawberry.field(description="The lender.")
    reason: str | None = strawberry.field(
        description="`NOT_OFFERED`, `DEADLINE_EXCEEDED`, or what was wrong with its answer."
    )


@strawberry.type(
    description="`LoanTerms` of the contract, which the lender signs. Every integer is a text of "
    "decimal digits."
)
class Terms:
    loan_reference: str = strawberry.field(description="The contract's key of this loan.")
    lender: str = strawberry.field(description="The account that pays, checksummed (EIP-55).")
    borrower: str = strawberry.field(description="The wallet that is paid, checksummed.")
    token: str = strawberry.field(description="The ERC-20 token that is paid, checksummed.")
    principal: str = strawberry.field(description="What is paid, in the token's smallest unit.")
    total_repayable: str = strawberry.field(description="What is owed, in the smallest unit.")
    apr_bps: str = strawberry.field(description="Annual percentage rate in basis points.")
    term_months: str = strawberry.field(description="Months.")
    nonce: str = strawberry.field(description="The lender's own number for these terms.")
    deadline: str = strawberry.field(description="Last moment to settle them, Unix seconds.")

    @classmethod
    def of(cls, terms: LoanTerms) -> Terms:
        """The terms as the contract sees them."""
        names = LoanTerms.__dataclass_fields__
        return cls(**{name: str(getattr(terms, name)) for name in names})


@strawberry.type(description="One side of an entry: debit positive, credit negative.")
class Posting:
    account: str = strawberry.field(description="The account.")
    amount_minor: MinorUnits = strawberry.field(description="Signed, in the entry's currency.")

    @classmethod
    def all_of(cls, record: LedgerRecord) -> list[Posting]:
        """Both sides; they sum to zero."""
        return [
            cls(account=each.account, amount_minor=MinorUnits(each.amount_minor))
            for each in record.entry.postings
        ]


@strawberry.type(description="A listed party that a screened name equals.")
class ScreeningMatch:
    list_entry_id: str = strawberry.field(description="The entry's id on its list.")
    list_name: str = strawberry.field(description="The list.")
    matched_name: str = strawberry.field(description="The name as the list spells it.")
    method: str = strawberry.field(
        description="`exact`, `normalised`, `joined` or `skeleton`, from strict to loose."
    )


@strawberry.type(description="What screening a person's names against sanctions lists found.")
class Screening:
    status: str = strawberry.field(description="`clear`, `hit`, or `unavailable` (never clear).")
    list_version: str = strawberry.field(description="The list that gave the answer.")
    screened_names_count: int = strawberry.field(description="Names that could be compared.")
    mixed_script: bool = strawberry.field(description="Whether a name mixes alphabets.")
    matches: list[ScreeningMatch] = strawberry.field(description="Listed parties it equals.")

    @classmethod
    def of(cls, result: ScreeningResult) -> Screening:
        return cls(
            status=result.status.value,
            list_version=result.list_version,
            screened_names_count=result.screened_names_count,
            mixed_script=result.mixed_script,
            matches=[
                ScreeningMatch(
                    list_entry_id=each.list_entry_id,
                    list_name=each.list_name,
                    matched_name=each.matched_name,
                    method=each.method.value,
                )
                for each in result.matches
            ],
        )


@strawberry.type(description="A rule that applied.")
class RuleFired:
    rule_id: str = strawberry.field(description="The rule.")
    rule_version: int = strawberry.field(description="Its version.")
    action: str = strawberry.field(description="What it does.")
    outcome: str = strawberry.field(description="What follows from it.")
    reason_code: str | None = strawberry.field(description="Why; null if it only adds a pack.")


@strawberry.type(description="What the rule book said in one phase. For compliance and auditors.")
class RuleDecision:
    phase: str = strawberry.field(description="`eligibility` or `credit`.")
    outcome: str = strawberry.field(
        description="`allow`, `review`, `enhanced_due_diligence`, `decline` or `block`."
    )
    reasons: list[str] = strawberry.field(description="Codes, the most severe first.")
    fired: list[RuleFired] = strawberry.field(description="Rules that applied, in their order.")
    packs: list[str] = strawberry.field(description="Rule packs attached.")
    rule_set_version: str = strawberry.field(description="The rule book's version.")
    sanctions_list_version: str | None = strawberry.field(description="The list screened with.")
    model_version: str | None = strawberry.field(description="The model that scored.")
    decided_at: datetime = strawberry.field(description="When it was decided.")
