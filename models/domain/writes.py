"""A write request and its answer, kept so that a repetition has no second effect."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class WriteKey:
    """One write request: who asked for what, under which key."""

    tenant_id: str
    subject: str
    route: str
    key: str
    body_sha256: bytes

    @property
    def effect_id(self) -> str:
        """The identity of this write's effect: the same for a repetition, and for nothing else."""
        parts = (self.tenant_id, self.subject, self.route, self.key, self.body_sha256.hex())
        return sha256("|".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer as it was given: status, headers that matter, and the exact bytes."""

    status: int
    headers: dict[str, str]
    body: bytes
