"""`cli.py keys` and `cli.py accounts`: what they ask of the records, and what they print."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from adapters.account_commands import account_commands, key_commands
from adapters.accounts.signing_keys import SigningKey, new_private_key
from models.domain.credentials import Credential, CredentialKind

AUTH = SimpleNamespace(algorithm="EdDSA", access_token_s=600, key_lead_s=60, invitation_s=604_800)
NAMED = ["--operator", "olga", "--reason", "because"]


def running(work: Any) -> Any:
    """Runs against no database: the records below need none."""
    result = work(SimpleNamespace(keyring=None))
    return asyncio.run(result) if asyncio.iscoroutine(result) else result


def keys() -> typer.Typer:
    return key_commands(running, lambda: AUTH)


def accounts() -> typer.Typer:
    return account_commands(running, lambda: AUTH)


@pytest.fixture
def rotated(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    asked: list[tuple[Any, ...]] = []

    async def rotate(_: Any, *arguments: Any) -> str:
        asked.append(arguments)
        return "kid-9"

    monkeypatch.setattr("adapters.postgres.signing_keys.PostgresSigningKeys.rotate", rotate)
    return asked


def test_a_rotation_leaves_earlier_tokens_their_time(rotated: list[tuple[Any, ...]]) -> None:
    said = CliRunner().invoke(keys(), ["rotate", *NAMED])
    assert said.output == "kid-9 signs in 60 seconds.\n"
    [(algorithm, lead, overlap, command)] = rotated
    assert (algorithm, lead, command.operator) == ("EdDSA", timedelta(seconds=60), "olga")
    assert overlap > timedelta(seconds=600)


def test_after_a_theft_nothing_is_left(rotated: list[tuple[Any, ...]]) -> None:
    said = CliRunner().invoke(keys(), ["rotate", "--compromised", *NAMED])
    assert said.output == "kid-9 signs now.\n"
    assert rotated[0][1:3] == (timedelta(0), timedelta(0))


def test_nobody_rotates_without_a_name_and_a_reason(rotated: list[tuple[Any, ...]]) -> None:
    for missing in ([], NAMED[:2], NAMED[2:]):
        assert CliRunner().invoke(keys(), ["rotate", *missing]).exit_code != 0
    assert rotated == []


def test_the_list_says_which_key_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    now, hour = datetime.now(UTC), timedelta(hours=1)
    key = new_private_key("EdDSA")
    listed = (
        SigningKey("one", "Ed25519", key, now - 2 * hour, now + hour),
        SigningKey("two", "Ed25519", key, now - hour, None),
        SigningKey("three", "ES256", key, now + hour, None),
    )

    async def known(_: Any) -> Any:
        return listed

    monkeypatch.setattr("adapters.postgres.signing_keys.PostgresSigningKeys.known", known)
    said = CliRunner().invoke(keys(), ["list"]).output.splitlines()
    assert [line.split(",")[0] for line in said] == [
        "one Ed25519 retiring", "two Ed25519 active", "three ES256 next",
    ]  # fmt: skip
    assert "good to" in said[0]


@pytest.mark.parametrize(
    ("tenant", "role"), [("acme", "tenant_admin"), ("platform", "platform_admin")]
)
def test_an_administrator_is_invited_by_a_code(
    monkeypatch: pytest.MonkeyPatch, tenant: str, role: str
) -> None:
    code = Credential.new(CredentialKind.INVITATION, tenant)
    asked: list[tuple[Any, ...]] = []

    async def invite(_: Any, *arguments: Any) -> Credential:
        asked.append(arguments)
        return code

    monkeypatch.setattr("adapters.postgres.invitations.PostgresInvitations.invite_by_hand", invite)
    monkeypatch.setattr("adapters.postgres.accounts.login_indexes", lambda *_: ["index"])
    said = CliRunner().invoke(accounts(), ["invite", tenant, "ada@example.org", *NAMED])
    assert said.output == code.text + "\n"
    assert asked == [(tenant, "ada@example.org", [role], timedelta(days=7), "index", "olga")]


def test_a_tenant_is_opened_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    async def open_tenant(_: Any, *arguments: Any, registration_open: bool) -> None:
        asked.append((*arguments, registration_open))

    monkeypatch.setattr("adapters.postgres.accounts.PostgresAccounts.open_tenant", open_tenant)
    said = CliRunner().invoke(accounts(), ["open-tenant", "acme", "--registration", *NAMED])
    assert said.output == "acme is open; registration is open.\n"
    assert CliRunner().invoke(accounts(), ["open-tenant", "ac/me", *NAMED]).exit_code != 0
    assert asked == [("acme", "olga", True)]
