"""Credentials in a vault outside: on a stand-in, and on a real server where one is installed."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import structlog

from adapters.credential_vault import CredentialRef, CredentialVaults, EnvelopeVault, Kept
from adapters.hashicorp_vault import HashiCorpVault, VaultAccess
from adapters.http import HTTPCaller, HTTPClient, new_client
from adapters.vault import Keyring, Undecipherable
from models.domain.errors import Unavailable
from sandbox.services.ports import free_port
from sandbox.services.process import ManagedProcess
from tests.adapters.key_value_vault import ROOT, KeyValueVault

pytestmark = pytest.mark.stack

REF = CredentialRef("acme", "prv_1", 1)
SECRETS = {"client_id": "acme", "client_secret": "canary-s3cret zwölf"}
SERVER = Path(sys.executable).parent / "bao"


@dataclass
class Served:
    """A vault that answers, however it does."""

    url: str
    role: VaultAccess
    client: HTTPClient

    def vault(self, access: VaultAccess | None = None) -> HashiCorpVault:
        return HashiCorpVault(HTTPCaller(self.client, self.url, 5.0), access or self.role)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A real server (OpenBao, which speaks Vault's protocol) for this module."""
    port = free_port()
    server = ManagedProcess(
        "vault",
        [
            str(SERVER), "server", "-dev", "-dev-no-store-token",
            f"-dev-root-token-id={ROOT}", f"-dev-listen-address=127.0.0.1:{port}",
        ],
        state_dir=tmp_path_factory.mktemp("vault"),
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    await server.start()
    try:
        async with new_client() as client:
            yield Served(url, await an_app_role(HTTPCaller(client, url, 5.0), server), client)
    finally:
        await server.terminate()


@pytest.fixture
def ref(request: pytest.FixtureRequest) -> CredentialRef:
    """A place in the vault that is this test's alone."""
    return CredentialRef("acme", re.sub(r"\W+", "-", request.node.name), 1)


async def an_app_role(caller: HTTPCaller, server: ManagedProcess) -> VaultAccess:
    """A role that may do with our path what the guide says, and nothing else."""

    async def administer(method: str, path: str, body: Any = None) -> Any:
        headers = {"x-vault-token": ROOT, "content-type": "application/json"}
        content = json.dumps(body or {}).encode()
        received = await caller.exchange(method, f"/v1/{path}", content, headers)
        assert received.status < 300, received
        return json.loads(received.raw) if received.raw else {}

    async def answers() -> bool:
        try:
            await caller.exchange("GET", "/v1/sys/health", b"", {})
        except Unavailable:
            return False
        return True

    await server.ready(answers, 30.0)
    policy = (
        'path "secret/data/caas/providers/*" { capabilities = ["create", "update", "read"] }\n'
        'path "secret/destroy/caas/providers/*" { capabilities = ["update"] }'
    )
    await administer("POST", "sys/auth/approle", {"type": "approle"})
    await administer("PUT", "sys/policies/acl/caas", {"policy": policy})
    await administer(
        "POST", "auth/approle/role/caas", {"token_policies": "caas", "token_ttl": "60s"}
    )
    role = (await administer("GET", "auth/approle/role/caas/role-id"))["data"]["role_id"]
    secret = await administer("POST", "auth/approle/role/caas/secret-id")
    return VaultAccess(role_id=role, secret_id=secret["data"]["secret_id"])


async def test_what_was_sealed_opens_in_exactly_its_version(
    served: Served, ref: CredentialRef
) -> None:
    vault = served.vault()
    first = await vault.seal(ref, SECRETS)
    second = await vault.seal(replace(ref, version=2), {"client_secret": "another"})
    assert (first.vault, first.sealed_fields, first.wrapped_key) == ("hashicorp", None, None)
    assert (first.vault_version, second.vault_version) == (1, 2)
    assert await vault.open(ref, first) == SECRETS
    assert await vault.open(replace(ref, version=2), second) == {"client_secret": "another"}


async def test_what_was_destroyed_opens_no_more(served: Served, ref: CredentialRef) -> None:
    vault = served.vault()
    first, second = await vault.seal(ref, SECRETS), await vault.seal(ref, SECRETS)
    for _ in range(2):
        await vault.destroy(ref, first)
    with pytest.raises(Undecipherable, match="CREDENTIALS_DESTROYED"):
        await vault.open(ref, first)
    assert await vault.open(ref, second) == SECRETS


async def test_a_stranger_is_nowhere(served: Served, ref: CredentialRef) -> None:
    vault = served.vault()
    kept = await vault.seal(ref, SECRETS)
    for place in ({"tenant_id": "other"}, {"provider_id": "prv_2"}):
        with pytest.raises(Undecipherable):
            await vault.open(replace(ref, **place), kept)


async def test_a_static_token_does_as_well(served: Served, ref: CredentialRef) -> None:
    vault = served.vault(VaultAccess(token=ROOT))
    kept = await vault.seal(ref, SECRETS)
    assert await vault.open(ref, kept) == SECRETS


@pytest.mark.parametrize(
    "access",
    [VaultAccess(token="wrong"), VaultAccess(role_id="wrong", secret_id="wrong")],
    ids=["token", "role"],
)
async def test_who_is_refused_is_told_nothing(
    served: Served, ref: CredentialRef, access: VaultAccess
) -> None:
    with structlog.testing.capture_logs() as lines, pytest.raises(Unavailable) as refused:
        await served.vault(access).seal(ref, SECRETS)
    assert refused.value.code == "VAULT_UNAVAILABLE"
    said = f"{refused.value} {refused.value.__cause__} {lines}"
    assert "canary" not in said
    assert "wrong" not in said


async def test_nothing_secret_is_logged_on_the_way(served: Served, ref: CredentialRef) -> None:
    with structlog.testing.capture_logs() as lines:
        vault = served.vault()
        await vault.open(ref, await vault.seal(ref, SECRETS))
    assert lines
    assert "canary" not in str(lines)
    assert str(served.role.secret_id) not in str(lines)
    assert "secret_id" not in repr(served.role)


async def test_callers_at_once_sign_in_once(served: Served, ref: CredentialRef) -> None:
    vault = served.vault()
    with structlog.testing.capture_logs() as lines:
        await asyncio.gather(*(vault.seal(ref, SECRETS) for _ in range(10)))
    assert [each["call"] for each in lines].count("POST /v1/auth/approle/login") == 1


async def test_the_vault_that_is_configured_seals_and_the_row_still_opens(
    served: Served, ref: CredentialRef
) -> None:
    rows = EnvelopeVault(Keyring({"v1": b"k" * 32}))
    before = await rows.seal(ref, SECRETS)
    vaults = CredentialVaults([served.vault(), rows])
    assert (await vaults.seal(ref, SECRETS)).vault == "hashicorp"
    assert await vaults.open(ref, before) == SECRETS


# What a real server does only after a while, or when it is told to.


async def signed_in() -> tuple[KeyValueVault, Any, HTTPClient, HashiCorpVault, list[float]]:
    fake, client, now = KeyValueVault(), new_client(), [0.0]
    runner = await fake.start()
    access = VaultAccess(role_id=fake.role_id, secret_id=fake.secret_id)
    vault = HashiCorpVault(HTTPCaller(client, fake.url, 5.0), access, lambda: now[0])
    await vault.seal(REF, SECRETS)
    return fake, runner, client, vault, now


async def test_a_token_that_is_no_longer_known_is_replaced_once() -> None:
    fake, runner, client, vault, now = await signed_in()
    fake.forget_tokens()
    assert await vault.open(REF, Kept("hashicorp", vault_version=1)) == SECRETS
    now[0] += 59.0  # and one whose life is nearly over, before it is refused
    with structlog.testing.capture_logs() as lines:
        await vault.open(REF, Kept("hashicorp", vault_version=1))
    assert [each["status"] for each in lines] == [200, 200]
    await runner.cleanup()
    await client.aclose()


async def test_a_sealed_or_absent_vault_is_away_and_opens_nothing() -> None:
    fake, runner, client, vault, _ = await signed_in()
    fake.sealed = True
    with pytest.raises(Unavailable, match="VAULT_UNAVAILABLE"):
        await vault.open(REF, Kept("hashicorp", vault_version=1))
    await runner.cleanup()
    with pytest.raises(Unavailable, match="VAULT_UNAVAILABLE"):
        await vault.open(REF, Kept("hashicorp", vault_version=1))
    await client.aclose()
