"""Keys: a master key gives every tenant its own, a tenant's key wraps every person's.

AES-256-GCM throughout, with random 96-bit nonces and authenticated context. Tenant keys are
derived (HKDF-SHA256, RFC 5869), so nothing but the master key must be kept; a person's data key is
random and stored wrapped, so destroying its row erases the person.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from models.domain.errors import InvariantViolated

NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32


class Undecipherable(InvariantViolated):
    """The ciphertext does not belong to this key and context, or was changed.

    Often a key that is not configured yet; a step that meets it waits for one.
    """


@dataclass(frozen=True, slots=True)
class Keyring:
    """Master keys by version, the current one first; older ones still open what they sealed."""

    masters: Mapping[str, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.masters:
            raise ValueError("at least one master key is needed")
        for version, key in self.masters.items():
            if len(key) != KEY_BYTES:
                raise ValueError(f"master key {version!r} must have {KEY_BYTES} bytes")

    @property
    def current(self) -> str:
        """The version that seals."""
        return next(iter(self.masters))

    def seal(self, tenant_id: str, purpose: str, plaintext: bytes, context: str) -> bytes:
        """Seal under the tenant's current key for one purpose; the context must be repeated."""
        return encrypt(self._tenant_key(self.current, tenant_id, purpose), plaintext, context)

    def open(
        self, tenant_id: str, purpose: str, version: str, sealed: bytes, context: str
    ) -> bytes:
        """Open what `seal` made; raises Undecipherable."""
        if version not in self.masters:
            raise Undecipherable("KEY_UNKNOWN", f"no master key {version!r}")
        return decrypt(self._tenant_key(version, tenant_id, purpose), sealed, context)

    def fingerprint(self, tenant_id: str, data: bytes, *, version: str | None = None) -> str:
        """`version:hex` HMAC-SHA256 of the data under a tenant's own key: comparable, not readable.

        Pass the version of an earlier fingerprint to compare with it.
        """
        version = version or self.current
        if version not in self.masters:
            raise Undecipherable("KEY_UNKNOWN", f"no master key {version!r}")
        key = self._tenant_key(version, tenant_id, "fingerprints")
        return f"{version}:{hmac.digest(key, data, 'sha256').hex()}"

    def _tenant_key(self, version: str, tenant_id: str, purpose: str) -> bytes:
        return _derive(self.masters[version], tenant_id, purpose)


@lru_cache(maxsize=4096)
def _derive(master: bytes, tenant_id: str, purpose: str) -> bytes:
    info = f"caas/v1|{purpose}|{tenant_id}".encode()
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(master)


def new_key() -> bytes:
    """A fresh random 256-bit key."""
    return AESGCM.generate_key(bit_length=256)


def encrypt(key: bytes, plaintext: bytes, context: str) -> bytes:
    """nonce ‖ ciphertext ‖ tag."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, context.encode())


def decrypt(key: bytes, sealed: bytes, context: str) -> bytes:
    """The plaintext; raises Undecipherable."""
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context.encode())
    except (InvalidTag, ValueError) as error:
        raise Undecipherable("UNDECIPHERABLE", context.partition("|")[0]) from error
