"""Worked examples of answers: the borrower of `examples.py`, on the way and funded."""

from __future__ import annotations

from typing import Any, Final

from api.schemas import accounts, provider_examples, webhooks
from api.schemas import examples as of

LENDER: Final = "0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF"
TOKEN: Final = "0x" + "33" * 20
_LINKS: Final = {"self": f"/api/v1/applications/{of.APPLICATION_ID}"}

OFFER: Final[dict[str, Any]] = {
    "offer_id": of.OFFER_ID,
    "provider_id": "bank",
    "status": "accepted",
    "amount_minor": 500_000,
    "currency": "USD",
    "term_months": 36,
    "nominal_rate_bps": 1_090,
    "apr_bps": 1_250,
    "fee_minor": 10_000,
    "monthly_payment_minor": 16_620,
    "total_repayable_minor": 598_320,
    "total_cost_minor": 98_320,
    "terms_hash": of.TERMS_HASH,
    "terms": {
        "loan_reference": "0x" + "ab" * 32,
        "lender": LENDER,
        "borrower": of.WALLET,
        "token": TOKEN,
        "principal": "5000000000",
        "total_repayable": "5983200000",
        "apr_bps": "1250",
        "term_months": "36",
        "nonce": "42",
        "deadline": "1790003600",
    },
    "chain_id": of.CHAIN_ID,
    "aggregator": of.AGGREGATOR,
    "expires_at": "2026-09-21T14:13:20Z",
}
_FOUND: Final[dict[str, Any]] = {
    name: OFFER[name]
    for name in (
        "provider_id", "amount_minor", "currency", "term_months", "nominal_rate_bps", "apr_bps",
        "fee_minor", "monthly_payment_minor", "total_repayable_minor", "total_cost_minor",
        "expires_at",
    )
}  # fmt: skip
_KNOWN: Final[dict[str, Any]] = {
    **OFFER,
    "application_id": of.APPLICATION_ID,
    "round": 1,
    "created_at": "2026-09-21T13:58:20Z",
}
SEARCH_STREAM: Final = (
    'event: offer\ndata: {"offer_id":null,"provider_id":"bank","amount_minor":500000,…}\n\n'
    'event: missing\ndata: {"provider_id":"fintech","reason":"DEADLINE_EXCEEDED"}\n\n'
    'event: done\ndata: {"binding":false,"search_id":"srch_0199…","offers":[…],…}\n\n'
)
_TRANSACTION: Final[dict[str, Any]] = {
    "settlement_state": "final",
    "chain_id": of.CHAIN_ID,
    "tx_hash": "0x" + "cd" * 32,
    "block_number": 1_204,
    "confirmations": 12,
    "amount_units": "5000000000",
    "borrower": of.WALLET,
    "loan_reference": "0x" + "ab" * 32,
}
_LOAN: Final[dict[str, Any]] = {
    "loan_id": "loan_01990000000070008000000000000006",
    "amount_minor": 500_000,
    "currency": "USD",
    "apr_bps": 1_250,
    "term_months": 36,
    "monthly_payment_minor": 16_620,
    "total_repayable_minor": 598_320,
    "booked_at": "2026-09-21T14:00:41Z",
}
APPLICATION: Final[dict[str, Any]] = {
    "application_id": of.APPLICATION_ID,
    "user_id": of.USER_ID,
    "amount_minor": 500_000,
    "currency": "USD",
    "term_months": 36,
    "purpose": "debt_consolidation",
    "wallet": of.WALLET,
    "chain_id": of.CHAIN_ID,
    "stage": "closed",
    "state": "funded",
    "reasons": [],
    "identity": "verified",
    "decision": "approve",
    "score": 712,
    "score_reasons": [
        {
            "code": "obligations_high",
            "text": "Balances owed on instalment loans are high in relation to income",
            "impact_points": 11.4,
        }
    ],
    "offers": [OFFER],
    "missing_offers": [{"provider_id": "fintech", "reason": "DEADLINE_EXCEEDED"}],
    "accepted_offer_id": of.OFFER_ID,
    "transaction": _TRANSACTION,
    "loan": _LOAN,
    "information_requests": [],
    "notice": None,
    "created_at": "2026-09-21T13:58:20Z",
    "updated_at": "2026-09-21T14:00:41Z",
}
REVIEW: Final[dict[str, Any]] = {
    "review_id": of.REVIEW_ID,
    "kind": "credit",
    "subject_id": of.APPLICATION_ID,
    "reasons": ["SCORE_BORDERLINE"],
    "status": "open",
    "approvals_needed": 1,
    "approvals": [],
    "assignee": "uma.underwriter",
    "decided_by": None,
    "created_at": "2026-09-21T13:58:22Z",
    "decided_at": None,
}

# By the name of the answer's schema.
ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "SubmittedAnswer": {
        "application_id": of.APPLICATION_ID,
        "state": "processing",
        "stage": "identity",
        "links": _LINKS,
    },
    "AcceptedAnswer": {
        "application_id": of.APPLICATION_ID,
        "offer_id": of.OFFER_ID,
        "state": "settling",
        "links": _LINKS,
    },
    "SearchAnswer": {
        "binding": False,
        "search_id": of.SEARCH_ID,
        "application_id": None,
        "round": None,
        "ranking": "total_cost",
        "offers": [{"offer_id": None, **_FOUND}],
        "missing": [{"provider_id": "fintech", "reason": "DEADLINE_EXCEEDED"}],
    },
    "KnownOfferAnswer": _KNOWN,
    "OfferHistoryAnswer": {"offers": [_KNOWN], "next": None},
    "RejectedAnswer": {"offer_id": of.OFFER_ID, "status": "rejected"},
    "ApplicationAnswer": APPLICATION,
    "WithdrawnAnswer": {"application_id": of.APPLICATION_ID, "state": "withdrawn"},
    "InformedAnswer": {"application_id": of.APPLICATION_ID, "request_id": of.REQUEST_ID},
    "HandedOverAnswer": {"application_id": of.APPLICATION_ID, "by": "sam.support"},
    "ReviewListAnswer": {"reviews": [REVIEW]},
    "ReviewDetailAnswer": {
        **REVIEW,
        "information": {of.REQUEST_ID: {"PROOF_OF_INCOME": "Statements 8, 9 and 10."}},
    },
    "DecidedAnswer": {
        "review_id": of.REVIEW_ID,
        "decision": "approve",
        "status": "approved",
    },
    "AskedAnswer": {
        "review_id": of.REVIEW_ID,
        "request_id": of.REQUEST_ID,
        "due_at": "2026-10-05T13:58:22Z",
    },
    "AssignedAnswer": {"review_id": of.REVIEW_ID, "assignee": "uma.underwriter"},
    **accounts.EXAMPLES,
    **provider_examples.ANSWERS,
    **webhooks.ANSWERS,
    "Ready": {
        "ready": True,
        "degraded": True,
        "database": "up",
        "temporal": "away",
        "cache": "not_configured",
        "missing": ["temporal"],
    },
}
