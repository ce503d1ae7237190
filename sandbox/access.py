"""How to look at a running stack from outside: written beside its data, for its owner alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sandbox.stack import Stack

FILE: Final = "access.json"


class NoAccessError(Exception):
    """No stack was started in this directory."""


@dataclass(frozen=True)
class Access:
    """Addresses and keys of one stack; `database` is the superuser's, `journals` are by name."""

    api: str
    database: str
    temporal: str
    namespace: str
    master_keys: Mapping[str, str]
    rpc: str
    chain_id: int
    aggregator: str
    token: str
    token_decimals: int
    confirmations: int
    relayer: str
    issuer_dir: str
    journals: Mapping[str, str]
    client_log: str
    kafka: Mapping[str, str] | None = None  # bootstrap_servers and topic, where events go

    @classmethod
    def of(cls, stack: Stack) -> Access:
        """Of a started stack."""
        at = stack.deployment
        assert at is not None
        return cls(
            api=stack.api_url,
            database=stack.postgres.dsn("caas"),
            temporal=stack.temporal.address,
            namespace=stack.temporal.namespace,
            master_keys=json.loads(stack.environment()["CAAS_MASTER_KEYS"]),
            rpc=stack.chain.rpc_url,
            chain_id=at.chain_id,
            aggregator=at.aggregator,
            token=at.token,
            token_decimals=at.token_decimals,
            confirmations=stack.options.confirmations,
            relayer=stack.relayer.address,
            issuer_dir=str(stack.state_dir / "issuer"),
            journals={
                path.stem: str(path)
                for path in sorted((stack.state_dir / "counterparties").glob("*.jsonl"))
            },
            client_log=str(stack.state_dir / "client.jsonl"),
            kafka={
                "bootstrap_servers": stack.kafka.address,
                "topic": stack.kafka.topic,
            },
        )

    @classmethod
    def read(cls, state_dir: Path) -> Access:
        """Of the stack that keeps its state in this directory; NoAccessError if there is none."""
        try:
            document = json.loads((state_dir / FILE).read_text("utf-8"))
        except FileNotFoundError as error:
            raise NoAccessError(f"no stack has run in {state_dir}: start one first") from error
        return cls(**document)

    def write(self, state_dir: Path) -> None:
        """Keep it where `read` finds it; it holds keys, so nobody else may read it."""
        path = state_dir / FILE
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", "utf-8")
