"""Credentials open in their own place alone, under a master key that may change, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from adapters.credential_vault import CredentialRef, CredentialVaults, EnvelopeVault, Kept
from adapters.vault import Keyring, Undecipherable
from models.domain.errors import Unavailable

OLD, NEW = b"o" * 32, b"n" * 32
REF = CredentialRef("acme", "prv_1", 1)
SECRETS = {"client_id": "acme", "client_secret": "canary-s3cret", "pem": "-----\nzwölf\n"}


@pytest.fixture
def vault() -> EnvelopeVault:
    return EnvelopeVault(Keyring({"v1": OLD}))


async def test_what_was_sealed_opens(vault: EnvelopeVault) -> None:
    kept = await vault.seal(REF, SECRETS)
    assert await vault.open(REF, kept) == SECRETS
    assert b"canary" not in (kept.sealed_fields or b"") + (kept.wrapped_key or b"")
    assert "sealed_fields" not in repr(kept)


async def test_every_version_has_a_data_key_of_its_own(vault: EnvelopeVault) -> None:
    kept = [await vault.seal(REF, SECRETS) for _ in range(20)]
    assert len({each.wrapped_key for each in kept}) == len({each.sealed_fields for each in kept})
    mixed = replace(kept[0], wrapped_key=kept[1].wrapped_key)
    with pytest.raises(Undecipherable):
        await vault.open(REF, mixed)


@pytest.mark.parametrize(
    "place",
    [{"tenant_id": "other"}, {"provider_id": "prv_2"}, {"version": 2}],
    ids=str,
)
async def test_it_opens_nowhere_else(vault: EnvelopeVault, place: dict[str, Any]) -> None:
    kept = await vault.seal(REF, SECRETS)
    with pytest.raises(Undecipherable) as refused:
        await vault.open(replace(REF, **place), kept)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("part", ["wrapped_key", "sealed_fields"])
@pytest.mark.parametrize("position", [0, 15, -1])
async def test_a_changed_byte_opens_nothing(vault: EnvelopeVault, part: str, position: int) -> None:
    kept = await vault.seal(REF, SECRETS)
    changed = bytearray(getattr(kept, part))
    changed[position] ^= 1
    with pytest.raises(Undecipherable):
        await vault.open(REF, replace(kept, **{part: bytes(changed)}))


@pytest.mark.parametrize("lost", [{"wrapped_key": None}, {"sealed_fields": None}, {"key_id": None}])
async def test_destroyed_is_destroyed(vault: EnvelopeVault, lost: dict[str, Any]) -> None:
    kept = await vault.seal(REF, SECRETS)
    with pytest.raises(Undecipherable):
        await vault.open(REF, replace(kept, **lost))


async def test_a_new_master_key_wraps_the_same_data_key() -> None:
    kept = await EnvelopeVault(Keyring({"v1": OLD})).seal(REF, SECRETS)
    both = EnvelopeVault(Keyring({"v2": NEW, "v1": OLD}))
    moved = both.rewrapped(REF, kept)
    assert (moved.key_id, moved.sealed_fields) == ("v2", kept.sealed_fields)
    # The old master key is no longer needed, and no longer enough.
    assert await EnvelopeVault(Keyring({"v2": NEW})).open(REF, moved) == SECRETS
    with pytest.raises(Undecipherable, match="KEY_UNKNOWN"):
        await EnvelopeVault(Keyring({"v1": OLD})).open(REF, moved)
    with pytest.raises(Undecipherable):
        EnvelopeVault(Keyring({"v2": NEW})).rewrapped(REF, kept)


class Outside:
    """A vault that remembers, and can be away."""

    name = "hashicorp"

    def __init__(self) -> None:
        self.held: dict[CredentialRef, Mapping[str, str]] = {}

    async def seal(self, ref: CredentialRef, secrets: Mapping[str, str]) -> Kept:
        self.held[ref] = dict(secrets)
        return Kept(self.name, vault_version=ref.version)

    async def open(self, ref: CredentialRef, kept: Kept) -> Mapping[str, str]:
        assert kept.vault_version == ref.version
        return self.held[ref]

    async def destroy(self, ref: CredentialRef, kept: Kept) -> None:
        self.held.pop(ref, None)


async def test_a_move_to_another_vault_opens_what_either_keeps(vault: EnvelopeVault) -> None:
    before = await CredentialVaults([vault]).seal(REF, SECRETS)
    both = CredentialVaults([Outside(), vault])
    after = await both.seal(replace(REF, version=2), SECRETS)
    assert (before.vault, after.vault) == ("postgres", "hashicorp")
    assert await both.open(REF, before) == SECRETS
    assert await both.open(replace(REF, version=2), after) == SECRETS
    await both.destroy(replace(REF, version=2), after)


async def test_a_vault_that_is_not_configured_opens_nothing(vault: EnvelopeVault) -> None:
    kept = await Outside().seal(REF, SECRETS)
    with pytest.raises(Unavailable, match="VAULT_UNAVAILABLE"):
        await CredentialVaults([vault]).open(REF, kept)


async def test_credentials_have_a_bounded_size(vault: EnvelopeVault) -> None:
    with pytest.raises(ValueError, match="too large"):
        await vault.seal(REF, {"pem": "x" * 64_000})
