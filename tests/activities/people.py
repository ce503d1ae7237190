"""One application, its person, its offer: values that activity tests share."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from temporalio.testing import ActivityEnvironment

from activities.ports.credit_provider import Asked, CreditProvider
from models.domain.application import (
    Address,
    Applicant,
    ApplicationRef,
    CreditRequest,
    IdentityDocument,
)
from models.domain.offer import Acceptance, LoanTerms, Quote, QuoteRequest, SettlementVenue
from models.domain.risk import Assessment, BureauReport, unclipped_score
from models.domain.screening import ScreeningResult, ScreeningStatus
from models.domain.settlement import SettlementOrder

Result = TypeVar("Result")

APPLICATION = ApplicationRef("tenant-1", "app_" + "1" * 32, "user-1")
BORROWER = "0x" + "b0" * 20
LENDER = "0x" + "1e" * 20
VENUE = SettlementVenue(31_337, "0x" + "a9" * 20, "0x" + "70" * 20, 6)
LIST_VERSION = "list-1"

APPLICANT = Applicant(
    given_name="Zelda",
    family_name="Quillfeather",
    born_on="1990-04-05",
    email="zelda@example.org",
    national_id="100-10-0001",
    address=Address("1 Heron Street", "Springfield", "62701", "US"),
    document=IdentityDocument("passport", "P1234567", "US"),
    annual_income_minor=8_000_000,
    employment_months=60,
)
REQUEST = CreditRequest(
    amount_minor=500_000,
    currency="USD",
    term_months=12,
    purpose="car",
    jurisdiction="US",
    wallet=BORROWER,
    chain_id=VENUE.chain_id,
)
REPORT = BureauReport("report-1", 0, 1, 2, 1_800, 3_000, 0, 1, 4, 1_200_000)
SCORED = Assessment(
    0.02, int(unclipped_score(0.02)), unclipped_score(0.02), (), "m-1", "0" * 64, "scored", None, 1
)
TERMS = LoanTerms(
    loan_reference="0x" + "4e" * 32,
    lender=LENDER,
    borrower=BORROWER,
    token=VENUE.token,
    principal=5_000_000_000,
    total_repayable=5_300_000_000,
    apr_bps=1_100,
    term_months=12,
    nonce=1,
    deadline=2_000_000_000,
)
QUOTE = Quote(
    provider_id="bank",
    quote_id="quote-1",
    amount_minor=500_000,
    currency="USD",
    term_months=12,
    nominal_rate_bps=1_050,
    fee_minor=0,
    monthly_payment_minor=44_075,
    total_repayable_minor=528_900,
    apr_bps=1_050,
    expires_at="2030-01-01T00:00:00+00:00",
    terms=TERMS,
    terms_hash="0x" + "7e" * 32,
)
ACCEPTANCE = Acceptance(QUOTE.terms_hash, BORROWER, 7, 1_900_000_000, "0x" + "51" * 65)
ORDER = SettlementOrder(APPLICATION, "off_" + "1" * 32, ACCEPTANCE)


class ClearScreener:
    """Finds nobody on any list, and remembers who was asked about."""

    list_version = LIST_VERSION

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def screen(self, names: Any) -> ScreeningResult:
        self.asked.append(list(names))
        return ScreeningResult(ScreeningStatus.CLEAR, (), LIST_VERSION, len(names))


async def at_attempt(
    attempt: int, activity: Callable[..., Awaitable[Result]], *args: object
) -> Result:
    """Run an activity as Temporal does at that attempt."""
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, attempt=attempt)
    return await environment.run(activity, *args)


class Lenders:
    """A directory of these lenders, the same for every tenant."""

    def __init__(self, *lenders: CreditProvider) -> None:
        self._by_id = {each.provider_id: each for each in lenders}

    async def eligible(self, request: QuoteRequest) -> Asked:
        return Asked(tuple(self._by_id.values()))

    async def find(self, tenant_id: str, provider_id: str) -> CreditProvider | None:
        return self._by_id.get(provider_id)
