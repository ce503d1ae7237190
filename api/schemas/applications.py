"""Requests about applications."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StringConstraints

from api.schemas import examples
from models.domain.application import Address, Applicant, CreditRequest, IdentityDocument
from models.domain.money import MAX_AMOUNT_MINOR

_ADULT_OR_NOT_YET = date(1900, 1, 1)


def _day(text: str) -> str:
    born_on = date.fromisoformat(text)
    if born_on < _ADULT_OR_NOT_YET:
        raise ValueError("too long ago")
    return text


def printable(text: str) -> str:
    """No control characters, and nothing that changes how the rest is read."""
    if not text.isprintable():
        raise ValueError("control characters")
    return text


Text = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(printable),
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
    AfterValidator(printable),
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
    """A postal address: the person's residence, which decides whose rules apply."""

    line1: Annotated[Text, Field(description="Street and number, 1 to 200 characters.")]
    city: Annotated[Text, Field(description="City, 1 to 200 characters.")]
    postal_code: Annotated[
        Token, Field(description="Postal code: 1 to 64 letters, digits, spaces, '.', '_' or '-'.")
    ]
    country: Annotated[
        Country, Field(description="Country of residence: ISO 3166-1 alpha-2, in capitals.")
    ]


class DocumentBody(Message):
    """A government document, examined by the identity vendor."""

    kind: Annotated[
        Literal["passport", "identity_card", "driving_licence"], Field(description="Its kind.")
    ]
    number: Annotated[
        Token,
        Field(description="Number as printed: 1 to 64 letters, digits, spaces, '.', '_' or '-'."),
    ]
    country: Annotated[
        Country, Field(description="Country that issued it: ISO 3166-1 alpha-2, in capitals.")
    ]


class ApplicantBody(Message):
    """The person who applies. No protected attribute is asked for beyond what identity needs."""

    given_name: Annotated[
        Text, Field(description="Given names as on the document, 1 to 200 characters.")
    ]
    family_name: Annotated[
        Text, Field(description="Family name as on the document, 1 to 200 characters.")
    ]
    born_on: Annotated[
        Day, Field(description="Day of birth, ISO 8601 (`YYYY-MM-DD`), not before 1900-01-01.")
    ]
    email: Annotated[Email, Field(description="E-mail address, at most 254 characters.")]
    national_id: Annotated[
        Token,
        Field(
            description="National or tax identification number: 1 to 64 letters, digits, spaces, "
            "'.', '_' or '-'. The credit bureau is asked by it."
        ),
    ]
    address: Annotated[AddressBody, Field(description="Where the person lives.")]
    document: Annotated[DocumentBody, Field(description="What proves the identity.")]


class FinancesBody(Message):
    """What the applicant states about income; in minor units of the loan's currency."""

    annual_income_minor: Annotated[
        StrictInt,
        Field(
            ge=0,
            le=100_000_000_000,
            description="Gross income of a year in minor units of `currency` (cents).",
        ),
    ]
    employment_months: Annotated[
        StrictInt,
        Field(ge=0, le=1_200, description="Whole months in the present employment; 0 without one."),
    ]


class WalletBody(Message):
    """The wallet to be paid, with an EIP-712 `WalletOwnership` signature by its key.

    What is signed is described, with an example, at the head of this document.
    """

    address: Annotated[
        EVMAddress,
        Field(description="The account to be paid: 20 bytes in 0x hex, in any case."),
    ]
    issued_at: Annotated[
        UnixSeconds,
        Field(
            description="When the proof was signed, Unix seconds: at most 10 minutes ago and at "
            "most 1 minute ahead of our clock. Part of what is signed."
        ),
    ]
    signature: Annotated[
        Signature,
        Field(
            description="The `WalletOwnership` signature: r, s and v, 65 bytes in 0x hex; s in the "
            "lower half of the order, v 27 or 28."
        ),
    ]


class ApplicationBody(Message):
    """An application for credit. `user_id` is for integrators; applicants apply for themselves."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [examples.APPLICATION]}
    )

    user_id: Annotated[
        UserId | None,
        Field(
            description="Your own id of the person; needed from integrators, and for applicants "
            "their token's subject or left out. It must be opaque, such as a random number: never "
            "a name, e-mail address or government id, because it appears in workflow ids, logs and "
            "the audit trail, which are not encrypted. 1 to 64 letters, digits, '.', '_' or '-'."
        ),
    ] = None
    amount_minor: Annotated[
        StrictInt,
        Field(
            gt=0,
            le=MAX_AMOUNT_MINOR,
            description="Amount asked for in minor units of `currency` (500000 is USD 5,000.00).",
        ),
    ]
    currency: Annotated[
        Literal["USD", "EUR"],
        Field(description="ISO 4217. 422 `CURRENCY_NOT_SETTLED` where no token pays it out."),
    ]
    term_months: Annotated[
        StrictInt, Field(ge=3, le=120, description="Months over which it is to be repaid.")
    ]
    purpose: Annotated[
        Literal[
            "debt_consolidation", "home_improvement", "medical", "education", "vehicle", "other"
        ],
        Field(description="What the credit is for."),
    ]
    applicant: Annotated[ApplicantBody, Field(description="The person who applies.")]
    finances: Annotated[FinancesBody, Field(description="What the person states about income.")]
    wallet: Annotated[
        WalletBody, Field(description="The wallet to be paid, and the proof that it is theirs.")
    ]

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


class SignedAcceptance(Message):
    """What a borrower signs to accept an offer, and the EIP-712 `Acceptance` signature over it.

    What is signed is described, with an example, at the head of this document.
    """

    terms_hash: Annotated[
        Hash, Field(description="The offer's `terms_hash`: 32 bytes in lower-case 0x hex.")
    ]
    borrower: Annotated[
        EVMAddress,
        Field(description="The application's wallet, which signs: 20 bytes in 0x hex, any case."),
    ]
    nonce: Annotated[
        UInt256,
        Field(
            description="Any number this wallet has not used with the contract yet, 0 to 2^256 - 1,"
            " in decimal digits; a random one does. A text, because JSON numbers lose digits."
        ),
    ]
    deadline: Annotated[
        UnixSeconds,
        Field(
            description="Last moment at which the acceptance may be used on chain, Unix seconds: "
            "at least 5 minutes ahead, an hour is usual."
        ),
    ]
    signature: Annotated[
        Signature,
        Field(
            description="The `Acceptance` signature: r, s and v, 65 bytes in 0x hex; s in the "
            "lower half of the order, v 27 or 28."
        ),
    ]


class AcceptOfferBody(SignedAcceptance):
    """The acceptance of the offer that the path names: the borrower's EIP-712 signature.

    What is signed is described, with an example, at the head of this document.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [examples.SIGNED_ACCEPTANCE]}
    )


class AcceptBody(SignedAcceptance):
    """The acceptance of an offer: the borrower's EIP-712 `Acceptance` signature.

    What is signed is described, with an example, at the head of this document.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [examples.ACCEPTANCE]}
    )

    offer_id: Annotated[
        str,
        StringConstraints(strict=True, pattern=r"^off_[0-9a-f]{32}$"),
        Field(description="The `offer_id` of an open offer of this application."),
    ]
