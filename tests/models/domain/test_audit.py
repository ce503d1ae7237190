"""The hash chain: every field counts, no two records read alike, and a known answer."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from models.domain.audit import (
    AuditRecord,
    ChainCheck,
    Finding,
    Flaw,
    genesis,
    heads_document,
    heads_of,
    seal_next,
)

RECORD = AuditRecord(
    7, "acme", "olivia", "note.made", "app_1", '{"n": 1}', 1_700_000_000_000_000, b"\x01" * 16
)


def digest(*parts: bytes) -> bytes:
    """The encoding by hand: each part after its length in eight bytes."""
    return hashlib.sha256(b"".join(len(each).to_bytes(8, "big") + each for each in parts)).digest()


def test_a_row_and_its_link_are_what_the_encoding_says() -> None:
    row_hash = digest(
        b"caas/audit-row/v1", b"7", b"acme", b"olivia", b"note.made", b"app_1", b'{"n": 1}',
        b"1700000000000000", b"\x01" * 16,
    )  # fmt: skip
    assert RECORD.hash() == row_hash
    start = digest(b"caas/audit-genesis/v1", b"acme")
    assert genesis("acme").chain_hash == start
    seal, head = seal_next(genesis("acme"), RECORD, 5)
    link = digest(b"caas/audit-chain/v1", b"acme", b"1", start, b"7", row_hash, b"5")
    assert (seal.position, seal.audit_seq, seal.row_hash, seal.chain_hash) == (1, 7, row_hash, link)
    assert (head.position, head.chain_hash) == (1, link)


@pytest.mark.parametrize(
    "change",
    [
        {"seq": 8},
        {"tenant_id": "acmf"},
        {"actor": "oliviaa"},
        {"action": "note.mad"},
        {"subject_id": "app_2"},
        {"detail": '{"n": 1.0}'},
        {"recorded_at_us": 1_700_000_000_000_001},
        {"salt": b"\x02" * 16},
        {"actor": "olivian", "action": "ote.made"},  # the same text, cut elsewhere
    ],
)
def test_every_field_counts(change: dict[str, object]) -> None:
    assert replace(RECORD, **change).hash() != RECORD.hash()  # type: ignore[arg-type]


def test_the_same_rows_of_two_tenants_make_two_chains() -> None:
    assert genesis("acme").chain_hash != genesis("acmf").chain_hash


def test_a_check_finds_each_flaw_once_and_goes_on() -> None:
    head, links = genesis("acme"), []
    for seq in range(1, 7):
        record = replace(RECORD, seq=seq)
        seal, head = seal_next(head, record, seq)
        links.append((seal, record))
    sound = ChainCheck("acme", head)
    for seal, record in links:
        sound.follow(seal, record)
    sound.conclude()
    assert (sound.verified, sound.findings, sound.head) == (6, [], head)

    check = ChainCheck("acme", head)
    check.follow(*links[0])
    check.follow(links[1][0], None)
    check.follow(links[3][0], links[3][1])
    check.follow(links[4][0], replace(links[4][1], actor="mallory"))
    check.conclude()
    assert check.verified == 1
    assert check.findings == [
        Finding(Flaw.ROW_MISSING, 2, 2),
        Finding(Flaw.SEAL_MISSING, 3, None),
        Finding(Flaw.ROW_ALTERED, 5, 5),
        Finding(Flaw.HEAD_MISSING, 6, None),
    ]


def test_heads_survive_their_file() -> None:
    _, head = seal_next(genesis("acme"), RECORD, 5)
    kept = {"acme": head, "beta": genesis("beta")}
    assert heads_of(heads_document(kept)) == kept
