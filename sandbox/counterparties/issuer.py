"""The sandbox's token issuer: what an identity provider is in production.

Signs access tokens (RFC 9068, header `typ: at+jwt`) with its own key (`alg: Ed25519`, RFC 9864) and
publishes the public half as a JWK set. On the command line it prints a token:

    python -m sandbox.counterparties.issuer --dir DIR --subject SUB --tenant TENANT --role ROLE
"""

from __future__ import annotations

import argparse
import json
import os
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from joserfc import jwt
from joserfc.jwk import OKPKey

ISSUER: Final = "urn:caas:sandbox-issuer"
AUDIENCE: Final = "caas-api"
ALGORITHM: Final = "Ed25519"

JWKS_FILE: Final = "jwks.json"
_PRIVATE_FILE: Final = "issuer-private-key.json"


class SandboxIssuer:
    """Mints access tokens; `jwks_path` is the file that verifiers read."""

    def __init__(self, directory: Path, key: OKPKey) -> None:
        self.jwks_path = directory / JWKS_FILE
        self._key = key

    @classmethod
    def create(cls, directory: Path) -> SandboxIssuer:
        """A new issuer with a new key; tokens of a former one in this directory lose their worth.

        Writes the JWK set and, readable by the owner alone, the private key.
        """
        directory.mkdir(parents=True, exist_ok=True)
        key = OKPKey.generate_key(
            "Ed25519", {"use": "sig", "alg": ALGORITHM}, private=True, auto_kid=True
        )
        _replace(directory / _PRIVATE_FILE, dict(key.as_dict(private=True)), mode=0o600)
        _replace(directory / JWKS_FILE, {"keys": [dict(key.as_dict(private=False))]}, mode=0o644)
        return cls(directory, key)

    @classmethod
    def load(cls, directory: Path) -> SandboxIssuer:
        """The issuer that was created in this directory; FileNotFoundError if there is none."""
        document = json.loads((directory / _PRIVATE_FILE).read_text("utf-8"))
        return cls(directory, OKPKey.import_key(document))

    def token(
        self,
        subject: str,
        tenant: str,
        roles: Sequence[str],
        *,
        audience: str = AUDIENCE,
        ttl_s: int = 3600,
        **overrides: Any,
    ) -> str:
        """An access token, valid from now for `ttl_s` seconds.

        `overrides` replace claims by name; None leaves a claim out. Verifiers' tests need wrong
        tokens as much as right ones.
        """
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": audience,
            "sub": subject,
            "tenant": tenant,
            "roles": list(roles),
            "iat": now,
            "nbf": now,
            "exp": now + ttl_s,
            "jti": uuid.uuid4().hex,
            **overrides,
        }
        header = {"alg": ALGORITHM, "typ": "at+jwt", "kid": self._key.kid}
        stated = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(header, stated, self._key, algorithms=[ALGORITHM])


def _replace(path: Path, document: dict[str, Any], *, mode: int) -> None:
    """Write a JSON file at once: a reader sees the old content or the new, never a part."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    # Created with its mode, so that a private key is at no moment readable by others.
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        json.dump(document, file)
    draft.replace(path)


def main() -> None:
    """Print a token of the issuer in a directory."""
    parser = argparse.ArgumentParser(description="Print an access token of the sandbox's issuer.")
    parser.add_argument("--dir", type=Path, required=True, help="the issuer's directory")
    parser.add_argument("--subject", required=True)
    parser.add_argument("--tenant", required=True)
    parser.add_argument("--role", action="append", default=[], help="may be repeated")
    parser.add_argument("--ttl-s", type=int, default=3600)
    arguments = parser.parse_args()
    try:
        issuer = SandboxIssuer.load(arguments.dir)
    except FileNotFoundError:
        parser.error(f"no issuer in {arguments.dir}: the sandbox creates it at its start")
    print(issuer.token(arguments.subject, arguments.tenant, arguments.role, ttl_s=arguments.ttl_s))


if __name__ == "__main__":
    main()
