"""Statements for the read schema: everything asked for at once is one statement, however many.

Every statement names the tenant besides row-level security, and `only_user` besides the routes: a
person's own records are found through the applications of that person alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from adapters.postgres import graph_rows
from adapters.postgres.database import Database, Transaction
from models.domain.graph import ApplicationRecord, Page, PersonRecord

T = TypeVar("T")

# Longer than any of these statements takes with its index; whatever takes longer lacks one.
STATEMENT_S: Final = 2.0
# Of one person, the newest: whoever wants more asks for the list.
APPLICATIONS_OF_A_PERSON: Final = 20

_APPLICATIONS: Final = (
    "SELECT x.*, k.status AS identity, f.missing,"
    " COALESCE(d.outcome, NULLIF(e.outcome, 'allow')) AS decision FROM {rows} x"
    " LEFT JOIN kyc_profiles k ON k.tenant_id = x.tenant_id AND k.user_id = x.user_id"
    " LEFT JOIN offer_searches f ON f.tenant_id = x.tenant_id"
    " AND f.application_id = x.application_id"
    " LEFT JOIN decisions d ON d.tenant_id = x.tenant_id"
    " AND d.application_id = x.application_id AND d.phase = 'credit'"
    " LEFT JOIN decisions e ON e.tenant_id = x.tenant_id"
    " AND e.application_id = x.application_id AND e.phase = 'eligibility'"
)
_LEDGER: Final = (
    "SELECT x.*, (SELECT jsonb_agg(jsonb_build_object('account', p.account,"
    " 'amount_minor', p.amount_minor) ORDER BY p.amount_minor DESC, p.account)"
    " FROM ledger_postings p WHERE p.tenant_id = x.tenant_id AND p.entry_id = x.entry_id)"
    " AS postings FROM {rows} x"
)

# Materialised, so that one person's few rows are never looked for among everybody's.
_OWN: Final = (
    "(WITH own AS MATERIALIZED (SELECT t.* FROM {table} t WHERE t.tenant_id = $1"
    " AND t.application_id IN (SELECT a.application_id FROM applications a"
    " WHERE a.tenant_id = $1 AND a.user_id = ${user})) SELECT * FROM own)"
)


@dataclass(frozen=True, slots=True)
class Source(Generic[T]):
    """A table of the schema: its key, how it is read, and what may narrow a list of it."""

    table: str
    key: str
    prefix: str  # of the key's ids
    record: Callable[[Any], T]
    select: str = "SELECT x.* FROM {rows} x"
    order: str = "x.created_at"  # within one application
    filters: frozenset[str] = frozenset()
    of_applicants: bool = True  # whether applicants may see their own


APPLICATIONS: Final = Source(
    "applications", "application_id", "app", graph_rows.application_record, _APPLICATIONS,
    filters=frozenset({"state", "stage", "user_id"}),
)  # fmt: skip
OFFERS: Final = Source(
    "offers", "offer_id", "off", graph_rows.offer_record,
    order="x.apr_bps, x.total_repayable_minor, x.offer_id",
    filters=frozenset({"status", "provider_id"}),
)  # fmt: skip
ASSESSMENTS: Final = Source(
    "assessments", "application_id", "app", graph_rows.assessment_record, order="x.assessed_at"
)
LOANS: Final = Source(
    "loans", "loan_id", "loan", graph_rows.loan_record, order="x.booked_at",
    filters=frozenset({"provider_id"}),
)  # fmt: skip
SETTLEMENTS: Final = Source(
    "settlements", "settlement_id", "set", graph_rows.settlement_record,
    filters=frozenset({"state"}),
)  # fmt: skip
LEDGER: Final = Source(
    "ledger_entries", "entry_id", "led", graph_rows.ledger_record, _LEDGER,
    order="x.booked_at, x.entry_id", filters=frozenset({"kind", "state"}),
)  # fmt: skip
DECISIONS: Final = Source(
    "decisions", "application_id", "app", graph_rows.decision_record, order="x.decided_at, x.phase"
)
REVIEWS: Final = Source(
    "reviews", "review_id", "rev", graph_rows.review_record, order="x.created_at, x.review_id",
    filters=frozenset({"status", "kind"}), of_applicants=False,
)  # fmt: skip


class PostgresGraph:
    """Reads one moment of one tenant's records."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def snapshot(self, tenant_id: str, only_user: str | None) -> AsyncIterator[GraphSnapshot]:
        """What the tenant's records are at one moment; of one person, if one is named.

        Raises Unavailable when the database is away or a statement takes too long.
        """
        async with self._database.snapshot(tenant_id, STATEMENT_S) as tx:
            yield GraphSnapshot(tx, only_user)


class GraphSnapshot:
    """Batched reads of one moment; nothing of another person than `only_user`, if there is one."""

    def __init__(self, tx: Transaction, only_user: str | None) -> None:
        self._tx = tx
        self._only_user = only_user

    async def by_key(self, source: Source[T], keys: Sequence[str]) -> dict[str, T]:
        """Records by their keys; an unknown or foreign key is absent."""
        rows = await self._rows(source, f"x.{source.key} = ANY($2::text[])", list(keys))
        return {row[source.key]: source.record(row) for row in rows}

    async def of_applications(
        self, source: Source[T], ids: Sequence[str], column: str = "application_id"
    ) -> dict[str, list[T]]:
        """Records of each application, in the source's own order."""
        rows = await self._rows(
            source, f"x.{column} = ANY($2::text[])", list(ids), order=source.order
        )
        found: dict[str, list[T]] = {}
        for row in rows:
            found.setdefault(row[column], []).append(source.record(row))
        return found

    async def page(self, source: Source[T], page: Page) -> list[T]:
        """A part of a list, the newest first, with one row more than asked for if there is one."""
        wanted, values = [], []
        if page.after is not None:
            wanted.append(f"x.{source.key} < $2")
            values.append(page.after)
        for column, value in page.only.items():
            assert column in source.filters, column
            values.append(value)
            wanted.append(f"x.{column} = ${len(values) + 1}")
        rows = await self._rows(
            source,
            " AND ".join(wanted) or "true",
            *values,
            order=f"x.{source.key} DESC",
            limit=page.first + 1,
        )
        return [source.record(row) for row in rows]

    async def people(self, user_ids: Sequence[str]) -> dict[str, PersonRecord]:
        """What is known of these people; of the one person alone, if there is one."""
        allowed = [each for each in user_ids if self._only_user in (None, each)]
        if not allowed:
            return {}
        rows = await self._tx.rows(
            "SELECT user_id, CASE WHEN status = 'verified' AND expires_at <= now()"
            " THEN 'expired' ELSE status END AS status, reason, concluded_by, verified_at,"
            " expires_at, screening FROM kyc_profiles"
            " WHERE tenant_id = $1 AND user_id = ANY($2::text[])",
            self._tx.tenant_id, allowed,
        )  # fmt: skip
        return {row["user_id"]: graph_rows.person_record(row) for row in rows}

    async def applications_of_people(
        self, user_ids: Sequence[str]
    ) -> dict[str, list[ApplicationRecord]]:
        """Each person's applications, the newest first, at most 20 of each."""
        allowed = [each for each in user_ids if self._only_user in (None, each)]
        newest = (
            "(SELECT a.* FROM unnest($2::text[]) AS u (user_id) CROSS JOIN LATERAL"
            " (SELECT * FROM applications WHERE tenant_id = $1 AND user_id = u.user_id"
            " ORDER BY application_id DESC LIMIT $3) a)"
        )
        rows = await self._tx.rows(
            _APPLICATIONS.format(rows=newest) + " ORDER BY x.application_id DESC",
            self._tx.tenant_id, allowed, APPLICATIONS_OF_A_PERSON,
        )  # fmt: skip
        found: dict[str, list[ApplicationRecord]] = {}
        for row in rows:
            found.setdefault(row["user_id"], []).append(graph_rows.application_record(row))
        return found

    async def _rows(
        self,
        source: Source[Any],
        wanted: str,
        *values: object,
        order: str | None = None,
        limit: int | None = None,
    ) -> list[Any]:
        """Rows of a source; every word of the statement is ours, every value an argument."""
        rows, arguments = source.table, [self._tx.tenant_id, *values]
        if self._only_user is not None:
            if not source.of_applicants:
                return []
            arguments.append(self._only_user)
            rows = _OWN.format(table=source.table, user=len(arguments))
        statement = source.select.format(rows=rows) + f" WHERE x.tenant_id = $1 AND {wanted}"
        statement += f" ORDER BY {order}" if order else ""
        if limit is not None:
            arguments.append(limit)
            statement += f" LIMIT ${len(arguments)}"
        return await self._tx.rows(statement, *arguments)
