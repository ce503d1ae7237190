"""Messages to workflows by business id: starts, signals, updates; names, never classes."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta
from typing import Any, Final

from temporalio.client import (
    Client,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from models.domain.application import ApplicationRef, Stage, State, Withdrawal
from models.domain.errors import (
    Conflict,
    CreditError,
    Invalid,
    InvariantViolated,
    NotFound,
    Unavailable,
)
from models.domain.ids import (
    application_workflow_id,
    kyc_workflow_id,
    new_id,
    notice_workflow_id,
    settlement_workflow_id,
)
from models.domain.kyc import KYCStanding, PersonRef, VerificationCallback
from models.domain.notice import NoticeHandedOver
from models.domain.offer import AcceptOffer, SearchAgain
from models.domain.review import (
    Assignment,
    InformationAsked,
    InformationProvided,
    ReviewDecision,
    ReviewEnd,
)
from models.domain.routing import (
    ACCEPT_OFFER,
    APPLICATION_WORKFLOW,
    ASK_APPLICANT,
    DECIDE_REVIEW,
    IDENTITY_CONCLUDED,
    INFORMATION_PROVIDED,
    JOIN,
    KYC_WORKFLOW,
    NOTICE_HANDED_OVER,
    REASSIGN_REVIEW,
    SEARCH_AGAIN,
    SEARCH_STAGE,
    SEARCH_STATE,
    SEARCH_TENANT,
    SETTLEMENT_OBSERVED,
    VERIFICATION_ANSWERED,
    WITHDRAW,
    WORKFLOW_TASK_TIMEOUT,
    WORKFLOWS_QUEUE,
)
from models.domain.settlement import FinalitySignal

# A start or signal answers in milliseconds; a caller who waits longer is better served by "later".
RPC_TIMEOUT: Final = timedelta(seconds=3)
# An update waits for a worker to take it; beyond this the client is told to come back.
UPDATE_TIMEOUT: Final = timedelta(seconds=10)

# Whether it is there is said at once; who said so is trusted for a moment.
HEALTH_TIMEOUT: Final = timedelta(seconds=1)
_TRUSTED_S: Final = 1.0

# What a call raises when Temporal is away; the second is a lazy client's failed first connection.
_AWAY: Final = (RPCError, RuntimeError)

# Codes are in capitals; what a bug raises bears the name of its exception's class.
_PUBLISHED: Final = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")

# Refusals of an update that say the request itself is unacceptable; all others are conflicts.
_INVALID_CODES: Final = frozenset(
    {
        "OFFER_UNKNOWN",
        "TERMS_HASH_MISMATCH",
        "BORROWER_MISMATCH",
        "ACCEPTANCE_DEADLINE_TOO_SOON",
        "SIGNATURE_INVALID",
    }
)


class TemporalMessages:
    """Satisfies `WorkflowMessages`, and carries the API's updates; names, never classes."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._answered_at_s = -_TRUSTED_S

    async def start_application(self, application: ApplicationRef) -> None:
        workflow_id = application_workflow_id(application.tenant_id, application.application_id)
        try:
            await self._client.start_workflow(
                APPLICATION_WORKFLOW,
                application,
                id=workflow_id,
                task_queue=WORKFLOWS_QUEUE,
                task_timeout=WORKFLOW_TASK_TIMEOUT,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                search_attributes=search_attributes(
                    application.tenant_id, Stage.IDENTITY, State.PROCESSING
                ),
                static_summary=f"Credit application {application.application_id}",
                static_details=f"Tenant {application.tenant_id}. Stage records, decisions and the "
                "audit trail are in the database under the same id.",
                rpc_timeout=RPC_TIMEOUT,
            )
        except WorkflowAlreadyStartedError:
            return
        except _AWAY as error:
            raise _unavailable(error) from error

    async def join_person(self, person: PersonRef, application_id: str) -> None:
        try:
            await self._client.start_workflow(
                KYC_WORKFLOW,
                person,
                id=kyc_workflow_id(person.tenant_id, person.user_id),
                task_queue=WORKFLOWS_QUEUE,
                task_timeout=WORKFLOW_TASK_TIMEOUT,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                start_signal=JOIN,
                start_signal_args=[application_id],
                # A person has no state of an application; those who search for one are not misled.
                search_attributes=search_attributes(person.tenant_id, Stage.IDENTITY),
                static_summary="Identity verification of a person",
                rpc_timeout=RPC_TIMEOUT,
            )
        except _AWAY as error:
            raise _unavailable(error) from error

    async def tell_identity(
        self, tenant_id: str, application_id: str, standing: KYCStanding
    ) -> None:
        workflow_id = application_workflow_id(tenant_id, application_id)
        await self._signal(workflow_id, IDENTITY_CONCLUDED, standing)

    async def tell_verification(self, person: PersonRef, callback: VerificationCallback) -> None:
        workflow_id = kyc_workflow_id(person.tenant_id, person.user_id)
        await self._signal(workflow_id, VERIFICATION_ANSWERED, callback)

    async def tell_settlement(
        self, tenant_id: str, application_id: str, observed: FinalitySignal
    ) -> None:
        workflow_id = settlement_workflow_id(tenant_id, application_id)
        await self._signal(workflow_id, SETTLEMENT_OBSERVED, observed)

    async def accept_offer(
        self, application: ApplicationRef, request: AcceptOffer, update_id: str
    ) -> None:
        """Deliver an acceptance; the same update id has one effect. Raises Refused, Unavailable."""
        workflow_id = application_workflow_id(application.tenant_id, application.application_id)
        await self._update(workflow_id, ACCEPT_OFFER, request, update_id)

    async def search_again(self, application: ApplicationRef, request: SearchAgain) -> int:
        """Ask lenders once more; the round that is on record then. Raises Refused, Unavailable.

        Whoever asks for a round first has it searched; all who ask for it get what was found.
        """
        workflow_id = application_workflow_id(application.tenant_id, application.application_id)
        update_id = f"search:{request.round}:{new_id('srch')}"
        round_: int = await self._update(workflow_id, SEARCH_AGAIN, request, update_id)
        return round_

    async def withdraw(
        self, application: ApplicationRef, withdrawal: Withdrawal, update_id: str
    ) -> None:
        """Deliver a withdrawal. Raises Refused, Unavailable."""
        workflow_id = application_workflow_id(application.tenant_id, application.application_id)
        await self._update(workflow_id, WITHDRAW, withdrawal, update_id)

    async def decide_review(
        self, workflow_id: str, decision: ReviewDecision, update_id: str
    ) -> ReviewEnd | None:
        """Deliver a decision; None: another approval is needed. Raises Refused, Unavailable."""
        ended = await self._update(workflow_id, DECIDE_REVIEW, decision, update_id)
        return ReviewEnd(ended) if ended is not None else None

    async def reassign_review(
        self, workflow_id: str, assignment: Assignment, update_id: str
    ) -> None:
        """Give a review to another person. Raises Refused, Unavailable."""
        await self._update(workflow_id, REASSIGN_REVIEW, assignment, update_id)

    async def ask_applicant(
        self, workflow_id: str, asked: InformationAsked, update_id: str
    ) -> datetime:
        """Ask the applicant; returns until when they may answer. Raises Refused, Unavailable."""
        due_at: str = await self._update(workflow_id, ASK_APPLICANT, asked, update_id)
        return datetime.fromisoformat(due_at)

    async def tell_information(self, workflow_id: str, provided: InformationProvided) -> None:
        """The applicant has answered."""
        await self._signal(workflow_id, INFORMATION_PROVIDED, provided)

    async def tell_notice(
        self, tenant_id: str, application_id: str, handed_over: NoticeHandedOver
    ) -> None:
        """A named person has delivered the notice. NotFound when nothing waits for it."""
        workflow_id = notice_workflow_id(tenant_id, application_id)
        if not await self._signal(workflow_id, NOTICE_HANDED_OVER, handed_over):
            raise NotFound("NOTICE_NOT_WAITING")

    async def ready(self) -> bool:
        """Whether Temporal answers."""
        try:
            return await self._client.service_client.check_health(timeout=RPC_TIMEOUT)
        except _AWAY:
            return False

    async def _signal(self, workflow_id: str, name: str, message: object) -> bool:
        """Whether somebody was there to be told."""
        handle = self._client.get_workflow_handle(workflow_id)
        try:
            await handle.signal(name, message, rpc_timeout=RPC_TIMEOUT)
        except _AWAY as error:
            # Who has ended needs no message; who never was cannot be told.
            if not _is_absent(error):
                raise _unavailable(error) from error
            return False
        return True

    async def _require_answer(self) -> None:
        """Raise Unavailable soon if Temporal is away: an update would wait for its whole time.

        Asked only where it did not answer a moment ago.
        """
        now_s = time.monotonic()
        if now_s - self._answered_at_s < _TRUSTED_S:
            return
        try:
            await self._client.service_client.check_health(timeout=HEALTH_TIMEOUT)
        except _AWAY as error:
            raise _unavailable(error) from error
        self._answered_at_s = now_s

    async def _update(self, workflow_id: str, name: str, message: object, update_id: str) -> Any:
        await self._require_answer()
        handle = self._client.get_workflow_handle(workflow_id)
        try:
            return await handle.execute_update(
                name, message, id=update_id, rpc_timeout=UPDATE_TIMEOUT
            )
        except WorkflowUpdateFailedError as error:
            raise _refusal(error.cause) from error
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            raise Unavailable("NO_WORKER_ANSWERED", name) from error
        except _AWAY as error:
            if _is_absent(error):
                raise Conflict("APPLICATION_NOT_WAITING", name) from error
            raise _unavailable(error) from error


def _refusal(cause: BaseException | None) -> CreditError:
    """A validator's published code as the refusal it means; anything else is a bug of ours."""
    code = cause.type if isinstance(cause, ApplicationError) else None
    if code is None or not _PUBLISHED.fullmatch(code):
        return InvariantViolated("UPDATE_BROKEN", code or type(cause).__name__)
    return Invalid(code) if code in _INVALID_CODES else Conflict(code)


def _is_absent(error: Exception) -> bool:
    return isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND


def _unavailable(error: Exception) -> Unavailable:
    status = error.status.name if isinstance(error, RPCError) else "NOT_CONNECTED"
    return Unavailable("TEMPORAL_UNAVAILABLE", status)


def search_attributes(
    tenant_id: str, stage: str, state: str | None = None
) -> TypedSearchAttributes:
    """What the Web UI can filter by."""
    values = [(SEARCH_TENANT, tenant_id), (SEARCH_STAGE, stage)]
    if state is not None:
        values.append((SEARCH_STATE, state))
    return TypedSearchAttributes(
        [SearchAttributePair(SearchAttributeKey.for_keyword(name), value) for name, value in values]
    )
