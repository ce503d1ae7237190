"""Temporal: the client, encrypted payloads, and messages by business id."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Self

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from temporalio.api.common.v1 import Payload, Payloads
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
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from adapters.vault import Keyring, Undecipherable
from models.domain.application import ApplicationRef, Stage, State
from models.domain.errors import Conflict, CreditError, Invalid, Transient, Unavailable
from models.domain.ids import (
    application_workflow_id,
    kyc_workflow_id,
    settlement_workflow_id,
    tenant_of_workflow,
)
from models.domain.kyc import KYCStanding, PersonRef, VerificationCallback
from models.domain.offer import AcceptOffer
from models.domain.review import ReviewDecision
from models.domain.routing import (
    ACCEPT_OFFER,
    APPLICATION_WORKFLOW,
    DECIDE_REVIEW,
    IDENTITY_CONCLUDED,
    JOIN,
    KYC_WORKFLOW,
    SEARCH_STAGE,
    SEARCH_STATE,
    SEARCH_TENANT,
    SETTLEMENT_OBSERVED,
    VERIFICATION_ANSWERED,
    WORKFLOWS_QUEUE,
)
from models.domain.settlement import FinalitySignal

ENCODING: Final = b"binary/encrypted"
PLATFORM: Final = "platform"
_PURPOSE = "temporal"

# A start or signal answers in milliseconds; a caller who waits longer is better served by "later".
RPC_TIMEOUT: Final = timedelta(seconds=3)
# An update waits for a worker to take it; beyond this the client is told to come back.
UPDATE_TIMEOUT: Final = timedelta(seconds=10)

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


class TenantCodec(PayloadCodec, WithSerializationContext):
    """Encrypts every payload under its tenant's key; the tenant is read from the workflow id."""

    def __init__(self, keyring: Keyring, tenant_id: str = PLATFORM) -> None:
        self._keyring = keyring
        self._tenant_id = tenant_id

    def with_context(self, context: SerializationContext) -> Self:
        """A codec for the tenant whose workflow the payload belongs to."""
        if not isinstance(context, WorkflowSerializationContext | ActivitySerializationContext):
            return self
        return self.for_tenant(tenant_of_workflow(context.workflow_id or "") or PLATFORM)

    def for_tenant(self, tenant_id: str) -> Self:
        """A codec that encrypts for this tenant."""
        return type(self)(self._keyring, tenant_id)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt; the metadata names the key (`version/tenant`), nothing else is readable."""
        version = self._keyring.current
        return [
            Payload(
                metadata={"encoding": ENCODING, "key-id": f"{version}/{self._tenant_id}".encode()},
                data=self._keyring.seal(
                    self._tenant_id, _PURPOSE, payload.SerializeToString(), _PURPOSE
                ),
            )
            for payload in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt what is encrypted; other payloads pass unchanged. Raises Undecipherable."""
        return [self.open(payload) for payload in payloads]

    def open(self, payload: Payload) -> Payload:
        """Decrypt one payload under the key it names."""
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        version, tenant_id = key_of(payload)
        plain = self._keyring.open(tenant_id, _PURPOSE, version, payload.data, _PURPOSE)
        return Payload.FromString(plain)


def key_of(payload: Payload) -> tuple[str, str]:
    """(key version, tenant) an encrypted payload names."""
    version, _, tenant_id = payload.metadata["key-id"].decode().partition("/")
    return version, tenant_id


def data_converter(keyring: Keyring) -> DataConverter:
    """Frozen dataclasses as JSON, encrypted; failures encrypted too."""
    return dataclasses.replace(
        pydantic_data_converter,
        payload_codec=TenantCodec(keyring),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


async def connect(address: str, namespace: str, keyring: Keyring) -> Client:
    """A client of the namespace; raises Unavailable when Temporal cannot be reached."""
    try:
        return await Client.connect(
            address, namespace=namespace, data_converter=data_converter(keyring)
        )
    except RuntimeError as error:
        raise Unavailable("TEMPORAL_UNAVAILABLE", address) from error


def search_attributes(tenant_id: str, stage: str, state: str) -> TypedSearchAttributes:
    """What the Web UI can filter by."""
    values = ((SEARCH_TENANT, tenant_id), (SEARCH_STAGE, stage), (SEARCH_STATE, state))
    return TypedSearchAttributes(
        [SearchAttributePair(SearchAttributeKey.for_keyword(name), value) for name, value in values]
    )


class TemporalMessages:
    """Satisfies `WorkflowMessages`, and carries the API's updates; names, never classes."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def start_application(self, application: ApplicationRef) -> None:
        workflow_id = application_workflow_id(application.tenant_id, application.application_id)
        try:
            await self._client.start_workflow(
                APPLICATION_WORKFLOW,
                application,
                id=workflow_id,
                task_queue=WORKFLOWS_QUEUE,
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
        except RPCError as error:
            raise _unavailable(error) from error

    async def join_person(self, person: PersonRef, application_id: str) -> None:
        try:
            await self._client.start_workflow(
                KYC_WORKFLOW,
                person,
                id=kyc_workflow_id(person.tenant_id, person.user_id),
                task_queue=WORKFLOWS_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                start_signal=JOIN,
                start_signal_args=[application_id],
                search_attributes=search_attributes(person.tenant_id, "identity", "processing"),
                static_summary="Identity verification of a person",
                rpc_timeout=RPC_TIMEOUT,
            )
        except RPCError as error:
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

    async def decide_review(
        self, workflow_id: str, decision: ReviewDecision, update_id: str
    ) -> None:
        """Deliver a review decision. Raises Refused, Unavailable."""
        await self._update(workflow_id, DECIDE_REVIEW, decision, update_id)

    async def ready(self) -> bool:
        """Whether Temporal answers."""
        try:
            return await self._client.service_client.check_health(timeout=RPC_TIMEOUT)
        except RPCError:
            return False

    async def _signal(self, workflow_id: str, name: str, message: object) -> None:
        handle = self._client.get_workflow_handle(workflow_id)
        try:
            await handle.signal(name, message, rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            # Who has ended needs no message; who never was cannot be told.
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise _unavailable(error) from error

    async def _update(self, workflow_id: str, name: str, message: object, update_id: str) -> None:
        handle = self._client.get_workflow_handle(workflow_id)
        try:
            await handle.execute_update(name, message, id=update_id, rpc_timeout=UPDATE_TIMEOUT)
        except WorkflowUpdateFailedError as error:
            raise _refusal(error.cause) from error
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            raise Unavailable("NO_WORKER_ANSWERED", name) from error
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise Conflict("APPLICATION_NOT_WAITING", name) from error
            raise _unavailable(error) from error


def _refusal(cause: BaseException | None) -> CreditError:
    code = cause.type if isinstance(cause, ApplicationError) and cause.type else "UPDATE_REFUSED"
    return Invalid(code) if code in _INVALID_CODES else Conflict(code)


def _unavailable(error: RPCError) -> Unavailable:
    return Unavailable("TEMPORAL_UNAVAILABLE", error.status.name)


class ErrorTypes(Interceptor):
    """Gives every domain error its stable type in history; only Transient ones are retried."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _ErrorTypesInbound(next)


class _ErrorTypesInbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        try:
            return await super().execute_activity(input)
        except CreditError as error:
            raise ApplicationError(
                str(error), type=error.code, non_retryable=not isinstance(error, Transient)
            ) from error


class LentFunctions(Interceptor):
    """Lends pure functions to workflows that must not import what computes them."""

    def __init__(self, functions: Mapping[str, Callable[..., Any]]) -> None:
        self._functions = functions

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        input.unsafe_extern_functions.update(self._functions)
        return None


class PayloadDesk:
    """Decrypts payloads for people and encrypts theirs, one tenant at a time (codec protocol)."""

    def __init__(self, keyring: Keyring) -> None:
        self._codec = TenantCodec(keyring)

    def decode(self, tenant_id: str, document: dict[str, Any]) -> tuple[dict[str, Any], int]:
        """The document with this tenant's payloads readable, and how many were opened.

        Payloads of other tenants and undecipherable ones stay as they are. Raises Invalid for a
        document that is not of the codec protocol.
        """
        opened = 0
        answered = []
        for payload in _payloads(document):
            if payload.metadata.get("encoding") == ENCODING and _names_tenant(payload, tenant_id):
                try:
                    answered.append(self._codec.open(payload))
                    opened += 1
                    continue
                except Undecipherable:
                    pass
            answered.append(payload)
        return MessageToDict(Payloads(payloads=answered)), opened

    async def encode(self, tenant_id: str, document: dict[str, Any]) -> dict[str, Any]:
        """The document with every payload encrypted under this tenant's key."""
        codec = self._codec.for_tenant(tenant_id)
        return MessageToDict(Payloads(payloads=await codec.encode(_payloads(document))))


def _payloads(document: dict[str, Any]) -> list[Payload]:
    try:
        return list(ParseDict(document, Payloads()).payloads)
    except ParseError as error:
        raise Invalid("PAYLOADS_MALFORMED") from error


def _names_tenant(payload: Payload, tenant_id: str) -> bool:
    try:
        return key_of(payload)[1] == tenant_id
    except (KeyError, UnicodeDecodeError):
        return False
