"""What lenders tell by themselves: believed when signed, kept and applied once, never backwards."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.credential_vault import EnvelopeVault
from adapters.webhooks.lender_callbacks import LenderCallbacks
from adapters.webhooks.signature import encode_secret, sign_callback, without_callback_secrets
from models.domain.errors import Invalid, NotFound
from models.domain.lender_callback import CallbackOutcome
from models.domain.provider import ProviderStatus
from tests.adapters.postgres.registering import DRAFT, Kept, Registry

pytestmark = pytest.mark.stack

CURRENT, FORMER = b"c" * 32, b"f" * 32
CREDENTIALS = {
    "api_key": "k",
    "callback_secret": encode_secret(CURRENT),
    "former_callback_secret": encode_secret(FORMER),
}
LENDER = "bank-0"


@pytest.fixture
def callbacks(lending: Any) -> LenderCallbacks:
    return LenderCallbacks(lending.app, EnvelopeVault(lending.keyring), {LENDER: CREDENTIALS})


async def offered(lending: Any) -> tuple[Any, Any, str]:
    """An application with an open offer of the lender, and the offer's quote."""
    ref = await lending.application()
    book = await lending.offered(ref)
    quote_id = await lending.value(
        "SELECT quote_id FROM offers WHERE offer_id = $1", book.offers[0].offer_id
    )
    return ref, book, quote_id


async def tell(
    callbacks: LenderCallbacks, tenant: str, kind: str, sequence: int, quote_id: str | None = None,
    *, event_id: str | None = None, secret: bytes = CURRENT, age_s: float = 0.0,
) -> CallbackOutcome:  # fmt: skip
    message = {"event_id": event_id or f"e-{kind}-{sequence}", "tenant": tenant, "type": kind,
               "sequence": sequence, "quote_id": quote_id}  # fmt: skip
    body = json.dumps(message).encode()
    now = datetime.now(UTC)
    headers = sign_callback(secret, "msg_1", body, now - timedelta(seconds=age_s))
    return await callbacks.receive(LENDER, headers, body, now)


async def status(lending: Any, book: Any) -> str:
    found: str = await lending.value(
        "SELECT status FROM offers WHERE offer_id = $1", book.offers[0].offer_id
    )
    return found


async def test_a_withdrawn_quote_voids_its_open_offer_once(
    lending: Any, callbacks: LenderCallbacks
) -> None:
    ref, book, quote_id = await offered(lending)
    outcomes = await asyncio.gather(
        *(tell(callbacks, ref.tenant_id, "quote.withdrawn", 1, quote_id) for _ in range(5))
    )
    assert set(outcomes) == {CallbackOutcome.APPLIED}
    assert await status(lending, book) == "replaced"
    published = await lending.published(ref.tenant_id)
    assert published.count("offer.replaced") == 1
    count = await lending.value(
        "SELECT count(*) FROM lender_callbacks WHERE tenant_id = $1", ref.tenant_id
    )
    assert count == 1


async def test_an_accepted_offer_is_not_the_lenders_to_take_back(
    lending: Any, callbacks: LenderCallbacks
) -> None:
    ref, book, quote_id = await offered(lending)
    await lending.offers.record_acceptance(ref, lending.accepting(ref, book))
    told = await tell(callbacks, ref.tenant_id, "quote.withdrawn", 1, quote_id)
    assert told is CallbackOutcome.RECORDED
    assert await status(lending, book) == "accepted"


async def test_what_comes_late_is_kept_and_changes_nothing(
    lending: Any, callbacks: LenderCallbacks
) -> None:
    ref, book, quote_id = await offered(lending)
    first = await tell(callbacks, ref.tenant_id, "acceptance.confirmed", 7, quote_id)
    late = await tell(callbacks, ref.tenant_id, "quote.withdrawn", 6, quote_id)
    assert (first, late) == (CallbackOutcome.RECORDED, CallbackOutcome.LATE)
    assert await status(lending, book) == "open"


async def test_either_secret_of_a_rotation_is_right_and_no_other(
    lending: Any, callbacks: LenderCallbacks
) -> None:
    ref, book, quote_id = await offered(lending)
    tenant = ref.tenant_id
    for wrong in ({"secret": b"x" * 32}, {"age_s": 301.0}, {"age_s": -301.0}):
        with pytest.raises(Invalid):
            await tell(callbacks, tenant, "quote.withdrawn", 1, quote_id, **wrong)  # type: ignore[arg-type]
    assert await status(lending, book) == "open"
    refused = await lending.audited("platform")
    assert refused.count("provider_registry.callback_refused") >= 3
    told = await tell(callbacks, tenant, "quote.withdrawn", 1, quote_id, secret=FORMER)
    assert told is CallbackOutcome.APPLIED


async def test_a_lender_rests_and_comes_back(lending: Any, callbacks: LenderCallbacks) -> None:
    tenant = lending.tenant()

    async def standing() -> str:
        found: str = await lending.value(
            "SELECT status FROM provider_health WHERE tenant_id = 'platform' AND provider_id = $1",
            LENDER,
        )
        return found

    begun, ended = "provider.maintenance_begun", "provider.maintenance_ended"
    assert await tell(callbacks, tenant, begun, 1) is CallbackOutcome.APPLIED
    assert await standing() == "MAINTENANCE"
    assert await tell(callbacks, tenant, ended, 3) is CallbackOutcome.APPLIED
    assert await standing() == "ACTIVE"
    assert await tell(callbacks, tenant, begun, 2) is CallbackOutcome.LATE
    assert await standing() == "ACTIVE"


@pytest.mark.parametrize(
    "changes",
    [{"type": "quote.eaten"}, {"sequence": "1"}, {"sequence": -1}, {"quote_id": None},
     {"tenant": "a/b"}, {"type": "provider.maintenance_begun"}, {"event_id": ""}],
)  # fmt: skip
async def test_what_is_of_another_form_is_refused(
    lending: Any, callbacks: LenderCallbacks, changes: dict[str, Any]
) -> None:
    message = {"event_id": "e1", "tenant": lending.tenant(), "type": "quote.withdrawn",
               "sequence": 1, "quote_id": "q1", **changes}  # fmt: skip
    body = json.dumps(message).encode()
    now = datetime.now(UTC)
    with pytest.raises(Invalid) as refused:
        await callbacks.receive(LENDER, sign_callback(CURRENT, "msg_1", body, now), body, now)
    assert refused.value.code == "CALLBACK_MALFORMED"


async def test_unknown_lenders_and_quotes_are_not_there(
    lending: Any, callbacks: LenderCallbacks
) -> None:
    with pytest.raises(NotFound):
        await tell(callbacks, lending.tenant(), "quote.withdrawn", 1, "no-such-quote")
    for body in (b"{}", b"[", b'{"tenant": "acme"}'):
        with pytest.raises(NotFound):
            await callbacks.receive("nobody", {}, body, datetime.now(UTC))


async def test_a_registered_lenders_secrets_are_opened_where_they_are_kept(lending: Any) -> None:
    """With its other credentials, sealed; another tenant's lender is nobody."""
    registry, kept, tenant = Registry(lending), Kept(), lending.tenant()
    credentials = {"key": "k", "callback_secret": encode_secret(CURRENT)}
    draft = replace(DRAFT, credentials=credentials)
    await registry.desk.register(registry.write(tenant), "plain", draft, kept)
    callbacks = LenderCallbacks(lending.app, EnvelopeVault(lending.keyring), {})
    for named, expected in ((tenant, CallbackOutcome.APPLIED), (lending.tenant(), None)):
        body = json.dumps(
            {"event_id": "e1", "tenant": named, "type": "provider.maintenance_begun", "sequence": 1}
        ).encode()
        now = datetime.now(UTC)
        headers = sign_callback(CURRENT, "msg_1", body, now)
        receiving = callbacks.receive(kept.record.provider_id, headers, body, now)
        if expected is None:
            with pytest.raises(NotFound):
                await receiving
        else:
            assert await receiving is expected
    record = await registry.desk.find(tenant, kept.record.provider_id)
    assert record.standing.health.status is ProviderStatus.MAINTENANCE


def test_adapters_do_not_see_what_callbacks_are_signed_with() -> None:
    assert without_callback_secrets(CREDENTIALS) == {"api_key": "k"}
    with pytest.raises(ValueError, match="whsec_"):
        without_callback_secrets({"callback_secret": "plain"})
