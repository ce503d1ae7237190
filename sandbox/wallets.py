"""Wallets of the sandbox: real keys that sign for real, different in every state directory.

A key is derived from the directory's own random seed and a name, so that a restarted sandbox finds
the same people at the same addresses, and nobody finds them in the repository.
"""

from __future__ import annotations

import hmac
import os
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from adapters.chain.signature import address_of

SEED_BYTES: Final = 32
# The published key of anvil's first account: rich on a fresh development chain, refused elsewhere.
DEVELOPMENT_DEPLOYER_KEY: Final = (
    "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
)
_SECP256K1_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@dataclass(frozen=True, slots=True)
class Wallet:
    """A named account; its key is in no text made from it."""

    name: str
    address: str
    private_key: str = field(repr=False)


def wallet(name: str, seed: bytes) -> Wallet:
    """The wallet of this name: the same for the same seed, unrelated for any other name."""
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a seed has {SEED_BYTES} bytes")
    raw = hmac.digest(seed, b"sandbox wallet v1\x00" + name.encode("utf-8"), sha256)
    number = int.from_bytes(raw, "big") % (_SECP256K1_ORDER - 1) + 1
    private_key = f"0x{number:064x}"
    return Wallet(name=name, address=address_of(private_key), private_key=private_key)


def seed_in(directory: Path) -> bytes:
    """The seed of a state directory, drawn at its first use and readable by its owner alone."""
    path = directory / "wallets.seed"
    directory.mkdir(parents=True, exist_ok=True)
    partial = directory / f"wallets.seed.{os.getpid()}"
    if not path.exists():
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(SEED_BYTES))
        try:
            # Linking refuses to replace: of two processes at once, both go on with the first seed.
            os.link(partial, path)
        except FileExistsError:
            pass
        finally:
            partial.unlink()
    return path.read_bytes()
