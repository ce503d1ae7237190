"""What is known of a run, as plain values: read once, never written, checked at leisure.

Rows are those the database's superuser sees; the chain is asked over plain JSON-RPC; Temporal's
answers, the counterparties' journals and the client's own log come as they were written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from temporalio.client import WorkflowHistory

Row = dict[str, Any]
# (tenant, application)
Ref = tuple[str, str]


@dataclass
class Log:
    """One event of a contract; amounts are token units, addresses lower case."""

    block_number: int
    block_hash: str
    tx_hash: str
    topics: list[str]
    words: list[str]


@dataclass
class Sent:
    """One mined transaction."""

    tx_hash: str
    sender: str
    nonce: int
    block_number: int


# A block's time is a whole second, rounded down; two clocks are read apart; and a reorganisation
# mines a block or two again at once.
_CLOCK_SLACK_S: Final = 4.0


@dataclass
class Chain:
    """The chain from its first block to its newest."""

    head: int
    confirmations: int
    aggregator: str
    token: str
    token_decimals: int
    relayer: str
    disbursed: list[Log]
    transfers: list[Log]
    sent: list[Sent]
    block_hashes: dict[int, str]
    block_times: dict[int, int]
    transaction_counts: dict[str, int]
    behind_s: float  # its newest block's clock behind ours; a chain that was killed falls behind
    balances: dict[str, int]  # token units at the newest final block, by lower-case address

    @property
    def final(self) -> int:
        """The newest block that is at depth."""
        return self.head - self.confirmations + 1

    def mined_by(self, number: int) -> float:
        """A moment of our clock (Unix seconds) at which the block was mined already.

        A killed or reorganised chain goes on with a clock that is behind, and the next restart may
        set it right; but its blocks come one by one: so many later ones take their time.
        """
        times = self.block_times
        now = times[self.head] + self.behind_s
        gaps = [times[each] - times[each - 1] for each in sorted(times) if each - 1 in times]
        by_its_followers = now - (self.head - number) * (median(gaps) if gaps else 0)
        return max(times[number], by_its_followers) + _CLOCK_SLACK_S


@dataclass
class Execution:
    """One run of a workflow as Temporal knows it; `result` is readable."""

    workflow_id: str
    run_id: str
    type: str
    status: str
    result: Any
    history: WorkflowHistory | None


@dataclass
class Probe:
    """What one tenant's token was answered about an id of another."""

    tenant: str
    owner: str
    path: str
    status: int


@dataclass
class Topic:
    """What the broker holds: (partition, offset, key, event id), in the broker's order."""

    records: list[tuple[int, int, str, str]]


@dataclass
class Evidence:
    """Everything the checks look at."""

    tables: dict[str, list[Row]]
    chain: Chain
    executions: list[Execution]
    journals: dict[str, list[Row]]
    client: list[Row]
    probes: list[Probe]
    backlog: dict[str, int]  # Temporal's task queues that hold work, by name
    taken_at: float  # Unix time of the database's snapshot
    topic: Topic | None = None
    tails: dict[str, int] = field(default_factory=dict)  # audit rows not sealed yet, by tenant

    def rows(self, table: str) -> list[Row]:
        """All rows of a table; none if there is no such table."""
        return self.tables.get(table, [])

    def by_application(self, table: str) -> dict[Ref, list[Row]]:
        """The rows of a table by tenant and application."""
        return grouped(self.rows(table), "application_id")

    def applications(self) -> dict[Ref, Row]:
        """Every application."""
        return {(row["tenant_id"], row["application_id"]): row for row in self.rows("applications")}

    def accepted(self) -> dict[Ref, Row]:
        """The accepted offer of each application that has one (the first, if there are more)."""
        found: dict[Ref, Row] = {}
        for row in self.rows("offers"):
            if row["status"] == "accepted":
                found.setdefault((row["tenant_id"], row["application_id"]), row)
        return found

    def audit(self, action: str) -> dict[Ref, list[Row]]:
        """Audit rows of one action, by tenant and subject."""
        return grouped(
            (row for row in self.rows("audit_log") if row["action"] == action), "subject_id"
        )

    def effects(self, effect: str) -> Iterable[tuple[str, Row]]:
        """(counterparty, line) of each effect of that name."""
        for name, lines in self.journals.items():
            for line in lines:
                if line["kind"] == "effect" and line["effect"] == effect:
                    yield name, line


def grouped(rows: Iterable[Row], column: str) -> dict[Ref, list[Row]]:
    """Rows by tenant and another column."""
    found: dict[Ref, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["tenant_id"], row[column]].append(row)
    return found


@dataclass
class Tally:
    """Counts what was looked at and what did not hold; keeps a few examples."""

    checked: int = 0
    violations: int = 0
    examples: list[str] = field(default_factory=list)

    def expect(self, holds: object, what: str, *about: object) -> bool:
        """Count one look; returns whether it held."""
        self.checked += 1
        if not holds:
            self.violations += 1
            if len(self.examples) < 5:
                self.examples.append(" ".join([what, *map(str, about)]))
        return bool(holds)


def once_each(tally: Tally, counts: Mapping[Any, int], what: str) -> None:
    """Expect that nothing occurs twice."""
    for key, count in counts.items():
        tally.expect(count == 1, what, key, f"{count} times")
