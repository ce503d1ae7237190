"""A tenant's own lender on the running product: registered, tried, rotated, left out, removed."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.stack_settings import BANK, FINTECH, POOL
from settings import ROOT
from tests.e2e.outside import World, eventually
from tests.e2e.support_desk import AS_ADA

pytestmark = pytest.mark.stack


@dataclass
class Office:
    """A tenant's administrator."""

    world: World
    tenant: str

    async def ask(self, method: str, path: str = "", body: Any = None, status: int = 200) -> Any:
        headers = {
            **self.world.staff(self.tenant, "tenant_admin"),
            "Idempotency-Key": secrets.token_hex(16),
        }
        answer = await self.world.http.request(
            method, f"/api/v1/providers{path}", json=body, headers=headers
        )
        assert answer.status_code == status, answer.text
        return answer.json()

    async def bank(self, secret: str, **changes: Any) -> dict[str, Any]:
        """The sandbox's bank, as a lender of this tenant's own."""
        stack = self.world.stack
        body = {
            "name": "Our own bank",
            "adapter": "bank-rest",
            "url": stack.counterparty_url("bank"),
            "config": {"lender_address": stack.lender.address},
            "credentials": {"client_id": BANK, "client_secret": secret},
            **changes,
        }
        made: dict[str, Any] = await self.ask("POST", "", body, 201)
        return made

    async def missing(self) -> dict[str, str]:
        """Who offers nothing in a search of this tenant's, and why."""
        found = await self.world.searched(self.tenant)
        return {each["provider_id"]: each["reason"] for each in found["missing"]}


@pytest.fixture
def office(world: World) -> Office:
    return Office(world, f"lenders-{secrets.token_hex(6)}")


async def test_configured_lenders_are_shown_and_are_checked(world: World, office: Office) -> None:
    async def checked() -> bool:
        listed = (await office.ask("GET"))["providers"]
        shown = {each["provider_id"]: each for each in listed if each["source"] == "configuration"}
        assert set(shown) == {BANK, FINTECH, POOL}
        assert all(each["url"] is each["config"] is None for each in shown.values())
        return all(each["checked_at"] for each in shown.values())

    await eventually("every configured lender is checked", checked)
    for name, kind in ((BANK, "TRADITIONAL"), (FINTECH, "FINTECH"), (POOL, "DEFI")):
        shown = await office.ask("GET", f"/{name}")
        assert (shown["type"], shown["status"]) == (kind, "ACTIVE")


async def test_a_trial_names_the_step_that_fails(world: World, office: Office) -> None:
    right = world.stack.secrets.bank_secret
    made = await office.bank(right)
    place = f"/{made['provider_id']}"
    tried = await office.ask("POST", f"{place}/test")
    assert tried["passed"], tried
    assert [each["step"] for each in tried["steps"]] == [
        "resolve", "reach", "authenticate", "status",
    ]  # fmt: skip
    await office.ask("POST", f"{place}/credentials", _credentials("not the bank's secret"))
    await eventually("authenticating fails", lambda: _fails(office, place, "authenticate"))
    await office.ask("POST", f"{place}/credentials", _credentials(right))
    await eventually("nothing fails", lambda: _fails(office, place, None))
    away = {**_as_change(await office.ask("GET", place)), "url": "http://127.0.0.1:9"}
    await office.ask("PUT", place, away)
    await eventually("reaching fails", lambda: _fails(office, place, "reach"))


def _credentials(secret: str) -> dict[str, Any]:
    return {"credentials": {"client_id": BANK, "client_secret": secret}}


def _as_change(shown: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A provider as it was read, to be sent back."""
    names = ("name", "url", "config", "appetite", "limits", "metadata", "version")
    return {name: shown[name] for name in names} | changes


async def _fails(office: Office, place: str, step: str | None) -> bool:
    tried = await office.ask("POST", f"{place}/test")
    assert tried["passed"] == (tried["failed_step"] is None)
    return bool(tried["failed_step"] == step)


async def test_a_search_says_why_ones_own_lender_is_left_out(world: World, office: Office) -> None:
    secret = world.stack.secrets.bank_secret
    abroad = await office.bank(secret, appetite={"countries": ["DE"]})
    waiting = await office.bank(secret, credentials=None)
    resting = await office.bank(secret)
    await office.ask("PUT", f"/{resting['provider_id']}", _as_change(resting, status="MAINTENANCE"))
    expected = {
        abroad["provider_id"]: "COUNTRY_NOT_SERVED",
        waiting["provider_id"]: "PROVIDER_NOT_READY",
        resting["provider_id"]: "PROVIDER_IN_MAINTENANCE",
    }

    async def told() -> bool:
        return expected.items() <= (await office.missing()).items()

    await eventually("the reasons are told", told)
    history = await office.ask("GET", f"/{resting['provider_id']}/status-history")
    assert [each["to_status"] for each in history["changes"]] == ["MAINTENANCE"]
    removed = await office.ask("DELETE", f"/{abroad['provider_id']}")
    assert removed["removed_at"] is not None
    kept = await office.ask("GET", f"/{abroad['provider_id']}")
    assert kept["removed_at"] == removed["removed_at"]


async def test_operators_do_the_same_from_their_command_line(
    world: World, office: Office, tmp_path: Path
) -> None:
    made = await office.bank("not the bank's secret")
    name, tenant = made["provider_id"], ("--tenant", office.tenant)
    file = tmp_path / "credentials.json"
    file.write_text(json.dumps(_credentials(world.stack.secrets.bank_secret)["credentials"]))
    code, _, err = await _cli(world, "rotate", name, "--credentials", str(file), *tenant, *AS_ADA)
    assert code == 0, err
    code, out, err = await _cli(world, "test", name, *tenant, "--operator", "ada")
    assert (code, out.splitlines()[-1].startswith("status: ok")) == (0, True), (out, err)
    actions = await world.truth.rows(
        "SELECT action, actor FROM audit_log WHERE tenant_id = $1 AND subject_id = $2 ORDER BY seq",
        office.tenant, name,
    )  # fmt: skip
    by_hand = [row for row in actions if row["action"].startswith("provider_")]
    assert [(row["action"], row["actor"]) for row in by_hand] == [
        ("provider_registry.registered", "tenant-admin-1"),
        ("provider_credentials.rotated", "ada"),
        ("provider_registry.commanded", "ada"),
        ("provider_registry.tested", "ada"),
    ]


async def _cli(world: World, *arguments: str) -> tuple[int | None, str, str]:
    """`cli.py providers …` in a process of its own: how it ended, and what it said."""
    inherited = {name: text for name, text in os.environ.items() if name[:5] != "CAAS_"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "cli.py", "providers", *arguments,
        cwd=ROOT, env={**inherited, **world.stack.environment()},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_what_is_wrong_is_told_by_its_place_alone(office: Office) -> None:
    canary = secrets.token_hex(12)
    body = {
        "name": "Bank", "adapter": "bank-rest", "url": "http://169.254.169.254/latest",
        "config": {"lender_address": canary}, "credentials": {"client_id": canary},
        "appetite": {"currencies": ["XAU"]},
    }  # fmt: skip
    answer = await office.ask("POST", "", body, 422)
    assert {(each["pointer"], each["reason"]) for each in answer["errors"]} == {
        ("/body/config/lender_address", "value_error"),
        ("/body/credentials/client_secret", "missing"),
        ("/body/url", "address"),
        ("/body/appetite/currencies", "wider_than_manifest"),
    }
    assert canary not in str(answer)


async def test_a_secret_is_nowhere_but_sealed(world: World, office: Office) -> None:
    """Neither in answers, logs, journals, rows, events, nor in what Temporal and Kafka keep."""
    canary = f"canary-{secrets.token_hex(16)}"
    answers = [made := await office.bank(canary)]
    place = f"/{made['provider_id']}"
    answers.append(await office.ask("POST", f"{place}/credentials", _credentials(f"{canary}2")))
    answers.append(await office.ask("POST", f"{place}/test"))
    answers.append(await office.ask("GET", place))
    await office.missing()
    raw = canary.encode()
    forms = [raw, raw.hex().encode(), base64.b64encode(raw)[:-4]]
    rows = []
    for table in await world.truth.tables():
        rows += await world.truth.rows(
            f"SELECT t::text AS t FROM {table} t WHERE tenant_id = $1", office.tenant
        )
    assert any("client_secret" in row["t"] for row in rows)  # the names are there
    texts = [str(answers).encode(), *(row["t"].encode() for row in rows)]
    kept = world.stack.state_dir
    for path in (*kept.glob("logs/*.log"), *kept.glob("temporal/*"), *kept.glob("kafka/**/*")):
        if path.is_file():
            texts.append(path.read_bytes())
    assert len(texts) > 20
    for form in forms:
        assert not [text[:80] for text in texts if form in text]
