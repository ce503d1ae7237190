"""A real PostgreSQL for these tests alone, a database per module, and loans at every stage."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from adapters.chain.eip712 import loan_reference
from adapters.postgres.applications import PostgresApplications
from adapters.postgres.database import Database, Transaction
from adapters.postgres.information import PostgresInformation
from adapters.postgres.kyc import PostgresKYCRecords
from adapters.postgres.loans import PostgresLoanBook
from adapters.postgres.notices import PostgresApplicationEndings
from adapters.postgres.offers import PostgresOfferRecords
from adapters.postgres.reviews import PostgresReviewRecords
from adapters.postgres.risk import PostgresRiskRecords
from adapters.postgres.schema import migrate
from adapters.postgres.settlements import PostgresChainRecords
from adapters.vault import Keyring, new_key
from models.domain.application import (
    Address,
    Applicant,
    ApplicationRef,
    CreditRequest,
    IdentityDocument,
)
from models.domain.ids import new_id
from models.domain.kyc import KYCConclusion, KYCStatus, PersonRef, VerificationRequest
from models.domain.offer import (
    Acceptance,
    AcceptOffer,
    LoanTerms,
    OfferBook,
    ProviderAnswer,
    Quote,
    SettlementVenue,
)
from models.domain.risk import Assessment, clipped_score, unclipped_score
from models.domain.screening import ScreeningResult, ScreeningStatus
from models.domain.settlement import (
    FinalitySignal,
    SettlementOrder,
    SettlementOutcome,
    SignedTransaction,
)
from models.domain.writes import StoredAnswer, WriteKey
from sandbox.services.postgres import Postgres
from sandbox.services.state_dir import hold
from settings import ROOT
from tests.event_schemas import wrong_data

ROLES = ("app", "chain", "relay")
TEMPLATE = "caas_template"
CHAIN_ID = 31337
WALLET = "0x" + "11" * 20
LENDER = "0x" + "22" * 20
TOKEN = "0x" + "33" * 20
VENUE = SettlementVenue(CHAIN_ID, "0x" + "44" * 20, TOKEN, 6)
CLEAR = ScreeningResult(ScreeningStatus.CLEAR, (), "list-1", 1)


@dataclass(frozen=True)
class Cluster:
    """The server with its roles' passwords."""

    server: Postgres
    passwords: dict[str, str]

    def dsn(self, database: str, role: str) -> str:
        """The address for `owner`, `app`, `chain` or `relay`."""
        return self.server.dsn(database, f"caas_{role}", self.passwords[role])

    async def administer(self, sql: str, database: str = "postgres") -> None:
        connection = await asyncpg.connect(self.server.dsn(database))
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


@pytest.fixture(autouse=True)
def _events_are_as_published(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever the product records, as its statements are tested, is held against docs/events."""
    record, record_each = Transaction.record, Transaction.record_each
    wrong: list[str] = []

    def look(action: str, subject_id: str, details: Sequence[dict[str, Any]]) -> None:
        recorded_by = sys._getframe(2).f_globals["__name__"]
        if recorded_by.startswith("adapters."):  # tests record what they like
            for detail in details:
                wrong.extend(wrong_data(action, {"subject_id": subject_id, **detail}))

    async def one(tx: Transaction, actor: str, action: str, *of: Any, key: str) -> None:
        look(action, of[0], [of[1]])
        await record(tx, actor, action, *of, key=key)

    async def each(tx: Transaction, actor: str, action: str, *of: Any, key: str) -> None:
        look(action, *of)
        await record_each(tx, actor, action, *of, key=key)

    monkeypatch.setattr(Transaction, "record", one)
    monkeypatch.setattr(Transaction, "record_each", each)
    yield
    assert wrong == []


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cluster(request: Any) -> AsyncIterator[Cluster]:
    """PostgreSQL with our roles and a migrated template database."""
    state_dir = ROOT / ".run" / f"records-{os.getpid()}"
    with hold(state_dir):
        server = Postgres(state_dir, durable=False)
        passwords = {role: uuid.uuid4().hex for role in ("owner", *ROLES)}
        made = Cluster(server, passwords)
        try:
            await server.start()
            await made.administer(
                f"CREATE ROLE caas_owner LOGIN CREATEROLE PASSWORD '{passwords['owner']}'"
            )
            await made.administer(f"CREATE DATABASE {TEMPLATE} OWNER caas_owner")
            await migrate(made.dsn(TEMPLATE, "owner"))
            for role in ROLES:
                await made.administer(f"ALTER ROLE caas_{role} LOGIN PASSWORD '{passwords[role]}'")
            yield made
            assert server.deadlocks() == 0, server.process.log_path
        finally:
            await server.stop()
    if not request.session.testsfailed:
        shutil.rmtree(state_dir, ignore_errors=True)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lending(cluster: Cluster) -> AsyncIterator[Lending]:
    """A database of this module's own, with a pool under each role."""
    name = f"caas_{uuid.uuid4().hex[:12]}"
    await cluster.administer(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER caas_owner")
    keyring = Keyring({"v1": new_key()})
    pools = {
        role: await Database.connect(cluster.dsn(name, role), keyring, max_size=12)
        for role in ROLES
    }
    yield Lending(cluster, name, keyring, **pools)
    for pool in pools.values():
        await pool.close()


@dataclass(frozen=True)
class Lending:
    """Makes applications and takes them to any stage, by the product's own statements."""

    cluster: Cluster
    name: str
    keyring: Keyring
    app: Database
    chain: Database
    relay: Database

    # What the tests look at, as a superuser whom no policy binds.

    @asynccontextmanager
    async def superuser(self) -> AsyncIterator[Any]:
        connection = await asyncpg.connect(self.cluster.server.dsn(self.name))
        try:
            yield connection
        finally:
            await connection.close()

    async def rows(self, sql: str, *args: object) -> list[Any]:
        async with self.superuser() as connection:
            return list(await connection.fetch(sql, *args))

    async def value(self, sql: str, *args: object) -> Any:
        async with self.superuser() as connection:
            return await connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: object) -> None:
        async with self.superuser() as connection:
            await connection.execute(sql, *args)

    async def tables(self) -> list[str]:
        """Every table of ours."""
        rows = await self.rows(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
            " AND table_type = 'BASE TABLE' AND table_name <> 'alembic_version' ORDER BY 1"
        )
        return [row["table_name"] for row in rows]

    async def contents(self, tenant_id: str) -> dict[str, list[str]]:
        """All rows of a tenant, as text, by table."""
        async with self.superuser() as connection:
            return {
                table: [
                    row["t"]
                    for row in await connection.fetch(
                        f"SELECT t::text AS t FROM {table} t WHERE tenant_id = $1 ORDER BY 1",
                        tenant_id,
                    )
                ]
                for table in await self.tables()
            }

    async def audited(self, tenant_id: str) -> list[str]:
        """The tenant's audited actions, in order."""
        rows = await self.rows(
            "SELECT action FROM audit_log WHERE tenant_id = $1 ORDER BY seq", tenant_id
        )
        return [row["action"] for row in rows]

    async def published(self, tenant_id: str) -> list[str]:
        """The tenant's events, in order."""
        rows = await self.rows(
            "SELECT type FROM outbox WHERE tenant_id = $1 ORDER BY seq", tenant_id
        )
        return [row["type"] for row in rows]

    # What the tests start from.

    def tenant(self) -> str:
        return f"tenant-{uuid.uuid4().hex[:12]}"

    def write(self, tenant_id: str, **changes: Any) -> WriteKey:
        body = hashlib.sha256(b"body").digest()
        write = WriteKey(tenant_id, "ada", "POST /api/v1/applications", uuid.uuid4().hex, body)
        return replace(write, **changes)

    async def application(
        self, tenant_id: str | None = None, user_id: str = "ada", **stated: Any
    ) -> ApplicationRef:
        """A stored application; `stated` changes what the person says of themselves."""
        ref = ApplicationRef(tenant_id or self.tenant(), new_id("app"), user_id)
        answer = StoredAnswer(202, {}, b"{}")
        await PostgresApplications(self.app).submit(
            self.write(ref.tenant_id, subject=user_id), ref, self.request(),
            self.person(**stated), lambda: answer,
        )  # fmt: skip
        return ref

    def request(self) -> CreditRequest:
        return CreditRequest(500_000, "USD", 36, "medical", "US", WALLET, CHAIN_ID)

    def person(self, **changes: Any) -> Applicant:
        person = Applicant(
            given_name="Ada",
            family_name="Quillfeather",
            born_on="1990-04-05",
            email="ada@example.org",
            national_id="100-10-0001",
            address=Address("1 Heron Street", "Springfield", "62701", "US"),
            document=IdentityDocument("passport", "P1234567", "US"),
            annual_income_minor=8_000_000,
            employment_months=60,
        )
        return replace(person, **changes)

    def assessment(self, pd: float = 0.04) -> Assessment:
        score = unclipped_score(pd)
        return Assessment(
            pd, clipped_score(score), score, (), "model-1", "a" * 64, "scored", None, 1.0
        )

    def quote(self, ref: ApplicationRef, provider_id: str = "bank-a", apr: int = 900) -> Quote:
        terms = LoanTerms(
            loan_reference=loan_reference(ref.tenant_id, ref.application_id),
            lender=LENDER,
            borrower=WALLET,
            token=TOKEN,
            principal=500_000 * 10**4,
            total_repayable=572_400 * 10**4,
            apr_bps=apr,
            term_months=36,
            nonce=2**255 + 1,
            deadline=4_000_000_000,
        )
        return Quote(
            provider_id=provider_id,
            quote_id=f"quote-{uuid.uuid4().hex[:8]}",
            amount_minor=500_000,
            currency="USD",
            term_months=36,
            nominal_rate_bps=apr,
            fee_minor=0,
            monthly_payment_minor=15_900,
            total_repayable_minor=572_400,
            apr_bps=apr,
            expires_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat(),
            terms=terms,
            terms_hash="0x" + hashlib.sha256(provider_id.encode()).hexdigest(),
        )

    @property
    def kyc(self) -> PostgresKYCRecords:
        return PostgresKYCRecords(self.app)

    @property
    def offers(self) -> PostgresOfferRecords:
        return PostgresOfferRecords(self.app, VENUE)

    @property
    def risk(self) -> PostgresRiskRecords:
        return PostgresRiskRecords(self.app)

    @property
    def loans(self) -> PostgresLoanBook:
        return PostgresLoanBook(self.app)

    @property
    def endings(self) -> PostgresApplicationEndings:
        return PostgresApplicationEndings(self.app)

    @property
    def reviews(self) -> PostgresReviewRecords:
        return PostgresReviewRecords(self.app)

    @property
    def information(self) -> PostgresInformation:
        return PostgresInformation(self.app)

    def settlements(self, sender: str | None = None) -> PostgresChainRecords:
        """The chain lane of a sending account; a new account unless one is named."""
        return PostgresChainRecords(self.chain, CHAIN_ID, sender or self.sender())

    def sender(self) -> str:
        return "0x" + uuid.uuid4().hex + "0" * 8

    def signer(self, sender: str) -> Any:
        """Signs with a nonce: the bytes are told apart by account and nonce alone."""

        def sign(nonce: int) -> SignedTransaction:
            digest = hashlib.sha256(f"{sender}/{nonce}".encode()).hexdigest()
            return SignedTransaction(CHAIN_ID, sender, nonce, "0x" + digest, f"0x{nonce:064x}")

        return sign

    # Stages, each on top of the one before.

    async def offered(self, ref: ApplicationRef, lenders: int = 1) -> OfferBook:
        quotes = [
            self.quote(ref, provider_id=f"bank-{number}", apr=900 + number)
            for number in range(lenders)
        ]
        return await self.offers.record_search(
            ref, [ProviderAnswer(quote.provider_id, quote) for quote in quotes]
        )

    async def failing(self, ref: ApplicationRef, reason: str) -> SettlementOutcome:
        """The settlement of whatever offer was accepted fails."""
        offer_id = await self.value(
            "SELECT accepted_offer_id FROM applications WHERE application_id = $1",
            ref.application_id,
        )
        return await self.loans.fail_settlement(ref, offer_id or "", reason)

    def accepting(self, ref: ApplicationRef, book: OfferBook, position: int = 0) -> AcceptOffer:
        offer = book.offers[position]
        return AcceptOffer(
            offer.offer_id,
            ref.user_id,
            ref.user_id,
            Acceptance(offer.terms_hash, WALLET, 7, 4_000_000_000, "0x" + "ab" * 65),
        )

    async def accepted(self, ref: ApplicationRef) -> SettlementOrder:
        request = self.accepting(ref, await self.offered(ref))
        await self.offers.record_acceptance(ref, request)
        return SettlementOrder(ref, request.offer_id, request.acceptance)

    async def confirmed(self, ref: ApplicationRef) -> SettlementOrder:
        order = await self.accepted(ref)
        await self.settlements().record_confirmation(order, "0x" + "cd" * 65)
        return order

    async def signed(self, ref: ApplicationRef, sender: str | None = None) -> Any:
        """The attempt on record."""
        sender = sender or self.sender()
        order = await self.confirmed(ref)
        records = self.settlements(sender)
        quote = (await records.accepted_offer(order)).quote
        return await records.persist_attempt(order, quote, 0, self.signer(sender))

    def final(self, tx_hash: str, *, succeeded: bool = True) -> FinalitySignal:
        return FinalitySignal(tx_hash, 100, "0x" + "55" * 32, 3, succeeded)

    async def begun(self, ref: ApplicationRef) -> VerificationRequest:
        """A verification the vendor is about to be asked for."""
        person = PersonRef(ref.tenant_id, ref.user_id)
        request = VerificationRequest(person, new_id("ver"))
        await self.kyc.begin_verification(request, "vendor")
        return request

    def concluding(
        self,
        request: VerificationRequest,
        status: KYCStatus = KYCStatus.VERIFIED,
        valid: timedelta = timedelta(days=365),
    ) -> KYCConclusion:
        verified = status is KYCStatus.VERIFIED
        return KYCConclusion(
            request.person,
            request.verification_id,
            status,
            "vendor",
            None if verified else "DOCUMENT_REJECTED",
            (datetime.now(UTC) + valid).isoformat() if verified else None,
        )

    async def verified(self, ref: ApplicationRef) -> VerificationRequest:
        """The application's person joined and was verified; the application was told."""
        await self.kyc.join(ref)
        request = await self.begun(ref)
        for each in await self.kyc.conclude(self.concluding(request), CLEAR):
            await self.kyc.told(request.person, each.application_id)
        return request
