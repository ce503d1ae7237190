"""EIP-712 hashes and signatures of CreditAggregator: what lenders and borrowers really sign.

Pure and deterministic, and light to import: keccak, libsecp256k1 and 32-byte words. The ABI
libraries would cost half a second at the start of every process that only checks a signature.
Sources: EIP-712; the Solidity ABI specification, "Formal specification of the encoding".

Functions that hash or sign raise `Invalid` for a value that its Solidity type cannot hold;
functions that check what a stranger sent answer False or None and never raise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from eth_hash.auto import keccak

from adapters.chain.signature import (
    address_of,
    checksum,
    is_address,
    recover,
    sign_digest,
    signed_by,
)
from models.domain.errors import Invalid
from models.domain.offer import Acceptance, LoanTerms

__all__ = [
    "acceptance_digest",
    "acceptance_typed_data",
    "address_of",
    "checksum",
    "domain_separator",
    "is_address",
    "loan_reference",
    "recover",
    "sign_acceptance",
    "sign_digest",
    "sign_terms",
    "sign_wallet_ownership",
    "signed_by",
    "terms_digest",
    "terms_hash",
    "terms_message",
    "verify_acceptance",
    "wallet_ownership_digest",
    "wallet_ownership_typed_data",
]

DOMAIN_NAME: Final = "CreditAggregator"
DOMAIN_VERSION: Final = "1"

_DOMAIN_FIELDS: Final = (
    ("string", "name"),
    ("string", "version"),
    ("uint256", "chainId"),
    ("address", "verifyingContract"),
)
_LOAN_TERMS_FIELDS: Final = (
    ("bytes32", "loanReference"),
    ("address", "lender"),
    ("address", "borrower"),
    ("address", "token"),
    ("uint256", "principal"),
    ("uint256", "totalRepayable"),
    ("uint32", "aprBps"),
    ("uint32", "termMonths"),
    ("uint256", "nonce"),
    ("uint256", "deadline"),
)
_ACCEPTANCE_FIELDS: Final = (
    ("bytes32", "termsHash"),
    ("address", "borrower"),
    ("uint256", "nonce"),
    ("uint256", "deadline"),
)
_WALLET_OWNERSHIP_FIELDS: Final = (
    ("string", "tenant"),
    ("string", "userId"),
    ("address", "wallet"),
    ("uint256", "issuedAt"),
)

_Fields = tuple[tuple[str, str], ...]

_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_BYTES32: Final = re.compile(r"0x[0-9a-fA-F]{64}")


def loan_reference(tenant_id: str, application_id: str) -> str:
    """keccak256(abi.encode("caas/v1", tenant, application, "disburse")), 0x hex.

    The one key of a loan in contract, ledger and events: the contract pays under it once, for ever.
    """
    return _hex(keccak(_abi_strings(("caas/v1", tenant_id, application_id, "disburse"))))


# A quote is hashed as it is read, and again by whoever does not take the reader's word for it.
@lru_cache(maxsize=4_096)
def terms_hash(terms: LoanTerms) -> str:
    """The EIP-712 struct hash of the terms, 0x hex; names the terms everywhere."""
    return _hex(_struct_hash("LoanTerms", _LOAN_TERMS_FIELDS, terms_message(terms)))


def terms_message(terms: LoanTerms) -> dict[str, str | int]:
    """The terms under their Solidity names, in Solidity order."""
    return {
        "loanReference": terms.loan_reference,
        "lender": terms.lender,
        "borrower": terms.borrower,
        "token": terms.token,
        "principal": terms.principal,
        "totalRepayable": terms.total_repayable,
        "aprBps": terms.apr_bps,
        "termMonths": terms.term_months,
        "nonce": terms.nonce,
        "deadline": terms.deadline,
    }


@lru_cache(maxsize=64)
def domain_separator(chain_id: int, aggregator: str) -> bytes:
    """The 32 bytes that bind a signature to this chain and this contract."""
    return _struct_hash("EIP712Domain", _DOMAIN_FIELDS, _domain(chain_id, aggregator))


def terms_digest(terms: LoanTerms, chain_id: int, aggregator: str) -> bytes:
    """The 32 bytes a lender signs."""
    message = terms_message(terms)
    return _digest("LoanTerms", _LOAN_TERMS_FIELDS, message, chain_id, aggregator)


def acceptance_digest(
    terms_hash: str, borrower: str, nonce: int, deadline: int, *, chain_id: int, aggregator: str
) -> bytes:
    """The 32 bytes a borrower signs to accept the terms with this hash."""
    message = _acceptance_message(terms_hash, borrower, nonce, deadline)
    return _digest("Acceptance", _ACCEPTANCE_FIELDS, message, chain_id, aggregator)


def wallet_ownership_digest(
    tenant: str, user_id: str, wallet: str, issued_at: int, *, chain_id: int, aggregator: str
) -> bytes:
    """The 32 bytes an applicant signs to prove that the wallet is theirs; Unix seconds."""
    message = _ownership_message(tenant, user_id, wallet, issued_at)
    return _digest("WalletOwnership", _WALLET_OWNERSHIP_FIELDS, message, chain_id, aggregator)


def sign_terms(terms: LoanTerms, chain_id: int, aggregator: str, private_key: str) -> str:
    """The lender's signature over exactly these terms."""
    return sign_digest(terms_digest(terms, chain_id, aggregator), private_key)


def sign_acceptance(
    terms_hash: str,
    borrower: str,
    nonce: int,
    deadline: int,
    *,
    chain_id: int,
    aggregator: str,
    private_key: str,
) -> str:
    """The borrower's signature by which the terms with this hash are accepted."""
    digest = acceptance_digest(
        terms_hash, borrower, nonce, deadline, chain_id=chain_id, aggregator=aggregator
    )
    return sign_digest(digest, private_key)


def sign_wallet_ownership(
    tenant: str,
    user_id: str,
    wallet: str,
    issued_at: int,
    *,
    chain_id: int,
    aggregator: str,
    private_key: str,
) -> str:
    """The applicant's proof that the wallet is theirs."""
    digest = wallet_ownership_digest(
        tenant, user_id, wallet, issued_at, chain_id=chain_id, aggregator=aggregator
    )
    return sign_digest(digest, private_key)


def verify_acceptance(
    chain_id: int, aggregator: str, borrower: str, acceptance: Acceptance
) -> bool:
    """Whether the borrower signed this acceptance for this contract. Pure; never raises.

    Deterministic, so a workflow's update validator may call it.
    """
    if acceptance.borrower != borrower:
        return False
    try:
        digest = acceptance_digest(
            acceptance.terms_hash,
            acceptance.borrower,
            acceptance.nonce,
            acceptance.deadline,
            chain_id=chain_id,
            aggregator=aggregator,
        )
    except Invalid:
        return False
    return signed_by(digest, acceptance.signature, borrower)


def acceptance_typed_data(
    terms_hash: str, borrower: str, nonce: int, deadline: int, *, chain_id: int, aggregator: str
) -> dict[str, Any]:
    """The eth_signTypedData_v4 document of an acceptance, ready for any wallet."""
    message = _acceptance_message(terms_hash, borrower, nonce, deadline)
    return _typed_data("Acceptance", _ACCEPTANCE_FIELDS, message, chain_id, aggregator)


def wallet_ownership_typed_data(
    tenant: str, user_id: str, wallet: str, issued_at: int, *, chain_id: int, aggregator: str
) -> dict[str, Any]:
    """The eth_signTypedData_v4 document of a wallet ownership proof."""
    message = _ownership_message(tenant, user_id, wallet, issued_at)
    return _typed_data("WalletOwnership", _WALLET_OWNERSHIP_FIELDS, message, chain_id, aggregator)


def _typed_data(
    name: str, fields: _Fields, message: Mapping[str, str | int], chain_id: int, aggregator: str
) -> dict[str, Any]:
    """A document a wallet signs; integers are texts, because JavaScript's lose digits at 2^53."""
    _digest(name, fields, message, chain_id, aggregator)  # refuses what a wallet could not encode
    return {
        "types": {
            "EIP712Domain": [{"name": n, "type": t} for t, n in _DOMAIN_FIELDS],
            name: [{"name": n, "type": t} for t, n in fields],
        },
        "primaryType": name,
        "domain": dict(_domain(chain_id, aggregator)),
        "message": {n: str(message[n]) if t.startswith("uint") else message[n] for t, n in fields},
    }


def _domain(chain_id: int, aggregator: str) -> dict[str, str | int]:
    return {
        "name": DOMAIN_NAME,
        "version": DOMAIN_VERSION,
        "chainId": chain_id,
        "verifyingContract": aggregator,
    }


def _acceptance_message(
    terms_hash: str, borrower: str, nonce: int, deadline: int
) -> dict[str, str | int]:
    return {"termsHash": terms_hash, "borrower": borrower, "nonce": nonce, "deadline": deadline}


def _ownership_message(
    tenant: str, user_id: str, wallet: str, issued_at: int
) -> dict[str, str | int]:
    return {"tenant": tenant, "userId": user_id, "wallet": wallet, "issuedAt": issued_at}


def _digest(
    name: str, fields: _Fields, message: Mapping[str, str | int], chain_id: int, aggregator: str
) -> bytes:
    separator = domain_separator(chain_id, aggregator)
    return keccak(b"\x19\x01" + separator + _struct_hash(name, fields, message))


def _struct_hash(name: str, fields: _Fields, message: Mapping[str, str | int]) -> bytes:
    words = (_word(solidity, field, message[field]) for solidity, field in fields)
    return keccak(_type_hash(name, fields) + b"".join(words))


@lru_cache(maxsize=8)
def _type_hash(name: str, fields: _Fields) -> bytes:
    members = ",".join(f"{solidity} {field}" for solidity, field in fields)
    return keccak(f"{name}({members})".encode("ascii"))


def _word(solidity: str, field: str, value: str | int) -> bytes:
    """One member as the 32 bytes of EIP-712's encodeData."""
    match solidity:
        case "string":
            return keccak(_utf8(value, field))
        case "address" if isinstance(value, str) and _ADDRESS.fullmatch(value):
            return bytes(12) + bytes.fromhex(value[2:])
        case "bytes32" if isinstance(value, str) and _BYTES32.fullmatch(value):
            return bytes.fromhex(value[2:])
        case "uint256" | "uint32" if type(value) is int and 0 <= value < 1 << int(solidity[4:]):
            return value.to_bytes(32, "big")
    raise Invalid("VALUE_NOT_ENCODABLE", f"{field} is not a {solidity}")


def _abi_strings(texts: Sequence[str]) -> bytes:
    """abi.encode of strings: their offsets, then each as its length and zero-padded bytes."""
    heads, tails = b"", b""
    for text in texts:
        encoded = _utf8(text, "text")
        heads += (32 * len(texts) + len(tails)).to_bytes(32, "big")
        tails += len(encoded).to_bytes(32, "big") + encoded + bytes(-len(encoded) % 32)
    return heads + tails


def _utf8(value: object, field: str) -> bytes:
    try:
        if isinstance(value, str):
            return value.encode("utf-8")
    except UnicodeEncodeError:  # half a surrogate pair: no other implementation could encode it
        pass
    raise Invalid("VALUE_NOT_ENCODABLE", f"{field} is not a string")


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()
