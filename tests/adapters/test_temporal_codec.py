"""Payloads: one key per tenant, failures included; people see their own tenant's alone."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.converter import (
    ActivitySerializationContext,
    CompositePayloadConverter,
    WorkflowSerializationContext,
)
from temporalio.exceptions import ApplicationError

from adapters.temporal import (
    ENCODING,
    ErrorTypes,
    PayloadDesk,
    TenantCodec,
    data_converter,
    key_of,
)
from adapters.vault import Keyring, Undecipherable
from models.domain.application import ApplicationRef
from models.domain.errors import (
    Conflict,
    CreditError,
    Invalid,
    InvariantViolated,
    NotFound,
    Permanent,
    Transient,
    Unavailable,
)

SECRET = b'{"wallet":"0xsecret"}'
REF = ApplicationRef("acme", "app_1", "zelda")


@pytest.fixture
def keyring() -> Keyring:
    return Keyring({"v1": b"k" * 32})


def plain() -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=SECRET)


def of_workflow(workflow_id: str) -> WorkflowSerializationContext:
    return WorkflowSerializationContext(namespace="caas", workflow_id=workflow_id)


def of_activity(workflow_id: str | None) -> ActivitySerializationContext:
    return ActivitySerializationContext(
        namespace="caas", workflow_id=workflow_id, workflow_type="W", activity_type="a",
        activity_task_queue="q", is_local=False, activity_id="1",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("context", "tenant"),
    [
        (of_workflow("credit-application/acme/app_1"), "acme"),
        (of_workflow("kyc/other/zelda"), "other"),
        (of_activity("settlement/acme/app_1"), "acme"),
        (of_activity(None), "platform"),
        (of_workflow("temporal-sys-scheduler"), "platform"),
        (of_workflow("a/b/c/d"), "platform"),
        (of_workflow("kyc/not a name/zelda"), "platform"),
    ],
    ids=lambda value: getattr(value, "workflow_id", value),
)
async def test_the_workflow_id_says_whose_key_seals(
    keyring: Keyring, context: Any, tenant: str
) -> None:
    codec = TenantCodec(keyring).with_context(context)
    (sealed,) = await codec.encode([plain()])
    assert key_of(sealed) == ("v1", tenant)
    assert set(sealed.metadata) == {"encoding", "key-id"}
    assert sealed.metadata["encoding"] == ENCODING
    assert b"secret" not in sealed.SerializeToString()
    assert await codec.decode([sealed]) == [plain()]


async def test_one_tenants_key_does_not_open_anothers_payload(keyring: Keyring) -> None:
    (sealed,) = await TenantCodec(keyring).for_tenant("acme").encode([plain()])
    relabelled = Payload(metadata={**sealed.metadata, "key-id": b"v1/other"}, data=sealed.data)
    for codec, payload in (
        (TenantCodec(keyring).for_tenant("other"), sealed),  # replayed into another's workflow
        (TenantCodec(keyring).for_tenant("other"), relabelled),
        (TenantCodec(keyring), relabelled),
    ):
        with pytest.raises(Undecipherable):
            await codec.decode([payload])


async def test_rotation_opens_old_payloads_and_seals_with_the_new_key() -> None:
    (old,) = await TenantCodec(Keyring({"v1": b"k" * 32}), "acme").encode([plain()])
    rotated = TenantCodec(Keyring({"v2": b"n" * 32, "v1": b"k" * 32}), "acme")
    (new,) = await rotated.encode([plain()])
    assert (key_of(old)[0], key_of(new)[0]) == ("v1", "v2")
    assert await rotated.decode([old, new]) == [plain(), plain()]


async def test_unencrypted_payloads_pass(keyring: Keyring) -> None:
    assert await TenantCodec(keyring).decode([plain()]) == [plain()]


async def test_a_whole_converter_round_trips_values_and_hides_them(keyring: Keyring) -> None:
    converter = data_converter(keyring).with_context(of_workflow("kyc/acme/zelda"))
    big = {"amount": 10**24}
    sealed = await converter.encode([REF, big])
    assert {key_of(each)[1] for each in sealed} == {"acme"}
    assert all(b"zelda" not in each.data for each in sealed)
    assert await converter.decode(sealed, [ApplicationRef, dict[str, int]]) == [REF, big]


async def test_failures_are_encrypted_too(keyring: Keyring) -> None:
    converter = data_converter(keyring).with_context(of_workflow("kyc/acme/zelda"))
    failure = Failure()
    told = ApplicationError("Zelda is on fire", {"name": "Zelda"}, type="NAMED")
    try:
        raise told
    except ApplicationError as raised:
        await converter.encode_failure(raised, failure)
    assert b"Zelda" not in failure.SerializeToString()
    assert failure.application_failure_info.type == "NAMED"  # retry policies match on it
    decoded = await converter.decode_failure(failure)
    assert isinstance(decoded, ApplicationError)
    assert decoded.message == "Zelda is on fire"


# What people may decrypt.


async def document(keyring: Keyring, *tenants: str) -> dict[str, Any]:
    payloads = []
    for tenant in tenants:
        (sealed,) = await TenantCodec(keyring).for_tenant(tenant).encode([plain()])
        payloads.append(as_json(sealed))
    return {"payloads": payloads}


def as_json(payload: Payload) -> dict[str, Any]:
    return {
        "metadata": {
            name: base64.b64encode(value).decode() for name, value in payload.metadata.items()
        },
        "data": base64.b64encode(payload.data).decode(),
    }


async def test_the_desk_opens_ones_own_tenants_payloads_alone(keyring: Keyring) -> None:
    asked = await document(keyring, "acme", "other", "platform", "acme")
    answer, opened = PayloadDesk(keyring).decode("acme", asked)
    assert opened == 2
    readable = [base64.b64decode(each["data"]) == SECRET for each in answer["payloads"]]
    assert readable == [True, False, False, True]
    assert answer["payloads"][1:3] == asked["payloads"][1:3]


@pytest.mark.parametrize("key_id", [b"v1/acme", b"v9/acme", b"/acme", b"v1/", b"\xff\xfe", None])
async def test_what_cannot_be_deciphered_stays_as_it_is(
    keyring: Keyring, key_id: bytes | None
) -> None:
    metadata = {"encoding": ENCODING} | ({"key-id": key_id} if key_id is not None else {})
    asked = {"payloads": [as_json(Payload(metadata=metadata, data=b"not a ciphertext at all"))]}
    answer, opened = PayloadDesk(keyring).decode("acme", asked)
    assert opened == 0
    assert answer == asked


@pytest.mark.parametrize(
    "asked",
    [
        {"payloads": "text"},
        {"payloads": [1]},
        {"payloads": [{"metadata": {"encoding": 5}}]},
        {"unknown": []},
        {"payloads": [{"data": "a" * 5}]},
        {"payloads": [{"data": "!!!!"}]},
        {"payloads": [{"data": "YQ==\n"}]},
        {"payloads": [{"data": "Y Q="}]},
        {"payloads": [{"data": "YQ==="}]},
        {"payloads": [{"data": "YQ==YQ=="}]},
        {"payloads": [{}, {"metadata": {"encoding": "\u00e9\u00e9\u00e9\u00e9"}}]},
        {"payloads": {"data": ""}},
    ],
    ids=str,
)
async def test_a_malformed_document_is_refused(keyring: Keyring, asked: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="PAYLOADS_MALFORMED"):
        PayloadDesk(keyring).decode("acme", asked)
    with pytest.raises(Invalid, match="PAYLOADS_MALFORMED"):
        await PayloadDesk(keyring).encode("acme", asked)


@pytest.mark.parametrize("data", ["+/8=", "-_8=", "+/8", "-_8"])
def test_base64_is_read_as_protobufs_json_may_write_it(keyring: Keyring, data: str) -> None:
    answer, _ = PayloadDesk(keyring).decode("acme", {"payloads": [{"data": data}, {"data": None}]})
    assert answer == {"payloads": [{"data": "+/8="}, {}]}


async def test_what_people_encode_is_their_own_tenants(keyring: Keyring) -> None:
    answer = await PayloadDesk(keyring).encode("acme", {"payloads": [as_json(plain())]})
    opened, count = PayloadDesk(keyring).decode("acme", answer)
    assert count == 1
    assert opened["payloads"] == [as_json(plain())]
    assert PayloadDesk(keyring).decode("other", answer) == (answer, 0)


# Which errors Temporal tries again.


@pytest.mark.parametrize(
    ("error", "non_retryable"),
    [
        (NotFound("X"), True),
        (Conflict("X"), True),
        (Invalid("X"), True),
        (Permanent("X"), True),
        (Transient("X"), False),
        (Unavailable("X"), False),
        (InvariantViolated("X"), False),
        (Undecipherable("X"), False),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_errors_keep_their_code_and_their_kind(
    error: CreditError, non_retryable: bool
) -> None:
    class Failing:
        async def execute_activity(self, _: Any) -> Any:
            raise error

    inbound = ErrorTypes().intercept_activity(Failing())  # type: ignore[arg-type]
    with pytest.raises(ApplicationError) as raised:
        await inbound.execute_activity(object())  # type: ignore[arg-type]
    assert (raised.value.type, raised.value.non_retryable) == ("X", non_retryable)
    assert raised.value.__cause__ is error


def test_a_shape_is_learned_once_whoever_makes_a_converter(keyring: Keyring) -> None:
    make = data_converter(keyring).payload_converter_class
    one, other = make(), make()
    assert isinstance(one, CompositePayloadConverter)
    assert isinstance(other, CompositePayloadConverter)
    assert one.converters[b"json/plain"] is other.converters[b"json/plain"]
    assert one.from_payloads(other.to_payloads([REF]), [ApplicationRef]) == [REF]
