"""What a process has to do with lenders, put together: adapters, vault, directory, desk, checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from pydantic import SecretStr

from activities.ports.credit_provider import CreditProvider
from adapters.credential_vault import CredentialVault, CredentialVaults, EnvelopeVault
from adapters.egress import EgressPolicy, check_url
from adapters.postgres.database import Database
from adapters.postgres.providers import PostgresProviders
from adapters.postgres.providers_credentials import PostgresCredentialUpkeep
from adapters.postgres.providers_health import PostgresProviderHealth
from adapters.providers.desk import ProviderDesk
from adapters.providers.directory import Configured, PostgresProviderDirectory
from adapters.providers.health import CheckPlan, ProviderHealthChecker
from adapters.providers.opened import OpenedProviders
from adapters.providers.opening import ProviderMisconfigured, Surroundings, open_provider
from adapters.providers.plugin import Plugin
from adapters.vault import Keyring
from models.domain.ids import PLATFORM
from models.domain.provider_health import Hysteresis
from models.domain.provider_record import ProviderRecord, Source


@dataclass(frozen=True, slots=True)
class Lenders:
    """Makes the parts; `around` is what registered lenders' adapters share, kept to `policy`."""

    plugins: Mapping[str, Plugin]
    configured: Sequence[Configured]
    vault: CredentialVault
    around: Surroundings
    policy: EgressPolicy
    enough: Hysteresis = field(default_factory=Hysteresis)
    overlap: timedelta = timedelta(hours=1)

    def opened(self) -> OpenedProviders:
        """Adapters of registered lenders, none open yet."""

        def open_(
            plugin: Plugin, record: ProviderRecord, secrets: Mapping[str, str]
        ) -> CreditProvider:
            # What was allowed when it was registered need not be so today.
            check_url(record.url, self.policy)
            name, url, config = record.provider_id, record.url, record.config
            return open_provider(plugin, name, url, config, secrets, self.around)

        return OpenedProviders(self.plugins, self.vault, open_)

    def directory(self, database: Database) -> PostgresProviderDirectory:
        """Who lends, as this role of the database sees it."""
        return PostgresProviderDirectory(database, self.opened(), self.configured)

    def desk(self, database: Database, directory: PostgresProviderDirectory) -> ProviderDesk:
        """What administrators do with lenders."""
        return ProviderDesk(
            PostgresProviders(database, self.vault, self.overlap),
            PostgresProviderHealth(database, self.enough),
            directory,
            self.plugins,
            self.configured,
            self.policy,
        )

    def upkeep(self, database: Database) -> PostgresCredentialUpkeep:
        """What is due with credentials; under the role that reads those of all tenants."""
        return PostgresCredentialUpkeep(database, self.vault)

    def checker(self, database: Database, plan: CheckPlan) -> ProviderHealthChecker:
        """What checks lenders; under the role that reads those of all tenants."""
        return ProviderHealthChecker(
            database,
            PostgresProviderHealth(database, self.enough),
            self.upkeep(database),
            self.opened(),
            self.configured,
            plan,
        )


class Told(Protocol):
    """What the configuration says of a lender (settings.py)."""

    @property
    def provider_id(self) -> str: ...
    @property
    def name(self) -> str | None: ...
    @property
    def adapter(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def config(self) -> Mapping[str, Any]: ...
    @property
    def credentials(self) -> Mapping[str, SecretStr]: ...


def configured_lender(
    told: Told, plugins: Mapping[str, Plugin], around: Surroundings
) -> Configured:
    """A lender that the configuration names, open; raises ProviderMisconfigured."""
    plugin = plugins.get(told.adapter)
    if plugin is None:
        raise ProviderMisconfigured("adapter", f"must be one of {', '.join(sorted(plugins))}")
    name, manifest = told.provider_id, plugin.manifest
    secrets = {key: secret.get_secret_value() for key, secret in told.credentials.items()}
    provider = open_provider(plugin, name, told.url, told.config, secrets, around)
    record = ProviderRecord(
        tenant_id=PLATFORM,
        provider_id=name,
        name=told.name or name,
        adapter=manifest.adapter,
        type=manifest.type,
        url=told.url,
        config=dict(told.config),
        appetite={},
        limits={},
        metadata={},
        source=Source.CONFIGURATION,
    )
    return Configured(record, manifest.appetite, provider)


def vaults(keyring: Keyring, outside: CredentialVault | None) -> CredentialVaults:
    """Our own rows, or the vault outside where one is configured; either opens what it sealed."""
    envelope = EnvelopeVault(keyring)
    return CredentialVaults([envelope] if outside is None else [outside, envelope])
