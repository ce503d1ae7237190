"""Does a fault to a stack, and says whether it took effect: seen, not merely attempted."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from bench.chaos.schedule import Fault
from bench.chaos.supervisor import Supervisor
from sandbox.services.chain import RPCFailedError
from sandbox.stack import Stack
from sandbox.steering import steer, steered

# A transaction waits for its block for a second at most, so one has to be caught waiting.
_CATCH_S: Final = 20.0
_LOOK_EVERY_S: Final = 0.02


@dataclass
class Effect:
    """What a fault did; `seen` is how it is known."""

    fault: Fault
    took_effect: bool
    seen: str


@dataclass
class Injection:
    """Faults on one stack; effects that show later are asked for at the end."""

    stack: Stack
    supervisor: Supervisor
    effects: list[Effect] = field(default_factory=list)
    _steered: dict[str, Fault] = field(default_factory=dict)

    async def strike(self, fault: Fault) -> None:
        """Do it; a fault that finds its target down already has no effect."""
        what, _, target = fault.kind.partition(" ")
        try:
            match what:
                case "kill":
                    seen = await self._kill(target, fault.detail["away_s"])
                case "freeze":
                    seen = await self._freeze(target, fault.detail["for_s"])
                case "drop":
                    seen = await self._drop()
                case "reorganise":
                    seen = await self._reorganise(fault.detail["depth"])
                case _:
                    await self._steer(target, fault)
                    return
        except (httpx.HTTPError, RPCFailedError, RuntimeError, OSError) as error:
            seen = ""
            self.effects.append(Effect(fault, took_effect=False, seen=f"{type(error).__name__}"))
            return
        self.effects.append(Effect(fault, bool(seen), seen or "its target was not there"))

    async def ask_the_steered(self) -> None:
        """How often each instruction to a counterparty was followed."""
        for name in sorted({fault.kind.partition(" ")[2] for fault in self._steered.values()}):
            for rule in await steered(self.stack, name):
                if (fault := self._steered.get(rule["id"])) is not None:
                    times = rule["took_effect"]
                    self.effects.append(Effect(fault, times > 0, f"{times} requests"))

    async def _kill(self, name: str, away_s: float) -> str:
        process = self.supervisor.process(name)
        if not process.running:
            return ""
        death = await self.supervisor.kill(name, away_s=away_s)
        gone = process.returncode == -signal.SIGKILL
        return f"pid {death.pid} ended by SIGKILL" if gone else ""

    async def _freeze(self, name: str, for_s: float) -> str:
        process = self.stack.kafka.process if name == "kafka" else self.supervisor.process(name)
        if not process.running:
            return ""
        pid = process.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(0.05)
            frozen = _state_of(pid) == "T"
            await asyncio.sleep(for_s)
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        return f"pid {pid} stood still for {for_s} s" if frozen else ""

    async def _drop(self) -> str:
        relayer = self.stack.relayer.address
        deadline = time.monotonic() + _CATCH_S
        while time.monotonic() < deadline:
            with suppress(httpx.HTTPError, RPCFailedError):
                pool: Any = await self.stack.chain.rpc("txpool_content")
                waiting = {k.lower(): v for k, v in pool["pending"].items()}.get(
                    relayer.lower(), {}
                )
                for transaction in waiting.values():
                    tx_hash = transaction["hash"]
                    await self.stack.chain.rpc("anvil_dropTransaction", tx_hash)
                    if await self.stack.chain.rpc("eth_getTransactionByHash", tx_hash) is None:
                        return f"{tx_hash} vanished from the pool"
            await asyncio.sleep(_LOOK_EVERY_S)
        return ""

    async def _reorganise(self, depth: int) -> str:
        head = int(str(await self.stack.chain.rpc("eth_blockNumber")), 16)
        before: Any = await self.stack.chain.rpc("eth_getBlockByNumber", hex(head), False)
        await self.stack.chain.rpc("anvil_reorg", depth, [])
        after: Any = await self.stack.chain.rpc("eth_getBlockByNumber", hex(head), False)
        changed = before["hash"] != after["hash"]
        return f"block {head} and {depth - 1} before it were replaced" if changed else ""

    async def _steer(self, name: str, fault: Fault) -> None:
        rule_id = f"chaos-{fault.number}"
        self._steered[rule_id] = fault
        rule = {"id": rule_id, "times": fault.detail["times"], "do": fault.detail["do"]}
        await steer(self.stack, name, [rule])


def _state_of(pid: int) -> str:
    """The kernel's letter for what a process does; T is stopped."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        return stat.read().rpartition(")")[2].split()[0]
