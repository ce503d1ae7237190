"""The worked examples of the API's description: one borrower who proves a wallet and accepts.

Everything is signed with the private key 1, which everybody knows; tests sign it again.
"""

from __future__ import annotations

from typing import Any, Final

PRIVATE_KEY: Final = "0x" + "0" * 63 + "1"
TENANT: Final = "acme"
USER_ID: Final = "customer-7"
WALLET: Final = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"
CHAIN_ID: Final = 31337
AGGREGATOR: Final = "0x" + "44" * 20
TERMS_HASH: Final = "0x" + "c0ffee00" * 8
NONCE: Final = 271_828_182_845_904_523_536
ISSUED_AT: Final = 1_790_000_000
DEADLINE: Final = 1_790_003_600

APPLICATION_ID: Final = "app_01990000000070008000000000000001"
OFFER_ID: Final = "off_01990000000070008000000000000002"
SEARCH_ID: Final = "srch_01990000000070008000000000000007"
REVIEW_ID: Final = "rev_01990000000070008000000000000003"
REQUEST_ID: Final = "inf_01990000000070008000000000000005"

WALLET_PROOF: Final[dict[str, Any]] = {
    "address": WALLET,
    "issued_at": ISSUED_AT,
    "signature": "0x1aa439751255c8155935d2eb82ffefd69c70560f3fe9680850ea541726806114"
    "2366d323e760f3eec6e9185ddf8db14bbeebe7d806a19d1bd088ca3083bbdb901c",
}
APPLICATION: Final[dict[str, Any]] = {
    "user_id": USER_ID,
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
    "wallet": WALLET_PROOF,
}
ACCEPTANCE: Final[dict[str, Any]] = {
    "offer_id": OFFER_ID,
    "terms_hash": TERMS_HASH,
    "borrower": WALLET,
    "nonce": str(NONCE),
    "deadline": DEADLINE,
    "signature": "0xc5d09fe07cc0655c547bb6bec90b777224b8d8ececfb0c21b20aab103e98c267"
    "56dcd424aa5ec915766ac14dcb1d0e412a91c3e553c54c985a324bd4940689441b",
}
SIGNED_ACCEPTANCE: Final[dict[str, Any]] = {
    name: value for name, value in ACCEPTANCE.items() if name != "offer_id"
}
REJECTION: Final[dict[str, Any]] = {"reason": "too_expensive"}
SEARCH: Final[dict[str, Any]] = {
    "criteria": {
        "amount_minor": 500_000,
        "currency": "USD",
        "term_months": 36,
        "jurisdiction": "US",
        "wallet": WALLET,
    },
    "ranking": "total_cost",
}
SEARCH_OF_APPLICATION: Final[dict[str, Any]] = {
    "application_id": APPLICATION_ID,
    "ranking": "monthly_payment",
}
DECISION: Final[dict[str, Any]] = {
    "decision": "approve",
    "reason": "Employment confirmed by the employer; income covers the instalments.",
}
WITHDRAWAL: Final[dict[str, Any]] = {"reason": "I have found another offer."}
QUESTION: Final[dict[str, Any]] = {
    "items": ["PROOF_OF_INCOME"],
    "message": "Please send the salary statements of the last three months.",
}
INFORMATION: Final[dict[str, Any]] = {
    "request_id": REQUEST_ID,
    "answers": [{"item": "PROOF_OF_INCOME", "text": "Statements 8, 9 and 10 are in your inbox."}],
    "document": None,
}
ASSIGNMENT: Final[dict[str, Any]] = {
    "assignee": "uma.underwriter",
    "reason": "She knows the employer.",
}
HAND_OVER: Final[dict[str, Any]] = {"how": "Registered letter, posted on 2026-11-20."}
PAYLOADS: Final[dict[str, Any]] = {
    "payloads": [{"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "ImhlbGxvIg=="}]
}

# A vendor's callback, and the headers that sign exactly these bytes under this secret.
CALLBACK: Final[dict[str, Any]] = {
    "event_id": "evt-1",
    "type": "check.completed",
    "check_id": "chk-1",
    "reference": "acme:ver_01990000000070008000000000000004",
    "verdict": "clear",
}
CALLBACK_SECRET: Final = "whsec_YW4gZXhhbXBsZSwgbmV2ZXIgYSBzZWNyZXQ="  # noqa: S105 - an example
CALLBACK_HEADERS: Final = {
    "webhook-id": "msg-1",
    "webhook-timestamp": "1790000000",
    "webhook-signature": "v1,c5TZzv9v9i0u0GmL4ic+t1GjYGw1rEnWBnBLIkWovn4=",
}
