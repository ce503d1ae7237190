"""The one place where adapters meet activities and routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import SecretStr
from temporalio.client import Client

from activities.compliance import ComplianceActivities
from activities.kyc import KYCActivities
from activities.notices import NoticeActivities
from activities.offers import OfferActivities
from activities.ports.name_screener import NameScreener
from activities.ports.rule_book import RuleBook
from activities.ports.scorer import Scorer
from activities.reviews import ReviewActivities
from activities.risk import ReferralActivities, RiskActivities
from activities.settlement import ChainActivities, LoanBookActivities
from activities.webhooks import WebhookActivities
from adapters import telemetry
from adapters.bureau.bureau import HTTPCreditBureau
from adapters.chain import eip712
from adapters.http import DEFAULT_MAX_BYTES, HTTPCaller, HTTPClient, new_client
from adapters.identity.verifier import HTTPIdentityVerifier
from adapters.kafka_mapping import envelope_of
from adapters.notices.mail_house import HTTPMailHouse
from adapters.offer_cache import OfferCache
from adapters.offer_search import ConcurrentOfferSearch
from adapters.postgres.applications import PostgresApplications
from adapters.postgres.callbacks import PostgresCallbacks
from adapters.postgres.database import Database
from adapters.postgres.decisions import PostgresDecisionRecords
from adapters.postgres.graph_views import PostgresGraph
from adapters.postgres.idempotency import IdempotentWrites
from adapters.postgres.information import PostgresInformation
from adapters.postgres.kyc import PostgresKYCRecords
from adapters.postgres.live import LiveEvents
from adapters.postgres.loans import PostgresLoanBook
from adapters.postgres.notices import PostgresApplicationEndings
from adapters.postgres.offer_views import PostgresOffers
from adapters.postgres.offers import PostgresOfferRecords
from adapters.postgres.reviews import PostgresReviewRecords
from adapters.postgres.risk import PostgresRiskRecords
from adapters.postgres.settlements import PostgresChainRecords
from adapters.postgres.sweeping import PostgresStartIntents
from adapters.postgres.watching import PostgresOpenSettlements
from adapters.postgres.webhook_retries import PostgresWebhookRetries
from adapters.providers.assembly import Lenders, configured_lender, vaults
from adapters.providers.directory import Configured, PostgresProviderDirectory
from adapters.providers.health import CheckPlan, ProviderHealthChecker
from adapters.providers.opening import ProviderMisconfigured, Surroundings
from adapters.providers.plugin import Plugin, PluginUnusable, plugins
from adapters.providers.provider_metrics import ProviderMetrics
from adapters.relay import OutboxRelay
from adapters.sanctions.fail_closed import FailClosedScreener
from adapters.sanctions.ofac import OFACScreener, SanctionsListUnavailable
from adapters.sealer import AuditSealer
from adapters.sweeper import Sweeper
from adapters.temporal import LentFunctions, PayloadDesk, connect
from adapters.temporal_tls import read_tls
from adapters.vault import Keyring
from adapters.webhooks.signature import decode_secret
from adapters.workflow_messages import TemporalMessages
from models.domain.offer import SettlementVenue
from models.domain.provider_health import Hysteresis
from models.domain.quota import TokenStore
from models.domain.routing import VERIFY_ACCEPTANCE
from models.domain.webhook import RetryPlan
from models.policy.engine import RuleBook as CompiledRuleBook
from models.policy.fail_closed import ReferringRuleBook
from models.policy.rule_file import RuleBookInvalid
from settings import (
    SANDBOX_CHAIN_IDS,
    ChainSettings,
    Environment,
    Settings,
    WrongSetting,
    missing,
)

if TYPE_CHECKING:
    from adapters.accounts.desk import IdentityOptions
    from adapters.accounts.provider_keys import ProviderKeys
    from adapters.chain.aggregator import EVMSettlementChain
    from adapters.chain.rpc import JSONRPCProvider
    from adapters.chain.watcher import BlockWatcher
    from adapters.egress import EgressPolicy
    from adapters.hashicorp_vault import HashiCorpVault
    from adapters.postgres.providers_credentials import PostgresCredentialUpkeep
    from adapters.providers.desk import ProviderDesk
    from adapters.webhooks.lane import WebhookLane
    from adapters.webhooks.sender import WebhookSender
    from api.auth import TokenVerifier
    from api.deps import Services
    from api.live.hub import LiveHub

log = structlog.get_logger()

# One listens, two read events, one catches up who comes back.
LIVE_CONNECTIONS = 4

# What the worker lends to workflows, which must not import elliptic curves.
LENT_FUNCTIONS = LentFunctions({VERIFY_ACCEPTANCE: eip712.verify_acceptance})


class Wiring:
    """Connections of one process, opened as they are needed and closed together."""

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        self.settings = settings
        self.keyring = Keyring(settings.master_key_bytes())
        self._stack = stack
        self.provider_metrics = ProviderMetrics()
        self._http: HTTPClient | None = None
        self._client: Client | None = None
        self._databases: dict[str, Database] = {}
        self._chain: EVMSettlementChain | None = None
        self._rpc: JSONRPCProvider | None = None
        self._lenders: Lenders | None = None
        self._directories: dict[str, PostgresProviderDirectory] = {}

    async def database(self, role: str) -> Database:
        """The database under one of our roles: app, chain or relay."""
        if role not in self._databases:
            url = getattr(self.settings.database, f"{role}_url")
            if url is None:
                raise missing(f"DATABASE__{role.upper()}_URL", f"the role {role}")
            database = await Database.connect(
                url.get_secret_value(), self.keyring, max_size=self.settings.database.pool_size
            )
            self._stack.push_async_callback(database.close)
            self._databases[role] = database
        return self._databases[role]

    async def temporal(self, *, lazy: bool = False) -> Client:
        """The Temporal client, with encrypted payloads; workers need one that is connected."""
        if self._client is None:
            at = self.settings.temporal
            self._client = await connect(
                at.address,
                at.namespace,
                self.keyring,
                tls=read_tls(**at.tls.model_dump()) if at.tls else None,
                api_key=at.api_key.get_secret_value() if at.api_key else None,
                lazy=lazy,
            )
        return self._client

    def closing(self, close: Callable[[], Awaitable[None]]) -> None:
        """Close this, too, when the process ends."""
        self._stack.push_async_callback(close)

    async def messages(self, *, lazy: bool = False) -> TemporalMessages:
        """Messages to workflows."""
        return TemporalMessages(await self.temporal(lazy=lazy))

    def chain_settings(self) -> ChainSettings:
        """The chain's settings; WrongSetting without them."""
        if self.settings.chain is None:
            raise missing("CHAIN", "settlement")
        return self.settings.chain

    def venue(self) -> SettlementVenue:
        """Where loans settle."""
        chain = self.chain_settings()
        return SettlementVenue(chain.chain_id, chain.aggregator, chain.token, chain.token_decimals)

    async def chain(self) -> EVMSettlementChain:
        """The chain with its relaying key: for the chain lane alone."""
        # The signing library takes most of a second to load: processes that do not sign do not pay.
        from adapters.chain.aggregator import EVMSettlementChain  # noqa: PLC0415

        if self._chain is None:
            chain = self.chain_settings()
            if chain.relayer_key is None:
                raise missing("CHAIN__RELAYER_KEY", "the role chain")
            sandbox = self.settings.environment is Environment.SANDBOX
            self._chain = await EVMSettlementChain.connect(
                chain.rpc_url,
                chain.chain_id,
                chain.aggregator,
                chain.token,
                chain.token_decimals,
                private_key=chain.relayer_key.get_secret_value(),
                confirmations=chain.confirmations,
                sandbox_chain_ids=SANDBOX_CHAIN_IDS if sandbox else (),
                fee_cap_wei=chain.fee_cap_gwei * 10**9,
            )
            self._stack.push_async_callback(self._chain.close)
        return self._chain

    def caller(
        self, base_url: str, deadline_s: float, max_bytes: int = DEFAULT_MAX_BYTES
    ) -> HTTPCaller:
        """A bounded HTTP caller over this process's one client."""
        if self._http is None:
            self._http = new_client()
            self._stack.push_async_callback(self._http.aclose)
        return HTTPCaller(self._http, base_url, deadline_s, max_bytes)

    def egress(self) -> EgressPolicy:
        """Where requests may go whose address somebody else names."""
        from adapters.egress import LOOPBACK, EgressPolicy  # noqa: PLC0415

        egress = self.settings.egress
        if self.settings.environment is Environment.SANDBOX:
            allowed = (*egress.allowed_networks, *LOOPBACK)
            return EgressPolicy(allowed, ports=frozenset(), plain_http=True)
        return EgressPolicy(egress.allowed_networks, frozenset(egress.ports))

    async def offer_search(self) -> ConcurrentOfferSearch:
        """What asks all lenders at once."""
        cache = OfferCache(self.settings.offers.cache_ttl_s)
        search = ConcurrentOfferSearch(await self.directory("app"), cache)
        self.closing(search.close)
        return search

    async def directory(self, role: str) -> PostgresProviderDirectory:
        """Who lends, as one of our roles of the database sees it."""
        if role not in self._directories:
            found = self.lenders().directory(await self.database(role))
            self.closing(found.close)
            self._directories[role] = found
        return self._directories[role]

    def lenders(self) -> Lenders:
        """What this process has to do with lenders."""
        if self._lenders is None:
            self._lenders = _lenders(self)
        return self._lenders

    def surroundings(self) -> Surroundings:
        """What lenders' adapters share in this process."""
        metrics = self.provider_metrics
        return Surroundings(self.caller, self.reader, eip712.terms_hash, metrics=metrics)

    def plugins(self) -> Mapping[str, Plugin]:
        """The lenders' adapters there are, by name."""
        try:
            return plugins(self.settings.plugins)
        except PluginUnusable as error:
            raise WrongSetting(f"CAAS_PLUGINS: {error}") from None

    def reader(self) -> JSONRPCProvider:
        # Reading a chain takes libraries of its own: only who has a pool among its lenders pays.
        from adapters.chain.rpc import JSONRPCProvider  # noqa: PLC0415

        if self._rpc is None:
            self._rpc = JSONRPCProvider(
                self.chain_settings().rpc_url, deadline_s=self.settings.offers_deadline_s
            )
            self._stack.push_async_callback(self._rpc.close)
        return self._rpc

    def mail_house(self) -> HTTPMailHouse:
        """Who carries letters to applicants."""
        notifier = self.settings.notifier
        if notifier is None:
            raise missing("NOTIFIER", "the role workflows")
        return HTTPMailHouse(self.caller(notifier.url, 10.0), notifier.api_key.get_secret_value())

    def screener(self) -> NameScreener:
        """The sanctions list; without a usable one, a screener that clears nobody."""
        paths = self.settings.sanctions
        try:
            return OFACScreener.load(
                paths.sdn_path,
                paths.alt_path,
                paths.address_path,
                paths.comments_path,
                accept_incomplete=paths.accept_incomplete,
            )
        except SanctionsListUnavailable as error:
            log.error("sanctions_list_unavailable", reason=str(error))
            return FailClosedScreener()

    def rules(self) -> RuleBook:
        """The rule book; without a valid one, every application goes to a person."""
        try:
            return CompiledRuleBook.load(self.settings.rules_path)
        except RuleBookInvalid as error:
            log.error("rule_book_invalid", reason=str(error))
            return ReferringRuleBook()

    async def workflow_activities(self) -> list[Any]:
        """What runs beside the workflows: our own database, vendors, lenders' offers."""
        app = await self.database("app")
        screener = self.screener()
        identity = self.settings.identity
        if identity is None:
            raise missing("IDENTITY", "the role workflows")
        verifier = HTTPIdentityVerifier(
            self.caller(identity.url, 10.0),
            identity.vendor,
            identity.api_key.get_secret_value(),
            f"{identity.callback_url}/callbacks/{identity.vendor}",
        )
        return [
            KYCActivities(PostgresKYCRecords(app), verifier, screener, await self.messages()),
            ComplianceActivities(
                PostgresDecisionRecords(app),
                self.rules(),
                screener,
                emt_authorised=self.chain_settings().emt_authorised,
            ),
            ReviewActivities(PostgresReviewRecords(app)),
            OfferActivities(
                PostgresOfferRecords(app, self.venue()),
                await self.offer_search(),
                self.venue(),
                eip712.loan_reference,
                deadline_s=self.settings.offers_deadline_s,
            ),
            LoanBookActivities(PostgresLoanBook(app)),
            NoticeActivities(PostgresApplicationEndings(app), self.mail_house()),
            WebhookActivities(
                PostgresWebhookRetries(app, self._webhook_retries()), self.webhook_sender()
            ),
        ]

    async def scoring_activities(self) -> list[Any]:
        """Evidence and scoring; without a usable model, everybody is referred to a person."""
        bureau = self.settings.bureau
        if bureau is None:
            raise missing("BUREAU", "the role scoring")
        records = PostgresRiskRecords(await self.database("app"))
        answers = HTTPCreditBureau(
            self.caller(bureau.url, bureau.deadline_s),
            bureau.bureau,
            bureau.api_key.get_secret_value(),
        )
        return [
            RiskActivities(records, answers, self._scorer(), deadline_s=bureau.deadline_s),
            ReferralActivities(records),
        ]

    def _scorer(self) -> Scorer:
        # numba and shap take seconds to load: for the scoring role alone.
        from models.risk.artefact import ModelUnavailable  # noqa: PLC0415
        from models.risk.scoring import CreditScorer, LoadedModel, UnavailableScorer  # noqa: PLC0415

        try:
            return CreditScorer(LoadedModel.load(self.settings.model_path))
        except ModelUnavailable as error:
            log.error("model_unavailable", reason=str(error))
            return UnavailableScorer()

    async def chain_activities(self) -> ChainActivities:
        """Confirming, signing and sending: under the role of the chain lane."""
        chain = await self.chain()
        records = PostgresChainRecords(
            await self.database("chain"), chain.venue.chain_id, chain.sender
        )
        return ChainActivities(records, chain, await self.directory("chain"))

    async def watcher(self) -> BlockWatcher:
        """The block watcher of the chain."""
        from adapters.chain.watcher import BlockWatcher  # noqa: PLC0415

        chain = await self.chain()
        settlements = PostgresOpenSettlements(await self.database("chain"), chain.venue.chain_id)
        return BlockWatcher(chain, settlements, await self.messages())

    async def sweeper(self) -> Sweeper:
        """What restarts what a crash left behind."""
        relay = await self.database("relay")
        return Sweeper(
            PostgresStartIntents(relay),
            PostgresCallbacks(relay),
            PostgresInformation(relay),
            await self.messages(),
        )

    async def provider_desk(self) -> ProviderDesk:
        """What administrators do with lenders."""
        return self.lenders().desk(await self.database("app"), await self.directory("app"))

    async def credential_upkeep(self) -> PostgresCredentialUpkeep:
        """What is due with lenders' credentials."""
        return self.lenders().upkeep(await self.database("relay"))

    async def provider_checker(self) -> ProviderHealthChecker:
        """What checks lenders, pauses them and brings them back."""
        health = self.settings.providers_health
        plan = CheckPlan(
            health.interval_s, deadline_s=health.deadline_s, concurrency=health.concurrency
        )
        return self.lenders().checker(await self.database("relay"), plan)

    async def sealer(self) -> AuditSealer:
        """What chains the audit trail."""
        return AuditSealer(await self.database("relay"))

    async def webhook_lane(self) -> WebhookLane:
        """What tells webhooks of events."""
        from adapters.webhooks.lane import WebhookLane  # noqa: PLC0415
        from adapters.webhooks.line_workflows import LineWorkflows  # noqa: PLC0415

        return WebhookLane(
            await self.database("relay"),
            self.webhook_sender(),
            LineWorkflows(await self.temporal()),
            self._webhook_retries(),
            connections=self.settings.webhooks.connections,
        )

    def webhook_sender(self) -> WebhookSender:
        """What sends to addresses that tenants name."""
        from adapters.webhooks.sender import WebhookSender  # noqa: PLC0415

        sender = WebhookSender(self.egress(), deadline_s=self.settings.webhooks.deadline_s)
        self.closing(sender.close)
        return sender

    def _webhook_retries(self) -> RetryPlan:
        webhooks = self.settings.webhooks
        return RetryPlan(webhooks.retry_first_s, webhooks.retry_longest_s, webhooks.give_up_after_s)

    async def relays(self) -> list[OutboxRelay]:
        """What publishes events; nothing without a broker, and the outbox waits."""
        kafka = self.settings.kafka
        if kafka is None:
            log.warning("events_wait", reason="CAAS_KAFKA is not set")
            return []
        # Only this role talks to the broker; the others do not load its client.
        from adapters.kafka import KafkaAccess, KafkaBroker  # noqa: PLC0415

        try:
            broker = KafkaBroker(KafkaAccess(**kafka.model_dump()))
        except OSError as error:
            raise WrongSetting(f"CAAS_KAFKA: {type(error).__name__} of a certificate") from error
        return [OutboxRelay(await self.database("relay"), broker)]

    async def live(self, tokens: TokenVerifier) -> LiveHub:
        """Who hands out live updates, reading over connections that requests do not wait for."""
        from api.live.hub import LiveHub, LiveLimits  # noqa: PLC0415

        url = self.settings.database.app_url
        if url is None:
            raise missing("DATABASE__APP_URL", "the API")
        database = await Database.connect(
            url.get_secret_value(), self.keyring, max_size=LIVE_CONNECTIONS
        )
        self._stack.push_async_callback(database.close)
        limits = LiveLimits(**self.settings.live.model_dump())
        hub = LiveHub(LiveEvents(database), envelope_of, tokens.stands, limits)
        return await self._stack.enter_async_context(hub.running())


@asynccontextmanager
async def wired(settings: Settings) -> AsyncIterator[Wiring]:
    """The wiring of one process; everything it opened is closed at the end."""
    telemetry.configure(settings.log_level)
    async with AsyncExitStack() as stack:
        yield Wiring(settings, stack)


@asynccontextmanager
async def api_services(settings: Settings) -> AsyncIterator[Services]:
    """What the API's routes use; background starts are awaited before it closes."""
    # The web framework takes a third of a worker's start: for the API alone.
    from adapters.accounts.desk import identity_desk  # noqa: PLC0415
    from adapters.webhooks.desk import WebhookDesk  # noqa: PLC0415
    from adapters.webhooks.lender_callbacks import LenderCallbacks  # noqa: PLC0415
    from api.auth import TokenVerifier  # noqa: PLC0415
    from api.deps import Services  # noqa: PLC0415
    from api.issuers import trusted_issuers  # noqa: PLC0415
    from api.roles import usable_scopes  # noqa: PLC0415

    background: set[asyncio.Task[None]] = set()

    def start_soon(work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        background.add(task)
        task.add_done_callback(background.discard)

    async with wired(settings) as wiring, AsyncExitStack() as desks:
        database = await wiring.database("app")
        providers = _provider_keys(wiring)
        identity = await desks.enter_async_context(
            identity_desk(
                database, _identity_options(settings), usable_scopes, tuple(providers.values())
            )
        )
        tokens = TokenVerifier(
            trusted_issuers(settings, identity.signing_keys, providers),
            identity.revocations,
            identity.api_keys,
        )
        yield Services(
            database=database,
            applications=PostgresApplications(database),
            reviews=PostgresReviewRecords(database),
            information=PostgresInformation(database),
            offers=PostgresOffers(database),
            providers=await wiring.provider_desk(),
            offer_search=await wiring.offer_search(),
            search_deadline_s=settings.offers.search_deadline_ms / 1_000,
            webhooks=WebhookDesk(database, wiring.webhook_sender()),
            lender_callbacks=LenderCallbacks.of(
                database, wiring.lenders().vault, settings.providers
            ),
            callbacks=PostgresCallbacks(database),
            graph=PostgresGraph(database),
            graphql_introspection=settings.api.graphql_introspection,
            writes=IdempotentWrites(database),
            # The API takes applications even while Temporal is away; the sweeper starts them later.
            messages=await wiring.messages(lazy=True),
            payloads=PayloadDesk(wiring.keyring),
            identity=identity,
            tokens=tokens,
            live=await wiring.live(tokens),
            live_origins=frozenset(settings.api.cors.origins),
            venue=wiring.venue(),
            settled_currency=wiring.chain_settings().currency,
            secure_cookies=settings.environment is not Environment.SANDBOX,
            callback_secrets=_callback_secrets(settings),
            start_soon=start_soon,
            quotas=_token_store(wiring, database),
            more_numbers=wiring.provider_metrics.text,
        )
        await asyncio.gather(*background, return_exceptions=True)


def _lenders(wiring: Wiring) -> Lenders:
    """Configured lenders, open, and what registered ones are opened with."""
    from adapters.egress import PublicResolver  # noqa: PLC0415

    known, around = wiring.plugins(), wiring.surroundings()
    configured: list[Configured] = []
    for position, told in enumerate(wiring.settings.providers):
        if told.provider_id in {each.record.provider_id for each in configured}:
            raise WrongSetting(f"CAAS_PROVIDERS__{position}__PROVIDER_ID: is there twice")
        try:
            configured.append(configured_lender(told, known, around))
        except ProviderMisconfigured as error:
            where = error.field.replace(".", "__").upper()
            raise WrongSetting(f"CAAS_PROVIDERS__{position}__{where}: {error.reason}") from None
    policy, health = wiring.egress(), wiring.settings.providers_health
    # Somebody else names these addresses: their names lead only where the policy allows.
    client = new_client(resolver=PublicResolver(policy))
    wiring.closing(client.aclose)

    def caller(url: str, deadline_s: float, max_bytes: int) -> HTTPCaller:
        return HTTPCaller(client, url, deadline_s, max_bytes)

    return Lenders(
        known, configured, vaults(wiring.keyring, _outside_vault(wiring)),
        replace(around, caller=caller), policy,
        Hysteresis(health.failures, health.successes),
        timedelta(seconds=health.credential_overlap_s),
    )  # fmt: skip


def _outside_vault(wiring: Wiring) -> HashiCorpVault | None:
    at = wiring.settings.vault
    if at is None:
        return None
    from adapters.hashicorp_vault import vault_at  # noqa: PLC0415

    try:
        vault, close = vault_at(**at.model_dump())
    except OSError as error:
        raise WrongSetting(f"CAAS_VAULT__CA_PATH: {type(error).__name__}") from error
    wiring.closing(close)
    return vault


def _provider_keys(wiring: Wiring) -> dict[str, ProviderKeys]:
    """Where identity providers publish their keys, by issuer; by https, but for the sandbox's."""
    from adapters.accounts.provider_keys import MOST_BYTES, ProviderKeys  # noqa: PLC0415

    settings, found = wiring.settings, {}
    for position, each in enumerate(settings.issuers):
        if each.jwks_url is None:
            continue
        sandbox = settings.environment is Environment.SANDBOX
        if not (sandbox or each.jwks_url.startswith("https://")):
            raise WrongSetting(f"CAAS_ISSUERS__{position}__JWKS_URL: must start with https://")
        caller = wiring.caller(each.jwks_url, 5.0, MOST_BYTES)
        found[each.issuer] = ProviderKeys(caller, each.issuer)
    return found


def _identity_options(settings: Settings) -> IdentityOptions:
    from adapters.accounts.desk import IdentityOptions  # noqa: PLC0415
    from adapters.postgres.sessions import Lifetimes  # noqa: PLC0415

    auth = settings.auth
    lasting = (auth.access_token_s, auth.refresh_token_s, auth.session_s)
    return IdentityOptions(
        auth.issuer, auth.audience, auth.algorithm,
        Lifetimes(*(timedelta(seconds=each) for each in lasting)),
        timedelta(seconds=auth.invitation_s), timedelta(seconds=auth.key_lead_s),
        auth.password_threads, auth.password_waiting, auth.password_passes,
        auth.password_memory_kib,
    )  # fmt: skip


def _token_store(wiring: Wiring, database: Database) -> TokenStore | None:
    """Where rate limits are counted for all processes; None: each counts by itself."""
    from adapters.rate_limit.fallback import FallbackTokenStore  # noqa: PLC0415

    cache = wiring.settings.cache
    if cache is not None:
        from adapters.rate_limit.valkey import ValkeyTokenStore  # noqa: PLC0415

        try:
            store = ValkeyTokenStore(cache.url.get_secret_value(), timeout_s=cache.timeout_s)
        except ValueError:
            raise WrongSetting("CAAS_CACHE__URL: is no address the client understands") from None
        wiring.closing(store.close)
        return FallbackTokenStore(store)
    if wiring.settings.rate_limit.store == "postgres":
        from adapters.rate_limit.postgres import PostgresTokenStore  # noqa: PLC0415

        return FallbackTokenStore(PostgresTokenStore(database))
    return None


def _callback_secrets(settings: Settings) -> dict[str, tuple[bytes, ...]]:
    identity = settings.identity
    if identity is None:
        raise missing("IDENTITY", "the API")
    return {identity.vendor: tuple(_secret(each) for each in identity.callback_secrets)}


def _secret(secret: SecretStr) -> bytes:
    try:
        return decode_secret(secret.get_secret_value())
    except ValueError as error:
        raise WrongSetting(f"CAAS_IDENTITY__CALLBACK_SECRETS: {error}") from None
