"""Requests about applications."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StringConstraints

from models.domain.application import Address, Applicant, CreditRequest, IdentityDocument
from models.domain.money import MAX_AMOUNT_MINOR

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
Email = Annotated[
    str,
    StringConstraints(strict=True, max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$"),
    AfterValidator(_printable),
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
    email: Email
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
