"""Four eyes: what needs several people needs different ones, and nobody judges their own case.

For reviews of applications, and for whatever else people approve: rules, models.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Objection(StrEnum):
    """Why somebody's approval does not count."""

    APPROVED_ALREADY = "approved_already"
    OWN_CASE = "own_case"


@dataclass(frozen=True, slots=True)
class Approvals:
    """Who has approved so far, of how many; `barred` are those whose own case it is.

    The author of a rule or a model, the applicant of an application.
    """

    needed: int
    given: tuple[str, ...] = ()
    barred: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.needed < 1:
            raise ValueError("at least one approval is needed")
        if len(set(self.given)) != len(self.given) or not self.barred.isdisjoint(self.given):
            raise ValueError("approvals that do not count")

    def objection(self, person: str) -> Objection | None:
        """Why this person cannot approve; None when they can."""
        if person in self.barred:
            return Objection.OWN_CASE
        return Objection.APPROVED_ALREADY if person in self.given else None

    def completes(self) -> bool:
        """Whether one more approval is the last one needed."""
        return len(self.given) + 1 >= self.needed

    def with_one_more(self, person: str) -> Approvals:
        """After this person's approval; ValueError if it does not count."""
        if (objection := self.objection(person)) is not None:
            raise ValueError(objection)
        return Approvals(self.needed, (*self.given, person), self.barred)

    @property
    def complete(self) -> bool:
        """Whether enough people have approved."""
        return len(self.given) >= self.needed
