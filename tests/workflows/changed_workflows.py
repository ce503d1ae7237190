"""Workflows changed as no release may change them: replay has to notice each."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from models.domain.application import ApplicationEnding, ApplicationOutcome, ApplicationRef
    from models.domain.kyc import KYCStatus, PersonRef
    from models.domain.routing import APPLICATION_WORKFLOW, KYC_WORKFLOW, SETTLEMENT_WORKFLOW
    from models.domain.settlement import FinalitySignal, SettlementOrder, SettlementOutcome
    from workflows.credit_application import CreditApplicationWorkflow
    from workflows.kyc import KYCWorkflow
    from workflows.settlement import SettlementWorkflow


@workflow.defn(name=APPLICATION_WORKFLOW)
class ScoresBeforeEligibility(CreditApplicationWorkflow):
    """Two stages swapped: the bureau would be paid before the rules have spoken."""

    @workflow.init
    def __init__(self, application: ApplicationRef) -> None:
        super().__init__(application)

    @workflow.run
    async def run(self, application: ApplicationRef) -> ApplicationOutcome:
        return await super().run(application)

    async def _check_eligibility(self) -> ApplicationEnding | None:
        return await super()._score_and_decide()

    async def _score_and_decide(self) -> ApplicationEnding | None:
        return await super()._check_eligibility()


@workflow.defn(name=KYC_WORKFLOW)
class NeverExpires(KYCWorkflow):
    """A verification without an end."""

    @workflow.init
    def __init__(self, person: PersonRef) -> None:
        super().__init__(person)

    @workflow.run
    async def run(self, person: PersonRef) -> KYCStatus:
        return await super().run(person)

    async def _wait_out_validity(self) -> KYCStatus:
        return KYCStatus.VERIFIED


@workflow.defn(name=SETTLEMENT_WORKFLOW)
class BooksWithoutFinality(SettlementWorkflow):
    """A loan is booked as soon as its transaction was sent."""

    @workflow.init
    def __init__(self, order: SettlementOrder) -> None:
        super().__init__(order)

    @workflow.run
    async def run(self, order: SettlementOrder) -> SettlementOutcome:
        return await super().run(order)

    async def _wait_for_finality(self, tx_hash: str) -> FinalitySignal:
        return FinalitySignal(tx_hash, 0, "", 0, succeeded=True)
