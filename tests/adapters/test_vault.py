"""What the vault seals opens in its own tenant, purpose, version and place alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import TypeAdapter

from adapters.postgres.people import SealedPerson
from adapters.vault import NONCE_BYTES, Keyring, Undecipherable, decrypt, encrypt, new_key

OLD, NEW = b"o" * 32, b"n" * 32
TEXT = b"Zelda Quillfeather"
PLACE = "table.column/row"


@pytest.fixture
def keyring() -> Keyring:
    return Keyring({"v1": OLD})


def test_what_was_sealed_opens(keyring: Keyring) -> None:
    sealed = keyring.seal("acme", "subjects", TEXT, PLACE)
    assert TEXT not in sealed
    assert keyring.open("acme", "subjects", "v1", sealed, PLACE) == TEXT


def test_sealing_twice_looks_different(keyring: Keyring) -> None:
    sealed = {keyring.seal("acme", "subjects", TEXT, PLACE) for _ in range(100)}
    assert len(sealed) == 100
    assert len({each[:NONCE_BYTES] for each in sealed}) == 100


@pytest.mark.parametrize(
    "place",
    [
        {"tenant_id": "other"},
        {"purpose": "temporal"},
        {"context": "table.column/another"},
        {"context": ""},
        {"version": "v2"},
        {"version": "unknown"},
    ],
    ids=str,
)
def test_it_opens_nowhere_else(place: dict[str, str]) -> None:
    keyring = Keyring({"v1": OLD, "v2": NEW})
    sealed = keyring.seal("acme", "subjects", TEXT, PLACE)
    there: dict[str, Any] = {
        "tenant_id": "acme", "purpose": "subjects", "version": "v1", "context": PLACE, **place,
    }  # fmt: skip
    with pytest.raises(Undecipherable) as refused:
        keyring.open(sealed=sealed, **there)
    assert "Zelda" not in str(refused.value)


@pytest.mark.parametrize("pair", [("a|b", "c", "a", "b|c"), ("acme", "x", "acm", "ex")])
def test_names_cannot_be_shifted_into_each_other(keyring: Keyring, pair: tuple[str, ...]) -> None:
    tenant, purpose, other_tenant, other_purpose = pair
    sealed = keyring.seal(tenant, purpose, TEXT, PLACE)
    with pytest.raises(Undecipherable):
        keyring.open(other_tenant, other_purpose, "v1", sealed, PLACE)


@pytest.mark.parametrize(
    "tamper",
    [
        lambda sealed: bytes([sealed[0] ^ 1]) + sealed[1:],  # the nonce
        lambda sealed: sealed[:NONCE_BYTES] + bytes([sealed[NONCE_BYTES] ^ 1]) + sealed[13:],
        lambda sealed: sealed[:-1] + bytes([sealed[-1] ^ 1]),  # the tag
        lambda sealed: sealed[:-1],
        lambda sealed: sealed + b"\0",
        lambda sealed: sealed[:NONCE_BYTES],
        lambda sealed: sealed[:4],
        lambda sealed: b"",
    ],
)
def test_changed_bytes_do_not_open(keyring: Keyring, tamper: Callable[[bytes], bytes]) -> None:
    sealed = tamper(keyring.seal("acme", "subjects", TEXT, PLACE))
    with pytest.raises(Undecipherable):
        keyring.open("acme", "subjects", "v1", sealed, PLACE)


def test_after_a_rotation_the_old_still_opens_and_the_new_seals() -> None:
    before, after = Keyring({"v1": OLD}), Keyring({"v2": NEW, "v1": OLD})
    sealed = before.seal("acme", "subjects", TEXT, PLACE)
    assert after.current == "v2"
    assert after.open("acme", "subjects", "v1", sealed, PLACE) == TEXT
    anew = after.seal("acme", "subjects", TEXT, PLACE)
    assert after.open("acme", "subjects", "v2", anew, PLACE) == TEXT
    with pytest.raises(Undecipherable, match="KEY_UNKNOWN"):
        before.open("acme", "subjects", "v2", anew, PLACE)


def test_fingerprints_compare_within_a_tenant_and_a_version() -> None:
    before, after = Keyring({"v1": OLD}), Keyring({"v2": NEW, "v1": OLD})
    mark = before.fingerprint("acme", TEXT)
    assert mark.startswith("v1:")
    assert len(mark) == 3 + 64
    assert before.fingerprint("acme", TEXT) == mark
    assert before.fingerprint("acme", TEXT + b".") != mark
    assert before.fingerprint("other", TEXT) != mark
    assert after.fingerprint("acme", TEXT) != mark
    assert after.fingerprint("acme", TEXT, version="v1") == mark
    with pytest.raises(Undecipherable, match="KEY_UNKNOWN"):
        before.fingerprint("acme", TEXT, version="v2")


@pytest.mark.parametrize("masters", [{}, {"v1": b"short"}, {"v1": OLD, "v2": b"n" * 33}])
def test_a_keyring_has_whole_keys(masters: dict[str, bytes]) -> None:
    with pytest.raises(ValueError, match=r"master key"):
        Keyring(masters)


def test_a_keyring_shows_no_key_of_its_own(keyring: Keyring) -> None:
    assert "oooo" not in repr(keyring)


def test_a_persons_data_opens_for_that_person_and_place_alone() -> None:
    shape = TypeAdapter(dict[str, str])
    key = new_key()
    zelda = SealedPerson("acme", "zelda", key)
    sealed = zelda.seal(shape, {"name": "Zelda"}, PLACE)
    assert zelda.open(shape, sealed, PLACE) == {"name": "Zelda"}
    for other, place in (
        (SealedPerson("acme", "zelda", new_key()), PLACE),  # her key was destroyed
        (SealedPerson("acme", "eve", key), PLACE),
        (SealedPerson("other", "zelda", key), PLACE),
        (zelda, "table.column/another"),
    ):
        with pytest.raises(Undecipherable):
            other.open(shape, sealed, place)


def test_keys_are_random_and_whole() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert {len(key) for key in keys} == {32}
    assert decrypt(OLD, encrypt(OLD, b"", ""), "") == b""
