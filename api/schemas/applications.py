"""Requests and answers about applications."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StringConstraints

from models.domain.application import Address, Applicant, CreditRequest, IdentityDocument
from models.domain.decision import applicant_reasons
from models.domain.money import MAX_AMOUNT_MINOR
from models.domain.views import ApplicationView, OfferView

_ADULT_OR_NOT_YET = date(1900, 1, 1)


def _day(text: str) -> str:
    born_on = date.fromisoformat(text)
    if born_on < _ADULT_OR_NOT_YET:
        raise ValueError("too long ago")
    return text


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("control characters")
    return text


Text = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_printable),
]
Token = Annotated[
    str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._\-]{0,63}$")
]
Country = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Z]{2}$")]
Day = Annotated[
    str,
    StringConstraints(strict=True, pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"),
    AfterValidator(_day),
]
UserId = Annotated[
    str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-]{0,63}$")
]
EVMAddress = Annotated[str, StringConstraints(strict=True, pattern=r"^0x[0-9a-fA-F]{40}$")]
Signature = Annotated[str, StringConstraints(strict=True, pattern=r"^0x[0-9a-fA-F]{130}$")]
Hash = Annotated[str, StringConstraints(strict=True, pattern=r"^0x[0-9a-f]{64}$")]
# ASCII digits alone: `int()` would also read other scripts' digits and underscores.
UInt256 = Annotated[str, StringConstraints(strict=True, pattern=r"^(0|[1-9][0-9]{0,77})$")]
UnixSeconds = Annotated[StrictInt, Field(ge=0, le=4_102_444_800)]


class Message(BaseModel):
    """A request body; a field we do not know is refused, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AddressBody(Message):
    """A postal address."""

    line1: Text
    city: Text
    postal_code: Token
    country: Country


class DocumentBody(Message):
    """A government document."""

    kind: Literal["passport", "identity_card", "driving_licence"]
    number: Token
    country: Country


class ApplicantBody(Message):
    """The person who applies. No protected attribute is asked for beyond what identity needs."""

    given_name: Text
    family_name: Text
    born_on: Day
    email: Annotated[
        str, StringConstraints(strict=True, max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")
    ]
    national_id: Token
    address: AddressBody
    document: DocumentBody


class FinancesBody(Message):
    """What the applicant states about income; in minor units of the loan's currency."""

    annual_income_minor: Annotated[StrictInt, Field(ge=0, le=100_000_000_000)]
    employment_months: Annotated[StrictInt, Field(ge=0, le=1_200)]


class WalletBody(Message):
    """The wallet to be paid, with an EIP-712 `WalletOwnership` signature by its key."""

    address: EVMAddress
    issued_at: UnixSeconds
    signature: Signature


class ApplicationBody(Message):
    """An application for credit. `user_id` is for integrators; applicants apply for themselves."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "amount_minor": 500_000,
                    "currency": "USD",
                    "term_months": 36,
                    "purpose": "debt_consolidation",
                    "applicant": {
                        "given_name": "Ada",
                        "family_name": "Example",
                        "born_on": "1985-04-12",
                        "email": "ada@example.com",
                        "national_id": "900-00-0001",
                        "address": {
                            "line1": "1 Main Street",
                            "city": "Springfield",
                            "postal_code": "12345",
                            "country": "US",
                        },
                        "document": {"kind": "passport", "number": "X1234567", "country": "US"},
                    },
                    "finances": {"annual_income_minor": 9_000_000, "employment_months": 84},
                    "wallet": {
                        "address": "0x" + "11" * 20,
                        "issued_at": 1_790_000_000,
                        "signature": "0x" + "00" * 65,
                    },
                }
            ]
        },
    )

    user_id: UserId | None = None
    amount_minor: Annotated[StrictInt, Field(gt=0, le=MAX_AMOUNT_MINOR)]
    currency: Literal["USD", "EUR"]
    term_months: Annotated[StrictInt, Field(ge=3, le=120)]
    purpose: Literal[
        "debt_consolidation", "home_improvement", "medical", "education", "vehicle", "other"
    ]
    applicant: ApplicantBody
    finances: FinancesBody
    wallet: WalletBody

    def to_request(self, chain_id: int, wallet: str) -> CreditRequest:
        """What is asked for; `wallet` is the checksummed address whose ownership was proved."""
        return CreditRequest(
            amount_minor=self.amount_minor,
            currency=self.currency,
            term_months=self.term_months,
            purpose=self.purpose,
            jurisdiction=self.applicant.address.country,
            wallet=wallet,
            chain_id=chain_id,
        )

    def to_applicant(self) -> Applicant:
        """The person, as the domain knows them."""
        stated = self.applicant
        return Applicant(
            given_name=stated.given_name,
            family_name=stated.family_name,
            born_on=stated.born_on,
            email=stated.email,
            national_id=stated.national_id,
            address=Address(**stated.address.model_dump()),
            document=IdentityDocument(**stated.document.model_dump()),
            annual_income_minor=self.finances.annual_income_minor,
            employment_months=self.finances.employment_months,
        )


class AcceptBody(Message):
    """The acceptance of an offer: the borrower's EIP-712 `Acceptance` signature."""

    offer_id: Annotated[str, StringConstraints(strict=True, pattern=r"^off_[0-9a-f]{32}$")]
    terms_hash: Hash
    borrower: EVMAddress
    nonce: UInt256
    deadline: UnixSeconds
    signature: Signature


class Links(BaseModel):
    """Where to go from here."""

    self: str


class SubmittedAnswer(BaseModel):
    """The application is stored and will be processed."""

    application_id: str
    state: str
    stage: str
    links: Links


class AcceptedAnswer(BaseModel):
    """The acceptance is on record; settlement follows."""

    application_id: str
    offer_id: str
    state: Literal["settling"]
    links: Links


class ReasonAnswer(BaseModel):
    """A published reason code with its text for the applicant."""

    code: str
    text: str


class ScoreReasonAnswer(ReasonAnswer):
    """What kept the score from being higher, and by how many points."""

    impact_points: float


class OfferAnswer(BaseModel):
    """An offer; `terms` is what the contract sees, `terms_hash` what the borrower signs."""

    offer_id: str
    provider_id: str
    status: str
    amount_minor: int
    currency: str
    term_months: int
    nominal_rate_bps: int
    apr_bps: int
    fee_minor: int
    monthly_payment_minor: int
    total_repayable_minor: int
    total_cost_minor: int
    terms_hash: str
    terms: dict[str, Any]
    chain_id: int
    aggregator: str
    expires_at: datetime


class MissingOfferAnswer(BaseModel):
    """A lender that made no offer, and why."""

    provider_id: str
    reason: str | None


class TransactionAnswer(BaseModel):
    """Where the settlement stands on chain; nothing is final before `state` says so."""

    settlement_state: str
    chain_id: int
    tx_hash: str | None
    block_number: int | None
    confirmations: int | None
    amount_units: str
    borrower: str
    loan_reference: str


class LoanAnswer(BaseModel):
    """A loan on the books."""

    loan_id: str
    amount_minor: int
    currency: str
    apr_bps: int
    term_months: int
    monthly_payment_minor: int
    total_repayable_minor: int
    booked_at: datetime


class ApplicationAnswer(BaseModel):
    """An application: where it stands, why, and what came of it."""

    application_id: str
    user_id: str
    amount_minor: int
    currency: str
    term_months: int
    purpose: str
    wallet: str
    chain_id: int
    stage: str
    state: str
    reasons: list[ReasonAnswer]
    identity: str | None
    score: int | None
    score_reasons: list[ScoreReasonAnswer]
    offers: list[OfferAnswer]
    missing_offers: list[MissingOfferAnswer]
    accepted_offer_id: str | None
    transaction: TransactionAnswer | None
    loan: LoanAnswer | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, view: ApplicationView) -> ApplicationAnswer:
        """The read model as the API shows it; screening is never told of."""
        settlement, loan = view.settlement, view.loan
        return cls(
            application_id=view.application_id,
            user_id=view.user_id,
            amount_minor=view.request.amount_minor,
            currency=view.request.currency,
            term_months=view.request.term_months,
            purpose=view.request.purpose,
            wallet=view.request.wallet,
            chain_id=view.request.chain_id,
            stage=view.stage,
            state=view.state,
            reasons=[
                ReasonAnswer(code=each.code, text=each.text)
                for each in applicant_reasons(view.reasons)
            ],
            identity=view.identity,
            score=view.score,
            score_reasons=[
                ScoreReasonAnswer(
                    code=each.code, text=each.text, impact_points=round(each.impact_points, 1)
                )
                for each in view.score_reasons
            ],
            offers=[_offer(each) for each in view.offers],
            missing_offers=[
                MissingOfferAnswer(provider_id=each["provider_id"], reason=each["reason"])
                for each in view.missing_offers
            ],
            accepted_offer_id=view.accepted_offer_id,
            transaction=settlement
            and TransactionAnswer(
                settlement_state=settlement.state,
                chain_id=settlement.chain_id,
                tx_hash=settlement.tx_hash,
                block_number=settlement.block_number,
                confirmations=settlement.confirmations,
                amount_units=str(settlement.amount_units),
                borrower=settlement.borrower,
                loan_reference=settlement.loan_reference,
            ),
            loan=loan
            and LoanAnswer(
                loan_id=loan.loan_id,
                amount_minor=loan.amount_minor,
                currency=loan.currency,
                apr_bps=loan.apr_bps,
                term_months=loan.term_months,
                monthly_payment_minor=loan.monthly_payment_minor,
                total_repayable_minor=loan.total_repayable_minor,
                booked_at=loan.booked_at,
            ),
            created_at=view.created_at,
            updated_at=view.updated_at,
        )


def _offer(view: OfferView) -> OfferAnswer:
    quote = view.quote
    terms = quote.terms
    return OfferAnswer(
        offer_id=view.offer_id,
        provider_id=quote.provider_id,
        status=view.status,
        amount_minor=quote.amount_minor,
        currency=quote.currency,
        term_months=quote.term_months,
        nominal_rate_bps=quote.nominal_rate_bps,
        apr_bps=quote.apr_bps,
        fee_minor=quote.fee_minor,
        monthly_payment_minor=quote.monthly_payment_minor,
        total_repayable_minor=quote.total_repayable_minor,
        total_cost_minor=quote.total_cost_minor,
        terms_hash=quote.terms_hash,
        # Every integer as text: token units and nonces exceed what JavaScript holds exactly.
        terms={
            name: str(value) if isinstance(value, int) else value
            for name, value in (
                (name, getattr(terms, name)) for name in type(terms).__dataclass_fields__
            )
        },
        chain_id=view.chain_id,
        aggregator=view.aggregator,
        expires_at=datetime.fromisoformat(quote.expires_at),
    )
