"""What every simulated lender does alike: writes terms, checks acceptances, signs a loan once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints
from starlette.requests import Request

from adapters.chain.eip712 import is_address, sign_terms, terms_hash, verify_acceptance
from models.domain.money import CURRENCY_EXPONENT, Money, to_token_units
from models.domain.offer import Acceptance, LoanTerms
from sandbox.counterparties.answers import AnswerBook, Decided, Refusal
from sandbox.counterparties.journal import Journal
from sandbox.counterparties.pricing import Price
from sandbox.counterparties.serving import Message
from sandbox.counterparties.steering import directive

# How long after a quote's expiry an accepted one may still settle on chain.
_SETTLEMENT_GRACE: Final = timedelta(hours=1)

_BIG_INTEGERS: Final = ("principal", "total_repayable", "nonce", "deadline")
_CURRENCY: Final = "^(" + "|".join(sorted(CURRENCY_EXPONENT)) + ")$"

Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Hash = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{64}$")]
Address = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$")]
PrivateKey = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{64}$")]
Uint256 = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,77})$")]
Bps = Annotated[int, Field(ge=0, le=100_000)]
Currency = Annotated[str, StringConstraints(pattern=_CURRENCY)]
Validity = Annotated[int, Field(ge=1, le=2_592_000)]


class SignedAcceptance(Message):
    """The borrower's acceptance; integers beyond 2^53 travel as decimal texts."""

    terms_hash: Hash
    borrower: Address
    nonce: Uint256
    deadline: Uint256
    signature: Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{130}$")]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A loan that somebody asks for, and where it would settle."""

    loan_reference: str
    borrower: str
    amount_minor: int
    currency: str
    term_months: int
    chain_id: int
    aggregator: str
    token: str
    token_decimals: int

    def require_addresses(self) -> None:
        """Refusal 400 unless every address is in its EIP-55 spelling."""
        if not all(map(is_address, (self.borrower, self.aggregator, self.token))):
            raise Refusal(400, "REQUEST_MALFORMED", "an address is not checksummed (EIP-55)")

    def venue(self) -> dict[str, Any]:
        """What the journal keeps beside a quote."""
        return {"chain_id": self.chain_id, "aggregator": self.aggregator}


@dataclass(frozen=True, slots=True)
class Quoted:
    """What a lender remembers of a quote it gave."""

    terms: LoanTerms
    terms_hash: str
    chain_id: int
    aggregator: str
    expires_at: datetime


Sign = Callable[[LoanTerms, int, str], str]
"""The lender's signature over terms, for a chain and an aggregator."""


def by_key(private_key: str) -> Sign:
    """The signature of a lender that is a plain account."""
    return lambda terms, chain_id, aggregator: sign_terms(terms, chain_id, aggregator, private_key)


def expiry(request: Request, validity_s: float) -> datetime:
    """When a quote given now expires; a caller may have told otherwise (`validity_s`)."""
    told = directive(request, "validity_s")
    return datetime.now(UTC) + timedelta(seconds=validity_s if told is None else told)


def quote_document(
    wanted: Wanted, cost: Price, *, lender: str, quote_id: str, expires_at: datetime
) -> dict[str, Any]:
    """A quote with the terms the lender would sign, as it is answered and as it is journaled."""
    decimals = wanted.token_decimals
    terms = LoanTerms(
        loan_reference=wanted.loan_reference,
        lender=lender,
        borrower=wanted.borrower,
        token=wanted.token,
        principal=to_token_units(Money(wanted.amount_minor, wanted.currency), decimals),
        total_repayable=to_token_units(
            Money(cost.total_repayable_minor, wanted.currency), decimals
        ),
        apr_bps=cost.apr_bps,
        term_months=wanted.term_months,
        # Follows from the quote, so that a quote has one nonce however often it is computed.
        nonce=int.from_bytes(hashlib.sha256(quote_id.encode("ascii")).digest()[:16], "big"),
        deadline=int((expires_at + _SETTLEMENT_GRACE).timestamp()),
    )
    return {
        "quote_id": quote_id,
        **asdict(cost),
        "amount_minor": wanted.amount_minor,
        "currency": wanted.currency,
        "term_months": wanted.term_months,
        "expires_at": expires_at.isoformat(timespec="milliseconds"),
        "terms": {k: str(v) if k in _BIG_INTEGERS else v for k, v in asdict(terms).items()},
        "terms_hash": terms_hash(terms),
    }


def quoted_of(quote: Mapping[str, Any], venue: Mapping[str, Any]) -> Quoted:
    """A quote as it was answered, and as the journal gives it back after a restart."""
    return Quoted(
        terms=LoanTerms(**_integers(quote["terms"])),
        terms_hash=quote["terms_hash"],
        chain_id=venue["chain_id"],
        aggregator=venue["aggregator"],
        expires_at=datetime.fromisoformat(quote["expires_at"]),
    )


class LoanDesk:
    """Confirms quotes: one per loan reference, for ever; the journal is its memory."""

    def __init__(self, journal: Journal, answers: AnswerBook, sign: Sign) -> None:
        self.quotes: dict[str, Quoted] = {}
        self._answers = answers
        self._sign = sign
        # By loan reference: two quotes for one loan must never both be confirmed.
        self._confirmed: dict[str, dict[str, Any]] = {
            line["loan_reference"]: line["answer"] for line in journal.effects("quote.confirmed")
        }

    def known(self, quote_id: str) -> Quoted:
        """The quote; Refusal 404 if this lender never gave it."""
        quoted = self.quotes.get(quote_id)
        if quoted is None:
            raise Refusal(404, "QUOTE_UNKNOWN")
        return quoted

    def is_confirmed(self, quote_id: str) -> bool:
        """Whether this quote was signed already; Refusal 404 if it was never given."""
        before = self._confirmed.get(self.known(quote_id).terms.loan_reference)
        return before is not None and before["quote_id"] == quote_id

    def confirm(
        self,
        request: Request,
        endpoint: str,
        key: str,
        body: Mapping[str, Any],
        asked: tuple[str, SignedAcceptance],
        quote_id: str | None = None,
    ) -> dict[str, Any]:
        """The confirmation of this quote, or the one in the request's path: {quote_id, …}.

        `asked` is the terms hash the caller names, and the borrower's acceptance. Told
        `changed_terms`, the lender signs other terms than it quoted, and answers their hash.
        """
        quote_id = quote_id or request.path_params["quote_id"]
        named_hash, acceptance = asked

        def decide() -> Decided:
            quoted = self.known(quote_id)
            if {named_hash, acceptance.terms_hash} != {quoted.terms_hash}:
                raise Refusal(409, "TERMS_MISMATCH")
            reference = quoted.terms.loan_reference
            before = self._confirmed.get(reference)
            if before is not None and before["quote_id"] != quote_id:
                raise Refusal(409, "LOAN_ALREADY_CONFIRMED")
            if before is not None:
                return Decided(before)
            _check_acceptance(acceptance, quoted)
            stated = _as_told(request, quoted)
            confirmation = self._confirmation(quote_id, stated)
            if stated is not quoted:
                # Nobody accepted those terms, so the loan is still to be had on others.
                return Decided(confirmation, "quote.changed", {"loan_reference": reference})
            self._confirmed[reference] = confirmation
            return Decided(confirmation, "quote.confirmed", {"loan_reference": reference})

        return self._answers.once(endpoint, key, body, decide)

    def _confirmation(self, quote_id: str, quoted: Quoted) -> dict[str, Any]:
        return {
            "quote_id": quote_id,
            "terms_hash": quoted.terms_hash,
            "lender_signature": self._sign(quoted.terms, quoted.chain_id, quoted.aggregator),
            "confirmed_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }


def _as_told(request: Request, quoted: Quoted) -> Quoted:
    told = directive(request, "changed_terms")
    if not told:
        return quoted
    dearer = {"total_repayable": quoted.terms.total_repayable * 101 // 100}
    terms = replace(quoted.terms, **(_integers(told) if isinstance(told, dict) else dearer))
    return replace(quoted, terms=terms, terms_hash=terms_hash(terms))


def _check_acceptance(stated: SignedAcceptance, quoted: Quoted) -> None:
    """Refusal unless the borrower of the terms accepted them, in time, with a valid signature."""
    now = datetime.now(UTC)
    if now >= quoted.expires_at:
        raise Refusal(409, "QUOTE_EXPIRED")
    acceptance = Acceptance(
        terms_hash=stated.terms_hash,
        borrower=stated.borrower,
        nonce=int(stated.nonce),
        deadline=int(stated.deadline),
        signature=stated.signature,
    )
    if acceptance.deadline <= now.timestamp():
        raise Refusal(422, "ACCEPTANCE_EXPIRED")
    borrower = quoted.terms.borrower
    if not verify_acceptance(quoted.chain_id, quoted.aggregator, borrower, acceptance):
        raise Refusal(422, "ACCEPTANCE_SIGNATURE_INVALID")


def _integers(terms: Mapping[str, Any]) -> dict[str, Any]:
    return {name: int(v) if name in _BIG_INTEGERS else v for name, v in terms.items()}
