"""The schema's roots: things by id, lists in pages, and entities for a federation's router."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import strawberry
from graphql import GraphQLSchema
from strawberry import federation
from strawberry.extensions import SchemaExtension
from strawberry.federation.schema import FederationAny
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from api.auth import Action
from api.deps import graph_views as at
from api.graphql.compliance import Person, Review
from api.graphql.context import Info
from api.graphql.lending import Application, Assessment, Loan, Offer, application_of
from api.graphql.limits import MAX_REPRESENTATIONS, PAGE_DEFAULT
from api.graphql.pages import After, Connection, First, connection
from api.graphql.refusals import refusal
from api.graphql.scalars import SCALARS
from api.graphql.settlement import LedgerEntry, Transaction
from models.domain.ids import is_name


async def _offer(info: Info, key: str) -> Offer | None:
    found = await info.context.one(at.OFFERS, key)
    return Offer.of(found) if found else None


async def _assessment(info: Info, key: str) -> Assessment | None:
    found = await info.context.one(at.ASSESSMENTS, key)
    return Assessment.of(found) if found else None


async def _loan(info: Info, key: str) -> Loan | None:
    found = await info.context.one(at.LOANS, key)
    return Loan.of(found) if found else None


async def _transaction(info: Info, key: str) -> Transaction | None:
    found = await info.context.one(at.SETTLEMENTS, key)
    return Transaction.of(found) if found else None


async def _ledger_entry(info: Info, key: str) -> LedgerEntry | None:
    info.context.require(Action.READ_LEDGER)
    found = await info.context.one(at.LEDGER, key)
    return LedgerEntry.of(found) if found else None


async def _review(info: Info, key: str) -> Review | None:
    info.context.require(Action.READ_REVIEWS)
    found = await info.context.one(at.REVIEWS, key)
    return Review.of(found) if found else None


async def _person(info: Info, key: str) -> Person | None:
    """A person is known by having applied; applicants know themselves alone."""
    known = is_name(key) and await info.context.applications_of(key)
    return Person(user_id=strawberry.ID(key)) if known else None


# What a federation's router may ask for: the key's name, and how the thing is found.
ENTITIES: Final[dict[str, tuple[str, Callable[[Info, str], Awaitable[Any]]]]] = {
    "Application": ("applicationId", application_of),
    "Assessment": ("applicationId", _assessment),
    "LedgerEntry": ("entryId", _ledger_entry),
    "Loan": ("loanId", _loan),
    "Offer": ("offerId", _offer),
    "Person": ("userId", _person),
    "Review": ("reviewId", _review),
    "Transaction": ("settlementId", _transaction),
}


@strawberry.type(description="Everything is read here; nothing is written by GraphQL.")
class Query:
    @strawberry.field(description="An application; null for an unknown id, and a foreign one.")
    async def application(self, info: Info, application_id: strawberry.ID) -> Application | None:
        return await application_of(info, application_id)

    @strawberry.field(description="An offer, by its id.")
    async def offer(self, info: Info, offer_id: strawberry.ID) -> Offer | None:
        return await _offer(info, offer_id)

    @strawberry.field(description="An application's assessment.")
    async def assessment(self, info: Info, application_id: strawberry.ID) -> Assessment | None:
        return await _assessment(info, application_id)

    @strawberry.field(description="A loan, by its id.")
    async def loan(self, info: Info, loan_id: strawberry.ID) -> Loan | None:
        return await _loan(info, loan_id)

    @strawberry.field(description="A payment on chain, by the settlement's id.")
    async def transaction(self, info: Info, settlement_id: strawberry.ID) -> Transaction | None:
        return await _transaction(info, settlement_id)

    @strawberry.field(description="A ledger entry, by its id. For auditors and admins.")
    async def ledger_entry(self, info: Info, entry_id: strawberry.ID) -> LedgerEntry | None:
        return await _ledger_entry(info, entry_id)

    @strawberry.field(description="A person who has applied.")
    async def person(self, info: Info, user_id: strawberry.ID) -> Person | None:
        return await _person(info, user_id)

    @strawberry.field(description="A review, by its id. For staff.")
    async def review(self, info: Info, review_id: strawberry.ID) -> Review | None:
        return await _review(info, review_id)

    @strawberry.field(description="Applications; an applicant's own.")
    async def applications(
        self,
        info: Info,
        first: First = PAGE_DEFAULT,
        after: After = None,
        state: str | None = None,
        stage: str | None = None,
        user_id: str | None = None,
    ) -> Connection[Application] | None:
        return await connection(
            info, at.APPLICATIONS, Application.of, first, after,
            state=state, stage=stage, user_id=user_id,
        )  # fmt: skip

    @strawberry.field(description="Offers; those of an applicant's own applications.")
    async def offers(
        self,
        info: Info,
        first: First = PAGE_DEFAULT,
        after: After = None,
        status: str | None = None,
        provider_id: str | None = None,
    ) -> Connection[Offer] | None:
        return await connection(
            info, at.OFFERS, Offer.of, first, after, status=status, provider_id=provider_id
        )

    @strawberry.field(description="Assessments, by when their applications were made.")
    async def assessments(
        self, info: Info, first: First = PAGE_DEFAULT, after: After = None
    ) -> Connection[Assessment] | None:
        return await connection(info, at.ASSESSMENTS, Assessment.of, first, after)

    @strawberry.field(description="Loans on the books; an applicant's own.")
    async def loans(
        self,
        info: Info,
        first: First = PAGE_DEFAULT,
        after: After = None,
        provider_id: str | None = None,
    ) -> Connection[Loan] | None:
        return await connection(info, at.LOANS, Loan.of, first, after, provider_id=provider_id)

    @strawberry.field(description="Payments on chain; those to an applicant.")
    async def transactions(
        self,
        info: Info,
        first: First = PAGE_DEFAULT,
        after: After = None,
        state: str | None = None,
    ) -> Connection[Transaction] | None:
        return await connection(info, at.SETTLEMENTS, Transaction.of, first, after, state=state)

    @strawberry.field(description="Ledger entries. For auditors and admins.")
    async def ledger_entries(
        self,
        info: Info,
        first: First = PAGE_DEFAULT,
        after: After = None,
        kind: str | None = None,
        state: str | None = None,
    ) -> Connection[LedgerEntry] | None:
        info.context.require(Action.READ_LEDGER)
        return await connection(
            info, at.LEDGER, LedgerEntry.of, first, after, kind=kind, state=state
        )

    @strawberry.field(description="Reviews. For staff.")
    async def reviews(
        self,
        info: Info,
        first: First = PAGE_DEFAULT,
        after: After = None,
        status: str | None = None,
        kind: str | None = None,
    ) -> Connection[Review] | None:
        info.context.require(Action.READ_REVIEWS)
        return await connection(info, at.REVIEWS, Review.of, first, after, status=status, kind=kind)


class Checked(SchemaExtension):
    """The document was parsed, weighed and validated already: it is not done again."""

    def on_parse(self) -> Iterator[None]:
        self.execution_context.graphql_document = self.execution_context.context.document
        yield

    def on_validate(self) -> Iterator[None]:
        self.execution_context.pre_execution_errors = []
        yield


class ReadSchema(federation.Schema):
    """Strawberry's schema with entities that are checked before anything is called with them."""

    @property
    def core(self) -> GraphQLSchema:
        """The schema as graphql-core validates against it."""
        return self._schema

    def process_errors(
        self, errors: list[Any], execution_context: ExecutionContext | None = None
    ) -> None:
        """Errors are logged where they are answered, and only those that are ours."""

    def entities_resolver(
        self, info: Info, representations: list[FederationAny]
    ) -> list[FederationAny]:
        if len(representations) > MAX_REPRESENTATIONS:
            raise refusal(
                "TOO_MANY_REPRESENTATIONS",
                f"At most {MAX_REPRESENTATIONS} representations.",
                limit=MAX_REPRESENTATIONS,
            )
        found: list[Any] = [_entity(info, each) for each in representations]
        return found


def _entity(info: Info, representation: object) -> Any:
    """The thing a representation names, to be awaited; an error for a malformed one."""
    name, key = None, None
    if isinstance(representation, dict):
        name = representation.get("__typename")
    if isinstance(name, str) and name in ENTITIES:
        field, find = ENTITIES[name]
        key = representation.get(field)  # type: ignore[attr-defined]
        if isinstance(key, str):
            return find(info, key)
    return refusal("REPRESENTATION_MALFORMED", "`__typename` of an entity, and its key.")


SCHEMA: Final = ReadSchema(
    Query,
    types=[Person, Review],
    extensions=[Checked],
    config=StrawberryConfig(scalar_map=SCALARS),
)
