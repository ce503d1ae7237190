"""The script of the bank's SOAP protocol (sandbox/counterparties/soap_bank.py)."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from sandbox.certification.json_answers import MAJOR
from sandbox.certification.rehearsal import LENDER, LENDER_KEY, Rehearsal, Stage, Step
from sandbox.certification.wire import Asked, Reply
from sandbox.certification.xml_answers import XMLShape
from sandbox.counterparties.soap_bank import ACCEPTANCES, QUOTES
from sandbox.counterparties.soap_bank_messages import fault

_STEPS: Final = {QUOTES: Step.QUOTE, ACCEPTANCES: Step.ACCEPT}
_XML: Final = {"content-type": "text/xml; charset=utf-8"}
_IN_HUNDREDTHS: Final = {
    "amount_minor": "Amount",
    "nominal_rate_bps": "NominalRate",
    "apr_bps": "AnnualPercentageRate",
    "fee_minor": "Fee",
    "monthly_payment_minor": "MonthlyPayment",
    "total_repayable_minor": "TotalRepayable",
}
_SHAPE: Final = XMLShape(
    quote="Quote",
    confirmation="AcceptQuoteResponse",
    names={
        **_IN_HUNDREDTHS,
        "quote_id": "QuoteId",
        "currency": "Currency",
        "term_months": "TermMonths",
        "expires_at": "ExpiresAt",
        "terms.loan_reference": "Terms.LoanReference",
        "terms.lender": "Terms.Lender",
        "terms.borrower": "Terms.Borrower",
        "terms.token": "Terms.Token",
        "terms.principal": "Terms.Principal",
        "terms.total_repayable": "Terms.TotalRepayable",
        "terms.apr_bps": "Terms.AprBps",
        "terms.term_months": "Terms.TermMonths",
        "terms.nonce": "Terms.Nonce",
        "terms.deadline": "Terms.Deadline",
        "terms_hash": "TermsHash",
        "lender_signature": "LenderSignature",
    },
    units=dict.fromkeys(_IN_HUNDREDTHS, MAJOR),
)


@asynccontextmanager
async def _stage(_: Path) -> AsyncIterator[Stage]:
    credentials = {"username": "caas-rehearsal", "password": secrets.token_urlsafe(24)}
    counterparty = {**credentials, "lender_private_key": LENDER_KEY}
    yield Stage(counterparty, {"lender_address": LENDER}, credentials)


def _step_of(asked: Asked) -> Step:
    return _STEPS.get(asked.target, Step.OTHER)


def _refusal(code: str) -> Reply:
    return Reply(500, fault("soap:Client", code, "as rehearsed"), _XML)


REHEARSAL: Final = Rehearsal(
    stage=_stage,
    step_of=_step_of,
    opened=_SHAPE.opened,
    effect="quote.confirmed",
    refusals={
        "QUOTE_EXPIRED": _refusal("QUOTE_EXPIRED"),
        "TERMS_CHANGED": _refusal("TERMS_MISMATCH"),
    },
    unwanted={"amount_minor": 10_000_001},
)
