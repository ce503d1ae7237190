"""The committed ABI and bytecode promise exactly what other code relies on."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_account.messages import SignableMessage, encode_typed_data
from eth_utils.crypto import keccak

CONTRACTS = Path(__file__).resolve().parents[2] / "contracts"

TERMS = "(bytes32,address,address,address,uint256,uint256,uint32,uint32,uint256,uint256)"
ACCEPTANCE = "(bytes32,address,uint256,uint256)"
OFFER = (
    "(address,uint32,uint32,uint8,address,uint64,uint256,address,bytes32,bytes32,uint256,address)"
)
TERMS_TYPE = (
    "LoanTerms(bytes32 loanReference,address lender,address borrower,address token,"
    "uint256 principal,uint256 totalRepayable,uint32 aprBps,uint32 termMonths,"
    "uint256 nonce,uint256 deadline)"
)
ACCEPTANCE_TYPE = "Acceptance(bytes32 termsHash,address borrower,uint256 nonce,uint256 deadline)"

# selector, signature, outputs, mutability
FUNCTIONS = [
    ("3bcdab21", f"settle({TERMS},bytes,{ACCEPTANCE},bytes)", "uint256", "nonpayable"),
    (
        "e11db332",
        "createOffer(address,uint256,uint32,uint32,uint256,address,bytes32,address,uint256)",
        "uint256",
        "nonpayable",
    ),
    ("c815729d", "acceptOffer(uint256)", "", "nonpayable"),
    ("ef706adf", "cancelOffer(uint256)", "", "nonpayable"),
    ("cfdd7aea", "cancelNonce(uint256)", "", "nonpayable"),
    ("8ad14ed0", "setProvider(address,bool)", "", "nonpayable"),
    ("3816a292", "setToken(address,bool)", "", "nonpayable"),
    ("8456cb59", "pause()", "", "nonpayable"),
    ("3f4ba83a", "unpause()", "", "nonpayable"),
    ("f2fde38b", "transferOwnership(address)", "", "nonpayable"),
    ("79ba5097", "acceptOwnership()", "", "nonpayable"),
    ("715018a6", "renounceOwnership()", "", "nonpayable"),
    ("bd07f3c9", "isSettled(bytes32)", "bool", "view"),
    ("171966d7", "offerOf(bytes32)", "uint256", "view"),
    ("8a72ea6a", "offers(uint256)", OFFER, "view"),
    ("bd5fec65", "userOffers(address,uint256)", "uint256", "view"),
    ("1115c24d", "offerCount()", "uint256", "view"),
    ("69dc3ae2", "authorizedProviders(address)", "bool", "view"),
    ("e744092e", "allowedTokens(address)", "bool", "view"),
    ("1647795e", "nonceUsed(address,uint256)", "bool", "view"),
    ("f698da25", "domainSeparator()", "bytes32", "view"),
    ("09c863e8", f"hashTerms({TERMS})", "bytes32", "pure"),
    ("1121a7d1", "referenceOf(string,string)", "bytes32", "pure"),
    ("64c09003", "LOAN_TERMS_TYPEHASH()", "bytes32", "view"),
    ("25e546e9", "ACCEPTANCE_TYPEHASH()", "bytes32", "view"),
    (
        "84b0196e",
        "eip712Domain()",
        "bytes1,string,string,uint256,address,bytes32,uint256[]",
        "view",
    ),
    ("8da5cb5b", "owner()", "address", "view"),
    ("e30c3978", "pendingOwner()", "address", "view"),
    ("5c975abb", "paused()", "bool", "view"),
]

LIMITS, CURVE = "(uint256,uint256,uint32,uint32)", "(uint32,uint32,uint32,uint32)"

# What the product and its tests call of a pool.
POOL_FUNCTIONS = [
    ("isValidSignature(bytes32,bytes)", "bytes4"),
    (f"refusalOf({TERMS})", "uint8"),
    ("nominalRateBps(uint256,uint256)", "uint256"),
    (
        "standing()",
        f"(uint256,address,address,bool,uint256,uint256,uint256,{LIMITS},{CURVE})",
    ),
    ("totalAssets()", "uint256"),
    ("asset()", "address"),
    ("maxWithdraw(address)", "uint256"),
]
# Every way to change anything: ERC-20, ERC-4626, ownership, and the pool's own.
POOL_CHANGES = {
    "approve(address,uint256)",
    "transfer(address,uint256)",
    "transferFrom(address,address,uint256)",
    "deposit(uint256,address)",
    "mint(uint256,address)",
    "withdraw(uint256,address,address)",
    "redeem(uint256,address,address)",
    "transferOwnership(address)",
    "acceptOwnership()",
    "renounceOwnership()",
    "repay(uint256,uint256)",
    "writeOff(uint256)",
    "cancelNonce(uint256)",
    "setUnderwriter(address,bool)",
    f"setLimits({LIMITS})",
    f"setCurve({CURVE})",
    "pause()",
    "unpause()",
}

# first four bytes of topic 0, signature, which inputs are indexed
EVENTS = [
    ("b9fc72ab", "OfferCreated(uint256,address)", "11"),
    ("a7a40af5", "OfferAccepted(uint256,address)", "11"),
    ("1f51377b", "OfferCancelled(uint256,address)", "11"),
    ("6dadaeb5", "Disbursed(bytes32,uint256,address,address,address,uint256)", "111000"),
    ("26ccf990", "NonceCancelled(address,uint256)", "10"),
    ("b537570c", "ProviderSet(address,bool)", "10"),
    ("033b5541", "TokenSet(address,bool)", "10"),
]

# Refusals that other code tells apart.
ERRORS = [
    ("63424e0b", "ReferenceAlreadySettled(bytes32,uint256)"),
    ("e90aded4", "NonceAlreadyUsed(address,uint256)"),
    ("bfb22adf", "DeadlinePassed(uint256)"),
    ("6d2a03cf", "InvalidLenderSignature()"),
    ("02c742a6", "InvalidBorrowerSignature()"),
    ("a978a740", "AcceptanceOfOtherTerms(bytes32,bytes32)"),
    ("06c855db", "BorrowerMismatch(address,address)"),
    ("5420d858", "ProviderNotAuthorized(address)"),
    ("94403b70", "TokenNotAllowed(address)"),
    ("893d870c", "DisbursementMismatch(address,uint256,uint256)"),
    ("b047cbb9", "CollateralNotSupported()"),
    ("fd534bf5", "RepayableBelowPrincipal(uint256,uint256)"),
    ("f55824e4", "InvalidBorrower(address)"),
    ("2cfac27c", "ZeroPrincipal()"),
    ("8785e85b", "ZeroReference()"),
    ("d93c0665", "EnforcedPause()"),
]


def _artefact(name: str) -> dict[str, Any]:
    artefact: dict[str, Any] = json.loads((CONTRACTS / "artifacts" / f"{name}.json").read_text())
    return artefact


def _type(parameter: dict[str, Any]) -> str:
    kind: str = parameter["type"]
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(map(_type, parameter['components']))}){kind.removeprefix('tuple')}"


def _entries(name: str, kind: str) -> dict[str, dict[str, Any]]:
    """The ABI's entries of one kind by canonical signature."""
    return {
        f"{entry['name']}({','.join(map(_type, entry['inputs']))})": entry
        for entry in _artefact(name)["abi"]
        if entry["type"] == kind
    }


@pytest.mark.parametrize(("selector", "signature", "outputs", "mutability"), FUNCTIONS)
def test_function_is_as_promised(
    selector: str, signature: str, outputs: str, mutability: str
) -> None:
    entry = _entries("CreditAggregator", "function")[signature]
    assert ",".join(map(_type, entry["outputs"])) == outputs
    assert entry["stateMutability"] == mutability
    assert keccak(text=signature).hex()[:8] == selector
    assert selector in _artefact("CreditAggregator")["deployedBytecode"], "not dispatched"


def test_there_is_no_other_function() -> None:
    assert set(_entries("CreditAggregator", "function")) == {row[1] for row in FUNCTIONS}


def test_the_pool_has_the_functions_of_its_standards_and_its_own() -> None:
    entries = _entries("CreditPool", "function")
    for signature, outputs in POOL_FUNCTIONS:
        assert ",".join(map(_type, entries[signature]["outputs"])) == outputs, signature
    changing = {
        signature
        for signature, entry in entries.items()
        if entry["stateMutability"] not in ("view", "pure")
    }
    assert changing == POOL_CHANGES


@pytest.mark.parametrize(("topic", "signature", "indexed"), EVENTS)
def test_event_is_as_promised(topic: str, signature: str, indexed: str) -> None:
    entry = _entries("CreditAggregator", "event")[signature]
    assert "".join(str(int(item["indexed"])) for item in entry["inputs"]) == indexed
    assert keccak(text=signature).hex()[:8] == topic
    assert keccak(text=signature).hex() in _artefact("CreditAggregator")["deployedBytecode"]


@pytest.mark.parametrize(("selector", "signature"), ERRORS)
def test_error_is_as_promised(selector: str, signature: str) -> None:
    assert signature in _entries("CreditAggregator", "error")
    assert keccak(text=signature).hex()[:8] == selector


def test_names_of_signed_members_are_as_promised() -> None:
    settle = next(e for e in _artefact("CreditAggregator")["abi"] if e.get("name") == "settle")
    assert [item["name"] for item in settle["inputs"]] == [
        "terms",
        "lenderSignature",
        "acceptance",
        "borrowerSignature",
    ]
    for parameter, struct in (
        (settle["inputs"][0], TERMS_TYPE),
        (settle["inputs"][2], ACCEPTANCE_TYPE),
    ):
        members = ",".join(f"{m['type']} {m['name']}" for m in parameter["components"])
        assert struct.endswith(f"({members})")


@pytest.mark.parametrize("struct", [TERMS_TYPE, ACCEPTANCE_TYPE])
def test_struct_types_are_hashed_as_promised(struct: str) -> None:
    assert keccak(text=struct).hex() in _artefact("CreditAggregator")["deployedBytecode"]


def test_artefacts_are_complete() -> None:
    for name in ("CreditAggregator", "CreditPool", "TestUSD"):
        artefact = _artefact(name)
        assert list(artefact) == [
            "contractName",
            "abi",
            "bytecode",
            "deployedBytecode",
            "compiler",
            "evmVersion",
        ]
        assert artefact["contractName"] == name
        assert artefact["compiler"].startswith("0.8.37+")
        assert artefact["evmVersion"] == "cancun"
        assert re.fullmatch(r"0x(?:[0-9a-f]{2})+", artefact["bytecode"])
        assert re.fullmatch(r"0x(?:[0-9a-f]{2})+", artefact["deployedBytecode"])
        # EIP-170: no chain takes more than 24,576 bytes.
        assert len(artefact["deployedBytecode"]) // 2 - 1 <= 24_576
    assert {"mint(address,uint256)", "decimals()", "transferFrom(address,address,uint256)"} <= set(
        _entries("TestUSD", "function")
    )


def _typed(struct: str, message: dict[str, Any]) -> SignableMessage:
    name, members = struct.rstrip(")").split("(")
    fields = [dict(zip(("type", "name"), m.split(), strict=True)) for m in members.split(",")]
    domain = {
        "name": "CreditAggregator",
        "version": "1",
        "chainId": 31337,
        "verifyingContract": "0x6b182f1488E8EfEb2Eb298155ed5Bd7FF8A14042",
    }
    return encode_typed_data(domain, {name: fields}, message)


def test_literals_of_the_solidity_tests_are_what_eth_account_computes() -> None:
    """The Solidity tests hold the contract to literals; this holds the literals to eth_account."""
    words = ["caas/v1", "acme", "app_01890a5d-ac96-774b-bcce-b302099a8057", "disburse"]
    reference = keccak(encode(["string"] * 4, words))
    terms = _typed(
        TERMS_TYPE,
        {
            "loanReference": reference,
            "lender": "0x" + "11" * 20,
            "borrower": "0x" + "22" * 20,
            "token": "0x" + "33" * 20,
            "principal": 12_500_000_000,
            "totalRepayable": 13_437_500_000,
            "aprBps": 749,
            "termMonths": 24,
            "nonce": 7,
            "deadline": 1_900_000_000,
        },
    )
    acceptance = _typed(
        ACCEPTANCE_TYPE,
        {
            "termsHash": terms.body,
            "borrower": "0x" + "22" * 20,
            "nonce": 9,
            "deadline": 1_900_000_100,
        },
    )
    solidity = (CONTRACTS / "test" / "Views.t.sol").read_text()
    for digest in (reference, terms.header, terms.body, acceptance.body):
        assert f"0x{digest.hex()}" in solidity
