"""Where providers' credentials are kept: sealed in our own rows, or in a vault outside.

A vault seals a version of credentials into what its row keeps, and opens that again. By default
the row itself holds the ciphertext: AES-256-GCM under a random data key of this version alone,
which the tenant's key wraps. Changing the master key wraps data keys anew; no ciphertext changes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from adapters.vault import Keyring, Undecipherable, decrypt, encrypt, new_key
from models.domain.errors import Unavailable

POSTGRES: Final = "postgres"
HASHICORP: Final = "hashicorp"
_PURPOSE: Final = "provider-credentials"
# A lender's credentials are a few keys and a certificate.
MOST_BYTES: Final = 64_000


@dataclass(frozen=True, slots=True)
class CredentialRef:
    """Which credentials: whose, of which provider, which version."""

    tenant_id: str
    provider_id: str
    version: int

    def context(self, column: str) -> str:
        """What ciphertext of this row and column is bound to."""
        names = (self.tenant_id, "provider_credentials", column, self.provider_id)
        return "|".join((*names, str(self.version)))


@dataclass(frozen=True, slots=True)
class Kept:
    """What a row keeps of credentials: all of them sealed, or where they are."""

    vault: str
    key_id: str | None = None
    wrapped_key: bytes | None = field(default=None, repr=False)
    sealed_fields: bytes | None = field(default=None, repr=False)
    vault_version: int | None = None


class CredentialVault(Protocol):
    """Seals and opens providers' credentials; whatever goes wrong, nothing is opened."""

    name: str

    async def seal(self, ref: CredentialRef, secrets: Mapping[str, str]) -> Kept:
        """Keep these; raises Unavailable when an outside vault is away."""
        ...

    async def open(self, ref: CredentialRef, kept: Kept) -> Mapping[str, str]:
        """What `seal` was given; raises Undecipherable, or Unavailable."""
        ...

    async def destroy(self, ref: CredentialRef, kept: Kept) -> None:
        """Make them unreadable wherever they are beside the row; again is no error."""
        ...


class EnvelopeVault:
    """The row is the vault: the data key under the tenant's key, the fields under the data key."""

    name: str = POSTGRES

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    async def seal(self, ref: CredentialRef, secrets: Mapping[str, str]) -> Kept:
        """A fresh data key for every version."""
        data_key, context = new_key(), ref.context("sealed_fields")
        sealed = encrypt(data_key, _bytes_of(secrets), context)
        return replace(self._wrapped(ref, data_key), sealed_fields=sealed)

    async def open(self, ref: CredentialRef, kept: Kept) -> Mapping[str, str]:
        """Raises Undecipherable for another place, a changed byte, or an unknown master key."""
        if kept.sealed_fields is None:
            raise Undecipherable("CREDENTIALS_DESTROYED", ref.provider_id)
        data_key = self._data_key(ref, kept)
        return _fields_of(decrypt(data_key, kept.sealed_fields, ref.context("sealed_fields")), ref)

    async def destroy(self, ref: CredentialRef, kept: Kept) -> None:
        """The row forgets its key itself."""

    def rewrapped(self, ref: CredentialRef, kept: Kept) -> Kept:
        """The same data key under the current master key; raises Undecipherable."""
        wrapped = self._wrapped(ref, self._data_key(ref, kept))
        return replace(kept, key_id=wrapped.key_id, wrapped_key=wrapped.wrapped_key)

    def _wrapped(self, ref: CredentialRef, data_key: bytes) -> Kept:
        place = ref.context("wrapped_key")
        wrapped = self._keyring.seal(ref.tenant_id, _PURPOSE, data_key, place)
        return Kept(self.name, self._keyring.current, wrapped)

    def _data_key(self, ref: CredentialRef, kept: Kept) -> bytes:
        if kept.key_id is None or kept.wrapped_key is None:
            raise Undecipherable("CREDENTIALS_DESTROYED", ref.provider_id)
        place = ref.context("wrapped_key")
        return self._keyring.open(ref.tenant_id, _PURPOSE, kept.key_id, kept.wrapped_key, place)


class CredentialVaults:
    """Seals in one vault, and opens what any of them keeps: a move needs no stop."""

    def __init__(self, vaults: Sequence[CredentialVault]) -> None:
        """The first one seals."""
        self._vaults = {each.name: each for each in vaults}
        self._sealing = vaults[0]
        self.name = self._sealing.name

    async def seal(self, ref: CredentialRef, secrets: Mapping[str, str]) -> Kept:
        """Keep these in the vault that is configured."""
        return await self._sealing.seal(ref, secrets)

    async def open(self, ref: CredentialRef, kept: Kept) -> Mapping[str, str]:
        """Open them wherever they are; Unavailable where that vault is not configured."""
        return await self._of(kept).open(ref, kept)

    async def destroy(self, ref: CredentialRef, kept: Kept) -> None:
        """Destroy them wherever they are."""
        await self._of(kept).destroy(ref, kept)

    def _of(self, kept: Kept) -> CredentialVault:
        found = self._vaults.get(kept.vault)
        if found is None:
            raise Unavailable("VAULT_UNAVAILABLE", f"{kept.vault} is not configured")
        return found


def _bytes_of(secrets: Mapping[str, str]) -> bytes:
    text = json.dumps(dict(secrets), ensure_ascii=False, sort_keys=True).encode()
    if len(text) > MOST_BYTES:
        raise ValueError("credentials are too large")
    return text


def _fields_of(text: bytes, ref: CredentialRef) -> Mapping[str, str]:
    found = json.loads(text)
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise Undecipherable("CREDENTIALS_MALFORMED", ref.provider_id)
    return found
