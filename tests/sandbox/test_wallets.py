"""Sandbox wallets: the same people in the same directory, strangers everywhere else."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from adapters.chain.eip712 import address_of, is_address
from sandbox.wallets import seed_in, wallet

SEED = bytes(range(32))


def test_a_name_has_one_wallet_for_a_seed() -> None:
    maria = wallet("maria", SEED)
    assert maria == wallet("maria", SEED)
    assert is_address(maria.address)
    assert maria.address == address_of(maria.private_key)


def test_names_and_seeds_have_wallets_of_their_own() -> None:
    addresses = {
        wallet(name, seed).address for name in ("a", "b", "") for seed in (SEED, SEED[::-1])
    }
    assert len(addresses) == 6


def test_the_key_is_not_shown() -> None:
    maria = wallet("maria", SEED)
    assert maria.private_key[2:] not in repr(maria)


@pytest.mark.parametrize("seed", [b"", b"short", bytes(33)])
def test_a_seed_of_another_length_is_refused(seed: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        wallet("maria", seed)


def test_a_directory_keeps_its_seed_to_its_owner(tmp_path: Path) -> None:
    first, second = seed_in(tmp_path / "one"), seed_in(tmp_path / "two")
    assert first == seed_in(tmp_path / "one")
    assert first != second
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["wallets.seed"]
    assert stat.S_IMODE((tmp_path / "one" / "wallets.seed").stat().st_mode) == 0o600
