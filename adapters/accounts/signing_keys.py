"""Keys that sign access tokens: made here, sealed for the database, opened again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from joserfc.jwk import ECKey, Key, KeyParameters, OKPKey

from adapters.vault import Keyring
from models.domain.ids import PLATFORM

Algorithm = Literal["EdDSA", "ES256"]

_PURPOSE: Final = "signing-keys"
# What a token's header says: EdDSA goes by the name of its curve (RFC 9864).
HEADER_NAME: Final = {"EdDSA": "Ed25519", "ES256": "ES256"}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """It signs from `active_from` until a later one does; its tokens are good to `expires_at`."""

    kid: str
    algorithm: str  # as a token's header says it
    private: Key = field(repr=False)
    active_from: datetime
    expires_at: datetime | None

    @property
    def public(self) -> Key:
        """The half that is published."""
        kind = OKPKey if isinstance(self.private, OKPKey) else ECKey
        return kind.import_key(dict(self.private.as_dict(private=False)))


def new_private_key(algorithm: Algorithm) -> Key:
    """A fresh key; its id is its thumbprint (RFC 7638)."""
    parameters: KeyParameters = {"use": "sig", "alg": HEADER_NAME[algorithm]}
    if algorithm == "EdDSA":
        return OKPKey.generate_key("Ed25519", parameters, private=True, auto_kid=True)
    return ECKey.generate_key("P-256", parameters, private=True, auto_kid=True)


def seal_private_key(keyring: Keyring, key: Key) -> bytes:
    """The private key under the platform's own key."""
    document = json.dumps(dict(key.as_dict(private=True))).encode()
    return keyring.seal(PLATFORM, _PURPOSE, document, _context(str(key.kid)))


def open_private_key(keyring: Keyring, version: str, kid: str, sealed: bytes) -> Key:
    """What was sealed for this key id; raises Undecipherable.

    The public half is computed from it: whoever can write rows cannot have us trust a key.
    """
    document = json.loads(keyring.open(PLATFORM, _PURPOSE, version, sealed, _context(kid)))
    return OKPKey.import_key(document) if document["kty"] == "OKP" else ECKey.import_key(document)


def _context(kid: str) -> str:
    return f"signing_keys.sealed_private|{kid}"
