"""Stored answers that hold a secret: kept sealed, replayed byte for byte.

The row alone tells nothing; it opens with the tenant's key, which is in no table.
"""

from __future__ import annotations

from typing import Final

from adapters.postgres import idempotency
from adapters.postgres.database import Transaction
from models.domain.writes import StoredAnswer, WriteKey

_PURPOSE: Final = "answers"
_SEALED_WITH: Final = "sealed-with"


async def reserve(tx: Transaction, write: WriteKey) -> StoredAnswer | None:
    """As `idempotency.reserve`; opens what `answer` sealed."""
    kept = await idempotency.reserve(tx, write)
    if kept is None or _SEALED_WITH not in kept.headers:
        return kept
    headers = dict(kept.headers)
    version = headers.pop(_SEALED_WITH)
    body = tx.keyring.open(tx.tenant_id, _PURPOSE, version, kept.body, _context(write))
    return StoredAnswer(kept.status, headers, body)


async def answer(tx: Transaction, write: WriteKey, given: StoredAnswer) -> None:
    """As `idempotency.answer`, with the body sealed."""
    body = tx.keyring.seal(tx.tenant_id, _PURPOSE, given.body, _context(write))
    headers = {**given.headers, _SEALED_WITH: tx.keyring.current}
    await idempotency.answer(tx, write, StoredAnswer(given.status, headers, body))


def _context(write: WriteKey) -> str:
    return f"idempotency_keys.response|{write.tenant_id}|{write.route}|{write.key}"
