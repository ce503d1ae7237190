"""What the simulated bank reads: its settings and its callers' requests."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from models.domain.money import CURRENCY_EXPONENT, MAX_AMOUNT_MINOR
from sandbox.counterparties.serving import Message

_Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
_Hash = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{64}$")]
_Address = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$")]
_Uint256 = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,77})$")]
_Bps = Annotated[int, Field(ge=0, le=100_000)]
_CURRENCY: Final = "^(" + "|".join(sorted(CURRENCY_EXPONENT)) + ")$"


class BankConfig(Message):
    """The bank's settings; limits are the bank's own appetite."""

    client_id: _Text
    client_secret: _Text
    lender_private_key: Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{64}$")]
    token_validity_s: Annotated[int, Field(ge=1, le=86_400)] = 300
    quote_validity_s: Annotated[int, Field(ge=1, le=2_592_000)] = 900
    base_rate_bps: _Bps = 450
    fee_bps: _Bps = 100
    min_score: Annotated[int, Field(ge=300, le=850)] = 560
    min_amount_minor: Annotated[int, Field(ge=1)] = 50_000
    max_amount_minor: Annotated[int, Field(le=MAX_AMOUNT_MINOR)] = 10_000_000
    max_term_months: Annotated[int, Field(ge=1, le=480)] = 60


class Venue(Message):
    """Where the loan would settle."""

    chain_id: Annotated[int, Field(ge=1, lt=1 << 63)]
    aggregator: _Address
    token: _Address
    # At least the currency's own two, so that a cent is a whole number of units.
    token_decimals: Annotated[int, Field(ge=2, le=36)]


class QuoteRequest(Message):
    """A request for a quote."""

    application_reference: _Text
    loan_reference: _Hash
    borrower: _Address
    amount_minor: Annotated[int, Field(ge=1, le=MAX_AMOUNT_MINOR)]
    currency: Annotated[str, StringConstraints(pattern=_CURRENCY)]
    term_months: Annotated[int, Field(ge=1, le=480)]
    jurisdiction: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    score: Annotated[int, Field(ge=300, le=850)] | None
    pd: Annotated[float, Field(ge=0, le=1)] | None
    venue: Venue


class SignedAcceptance(Message):
    """The borrower's acceptance; integers beyond 2^53 travel as decimal texts."""

    terms_hash: _Hash
    borrower: _Address
    nonce: _Uint256
    deadline: _Uint256
    signature: Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{130}$")]


class AcceptRequest(Message):
    """A request to confirm an accepted quote."""

    terms_hash: _Hash
    acceptance: SignedAcceptance
