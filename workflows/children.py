"""The workflows an application starts, each once; after a reset, what is on record is followed."""

from __future__ import annotations

from contextlib import suppress

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.settlement import LoanBookActivities
    from models.domain.application import ApplicationRef, Stage
    from models.domain.ids import notice_workflow_id, risk_workflow_id, settlement_workflow_id
    from models.domain.notice import NoticeRef
    from models.domain.offer import AcceptOffer
    from models.domain.routing import SCORING_QUEUE, WORKFLOW_TASK_TIMEOUT
    from models.domain.settlement import SettlementOrder, SettlementOutcome
    from workflows.adverse_action import AdverseActionWorkflow
    from workflows.options import RECORDED_SETTLEMENT, SHORTEST_TIMER, searchable
    from workflows.risk_scoring import RiskScoringWorkflow
    from workflows.settlement import SettlementWorkflow


async def score(application: ApplicationRef) -> None:
    """Run the scoring; run again, it finds its evidence and assessment on record."""
    tenant_id, application_id = application.tenant_id, application.application_id
    while True:
        try:
            await workflow.execute_child_workflow(
                RiskScoringWorkflow.run,
                application,
                id=risk_workflow_id(tenant_id, application_id),
                task_queue=SCORING_QUEUE,
                task_timeout=WORKFLOW_TASK_TIMEOUT,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                static_summary=f"Risk scoring of {application_id}",
                search_attributes=searchable(tenant_id, Stage.RISK),
            )
        except WorkflowAlreadyStartedError:
            # It belongs to the run before a reset, and ends with it.
            await workflow.sleep(SHORTEST_TIMER)
        else:
            return


async def settle(
    application: ApplicationRef, accepted: AcceptOffer, round_: int
) -> SettlementOutcome:
    """Settle once for ever: a settlement that was started before is followed by its record.

    After the first round of quotes there was a settlement whose lender did not stand by its offer,
    or there may have been: the same id runs again, and what is on record decides what it does.
    """
    tenant_id, application_id = application.tenant_id, application.application_id
    first = round_ == 1
    try:
        settled: SettlementOutcome = await workflow.execute_child_workflow(
            SettlementWorkflow.run,
            SettlementOrder(application, accepted.offer_id, accepted.acceptance),
            id=settlement_workflow_id(tenant_id, application_id),
            task_timeout=WORKFLOW_TASK_TIMEOUT,
            id_reuse_policy=(
                WorkflowIDReusePolicy.REJECT_DUPLICATE
                if first
                else WorkflowIDReusePolicy.ALLOW_DUPLICATE
            ),
            # Whatever becomes of its parent, money that is on its way is seen through.
            parent_close_policy=ParentClosePolicy.ABANDON,
            static_summary=f"Settlement of {application_id}",
            search_attributes=searchable(tenant_id, Stage.SETTLEMENT),
        )
    except WorkflowAlreadyStartedError:
        settled = await workflow.execute_activity_method(
            LoanBookActivities.follow_settlement,
            application,
            summary="Follow the settlement that is on record",
            **RECORDED_SETTLEMENT,
        )
    return settled


async def send_notice(notice: NoticeRef) -> None:
    """Start the notice on its own way: it has thirty days, the application has ended."""
    with suppress(WorkflowAlreadyStartedError):
        await workflow.start_child_workflow(
            AdverseActionWorkflow.run,
            notice,
            id=notice_workflow_id(notice.tenant_id, notice.application_id),
            task_timeout=WORKFLOW_TASK_TIMEOUT,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            parent_close_policy=ParentClosePolicy.ABANDON,
            static_summary=f"Notice of adverse action for {notice.application_id}",
            search_attributes=searchable(notice.tenant_id, Stage.CLOSED),
        )
