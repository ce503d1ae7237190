"""`make demo`: one application to its end, on real services of this machine.

Environment: `ONCE=1` ends after it, `PERSONA` names who applies, `CAAS_…_PORT` fixes a port.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from rich.console import Console

from clients.python.caas_client.types import ApplicationAnswer
from models.domain.ids import (
    application_workflow_id,
    kyc_workflow_id,
    risk_workflow_id,
    settlement_workflow_id,
)
from sandbox.journey import JourneyStuckError, journey_on
from sandbox.narration import Narrator
from sandbox.persona import Ending, Persona, UnknownPersonaError, read_persona
from sandbox.services.chain import NoAnvilError
from sandbox.services.kafka import NoBrokerError
from sandbox.services.ports import NotAPortError, PortTakenError
from sandbox.services.postgres import NoPostgresError
from sandbox.services.postgres_account import NoAccountError
from sandbox.services.process import EarlyExitError, NotReadyInTimeError, while_running
from sandbox.services.state_dir import (
    DiskFullError,
    StateDirBusyError,
    StateDirUnusableError,
    ensure_disk_space,
    hold,
)
from sandbox.services.valkey import NoValkeyError
from sandbox.stack import Stack, StackOptions, forget_earlier_run
from settings import ROOT

STATE_DIR: Final = ROOT / ".demo"
NEEDED_BYTES: Final = 500_000_000  # a cluster, a chain and logs, with room for a long day
LOAN_LIMIT_S: Final = 120.0
STAY_S: Final = 12 * 3600  # how long the printed tokens are good for: a working day


# What a reader can mend; everything else is a bug and shows its traceback.
CLEAR_ERRORS: Final = (
    NotAPortError,
    PortTakenError,
    StateDirBusyError,
    StateDirUnusableError,
    DiskFullError,
    EarlyExitError,
    NotReadyInTimeError,
    NoPostgresError,
    NoAccountError,
    NoAnvilError,
    NoBrokerError,
    NoValkeyError,
    UnknownPersonaError,
    JourneyStuckError,
)


@dataclass(frozen=True)
class Shown:
    """What the demo has shown, and what is wrong with it."""

    result: dict[str, Any]
    wrong: str | None


async def demo(environment: Mapping[str, str], console: Console) -> Shown:
    """Start everything, carry one loan to its end, and stay up unless told otherwise."""
    started = time.monotonic()
    persona = read_persona(environment.get("PERSONA") or "approved")
    once = environment.get("ONCE", "") not in ("", "0")
    options = StackOptions(ports=StackOptions.ports_from(environment))
    ensure_disk_space(STATE_DIR, NEEDED_BYTES)
    with hold(STATE_DIR) as ended:
        if ended:
            console.print(f"Ended what an earlier run had left running: {', '.join(ended)}.")
        forget_earlier_run(STATE_DIR)
        narrator = Narrator(console, started)
        stack = Stack(STATE_DIR, options)
        try:
            narrator.headline("Starting real services")
            await stack.start(narrator.tick)
            write_json(STATE_DIR / "endpoints.json", endpoints(stack))
            view = await while_running(stack.managed, story(stack, persona, narrator))
            result, wrong = result_of(persona.data, view), other_ending(persona, view)
            result["elapsed_s"] = round(time.monotonic() - started, 2)
            write_json(STATE_DIR / "result.json", result)
            if not once:
                operator = stack.token("olivia.operator", persona.tenant, "support", ttl_s=STAY_S)
                narrator.where_to_look(stack, operator, result, STATE_DIR)
                await while_running(stack.managed, asyncio.Event().wait())
            return Shown(result, wrong)
        finally:
            narrator.headline("Stopping everything")
            await stack.stop()


async def story(stack: Stack, persona: Persona, narrator: Narrator) -> ApplicationAnswer:
    """What happens to the persona, from the outside; the application as the API shows it last.

    Raises:
        JourneyStuckError: it did not end within LOAN_LIMIT_S.
    """
    narrator.headline(f"{persona.name}: {persona.about}")
    async with httpx.AsyncClient(base_url=stack.api_url, trust_env=False, timeout=30.0) as http:
        journey = await journey_on(
            stack, http, persona, narrator, limit_s=LOAN_LIMIT_S, tokens_valid_s=STAY_S
        )
        try:
            view = await journey.run()
        except JourneyStuckError as error:
            raise JourneyStuckError(f"{error}; the logs are in {STATE_DIR / 'logs'}") from error
    narrator.ended(view)
    return view


def other_ending(persona: Persona, view: Mapping[str, Any]) -> str | None:
    """None if the application ended as the persona's does; else what is wrong, in a line."""
    ended = Ending(state=view["state"], reasons=tuple(each["code"] for each in view["reasons"]))
    if ended == persona.ends_in:
        return None
    return f"{persona.name} was to end {_words(persona.ends_in)}, but ended {_words(ended)}"


def _words(ending: Ending) -> str:
    return ending.state + (f" ({', '.join(ending.reasons)})" if ending.reasons else "")


def result_of(data: Mapping[str, Any], view: Mapping[str, Any]) -> dict[str, Any]:
    """What the demo shows at its end, as the API told it."""
    application_id, tenant = view["application_id"], data["tenant"]
    transaction = view["transaction"] or {}
    workflow_ids = [
        application_workflow_id(tenant, application_id),
        kyc_workflow_id(tenant, data["user_id"]),
    ]
    if view["score"] is not None:
        workflow_ids.append(risk_workflow_id(tenant, application_id))
    if transaction:
        workflow_ids.append(settlement_workflow_id(tenant, application_id))
    return {
        "application_id": application_id,
        "workflow_ids": workflow_ids,
        "decision": view["decision"],
        "score": view["score"],
        "reasons": [each["code"] for each in view["reasons"]]
        + [each["code"] for each in view["score_reasons"]],
        "offers": view["offers"],
        "accepted_offer": view["accepted_offer_id"],
        "borrower": view["wallet"],
        "amount_units": int(transaction["amount_units"]) if transaction else None,
        "tx_hash": transaction.get("tx_hash"),
        "chain_id": view["chain_id"],
        "block_number": transaction.get("block_number"),
        "confirmations": transaction.get("confirmations"),
        "state": view["state"],
        "settlement_state": transaction.get("settlement_state"),
    }


def endpoints(stack: Stack) -> dict[str, Any]:
    """Where everything listens."""
    assert stack.deployment is not None
    return {
        "api": stack.api_url,
        "temporal": stack.temporal.address,
        "namespace": stack.temporal.namespace,
        "ui": stack.temporal.ui_url,
        "kafka": stack.kafka.address,
        "topic": stack.kafka.topic,
        "chains": [{"chain_id": stack.chain.chain_id, "rpc": stack.chain.rpc_url}],
        "contracts": {
            "aggregator": stack.deployment.aggregator,
            "token": stack.deployment.token,
        },
    }


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a file whole or not at all: somebody may be waiting to read it."""
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(document, indent=2) + "\n")
    draft.replace(path)


async def until_interrupted(environment: Mapping[str, str], console: Console) -> Shown:
    """Run the demo; Ctrl-C and SIGTERM end it in order."""
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(demo(environment, console))
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    return await task


def main() -> None:
    """Run the demo as `make demo` does."""
    console = Console(highlight=False, soft_wrap=True)
    shown = None
    try:
        with suppress(asyncio.CancelledError):
            shown = asyncio.run(until_interrupted(os.environ, console))
    except CLEAR_ERRORS as error:
        sys.exit(f"demo: {error}")
    if shown is not None:
        print(json.dumps(shown.result), flush=True)
        if shown.wrong:
            sys.exit(f"demo: {shown.wrong}")


if __name__ == "__main__":
    main()
