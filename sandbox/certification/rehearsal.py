"""What the kit must know of a lender's protocol to rehearse with it: a script, and a stage.

The script says which requests ask for quotes and which accept one, and opens the lender's answers
so that one thing in them can be made wrong. The stage is what a simulated lender is told, and what
the adapter is told of it. A counterparty's module carries its script as `REHEARSAL`; those of the
shipped adapters are listed in `SHIPPED`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

from adapters.chain.eip712 import address_of, recover, terms_digest
from models.domain.offer import LoanTerms, SettlementVenue
from sandbox.certification.wire import Asked, Reply

SHIPPED: Final = {
    "sandbox.counterparties.bank": "sandbox.certification.rehearsals.bank",
    "sandbox.counterparties.fintech": "sandbox.certification.rehearsals.fintech",
    "sandbox.counterparties.pool_underwriter": "sandbox.certification.rehearsals.pool",
    "sandbox.counterparties.soap_bank": "sandbox.certification.rehearsals.soap_bank",
}

# Where no chain is needed, a venue is only named; these are nobody's contracts.
VENUE: Final = SettlementVenue(
    chain_id=31337,
    aggregator="0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    token="0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    token_decimals=6,
)
LENDER_KEY: Final = "0x" + "2b" * 32
LENDER: Final = address_of(LENDER_KEY)

MAINTENANCE: Final = Reply(503, b"", {"retry-after": "600"})


class NoRehearsal(Exception):
    """The adapter names no counterparty, or one without a script."""


class Step(StrEnum):
    """What a request is for."""

    QUOTE = "quote"
    ACCEPT = "accept"
    OTHER = "other"


class Fields(Protocol):
    """One quote or confirmation in an answer, by the names of `Quote` and `LenderConfirmation`.

    A part of the terms is named `terms.<field of LoanTerms>`.
    """

    def get(self, name: str) -> str | int:
        """The value as it travels."""
        ...

    def set(self, name: str, value: str | int) -> None:
        """Another value, in the type the old one had."""
        ...


class Document(Protocol):
    """A lender's answer, opened."""

    def quotes(self) -> Sequence[Fields]:
        """Every quote in it; none if the lender declined."""
        ...

    def confirmation(self) -> Fields:
        """The confirmation of an acceptance: quote_id, terms_hash, lender_signature."""
        ...

    def encoded(self) -> bytes:
        """The answer as it travels."""
        ...

    def listed_again(self, change: Callable[[Fields], None]) -> bytes:
        """The answer with every quote a second time, changed so."""
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """What the lender is told, what the adapter is told, and where the loan would settle."""

    counterparty: Mapping[str, Any]
    config: Mapping[str, Any]
    credentials: Mapping[str, str]
    venue: SettlementVenue = VENUE
    rpc_url: str | None = None
    signed_by_lender: Callable[[LoanTerms, str], Awaitable[bool]] | None = None

    async def signed(self, terms: LoanTerms, signature: str) -> bool:
        """Whether this is the lender's signature over exactly these terms, as the contract asks."""
        if self.signed_by_lender is not None:
            return await self.signed_by_lender(terms, signature)
        digest = terms_digest(terms, self.venue.chain_id, self.venue.aggregator)
        return recover(digest, signature) == terms.lender


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The script of one protocol.

    `effect` is what the counterparty's journal calls a signed loan; such a line names its
    `loan_reference`. `refusals` are the lender's own words for QUOTE_EXPIRED and TERMS_CHANGED.
    `maintenance` is how it says that it is away on purpose. `loan` and `unwanted` are fields of a
    QuoteRequest: one the lender wants, one it declines.
    """

    stage: Callable[[Path], AbstractAsyncContextManager[Stage]]
    step_of: Callable[[Asked], Step]
    opened: Callable[[bytes], Document]
    effect: str
    refusals: Mapping[str, Reply]
    unwanted: Mapping[str, Any]
    loan: Mapping[str, Any] = field(default_factory=dict)
    maintenance: Reply = MAINTENANCE


def rehearsal_of(module: str | None) -> Rehearsal:
    """The script for this counterparty; raises NoRehearsal saying what is missing."""
    if module is None:
        raise NoRehearsal("the manifest names no counterparty to rehearse with")
    try:
        script = getattr(import_module(SHIPPED.get(module, module)), "REHEARSAL", None)
    except ImportError as error:
        raise NoRehearsal(f"{module} cannot be loaded: {error}") from error
    if not isinstance(script, Rehearsal):
        raise NoRehearsal(f"{module} has no REHEARSAL")
    return script
