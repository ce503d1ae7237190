"""Verifies the audit trail, and exports its heads: what `cli.py audit` prints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from adapters.postgres.audit import AuditTrail, UnsealedRow
from models.domain.audit import (
    ChainCheck,
    Finding,
    Flaw,
    Head,
    first_of,
    heads_document,
    heads_of,
)

LINKS_A_PAGE: Final = 2_000
ROWS_A_PAGE: Final = 20_000
# Whoever tampers may use numbers that are never handed out.
BEFORE_EVERYTHING: Final = -(2**63)
# The sealer works within a second; after a minute nobody is going to seal a row any more.
UNSEALED_LIMIT_S: Final = 60.0

_WORDS: Final[Mapping[Flaw, str]] = {
    Flaw.SEAL_MISSING: "the seal is gone",
    Flaw.SEAL_ALTERED: "the seal does not follow from the one before: edited or reordered",
    Flaw.ROW_MISSING: "the sealed row is gone",
    Flaw.ROW_ALTERED: "the row is not the one that was sealed",
    Flaw.ROW_UNSEALED: "the row has no seal, and none is on its way",
    Flaw.HEAD_MISSING: "the trail ends before the exported head: its tail was cut off",
    Flaw.HEAD_DIFFERS: "the trail is not the one whose head was exported: it was rewritten",
}


@dataclass
class TrailReport:
    """What a tenant's trail looks like; the unsealed tail is what sealing has yet to reach."""

    tenant_id: str
    verified: int
    head: Head
    findings: list[Finding]
    unsealed_tail: list[UnsealedRow] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether nothing was tampered with."""
        return not self.findings

    def lines(self) -> list[str]:
        """The report in words."""
        oldest = max((row.age_s for row in self.unsealed_tail), default=0.0)
        tail = f", oldest {oldest:.1f} s" if self.unsealed_tail else ""
        said = [
            f"{self.tenant_id}: {self.verified} rows verified,"
            f" {len(self.unsealed_tail)} not sealed yet{tail};"
            f" head {self.head.position} {self.head.chain_hash.hex()}"
        ]
        first = first_of(self.findings)
        if first is not None:
            at = f"position {first.position}" if first.position is not None else "no position"
            row = f" (audit row {first.audit_seq})" if first.audit_seq is not None else ""
            said.append(
                f"{self.tenant_id}: {len(self.findings)} flaws, the first at {at}{row}:"
                f" {first.flaw} - {_WORDS[first.flaw]}"
            )
        return said


async def verify(
    trail: AuditTrail, tenant_id: str | None = None, heads: Mapping[str, Head] | None = None
) -> list[TrailReport]:
    """Recompute every chain (or one tenant's) and say what does not hold, tenant by tenant."""
    heads = heads or {}
    known = {tenant_id} if tenant_id is not None else {*await trail.tenants(), *heads}
    reports = {each: await _follow(trail, each, heads.get(each)) for each in sorted(known)}
    after = BEFORE_EVERYTHING
    while True:
        rows, last = await trail.unsealed(tenant_id, after, ROWS_A_PAGE)
        for row in rows:
            # Rows of a tenant that came while we were looking are the next verification's.
            if (report := reports.get(row.tenant_id)) is not None:
                _place(report, row)
        if last is None:
            return list(reports.values())
        after = last


async def heads(trail: AuditTrail, tenant_id: str | None = None) -> str:
    """The heads as a JSON document: kept elsewhere, it shows a tail that was cut off later."""
    tenants = [tenant_id] if tenant_id is not None else await trail.tenants()
    found = {each: await trail.head(each) for each in tenants}
    return json.dumps(heads_document(found), indent=2)


def read_heads(path: Path) -> dict[str, Head]:
    """Exported heads; ValueError when the file holds something else."""
    return heads_of(json.loads(path.read_text("utf-8")))


async def _follow(trail: AuditTrail, tenant_id: str, expected: Head | None) -> TrailReport:
    check = ChainCheck(tenant_id, expected)
    after = BEFORE_EVERYTHING
    while links := await trail.links(tenant_id, after, LINKS_A_PAGE):
        for seal, record in links:
            check.follow(seal, record)
        after = links[-1][0].position
    check.conclude()
    return TrailReport(tenant_id, check.verified, check.head, check.findings)


def _place(report: TrailReport, row: UnsealedRow) -> None:
    if row.queued and row.age_s <= UNSEALED_LIMIT_S:
        report.unsealed_tail.append(row)
    else:
        report.findings.append(Finding(Flaw.ROW_UNSEALED, None, row.audit_seq))
