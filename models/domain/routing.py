"""Names by which processes find each other in Temporal; renaming one breaks live histories."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

WORKFLOWS_QUEUE: Final = "caas-workflows"
SCORING_QUEUE: Final = "caas-scoring"
CHAIN_QUEUE: Final = "caas-chain"

APPLICATION_WORKFLOW: Final = "CreditApplicationWorkflow"
KYC_WORKFLOW: Final = "KYCWorkflow"
RISK_WORKFLOW: Final = "RiskScoringWorkflow"
SETTLEMENT_WORKFLOW: Final = "SettlementWorkflow"
ADVERSE_ACTION_WORKFLOW: Final = "AdverseActionWorkflow"
WEBHOOK_WORKFLOW: Final = "WebhookDeliveryWorkflow"

JOIN: Final = "join"
IDENTITY_CONCLUDED: Final = "identity_concluded"
VERIFICATION_ANSWERED: Final = "verification_answered"
SETTLEMENT_OBSERVED: Final = "settlement_observed"
ACCEPT_OFFER: Final = "accept_offer"
SEARCH_AGAIN: Final = "search_again"
WITHDRAW: Final = "withdraw"
DECIDE_REVIEW: Final = "decide_review"
REASSIGN_REVIEW: Final = "reassign_review"
ASK_APPLICANT: Final = "ask_applicant"
INFORMATION_PROVIDED: Final = "information_provided"
NOTICE_HANDED_OVER: Final = "notice_handed_over"
WEBHOOK_DUE: Final = "webhook_due"

# A worker that was killed is given up after this long, and another takes its workflows on. Steps on
# our own database take milliseconds; a longer one beats before this has passed.
WORKFLOW_TASK_TIMEOUT: Final = timedelta(seconds=5)

# Search attributes: ids and states only, never personal data.
SEARCH_TENANT: Final = "CaasTenant"
SEARCH_STAGE: Final = "CaasStage"
SEARCH_STATE: Final = "CaasState"

# A pure function the worker lends to workflows: (chain id, contract, borrower, Acceptance) -> bool.
VERIFY_ACCEPTANCE: Final = "caas_verify_acceptance"
