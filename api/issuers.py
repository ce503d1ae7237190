"""Whose access tokens are taken: our own, and those of the configured issuers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, Protocol

from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from api.auth import ClaimPaths, TrustedIssuer
from settings import IssuerSettings, Settings, WrongSetting

# What our own keys may be of; each key is of one of them, whatever a token says.
OWN_ALGORITHMS: Final = ("Ed25519", "ES256")


class OwnKeys(Protocol):
    """Our own public keys."""

    def key_set(self) -> KeySet:
        """As they are known now."""

    async def look_again(self) -> bool:
        """Read them again; False when that was done a moment ago."""


class FetchedKeys(Protocol):
    """The keys of an identity provider."""

    def key_set(self) -> KeySet:
        """As they are known now."""

    async def newer(self) -> bool:
        """Fetch them again; False when that was done a moment ago."""


def trusted_issuers(
    settings: Settings, own: OwnKeys, fetched: Mapping[str, FetchedKeys]
) -> list[TrustedIssuer]:
    """The issuers, ours first; raises WrongSetting for a key file that is not one."""
    auth = settings.auth
    names = [auth.issuer, *(each.issuer for each in settings.issuers)]
    if len(set(names)) != len(names):
        raise WrongSetting("CAAS_ISSUERS: two issuers of one name (see CAAS_AUTH__ISSUER)")
    ours = TrustedIssuer(
        auth.issuer,
        auth.audience,
        own.key_set,
        OWN_ALGORITHMS,
        platform=True,
        newer_keys=own.look_again,
    )
    return [ours, *(_trusted(i, each, fetched) for i, each in enumerate(settings.issuers))]


def _trusted(
    position: int, issuer: IssuerSettings, fetched: Mapping[str, FetchedKeys]
) -> TrustedIssuer:
    remote = fetched.get(issuer.issuer)
    return TrustedIssuer(
        issuer.issuer,
        issuer.audience,
        remote.key_set if remote else _read_keys(position, issuer),
        issuer.algorithms,
        ClaimPaths(
            issuer.subject_claim,
            issuer.tenant_claim,
            issuer.roles_claim,
            issuer.scope_claim,
            issuer.role_names,
        ),
        issuer.tenant,
        None if issuer.tenants is None else frozenset(issuer.tenants),
        issuer.platform,
        remote.newer if remote else None,
    )


def _read_keys(position: int, issuer: IssuerSettings) -> KeySet:
    assert issuer.jwks_path is not None  # the settings' own rule: a path, or an address
    try:
        return KeySet.import_key_set(json.loads(issuer.jwks_path.read_text("utf-8")))
    except (OSError, ValueError, TypeError, KeyError, JoseError) as error:
        raise WrongSetting(
            f"CAAS_ISSUERS__{position}__JWKS_PATH: {type(error).__name__}"
        ) from error
