"""The audit trail's hash chain: how a row is hashed, how rows are chained, what a broken chain is.

Each tenant has a chain of its own. Rows are chained in the order they are sealed, which need not be
the order of their numbers: a number is drawn before its transaction commits. Whoever can rewrite
rows and every seal after them can forge a chain that holds together; only a head that was exported
before, and kept elsewhere, shows that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

_ROW: Final = b"caas/audit-row/v1"
_LINK: Final = b"caas/audit-chain/v1"
_GENESIS: Final = b"caas/audit-genesis/v1"


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """An audit row; `detail` is PostgreSQL's own text of the JSON (keys ordered, numbers exact).

    It holds ids and derived facts only. Ids can be guessed, so a random `salt` keeps the hash from
    telling whom a row is about.
    """

    seq: int
    tenant_id: str
    actor: str
    action: str
    subject_id: str
    detail: str
    recorded_at_us: int  # microseconds since 1970 in UTC
    salt: bytes

    def hash(self) -> bytes:
        """SHA-256 over every field, each with its length before it."""
        return _digest(
            _ROW,
            str(self.seq).encode(),
            self.tenant_id.encode(),
            self.actor.encode(),
            self.action.encode(),
            self.subject_id.encode(),
            self.detail.encode(),
            str(self.recorded_at_us).encode(),
            self.salt,
        )


@dataclass(frozen=True, slots=True)
class Seal:
    """A link of the chain; positions count from 1."""

    position: int
    audit_seq: int
    row_hash: bytes
    chain_hash: bytes
    sealed_at_us: int


@dataclass(frozen=True, slots=True)
class Head:
    """How far a tenant's chain has come; position 0 is a chain without links."""

    tenant_id: str
    position: int
    chain_hash: bytes


def genesis(tenant_id: str) -> Head:
    """Where a tenant's chain begins."""
    return Head(tenant_id, 0, _digest(_GENESIS, tenant_id.encode()))


def seal_next(head: Head, record: AuditRecord, sealed_at_us: int) -> tuple[Seal, Head]:
    """The record's link after `head`, and the new head."""
    seal = Seal(head.position + 1, record.seq, record.hash(), b"", sealed_at_us)
    link = _link(head, seal)
    sealed = Seal(seal.position, seal.audit_seq, seal.row_hash, link, sealed_at_us)
    return sealed, Head(head.tenant_id, seal.position, link)


class Flaw(StrEnum):
    """What is wrong at a position; the values are published."""

    SEAL_MISSING = "SEAL_MISSING"  # the link of a position is gone
    SEAL_ALTERED = "SEAL_ALTERED"  # the link does not follow from the one before: edited, reordered
    ROW_MISSING = "ROW_MISSING"  # the sealed row is gone
    ROW_ALTERED = "ROW_ALTERED"  # the row is not the one that was sealed
    ROW_UNSEALED = "ROW_UNSEALED"  # a row no seal covers, though it is old or never was in line
    HEAD_MISSING = "HEAD_MISSING"  # the chain ends before the exported head
    HEAD_DIFFERS = "HEAD_DIFFERS"  # the chain at the exported head's position is another one


@dataclass(frozen=True, slots=True)
class Finding:
    """A flaw and where: a chain's position, a row's number, or both."""

    flaw: Flaw
    position: int | None
    audit_seq: int | None


@dataclass
class ChainCheck:
    """Follows one tenant's chain from its beginning, link by link, against an exported head.

    After a flaw it goes on from what is stored, so each alteration is found once.
    """

    tenant_id: str
    expected: Head | None = None
    verified: int = 0
    findings: list[Finding] = field(default_factory=list)
    head: Head = field(init=False)

    def __post_init__(self) -> None:
        self.head = genesis(self.tenant_id)

    def follow(self, seal: Seal, record: AuditRecord | None) -> None:
        """Check the next stored link and the row it covers."""
        flaw = self._flaw(seal, record)
        if flaw is None:
            self.verified += 1
        else:
            missing = flaw is Flaw.SEAL_MISSING
            position = self.head.position + 1 if missing else seal.position
            self.findings.append(Finding(flaw, position, None if missing else seal.audit_seq))
        self.head = Head(self.tenant_id, seal.position, seal.chain_hash)
        expected = self.expected or self.head
        if expected.position == seal.position and expected.chain_hash != seal.chain_hash:
            self.findings.append(Finding(Flaw.HEAD_DIFFERS, seal.position, seal.audit_seq))

    def conclude(self) -> None:
        """The chain has ended: it must have come as far as the exported head."""
        if self.expected is not None and self.expected.position > self.head.position:
            self.findings.append(Finding(Flaw.HEAD_MISSING, self.head.position + 1, None))

    def _flaw(self, seal: Seal, record: AuditRecord | None) -> Flaw | None:
        if seal.position != self.head.position + 1:
            return Flaw.SEAL_MISSING
        if seal.chain_hash != _link(self.head, seal):
            return Flaw.SEAL_ALTERED
        if record is None:
            return Flaw.ROW_MISSING
        if record.hash() != seal.row_hash:
            return Flaw.ROW_ALTERED
        return None


def first_of(findings: list[Finding]) -> Finding | None:
    """The finding at the lowest position; rows without one come last."""
    return min(findings, key=lambda each: each.position or 2**63, default=None)


def heads_document(heads: Mapping[str, Head]) -> list[dict[str, str | int]]:
    """Heads for a file that is kept elsewhere."""
    return [
        {
            "tenant_id": each.tenant_id,
            "position": each.position,
            "chain_hash": each.chain_hash.hex(),
        }
        for _, each in sorted(heads.items())
    ]


def heads_of(document: object) -> dict[str, Head]:
    """Heads from such a file; ValueError for anything else."""
    if not isinstance(document, list):
        raise ValueError("a list of heads is expected")
    return {head.tenant_id: head for head in _heads(document)}


def _heads(entries: list[object]) -> Iterator[Head]:
    for entry in entries:
        match entry:
            case {"tenant_id": str(tenant), "position": int(position), "chain_hash": str(text)}:
                yield Head(tenant, position, bytes.fromhex(text))
            case _:
                raise ValueError("a head has tenant_id, position and chain_hash")


def _link(before: Head, seal: Seal) -> bytes:
    return _digest(
        _LINK,
        before.tenant_id.encode(),
        str(seal.position).encode(),
        before.chain_hash,
        str(seal.audit_seq).encode(),
        seal.row_hash,
        str(seal.sealed_at_us).encode(),
    )


def _digest(domain: bytes, *fields: bytes) -> bytes:
    """SHA-256 whose input can be read in one way only: the domain and each field with a length."""
    state = hashlib.sha256()
    for each in (domain, *fields):
        state.update(len(each).to_bytes(8, "big"))
        state.update(each)
    return state.digest()
