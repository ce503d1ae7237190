"""Errors of the domain. Outcomes (declined, expired, a screening hit) are values, not errors.

    CreditError
    ├── Refused               the caller asked for something that cannot be; `code` is published
    │   ├── NotFound          absent, or another tenant's: the same answer
    │   ├── Conflict          the thing is in a state that does not allow it
    │   └── Invalid           well-formed, but not acceptable (a signature, a wallet)
    ├── Permanent             an outside system refuses for good: never retried
    └── Transient             an outside system failed for now: Temporal retries, adapters never do
        └── Unavailable       it cannot be reached at all
    InvariantViolated         a bug: stop before money moves

Temporal matches error *names*: the names below are listed in `PERMANENT_ERROR_TYPES`.
"""

from __future__ import annotations

from typing import Final


class CreditError(Exception):
    """An error with a published, stable code."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class Refused(CreditError):
    """The caller asked for something that cannot be."""


class NotFound(Refused):
    """Absent, or belonging to somebody else; both look the same."""


class Conflict(Refused):
    """The state of the thing does not allow what was asked."""


class Invalid(Refused):
    """Well-formed but not acceptable."""


class Permanent(CreditError):
    """An outside system refuses for good; retrying is useless."""


class Transient(CreditError):
    """An outside system failed for now."""


class Unavailable(Transient):
    """An outside system cannot be reached."""


class InvariantViolated(CreditError):
    """Something that must always hold does not: a bug, never an outcome."""


PERMANENT_ERROR_TYPES: Final = [
    "Refused", "NotFound", "Conflict", "Invalid", "Permanent", "InvariantViolated",
]  # fmt: skip
