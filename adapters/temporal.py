"""Temporal: the client, encrypted payloads, the codec for people, errors with stable types."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from temporalio import activity
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.client import (
    Client,
)
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import (
    ActivitySerializationContext,
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import TLSConfig
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from adapters.correlation import SentNames
from adapters.vault import Keyring, Undecipherable
from models.domain.errors import CreditError, Invalid, Permanent, Refused, Unavailable
from models.domain.failpoints import failpoint
from models.domain.ids import (
    tenant_of_workflow,
)

ENCODING: Final = b"binary/encrypted"
PLATFORM: Final = "platform"
_PURPOSE = "temporal"


def tenant_of_context(context: SerializationContext) -> str | None:
    """Whose workflow a payload belongs to; None if it belongs to no workflow."""
    if not isinstance(context, WorkflowSerializationContext | ActivitySerializationContext):
        return None
    return tenant_of_workflow(context.workflow_id or "") or PLATFORM


class TenantCodec(PayloadCodec, WithSerializationContext):
    """Encrypts every payload under its tenant's key; the tenant is read from the workflow id."""

    def __init__(self, keyring: Keyring, tenant_id: str = PLATFORM) -> None:
        self._keyring = keyring
        self._tenant_id = tenant_id

    def with_context(self, context: SerializationContext) -> Self:
        """A codec for the tenant whose workflow the payload belongs to."""
        tenant_id = tenant_of_context(context)
        return self if tenant_id is None else self.for_tenant(tenant_id)

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
        if self._tenant_id not in (PLATFORM, tenant_id):
            raise Undecipherable("FOREIGN_TENANT", self._tenant_id)
        plain = self._keyring.open(tenant_id, _PURPOSE, version, payload.data, _PURPOSE)
        return Payload.FromString(plain)


def key_of(payload: Payload) -> tuple[str, str]:
    """(key version, tenant) an encrypted payload names."""
    # Asked by [], a protobuf map would invent the entry it does not have.
    version, _, tenant_id = payload.metadata.get("key-id", b"").decode().partition("/")
    return version, tenant_id


# One for the process: the SDK makes a converter for every workflow and every activity, and each
# would learn the shapes of all our records anew (measured: a quarter of a loan's replay).
_JSON_CONVERTERS: Final = tuple(PydanticPayloadConverter().converters.values())


class SharedPayloadConverter(CompositePayloadConverter):
    """The pydantic converter, which remembers the shapes it has met for the whole process."""

    def __init__(self) -> None:
        super().__init__(*_JSON_CONVERTERS)


# Far more than the tenants of one process at a time; beyond it, all are made anew.
_REMEMBERED_TENANTS: Final = 4_096


@dataclass(frozen=True)
class TenantDataConverter(DataConverter):
    """A converter that is made once per tenant: the SDK asks for one with every payload."""

    made: dict[str, TenantDataConverter] = field(default_factory=dict, compare=False, repr=False)

    def with_context(self, context: SerializationContext) -> TenantDataConverter:
        """The converter of the tenant whose workflow the payload belongs to."""
        tenant_id = tenant_of_context(context)
        if tenant_id is None:
            return self
        if (made := self.made.get(tenant_id)) is None:
            if len(self.made) >= _REMEMBERED_TENANTS:
                self.made.clear()
            made = self.made[tenant_id] = super().with_context(context)
        return made


def data_converter(keyring: Keyring) -> DataConverter:
    """Frozen dataclasses as JSON, encrypted; failures encrypted too."""
    return TenantDataConverter(
        payload_converter_class=SharedPayloadConverter,
        payload_codec=TenantCodec(keyring),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


async def connect(
    address: str,
    namespace: str,
    keyring: Keyring,
    *,
    tls: TLSConfig | None = None,
    api_key: str | None = None,
    lazy: bool = False,
) -> Client:
    """A client of the namespace; raises Unavailable when Temporal cannot be reached.

    A lazy client connects at its first call: for those who serve even while Temporal is away.
    Without `tls` it speaks plainly, whatever else is given.
    """
    try:
        return await Client.connect(
            address,
            namespace=namespace,
            data_converter=data_converter(keyring),
            interceptors=[SentNames()],
            tls=tls or False,
            api_key=api_key,
            lazy=lazy,
        )
    except RuntimeError as error:
        raise Unavailable("TEMPORAL_UNAVAILABLE", address) from error


class ErrorTypes(Interceptor):
    """Gives every domain error its stable type in history.

    Permanent and Refused errors end a step. Transient ones are retried, and so are violated
    invariants: they are bugs, the step stays visibly pending, and a deployment mends it.
    """

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _ErrorTypesInbound(next)


class _ErrorTypesInbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        try:
            return await super().execute_activity(input)
        except CreditError as error:
            raise ApplicationError(
                str(error), type=error.code, non_retryable=isinstance(error, Permanent | Refused)
            ) from error


class Heartbeats(Interceptor):
    """Beats for every activity that has a heartbeat timeout, as long as this process lives."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _HeartbeatsInbound(next)


class _HeartbeatsInbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        timeout = activity.info().heartbeat_timeout
        if not timeout:
            return await super().execute_activity(input)
        beating = asyncio.create_task(_beat(timeout.total_seconds() / 3))
        try:
            return await super().execute_activity(input)
        finally:
            beating.cancel()


class Failpoints(Interceptor):
    """A failpoint before and after every activity; inert unless the sandbox arms it."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _FailpointsInbound(next)


class _FailpointsInbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        name = activity.info().activity_type
        failpoint(f"activity.{name}.before")
        result = await super().execute_activity(input)
        failpoint(f"activity.{name}.after")
        return result


async def _beat(interval_s: float) -> None:
    while True:
        await asyncio.sleep(interval_s)
        activity.heartbeat()


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
        payloads = list(ParseDict(document, Payloads()).payloads)
    except ParseError as error:
        raise Invalid("PAYLOADS_MALFORMED") from error
    # The parser drops what is no base64 and reads the rest: another payload than was sent.
    for sent in document.get("payloads") or ():
        for text in (sent.get("data"), *(sent.get("metadata") or {}).values()):
            if text is not None and not _is_base64(text):
                raise Invalid("PAYLOADS_MALFORMED")
    return payloads


def _is_base64(text: str) -> bool:
    """Whether this is base64 of either alphabet, padded or not, as JSON of protobuf may hold it."""
    digits = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except ValueError:
        return False
    return len(text) - len(digits) <= 2


def _names_tenant(payload: Payload, tenant_id: str) -> bool:
    try:
        return key_of(payload)[1] == tenant_id
    except UnicodeDecodeError:
        return False
