"""A write request and its answer, kept so that a repetition has no second effect."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WriteKey:
    """One write request: who asked for what, under which key."""

    tenant_id: str
    subject: str
    route: str
    key: str
    body_sha256: bytes


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer as it was given: status, headers that matter, and the exact bytes."""

    status: int
    headers: dict[str, str]
    body: bytes
