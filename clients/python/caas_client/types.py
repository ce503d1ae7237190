"""What is sent to the API and what it answers.

Made of the API's description by `make client`; changes belong there.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class APIKeyAnswer(TypedDict):
    """An API key, without its secret."""

    key_id: str
    """`key_` and 32 hexadecimal digits."""

    shown: str
    """What the key begins with: all of it that is not secret."""

    scopes: list[Scope] | None
    """What it is narrowed to; null: nothing."""

    created_at: str
    """When it was made (RFC 3339)."""

    expires_at: str
    """When it ends (RFC 3339)."""

    revoked_at: str | None
    """When it was revoked (RFC 3339)."""

    last_used_at: str | None
    """When it was last used (RFC 3339), right to about two minutes."""


class APIKeyBody(TypedDict):
    """A new API key."""

    scopes: NotRequired[list[Scope] | None]
    """What the key is narrowed to; null: all that the roles allow."""

    expires_in: NotRequired[int]
    """Seconds until it ends: an hour to two years."""


class APIKeyListAnswer(TypedDict):
    """A service account's keys, the newest first."""

    keys: list[APIKeyAnswer]
    """The newest first, at most 100."""


class AcceptBody(TypedDict):
    """The acceptance of an offer: the borrower's EIP-712 `Acceptance` signature.

    What is signed is described, with an example, at the head of this document.
    """

    terms_hash: str
    """The offer's `terms_hash`: 32 bytes in lower-case 0x hex."""

    borrower: str
    """The application's wallet, which signs: 20 bytes in 0x hex, any case."""

    nonce: str
    """Any number this wallet has not used with the contract yet, 0 to 2^256 - 1, in decimal
    digits; a random one does. A text, because JSON numbers lose digits.
    """

    deadline: int
    """Last moment at which the acceptance may be used on chain, Unix seconds: at least 5
    minutes ahead, an hour is usual.
    """

    signature: str
    """The `Acceptance` signature: r, s and v, 65 bytes in 0x hex; s in the lower half of the
    order, v 27 or 28.
    """

    offer_id: str
    """The `offer_id` of an open offer of this application."""


class AcceptOfferBody(TypedDict):
    """The acceptance of the offer that the path names: the borrower's EIP-712 signature.

    What is signed is described, with an example, at the head of this document.
    """

    terms_hash: str
    """The offer's `terms_hash`: 32 bytes in lower-case 0x hex."""

    borrower: str
    """The application's wallet, which signs: 20 bytes in 0x hex, any case."""

    nonce: str
    """Any number this wallet has not used with the contract yet, 0 to 2^256 - 1, in decimal
    digits; a random one does. A text, because JSON numbers lose digits.
    """

    deadline: int
    """Last moment at which the acceptance may be used on chain, Unix seconds: at least 5
    minutes ahead, an hour is usual.
    """

    signature: str
    """The `Acceptance` signature: r, s and v, 65 bytes in 0x hex; s in the lower half of the
    order, v 27 or 28.
    """


class AcceptedAnswer(TypedDict):
    """The acceptance is on record; settlement follows."""

    application_id: str
    """The application."""

    offer_id: str
    """The offer that was accepted."""

    state: Literal["settling"]
    """The loan is being paid out."""

    links: Links
    """Where to follow the application."""


class AccountAnswer(TypedDict):
    """Somebody who may sign in; who they are is theirs alone."""

    user_id: str
    """`usr_` and 32 hexadecimal digits; the tokens' subject."""

    roles: list[Role]
    """What they may be."""

    status: str
    """`active` or `suspended`."""

    created_at: str
    """Since when (RFC 3339)."""


class AccountListAnswer(TypedDict):
    """Accounts, the newest first."""

    accounts: list[AccountAnswer]
    """The newest first, at most 100."""


class AddressBody(TypedDict):
    """A postal address: the person's residence, which decides whose rules apply."""

    line1: str
    """Street and number, 1 to 200 characters."""

    city: str
    """City, 1 to 200 characters."""

    postal_code: str
    """Postal code: 1 to 64 letters, digits, spaces, '.', '_' or '-'."""

    country: str
    """Country of residence: ISO 3166-1 alpha-2, in capitals."""


class AnswerBody(TypedDict):
    """The answer to one item."""

    item: InformationItem
    """One of the items that were asked for."""

    text: str
    """1 to 4000 characters; sealed under the person's own key."""


class AppetiteBody(TypedDict):
    """Which loans the provider is asked for; narrower than its adapter allows, never wider."""

    countries: NotRequired[list[str] | None]
    """Of residence; null: the adapter's."""

    currencies: NotRequired[list[str] | None]
    """ISO 4217; null: the adapter's."""

    min_amount_minor: NotRequired[int | None]
    """In minor units of the loan's currency, included."""

    max_amount_minor: NotRequired[int | None]
    """In minor units of the loan's currency, included."""

    min_term_months: NotRequired[int | None]
    """Months, included."""

    max_term_months: NotRequired[int | None]
    """Months, included."""


class ApplicantBody(TypedDict):
    """The person who applies. No protected attribute is asked for beyond what identity
    needs.
    """

    given_name: str
    """Given names as on the document, 1 to 200 characters."""

    family_name: str
    """Family name as on the document, 1 to 200 characters."""

    born_on: str
    """Day of birth, ISO 8601 (`YYYY-MM-DD`), not before 1900-01-01."""

    email: str
    """E-mail address, at most 254 characters."""

    national_id: str
    """National or tax identification number: 1 to 64 letters, digits, spaces, '.', '_' or
    '-'. The credit bureau is asked by it.
    """

    address: AddressBody
    """Where the person lives."""

    document: DocumentBody
    """What proves the identity."""


class ApplicationAnswer(TypedDict):
    """An application: where it stands, why, and what came of it."""

    application_id: str
    """`app_` and 32 hexadecimal digits."""

    user_id: str
    """The integrator's opaque id of the person."""

    amount_minor: int
    """Amount asked for in minor units of `currency`."""

    currency: str
    """ISO 4217."""

    term_months: int
    """Months asked for."""

    purpose: str
    """As stated in the application."""

    wallet: str
    """The wallet to be paid, checksummed (EIP-55)."""

    chain_id: int
    """EIP-155 id of the chain it is paid on."""

    stage: str
    """Where it is on its way: `identity`, `eligibility`, `risk`, `credit`, `offers`,
    `settlement`, `closed`.
    """

    state: str
    """What it waits for, or how it ended: `processing`, `in_review`, `offered`, `settling`,
    `funded`, `declined`, `withdrawn`, `expired`, `blocked`, `rejected`. It has ended with
    `funded`, `declined`, `withdrawn`, `expired`, `blocked`, `rejected`.
    """

    reasons: list[ReasonAnswer]
    """Why it stands as it does; may be empty."""

    identity: str | None
    """The person's identity: `pending`, `in_review`, `verified`, `failed`, `expired`. Null
    before it was asked for.
    """

    decision: str | None
    """What the rules decided: `approve`, `review` by a person, or `decline`, `block`; null
    before they have.
    """

    score: int | None
    """Credit score, 300 to 850, higher is better; null without one."""

    score_reasons: list[ScoreReasonAnswer]
    """What cost most of the score, at most 4, the heaviest first."""

    offers: list[OfferAnswer]
    """Offers of lenders, the lowest APR first."""

    missing_offers: list[MissingOfferAnswer]
    """Lenders that made none."""

    accepted_offer_id: str | None
    """The accepted offer; null without one."""

    transaction: TransactionAnswer | None
    """The payment on chain; null before there is one."""

    loan: LoanAnswer | None
    """The loan; null before it is booked."""

    information_requests: list[InformationRequestAnswer]
    """What operators have asked of the applicant, the oldest first."""

    notice: NoticeAnswer | None
    """The notice of adverse action; null where none is owed."""

    created_at: str
    """When it was submitted (RFC 3339)."""

    updated_at: str
    """When it last changed (RFC 3339)."""


class ApplicationBody(TypedDict):
    """An application for credit. `user_id` is for integrators; applicants apply for
    themselves.
    """

    user_id: NotRequired[str | None]
    """Your own id of the person; needed from integrators, and for applicants their token's
    subject or left out. It must be opaque, such as a random number: never a name, e-mail
    address or government id, because it appears in workflow ids, logs and the audit
    trail, which are not encrypted. 1 to 64 letters, digits, '.', '_' or '-'.
    """

    amount_minor: int
    """Amount asked for in minor units of `currency` (500000 is USD 5,000.00)."""

    currency: Literal["USD", "EUR"]
    """ISO 4217. 422 `CURRENCY_NOT_SETTLED` where no token pays it out."""

    term_months: int
    """Months over which it is to be repaid."""

    purpose: Literal[
        "debt_consolidation", "home_improvement", "medical", "education", "vehicle", "other"
    ]
    """What the credit is for."""

    applicant: ApplicantBody
    """The person who applies."""

    finances: FinancesBody
    """What the person states about income."""

    wallet: WalletBody
    """The wallet to be paid, and the proof that it is theirs."""


class AskBody(TypedDict):
    """What an operator asks of the applicant before deciding."""

    items: list[InformationItem]
    """What is to be sent: `IDENTITY_DOCUMENT`, `PROOF_OF_ADDRESS`, `PROOF_OF_INCOME`,
    `BANK_STATEMENT`, `SOURCE_OF_FUNDS`, `EXPLANATION`.
    """

    message: str
    """For the applicant: 1 to 200 characters. It names no person and no number: it is kept
    with the review.
    """


class AskedAnswer(TypedDict):
    """The applicant is asked."""

    review_id: str
    """The review that waits for the answer."""

    request_id: str
    """The question: `inf_` and 32 hexadecimal digits."""

    due_at: str
    """Until when the applicant may answer (RFC 3339)."""


class AssignBody(TypedDict):
    """Who is to decide from now on, and nobody else."""

    assignee: str
    """Token subject of the person: 1 to 64 letters, digits, '.', '_', '-'."""

    reason: str
    """Why, for the audit trail: 1 to 200 characters."""


class AssignedAnswer(TypedDict):
    """The review is assigned."""

    review_id: str
    """The review."""

    assignee: str
    """Who decides."""


class CredentialsAnswer(TypedDict):
    """What is told of credentials."""

    fields: list[str]
    """Which there are, by name."""

    version: int
    """Grows with each rotation."""

    rotated_at: str
    """Since when these are used (RFC 3339)."""


class CredentialsBody(TypedDict):
    """New credentials; the earlier ones end after an overlap."""

    credentials: dict[str, str]
    """What the adapter authenticates with, by the names it gives them. Kept sealed, and
    never answered.
    """


class CriteriaBody(TypedDict):
    """A loan that somebody asks about before applying."""

    amount_minor: int
    """Amount in minor units of `currency`."""

    currency: Literal["USD", "EUR"]
    """ISO 4217. 422 `CURRENCY_NOT_SETTLED` where no token pays it out."""

    term_months: int
    """Months over which it is to be repaid."""

    jurisdiction: str
    """Country of residence: ISO 3166-1 alpha-2, in capitals."""

    wallet: str
    """The account to be paid: 20 bytes in 0x hex, in any case. Not proved."""


class DecidedAnswer(TypedDict):
    """The decision is on record."""

    review_id: str
    """The review that was decided."""

    decision: Decision
    """What you decided."""

    status: str
    """`approved`, `rejected`, or `open` while another person has to approve, too."""


# What an operator decides about a review.
Decision = Literal["approve", "reject"]


class DecisionBody(TypedDict):
    """A named operator's decision and its reason, kept in the audit trail."""

    decision: Decision
    """`approve`: the application goes on; `reject`: it ends."""

    reason: str
    """Why, in your own words, for the audit trail: 1 to 200 characters."""


class DeliveryAnswer(TypedDict):
    """One event for one webhook."""

    delivery_id: str
    """`dlv_` and 32 hexadecimal digits."""

    webhook_id: str
    """The webhook."""

    key: str
    """What the event is about: along it, events are told in order."""

    event_id: str
    """The event's id, and every attempt's `webhook-id`."""

    type: str
    """The event's type."""

    status: DeliveryStatus
    """`pending`: it waits for its turn or for another attempt; `delivered`; `dead_lettered`:
    it was given up.
    """

    attempts: int
    """How often it was attempted, since it was last redelivered."""

    last_status: int | None
    """The last status answered; null: none was."""

    last_reason: str | None
    """Why the last attempt does not count, or `REMOVED`; null if it does."""

    last_ms: int | None
    """How long the last attempt took, in milliseconds."""

    created_at: str
    """When the event was taken up (RFC 3339)."""

    settled_at: str | None
    """When it was delivered or given up (RFC 3339); null while it is pending."""

    owner: str
    """Who registered the webhook, and has to look after it."""


class DeliveryListAnswer(TypedDict):
    """A page of deliveries."""

    deliveries: list[DeliveryAnswer]
    """The newest first."""

    next: str | None
    """What to name in `after` for the next page; null: none."""


# What became of one event for one webhook.
DeliveryStatus = Literal["pending", "delivered", "dead_lettered"]


class DocumentBody(TypedDict):
    """A government document, examined by the identity vendor."""

    kind: Literal["passport", "identity_card", "driving_licence"]
    """Its kind."""

    number: str
    """Number as printed: 1 to 64 letters, digits, spaces, '.', '_' or '-'."""

    country: str
    """Country that issued it: ISO 3166-1 alpha-2, in capitals."""


class FinancesBody(TypedDict):
    """What the applicant states about income; in minor units of the loan's currency."""

    annual_income_minor: int
    """Gross income of a year in minor units of `currency` (cents)."""

    employment_months: int
    """Whole months in the present employment; 0 without one."""


class FoundOfferAnswer(TypedDict):
    """An offer of a search. `GET /api/v1/offers/{offer_id}` shows the terms of a binding
    one.
    """

    offer_id: str | None
    """`off_` and 32 hexadecimal digits; null for an indicative offer, which nobody can
    accept: apply to get binding ones.
    """

    provider_id: str
    """The lender."""

    amount_minor: int
    """Amount paid out in minor units of `currency`."""

    currency: str
    """ISO 4217."""

    term_months: int
    """Months over which it is repaid."""

    nominal_rate_bps: int
    """Nominal annual rate in basis points."""

    apr_bps: int
    """Annual percentage rate, fees included, in basis points (1250 is 12.50 %)."""

    fee_minor: int
    """Fee in minor units, contained in the total."""

    monthly_payment_minor: int
    """Monthly instalment in minor units."""

    total_repayable_minor: int
    """Sum of all that is repaid, in minor units."""

    total_cost_minor: int
    """What the credit costs over its term, fees included: `total_repayable_minor` less
    `amount_minor`.
    """

    expires_at: str
    """Until when the lender stands by it (RFC 3339)."""


class GraphQLResponse(TypedDict):
    """A response of GraphQL."""

    data: NotRequired[dict[str, Any] | None]
    """What was asked for; absent if nothing was run."""

    errors: NotRequired[list[GraphQLResponseErrorsItem]]
    """What could not be answered, and why."""

    extensions: NotRequired[dict[str, Any]]
    """The query's cost, and its limit."""


class GraphQLResponseErrorsItem(TypedDict):
    """GraphQLResponseErrorsItem"""

    message: str
    """For people; may change."""

    path: NotRequired[list[str | int]]
    """The field it stands in the place of."""

    locations: NotRequired[list[GraphQLResponseErrorsItemLocationsItem]]
    """Where in the query."""

    extensions: GraphQLResponseErrorsItemExtensions
    """What machines read."""


class GraphQLResponseErrorsItemExtensions(TypedDict):
    """What machines read."""

    code: str
    """Stable."""


class GraphQLResponseErrorsItemLocationsItem(TypedDict):
    """GraphQLResponseErrorsItemLocationsItem"""

    line: NotRequired[int]
    """From 1."""

    column: NotRequired[int]
    """From 1."""


class HandOverBody(TypedDict):
    """How the notice was delivered when the mail house would not."""

    how: str
    """For the audit trail: 1 to 200 characters."""


class HandedOverAnswer(TypedDict):
    """It is on its way to the record."""

    application_id: str
    """The application the notice belongs to."""

    by: str
    """Token subject of who delivered it."""


class InformationBody(TypedDict):
    """What the applicant sends; a new document replaces the one in the application."""

    request_id: str
    """The question, as the application shows it."""

    answers: NotRequired[list[AnswerBody]]
    """At most one for each item."""

    document: NotRequired[DocumentBody | None]
    """A new government document; for a review of identity it is examined."""


# What an applicant may be asked to send.
InformationItem = Literal[
    "IDENTITY_DOCUMENT",
    "PROOF_OF_ADDRESS",
    "PROOF_OF_INCOME",
    "BANK_STATEMENT",
    "SOURCE_OF_FUNDS",
    "EXPLANATION",
]


class InformationRequestAnswer(TypedDict):
    """What an operator asks of the applicant."""

    request_id: str
    """`inf_` and 32 hexadecimal digits."""

    items: list[str]
    """What is to be sent: `IDENTITY_DOCUMENT`, `PROOF_OF_ADDRESS`, `PROOF_OF_INCOME`,
    `BANK_STATEMENT`, `SOURCE_OF_FUNDS`, `EXPLANATION`.
    """

    message: str
    """The operator's words."""

    status: str
    """`open`, `answered`, `lapsed` when it was not answered in time, or `closed` when it was
    decided without.
    """

    due_at: str
    """Until when it may be answered (RFC 3339)."""


class InformedAnswer(TypedDict):
    """The answer is on record."""

    application_id: str
    """The application it was sent for."""

    request_id: str
    """The question that is answered."""


class InvitationAnswer(TypedDict):
    """An invitation, without its code."""

    invitation_id: str
    """`inv_` and 32 hexadecimal digits."""

    email: str | None
    """Whom it is for; null once it was answered."""

    roles: list[Role]
    """What they will be."""

    state: str
    """`open`, `accepted`, `revoked` or `expired`."""

    invited_by: str
    """The subject of who invited them."""

    created_at: str
    """When (RFC 3339)."""

    expires_at: str
    """Until when it may be accepted (RFC 3339)."""


class InvitationBody(TypedDict):
    """Somebody is asked to become staff."""

    email: str
    """Whom it is for: nobody else can use it."""

    roles: list[Role]
    """What they will be: staff, never an applicant or an integrator."""


class InvitationListAnswer(TypedDict):
    """Invitations, the newest first."""

    invitations: list[InvitationAnswer]
    """The newest first, at most 100."""


class InvitedAnswer(TypedDict):
    """A new invitation, with its code."""

    invitation_id: str
    """`inv_` and 32 hexadecimal digits."""

    email: str | None
    """Whom it is for; null once it was answered."""

    roles: list[Role]
    """What they will be."""

    state: str
    """`open`, `accepted`, `revoked` or `expired`."""

    invited_by: str
    """The subject of who invited them."""

    created_at: str
    """When (RFC 3339)."""

    expires_at: str
    """Until when it may be accepted (RFC 3339)."""

    code: str
    """Give it to them: `POST /auth/register` takes it. Told once."""


class KeysAnswer(TypedDict):
    """A JWK set (RFC 7517)."""

    keys: list[dict[str, str]]
    """Public keys, those that will sign soon among them."""


class KnownOfferAnswer(TypedDict):
    """An offer with what it belongs to."""

    offer_id: str
    """`off_` and 32 hexadecimal digits."""

    provider_id: str
    """The lender."""

    status: str
    """`open`, `accepted`, `rejected`, `replaced`, `expired` or `withdrawn`."""

    amount_minor: int
    """Amount paid out in minor units of `currency`."""

    currency: str
    """ISO 4217."""

    term_months: int
    """Months over which it is repaid."""

    nominal_rate_bps: int
    """Nominal annual rate in basis points."""

    apr_bps: int
    """Annual percentage rate, fees included, in basis points (1250 is 12.50 %)."""

    fee_minor: int
    """Fee in minor units, contained in the total."""

    monthly_payment_minor: int
    """Monthly instalment in minor units."""

    total_repayable_minor: int
    """Sum of all that is repaid, in minor units."""

    total_cost_minor: int
    """What the credit costs: `total_repayable_minor` less `amount_minor`."""

    terms_hash: str
    """EIP-712 struct hash of `terms`, 32 bytes in 0x hex."""

    terms: TermsAnswer
    """What the lender signs and the contract pays by."""

    chain_id: int
    """`chainId` of the EIP-712 domain to sign for."""

    aggregator: str
    """`verifyingContract` of the EIP-712 domain to sign for, checksummed (EIP-55)."""

    expires_at: str
    """Until when it may be accepted (RFC 3339)."""

    application_id: str
    """The application it was made for."""

    round: int
    """Which search of the application found it, from 1."""

    created_at: str
    """When it was recorded (RFC 3339)."""


class LimitsBody(TypedDict):
    """How hard each of our processes asks it; gentler than its adapter allows, never harder."""

    requests_per_s: NotRequired[float | None]
    """Requests a second."""

    burst: NotRequired[int | None]
    """Requests at once after a pause."""

    concurrency: NotRequired[int | None]
    """Requests under way at a time."""

    deadline_s: NotRequired[float | None]
    """Seconds for one call."""

    max_bytes: NotRequired[int | None]
    """Bytes of one answer."""


class Links(TypedDict):
    """Where to go from here."""

    self: str
    """Path of the application on this host."""


class LoanAnswer(TypedDict):
    """A loan on the books."""

    loan_id: str
    """`loan_` and 32 hexadecimal digits."""

    amount_minor: int
    """Principal in minor units of `currency`."""

    currency: str
    """ISO 4217."""

    apr_bps: int
    """Annual percentage rate in basis points (1250 is 12.50 %)."""

    term_months: int
    """Months over which it is repaid."""

    monthly_payment_minor: int
    """Monthly instalment in minor units."""

    total_repayable_minor: int
    """Sum of all that is repaid, in minor units."""

    booked_at: str
    """When it was booked (RFC 3339)."""


class LoginBody(TypedDict):
    """Somebody signs in."""

    tenant: str
    """Whose customer or staff it is; the tenant's name."""

    email: str
    """The address the account was made with."""

    password: str
    """The account's password."""

    scopes: NotRequired[list[Scope] | None]
    """What the tokens are narrowed to; null: all that the roles allow."""


class MissingOfferAnswer(TypedDict):
    """A lender that made no offer, and why."""

    provider_id: str
    """The lender."""

    reason: str | None
    """Code of why: `NOT_OFFERED` (it declined), `DEADLINE_EXCEEDED` (it was too slow), or
    what was wrong with its answer.
    """


class NewAPIKeyAnswer(TypedDict):
    """A new API key, with its secret."""

    key_id: str
    """`key_` and 32 hexadecimal digits."""

    shown: str
    """What the key begins with: all of it that is not secret."""

    scopes: list[Scope] | None
    """What it is narrowed to; null: nothing."""

    created_at: str
    """When it was made (RFC 3339)."""

    expires_at: str
    """When it ends (RFC 3339)."""

    revoked_at: str | None
    """When it was revoked (RFC 3339)."""

    last_used_at: str | None
    """When it was last used (RFC 3339), right to about two minutes."""

    api_key: str
    """Send it as `Authorization: Bearer …`. Told once."""


class NewWebhookAnswer(TypedDict):
    """A webhook with its secret, which is told once."""

    webhook_id: str
    """`whk_` and 32 hexadecimal digits."""

    provider_id: str | None
    """The provider whose events it is told of; null: all of your tenant's."""

    url: str
    """Where it is told."""

    event_types: list[str] | None
    """Which types; null: all you may see."""

    description: str
    """What it was said to be for."""

    status: WebhookStatus
    """`active`; `paused`: events wait; `disabled`: it answered 410 Gone, and events pass it
    by until it is resumed; `removed`.
    """

    status_reason: str | None
    """Why it is disabled; else null."""

    former_secret_until: str | None
    """Until when the secret before this one signs, too; null: it was never rotated."""

    created_by: str
    """Who registered it, and looks after what it is not told."""

    created_at: str
    """When it was registered (RFC 3339)."""

    secret: str
    """`whsec_` and base64: what is decoded is the key of the HMAC-SHA256 that signs."""


class NoticeAnswer(TypedDict):
    """The notice an applicant is owed after an adverse action."""

    notice_id: str
    """`ntc_` and 32 hexadecimal digits."""

    kind: str
    """`adverse_action`."""

    status: str
    """`pending`, `delivered` to the mail house or by a person, `undeliverable` while a
    person has to see to it, or `overdue`.
    """

    due_at: str
    """End of the legal period (RFC 3339)."""

    delivered_at: str | None
    """When (RFC 3339); null before that."""


class OfferAnswer(TypedDict):
    """An offer; `terms` is what the contract sees, `terms_hash` what the borrower signs."""

    offer_id: str
    """`off_` and 32 hexadecimal digits."""

    provider_id: str
    """The lender."""

    status: str
    """`open`, `accepted`, `rejected`, `replaced`, `expired` or `withdrawn`."""

    amount_minor: int
    """Amount paid out in minor units of `currency`."""

    currency: str
    """ISO 4217."""

    term_months: int
    """Months over which it is repaid."""

    nominal_rate_bps: int
    """Nominal annual rate in basis points."""

    apr_bps: int
    """Annual percentage rate, fees included, in basis points (1250 is 12.50 %)."""

    fee_minor: int
    """Fee in minor units, contained in the total."""

    monthly_payment_minor: int
    """Monthly instalment in minor units."""

    total_repayable_minor: int
    """Sum of all that is repaid, in minor units."""

    total_cost_minor: int
    """What the credit costs: `total_repayable_minor` less `amount_minor`."""

    terms_hash: str
    """EIP-712 struct hash of `terms`, 32 bytes in 0x hex."""

    terms: TermsAnswer
    """What the lender signs and the contract pays by."""

    chain_id: int
    """`chainId` of the EIP-712 domain to sign for."""

    aggregator: str
    """`verifyingContract` of the EIP-712 domain to sign for, checksummed (EIP-55)."""

    expires_at: str
    """Until when it may be accepted (RFC 3339)."""


class OfferHistoryAnswer(TypedDict):
    """A page of offers, the newest first."""

    offers: list[KnownOfferAnswer]
    """Offers of every status."""

    next: str | None
    """Give it as `after` to get the next page; null on the last one."""


# Open until accepted, rejected, replaced or expired, or until its application ends.
OfferStatus = Literal["open", "accepted", "expired", "withdrawn", "rejected", "replaced"]


class Payloads(TypedDict):
    """Payloads of Temporal's codec protocol, as JSON of protobuf writes them."""

    payloads: NotRequired[list[PayloadsPayloadsItem] | None]
    """In the order in which they are answered."""


class PayloadsPayloadsItem(TypedDict):
    """PayloadsPayloadsItem"""

    metadata: NotRequired[dict[str, str | None] | None]
    """Names with values in base64; `encoding` says what `data` is: `binary/encrypted` is
    ours, with `key-id` naming the key.
    """

    data: NotRequired[str | None]
    """The payload itself, in base64."""


class Problem(TypedDict):
    """Problem details (RFC 9457)."""

    type: str
    """The `code` as a URN."""

    title: str
    """For people; may change."""

    status: int
    """The answer's HTTP status."""

    code: str
    """Stable."""

    errors: NotRequired[list[ProblemErrorsItem]]
    """Where a request is not acceptable, and why (422)."""


class ProblemErrorsItem(TypedDict):
    """ProblemErrorsItem"""

    pointer: str
    """Where, as `/body/wallet/address`; never what was sent."""

    reason: str
    """Why, as `missing`."""


class ProfileAnswer(TypedDict):
    """Who you are."""

    tenant: str
    """The tenant you act within."""

    subject: str
    """The subject of your token, or your service account's id."""

    roles: list[Role]
    """Your roles."""

    scopes: list[Scope]
    """What your roles and your token's scopes allow."""

    expires_at: str
    """When what you showed ends (RFC 3339)."""

    email: str | None
    """Your address; null for accounts kept elsewhere."""

    name: str | None
    """What you are called; null for accounts kept elsewhere."""


class ProviderAnswer(TypedDict):
    """A provider of credit.

    Where it is reached and what its adapter is told is shown to those whose it is.
    """

    provider_id: str
    """`prv_` and 32 hexadecimal digits, or a configured name."""

    name: str
    """For people."""

    type: ProviderType
    """`TRADITIONAL`, `FINTECH` or `DEFI`."""

    adapter: str
    """The adapter that speaks its protocol."""

    source: Source
    """`tenant`: yours; `platform`: every tenant's; `configuration`: every tenant's, and not
    changed by the API.
    """

    status: ProviderStatus
    """`ACTIVE`: asked for offers; `INACTIVE`: does not answer well; `MAINTENANCE`: taken out
    on purpose.
    """

    status_reason: str
    """Why, as a code."""

    status_set_by: SetBy
    """`checker`, `lender` or `person`."""

    status_since: str | None
    """Since when (RFC 3339); null: not checked."""

    checked_at: str | None
    """When it was last checked (RFC 3339)."""

    latency_ms: int | None
    """How long that took, in milliseconds."""

    url: str | None
    """Where its interface is; null where it is not yours."""

    config: dict[str, Any] | None
    """What its adapter is told; null likewise."""

    appetite: dict[str, Any]
    """What narrows the loans it is asked for."""

    limits: dict[str, Any]
    """What tempers how hard it is asked."""

    metadata: dict[str, Any] | None
    """Yours; null where it is not yours."""

    credentials: CredentialsAnswer | None
    """What is told of them; null without any, or where it is not yours."""

    version: int
    """Name it when you change the provider."""

    created_at: str | None
    """When (RFC 3339); null: configured."""

    updated_at: str | None
    """When (RFC 3339); null: configured."""

    removed_at: str | None
    """When it was removed (RFC 3339), or null."""


class ProviderBody(TypedDict):
    """A provider that your tenant borrows from."""

    name: str
    """For people, 1 to 200 characters."""

    url: str
    """Where its interface is: https, and a public address."""

    config: NotRequired[dict[str, Any]]
    """What the adapter is told, and may be shown."""

    appetite: NotRequired[AppetiteBody]
    """Which loans it is asked for."""

    limits: NotRequired[LimitsBody]
    """How hard it is asked."""

    metadata: NotRequired[dict[str, Any]]
    """Yours to use; nothing of ours reads it. No personal data."""

    credentials: NotRequired[dict[str, str] | None]
    """Sealed and never answered; null: none yet, or unchanged."""

    adapter: str
    """The adapter that speaks its protocol, as `bank-rest`; for good."""


class ProviderChangeBody(TypedDict):
    """The provider as it is to be, as a whole; only credentials stay when they are left out."""

    name: str
    """For people, 1 to 200 characters."""

    url: str
    """Where its interface is: https, and a public address."""

    config: NotRequired[dict[str, Any]]
    """What the adapter is told, and may be shown."""

    appetite: NotRequired[AppetiteBody]
    """Which loans it is asked for."""

    limits: NotRequired[LimitsBody]
    """How hard it is asked."""

    metadata: NotRequired[dict[str, Any]]
    """Yours to use; nothing of ours reads it. No personal data."""

    credentials: NotRequired[dict[str, str] | None]
    """Sealed and never answered; null: none yet, or unchanged."""

    version: int
    """The version this was made from."""

    status: NotRequired[Literal["ACTIVE", "MAINTENANCE"] | None]
    """`MAINTENANCE` takes it out until you bring it back by `ACTIVE`; null: as it is.
    `INACTIVE` is set by checks alone.
    """


class ProviderListAnswer(TypedDict):
    """A page of providers."""

    providers: list[ProviderAnswer]
    """Registered ones, the newest first, then configured ones."""

    next: str | None
    """Give it as `after` to get the next page; null on the last one."""


# ACTIVE is asked for offers; INACTIVE does not answer; MAINTENANCE was taken out on purpose.
# What a provider has already offered is honoured in every status.
ProviderStatus = Literal["ACTIVE", "INACTIVE", "MAINTENANCE"]


# What a provider is, in the specification's words.
ProviderType = Literal["TRADITIONAL", "FINTECH", "DEFI"]


class QuestionBody(TypedDict):
    """A GraphQL request; a list of them (a batch) is not read."""

    query: str
    """The document, of at most 20,000 characters."""

    operationName: NotRequired[str | None]
    """Which of the document's operations runs; needed if there are several."""

    variables: NotRequired[dict[str, Any] | None]
    """Values of the operation's variables."""

    extensions: NotRequired[dict[str, Any] | None]
    """Read by nobody here; clients send it."""


# What an applicant wants to have least of; ties are broken by APR, then by total cost.
Ranking = Literal["apr", "total_cost", "monthly_payment"]


class Ready(TypedDict):
    """Which dependencies answer."""

    ready: bool
    """Whether applications can be taken."""

    degraded: bool
    """Whether something is away that can be done without."""

    database: Standing
    """PostgreSQL; without it the answer is 503."""

    temporal: Standing
    """Temporal; without it applications are taken and start later."""

    cache: Standing
    """Valkey; without it each process counts rate limits by itself."""

    missing: list[str]
    """The names of those that are away."""


class ReasonAnswer(TypedDict):
    """A published reason code with its text for the applicant."""

    code: str
    """Stable; none is ever reused."""

    text: str
    """In words for the applicant; may change."""


class RedeliveredAnswer(TypedDict):
    """What will be told again."""

    webhook_id: str
    """The webhook."""

    count: int
    """How many dead-lettered deliveries: at most 10,000 at a time."""


class RefreshBody(TypedDict):
    """The session's next tokens are asked for."""

    refresh_token: str
    """The latest one; it works once, and names its tenant."""


class RegisterBody(TypedDict):
    """Somebody makes an account: as an applicant, or as staff with an invitation."""

    tenant: str
    """Whose customer or staff it is; the tenant's name."""

    email: str
    """Unique within the tenant; in any spelling of it."""

    name: str
    """What you want to be called, 1 to 200 characters."""

    password: str
    """12 to 128 characters, at least 5 different ones, not the e-mail address. Length is
    what counts: no kind of character is asked for.
    """

    invitation: NotRequired[str | None]
    """The code of an invitation to this address; null: an applicant."""


class RegisteredAnswer(TypedDict):
    """The account is made; nothing of what was said is repeated."""

    tenant: str
    """The tenant the account belongs to."""

    user_id: str
    """The subject of the account's tokens."""

    roles: list[Role]
    """What the account may be."""


class RejectBody(TypedDict):
    """An applicant's no to an offer."""

    reason: NotRequired[RejectionReason | None]
    """Why: `too_expensive`, `terms_unsuitable`, `other_lender`, `no_longer_needed`, `other`.
    Recorded.
    """


class RejectedAnswer(TypedDict):
    """The offer is rejected."""

    offer_id: str
    """The offer."""

    status: str
    """`rejected`."""


# Why an applicant does not want an offer.
RejectionReason = Literal[
    "too_expensive", "terms_unsuitable", "other_lender", "no_longer_needed", "other"
]


class ReviewAnswer(TypedDict):
    """A review."""

    review_id: str
    """`rev_` and 32 hexadecimal digits."""

    kind: str
    """What is asked: `identity` and `eligibility` are decided by a compliance officer,
    `credit` by an underwriter.
    """

    subject_id: str
    """What it is about: the `user_id` for `identity`, else the application's id."""

    reasons: list[str]
    """Codes of why a person is asked, for staff alone."""

    status: str
    """`open`, `approved`, `rejected`, `undecided` when nobody decided in time, `unanswered`
    when the applicant did not send what was asked for, `resubmitted` when a new document
    came, or `void` when the application ended otherwise.
    """

    approvals_needed: int
    """How many different people have to approve."""

    approvals: list[str]
    """Token subjects of those who have approved so far."""

    assignee: str | None
    """Who alone may decide; null: whoever is entitled."""

    decided_by: str | None
    """Token subject of who decided; null while open."""

    created_at: str
    """When it was opened (RFC 3339)."""

    decided_at: str | None
    """When it ended (RFC 3339); null while open."""


class ReviewDetailAnswer(TypedDict):
    """A review with what the applicant has sent for it."""

    review_id: str
    """`rev_` and 32 hexadecimal digits."""

    kind: str
    """What is asked: `identity` and `eligibility` are decided by a compliance officer,
    `credit` by an underwriter.
    """

    subject_id: str
    """What it is about: the `user_id` for `identity`, else the application's id."""

    reasons: list[str]
    """Codes of why a person is asked, for staff alone."""

    status: str
    """`open`, `approved`, `rejected`, `undecided` when nobody decided in time, `unanswered`
    when the applicant did not send what was asked for, `resubmitted` when a new document
    came, or `void` when the application ended otherwise.
    """

    approvals_needed: int
    """How many different people have to approve."""

    approvals: list[str]
    """Token subjects of those who have approved so far."""

    assignee: str | None
    """Who alone may decide; null: whoever is entitled."""

    decided_by: str | None
    """Token subject of who decided; null while open."""

    created_at: str
    """When it was opened (RFC 3339)."""

    decided_at: str | None
    """When it ended (RFC 3339); null while open."""

    information: dict[str, dict[str, str]]
    """The applicant's answers: by question (`inf_…`), then by item. That you read them is
    recorded.
    """


class ReviewListAnswer(TypedDict):
    """Open reviews, oldest first."""

    reviews: list[ReviewAnswer]
    """Oldest first, at most 100."""


# What a token may say its bearer is.
Role = Literal[
    "applicant",
    "integrator",
    "underwriter",
    "compliance_officer",
    "support",
    "auditor",
    "tenant_admin",
    "platform_admin",
    "provider",
]


class RotationBody(TypedDict):
    """A key takes another's place."""

    overlap: NotRequired[Literal[0] | int]
    """Seconds for which the old key stays good: 0, or two minutes to 30 days."""

    expires_in: NotRequired[int]
    """Seconds until the new key ends: an hour to two years."""


# What a token or an API key may be narrowed to.
Scope = Literal[
    "applications:read",
    "applications:write",
    "reviews:read",
    "reviews:write",
    "risk:read",
    "compliance:read",
    "ledger:read",
    "payloads:read",
    "profile:read",
    "providers:read",
    "providers:write",
    "webhooks:read",
    "webhooks:write",
    "accounts:read",
    "accounts:write",
    "tenants:write",
]


class ScoreReasonAnswer(TypedDict):
    """What kept the score from being higher, and by how many points."""

    code: str
    """Stable; none is ever reused."""

    text: str
    """In words for the applicant; may change."""

    impact_points: float
    """Points of the score it cost, to one decimal."""


class SearchAnswer(TypedDict):
    """What lenders offer, the best first by the ranking that was asked for, and who does
    not.
    """

    binding: bool
    """Whether these offers can be accepted."""

    search_id: str | None
    """What lenders know an indicative search by, `srch_` and 32 hexadecimal digits; null for
    an application's.
    """

    application_id: str | None
    """The application; null without one."""

    round: int | None
    """Which search of the application this is; null before lenders were asked, and for
    indicative ones.
    """

    ranking: Ranking
    """The order of `offers`."""

    offers: list[FoundOfferAnswer]
    """The offers, the best first."""

    missing: list[MissingOfferAnswer]
    """Lenders that made none, and why."""


class SearchBody(TypedDict):
    """What is searched: by `criteria`, or for an application; exactly one of the two."""

    criteria: NotRequired[CriteriaBody | None]
    """Ask lenders about such a loan, before anybody applies."""

    application_id: NotRequired[str | None]
    """Show the binding offers of this application."""

    ranking: NotRequired[Ranking]
    """What there should be least of: `apr`, `total_cost` over the term with all fees, or
    `monthly_payment`. Ties are broken by APR, then by total cost.
    """

    round: NotRequired[int | None]
    """Of an application: ask lenders once more, by naming the round after the newest, at
    most 5. Naming one that was made already asks nobody.
    """


class SecretRotationBody(TypedDict):
    """A new secret takes the old one's place."""

    overlap: NotRequired[int]
    """Seconds for which the old secret signs, too: up to a week."""


class ServiceAccountAnswer(TypedDict):
    """A program that calls the API by its own name."""

    service_account_id: str
    """`svc_` and 32 hexadecimal digits; its subject."""

    name: str
    """For people."""

    roles: list[Role]
    """What it may be."""

    created_by: str
    """The subject of who made it."""

    created_at: str
    """When (RFC 3339)."""


class ServiceAccountBody(TypedDict):
    """A program gets a name of its own."""

    name: str
    """For people, 1 to 200 characters."""

    roles: list[Role]
    """`integrator`, `provider`, `support` or `auditor`; fixed for good."""


class ServiceAccountListAnswer(TypedDict):
    """Service accounts, the newest first."""

    service_accounts: list[ServiceAccountAnswer]
    """The newest first, at most 100."""


# Who gave a provider its status.
SetBy = Literal["checker", "lender", "person"]


# Whose a provider is.
Source = Literal["tenant", "platform", "configuration"]


# How a dependency stands.
Standing = Literal["up", "away", "not_configured"]


class StatusBody(TypedDict):
    """An account is suspended, or let in again."""

    status: Literal["active", "suspended"]
    """`suspended` ends every session at once."""

    reason: str
    """Why, for the audit trail: 1 to 200 characters."""


class StatusChangeAnswer(TypedDict):
    """A provider's status changed."""

    from_status: ProviderStatus
    """What it was."""

    to_status: ProviderStatus
    """What it became."""

    set_by: SetBy
    """`checker`, `lender` or `person`."""

    actor: str | None
    """Who exactly; null where it is not your provider."""

    reason: str
    """Why, as a code."""

    changed_at: str
    """When (RFC 3339)."""


class StatusHistoryAnswer(TypedDict):
    """How a provider has fared."""

    changes: list[StatusChangeAnswer]
    """The newest first, at most 100."""


class StepAnswer(TypedDict):
    """One step of a trial."""

    step: Literal["resolve", "reach", "authenticate", "status"]
    """`resolve` the name, `reach` the address, `authenticate`, ask for the `status`."""

    passed: bool
    """Whether it went well."""

    took_ms: int
    """How long it took, in milliseconds."""

    reason: str | None
    """Why it failed, or what is worth knowing, as a code."""


class SubmittedAnswer(TypedDict):
    """The application is stored and will be processed."""

    application_id: str
    """`app_` and 32 hexadecimal digits."""

    state: str
    """`processing`."""

    stage: str
    """`identity`, the first stage."""

    links: Links
    """Where to follow the application."""


class TenantBody(TypedDict):
    """A tenant's people sign in here from now on."""

    tenant: str
    """The tenant's name, which stays."""

    registration_open: bool
    """Whether applicants may make accounts by themselves."""

    admin_email: str
    """Who is invited as the first administrator."""


class TermsAnswer(TypedDict):
    """`LoanTerms` of the contract, which the lender signs; `terms_hash` is their EIP-712
    hash.

    Every integer is a text of decimal digits: token units and nonces exceed what
    JavaScript holds.
    """

    loan_reference: str
    """The contract's key of this loan, 32 bytes in 0x hex."""

    lender: str
    """The account that pays, checksummed (EIP-55)."""

    borrower: str
    """The wallet that is paid, checksummed (EIP-55)."""

    token: str
    """The ERC-20 token that is paid, checksummed (EIP-55)."""

    principal: str
    """What is paid, in the token's smallest unit."""

    total_repayable: str
    """What is owed over the whole term, in the token's smallest unit."""

    apr_bps: str
    """Annual percentage rate in basis points."""

    term_months: str
    """Months."""

    nonce: str
    """The lender's own number for these terms, used once."""

    deadline: str
    """Last moment at which they may be settled, Unix seconds."""


class TokensAnswer(TypedDict):
    """Somebody is signed in."""

    access_token: str
    """A JWT of type `at+jwt` (RFC 9068), for every request."""

    token_type: Literal["Bearer"]
    """How the access token is sent."""

    expires_in: int
    """Seconds until the access token ends."""

    refresh_token: str
    """Gets the next tokens, once. Keep it secret: a second use ends the session."""

    refresh_expires_in: int
    """Seconds until the refresh token ends."""

    scope: str
    """The scopes of the access token, with spaces between them."""


class TransactionAnswer(TypedDict):
    """Where the settlement stands on chain; nothing is final before `state` says so."""

    settlement_state: str
    """`signed`, `broadcast`, `included` in a block, `final`, or `failed`. Only `final` means
    that the money has moved for good.
    """

    chain_id: int
    """EIP-155 id of the chain."""

    tx_hash: str | None
    """Hash of the latest paying transaction, 32 bytes in 0x hex; null without one."""

    block_number: int | None
    """Block it is in; null while it is in none."""

    confirmations: int | None
    """Depth in blocks, the transaction's own counted; null while it is in none."""

    amount_units: str
    """What is paid, in the token's smallest unit, as decimal text."""

    borrower: str
    """The wallet that is paid, checksummed (EIP-55)."""

    loan_reference: str
    """The contract's key of this loan, 32 bytes in 0x hex; paid once, for ever."""


class TrialAnswer(TypedDict):
    """What came of trying a provider; it ends with the first step that fails."""

    passed: bool
    """Whether every step went well."""

    failed_step: str | None
    """The step that failed; null if none did."""

    steps: list[StepAnswer]
    """In order."""


class VendorCallback(TypedDict):
    """A check is completed. Fields beyond these are ignored."""

    event_id: str
    """The event's own id: the same event is taken once, however often it comes. 1 to 128
    letters, digits, '_' or '-'.
    """

    type: Literal["check.completed"]
    """The one kind of event there is."""

    check_id: str
    """The vendor's id of the check."""

    reference: str
    """Our name for the verification, repeated from the vendor's request:
    `<tenant>:<verification id>`.
    """

    verdict: Literal["clear", "unclear", "rejected"]
    """`clear`: the identity is proved; `unclear`: a person of ours decides; `rejected`: it
    is not.
    """

    reason: NotRequired[str | None]
    """A code in capitals, kept; free text is not kept, as it may name the person."""


class WalletBody(TypedDict):
    """The wallet to be paid, with an EIP-712 `WalletOwnership` signature by its key.

    What is signed is described, with an example, at the head of this document.
    """

    address: str
    """The account to be paid: 20 bytes in 0x hex, in any case."""

    issued_at: int
    """When the proof was signed, Unix seconds: at most 10 minutes ago and at most 1 minute
    ahead of our clock. Part of what is signed.
    """

    signature: str
    """The `WalletOwnership` signature: r, s and v, 65 bytes in 0x hex; s in the lower half
    of the order, v 27 or 28.
    """


class WebhookAnswer(TypedDict):
    """A webhook, without its secrets."""

    webhook_id: str
    """`whk_` and 32 hexadecimal digits."""

    provider_id: str | None
    """The provider whose events it is told of; null: all of your tenant's."""

    url: str
    """Where it is told."""

    event_types: list[str] | None
    """Which types; null: all you may see."""

    description: str
    """What it was said to be for."""

    status: WebhookStatus
    """`active`; `paused`: events wait; `disabled`: it answered 410 Gone, and events pass it
    by until it is resumed; `removed`.
    """

    status_reason: str | None
    """Why it is disabled; else null."""

    former_secret_until: str | None
    """Until when the secret before this one signs, too; null: it was never rotated."""

    created_by: str
    """Who registered it, and looks after what it is not told."""

    created_at: str
    """When it was registered (RFC 3339)."""


class WebhookBody(TypedDict):
    """Where, and of what, to tell."""

    url: str
    """An address of the public internet, by https at port 443, without a user's name in it;
    redirects are not followed.
    """

    event_types: NotRequired[list[str] | None]
    """Which types of events; null: all that your role may see."""

    description: NotRequired[str]
    """For people: at most 200 characters."""


class WebhookListAnswer(TypedDict):
    """Your tenant's webhooks."""

    webhooks: list[WebhookAnswer]
    """The newest first."""


# Whether a webhook is told of events.
WebhookStatus = Literal["active", "paused", "disabled", "removed"]


class WebhookStatusBody(TypedDict):
    """Whether it is told of events."""

    status: str
    """`paused`: events wait; `active`: it is told of all that waited, or from now on if it
    was `disabled`.
    """


class WebhookTestAnswer(TypedDict):
    """What came back."""

    webhook_id: str
    """The webhook that was tried."""

    event_id: str
    """The test event's id: its `webhook-id`."""

    accepted: bool
    """Whether it answered 2xx."""

    status: int | None
    """The status it answered; null: there was no answer."""

    reason: str | None
    """Why it does not count: `NOT_ACCEPTED`, `GONE`, `TIMED_OUT`, `UNREACHABLE` or
    `ADDRESS_REFUSED`; null if it was accepted.
    """

    ms: int
    """How long it took, in milliseconds."""


class WebhookTestBody(TypedDict):
    """Which webhook to try."""

    webhook_id: str
    """`whk_` and 32 hexadecimal digits."""


class WithdrawBody(TypedDict):
    """The applicant no longer wants the credit."""

    reason: NotRequired[str | None]
    """In the applicant's words, or null; it is not kept."""


class WithdrawnAnswer(TypedDict):
    """The application is withdrawn, for good."""

    application_id: str
    """The application that was withdrawn."""

    state: str
    """`withdrawn`."""
