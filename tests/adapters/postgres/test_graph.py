"""The read schema on real records: every entity, whose it is, how many statements it takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from adapters.postgres.applications import PostgresApplications
from adapters.postgres.database import Database, Transaction
from adapters.postgres.decisions import PostgresDecisionRecords
from adapters.postgres.graph_views import PostgresGraph
from api.auth import Principal, Role, Scope
from api.graphql import serving
from api.graphql.serving import Question, answer
from api.schemas.application_answers import ApplicationAnswer
from api.schemas.reviews import ReviewAnswer
from models.domain.decision import BureauEvidence
from models.domain.errors import Unavailable
from tests.adapters.postgres.reviewing import credit_review, identity_review, opened
from tests.adapters.postgres.test_one_transaction import FACTS, VERDICT

pytestmark = pytest.mark.stack

STAFF = ("underwriter", "compliance_officer", "support", "auditor", "tenant_admin")
UNKNOWN = "app_" + "0" * 32

EVERYTHING = """
query Everything($id: ID!) {
  application(applicationId: $id) {
    applicationId userId amountMinor currency termMonths purpose wallet chainId stage state
    reasons { code text } identity decision acceptedOfferId createdAt updatedAt
    missingOffers { providerId reason }
    offers {
      offerId providerId status amountMinor currency termMonths nominalRateBps aprBps feeMinor
      monthlyPaymentMinor totalRepayableMinor totalCostMinor termsHash chainId aggregator expiresAt
      terms {
        loanReference lender borrower token principal totalRepayable aprBps termMonths nonce
        deadline
      }
    }
    transaction {
      settlementState chainId txHash blockNumber confirmations amountUnits borrower loanReference
    }
    loan {
      loanId amountMinor currency aprBps termMonths monthlyPaymentMinor totalRepayableMinor bookedAt
    }
    assessment { score scoreReasons { code text impactPoints } }
  }
}
"""
FOR_STAFF = {
    "READ_ASSESSMENT": "assessment { details { outcome probabilityOfDefault modelVersion } }",
    "READ_COMPLIANCE": "ruleDecisions { phase outcome fired { ruleId } }",
    "READ_LEDGER": "ledgerEntries { kind state postings { account amountMinor } }",
    "READ_REVIEWS": "reviews { reviewId kind status person { userId } }",
    "KYC": "person { kyc { screening { status } } }",
    "KYC_REASON": "person { kyc { reason } }",
    "KYC_BY": "person { kyc { concludedBy } }",
    "FAILURE": "transaction { failure }",
    "PERSON_REVIEWS": "person { reviews { reviewId } }",
}
MAY = {
    "READ_ASSESSMENT": {"underwriter", "compliance_officer", "auditor"},
    "READ_COMPLIANCE": {"compliance_officer", "auditor"},
    "READ_LEDGER": {"auditor", "tenant_admin"},
    "READ_REVIEWS": set(STAFF),
    "KYC": {"compliance_officer", "auditor"},
    "KYC_REASON": {"compliance_officer", "auditor"},
    "KYC_BY": {"compliance_officer", "auditor"},
    "FAILURE": {"auditor", "tenant_admin"},
    "PERSON_REVIEWS": set(STAFF),
}
PAGE = "{ <listed> { edges { node { <key> } } pageInfo { hasNextPage } } }"
LISTS = ("applications", "offers", "assessments", "loans", "transactions")
STAFF_LISTS = {"ledgerEntries": {"auditor", "tenant_admin"}, "reviews": set(STAFF)}
IDS = {
    "applications": "applicationId", "offers": "offerId", "assessments": "applicationId",
    "loans": "loanId", "transactions": "settlementId", "ledgerEntries": "entryId",
    "reviews": "reviewId",
}  # fmt: skip


def somebody(tenant_id: str, *roles: str, subject: str = "olga") -> Principal:
    return Principal(subject, tenant_id, frozenset(Role(each) for each in roles), 2**40)


class Asking:
    """Questions to the schema over this module's database."""

    def __init__(self, database: Database) -> None:
        self._graph = PostgresGraph(database)

    async def whole(self, who: Principal, query: str, **variables: Any) -> dict[str, Any]:
        question = Question(query, None, variables)
        given = await answer(question, self._graph, who, introspection=True)
        return given.document

    async def data(self, who: Principal, query: str, **variables: Any) -> Any:
        document = await self.whole(who, query, **variables)
        assert "errors" not in document, document["errors"]
        return document["data"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def asking(lending: Any) -> Asking:
    return Asking(lending.app)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def funded(lending: Any) -> Any:
    """Ada's application with everything there can be of one."""
    ref = await lending.application()
    await opened(lending, identity_review(ref))
    await lending.verified(ref)
    await PostgresDecisionRecords(lending.app).record_verdict(ref, VERDICT, FACTS, "list-1")
    await lending.risk.record_assessment(ref, lending.assessment(), BureauEvidence.PRESENT)
    await opened(lending, credit_review(ref))
    attempt = await lending.signed(ref)
    await lending.loans.book_loan(ref, lending.final(attempt.transaction.tx_hash))
    return ref


def filled(template: str, **words: str) -> str:
    """The query with each `<name>` replaced by its word."""
    for name, word in words.items():
        template = template.replace(f"<{name}>", word)
    return template


def camel(value: Any) -> Any:
    """A document of the REST paths as GraphQL spells its names."""
    if isinstance(value, dict):
        return {_camel(name): camel(inner) for name, inner in value.items()}
    return [camel(each) for each in value] if isinstance(value, list) else value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


@pytest.mark.parametrize("role", ["applicant", "integrator", *STAFF])
async def test_an_application_is_shown_as_the_rest_paths_show_it(
    lending: Any, asking: Asking, funded: Any, role: str
) -> None:
    who = somebody(funded.tenant_id, role, subject=funded.user_id)
    shown = (await asking.data(who, EVERYTHING, id=funded.application_id))["application"]
    view = await PostgresApplications(lending.app).view(funded.tenant_id, funded.application_id)
    rest = camel(ApplicationAnswer.of(view).model_dump(mode="json"))
    for absent in ("informationRequests", "notice"):
        del rest[absent]
    assessment = shown.pop("assessment")
    assert assessment == {"score": rest.pop("score"), "scoreReasons": rest.pop("scoreReasons")}
    assert shown == rest
    assert shown["loan"]["amountMinor"] == 500_000
    assert shown["transaction"]["settlementState"] == "final"


@pytest.mark.parametrize("role", ["applicant", "integrator", *STAFF])
@pytest.mark.parametrize("field", FOR_STAFF)
async def test_what_is_for_staff_is_refused_in_its_place(
    asking: Asking, funded: Any, role: str, field: str
) -> None:
    who = somebody(funded.tenant_id, role, subject=funded.user_id)
    query = filled("query ($id: ID!) { application(applicationId: $id) { state <field> } }",
                   field=FOR_STAFF[field])  # fmt: skip
    document = await asking.whole(who, query, id=funded.application_id)
    assert document["data"]["application"]["state"] == "funded"
    errors = [each["extensions"]["code"] for each in document.get("errors", [])]
    assert errors == ([] if role in MAY[field] else ["NOT_ALLOWED"])
    name = FOR_STAFF[field].partition(" ")[0]
    shown = document["data"]["application"][name]
    for inner in ("details", "kyc", "reviews", "screening", "failure"):
        if isinstance(shown, dict) and inner in shown:
            shown = shown[inner]
    if role not in MAY[field]:
        assert not shown or set(shown.values()) == {None}
    elif field not in ("FAILURE", "KYC_REASON"):
        assert shown


async def test_a_narrowed_token_sees_what_its_scopes_allow(asking: Asking, funded: Any) -> None:
    """Roles give it the ledger; the scopes it was issued with do not."""
    narrowed = replace(
        somebody(funded.tenant_id, "auditor"), scopes=frozenset({Scope.APPLICATIONS_READ})
    )
    query = "{ applications { edges { cursor } } ledgerEntries { edges { cursor } } }"
    document = await asking.whole(narrowed, query)
    assert document["data"]["applications"]["edges"]
    assert document["data"]["ledgerEntries"] is None
    assert [each["extensions"]["code"] for each in document["errors"]] == ["NOT_ALLOWED"]


async def test_staff_see_what_compliance_knows(asking: Asking, funded: Any) -> None:
    who = somebody(funded.tenant_id, "auditor")
    shown = (await asking.data(
        who,
        """query ($id: ID!) { application(applicationId: $id) {
             person { userId
               kyc { status verifiedAt expiresAt concludedBy reason
                 screening { status listVersion screenedNamesCount mixedScript
                   matches { listEntryId listName matchedName method } } }
               applications { applicationId }
               reviews { kind application { state } } }
             ruleDecisions { phase outcome reasons packs ruleSetVersion sanctionsListVersion
               modelVersion decidedAt fired { ruleId ruleVersion action outcome reasonCode } }
             reviews { kind subjectId reasons status approvalsNeeded approvals assignee decidedBy
               createdAt decidedAt application { applicationId } }
             ledgerEntries { kind state currency postings { account amountMinor } clearedAt
               application { applicationId } }
             loan { offer { offerId status } application { state } }
             transaction { failure lender token application { state } }
             assessment { details { outcome bureauStatus confidence referredBecause modelSha256 } }
           } }""",
        id=funded.application_id,
    ))["application"]  # fmt: skip
    person = shown["person"]
    assert person["kyc"]["status"] == "verified"
    assert person["kyc"]["screening"]["status"] == "clear"
    assert person["applications"] == [{"applicationId": funded.application_id}]
    assert [each["kind"] for each in person["reviews"]] == ["identity"]
    assert person["reviews"][0]["application"] is None
    assert [each["phase"] for each in shown["ruleDecisions"]] == [VERDICT.phase]
    assert shown["ruleDecisions"][0]["outcome"] == VERDICT.outcome
    assert [each["kind"] for each in shown["reviews"]] == ["credit"]
    assert shown["reviews"][0]["application"]["applicationId"] == funded.application_id
    kinds = {each["kind"]: each for each in shown["ledgerEntries"]}
    assert set(kinds) == {"commitment", "disbursement", "release"}
    for entry in kinds.values():
        assert entry["state"] == "final"
        assert sum(each["amountMinor"] for each in entry["postings"]) == 0
    assert shown["loan"]["offer"]["status"] == "accepted"
    assert shown["transaction"]["failure"] is None
    assert shown["assessment"]["details"]["bureauStatus"] == "present"


async def test_a_review_is_shown_as_the_rest_paths_show_it(
    lending: Any, asking: Asking, funded: Any
) -> None:
    who = somebody(funded.tenant_id, "underwriter")
    page = await asking.data(
        who,
        """{ reviews(kind: "credit") { edges { node { reviewId kind subjectId reasons status
             approvalsNeeded approvals assignee decidedBy createdAt decidedAt } } } }""",
    )
    (edge,) = page["reviews"]["edges"]
    view = await lending.reviews.find(funded.tenant_id, edge["node"]["reviewId"])
    assert edge["node"] == camel(ReviewAnswer.of(view).model_dump(mode="json"))


@pytest.mark.parametrize("listed", LISTS)
async def test_a_list_holds_ones_own(
    lending: Any, asking: Asking, funded: Any, listed: str
) -> None:
    query = filled(PAGE, listed=listed, key=IDS[listed])
    for who, found in (
        (somebody(funded.tenant_id, "applicant", subject=funded.user_id), True),
        (somebody(funded.tenant_id, "applicant", subject="somebody-else"), False),
        (somebody(funded.tenant_id, "integrator"), True),
        (somebody(funded.tenant_id, "auditor"), True),
        (somebody(lending.tenant(), "auditor"), False),
        (somebody(lending.tenant(), "applicant", subject=funded.user_id), False),
    ):
        page = (await asking.data(who, query))[listed]
        assert bool(page["edges"]) is found, who


@pytest.mark.parametrize("listed", STAFF_LISTS)
@pytest.mark.parametrize("role", ["applicant", "integrator", *STAFF])
async def test_lists_for_staff_are_refused_to_others(
    lending: Any, asking: Asking, funded: Any, listed: str, role: str
) -> None:
    query = filled(PAGE, listed=listed, key=IDS[listed])
    document = await asking.whole(somebody(funded.tenant_id, role, subject="ada"), query)
    if role in STAFF_LISTS[listed]:
        assert document["data"][listed]["edges"]
        elsewhere = await asking.data(somebody(lending.tenant(), role), query)
        assert elsewhere[listed]["edges"] == []
    else:
        assert document["data"] == {listed: None}
        assert document["errors"][0]["extensions"]["code"] == "NOT_ALLOWED"


BY_ID = {
    "application": ("applicationId", "applications"), "offer": ("offerId", "offers"),
    "assessment": ("applicationId", "assessments"), "loan": ("loanId", "loans"),
    "transaction": ("settlementId", "transactions"), "ledgerEntry": ("entryId", "ledgerEntries"),
    "review": ("reviewId", "reviews"),
}  # fmt: skip
TYPES = {
    "application": "Application", "offer": "Offer", "assessment": "Assessment", "loan": "Loan",
    "transaction": "Transaction", "ledgerEntry": "LedgerEntry", "review": "Review",
}  # fmt: skip


@pytest.mark.parametrize("one", BY_ID)
async def test_a_foreign_id_is_absent_like_an_unknown_one(
    lending: Any, asking: Asking, funded: Any, one: str
) -> None:
    """By its own field and as an entity of a federation."""
    key, listed = BY_ID[one]
    mine = somebody(funded.tenant_id, "auditor")
    page = await asking.data(mine, filled(PAGE, listed=listed, key=key))
    value = page[listed]["edges"][0]["node"][key]
    query = filled(
        "query ($key: ID!, $of: [_Any!]!) { one: <one>(<key>: $key) { <key> }"
        " _entities(representations: $of) { __typename ... on <type> { <key> } } }",
        one=one, key=key, type=TYPES[one],
    )  # fmt: skip
    of = [{"__typename": TYPES[one], key: value}]
    found = await asking.data(mine, query, key=value, of=of)
    assert found == {"one": {key: value}, "_entities": [{"__typename": TYPES[one], key: value}]}
    strangers = [somebody(lending.tenant(), "auditor")]
    if one not in ("ledgerEntry", "review"):
        strangers.append(somebody(funded.tenant_id, "applicant", subject="somebody-else"))
    for who in strangers:
        foreign = await asking.whole(who, query, key=value, of=of)
        unknown = value[: value.index("_") + 1] + "0" * 32
        absent = await asking.whole(
            who, query, key=unknown, of=[{"__typename": TYPES[one], key: unknown}]
        )
        assert foreign == absent
        assert foreign["data"] == {"one": None, "_entities": [None]}


async def test_a_person_is_known_to_staff_and_to_themselves(
    lending: Any, asking: Asking, funded: Any
) -> None:
    query = """{ person(userId: "ada") { userId kyc { status } applications { state } }
                 _entities(representations: [{__typename: "Person", userId: "ada"}]) {
                   ... on Person { kyc { status } } } }"""
    known = {
        "person": {
            "userId": "ada", "kyc": {"status": "verified"}, "applications": [{"state": "funded"}]
        },
        "_entities": [{"kyc": {"status": "verified"}}],
    }  # fmt: skip
    unknown = {"person": None, "_entities": [None]}
    tenant_id = funded.tenant_id
    for who, expected in (
        (somebody(tenant_id, "support"), known),
        (somebody(tenant_id, "applicant", subject="ada"), known),
        (somebody(tenant_id, "applicant", subject="somebody-else"), unknown),
        (somebody(lending.tenant(), "auditor"), unknown),
    ):
        assert await asking.data(who, query) == expected


async def test_pages_follow_each_other_without_gap_or_repeat(lending: Any, asking: Asking) -> None:
    tenant_id = lending.tenant()
    made = [(await lending.application(tenant_id, f"user-{n % 2}")).application_id
            for n in range(5)]  # fmt: skip
    query = """query ($after: String, $of: String) { applications(first: 2, after: $after,
      userId: $of) { edges { cursor node { applicationId userId } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""
    for who, of, expected in (
        (somebody(tenant_id, "support"), None, sorted(made, reverse=True)),
        (somebody(tenant_id, "support"), "user-0", sorted(made[::2], reverse=True)),
        (somebody(tenant_id, "applicant", subject="user-1"), None, sorted(made[1::2])[::-1]),
        (somebody(tenant_id, "applicant", subject="user-1"), "user-0", []),
    ):
        seen: list[str] = []
        after = None
        for turn in range(4):
            page = (await asking.data(who, query, after=after, of=of))["applications"]
            seen += [each["node"]["applicationId"] for each in page["edges"]]
            info = page["pageInfo"]
            assert info["hasPreviousPage"] is (turn > 0)
            cursors = [each["cursor"] for each in page["edges"]] or [None]
            assert (info["startCursor"], info["endCursor"]) == (cursors[0], cursors[-1])
            after = info["endCursor"]
            if not info["hasNextPage"]:
                break
        assert seen == expected


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that is read, in order."""
    asked: list[str] = []
    read = Transaction.rows

    async def counted(self: Transaction, sql: str, *args: object) -> list[Any]:
        asked.append(sql)
        return await read(self, sql, *args)

    monkeypatch.setattr(Transaction, "rows", counted)
    return asked


MANY = """{ applications(first: 20) { edges { node { applicationId
  offers { offerId application { applicationId } } assessment { score } loan { loanId offer {
  offerId } } transaction { settlementId } ledgerEntries { kind } ruleDecisions { phase }
  reviews { reviewId person { userId } } person { kyc { status } applications { applicationId } }
} } } }"""


async def test_how_many_there_are_makes_no_more_statements(
    lending: Any, asking: Asking, statements: list[str]
) -> None:
    tenant_id = lending.tenant()
    who = somebody(tenant_id, "auditor")
    counts = []
    for made in (1, 7):
        for n in range(made):
            ref = await lending.application(tenant_id, f"user-{made}-{n}")
            await lending.verified(ref)
            await opened(lending, credit_review(ref))
            attempt = await lending.signed(ref)
            await lending.loans.book_loan(ref, lending.final(attempt.transaction.tx_hash))
        statements.clear()
        data = await asking.data(who, MANY)
        assert len(data["applications"]["edges"]) == (1 if made == 1 else 8)
        counts.append(len(statements))
    # The page, seven kinds of it, what people are known and applied for, and the way back.
    assert counts == [12, 12]


async def test_a_question_about_the_schema_reads_nothing(
    asking: Asking, statements: list[str]
) -> None:
    who = somebody("acme", "auditor")
    assert await asking.data(who, "{ __typename }") == {"__typename": "Query"}
    await asking.data(who, '{ __type(name: "Loan") { name } }')
    await asking.data(who, "{ _service { sdl } }")
    assert statements == []


async def test_an_answer_shows_one_moment(
    lending: Any, asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is committed between two of its statements is not in it."""
    tenant_id = lending.tenant()
    ref = await lending.application(tenant_id)
    who = somebody(tenant_id, "support")
    read = Transaction.rows
    meddled = []

    async def meddling(self: Transaction, sql: str, *args: object) -> list[Any]:
        found = await read(self, sql, *args)
        if not meddled:
            meddled.append(True)
            await lending.offered(ref)
        return found

    monkeypatch.setattr(Transaction, "rows", meddling)
    query = "{ applications { edges { node { offers { offerId } } } } }"
    first, second = [await asking.data(who, query) for _ in range(2)]
    assert first["applications"]["edges"][0]["node"]["offers"] == []
    assert len(second["applications"]["edges"][0]["node"]["offers"]) == 1


async def test_a_snapshot_writes_nothing_and_waits_for_no_statement(lending: Any) -> None:
    async with lending.app.snapshot("acme", 0.05) as tx:
        with pytest.raises(Exception, match="read-only"):
            await tx.execute("UPDATE applications SET stage = stage")
    with pytest.raises(Unavailable, match="DATABASE_UNAVAILABLE"):
        async with lending.app.snapshot("acme", 0.05) as tx:
            await tx.value("SELECT pg_sleep(10)")
    async with lending.app.transaction("acme") as tx:  # nothing of it stays with the connection
        assert await tx.value("SHOW statement_timeout") == "0"


async def test_queries_that_take_too_long_keep_no_connection(
    lending: Any, asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them than the pool has connections, each ended in the middle of a statement."""
    read = Transaction.rows

    async def slow(self: Transaction, sql: str, *args: object) -> list[Any]:
        return await read(self, "SELECT pg_sleep(60)")

    who, query = somebody("acme", "support"), "{ applications { edges { cursor } } }"
    monkeypatch.setattr(serving, "DEADLINE_S", 0.05)
    monkeypatch.setattr(Transaction, "rows", slow)
    for _ in range(14):
        with pytest.raises(Unavailable, match="QUERY_TOO_SLOW"):
            await asking.data(who, query)
    monkeypatch.undo()
    assert await asking.data(who, query) == {"applications": {"edges": []}}


async def test_records_that_are_away_are_an_outage_of_the_whole(
    lending: Any, asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(self: Transaction, sql: str, *args: object) -> list[Any]:
        raise Unavailable("DATABASE_UNAVAILABLE")

    monkeypatch.setattr(Transaction, "rows", away)
    query = "{ a: applications { edges { cursor } } b: loans { edges { cursor } } }"
    with pytest.raises(Unavailable, match="DATABASE_UNAVAILABLE"):
        await asking.data(somebody("acme", "support"), query)
