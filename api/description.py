"""What the API's description says of what borrowers sign; the examples are computed, not copied."""

from __future__ import annotations

import json
from typing import Any, Final

from api.deps import (
    acceptance_digest,
    acceptance_typed_data,
    wallet_ownership_digest,
    wallet_ownership_typed_data,
)
from api.schemas import examples as example
from api.versions_changes import VERSIONS
from settings import ChainSettings

_TEXT: Final = """
Embed credit: apply, be verified and scored, choose an offer, and be paid on chain, exactly once.

Writes take an `Idempotency-Key` (missing: 400; in flight: 409; other body: 422; a repetition gets
the same answer, byte for byte). Errors are problem details (RFC 9457) with stable `code`s. Another
tenant's id answers 404 like an absent one. Money is integer minor units, rates are basis points.

## Versions

`/api/v1` changes by dated versions. A client names the one it was written for in the header
`API-Version`, as `API-Version: {newest}`, and is read and answered in its form; without the header
it gets the newest, `{newest}`. The answer names the version it is written in. A version that was
never published is refused (400 `API_VERSION_UNKNOWN`). An answer of an older version says in
`Deprecation` (RFC 9745) since when it is superseded and in `Sunset` (RFC 8594) until when it is
served, a year at least. New operations, and new fields of answers, make no new version: ignore what
you do not know. A repetition under the same key and version is answered with the same bytes.

This document describes the newest. What changed:

{changes}

## What borrowers sign

Two messages of EIP-712, both with the key of the wallet that is to be paid, a plain account. Any
wallet signs the documents below by `eth_signTypedData_v4`. The signature is r, s and v: 65 bytes in
0x hex, s in the lower half of the order, v 27 or 28.

The domain of both is `name` "CreditAggregator", `version` "1", the `chainId` of the chain and, as
`verifyingContract`, the contract that pays; every offer names both as `chain_id` and `aggregator`.
{venue}

The examples are signed with the private key `{private_key}`, which everybody knows: check your code
against them, and never pay its wallet.

### `WalletOwnership`: whoever applies holds the wallet's key

Signed before `POST /api/v1/applications`. `tenant` is the tenant of the access token; `userId` is
the body's `user_id`, or an applicant's own token subject; `wallet` and `issuedAt` (Unix seconds, at
most ten minutes ago) are the body's `wallet.address` and `wallet.issued_at`.

{ownership}

### `Acceptance`: the borrower accepts exactly these terms

Signed before `POST /api/v1/applications/{{application_id}}/accept`. `termsHash` is the offer's
`terms_hash`, `borrower` the application's wallet, `nonce` any number this wallet has not used with
the contract, and `deadline` (Unix seconds, at least five minutes ahead) the last moment at which
the acceptance may be used. All four are sent in the body as well. Whoever checks that the hash is
that of the offer's `terms` hashes `{terms_type}`.

{acceptance}
"""
_EXAMPLE: Final = """```json
{document}
```

The digest is `{digest}`, the signature
`{signature}`."""

# The contract's own type; the offer's `terms` have the same members under snake-case names.
TERMS_TYPE: Final = (
    "LoanTerms(bytes32 loanReference,address lender,address borrower,address token,"
    "uint256 principal,uint256 totalRepayable,uint32 aprBps,uint32 termMonths,uint256 nonce,"
    "uint256 deadline)"
)


def describe(chain: ChainSettings | None) -> str:
    """The description of an API that lends on this chain, in Markdown."""
    domain: Any = {"chain_id": example.CHAIN_ID, "aggregator": example.AGGREGATOR}
    proof = (example.TENANT, example.USER_ID, example.WALLET, example.ISSUED_AT)
    accepted = (example.TERMS_HASH, example.WALLET, example.NONCE, example.DEADLINE)
    return _TEXT.format(
        newest=VERSIONS.newest,
        changes="\n".join(f"- `{each.version}`: {each.about}" for each in VERSIONS.changes),
        venue=_venue(chain),
        private_key=example.PRIVATE_KEY,
        terms_type=TERMS_TYPE,
        ownership=_worked(
            wallet_ownership_typed_data(*proof, **domain),
            wallet_ownership_digest(*proof, **domain),
            example.WALLET_PROOF["signature"],
        ),
        acceptance=_worked(
            acceptance_typed_data(*accepted, **domain),
            acceptance_digest(*accepted, **domain),
            example.ACCEPTANCE["signature"],
        ),
    )


def _venue(chain: ChainSettings | None) -> str:
    if chain is None:
        return "No chain is configured here."
    return f"Here they are `{chain.chain_id}` and `{chain.aggregator}`."


def _worked(document: dict[str, Any], digest: bytes, signature: str) -> str:
    text = json.dumps(document, indent=2)
    return _EXAMPLE.format(document=text, digest="0x" + digest.hex(), signature=signature)
