"""The keys and passwords of one sandbox stack."""

from __future__ import annotations

import base64
import secrets
from typing import Final

DATABASE_ROLES: Final = ("app", "chain", "relay")


class Secrets:
    """Drawn when a stack is made; they live as long as it does."""

    def __init__(self) -> None:
        self.master_key = base64.b64encode(secrets.token_bytes(32)).decode()
        self.callback_secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        self.identity_key = secrets.token_urlsafe(24)
        self.bureau_key = secrets.token_urlsafe(24)
        self.notifier_key = secrets.token_urlsafe(24)
        self.bank_secret = secrets.token_urlsafe(24)
        self.fintech_key = secrets.token_urlsafe(24)
        self.fintech_signing_secret = secrets.token_urlsafe(32)
        self.pool_key = secrets.token_urlsafe(24)
        self.soap_bank_password = secrets.token_urlsafe(24)
        self.steering = secrets.token_urlsafe(24)
        self.owner = secrets.token_hex(16)
        self.database = {role: secrets.token_hex(16) for role in DATABASE_ROLES}
