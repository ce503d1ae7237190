"""Plausible mistakes of an adapter, and the rows of the certification that each is found by."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum, auto
from typing import Final


class Mistake(StrEnum):
    """Each was made by somebody, somewhere."""

    NO_TOTAL_DEADLINE = auto()  # a synchronous client, whose limit is for each read alone
    READS_WITHOUT_BOUND = auto()
    UNPACKS_WITHOUT_BOUND = auto()
    FOLLOWS_REDIRECTS = auto()
    RETRIES_BY_ITSELF = auto()
    FORGETS_RETRY_AFTER = auto()
    GIVES_UP_ON_SERVER_ERRORS = auto()
    NO_OFFERS_ON_FAILURE = auto()
    LETS_PARSER_FAIL = auto()
    READS_ERRORS_AS_OFFERS = auto()
    FRESH_KEY_PER_PROCESS = auto()
    FRESH_KEY_PER_ACCEPTANCE = auto()
    IGNORES_ROUND = auto()
    DECLINE_IS_AN_ERROR = auto()
    NEEDS_A_SCORE = auto()
    CLOSES_FOR_GOOD = auto()
    STATUS_RAISES = auto()
    NO_MAINTENANCE = auto()
    CREDENTIALS_ARE_A_REFUSAL = auto()
    BELIEVES_CURRENCY = auto()
    BELIEVES_AMOUNT = auto()
    BELIEVES_TERM = auto()
    BELIEVES_APR = auto()
    BELIEVES_HEADLINE = auto()
    BELIEVES_HASH = auto()
    BELIEVES_LENDER = auto()
    BELIEVES_LOAN = auto()
    BELIEVES_BORROWER = auto()
    BELIEVES_EXPIRY = auto()
    KEEPS_DUPLICATES = auto()
    TAKES_THE_FIRST_OF_TWO = auto()
    BELIEVES_CONFIRMATION = auto()
    SIGNS_WITH_THE_BORROWERS = auto()
    ALL_REFUSALS_ARE_ONE = auto()
    LOGS_THE_KEY = auto()
    QUOTES_THE_LENDER = auto()
    LOOSE_SETTINGS = auto()
    SHOWS_CREDENTIALS = auto()
    BOUNDLESS_LIMITS = auto()
    IMPOSSIBLE_APPETITE = auto()
    PROMISES_TOO_MUCH = auto()
    SAYS_NOTHING = auto()


def _rows(*names: str) -> frozenset[str]:
    return frozenset(names)


_AT_ACCEPTANCE: Final = _rows("accept-without-reply", "accept-truncated", "accept-gateway-error")

FOUND_BY: Final[Mapping[Mistake, frozenset[str]]] = {
    Mistake.NO_TOTAL_DEADLINE: _rows("drip-fed"),
    Mistake.READS_WITHOUT_BOUND: _rows("huge"),
    Mistake.UNPACKS_WITHOUT_BOUND: _rows("compressed-bomb"),
    Mistake.FOLLOWS_REDIRECTS: _rows("redirect"),
    Mistake.RETRIES_BY_ITSELF: _rows("error-500", "error-503", "busy-429", "accept-gateway-error"),
    Mistake.FORGETS_RETRY_AFTER: _rows("busy-429"),
    Mistake.GIVES_UP_ON_SERVER_ERRORS: _rows("error-500", "error-503", "accept-gateway-error"),
    Mistake.NO_OFFERS_ON_FAILURE: _rows(
        "truncated", "connection-reset", "unreachable", "error-500", "error-503", "busy-429",
        "credentials-refused",
    ),
    Mistake.LETS_PARSER_FAIL: _rows("another-shape", "malformed", "web-page"),
    Mistake.READS_ERRORS_AS_OFFERS: _rows("refused-400", "credentials-echoed"),
    Mistake.FRESH_KEY_PER_PROCESS: _rows("offers-repeat"),
    Mistake.FRESH_KEY_PER_ACCEPTANCE: _rows("accept-repeat", *_AT_ACCEPTANCE),
    Mistake.IGNORES_ROUND: _rows("offers-anew", "appetite-edges"),
    Mistake.DECLINE_IS_AN_ERROR: _rows("declined"),
    Mistake.NEEDS_A_SCORE: _rows("risk-unknown"),
    Mistake.CLOSES_FOR_GOOD: _rows("disconnect"),
    Mistake.STATUS_RAISES: _rows("status-unreachable", "status-silent", "status-maintenance"),
    Mistake.NO_MAINTENANCE: _rows("status-maintenance"),
    Mistake.CREDENTIALS_ARE_A_REFUSAL: _rows("credentials-refused"),
    Mistake.BELIEVES_CURRENCY: _rows("wrong-currency"),
    Mistake.BELIEVES_AMOUNT: _rows("wrong-amount"),
    Mistake.BELIEVES_TERM: _rows("wrong-term"),
    Mistake.BELIEVES_APR: _rows("understated-apr"),
    Mistake.BELIEVES_HEADLINE: _rows("changed-terms"),
    Mistake.BELIEVES_HASH: _rows("terms-hash-mismatch"),
    Mistake.BELIEVES_LENDER: _rows("foreign-lender"),
    Mistake.BELIEVES_LOAN: _rows("another-loan"),
    Mistake.BELIEVES_BORROWER: _rows("another-borrower"),
    Mistake.BELIEVES_EXPIRY: _rows("expired-quote"),
    Mistake.KEEPS_DUPLICATES: _rows("duplicate-offers", "contradicting-offers"),
    Mistake.TAKES_THE_FIRST_OF_TWO: _rows("contradicting-offers"),
    Mistake.BELIEVES_CONFIRMATION: _rows("other-terms-confirmed", "other-quote-confirmed"),
    Mistake.SIGNS_WITH_THE_BORROWERS: _rows("accept", "forged-signature", *_AT_ACCEPTANCE),
    Mistake.ALL_REFUSALS_ARE_ONE: _rows(
        "quote-expired-at-accept", "terms-refused-at-accept", "changed-terms-at-accept"
    ),
    Mistake.LOGS_THE_KEY: _rows("secrets-kept"),
    Mistake.QUOTES_THE_LENDER: _rows("credentials-echoed", "secrets-kept"),
    Mistake.LOOSE_SETTINGS: _rows("settings-checked"),
    Mistake.SHOWS_CREDENTIALS: _rows("credentials-hidden"),
    Mistake.BOUNDLESS_LIMITS: _rows("manifest-limits"),
    Mistake.IMPOSSIBLE_APPETITE: _rows("manifest-appetite"),
    Mistake.PROMISES_TOO_MUCH: _rows("appetite-edges"),
    Mistake.SAYS_NOTHING: _rows("manifest-complete"),
}  # fmt: skip

# Tried together: no two of a group are found by the same row, and none hides another, so that each
# is still seen by itself.
GROUPS: Final[tuple[tuple[Mistake, ...], ...]] = (
    (
        Mistake.NO_TOTAL_DEADLINE, Mistake.READS_WITHOUT_BOUND, Mistake.UNPACKS_WITHOUT_BOUND,
        Mistake.FOLLOWS_REDIRECTS, Mistake.KEEPS_DUPLICATES, Mistake.IGNORES_ROUND,
        Mistake.STATUS_RAISES, Mistake.GIVES_UP_ON_SERVER_ERRORS,
    ),
    (
        Mistake.RETRIES_BY_ITSELF, Mistake.READS_ERRORS_AS_OFFERS, Mistake.LETS_PARSER_FAIL,
        Mistake.CREDENTIALS_ARE_A_REFUSAL,
    ),
    (
        Mistake.FRESH_KEY_PER_ACCEPTANCE, Mistake.QUOTES_THE_LENDER, Mistake.FORGETS_RETRY_AFTER,
        Mistake.CLOSES_FOR_GOOD, Mistake.FRESH_KEY_PER_PROCESS, Mistake.DECLINE_IS_AN_ERROR,
    ),
    (
        Mistake.SIGNS_WITH_THE_BORROWERS, Mistake.NO_OFFERS_ON_FAILURE, Mistake.LOGS_THE_KEY,
        Mistake.PROMISES_TOO_MUCH,
    ),
    (
        Mistake.BELIEVES_CURRENCY, Mistake.BELIEVES_AMOUNT, Mistake.BELIEVES_TERM,
        Mistake.BELIEVES_APR, Mistake.BELIEVES_HEADLINE, Mistake.BELIEVES_HASH,
        Mistake.BELIEVES_LENDER, Mistake.BELIEVES_LOAN, Mistake.BELIEVES_BORROWER,
        Mistake.BELIEVES_EXPIRY, Mistake.BELIEVES_CONFIRMATION, Mistake.TAKES_THE_FIRST_OF_TWO,
        Mistake.ALL_REFUSALS_ARE_ONE, Mistake.NEEDS_A_SCORE, Mistake.NO_MAINTENANCE,
        Mistake.LOOSE_SETTINGS, Mistake.SHOWS_CREDENTIALS, Mistake.BOUNDLESS_LIMITS,
        Mistake.IMPOSSIBLE_APPETITE, Mistake.SAYS_NOTHING,
    ),
)  # fmt: skip
