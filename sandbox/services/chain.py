"""An EVM chain of our own: anvil with its well-known test accounts, kept across SIGKILL."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
from pathlib import Path

import httpx

from sandbox.services.ports import LOOPBACK, claim_port
from sandbox.services.process import ManagedProcess

# The contracts are compiled for this version of the EVM; a newer default must not creep in.
HARDFORK = "cancun"
MNEMONIC = "test test test test test test test test test test test junk"
SANDBOX_CHAIN_ID = 31337
_ANVIL = (
    Path(__file__).resolve().parents[1]
    / "node/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
)
_START_LIMIT_S = 240.0
_SAVE_INTERVAL_S = 1
_RPC_LIMIT_S = 30.0


class NoAnvilError(Exception):
    """The chain's binary is not installed."""


class RPCFailedError(Exception):
    """The chain answered a call with an error."""

    def __init__(self, method: str, code: int, message: str) -> None:
        super().__init__(f"{method}: {message} ({code})")
        self.code = code


class Anvil:
    """A chain whose state lies in `state_dir/<name>` and outlives it; `name` tells two apart.

    It saves itself once a second: after SIGKILL up to a second of blocks is missing, as after a
    reorganisation, and whoever waits for a depth sees it. Every time it writes all of its history:
    with `saved=False` it writes nothing, for runs that measure, and is gone once it ends.
    `block_time_s=None` mines a block per transaction.
    """

    def __init__(
        self,
        state_dir: Path,
        chain_id: int = SANDBOX_CHAIN_ID,
        block_time_s: int | None = 1,
        port: int | None = None,
        *,
        hardfork: str = HARDFORK,
        mnemonic: str = MNEMONIC,
        name: str = "anvil",
        saved: bool = True,
    ) -> None:
        self._state_dir = state_dir.absolute()
        self._configured_port = port
        self._block_time_s = block_time_s
        self._hardfork = hardfork
        self._mnemonic = mnemonic
        self._name = name
        self._saved = saved
        self._port: int | None = None
        self._process: ManagedProcess | None = None
        self._copying: asyncio.Task[None] | None = None
        self._call_ids = itertools.count(1)
        self.chain_id = chain_id

    @property
    def rpc_url(self) -> str:
        """Where JSON-RPC is answered; the same after every restart."""
        if self._port is None:
            raise RuntimeError(f"{self._name} was never started")
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def process(self) -> ManagedProcess:
        """The chain's process; RuntimeError before the first start."""
        if self._process is None:
            raise RuntimeError(f"{self._name} was never started")
        return self._process

    async def start(self) -> None:
        """Start from the saved state if there is one; return when the chain answers.

        Raises:
            PortTakenError, NoAnvilError, EarlyExitError, NotReadyInTimeError.
        """
        if self._process is not None and self._process.running:
            raise RuntimeError(f"{self._name} is already running")
        if not _ANVIL.exists():
            raise NoAnvilError("anvil is not installed; run make demo or make test")
        wanted = self._configured_port if self._port is None else self._port
        self._port = claim_port(wanted, "CAAS_CHAIN_PORT")
        self._home.mkdir(parents=True, exist_ok=True)
        self._choose_state()
        self._process = ManagedProcess(
            self._name,
            self._command(self._port),
            state_dir=self._state_dir,
            env={
                "HOME": str(self._home),
                "PATH": os.environ.get("PATH", os.defpath),
                "TMPDIR": str(self._home),
            },
            inherit_env=False,
            cwd=self._home,
        )
        await self._process.start()
        await self._process.ready(self._answers, _START_LIMIT_S)
        if self._saved:
            self._copying = asyncio.create_task(self._keep_whole_copy())

    async def stop(self) -> None:
        """Stop in order, saving the state, and leave no process; does nothing if not running."""
        if self._process is not None:
            await self._process.terminate()
        await self._end_copying()

    async def kill(self) -> None:
        """SIGKILL; what was saved up to a second ago stays for `start`."""
        await self.process.kill()
        await self._end_copying()

    async def restart(self) -> None:
        """Stop in order and start again on the same port with the same chain."""
        await self.stop()
        await self.start()

    async def rpc(self, method: str, *params: object) -> object:
        """One JSON-RPC call's result; raises RPCFailedError if the chain refuses it."""
        call = {"jsonrpc": "2.0", "id": next(self._call_ids), "method": method, "params": params}
        async with httpx.AsyncClient(trust_env=False, timeout=_RPC_LIMIT_S) as client:
            answer = (await client.post(self.rpc_url, json=call)).json()
        if "error" in answer:
            raise RPCFailedError(method, answer["error"]["code"], answer["error"]["message"])
        return answer["result"]

    @property
    def _home(self) -> Path:
        return self._state_dir / self._name

    @property
    def _state(self) -> Path:
        return self._home / "state.json"

    @property
    def _whole_copy(self) -> Path:
        return self._home / "state.whole.json"

    def _command(self, port: int) -> list[str]:
        command = [str(_ANVIL), "--host", LOOPBACK, "--port", str(port), "--quiet"]
        command += ["--chain-id", str(self.chain_id), "--hardfork", self._hardfork]
        command += ["--mnemonic", self._mnemonic, "--no-request-size-limit"]
        if self._saved:
            command += ["--state", str(self._state), "--state-interval", str(_SAVE_INTERVAL_S)]
        command += ["--cache-path", str(self._home / "cache")]
        if self._block_time_s is not None:
            command += ["--block-time", str(self._block_time_s)]
        return command

    def _choose_state(self) -> None:
        """Start from the newest state that is whole.

        Anvil overwrites its file in place, so a SIGKILL while it saves leaves half of one, which
        it would refuse; the copy is from the save before.
        """
        if self._state.exists() and not _is_whole(self._state):
            self._state.unlink()
            if self._whole_copy.exists():
                shutil.copyfile(self._whole_copy, self._state)

    async def _keep_whole_copy(self) -> None:
        """Copy each saved state once it is quiet, replacing the earlier copy in one step."""
        copied = before = None
        while True:
            await asyncio.sleep(_SAVE_INTERVAL_S / 5)
            with contextlib.suppress(FileNotFoundError):
                now = (self._state.stat().st_mtime_ns, self._state.stat().st_size)
                if now == before and now != copied:
                    fresh = self._home / "state.fresh.json"
                    await asyncio.to_thread(shutil.copyfile, self._state, fresh)
                    if await asyncio.to_thread(_is_whole, fresh):
                        fresh.replace(self._whole_copy)
                        copied = now
                before = now

    async def _end_copying(self) -> None:
        if self._copying is not None:
            self._copying.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._copying
            self._copying = None

    async def _answers(self) -> bool:
        try:
            return await self.rpc("eth_chainId") == hex(self.chain_id)
        except (httpx.HTTPError, ValueError):
            return False


def _is_whole(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return False
    return True
