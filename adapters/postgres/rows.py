"""Rows to domain values: the same reading of a column everywhere."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from models.domain.application import CreditRequest
from models.domain.decision import Outcome, Phase, RuleFired, Verdict
from models.domain.offer import LoanTerms, OfferSummary, Quote
from models.domain.risk import Assessment, Reason

REASONS = TypeAdapter(tuple[Reason, ...])
FIRED = TypeAdapter(tuple[RuleFired, ...])


def credit_request_of(row: Any) -> CreditRequest:
    """What an application asks for."""
    return CreditRequest(
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        term_months=row["term_months"],
        purpose=row["purpose"],
        jurisdiction=row["jurisdiction"],
        wallet=row["wallet"],
        chain_id=row["chain_id"],
    )


def assessment_of(row: Any) -> Assessment:
    """An assessment as it was recorded."""
    return Assessment(
        pd=row["pd"],
        score=row["score"],
        score_unclipped=row["score_unclipped"],
        reasons=REASONS.validate_python(row["reasons"]),
        model_version=row["model_version"],
        model_sha256=row["model_sha256"],
        outcome=row["outcome"],
        reason_referred=row["referred_because"],
        confidence=row["confidence"],
    )


def verdict_of(row: Any) -> Verdict:
    """What the rule book said in one phase."""
    return Verdict(
        phase=Phase(row["phase"]),
        outcome=Outcome(row["outcome"]),
        reasons=tuple(row["reasons"]),
        fired=FIRED.validate_python(row["fired"]),
        packs=tuple(row["packs"]),
        rule_set_version=row["rule_set_version"],
    )


# Token units and nonces go beyond what many JSON readers hold exactly, so they are kept as text.
_BIG = ("principal", "total_repayable", "nonce")


def terms_document(terms: LoanTerms) -> dict[str, Any]:
    """Loan terms as a JSON document."""
    document = {name: getattr(terms, name) for name in LoanTerms.__dataclass_fields__}
    return {name: str(value) if name in _BIG else value for name, value in document.items()}


def terms_of(document: dict[str, Any]) -> LoanTerms:
    """Loan terms from their JSON document."""
    fields: dict[str, Any] = {
        name: int(value) if name in _BIG else value for name, value in document.items()
    }
    return LoanTerms(**fields)


def quote_of(row: Any) -> Quote:
    """An offer as its lender quoted it."""
    return Quote(
        provider_id=row["provider_id"],
        quote_id=row["quote_id"],
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        term_months=row["term_months"],
        nominal_rate_bps=row["nominal_rate_bps"],
        fee_minor=row["fee_minor"],
        monthly_payment_minor=row["monthly_payment_minor"],
        total_repayable_minor=row["total_repayable_minor"],
        apr_bps=row["apr_bps"],
        expires_at=row["expires_at"].isoformat(),
        terms=terms_of(row["terms"]),
        terms_hash=row["terms_hash"],
    )


def offer_summary_of(row: Any) -> OfferSummary:
    """What a workflow keeps of an offer."""
    return OfferSummary(
        offer_id=row["offer_id"],
        provider_id=row["provider_id"],
        terms_hash=row["terms_hash"],
        borrower=row["terms"]["borrower"],
        chain_id=row["chain_id"],
        aggregator=row["aggregator"],
        apr_bps=row["apr_bps"],
        expires_at=row["expires_at"].isoformat(),
    )
