"""Risk scoring: evidence with deadlines, then one step that scores or refers to a person.

It runs where the model is, so that its one activity is handed over without a further queue.
"""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.risk import ReferralActivities, RiskActivities
    from models.domain.application import ApplicationRef
    from models.domain.risk import Assessment
    from models.domain.routing import RISK_WORKFLOW
    from workflows.options import OWN_DATABASE, SCORING


@workflow.defn(name=RISK_WORKFLOW)
class RiskScoringWorkflow:
    """Scores one application; its result is on record before it returns."""

    @workflow.run
    async def run(self, application: ApplicationRef) -> Assessment:
        workflow.set_current_details("Buying the bureau report and scoring.")
        try:
            # Evidence and score need no wait between them, so they are one activity.
            assessment: Assessment = await workflow.execute_activity_method(
                RiskActivities.assess,
                application,
                summary="Gather evidence and score",
                **SCORING,
            )
        except ActivityError as error:
            if is_cancelled_exception(error):  # the application was withdrawn
                raise
            assessment = await workflow.execute_local_activity_method(
                ReferralActivities.refer, application, **OWN_DATABASE
            )
        workflow.set_current_details(
            f"Score {assessment.score}, PD {assessment.pd:.2%}"
            if assessment.outcome == "scored"
            else "Not scored: referred to a person."
        )
        return assessment
