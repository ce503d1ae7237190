"""The script of the bank's SOAP protocol (sandbox/counterparties/soap_bank.py)."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lxml import etree

from sandbox.certification.json_answers import MAJOR
from sandbox.certification.rehearsal import LENDER, LENDER_KEY, Rehearsal, Stage, Step
from sandbox.certification.wire import Asked, Reply
from sandbox.counterparties.soap_bank import ACCEPTANCES, QUOTES
from sandbox.counterparties.soap_bank_messages import NAMESPACE, fault

_NAMES: Final = {
    "quote_id": "QuoteId",
    "amount_minor": "Amount",
    "currency": "Currency",
    "term_months": "TermMonths",
    "nominal_rate_bps": "NominalRate",
    "apr_bps": "AnnualPercentageRate",
    "fee_minor": "Fee",
    "monthly_payment_minor": "MonthlyPayment",
    "total_repayable_minor": "TotalRepayable",
    "expires_at": "ExpiresAt",
    "terms_hash": "TermsHash",
    "lender_signature": "LenderSignature",
    "terms.loan_reference": "Terms/LoanReference",
    "terms.lender": "Terms/Lender",
    "terms.borrower": "Terms/Borrower",
    "terms.token": "Terms/Token",
    "terms.principal": "Terms/Principal",
    "terms.total_repayable": "Terms/TotalRepayable",
    "terms.apr_bps": "Terms/AprBps",
    "terms.term_months": "Terms/TermMonths",
    "terms.nonce": "Terms/Nonce",
    "terms.deadline": "Terms/Deadline",
}
# Amounts to the cent and percentages to the basis point, where we have integers.
_HUNDREDTHS: Final = frozenset(
    {
        "amount_minor",
        "nominal_rate_bps",
        "apr_bps",
        "fee_minor",
        "monthly_payment_minor",
        "total_repayable_minor",
    }
)
_XML: Final = {"content-type": "text/xml; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class XMLFields:
    """One element by our names."""

    found: Any

    def get(self, name: str) -> str | int:
        """The value as it travels."""
        text = str(self._place(name).text)
        return MAJOR.read(text) if name in _HUNDREDTHS else text

    def set(self, name: str, value: str | int) -> None:
        """Another value, in the bank's unit."""
        written = MAJOR.write(int(value)) if name in _HUNDREDTHS else str(value)
        self._place(name).text = written

    def _place(self, name: str) -> Any:
        path = "/".join(f"{{{NAMESPACE}}}{part}" for part in _NAMES[name].split("/"))
        element = self.found.find(path)
        if element is None:
            raise KeyError(name)
        return element


class XMLAnswer:
    """Satisfies `Document`: an envelope of the bank."""

    def __init__(self, body: bytes) -> None:
        self._root = etree.fromstring(body)

    def quotes(self) -> Sequence[XMLFields]:
        """Every quote in it."""
        return [XMLFields(each) for each in self._root.iter(f"{{{NAMESPACE}}}Quote")]

    def confirmation(self) -> XMLFields:
        """The answer to an acceptance."""
        return XMLFields(next(self._root.iter(f"{{{NAMESPACE}}}AcceptQuoteResponse")))

    def encoded(self) -> bytes:
        """As it travels."""
        written: bytes = etree.tostring(self._root, xml_declaration=True, encoding="utf-8")
        return written

    def listed_again(self, change: Callable[[XMLFields], None]) -> bytes:
        """Every quote twice, beside each other."""
        for quote in list(self._root.iter(f"{{{NAMESPACE}}}Quote")):
            copy = deepcopy(quote)
            change(XMLFields(copy))
            quote.addnext(copy)
        return self.encoded()


@asynccontextmanager
async def _stage(_: Path) -> AsyncIterator[Stage]:
    credentials = {"username": "caas-rehearsal", "password": secrets.token_urlsafe(24)}
    yield Stage(
        counterparty={**credentials, "lender_private_key": LENDER_KEY},
        config={"lender_address": LENDER},
        credentials=credentials,
    )


def _step_of(asked: Asked) -> Step:
    return {QUOTES: Step.QUOTE, ACCEPTANCES: Step.ACCEPT}.get(asked.target, Step.OTHER)


def _refusal(code: str) -> Reply:
    return Reply(500, fault("soap:Client", code, "as rehearsed"), _XML)


REHEARSAL: Final = Rehearsal(
    stage=_stage,
    step_of=_step_of,
    opened=XMLAnswer,
    effect="quote.confirmed",
    refusals={
        "QUOTE_EXPIRED": _refusal("QUOTE_EXPIRED"),
        "TERMS_CHANGED": _refusal("TERMS_MISMATCH"),
    },
    unwanted={"amount_minor": 10_000_001},
)
