"""Whose an API key is: asked of the database once a minute for each key, not at each request."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from typing import Final

from adapters.postgres.service_accounts import PostgresServiceAccounts
from models.domain.accounts import KeyHolder
from models.domain.credentials import Credential, CredentialKind

# A key that was rotated or revoked is not waited out: revocations are looked at on every request.
REMEMBERED_S: Final = 60.0
REMEMBERED_KEYS: Final = 4_096


class KeyDesk:
    """Remembers good keys for a minute; bad ones never."""

    def __init__(self, records: PostgresServiceAccounts) -> None:
        self._records = records
        self._known: OrderedDict[bytes, tuple[float, KeyHolder]] = OrderedDict()

    async def holder(self, key: str) -> KeyHolder | None:
        """Whose the key is; None unless it is good. Raises Unavailable without the database."""
        credential = Credential.read(CredentialKind.API_KEY, key)
        if credential is None:
            return None
        name = hashlib.sha256(key.encode()).digest()
        now = time.monotonic()
        asked_at, holder = self._known.get(name, (float("-inf"), None))
        if holder is not None and now - asked_at < REMEMBERED_S:
            self._known.move_to_end(name)
            return holder
        self._known.pop(name, None)
        holder = await self._records.holder(credential)
        if holder is not None:
            self._known[name] = (now, holder)
            if len(self._known) > REMEMBERED_KEYS:
                self._known.popitem(last=False)
        return holder
