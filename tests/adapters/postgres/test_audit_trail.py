"""Every audit row is sealed exactly once; every kind of tampering is found, and where."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from adapters.audit import TrailReport, heads, read_heads, verify
from adapters.postgres.audit import AuditSealing, AuditTrail
from adapters.sealer import AuditSealer
from models.domain.audit import Flaw

pytestmark = pytest.mark.stack

ROWS = 8


async def seal(lending: Any, limit: int = 1_000) -> int:
    async with lending.relay.session() as session:
        return await AuditSealing(session).seal(limit)


async def report(lending: Any, tenant: str, expected: Any = None) -> TrailReport:
    [found] = await verify(AuditTrail(lending.relay), tenant, expected)
    return found


async def write(lending: Any, tenant: str, count: int = ROWS) -> None:
    for number in range(count):
        async with lending.app.transaction(tenant) as tx:
            await tx.record(
                "system", "note.made", f"app_{number}", {"number": number, "rate": 1.5}, key="k"
            )


async def sealed(lending: Any) -> str:
    """A tenant with a sealed trail."""
    tenant: str = lending.tenant()
    await write(lending, tenant)
    await seal(lending)
    return tenant


async def test_rows_are_sealed_once_in_a_chain_without_gaps(lending: Any) -> None:
    tenant, neighbour = await sealed(lending), await sealed(lending)
    await write(lending, tenant, 3)
    assert (await report(lending, tenant)).verified == ROWS
    assert len((await report(lending, tenant)).unsealed_tail) == 3
    assert await seal(lending) == 3
    assert await seal(lending) == 0
    found = await report(lending, tenant)
    assert (found.sound, found.verified, found.unsealed_tail) == (True, ROWS + 3, [])
    assert (await report(lending, neighbour)).head != found.head
    rows = await lending.rows(
        "SELECT s.position, s.audit_seq FROM audit_seals s WHERE tenant_id = $1 ORDER BY 1", tenant
    )
    assert [row["position"] for row in rows] == list(range(1, ROWS + 4))
    assert len({row["audit_seq"] for row in rows}) == ROWS + 3


async def test_a_row_that_becomes_visible_late_is_sealed_behind_later_ones(lending: Any) -> None:
    tenant = lending.tenant()
    async with lending.app.transaction(tenant) as slow:
        await slow.record("system", "note.slow", "app_slow", {}, key="slow")
        await write(lending, tenant, 2)
        await seal(lending)
    await seal(lending)
    found = await report(lending, tenant)
    assert (found.sound, found.verified) == (True, 3)
    order = await lending.rows(
        "SELECT audit_seq FROM audit_seals WHERE tenant_id = $1 ORDER BY position", tenant
    )
    numbers = [row["audit_seq"] for row in order]
    assert numbers[-1] == min(numbers)


async def test_sealers_that_race_seal_each_row_once_and_soon(lending: Any) -> None:
    tenant, stop = lending.tenant(), asyncio.Event()
    sealers = [asyncio.create_task(AuditSealer(lending.relay).run(stop)) for _ in range(3)]
    await asyncio.gather(*(write(lending, tenant, 10) for _ in range(4)))
    async with asyncio.timeout(60):
        while (await report(lending, tenant)).verified < 40:
            await asyncio.sleep(0.05)
    stop.set()
    await asyncio.gather(*sealers)
    assert (await report(lending, tenant)).sound


async def test_in_lots_smaller_than_what_waits(lending: Any) -> None:
    tenant = lending.tenant()
    await write(lending, tenant)
    while await seal(lending, 3):
        pass
    assert (await report(lending, tenant)).verified == ROWS


async def test_a_strangers_place_in_line_does_not_stop_the_sealer(lending: Any) -> None:
    """The application's role may write to the line: that must not unhinge anything."""
    tenant = await sealed(lending)
    number = await lending.value("SELECT min(seq) FROM audit_log WHERE tenant_id = $1", tenant)
    async with lending.app.transaction(tenant) as tx:
        await tx.execute(
            "INSERT INTO audit_unsealed (tenant_id, audit_seq) VALUES ($1, $2), ($1, $3)",
            tenant, number, 2**62,
        )  # fmt: skip
    await write(lending, tenant, 1)
    await seal(lending)
    found = await report(lending, tenant)
    assert (found.sound, found.verified) == (True, ROWS + 1)
    assert await lending.value("SELECT count(*) FROM audit_unsealed") == 0


# Tampering: as a superuser with the guards off, on one tenant's trail of eight sealed rows.
# name: (statements on {t}, flaw, position)
TAMPERINGS: dict[str, tuple[str, Flaw, int | None]] = {
    "a row's detail edited": (
        "UPDATE audit_log SET detail = detail || '{{\"number\": 99}}' WHERE seq = {row3}",
        Flaw.ROW_ALTERED, 3,
    ),
    "a number written differently": (
        "UPDATE audit_log SET detail = jsonb_set(detail, '{{rate}}', '1.50') WHERE seq = {row3}",
        Flaw.ROW_ALTERED, 3,
    ),
    "an actor edited": (
        "UPDATE audit_log SET actor = 'somebody else' WHERE seq = {row8}", Flaw.ROW_ALTERED, 8,
    ),
    "a moment edited by a microsecond": (
        "UPDATE audit_log SET recorded_at = recorded_at + interval '1 microsecond'"
        " WHERE seq = {row1}", Flaw.ROW_ALTERED, 1,
    ),
    "a row given to another tenant": (
        "UPDATE audit_log SET tenant_id = tenant_id || 'x' WHERE seq = {row4}",
        Flaw.ROW_ALTERED, 4,
    ),
    "a row deleted": ("DELETE FROM audit_log WHERE seq = {row5}", Flaw.ROW_MISSING, 5),
    "two rows exchanged": (
        "UPDATE audit_log SET seq = -1 WHERE seq = {row2};"
        "UPDATE audit_log SET seq = {row2} WHERE seq = {row3};"
        "UPDATE audit_log SET seq = {row3} WHERE seq = -1", Flaw.ROW_ALTERED, 2,
    ),
    "two seals exchanged": (
        "UPDATE audit_seals SET position = -1 WHERE tenant_id = '{t}' AND position = 6;"
        "UPDATE audit_seals SET position = 6 WHERE tenant_id = '{t}' AND position = 7;"
        "UPDATE audit_seals SET position = 7 WHERE tenant_id = '{t}' AND position = -1",
        Flaw.SEAL_ALTERED, 6,
    ),
    "a row edited and its seal's hash with it": (
        "UPDATE audit_seals SET row_hash = sha256('x') WHERE tenant_id = '{t}' AND position = 4",
        Flaw.SEAL_ALTERED, 4,
    ),
    "a seal's moment edited": (
        "UPDATE audit_seals SET sealed_at = sealed_at - interval '1 day'"
        " WHERE tenant_id = '{t}' AND position = 2", Flaw.SEAL_ALTERED, 2,
    ),
    "a seal deleted": (
        "DELETE FROM audit_seals WHERE tenant_id = '{t}' AND position = 5", Flaw.SEAL_MISSING, 5,
    ),
    "a row deleted with its seal": (
        "DELETE FROM audit_log WHERE seq = {row5};"
        "DELETE FROM audit_seals WHERE tenant_id = '{t}' AND position = 5", Flaw.SEAL_MISSING, 5,
    ),
    "the first row deleted with its seal": (
        "DELETE FROM audit_log WHERE seq = {row1};"
        "DELETE FROM audit_seals WHERE tenant_id = '{t}' AND position = 1", Flaw.SEAL_MISSING, 1,
    ),
    "a row slipped in": (
        "INSERT INTO audit_log (tenant_id, actor, action, subject_id, detail)"
        " VALUES ('{t}', 'system', 'note.made', 'app_0', '{{}}')", Flaw.ROW_UNSEALED, None,
    ),
    "a row slipped in, dated back, in line": (
        "INSERT INTO audit_log (seq, tenant_id, actor, action, subject_id, detail, recorded_at)"
        " VALUES (-5 - {row1}, '{t}', 'system', 'note.made', 'app_0', '{{}}',"
        " now() - interval '1 h');"
        "INSERT INTO audit_unsealed VALUES ('{t}', -5 - {row1})", Flaw.ROW_UNSEALED, None,
    ),
    "a row slipped in under a link before the first": (
        "INSERT INTO audit_log (seq, tenant_id, actor, action, subject_id, detail)"
        " VALUES (-9 - {row1}, '{t}', 'system', 'note.made', 'app_0', '{{}}');"
        "INSERT INTO audit_seals VALUES ('{t}', 0, -9 - {row1}, 'x', 'x', now())",
        Flaw.SEAL_MISSING, 1,
    ),
    "the last seal deleted, its row left": (
        "DELETE FROM audit_seals WHERE tenant_id = '{t}' AND position = 8", Flaw.ROW_UNSEALED, None,
    ),
}  # fmt: skip


async def tamper(lending: Any, tenant: str, statements: str) -> None:
    """As a superuser whom no trigger stops."""
    rows = await lending.rows(
        "SELECT audit_seq FROM audit_seals WHERE tenant_id = $1 ORDER BY position", tenant
    )
    numbers = {f"row{place}": row["audit_seq"] for place, row in enumerate(rows, 1)}
    await lending.execute(
        "SET session_replication_role = replica;" + statements.format(t=tenant, **numbers)
    )


@pytest.mark.parametrize("name", TAMPERINGS)
async def test_tampering_is_found_where_it_happened(lending: Any, name: str) -> None:
    statements, flaw, position = TAMPERINGS[name]
    tenant, neighbour = await sealed(lending), await sealed(lending)
    assert (await report(lending, tenant)).sound
    await tamper(lending, tenant, statements)
    found = await report(lending, tenant)
    first = min(found.findings, key=lambda each: each.position or 2**63)
    assert (first.flaw, first.position) == (flaw, position)
    assert str(flaw) in found.lines()[1]
    if position is not None:
        assert f"the first at position {position}" in found.lines()[1]
    assert (await report(lending, neighbour)).sound


async def test_a_tail_cut_off_shows_against_an_exported_head(lending: Any, tmp_path: Path) -> None:
    tenant = await sealed(lending)
    file = tmp_path / "heads.json"
    file.write_text(await heads(AuditTrail(lending.relay), tenant))
    exported = read_heads(file)
    assert exported[tenant].position == ROWS
    await write(lending, tenant, 2)
    await seal(lending)
    assert (await report(lending, tenant, exported)).sound  # a head is the past, not the end
    cut = (
        "DELETE FROM audit_seals WHERE tenant_id = '{t}' AND position >= 7;"
        "DELETE FROM audit_log WHERE tenant_id = '{t}' AND seq >= {row7}"
    )
    await tamper(lending, tenant, cut)
    alone = await report(lending, tenant)
    assert alone.sound  # nothing in the database itself can tell
    assert alone.verified == 6
    [finding] = (await report(lending, tenant, exported)).findings
    assert (finding.flaw, finding.position) == (Flaw.HEAD_MISSING, 7)
    # Growing past the head again does not hide it.
    await write(lending, tenant, 3)
    await seal(lending)
    [finding] = (await report(lending, tenant, exported)).findings
    assert (finding.flaw, finding.position) == (Flaw.HEAD_DIFFERS, ROWS)


async def test_a_whole_trail_removed_shows_against_an_exported_head(lending: Any) -> None:
    tenant = await sealed(lending)
    trail = AuditTrail(lending.relay)
    exported = {tenant: await trail.head(tenant)}
    await tamper(
        lending,
        tenant,
        "DELETE FROM audit_seals WHERE tenant_id = '{t}';"
        "DELETE FROM audit_log WHERE tenant_id = '{t}'",
    )
    everybody = {each.tenant_id: each for each in await verify(trail, None, exported)}
    assert [each.flaw for each in everybody[tenant].findings] == [Flaw.HEAD_MISSING]


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[1]",
        '[{"tenant_id": "a"}]',
        '[{"tenant_id": "a", "position": 1, "chain_hash": "z"}]',
    ],
)
async def test_a_file_that_holds_no_heads_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "heads.json"
    file.write_text(text)
    with pytest.raises(ValueError):  # noqa: PT011 - any of its kinds; the command prints it
        read_heads(file)
    assert json.loads(text) is not None


@pytest.mark.parametrize("role", ["app", "chain", "relay", "owner", "postgres"])
@pytest.mark.parametrize("table", ["audit_log", "audit_seals"])
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET tenant_id = tenant_id", "DELETE FROM {}", "TRUNCATE {}"]
)
async def test_nobody_changes_rows_or_seals(
    lending: Any, role: str, table: str, statement: str
) -> None:
    dsn = (
        lending.cluster.server.dsn(lending.name)
        if role == "postgres"
        else lending.cluster.dsn(lending.name, role)
    )
    connection = await asyncpg.connect(dsn)
    try:
        with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.RaiseError)):
            await connection.execute(statement.format(table))
    finally:
        await connection.close()


@pytest.mark.parametrize("role", ["app", "chain"])
async def test_only_the_relay_role_seals(lending: Any, role: str) -> None:
    connection = await asyncpg.connect(lending.cluster.dsn(lending.name, role))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("INSERT INTO audit_seals VALUES ('t', 1, 1, 'x', 'x', now())")
    finally:
        await connection.close()
