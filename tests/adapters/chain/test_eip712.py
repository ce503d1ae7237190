"""Hashes and signatures against eth_account and eth_abi, which know nothing of ours."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from eth_abi.abi import encode
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from adapters.chain import eip712
from models.domain.errors import Invalid
from models.domain.offer import Acceptance, LoanTerms

ROOT = Path(__file__).parents[3]
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
KEY = "0x" + "11" * 32
SIGNER = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
AGGREGATOR = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
DIGEST = keccak(b"any message")

uint256 = st.integers(0, 2**256 - 1)
uint32 = st.integers(0, 2**32 - 1)
addresses = st.binary(min_size=20, max_size=20).map(lambda raw: eip712.checksum("0x" + raw.hex()))
bytes32 = st.binary(min_size=32, max_size=32).map(lambda raw: "0x" + raw.hex())
private_keys = st.integers(1, ORDER - 1).map(lambda number: f"0x{number:064x}")
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=100)
loan_terms = st.builds(
    LoanTerms,
    loan_reference=bytes32,
    lender=addresses,
    borrower=addresses,
    token=addresses,
    principal=uint256,
    total_repayable=uint256,
    apr_bps=uint32,
    term_months=uint32,
    nonce=uint256,
    deadline=uint256,
)
TERMS = LoanTerms("0x" + "ab" * 32, SIGNER, SIGNER, AGGREGATOR, 10**9, 11 * 10**8, 999, 12, 1, 2)

LOAN_TERMS_TYPE = [
    {"name": "loanReference", "type": "bytes32"},
    {"name": "lender", "type": "address"},
    {"name": "borrower", "type": "address"},
    {"name": "token", "type": "address"},
    {"name": "principal", "type": "uint256"},
    {"name": "totalRepayable", "type": "uint256"},
    {"name": "aprBps", "type": "uint32"},
    {"name": "termMonths", "type": "uint32"},
    {"name": "nonce", "type": "uint256"},
    {"name": "deadline", "type": "uint256"},
]


def signed_elsewhere(document: dict[str, object], key: str) -> str:
    signature = Account.sign_message(encode_typed_data(full_message=document), key).signature
    return "0x" + bytes(signature).hex()


@given(loan_terms, uint256, addresses, private_keys)
def test_terms_are_hashed_and_signed_as_eth_account_does(
    terms: LoanTerms, chain_id: int, aggregator: str, key: str
) -> None:
    domain = {
        "name": "CreditAggregator",
        "version": "1",
        "chainId": chain_id,
        "verifyingContract": aggregator,
    }
    values = (
        terms.loan_reference,
        terms.lender,
        terms.borrower,
        terms.token,
        terms.principal,
        terms.total_repayable,
        terms.apr_bps,
        terms.term_months,
        terms.nonce,
        terms.deadline,
    )
    message = dict(zip((field["name"] for field in LOAN_TERMS_TYPE), values, strict=True))
    theirs = encode_typed_data(domain, {"LoanTerms": LOAN_TERMS_TYPE}, message)

    assert bytes.fromhex(eip712.terms_hash(terms)[2:]) == theirs.body
    assert eip712.domain_separator(chain_id, aggregator) == theirs.header
    signature = eip712.sign_terms(terms, chain_id, aggregator, key)
    assert signature == "0x" + bytes(Account.sign_message(theirs, key).signature).hex()
    digest = eip712.terms_digest(terms, chain_id, aggregator)
    assert eip712.recover(digest, signature) == Account.from_key(key).address


@given(bytes32, uint256, uint256, uint256, addresses, private_keys)
def test_what_a_wallet_signs_for_an_acceptance_is_accepted(
    terms_hash: str, nonce: int, deadline: int, chain_id: int, aggregator: str, key: str
) -> None:
    borrower = eip712.address_of(key)
    venue = {"chain_id": chain_id, "aggregator": aggregator}
    document = eip712.acceptance_typed_data(terms_hash, borrower, nonce, deadline, **venue)
    signature = signed_elsewhere(document, key)
    acceptance = Acceptance(terms_hash, borrower, nonce, deadline, signature)

    assert eip712.verify_acceptance(chain_id, aggregator, borrower, acceptance)
    ours = eip712.sign_acceptance(terms_hash, borrower, nonce, deadline, private_key=key, **venue)
    assert ours == signature


@given(texts, texts, uint256, uint256, private_keys)
def test_what_a_wallet_signs_for_its_ownership_is_accepted(
    tenant: str, user_id: str, issued_at: int, chain_id: int, key: str
) -> None:
    owner = eip712.address_of(key)
    venue = {"chain_id": chain_id, "aggregator": AGGREGATOR}
    document = eip712.wallet_ownership_typed_data(tenant, user_id, owner, issued_at, **venue)
    signature = signed_elsewhere(document, key)

    digest = eip712.wallet_ownership_digest(tenant, user_id, owner, issued_at, **venue)
    assert eip712.signed_by(digest, signature, owner)
    ours = eip712.sign_wallet_ownership(tenant, user_id, owner, issued_at, private_key=key, **venue)
    assert ours == signature


def test_a_wallet_is_shown_integers_as_texts() -> None:
    document = eip712.acceptance_typed_data(
        "0x" + "cd" * 32, SIGNER, 2**60 + 1, 5, chain_id=1, aggregator=AGGREGATOR
    )
    assert document["primaryType"] == "Acceptance"
    assert document["message"] == {
        "termsHash": "0x" + "cd" * 32,
        "borrower": SIGNER,
        "nonce": "1152921504606846977",
        "deadline": "5",
    }
    assert document["domain"]["chainId"] == 1


@given(texts, texts)
def test_the_loan_reference_is_the_abi_encoding_hashed(tenant: str, application: str) -> None:
    encoded = encode(["string"] * 4, ["caas/v1", tenant, application, "disburse"])
    assert eip712.loan_reference(tenant, application) == "0x" + keccak(encoded).hex()


def test_the_loan_reference_tells_neighbouring_texts_apart() -> None:
    assert eip712.loan_reference("a", "bc") != eip712.loan_reference("ab", "c")


GOOD = eip712.sign_digest(DIGEST, KEY)
R, S, V = GOOD[2:66], int(GOOD[66:130], 16), GOOD[130:]


@pytest.mark.parametrize(
    ("why", "signature"),
    [
        ("high s, the same signature in its second form",
         f"0x{R}{ORDER - S:064x}{'1b' if V == '1c' else '1c'}"),
        ("v as 0 or 1", f"0x{R}{S:064x}{int(V, 16) - 27:02x}"),
        ("v of EIP-155", f"0x{R}{S:064x}{int(V, 16) + 10:02x}"),
        ("64 bytes (EIP-2098)", GOOD[:130]),
        ("66 bytes", GOOD + "00"),
        ("no prefix", GOOD[2:]),
        ("upper-case prefix", "0X" + GOOD[2:]),
        ("a newline behind", GOOD + "\n"),
        ("empty", ""),
        ("not hex", "0x" + "zz" * 65),
        ("non-ASCII digits", "0x" + "١" * 130),
        ("all zero", "0x" + "00" * 64 + "1b"),
        ("r beyond the order", "0x" + "ff" * 32 + GOOD[66:]),
        ("s of zero", f"0x{R}{0:064x}{V}"),
        ("no text", None),
        ("bytes", bytes.fromhex(GOOD[2:])),
    ],
)  # fmt: skip
def test_signatures_in_any_other_form_are_refused(why: str, signature: object) -> None:
    assert eip712.recover(DIGEST, signature) is None, why
    assert not eip712.signed_by(DIGEST, signature, SIGNER), why


def test_the_canonical_signature_is_recovered() -> None:
    assert eip712.recover(DIGEST, GOOD) == SIGNER
    assert eip712.signed_by(DIGEST, GOOD, SIGNER)
    assert not eip712.signed_by(DIGEST, GOOD, SIGNER.lower())
    assert not eip712.signed_by(keccak(b"another message"), GOOD, SIGNER)


@given(st.binary(max_size=40), st.binary(min_size=65, max_size=65) | st.binary(max_size=80))
def test_garbage_never_raises(digest: bytes, raw: bytes) -> None:
    signer = eip712.recover(digest, "0x" + raw.hex())
    assert signer is None or eip712.is_address(signer)


@given(st.text(max_size=140))
def test_garbage_texts_never_raise(signature: str) -> None:
    assert eip712.recover(DIGEST, signature) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"signature": "0x"},
        {"signature": "0x" + "00" * 65},
        {"terms_hash": "0x" + "cd" * 31},
        {"terms_hash": "0x" + "ce" * 32},
        {"nonce": 8},
        {"nonce": -1},
        {"nonce": 2**256},
        {"nonce": 1.5},
        {"deadline": 6},
        {"borrower": AGGREGATOR},
        {"borrower": SIGNER.lower()},
    ],
)
def test_any_other_acceptance_than_the_signed_one_is_refused(changes: dict[str, object]) -> None:
    venue = {"chain_id": 5, "aggregator": AGGREGATOR}
    terms_hash = "0x" + "cd" * 32
    signature = eip712.sign_acceptance(terms_hash, SIGNER, 7, 5, private_key=KEY, **venue)
    acceptance = Acceptance(terms_hash, SIGNER, 7, 5, signature)

    assert eip712.verify_acceptance(5, AGGREGATOR, SIGNER, acceptance)
    assert not eip712.verify_acceptance(5, AGGREGATOR, SIGNER, replace(acceptance, **changes))
    assert not eip712.verify_acceptance(6, AGGREGATOR, SIGNER, acceptance)
    assert not eip712.verify_acceptance(5, SIGNER, SIGNER, acceptance)
    assert not eip712.verify_acceptance(-5, AGGREGATOR, SIGNER, acceptance)


@pytest.mark.parametrize(
    "changes",
    [
        {"principal": -1},
        {"principal": 2**256},
        {"principal": True},
        {"principal": 1.0},
        {"apr_bps": 2**32},
        {"term_months": -1},
        {"lender": "0x1234"},
        {"borrower": None},
        {"token": "0x" + "١" * 40},
        {"loan_reference": "0x" + "ab" * 33},
    ],
)
def test_terms_that_solidity_cannot_hold_are_not_hashed(changes: dict[str, object]) -> None:
    with pytest.raises(Invalid, match="VALUE_NOT_ENCODABLE"):
        eip712.terms_hash(replace(TERMS, **changes))


def test_half_a_character_is_not_hashed() -> None:
    with pytest.raises(Invalid, match="VALUE_NOT_ENCODABLE"):
        eip712.loan_reference("tenant", "\ud800")


@given(st.binary(min_size=20, max_size=20))
def test_addresses_are_checksummed_as_eth_utils_does(raw: bytes) -> None:
    from eth_utils import to_checksum_address  # noqa: PLC0415

    text = "0x" + raw.hex()
    assert eip712.checksum(text) == to_checksum_address(text)
    assert eip712.checksum("0x" + text[2:].upper()) == to_checksum_address(text)
    assert eip712.is_address(eip712.checksum(text))
    assert eip712.is_address(text) == (text == to_checksum_address(text))


@pytest.mark.parametrize("text", ["", "0x", "0x" + "g" * 40, "0x" + "a" * 41, "a" * 42, None, 7])
def test_what_is_no_address_is_refused(text: object) -> None:
    assert not eip712.is_address(text)
    with pytest.raises(Invalid, match="ADDRESS_MALFORMED"):
        eip712.checksum(text)


@pytest.mark.parametrize(
    "key", ["", "0x", "0x1234", "0x" + "00" * 32, f"0x{ORDER:064x}", "5ec4e7" * 12, "zz"]
)
def test_an_unusable_key_is_refused_without_being_quoted(key: str) -> None:
    with pytest.raises(Invalid) as refused:
        eip712.address_of(key)
    assert str(refused.value) == "PRIVATE_KEY_UNUSABLE"
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None


def test_checking_signatures_does_not_load_the_chain_libraries() -> None:
    program = (
        "import sys, adapters.chain.eip712;"
        "print([m for m in ('web3', 'eth_abi', 'eth_utils', 'pydantic', 'aiohttp')"
        " if m in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"
