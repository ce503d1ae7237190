"""Who may do what, as one table; and the requests that ask for each row of it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from api.roles import Action, Role

COLUMNS: Final[dict[str, Role | None]] = {
    "A": Role.APPLICANT, "I": Role.INTEGRATOR, "U": Role.UNDERWRITER, "C": Role.COMPLIANCE_OFFICER,
    "S": Role.SUPPORT, "D": Role.AUDITOR, "T": Role.TENANT_ADMIN, "P": Role.PLATFORM_ADMIN,
    "L": Role.PROVIDER, "-": None,
}  # fmt: skip

# x: may, within their own tenant. o: may, with what is their own; another person's does not exist.
# .: may not: 403, and 401 without a token. What is asked is told by its action (api/roles.py), or
#    caller: whoever is signed in    public: everybody    credential: who shows it, whatever role
# L calls by an API key, as providers do; all others by access tokens.
TABLE: Final = """
asked                                                                | action                   | A I U C S D T P L -
POST /api/v1/applications                                            | apply                    | x x . . . . . . . .
POST /api/v1/applications (for somebody else)                        | apply                    | . x . . . . . . . .
GET /api/v1/applications/{application_id}                            | read_application         | o x x x x x x . . .
POST /api/v1/applications/{application_id}/accept                    | accept_offer             | o x . . . . . . . .
POST /api/v1/offers/search                                           | search_offers            | x x . . . . . . . .
POST /api/v1/offers/search (of an application)                       | search_offers            | o x . . . . . . . .
GET /api/v1/offers/history                                           | read_application         | x x x x x x x . . .
GET /api/v1/offers/{offer_id}                                        | read_application         | o x x x x x x . . .
POST /api/v1/offers/{offer_id}/accept                                | accept_offer             | o x . . . . . . . .
POST /api/v1/offers/{offer_id}/reject                                | accept_offer             | o x . . . . . . . .
POST /api/v1/applications/{application_id}/withdraw                  | withdraw                 | o x . . . . . . . .
POST /api/v1/applications/{application_id}/information               | provide_information      | o x . . . . . . . .
POST /api/v1/applications/{application_id}/notice/delivery           | hand_over_notice         | . . . x x . . . . .
GET /api/v1/reviews                                                  | read_reviews             | . . x x x x x . . .
GET /api/v1/reviews/{review_id} (credit)                             | decide_credit_review     | . . x . . . . . . .
GET /api/v1/reviews/{review_id} (compliance)                         | decide_compliance_review | . . . x . . . . . .
POST /api/v1/reviews/{review_id}/information (credit)                | decide_credit_review     | . . x . . . . . . .
POST /api/v1/reviews/{review_id}/information (compliance)            | decide_compliance_review | . . . x . . . . . .
POST /api/v1/reviews/{review_id}/assignment                          | assign_review            | . . x x . . x . . .
POST /api/v1/reviews/{review_id}/decision (credit)                   | decide_credit_review     | . . x . . . . . . .
POST /api/v1/reviews/{review_id}/decision (compliance)               | decide_compliance_review | . . . x . . . . . .
GET /api/v1/events                                                   | read_events              | x x x x x x x . . .
GET /api/v1/events (of an application)                               | read_events              | o x x x x x x . . .
WS /api/v1/live                                                      | read_events              | x x x x x x x . . .
WS /api/v1/live (of an application)                                  | read_events              | o x x x x x x . . .
GET /auth/profile                                                    | read_profile             | x x x x x x x x x .
POST /auth/logout                                                    | caller                   | x x x x x x x x . .
POST /auth/register                                                  | public                   | x x x x x x x x x x
POST /auth/login                                                     | credential               | x x x x x x x x x x
POST /auth/refresh                                                   | credential               | x x x x x x x x x x
GET /.well-known/jwks.json                                           | public                   | x x x x x x x x x x
POST /api/v1/tenants                                                 | open_tenant              | . . . . . . . x . .
GET /api/v1/providers                                                | read_providers           | . x x x x x x x . .
GET /api/v1/providers/{provider_id}                                  | read_providers           | . x x x x x x x . .
GET /api/v1/providers/{provider_id}/status-history                   | read_providers           | . x x x x x x x . .
POST /api/v1/providers                                               | manage_providers         | . . . . . . x x . .
PUT /api/v1/providers/{provider_id}                                  | manage_providers         | . . . . . . x x . .
POST /api/v1/providers/{provider_id}/credentials                     | manage_providers         | . . . . . . x x . .
POST /api/v1/providers/{provider_id}/test                            | manage_providers         | . . . . . . x x . .
DELETE /api/v1/providers/{provider_id}                               | manage_providers         | . . . . . . x x . .
GET /api/v1/webhooks                                                 | read_webhooks            | . x . . x x x . . .
POST /api/v1/webhooks                                                | manage_webhooks          | . x . . . . x . . .
POST /api/v1/webhooks/{id}                                           | manage_webhooks          | . x . . . . x . . .
POST /api/v1/webhooks/test                                           | manage_webhooks          | . x . . . . x . . .
GET /api/v1/webhooks/{id}                                            | read_webhooks            | . x . . x x x . . .
POST /api/v1/webhooks/{id}/rotation                                  | manage_webhooks          | . x . . . . x . . .
POST /api/v1/webhooks/{id}/status                                    | manage_webhooks          | . x . . . . x . . .
GET /api/v1/webhooks/{id}/deliveries                                 | read_webhooks            | . x . . x x x . . .
POST /api/v1/webhooks/{id}/deliveries/{delivery_id}/redelivery       | manage_webhooks          | . x . . . . x . . .
POST /api/v1/webhooks/{id}/redelivery                                | manage_webhooks          | . x . . . . x . . .
DELETE /api/v1/webhooks/{id}                                         | manage_webhooks          | . x . . . . x . . .
GET /api/v1/accounts                                                 | read_accounts            | . . . . . x x x . .
POST /api/v1/accounts/{user_id}/status                               | manage_accounts          | . . . . . . x x . .
GET /api/v1/invitations                                              | read_accounts            | . . . . . x x x . .
POST /api/v1/invitations                                             | manage_accounts          | . . . . . . x x . .
POST /api/v1/invitations/{invitation_id}/revocation                  | manage_accounts          | . . . . . . x x . .
GET /api/v1/service-accounts                                         | read_accounts            | . . . . . x x x . .
POST /api/v1/service-accounts                                        | manage_accounts          | . . . . . . x x . .
GET /api/v1/service-accounts/{service_account_id}/keys               | read_accounts            | . . . . . x x x . .
POST /api/v1/service-accounts/{service_account_id}/keys              | manage_accounts          | . . . . . . x x . .
POST /api/v1/service-accounts/{service_account_id}/keys/{key_id}/rotation   | manage_accounts   | . . . . . . x x . .
POST /api/v1/service-accounts/{service_account_id}/keys/{key_id}/revocation | manage_accounts   | . . . . . . x x . .
POST /codec/decode                                                   | decode_payloads          | . . x x x . x . . .
POST /codec/encode                                                   | decode_payloads          | . . x x x . x . . .
POST /callbacks/{vendor}                                             | credential               | x x x x x x x x x x
GET /healthz                                                         | public                   | x x x x x x x x x x
GET /readyz                                                          | public                   | x x x x x x x x x x
GET /metrics                                                         | credential               | x x x x x x x x x x
POST /graphql                                                        | read_application         | x x x x x x x . . .
QUERY application                                                    | read_application         | o x x x x x x . . .
QUERY application.ledgerEntries                                      | read_ledger              | . . . . . x x . . .
QUERY application.ruleDecisions                                      | read_compliance          | . . . x . x . . . .
QUERY application.reviews                                            | read_reviews             | . . x x x x x . . .
QUERY applications                                                   | read_application         | x x x x x x x . . .
QUERY assessment                                                     | read_application         | o x x x x x x . . .
QUERY assessment.details                                             | read_assessment          | . . x x . x . . . .
QUERY assessments                                                    | read_application         | x x x x x x x . . .
QUERY offer                                                          | read_application         | o x x x x x x . . .
QUERY offers                                                         | read_application         | x x x x x x x . . .
QUERY loan                                                           | read_application         | o x x x x x x . . .
QUERY loans                                                          | read_application         | x x x x x x x . . .
QUERY transaction                                                    | read_application         | o x x x x x x . . .
QUERY transaction.failure                                            | read_ledger              | . . . . . x x . . .
QUERY transactions                                                   | read_application         | x x x x x x x . . .
QUERY ledgerEntry                                                    | read_ledger              | . . . . . x x . . .
QUERY ledgerEntries                                                  | read_ledger              | . . . . . x x . . .
QUERY person                                                         | read_application         | o x x x x x x . . .
QUERY person.reviews                                                 | read_reviews             | . . x x x x x . . .
QUERY person.kyc.reason                                              | read_compliance          | . . . x . x . . . .
QUERY person.kyc.concludedBy                                         | read_compliance          | . . . x . x . . . .
QUERY person.kyc.screening                                           | read_compliance          | . . . x . x . . . .
QUERY review                                                         | read_reviews             | . . x x x x x . . .
QUERY reviews                                                        | read_reviews             | . . x x x x x . . .
QUERY _entities                                                      | read_application         | o x x x x x x . . .
QUERY _service                                                       | read_application         | x x x x x x x . . .
"""  # noqa: E501 - a table

# Actions that no single row is about: each is needed beside the one its rows are listed under.
BESIDE: Final = {
    Action.READ_INFORMATION: "GET /api/v1/reviews/{review_id} (credit)",
    Action.ASK_APPLICANT: "POST /api/v1/reviews/{review_id}/information (credit)",
}

# What a GraphQL row asks; `$id` is the id named in OBJECT.
QUERIES: Final = {
    "application": "{application(applicationId:$id){state}}",
    "application.ledgerEntries": "{application(applicationId:$id){ledgerEntries{kind}}}",
    "application.ruleDecisions": "{application(applicationId:$id){ruleDecisions{phase}}}",
    "application.reviews": "{application(applicationId:$id){reviews{kind}}}",
    "applications": "{applications{edges{node{applicationId}}}}",
    "assessment": "{assessment(applicationId:$id){score}}",
    "assessment.details": "{assessment(applicationId:$id){details{outcome}}}",
    "assessments": "{assessments{edges{node{score}}}}",
    "offer": "{offer(offerId:$id){aprBps}}",
    "offers": "{offers{edges{node{offerId}}}}",
    "loan": "{loan(loanId:$id){aprBps}}",
    "loans": "{loans{edges{node{loanId}}}}",
    "transaction": "{transaction(settlementId:$id){settlementState}}",
    "transaction.failure": "{transaction(settlementId:$id){failure}}",
    "transactions": "{transactions{edges{node{settlementId}}}}",
    "ledgerEntry": "{ledgerEntry(entryId:$id){kind}}",
    "ledgerEntries": "{ledgerEntries{edges{node{entryId}}}}",
    "person": "{person(userId:$id){userId}}",
    "person.reviews": "{person(userId:$id){reviews{kind}}}",
    "person.kyc.reason": "{person(userId:$id){kyc{reason}}}",
    "person.kyc.concludedBy": "{person(userId:$id){kyc{concludedBy}}}",
    "person.kyc.screening": "{person(userId:$id){kyc{screening{status}}}}",
    "review": "{review(reviewId:$id){kind}}",
    "reviews": "{reviews{edges{node{reviewId}}}}",
    "_entities": '{_entities(representations:[{__typename:"Application",applicationId:$id}])'
    "{...on Application{state}}}",
    "_service": "{_service{sdl}}",
}

# Which of a home's ids a row is about, where it is not the one its path names.
OBJECT: Final = {
    "POST /api/v1/applications/{application_id}/information": "questioned",
    "POST /api/v1/applications/{application_id}/notice/delivery": "noticed",
    "POST /api/v1/offers/search (of an application)": "application_id",
    "GET /api/v1/events (of an application)": "application_id",
    "WS /api/v1/live (of an application)": "application_id",
    "POST /api/v1/webhooks/{id}": "provider_id",
    "POST /api/v1/webhooks/test": "id",
    **dict.fromkeys((
        "GET /api/v1/webhooks/{id}", "DELETE /api/v1/webhooks/{id}",
        "POST /api/v1/webhooks/{id}/rotation", "POST /api/v1/webhooks/{id}/status",
        "GET /api/v1/webhooks/{id}/deliveries", "POST /api/v1/webhooks/{id}/redelivery",
    ), "id"),
    "POST /api/v1/webhooks/{id}/deliveries/{delivery_id}/redelivery": "delivery_id",
    "QUERY _entities": "application_id",
    **{f"QUERY application{rest}": "application_id"
       for rest in ("", ".ledgerEntries", ".ruleDecisions", ".reviews")},
    **{f"QUERY assessment{rest}": "application_id" for rest in ("", ".details")},
    "QUERY offer": "offer_id",
    "QUERY loan": "loan_id",
    **{f"QUERY transaction{rest}": "settlement_id" for rest in ("", ".failure")},
    "QUERY ledgerEntry": "entry_id",
    **{f"QUERY person{rest}": "person"
       for rest in ("", ".reviews", ".kyc.reason", ".kyc.concludedBy", ".kyc.screening")},
    "QUERY review": "credit",
}  # fmt: skip

# A provider that no loan of these tests is for, and that nobody can reach.
NOBODY_ASKS_IT: Final = {"url": "http://127.0.0.1:9", "appetite": {"countries": ["AQ"]}}

# Where webhooks of these tests lead to; they ask for events of a type that there is none of.
NOBODY_LISTENS: Final = "http://127.0.0.1:9/"

# Ids and codes within bodies: a foreign one must be told as one that nothing has.
IN_BODIES: Final = {
    ("POST /api/v1/applications/{application_id}/accept", "offer_id"),
    ("POST /api/v1/applications/{application_id}/information", "request_id"),
    ("POST /auth/register", "invitation"),
}
# Ids in bodies that rows of the table ask about themselves.
ASKED_BY_ROWS: Final = {
    ("POST /api/v1/offers/search", "application_id"),
    ("POST /api/v1/webhooks/test", "webhook_id"),
}
# Names that are looked up nowhere, and what names its own tenant.
NOT_LOOKED_UP: Final = {
    ("POST /api/v1/applications", "user_id"),
    ("POST /api/v1/applications", "national_id"),
    ("POST /api/v1/reviews/{review_id}/assignment", "assignee"),
    ("POST /auth/refresh", "refresh_token"),
    ("POST /callbacks/{vendor}", "event_id"),
    ("POST /callbacks/{vendor}", "check_id"),
}


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    asked: str
    action: str
    marks: Mapping[str, str]

    @property
    def operation(self) -> str:
        """Method and path, or a query, without what tells rows of one operation apart."""
        return self.asked.partition(" (")[0]

    @property
    def method(self) -> str:
        return self.operation.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.operation.partition(" ")[2]

    @property
    def object(self) -> str | None:
        """Which id of a home it is about; None for what is about no single thing."""
        if (named := OBJECT.get(self.asked)) is not None:
            return named
        for kind in ("credit", "compliance"):
            if self.asked.endswith(f"({kind})"):
                return kind
        if "{review_id}" in self.path:
            return "credit"
        for name in (
            "key_id", "service_account_id", "invitation_id", "user_id", "application_id",
            "offer_id", "provider_id",
        ):  # fmt: skip
            if f"{{{name}}}" in self.path:
                return name
        return None

    def roles(self) -> set[Role]:
        """Who may, with their own things at least."""
        return {role for mark, role in COLUMNS.items() if role and self.marks[mark] != "."}


def read_table(text: str = TABLE) -> list[Row]:
    """The rows; AssertionError for one that is not of the table's form."""
    _, *lines = text.strip().splitlines()
    rows = []
    for line in lines:
        asked, action, marks = (part.strip() for part in line.split("|"))
        assert set(marks.split()) <= {"x", "o", "."}, line
        rows.append(Row(asked, action, dict(zip(COLUMNS, marks.split(), strict=True))))
    return rows


ROWS: Final = {row.asked: row for row in read_table()}


@dataclass(frozen=True)
class Home:
    """A tenant and the ids of what it has; `owners` says whose they are."""

    tenant: str
    ids: Mapping[str, str] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)
    provider_key: str = ""


def absent(identifier: str) -> str:
    """An id of the same kind that nothing has."""
    prefix, found, digits = identifier.rpartition("_")
    if found and len(digits) == 32:
        return f"{prefix}_{secrets.token_hex(16)}"
    return f"nobody-{secrets.token_hex(4)}"


def body_of(row: Row, home: Home, examples: Mapping[str, Any]) -> Any:
    """A body that is acceptable but for who sends it; None for a row without one."""
    ids = home.ids
    changes: dict[str, dict[str, Any]] = {
        "POST /api/v1/applications": {"user_id": None},
        "POST /api/v1/applications (for somebody else)": {"user_id": "somebody-else"},
        "POST /api/v1/applications/{application_id}/accept": {
            "offer_id": ids.get("offer_id", "off_" + "0" * 32)
        },
        "POST /api/v1/applications/{application_id}/information": {
            "request_id": ids.get("request_id", "inf_" + "0" * 32)
        },
        "POST /api/v1/reviews/{review_id}/assignment": {"assignee": "underwriter-1"},
        "POST /api/v1/invitations": {"roles": _own_role(home)},
        "POST /api/v1/service-accounts": {"roles": _own_role(home)},
        "POST /api/v1/service-accounts/{service_account_id}/keys": {
            "scopes": ["profile:read"]
        },
        "POST /api/v1/providers": NOBODY_ASKS_IT,
        "PUT /api/v1/providers/{provider_id}": NOBODY_ASKS_IT,
        "POST /api/v1/webhooks": {"url": NOBODY_LISTENS},
        "POST /api/v1/webhooks/{id}": {"url": NOBODY_LISTENS},
        "POST /api/v1/webhooks/{id}/status": {"status": "active"},
        "POST /api/v1/tenants": {"tenant": f"opened-{secrets.token_hex(6)}"},
        "POST /auth/register": _somebody(home) | (
            {"invitation": ids["shown"]} if "shown" in ids else {}
        ),
        "POST /auth/login": _somebody(home),
    }  # fmt: skip
    if row.method == "QUERY":
        query = QUERIES[row.path]
        return {"query": f"query($id:ID!){query}" if "$id" in query else query}
    example = examples.get(row.operation)
    return None if example is None else {**example, **changes.get(row.asked, {})}


def _somebody(home: Home) -> dict[str, str]:
    return {"tenant": home.tenant, "email": f"{secrets.token_hex(6)}@example.org"}


def _own_role(home: Home) -> list[str]:
    return [Role.PLATFORM_ADMIN if home.tenant == "platform" else Role.SUPPORT]
