"""Every setting, typed, read once from the environment (`CAAS_…`, nested by `__`).

A wrong value stops the start with its name and the reason, never with its content. Secrets are
`SecretStr`: they show up in no log and no error.
"""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from models.domain.failpoints import ENVIRONMENT_VARIABLE as FAILPOINTS_VARIABLE
from models.domain.failpoints import parse as parse_failpoints

ROOT: Final = Path(__file__).parent
PREFIX: Final = "CAAS_"

# Chains on which well-known test keys may be used: anvil's and Hardhat's default ids.
SANDBOX_CHAIN_IDS: Final = frozenset({31337, 1337})


class WrongSetting(Exception):
    """One or more settings are wrong or missing; the message has a line for each."""


class Environment(StrEnum):
    """Where the process runs; failpoints and test keys exist in the sandbox alone."""

    SANDBOX = "sandbox"
    PRODUCTION = "production"


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://")
    return text.rstrip("/")


def _origin(text: str) -> str:
    if not re.fullmatch(r"https?://[^/?#@*\s]+", text):
        raise ValueError("must be an origin, as https://app.example.com")
    return text


URL = Annotated[str, AfterValidator(_url)]
Origin = Annotated[str, AfterValidator(_origin)]
Kind = TypeVar("Kind", bound=BaseSettings)
Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    """A group of settings; unknown names are refused, so a typo cannot silently do nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DatabaseSettings(Section):
    """PostgreSQL under our roles; each process needs only its own role's address."""

    app_url: SecretStr | None = None
    chain_url: SecretStr | None = None
    relay_url: SecretStr | None = None
    owner_url: SecretStr | None = None  # for migrations alone
    pool_size: int = Field(default=10, ge=1, le=100)


class TemporalTLSSettings(Section):
    """How the Temporal frontend is known, and what we show it where it asks (mTLS)."""

    ca_path: Path | None = None  # the system's authorities, unless set
    certificate_path: Path | None = None
    key_path: Path | None = None
    server_name: str | None = None  # the certificate's name, where it is not the address's

    @model_validator(mode="after")
    def _shows_both_or_neither(self) -> Self:
        if (self.certificate_path is None) != (self.key_path is None):
            raise ValueError("certificate_path and key_path belong together")
        return self


class TemporalSettings(Section):
    """The Temporal frontend."""

    address: str = "127.0.0.1:7233"
    namespace: str = "caas"
    tls: TemporalTLSSettings | None = None  # `{}`: TLS as the system trusts it
    api_key: SecretStr | None = None  # travels by TLS alone

    @model_validator(mode="after")
    def _keeps_its_key(self) -> Self:
        if self.api_key is not None and self.tls is None:
            raise ValueError("api_key needs tls")
        return self

    # Where the Web UI is served: the only origin the codec endpoint answers to, besides our own.
    ui_origin: URL | None = None
    # How long a dead worker's workflows wait for it before another one takes them.
    sticky_timeout_s: float = Field(default=2.0, ge=1, le=60)
    # The sandbox finds workflow code that reaches outside, and costs as much again as the workflow.
    # Code that has passed the tests, which always use it, may do without in production.
    workflow_sandbox: bool = True


def _path(value: object) -> object:
    return (value,) if isinstance(value, str) else value


# A claim's name, or the names on the way to it.
ClaimPath = Annotated[tuple[str, ...], BeforeValidator(_path), Field(min_length=1, max_length=5)]


class IssuerSettings(Section):
    """An issuer of access tokens: its keys from a file or from one fixed address of its own."""

    issuer: str
    audience: str = "caas-api"
    jwks_path: Path | None = None
    jwks_url: URL | None = None
    algorithms: tuple[Literal["Ed25519", "ES256", "EdDSA", "RS256", "PS256"], ...] = ("Ed25519",)
    tenant: str | None = None  # whose people all of its tokens are about, instead of a claim
    tenants: tuple[str, ...] | None = None  # whom it may speak for; without it: every tenant
    platform: bool = False  # whether it may speak for the platform's own people, too
    subject_claim: ClaimPath = ("sub",)
    tenant_claim: ClaimPath = ("tenant",)
    roles_claim: ClaimPath = ("roles",)
    scope_claim: ClaimPath | None = ("scope",)  # null: its scopes mean nothing here
    role_names: dict[str, str] | None = None  # its names: ours; without it, its names are ours

    @model_validator(mode="after")
    def _has_one_source_of_keys(self) -> Self:
        if (self.jwks_path is None) == (self.jwks_url is None):
            raise ValueError("needs either a jwks_path or a jwks_url")
        return self


class AuthSettings(Section):
    """Our own accounts: their tokens, passwords and keys."""

    issuer: str = Field(default="urn:caas:issuer", min_length=1)
    audience: str = Field(default="caas-api", min_length=1)
    algorithm: Literal["EdDSA", "ES256"] = "EdDSA"
    access_token_s: int = Field(default=600, ge=60, le=3_600)
    refresh_token_s: int = Field(default=14 * 86_400, ge=3_600, le=90 * 86_400)
    session_s: int = Field(default=30 * 86_400, ge=3_600, le=365 * 86_400)
    invitation_s: int = Field(default=7 * 86_400, ge=3_600, le=30 * 86_400)
    # How long a new key is published before it signs; every process has read it by then.
    key_lead_s: int = Field(default=60, ge=10, le=86_400)
    # argon2id: about 230 ms of one core and this much memory for each thread.
    password_threads: int = Field(default=2, ge=1, le=16)
    password_waiting: int = Field(default=16, ge=0, le=1_000)
    password_passes: int = Field(default=3, ge=2, le=10)
    password_memory_kib: int = Field(default=65_536, ge=19_456, le=1_048_576)


class ChainSettings(Section):
    """One EVM chain, its contract, and the one token per currency that settles there."""

    chain_id: int = Field(ge=1)
    rpc_url: URL
    aggregator: str
    token: str
    token_decimals: int = Field(default=6, ge=2, le=36)
    currency: Literal["USD", "EUR"] = "USD"
    emt_authorised: bool = False
    confirmations: int = Field(default=3, ge=1, le=10_000)
    relayer_key: SecretStr | None = None  # for the chain lane alone
    fee_cap_gwei: int = Field(default=200, ge=1, le=100_000)


class IdentitySettings(Section):
    """The identity vendor; two callback secrets are valid while one replaces the other."""

    vendor: str = "identity"
    url: URL
    api_key: SecretStr
    callback_url: URL
    callback_secrets: tuple[SecretStr, ...] = Field(min_length=1, max_length=2)


class BureauSettings(Section):
    """The credit bureau."""

    bureau: str = "bureau"
    url: URL
    api_key: SecretStr
    deadline_s: float = Field(default=8.0, gt=0, le=60)


class NotifierSettings(Section):
    """The mail house that carries notices to applicants."""

    url: URL
    api_key: SecretStr
    deadline_s: float = Field(default=10.0, gt=0, le=60)


class ProviderSettings(Section):
    """A lender of every tenant's: its name with us, and what its adapter is told.

    Which names `config` and `credentials` have is the adapter's matter; wiring checks them.
    """

    provider_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}$")
    name: str | None = Field(default=None, min_length=1, max_length=200)
    adapter: str = Field(min_length=1)
    url: URL
    config: dict[str, Any] = {}
    credentials: dict[str, SecretStr] = {}


class SanctionsSettings(Section):
    """OFAC's files; the default is a tiny invented list for the sandbox."""

    sdn_path: Path = ROOT / "adapters/sanctions/sample/sdn.csv"
    alt_path: Path | None = ROOT / "adapters/sanctions/sample/alt.csv"
    address_path: Path | None = ROOT / "adapters/sanctions/sample/add.csv"
    comments_path: Path | None = None
    # Real files are refused when aliases name entries the main file does not have (a cut-off
    # download), unless this says to screen with what there is.
    accept_incomplete: bool = False


class KafkaSettings(Section):
    """Where events go; without these settings they wait in the outbox.

    The topic exists already, with all the partitions it will ever have: more of them would move
    keys, and a key's order begins anew where it moves to.
    """

    bootstrap_servers: str = Field(min_length=1)  # host:port, several with commas
    topic: str = Field(default="caas.events", pattern=r"^[A-Za-z0-9._-]{1,249}$")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str | None = None
    password: SecretStr | None = None
    # Certificates: whom we trust (the system's, unless set), and who we are where that is asked.
    ca_path: Path | None = None
    certificate_path: Path | None = None
    key_path: Path | None = None

    @model_validator(mode="after")
    def _says_who_we_are(self) -> Self:
        if self.security_protocol.startswith("SASL") and not (self.username and self.password):
            raise ValueError(f"{self.security_protocol} needs a username and a password")
        return self


class CacheSettings(Section):
    """Valkey, or what speaks its protocol; without these settings each process counts alone."""

    url: SecretStr  # valkey://, redis://, or rediss:// by TLS; user and password in it
    timeout_s: float = Field(default=0.1, ge=0.01, le=5)  # beyond it the cache counts as away

    @model_validator(mode="after")
    def _is_an_address(self) -> Self:
        if not re.match(r"(valkey|redis)s?://[^/]", self.url.get_secret_value()):
            raise ValueError("url must start with valkey://, valkeys://, redis:// or rediss://")
        return self


class RateLimitSettings(Section):
    """How much may be asked in a window: token buckets, counted in the cost of routes.

    A bucket holds a window's tokens and fills evenly; docs/gateway.md lists what a route costs.
    """

    window_s: int = Field(default=60, ge=1, le=3_600)
    max_requests: int = Field(default=600, ge=20, le=1_000_000)  # tokens of one caller
    tenant_max_requests: int = Field(default=12_000, ge=20, le=100_000_000)
    # Of one client address: requests without a token, or with one that is no good.
    address_max_requests: int = Field(default=300, ge=20, le=1_000_000)
    # Attempts to sign in or register, of one address and for one account name.
    sign_in_max_attempts: int = Field(default=10, ge=1, le=10_000)
    skip_successful_requests: bool = False  # give back what a request cost that was not refused
    store: Literal["memory", "postgres"] = "memory"  # where no cache is configured


class CORSSettings(Section):
    """Which pages of other origins may call the API from a browser; none, unless set."""

    origins: tuple[Origin, ...] = ()
    credentials: bool = False
    max_age_s: int = Field(default=600, ge=0, le=86_400)


class APITLSSettings(Section):
    """TLS 1.3 at the API itself; with `client_ca_path`, nobody comes in without a certificate."""

    certificate_path: Path
    key_path: Path
    client_ca_path: Path | None = None


class APISettings(Section):
    """The HTTP front door."""

    host: str = "127.0.0.1"
    port: Port = 8000
    tls: APITLSSettings | None = None
    cors: CORSSettings = CORSSettings()
    # What one request may be: its head, its body, and how long each may take to arrive.
    max_header_bytes: int = Field(default=16_384, ge=4_096, le=65_536)
    max_headers: int = Field(default=64, ge=16, le=256)
    header_timeout_s: float = Field(default=10.0, ge=0.1, le=60)
    max_body_bytes: int = Field(default=65_536, ge=1_024, le=1_048_576)
    # Whether callers may ask GraphQL for its schema, which is published anyway.
    graphql_introspection: bool = True
    body_timeout_s: float = Field(default=10.0, ge=0.1, le=120)
    # How long an answer may take, and how many may be worked on at a time.
    request_timeout_s: float = Field(default=30.0, ge=0.1, le=300)
    max_concurrent_requests: int = Field(default=256, ge=1, le=10_000)
    max_connections: int = Field(default=4_096, ge=1, le=100_000)
    shutdown_grace_s: int = Field(default=10, ge=0, le=300)  # for answers under way, at the end
    # Whose word about the client's address is taken, and in which header they give it.
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()
    proxy_header: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for"
    metrics_token: SecretStr | None = Field(default=None, min_length=16)  # without it: no /metrics


class LiveSettings(Section):
    """Live updates: how many may follow, and how long one may be away and go on."""

    max_connections: int = Field(default=2_000, ge=1, le=50_000)  # of one process
    max_per_subject: int = Field(default=20, ge=1, le=10_000)
    # What one client may leave waiting: a burst of so many is no reason to close it. What waits is
    # shared by all clients, so a long queue costs little.
    queue_events: int = Field(default=2_048, ge=128, le=65_536)
    heartbeat_s: float = Field(default=20.0, ge=1, le=300)
    subscribe_within_s: float = Field(default=10.0, ge=0.1, le=60)
    replay_hours: float = Field(default=24.0, ge=1, le=720)


class VaultSettings(Section):
    """HashiCorp Vault for lenders' credentials; without it, sealed rows of ours keep them.

    We are known by a token, or sign in with an AppRole and are given one.
    """

    address: URL
    mount: str = Field(default="secret", pattern=r"^[A-Za-z0-9._\-]+(/[A-Za-z0-9._\-]+)*$")
    path: str = Field(default="caas/providers", pattern=r"^[A-Za-z0-9._\-]+(/[A-Za-z0-9._\-]+)*$")
    namespace: str | None = Field(default=None, min_length=1)
    token: SecretStr | None = None
    role_id: str | None = Field(default=None, min_length=1)
    secret_id: SecretStr | None = None
    approle_mount: str = Field(default="approle", pattern=r"^[A-Za-z0-9._\-]+$")
    ca_path: Path | None = None  # the system's authorities, unless set
    deadline_s: float = Field(default=3.0, gt=0, le=30)

    @model_validator(mode="after")
    def _is_known_one_way(self) -> Self:
        if (self.token is None) == (self.role_id is None):
            raise ValueError("needs either a token or a role_id with its secret_id")
        if (self.role_id is None) != (self.secret_id is None):
            raise ValueError("role_id and secret_id belong together")
        return self


class ProvidersHealthSettings(Section):
    """How often lenders are checked, and how many checks in a row change a status."""

    interval_s: float = Field(default=30.0, ge=0.2, le=3_600)
    deadline_s: float = Field(default=5.0, gt=0, le=60)
    concurrency: int = Field(default=10, ge=1, le=200)
    failures: int = Field(default=3, ge=1, le=100)
    successes: int = Field(default=2, ge=1, le=100)
    # How long a lender's earlier credentials stay usable after newer ones took over.
    credential_overlap_s: int = Field(default=3_600, ge=0, le=30 * 86_400)


class OffersSettings(Section):
    """Searches by criteria: how long lenders have, and how long their answers are remembered."""

    search_deadline_ms: int = Field(default=500, ge=50, le=30_000)
    cache_ttl_s: float = Field(default=30.0, ge=0, le=300)


class EgressSettings(Section):
    """Where requests may go whose address a tenant names, beyond https to the public internet."""

    allowed_networks: tuple[IPvAnyNetwork, ...] = ()
    ports: tuple[Port, ...] = (443,)


class WebhookSettings(Section):
    """Telling integrators of events: how long one attempt may take, and when it is repeated."""

    deadline_s: float = Field(default=15.0, ge=0.1, le=60)
    connections: int = Field(default=8, ge=1, le=100)  # to one webhook at a time
    # After the n-th attempt this much times 4^(n-1), at most `retry_longest_s`.
    retry_first_s: float = Field(default=5.0, ge=0.01, le=3_600)
    retry_longest_s: float = Field(default=6 * 3_600.0, ge=0.01, le=86_400)
    give_up_after_s: float = Field(default=3 * 86_400.0, ge=1, le=30 * 86_400)


# Read elsewhere: armed failpoints, the sandbox's marks on its processes, an operator's name.
_NOT_SETTINGS: Final = {"FAILPOINTS", "RUN_ID", "NODE", "DATA", "OPERATOR"}
_SANDBOX_PORT: Final = re.compile(r"CAAS_[A-Z_]+_PORT")


class Settings(BaseSettings):
    """The whole configuration of a process."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
    )

    environment: Environment = Environment.PRODUCTION
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    # version -> 32 bytes in base64; the first seals, the others still open.
    master_keys: dict[str, SecretStr]
    database: DatabaseSettings = DatabaseSettings()
    temporal: TemporalSettings = TemporalSettings()
    auth: AuthSettings = AuthSettings()
    issuers: tuple[IssuerSettings, ...] = ()
    chain: ChainSettings | None = None
    identity: IdentitySettings | None = None
    bureau: BureauSettings | None = None
    notifier: NotifierSettings | None = None
    providers: tuple[ProviderSettings, ...] = ()
    providers_health: ProvidersHealthSettings = ProvidersHealthSettings()
    vault: VaultSettings | None = None
    # Import paths of adapters beyond those shipped and installed, as `lender.adapter:PLUGIN`.
    plugins: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*(:[A-Za-z_]\w*)?$")], ...] = ()
    sanctions: SanctionsSettings = SanctionsSettings()
    rules_path: Path = ROOT / "models/policy/rules"
    model_path: Path = ROOT / "models/risk/artifacts"
    offers_deadline_s: float = Field(default=5.0, gt=0, le=60)
    offers: OffersSettings = OffersSettings()
    kafka: KafkaSettings | None = None
    cache: CacheSettings | None = None
    rate_limit: RateLimitSettings = RateLimitSettings()
    api: APISettings = APISettings()
    live: LiveSettings = LiveSettings()
    egress: EgressSettings = EgressSettings()
    webhooks: WebhookSettings = WebhookSettings()

    def master_key_bytes(self) -> Mapping[str, bytes]:
        """The master keys, decoded; raises WrongSetting for one that is not 32 bytes of base64."""
        keys: dict[str, bytes] = {}
        for version, secret in self.master_keys.items():
            try:
                keys[version] = base64.b64decode(secret.get_secret_value(), validate=True)
            except ValueError:
                raise WrongSetting(f"{PREFIX}MASTER_KEYS: {version!r} is not base64") from None
            if len(keys[version]) != 32:
                raise WrongSetting(f"{PREFIX}MASTER_KEYS: {version!r} does not have 32 bytes")
        if not keys:
            raise WrongSetting(f"{PREFIX}MASTER_KEYS: at least one key is needed")
        return keys


class MigrationSettings(BaseSettings):
    """What a migration needs: the owner's address alone, so that its job holds no key."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="ignore", frozen=True
    )

    database: DatabaseSettings = DatabaseSettings()

    @classmethod
    def read(cls) -> str:
        """The owner's address; raises WrongSetting if it is missing or a neighbour is wrong."""
        url = _read(cls).database.owner_url
        if url is None:
            raise missing("DATABASE__OWNER_URL", "migrate")
        return url.get_secret_value()


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings of this environment; raises WrongSetting with a line per wrong one."""
    _refuse_unknown(environment)
    settings = _read(Settings)
    settings.master_key_bytes()
    armed = environment.get(FAILPOINTS_VARIABLE)
    if armed:
        _check_failpoints(armed, settings.environment)
    return settings


def _read(kind: type[Kind]) -> Kind:
    try:
        return kind()
    except ValidationError as error:
        raise WrongSetting("\n".join(_lines(error))) from None
    except SettingsError as error:
        raise WrongSetting(_not_json(error)) from None


def settings_or_exit(environment: Mapping[str, str]) -> Settings:
    """As `read_settings`; prints the lines and ends the process instead of raising."""
    try:
        return read_settings(environment)
    except WrongSetting as error:
        sys.exit(str(error))


def missing(name: str, needed_by: str) -> WrongSetting:
    """The error for a setting this process cannot do without."""
    return WrongSetting(f"{PREFIX}{name}: needed by {needed_by}, but not set")


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    """A misspelt name would be no setting at all, and nobody would notice."""
    known = {name.upper() for name in Settings.model_fields} | _NOT_SETTINGS
    unknown = sorted(
        name
        for name in environment
        if name.upper().startswith(PREFIX)
        and name.upper().removeprefix(PREFIX).partition("__")[0] not in known
        and not _SANDBOX_PORT.fullmatch(name.upper())
    )
    if unknown:
        raise WrongSetting("\n".join(f"{name}: there is no such setting" for name in unknown))


def _check_failpoints(armed: str, environment: Environment) -> None:
    if environment is not Environment.SANDBOX:
        raise WrongSetting(f"{FAILPOINTS_VARIABLE}: failpoints are armed outside the sandbox")
    try:
        parse_failpoints(armed)
    except ValueError as error:
        raise WrongSetting(f"{FAILPOINTS_VARIABLE}: {error}") from None


def _lines(error: ValidationError) -> list[str]:
    return [
        f"{PREFIX}{'__'.join(str(part).upper() for part in each['loc'])}: {each['msg']}"
        for each in error.errors(include_input=False, include_context=False)
    ]


def _not_json(error: SettingsError) -> str:
    """The setting whose value could not be read at all; the error names the field, not its text."""
    named = re.search(r'field "(\w+)"', str(error))
    return f"{PREFIX}{named[1].upper() if named else '?'}: is not valid JSON"
