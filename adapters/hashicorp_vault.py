"""Credentials in HashiCorp Vault, or what speaks its protocol: the KV secrets engine, version 2.

https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2 (read 2026-11). Every change writes a
new version there, and the row remembers its number: whoever reads an older one gets the older one.
What Vault answers is never part of an error or a log line.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from pydantic import SecretStr

from adapters.credential_vault import HASHICORP, CredentialRef, Kept
from adapters.http import Answer, HTTPCaller, new_client
from adapters.strict_json import parse_object
from adapters.vault import Undecipherable
from models.domain.errors import Permanent, Transient, Unavailable

VAULT_UNAVAILABLE: Final = "VAULT_UNAVAILABLE"
# A token is renewed by signing in again, this much of its life before it ends.
_RENEW_AT: Final = 0.8
_SHORTEST_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class VaultAccess:
    """Where secrets are kept, and who we are: a token, or an AppRole that signs in for one."""

    mount: str = "secret"
    path: str = "caas/providers"
    namespace: str | None = None
    token: str | None = field(default=None, repr=False)
    role_id: str | None = None
    secret_id: str | None = field(default=None, repr=False)
    approle_mount: str = "approle"


class HashiCorpVault:
    """Satisfies `CredentialVault`; one secret per provider, one version of it per rotation."""

    name: str = HASHICORP

    def __init__(
        self, caller: HTTPCaller, access: VaultAccess, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._caller = caller
        self._access = access
        self._clock = clock
        self._token = access.token
        self._token_until = float("inf") if access.token else float("-inf")
        self._signing_in = asyncio.Lock()

    async def seal(self, ref: CredentialRef, secrets: Mapping[str, str]) -> Kept:
        """Write a new version; raises Unavailable."""
        answer = await self._ask("POST", self._place("data", ref), {"data": dict(secrets)})
        version = _data(answer).get("version")
        if not isinstance(version, int) or version < 1:
            raise Unavailable(VAULT_UNAVAILABLE, "no version in the answer")
        return Kept(self.name, vault_version=version)

    async def open(self, ref: CredentialRef, kept: Kept) -> Mapping[str, str]:
        """Read exactly the version on record; raises Undecipherable if it was destroyed."""
        place = f"{self._place('data', ref)}?version={kept.vault_version}"
        found = _data(await self._ask("GET", place)).get("data")
        if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
            raise Undecipherable("CREDENTIALS_DESTROYED", ref.provider_id)
        return found

    async def destroy(self, ref: CredentialRef, kept: Kept) -> None:
        """Destroy exactly the version on record, for good; again is no error."""
        versions = {"versions": [kept.vault_version]}
        await self._ask("POST", self._place("destroy", ref), versions)

    def _place(self, operation: str, ref: CredentialRef) -> str:
        named = "/".join(quote(each, safe="") for each in (ref.tenant_id, ref.provider_id))
        return f"/v1/{self._access.mount}/{operation}/{self._access.path}/{named}"

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """One request; a token that Vault no longer knows is replaced once."""
        answer = await self._call(method, path, body, await self._valid_token())
        if answer.status == 403 and self._access.role_id is not None:
            self._token_until = float("-inf")
            answer = await self._call(method, path, body, await self._valid_token())
        if answer.status in (404, 405) and method == "GET":
            # Absent, or its versions deleted: the same to us.
            return Answer(404, {}, {})
        if answer.status >= 400:
            raise Unavailable(VAULT_UNAVAILABLE, f"status {answer.status}")
        return answer

    async def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None, token: str | None
    ) -> Answer:
        headers = {"accept": "application/json", "x-vault-request": "true"}
        if token is not None:
            headers["x-vault-token"] = token
        if self._access.namespace is not None:
            headers["x-vault-namespace"] = self._access.namespace
        content = b""
        if body is not None:
            headers["content-type"] = "application/json"
            content = json.dumps(body, ensure_ascii=False).encode()
        try:
            received = await self._caller.exchange(method, path, content, headers)
        except (Transient, Permanent) as error:
            # Its message names our path in Vault, which says nothing secret.
            raise Unavailable(VAULT_UNAVAILABLE, error.code) from error
        # Writes that have nothing to tell are answered by 204 and no body.
        return Answer(received.status, received.headers, _object(received.raw))

    async def _valid_token(self) -> str:
        async with self._signing_in:
            if self._token is None or self._clock() >= self._token_until:
                await self._sign_in()
            if self._token is None:
                raise Unavailable(VAULT_UNAVAILABLE, "not signed in")
            return self._token

    async def _sign_in(self) -> None:
        access = self._access
        told = {"role_id": access.role_id, "secret_id": access.secret_id}
        answer = await self._call("POST", f"/v1/auth/{access.approle_mount}/login", told, None)
        granted = answer.body.get("auth")
        token = granted.get("client_token") if isinstance(granted, dict) else None
        if answer.status >= 400 or not isinstance(token, str):
            raise Unavailable(VAULT_UNAVAILABLE, f"sign-in: status {answer.status}")
        lasts_s = granted.get("lease_duration") if isinstance(granted, dict) else None
        lasts_s = float(lasts_s) if isinstance(lasts_s, int) and lasts_s > 0 else _SHORTEST_S
        self._token = token
        self._token_until = self._clock() + max(_SHORTEST_S, lasts_s * _RENEW_AT)


def vault_at(
    address: str,
    *,
    deadline_s: float,
    ca_path: Path | None,
    token: SecretStr | None,
    secret_id: SecretStr | None,
    **named: str | None,
) -> tuple[HashiCorpVault, Callable[[], Awaitable[None]]]:
    """The vault at this address, and what closes its connections; `named` is of `VaultAccess`.

    Raises OSError when the authorities to trust cannot be read.
    """
    trusted = ssl.create_default_context(cafile=ca_path) if ca_path else None
    client = new_client(tls=trusted)
    shown = {
        "token": token.get_secret_value() if token else None,
        "secret_id": secret_id.get_secret_value() if secret_id else None,
    }
    access = VaultAccess(**shown, **named)  # type: ignore[arg-type]
    return HashiCorpVault(HTTPCaller(client, address, deadline_s), access), client.aclose


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        return parse_object(raw) if raw else {}
    except ValueError:
        return {}


def _data(answer: Answer) -> Mapping[str, Any]:
    found = answer.body.get("data")
    return found if isinstance(found, dict) else {}
