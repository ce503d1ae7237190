"""Row-level security as every migration applies it, and the roles it is for.

A migration that makes tables declares beside them, by these names, what `secure` is told:

    GRANTS        table: what caas_app, caas_chain and caas_relay may do with it
    CROSS_TENANT  (table, role, commands) that reach beyond one tenant
    DIRECTORY     (table, role, columns) a role may read of every tenant's rows
    SHARED        tables whose rows of the tenant `platform` every tenant may read
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from alembic import op

ROLES: Final = ("caas_app", "caas_chain", "caas_relay")

Grants = Mapping[str, tuple[str, str, str]]
CrossTenant = Sequence[tuple[str, str, tuple[str, ...]]]
Directory = Sequence[tuple[str, str, str]]


def secure(
    grants: Grants,
    cross_tenant: CrossTenant = (),
    directory: Directory = (),
    shared: Sequence[str] = (),
) -> None:
    """Force row-level security on these tables, and give each role exactly what is listed."""
    for table, by_role in grants.items():
        _isolate(table, by_role)
    for table, role, commands in cross_tenant:
        for command in commands:
            op.execute(
                f"CREATE POLICY {role}_{command.lower()} ON {table} "
                f"FOR {command} TO {role} USING (true)"
            )
    for table, role, columns in directory:
        op.execute(f"GRANT SELECT ({columns}) ON {table} TO {role}")
        op.execute(f"CREATE POLICY {role}_directory ON {table} FOR SELECT TO {role} USING (true)")
    for table in shared:
        op.execute(
            f"CREATE POLICY of_the_platform ON {table} FOR SELECT USING (tenant_id = 'platform')"
        )


def widen(grants: Grants) -> None:
    """Give roles more on tables that are secured already (declared as WIDER)."""
    for table, by_role in grants.items():
        _grant(table, by_role)


def _isolate(table: str, by_role: tuple[str, str, str]) -> None:
    """One tenant sees and writes its own rows only; without a tenant set, none at all."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    own = "tenant_id = current_setting('app.tenant_id', true)"
    op.execute(f"CREATE POLICY own_tenant ON {table} USING ({own}) WITH CHECK ({own})")
    _grant(table, by_role)


def _grant(table: str, by_role: tuple[str, str, str]) -> None:
    for role, privileges in zip(ROLES, by_role, strict=True):
        if privileges:
            op.execute(f"GRANT {privileges} ON {table} TO {role}")
