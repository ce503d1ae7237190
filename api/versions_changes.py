"""The dated changes of `/api/v1`, the newest last, and what is on its way out.

A change that older clients would not survive gets a class here, with the day it is published; the
routes then speak the new form only. Additions (a field of an answer, an operation) need none.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from api.versions import FIRST, Document, NotOfThisVersion, Operation, Retiring, Versions


class DecisionsByName:
    """A review's decision is a word: `decision` instead of the truth value `approved`.

    A truth value has no room for a third decision, and reads like a state in the answer, where
    the review may still be `open`.
    """

    version: Final = "2026-11-22"
    about: Final = (
        "A review's decision is `decision`: `approve` or `reject`, in what is sent and answered; "
        "before, `approved`: true or false."
    )
    operations: Final = frozenset({("POST", "/api/v1/reviews/{review_id}/decision")})

    def request(self, sent: Document) -> Document:
        """`approved` as `decision`; nothing else, and `decision` itself was not known yet."""
        if "decision" in sent:
            raise NotOfThisVersion("decision", "extra_forbidden")
        if "approved" not in sent:
            raise NotOfThisVersion("approved", "missing")
        approved = sent["approved"]
        if not isinstance(approved, bool):
            raise NotOfThisVersion("approved", "bool_type")
        rest = {name: value for name, value in sent.items() if name != "approved"}
        return {"decision": "approve" if approved else "reject", **rest}

    def answer(self, given: Document) -> Document:
        """`decision` as `approved`, in its place."""
        return {
            ("approved" if name == "decision" else name): (
                value == "approve" if name == "decision" else value
            )
            for name, value in given.items()
        }


# A superseded version is served for a year at least.
RETIRING: Final = {FIRST: Retiring(date(2026, 11, 22), date(2027, 12, 1))}

# Operations on their way out, described as deprecated; none is today.
RETIRING_OPERATIONS: Final[dict[Operation, Retiring]] = {}

VERSIONS: Final = Versions([DecisionsByName()], RETIRING)
