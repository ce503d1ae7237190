"""Two tenants with something of every kind, and the platform's own people, for the matrix."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import httpx
from temporalio.client import Client

from api.schemas import provider_examples
from models.domain.ids import new_id, notice_workflow_id
from sandbox.borrower import Borrower
from sandbox.stack_settings import BANK
from tests.e2e.matrix import NOBODY_ASKS_IT, NOBODY_LISTENS, Home
from tests.e2e.outside import World, eventually

THIN_FILE = {"applicant.national_id": "500-00-7777"}
LARGE_LOAN = {"amount_minor": 1_050_000, "finances.annual_income_minor": 12_000_000}
PASSWORD = "heron-lantern-quarry"


async def full_home(world: World, temporal: Client) -> Home:
    """A tenant with a funded loan, two reviews, a question, a notice, people, programs and keys."""
    tenant = f"matrix-{secrets.token_hex(6)}"
    funded = world.person(tenant=tenant)
    thin, large = (world.person(stated, tenant=tenant) for stated in (THIN_FILE, LARGE_LOAN))
    loan, in_credit, in_compliance, accounts = await asyncio.gather(
        world.fund(funded),
        world.apply_until(thin, "in_review"),
        world.apply_until(large, "in_review"),
        _accounts(world, tenant),
    )
    reviews = await _reviews(world, tenant)
    asked = await _post(
        world, f"/api/v1/reviews/{reviews['credit']}/information",
        {"items": ["PROOF_OF_INCOME"], "message": "Please send it."},
        world.staff(tenant, "underwriter"),
    )  # fmt: skip
    application_id, questioned = loan["application_id"], in_credit["application_id"]
    noticed = in_compliance["application_id"]
    # Stands for a notice that nobody carries: it waits to be told, and does nothing.
    waiting = notice_workflow_id(tenant, noticed)
    await temporal.start_workflow("NoticeThatWaits", id=waiting, task_queue="nobody-polls-here")
    owner = funded.data["user_id"]
    # What a check finds out would be counted as left by whoever was refused meanwhile: it stays in
    # maintenance whatever it answers, and only the first of several failures in a row is told.
    await world.truth.value(
        "UPDATE provider_health SET status = 'MAINTENANCE', set_by = 'person', failures = 1"
        " WHERE tenant_id = $1 AND provider_id = $2",
        tenant, accounts["provider_id"],
    )  # fmt: skip
    [settlement] = await world.truth.rows(
        "SELECT settlement_id FROM settlements WHERE tenant_id = $1", tenant
    )
    entry = await world.truth.value(
        "SELECT entry_id FROM ledger_entries WHERE tenant_id = $1 LIMIT 1", tenant
    )
    webhook = await _webhook(world, tenant)
    ids = {
        "application_id": application_id, "questioned": questioned, "noticed": noticed,
        "request_id": asked["request_id"], "offer_id": loan["offers"][0]["offer_id"],
        "loan_id": loan["loan"]["loan_id"], "settlement_id": settlement["settlement_id"],
        "entry_id": entry, "person": owner, **reviews, **accounts, **webhook,
    }  # fmt: skip
    owners = dict.fromkeys(ids, owner) | {"questioned": thin.data["user_id"]}
    return Home(tenant, ids, owners, ids.pop("provider_key"))


async def neighbour(world: World) -> Home:
    """A tenant with people, programs and an application of its own."""
    tenant = f"matrix-{secrets.token_hex(6)}"
    person: Borrower = world.person(tenant=tenant)
    accounts, application_id = await asyncio.gather(_accounts(world, tenant), person.apply())
    ids = {"application_id": application_id, "questioned": application_id, **accounts}
    owners = dict.fromkeys(ids, person.data["user_id"])
    return Home(tenant, ids, owners, ids.pop("provider_key"))


async def platform_home(world: World) -> Home:
    """The platform itself, which has administrators and programs, and no application."""
    root = world.staff("platform", "platform_admin", "root.matrix")
    ids = await _of_administrator(world, "platform", root)
    # A provider of the platform's own would be every other test's, too.
    return Home("platform", {**ids, "provider_id": BANK})


async def _webhook(world: World, tenant: str) -> dict[str, str]:
    """A webhook of an integrator's, which is told of nothing but what is redelivered."""
    body = {"url": NOBODY_LISTENS, "event_types": ["settlement.reorged"]}
    hook = await _post(world, "/api/v1/webhooks", body, world.staff(tenant, "integrator"))
    delivery_id = new_id("dlv")
    await world.truth.value(
        "INSERT INTO webhook_deliveries (tenant_id, delivery_id, webhook_id, key, event_seq,"
        " event_id, type, status) SELECT tenant_id, $2, $3, key, seq, event_id, type,"
        " 'dead_lettered' FROM outbox WHERE tenant_id = $1 AND type = 'application.funded' LIMIT 1",
        tenant, delivery_id, hook["webhook_id"],
    )  # fmt: skip
    return {"id": hook["webhook_id"], "delivery_id": delivery_id}


async def _accounts(world: World, tenant: str) -> dict[str, str]:
    root = world.staff("platform", "platform_admin", "root.matrix")
    admin = f"admin@{tenant}.example"
    await _post(
        world, "/api/v1/tenants",
        {"tenant": tenant, "registration_open": True, "admin_email": admin}, root,
    )  # fmt: skip
    made = await _of_administrator(world, tenant, world.staff(tenant, "tenant_admin"))
    body = {"name": "A provider", "roles": ["provider"]}
    provider = await _post(
        world, "/api/v1/service-accounts", body, world.staff(tenant, "tenant_admin")
    )
    key = await _post(
        world, f"/api/v1/service-accounts/{provider['service_account_id']}/keys", {},
        world.staff(tenant, "tenant_admin"),
    )  # fmt: skip
    lender = await _post(
        world, "/api/v1/providers",
        {**provider_examples.REGISTERED, **NOBODY_ASKS_IT}, world.staff(tenant, "tenant_admin"),
    )  # fmt: skip
    return {**made, "provider_key": key["api_key"], "provider_id": lender["provider_id"]}


async def _of_administrator(world: World, tenant: str, admin: dict[str, str]) -> dict[str, str]:
    """An account, an open invitation, a program and its key."""
    role = "platform_admin" if tenant == "platform" else "support"
    first, second = [
        await _post(
            world, "/api/v1/invitations",
            {"email": f"{secrets.token_hex(6)}@{tenant}.example", "roles": [role]}, admin,
        )
        for _ in range(2)
    ]  # fmt: skip
    member = await _post(
        world, "/auth/register",
        {"tenant": tenant, "email": first["email"], "name": "Somebody", "password": PASSWORD,
         "invitation": first["code"]}, {},
    )  # fmt: skip
    body = {"name": "A program", "roles": [role]}
    program = await _post(world, "/api/v1/service-accounts", body, admin)
    keys = f"/api/v1/service-accounts/{program['service_account_id']}/keys"
    key = await _post(world, keys, {"scopes": ["profile:read"]}, admin)
    return {
        "user_id": member["user_id"], "invitation_id": second["invitation_id"],
        "invitation": second["code"],
        "service_account_id": program["service_account_id"], "key_id": key["key_id"],
    }  # fmt: skip


async def _reviews(world: World, tenant: str) -> dict[str, str]:
    """The review of each kind that is open."""

    async def both() -> dict[str, str]:
        answer = await world.http.get("/api/v1/reviews", headers=world.staff(tenant, "support"))
        kinds = {each["kind"]: each["review_id"] for each in answer.json()["reviews"]}
        if {"credit", "eligibility"} <= set(kinds):
            return {"credit": kinds["credit"], "compliance": kinds["eligibility"]}
        return {}

    found: dict[str, str] = await eventually("two reviews are open", both)
    return found


async def _post(world: World, path: str, body: Any, headers: dict[str, str]) -> Any:
    key = {"Idempotency-Key": secrets.token_urlsafe(16)}
    answer: httpx.Response = await world.http.post(path, json=body, headers={**headers, **key})
    assert answer.is_success, answer.text
    return answer.json()
