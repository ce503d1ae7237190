"""`cli.py providers`: what is printed, with which code it ends, and what is never shown."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from adapters.postgres.providers_credentials import Rewrapped
from adapters.provider_commands import provider_commands
from adapters.providers.desk import ProviderPage
from adapters.providers.trial import Step
from models.domain.errors import CreditError, NotFound
from models.domain.operations import Command
from models.domain.provider_record import Draft, ProviderRecord
from models.domain.writes import StoredAnswer, WriteKey
from tests.adapters.postgres.registering import CANARY, configured

NAMED = ("--operator", "olivia", "--reason", "a new contract")


class Desk:
    """Remembers what it was asked, and knows three lenders."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.records = [
            replace(configured().record, provider_id=f"lender-{number}") for number in range(3)
        ]
        self.steps: tuple[Step, ...] = (Step("resolve", True, 3),)
        self.done = Rewrapped(3, 2, 0)

    async def page(self, tenant_id: str, *, after: str | None, limit: int) -> ProviderPage:
        position = 0 if after is None else int(after[-1]) + 1
        shown = tuple(self.records[position : position + 2])
        more = position + 2 < len(self.records)
        return ProviderPage(shown, shown[-1].provider_id if more else None)

    async def find(self, tenant_id: str, provider_id: str) -> ProviderRecord:
        for each in self.records:
            if each.provider_id == provider_id:
                return each
        raise NotFound("PROVIDER_UNKNOWN")

    async def history(self, tenant_id: str, provider_id: str) -> tuple[Any, ...]:
        return ()

    async def test(self, tenant_id: str, actor: str, provider_id: str) -> tuple[Step, ...]:
        self.asked.append(("test", tenant_id, actor, provider_id))
        return self.steps

    async def register(
        self, write: WriteKey, adapter: str, draft: Draft, answer: Callable[..., StoredAnswer]
    ) -> StoredAnswer:
        self.asked.append(("register", write.tenant_id, write.subject, adapter, draft))
        return answer(self.records[0])

    async def rotate(
        self, write: WriteKey, provider_id: str, secrets: Any, answer: Callable[..., StoredAnswer]
    ) -> StoredAnswer:
        self.asked.append(("rotate", write.tenant_id, provider_id, secrets))
        return answer(self.records[0])

    async def commanded(self, tenant_id: str, provider_id: str, command: Command) -> None:
        self.asked.append(("commanded", tenant_id, provider_id, command.operator, command.reason))

    async def rewrap(self, command: Command) -> Rewrapped:
        self.asked.append(("rewrap", command.operator))
        return self.done


@pytest.fixture
def desk() -> Desk:
    return Desk()


def ran(desk: Desk, *arguments: str, stdin: str | None = None) -> Result:
    """The command's output; an error of ours ends it as cli.py does."""

    class Wiring:
        async def provider_desk(self) -> Any:
            return desk

        credential_upkeep = provider_desk

    def with_wiring(work: Callable[[Any], Awaitable[Any]]) -> Any:
        async def there() -> Any:
            return await work(Wiring())

        try:
            return asyncio.run(there())
        except CreditError as error:
            raise SystemExit(str(error)) from None

    return CliRunner().invoke(provider_commands(with_wiring), list(arguments), input=stdin)


def test_a_list_names_everybody_page_by_page(desk: Desk) -> None:
    said = ran(desk, "list")
    assert [line.split()[0] for line in said.output.splitlines()] == [
        "lender-0", "lender-1", "lender-2",
    ]  # fmt: skip
    lines = [json.loads(line) for line in ran(desk, "list", "--json").output.splitlines()]
    assert [each["provider_id"] for each in lines] == ["lender-0", "lender-1", "lender-2"]


def test_an_unknown_provider_ends_with_one(desk: Desk) -> None:
    said = ran(desk, "show", "nobody")
    assert (said.exit_code, "PROVIDER_UNKNOWN" in str(said.exception or said.output)) == (1, True)
    assert ran(desk, "show", "lender-1").exit_code == 0


@pytest.mark.parametrize(
    ("step", "code", "said"),
    [
        (Step("status", True, 4), 0, "status: ok (4 ms)"),
        (Step("reach", False, 5_000, "TIMED_OUT"), 1, "reach: FAILED TIMED_OUT (5000 ms)"),
    ],
    ids=["well", "failed"],
)
def test_a_trial_ends_with_one_if_a_step_fails(
    desk: Desk, step: Step, code: int, said: str
) -> None:
    desk.steps = (Step("resolve", True, 3), step)
    ended = ran(desk, "test", "lender-1", "--operator", "olivia")
    assert ended.exit_code == code
    assert said in ended.output
    assert desk.asked == [("test", "platform", "olivia", "lender-1")]


def test_secrets_come_from_a_file_or_standard_input_and_are_not_shown(
    desk: Desk, tmp_path: Path
) -> None:
    secrets = json.dumps({"key": CANARY})
    file = tmp_path / "credentials.json"
    file.write_text(secrets)
    rotated = ran(desk, "rotate", "lender-0", "--credentials", str(file), *NAMED)
    registered = ran(
        desk, "register", "Plain", "--adapter", "plain", "--url", "https://plain.example",
        "--config", '{"region": "north"}', "--credentials", "-", "--tenant", "acme", *NAMED,
        stdin=secrets,
    )  # fmt: skip
    assert (rotated.exit_code, registered.exit_code) == (0, 0)
    assert registered.output.strip() == "lender-0"
    rotate, because, register, and_because = desk.asked
    assert rotate == ("rotate", "platform", "lender-0", {"key": CANARY})
    assert because == ("commanded", "platform", "lender-0", "olivia", "a new contract")
    assert register[:4] == ("register", "acme", "olivia", "plain")
    assert register[4].credentials == {"key": CANARY}
    assert and_because[1] == "acme"
    assert CANARY not in rotated.output + registered.output


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"key": 7}', f'{{"key": "{CANARY}"'])
def test_a_file_without_secrets_is_refused_and_not_quoted(
    desk: Desk, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "credentials.json"
    file.write_text(text)
    said = ran(desk, "rotate", "lender-0", "--credentials", str(file), *NAMED)
    assert said.exit_code == 1
    assert CANARY not in said.output + str(said.exception)
    assert desk.asked == []


@pytest.mark.parametrize("left_out", ["--operator", "--reason"])
def test_who_changes_something_says_who_they_are_and_why(
    desk: Desk, left_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CAAS_OPERATOR", raising=False)
    named = list(NAMED)
    at = named.index(left_out)
    del named[at : at + 2]
    for command in (
        ["rewrap"],
        ["register", "Plain", "--adapter", "plain", "--url", "https://plain.example"],
    ):
        assert ran(desk, *command, *named).exit_code == 1
    assert desk.asked == []


def test_keys_that_cannot_be_opened_end_a_rewrapping_with_one(desk: Desk) -> None:
    assert "3 wrapped anew, 2 current, 0 failed" in ran(desk, "rewrap", *NAMED).output
    desk.done = Rewrapped(0, 2, 1)
    assert ran(desk, "rewrap", *NAMED).exit_code == 1
