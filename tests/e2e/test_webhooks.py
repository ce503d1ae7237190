"""Webhooks on the running product: a receiver that fails at times misses nothing."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench import webhooks as bench
from tests.adapters.postgres.receivers import Receiver, receiving
from tests.e2e.outside import World, eventually

pytestmark = pytest.mark.stack


class Owner:
    """Somebody who manages a tenant's webhooks."""

    def __init__(self, world: World, tenant: str, role: str) -> None:
        self.world, self.tenant = world, tenant
        self._headers = world.staff(tenant, role)

    async def ask(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        headers = {**self._headers, "Idempotency-Key": secrets.token_urlsafe(16)}
        answer: httpx.Response = await self.world.http.request(
            method, f"/api/v1/webhooks{path}", json=body, headers=headers
        )
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture
def tenant() -> str:
    return f"hooks-{secrets.token_hex(6)}"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


async def test_an_integrator_is_told_the_story_of_a_loan(
    world: World, tenant: str, receiver: Receiver
) -> None:
    """Signed, in order, as applicants may know it; a test event beforehand tells that it works."""
    owner = Owner(world, tenant, "integrator")
    hook = await owner.ask("POST", "", {"url": receiver.url()}, 201)
    tried = await owner.ask("POST", "/test", {"webhook_id": hook["webhook_id"]})
    assert (tried["accepted"], tried["status"], tried["reason"]) == (True, 204, None)
    loan = await world.fund(world.person(tenant=tenant))

    async def told_of_the_end() -> bool:
        return any(each.type == "application.funded" for each in receiver.told)

    await eventually("the webhook is told of the loan", told_of_the_end)
    assert all(each.signed_by(hook["secret"]) for each in receiver.told)
    [test, *story] = receiver.told
    assert (test.type, test.message_id) == ("webhook.test", tried["event_id"])
    assert [each.sequence for each in story] == sorted(each.sequence for each in story)
    types = [each.type for each in story]
    assert types[0] == "application.submitted"
    assert "offer.accepted" in types
    assert not [each for each in types if each.startswith(("kyc.", "review."))]
    assert {each.envelope["subject"] for each in story} >= {loan["application_id"]}
    shown = await owner.ask("GET", f"/{hook['webhook_id']}/deliveries?status=delivered&limit=100")
    assert {each["event_id"] for each in shown["deliveries"]} <= {e.message_id for e in story}
    await owner.ask("DELETE", f"/{hook['webhook_id']}")
    secret = await world.truth.value(
        "SELECT secret FROM webhooks WHERE webhook_id = $1", hook["webhook_id"]
    )
    assert secret == b""


async def test_hundreds_of_deliveries_to_a_receiver_that_fails_at_times(
    world: World, tenant: str, tmp_path: Path
) -> None:
    counted = await bench.deliver(world.stack, tmp_path, 240, keys=40, tenant=tenant)
    assert counted.deliveries == 240
    assert (counted.lost, counted.reordered, counted.other_ids, counted.unsigned) == (0, 0, 0, 0)
    assert counted.requests > 240  # some had failed
    await world.truth.value("UPDATE webhooks SET status = 'removed' WHERE tenant_id = $1", tenant)


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/latest/meta-data", "https://10.0.0.1/", "http://[fd00::1]/",
     "http://0xa9fea9fe/", "https://user@example.com/", "ftp://example.com/"],
)  # fmt: skip
async def test_what_is_inside_cannot_be_registered(world: World, tenant: str, url: str) -> None:
    refused = await Owner(world, tenant, "tenant_admin").ask("POST", "", {"url": url}, 422)
    assert refused["code"] == "URL_NOT_ALLOWED"
    assert url not in str(refused)


async def test_a_type_that_is_never_told_is_refused_at_its_place(
    world: World, tenant: str, receiver: Receiver
) -> None:
    types = ["application.funded", "application.fundet", "review.opened", "webhook.disabled"]
    body = {"url": receiver.url(), "event_types": types}
    for role, untold in (("tenant_admin", [1, 3]), ("integrator", [1, 2, 3])):
        refused = await Owner(world, tenant, role).ask("POST", "", body, 422)
        assert refused["errors"] == [
            {"pointer": f"/body/event_types/{place}", "reason": "never_told"} for place in untold
        ]


async def test_a_webhook_for_a_provider_needs_one(
    world: World, tenant: str, receiver: Receiver
) -> None:
    owner = Owner(world, tenant, "tenant_admin")
    body = {"url": receiver.url()}
    await owner.ask("POST", "/prv_" + "0" * 32, body, 404)
    made = await owner.ask("POST", "/first-harbour-bank", body, 201)
    assert made["provider_id"] == "first-harbour-bank"
    [listed] = (await owner.ask("GET", ""))["webhooks"]
    assert listed["webhook_id"] == made["webhook_id"]
    assert "secret" not in listed
    # Who sees less does not see it.
    assert (await Owner(world, tenant, "integrator").ask("GET", ""))["webhooks"] == []
    await Owner(world, tenant, "integrator").ask("GET", f"/{made['webhook_id']}", status=404)
    await owner.ask("DELETE", f"/{made['webhook_id']}")
