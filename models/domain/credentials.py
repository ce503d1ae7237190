"""Secrets we hand out: API keys, refresh tokens and invitations, all of one form.

`caas_key~acme~key_0199…~<43 characters>`: the kind, the tenant, the id of what it opens, and 256
random bits in base64url. All but the last part may be shown; of the whole, only a hash is kept. The
tenant stands in it because every look-up happens within one.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from models.domain.ids import is_id, is_name, new_id

_SECRET: Final = re.compile(r"[A-Za-z0-9_\-]{43}")
_LONGEST: Final = 256


class CredentialKind(StrEnum):
    """What a credential is for; the text it begins with."""

    API_KEY = "caas_key"
    REFRESH_TOKEN = "caas_refresh"  # noqa: S105 - a name
    INVITATION = "caas_invite"


_ID_PREFIX: Final = {
    CredentialKind.API_KEY: "key",
    CredentialKind.REFRESH_TOKEN: "ses",
    CredentialKind.INVITATION: "inv",
}


@dataclass(frozen=True, slots=True)
class Credential:
    """One of them; `named_id` is the key's, the session's or the invitation's id."""

    kind: CredentialKind
    tenant_id: str
    named_id: str
    secret: str = field(repr=False)

    @classmethod
    def new(cls, kind: CredentialKind, tenant_id: str, named_id: str | None = None) -> Credential:
        """A fresh one; for a new thing unless one is named."""
        named_id = named_id or new_id(_ID_PREFIX[kind])
        return cls(kind, tenant_id, named_id, secrets.token_urlsafe(32))

    @classmethod
    def read(cls, kind: CredentialKind, text: str) -> Credential | None:
        """What a text says, if it has the form; that it is valid is for the records to say."""
        parts = text.split("~") if len(text) <= _LONGEST else []
        if len(parts) != 4 or parts[0] != kind:
            return None
        _, tenant_id, named_id, secret = parts
        well_formed = (
            is_name(tenant_id)
            and is_id(named_id, _ID_PREFIX[kind])
            and _SECRET.fullmatch(secret) is not None
        )
        return cls(kind, tenant_id, named_id, secret) if well_formed else None

    @property
    def text(self) -> str:
        """What is handed out, once."""
        return f"{self.shown}~{self.secret}"

    @property
    def shown(self) -> str:
        """What may be shown of it ever after."""
        return f"{self.kind}~{self.tenant_id}~{self.named_id}"

    @property
    def fingerprint(self) -> str:
        """What is kept: SHA-256 of 256 random bits needs neither salt nor slowness."""
        return hashlib.sha256(self.text.encode()).hexdigest()
