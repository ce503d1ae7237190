"""A borrower with a key, who asks lenders for the same loan and signs what they offer."""

from __future__ import annotations

import time
from typing import Any

from adapters.chain.eip712 import address_of, sign_acceptance
from models.domain.offer import Acceptance, Quote, QuoteRequest, SettlementVenue

LENDER_KEY = "0x" + "2b" * 32
BORROWER_KEY = "0x" + "3c" * 32
LENDER, BORROWER = address_of(LENDER_KEY), address_of(BORROWER_KEY)
TOKEN = "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB"
AGGREGATOR = "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb"

REQUEST = QuoteRequest(
    tenant_id="acme",
    application_id="app_1",
    loan_reference="0x" + "ab" * 32,
    borrower=BORROWER,
    amount_minor=1_500_000,
    currency="USD",
    term_months=36,
    jurisdiction="US",
    score=720,
    pd=0.0125,
    venue=SettlementVenue(31337, AGGREGATOR, TOKEN, 6),
)


def accepted(quote: Quote, venue: SettlementVenue = REQUEST.venue, **changes: Any) -> Acceptance:
    """The borrower's acceptance, signed over what `changes` make of it."""
    fields = {
        "terms_hash": quote.terms_hash,
        "borrower": BORROWER,
        "nonce": 7,
        "deadline": int(time.time()) + 600,
        "key": BORROWER_KEY,
        **changes,
    }
    key = fields.pop("key")
    signature = sign_acceptance(
        **fields, chain_id=venue.chain_id, aggregator=venue.aggregator, private_key=key
    )
    return Acceptance(**fields, signature=signature)
