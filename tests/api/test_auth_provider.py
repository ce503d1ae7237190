"""An identity provider by configuration alone, tried with a real one: `oidc-provider` on Node."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import subprocess
import urllib.parse
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from adapters.accounts.provider_keys import ProviderKeys
from adapters.http import HTTPCaller, HTTPClient, new_client
from api.auth import Principal, Role, Scope, TokenVerifier
from api.errors import Problem
from api.issuers import trusted_issuers
from sandbox.services.ports import free_port
from settings import ROOT, IssuerSettings, Settings

PROVIDER = ROOT / "tests" / "oidc"
SECRET = "a-secret-of-the-tests"
RESOURCE = "urn:caas:api"


class NoKeys:
    """Our own issuer has none here."""

    def key_set(self) -> Any:
        raise AssertionError("nobody's token is ours")

    async def look_again(self) -> bool:
        return False


@dataclass(frozen=True)
class Provider:
    """The provider as its clients see it."""

    issuer: str
    http: httpx.AsyncClient
    metadata: dict[str, Any]

    async def access_token(self, **asked: str) -> str:
        """A service's token, by client credentials."""
        form = {"grant_type": "client_credentials", "resource": RESOURCE, **asked}
        given = await self.http.post(
            self.metadata["token_endpoint"], data=form, auth=("reporting", SECRET)
        )
        assert given.status_code == 200, given.text
        return str(given.json()["access_token"])

    async def persons_tokens(self) -> dict[str, str]:
        """Zelda's access token and id token, by the code flow."""
        asked = {
            "client_id": "portal",
            "response_type": "code",
            "scope": "openid",
            "redirect_uri": "https://portal.example/callback",
            "resource": RESOURCE,
        }
        at = f"{self.metadata['authorization_endpoint']}?{urllib.parse.urlencode(asked)}"
        for _ in range(5):
            answer = await self.http.get(at)
            at = urllib.parse.urljoin(self.issuer, answer.headers["location"])
            if at.startswith(asked["redirect_uri"]):
                break
        [code] = urllib.parse.parse_qs(urllib.parse.urlsplit(at).query)["code"]
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": asked["redirect_uri"],
            "resource": RESOURCE,
        }
        given = await self.http.post(
            self.metadata["token_endpoint"], data=form, auth=("portal", SECRET)
        )
        assert given.status_code == 200, given.text
        tokens: dict[str, str] = given.json()
        return tokens


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def provider() -> AsyncIterator[Provider]:
    node = os.environ.get("CAAS_NODE") or shutil.which("node")
    assert node is not None
    port = free_port()
    issuer = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [node, "server.mjs", str(port)], cwd=PROVIDER, stderr=subprocess.DEVNULL,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert (await asyncio.to_thread(process.stdout.readline)).strip() == "ready"
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            found = await client.get(f"{issuer}/.well-known/openid-configuration")
            yield Provider(issuer, client, found.json())
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def configured(provider: Provider, **changes: Any) -> IssuerSettings:
    """The provider as an operator configures it; no line of code knows it."""
    stated: dict[str, Any] = {
        "issuer": provider.issuer,
        "jwks_url": provider.metadata["jwks_uri"],
        "algorithms": ["ES256"],
        "tenant_claim": "https://caas.example/tenant",
        "roles_claim": ["realm_access", "roles"],
        "role_names": {"credit-auditors": "auditor"},
        **changes,
    }
    return IssuerSettings.model_validate(stated)


@pytest_asyncio.fixture(loop_scope="session")
async def http() -> AsyncIterator[HTTPClient]:
    async with new_client() as client:
        yield client


async def verifier(
    provider: Provider, http: HTTPClient, **changes: Any
) -> tuple[TokenVerifier, ProviderKeys]:
    issuer = configured(provider, **changes)
    keys = ProviderKeys(HTTPCaller(http, str(issuer.jwks_url)), issuer.issuer)
    settings = Settings(
        master_keys={"v1": base64.b64encode(b"k" * 32).decode()},  # type: ignore[dict-item]
        issuers=(issuer,),
    )
    return TokenVerifier(trusted_issuers(settings, NoKeys(), {issuer.issuer: keys})), keys


async def refused(verifier: TokenVerifier, token: str) -> None:
    with pytest.raises(Problem) as raised:
        await verifier.identify(token)
    assert raised.value.code == "UNAUTHENTICATED"


async def test_a_services_token_is_read_as_configured(provider: Provider, http: HTTPClient) -> None:
    """The keys are fetched when a token first names one."""
    tokens, _ = await verifier(provider, http)
    principal = await tokens.identify(await provider.access_token(scope="applications:read"))
    assert principal == Principal(
        "reporting", "acme", frozenset({Role.AUDITOR}), principal.expires_at_s,
        frozenset({Scope.APPLICATIONS_READ}),
    )  # fmt: skip


async def test_its_id_token_is_no_access_token(provider: Provider, http: HTTPClient) -> None:
    tokens, _ = await verifier(provider, http)
    given = await provider.persons_tokens()
    assert (await tokens.identify(given["access_token"])).subject == "zelda"
    await refused(tokens, given["id_token"])
    # Not even by an API that takes the client's own audience for its own.
    portal, _ = await verifier(provider, http, audience="portal")
    await refused(portal, given["id_token"])
    await refused(portal, given["access_token"])


@pytest.mark.parametrize(
    "changes",
    [
        {"audience": "another-api"},
        {"algorithms": ["Ed25519"]},
        {"tenant_claim": "tenant"},
        {"roles_claim": "roles"},
        {"tenants": ["beta"]},
        {"role_names": None},
        {"tenant": "platform"},
        {"subject_claim": ["act", "sub"]},
    ],
    ids=str,
)
async def test_what_is_not_configured_so_is_refused(
    provider: Provider, http: HTTPClient, changes: dict[str, Any]
) -> None:
    tokens, _ = await verifier(provider, http, **changes)
    await refused(tokens, await provider.access_token())


async def test_an_issuer_of_one_tenant_speaks_for_it(provider: Provider, http: HTTPClient) -> None:
    tokens, _ = await verifier(provider, http, tenant="beta", scope_claim=None)
    principal = await tokens.identify(await provider.access_token(scope="applications:read"))
    assert (principal.tenant_id, principal.scopes) == ("beta", None)


async def test_an_opaque_token_is_refused(provider: Provider, http: HTTPClient) -> None:
    """Without a resource the provider gives a token that only it can read."""
    tokens, _ = await verifier(provider, http)
    form = {"grant_type": "client_credentials"}
    given = await provider.http.post(
        provider.metadata["token_endpoint"], data=form, auth=("reporting", SECRET)
    )
    await refused(tokens, given.json()["access_token"])


async def test_a_stranger_cannot_have_keys_fetched_again_and_again(
    provider: Provider, http: HTTPClient
) -> None:
    tokens, keys = await verifier(provider, http)
    good = await provider.access_token()
    await tokens.identify(good)
    assert not await keys.newer()  # a moment ago
    top, claims, signature = good.split(".")
    forged = {"alg": "ES256", "typ": "at+jwt", "kid": "made-up"}
    top = base64.urlsafe_b64encode(json.dumps(forged).encode()).decode().rstrip("=")
    await refused(tokens, f"{top}.{claims}.{signature}")
    assert (await tokens.identify(good)).subject == "reporting"
