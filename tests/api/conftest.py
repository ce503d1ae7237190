"""The API's application over fakes of everything behind it: no service is needed."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from pydantic import SecretStr
from structlog.testing import capture_logs

from adapters.kafka_mapping import envelope_of
from adapters.offer_search import ConcurrentOfferSearch
from adapters.providers.desk import ProviderPage
from adapters.temporal import PayloadDesk
from adapters.vault import Keyring
from api.app import create_app
from api.auth import TokenVerifier, TrustedIssuer
from api.deps import Services
from api.live.hub import LiveHub
from models.domain.errors import NotFound
from models.domain.offer import SettlementVenue
from models.domain.provider_record import Unacceptable
from models.domain.writes import StoredAnswer, WriteKey
from sandbox.counterparties.issuer import AUDIENCE, ISSUER, SandboxIssuer
from settings import Settings, TemporalSettings
from tests.adapters.lenders import Directory
from tests.api.events import RememberedEvents
from tests.api.no_accounts import NoAccounts
from tests.api.no_webhooks import NoLenderCallbacks, NoWebhooks

UI_ORIGIN = "http://127.0.0.1:8233"
FRIENDLY_ORIGIN = "https://app.example.org"
MAX_BODY = 65_536


class NoTrail:
    """A transaction in which only the trail is written, and remembered."""

    def __init__(self) -> None:
        self.recorded: list[tuple[Any, ...]] = []

    async def record(self, *args: Any, key: str) -> None:
        self.recorded.append((*args, key))


class EmptyRecords:
    """Knows nobody: every id is unknown, every write is new. `fails_with` makes it fail."""

    def __init__(self) -> None:
        self.submitted: list[tuple[Any, ...]] = []
        self.trail = NoTrail()
        self.fails_with: Exception | None = None

    def _fail(self) -> None:
        if self.fails_with is not None:
            raise self.fails_with

    async def submit(self, write: WriteKey, *rest: Any) -> tuple[StoredAnswer, bool]:
        self._fail()
        admit = rest[-1]
        answer = admit()
        self.submitted.append((write, *rest[:-1]))
        return answer, True

    async def view(self, tenant_id: str, application_id: str) -> Any:
        self._fail()
        raise NotFound("APPLICATION_UNKNOWN")

    ref = find = view

    async def offer(self, tenant_id: str, offer_id: str, only_user: str | None) -> Any:
        self._fail()
        raise NotFound("OFFER_UNKNOWN")

    searched = offer

    async def reserve(self, write: WriteKey) -> None:
        self._fail()

    async def forget(self, write: WriteKey, *kept: StoredAnswer) -> None:
        self._fail()

    answer = release = forget

    async def history(self, tenant_id: str, only_user: str | None, page: Any) -> tuple[Any, ...]:
        self._fail()
        return ()

    async def reject(self, write: WriteKey, offer_id: str, *rest: Any) -> StoredAnswer:
        self._fail()
        raise NotFound("OFFER_UNKNOWN")

    async def open_ones(self, tenant_id: str, limit: int) -> tuple[Any, ...]:
        self._fail()
        return ()

    async def start_application(self, application: Any) -> None:
        self._fail()

    async def ready(self) -> bool:
        return self.fails_with is None

    @asynccontextmanager
    async def snapshot(self, tenant_id: str, only_user: str | None) -> AsyncIterator[EmptyRecords]:
        self._fail()
        yield self

    async def by_key(self, source: Any, keys: Any) -> dict[str, Any]:
        return {}

    of_applications = by_key

    async def page(self, source: Any, page: Any) -> list[Any]:
        return []

    async def people(self, user_ids: Any) -> dict[str, Any]:
        return {}

    applications_of_people = people

    @asynccontextmanager
    async def transaction(self, tenant_id: str) -> AsyncIterator[NoTrail]:
        self._fail()
        yield self.trail


class NoProviders:
    """A tenant without providers: every id is unknown, and no adapter is installed."""

    def __init__(self, records: EmptyRecords) -> None:
        self._records = records

    async def page(self, tenant_id: str, **_: Any) -> ProviderPage:
        self._records._fail()
        return ProviderPage((), None)

    async def find(self, *_: Any) -> Any:
        self._records._fail()
        raise NotFound("PROVIDER_UNKNOWN")

    history = change = rotate = remove = test = find

    async def register(self, *_: Any) -> StoredAnswer:
        self._records._fail()
        raise Unacceptable((("adapter",), "adapter_unknown"), (("config", "url"), "missing"))


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """What is logged, instead of printing it."""
    with capture_logs() as lines:
        yield lines


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> SandboxIssuer:
    return SandboxIssuer.create(tmp_path_factory.mktemp("issuer"))


@pytest.fixture
def verifier(issuer: SandboxIssuer) -> TokenVerifier:
    return TokenVerifier(
        [TrustedIssuer.read(ISSUER, AUDIENCE, issuer.jwks_path, ("Ed25519", "EdDSA"))]
    )


@pytest.fixture
def settings() -> Settings:
    return Settings(
        master_keys={"v1": SecretStr(base64.b64encode(b"k" * 32).decode())},
        temporal=TemporalSettings(ui_origin=UI_ORIGIN),
    )


@pytest.fixture
def records() -> EmptyRecords:
    return EmptyRecords()


@pytest.fixture
def identity() -> Any:
    return NoAccounts()


@pytest.fixture
def live_events() -> RememberedEvents:
    return RememberedEvents()


@pytest.fixture
def app(
    settings: Settings, records: EmptyRecords, verifier: TokenVerifier, identity: Any,
    live_events: RememberedEvents,
) -> FastAPI:  # fmt: skip
    app = create_app(settings)
    stands_for_all: Any = records
    providers: Any = NoProviders(records)
    app.state.services = Services(
        database=stands_for_all,
        applications=stands_for_all,
        reviews=stands_for_all,
        information=stands_for_all,
        providers=providers,
        offers=stands_for_all,
        offer_search=ConcurrentOfferSearch(Directory()),
        search_deadline_s=0.5,
        webhooks=NoWebhooks(),
        lender_callbacks=NoLenderCallbacks(),
        callbacks=stands_for_all,
        graph=stands_for_all,
        graphql_introspection=True,
        writes=stands_for_all,
        messages=stands_for_all,
        payloads=PayloadDesk(Keyring({"v1": b"k" * 32})),
        tokens=verifier,
        live=LiveHub(live_events, envelope_of, verifier.stands),
        live_origins=frozenset({FRIENDLY_ORIGIN}),
        identity=identity,
        venue=SettlementVenue(31337, "0x" + "44" * 20, "0x" + "33" * 20, 6),
        settled_currency="USD",
        secure_cookies=False,
        callback_secrets={"identity": (b"s" * 32,)},
        start_soon=lambda work: work.close(),
    )
    return app


@pytest_asyncio.fixture(loop_scope="session")
async def http(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application; an error that escapes it is an answer, as it is in a server."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        yield client


@pytest.fixture
def bearer(issuer: SandboxIssuer) -> Callable[..., dict[str, str]]:
    """The header of a caller with these roles."""

    def header(*roles: str, subject: str = "zelda", tenant: str = "acme") -> dict[str, str]:
        return {"authorization": f"Bearer {issuer.token(subject, tenant, roles)}"}

    return header


@pytest.fixture
def application_body() -> dict[str, Any]:
    """A body of the right form; its wallet proves nothing."""
    return {
        "amount_minor": 500_000,
        "currency": "USD",
        "term_months": 36,
        "purpose": "medical",
        "applicant": {
            "given_name": "Zelda",
            "family_name": "Quillfeather",
            "born_on": "1990-04-05",
            "email": "zelda@example.org",
            "national_id": "100-10-0001",
            "address": {
                "line1": "1 Heron Street",
                "city": "Springfield",
                "postal_code": "62701",
                "country": "US",
            },
            "document": {"kind": "passport", "number": "P1234567", "country": "US"},
        },
        "finances": {"annual_income_minor": 8_000_000, "employment_months": 60},
        "wallet": {
            "address": "0x" + "11" * 20,
            "issued_at": 1_790_000_000,
            "signature": "0x" + "ab" * 65,
        },
    }
