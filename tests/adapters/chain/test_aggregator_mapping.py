"""What nodes and contracts say, in their own words, and what it means for us."""

from __future__ import annotations

import json

import pytest
from eth_abi.abi import decode, encode

from adapters.chain import aggregator_mapping as mapping
from adapters.chain.aggregator_mapping import Refusal
from adapters.chain.rpc import RPCError
from models.domain.errors import Invalid, Permanent, Transient
from models.domain.offer import Acceptance, LoanTerms

GWEI = 10**9
ADDRESS = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
SHORT = (ADDRESS, 1, 2)


def revert(signature: str, *values: object) -> str:
    types = signature[signature.index("(") + 1 : -1]
    data = encode(types.split(",") if types else [], values)
    return "0x" + (mapping.selector(signature) + data).hex()


@pytest.mark.parametrize(
    ("number", "message", "data", "expected"),
    [
        (3, "execution reverted", revert("InvalidLenderSignature()"), "InvalidLenderSignature"),
        (
            3,
            "execution reverted: custom error 0x…",
            revert("ReferenceAlreadySettled(bytes32,uint256)", bytes(32), 1),
            "ReferenceAlreadySettled",
        ),
        (
            -32015,
            "VM execution error.",
            "Reverted " + revert("ERC20InsufficientAllowance(address,uint256,uint256)", *SHORT),
            "ERC20InsufficientAllowance",
        ),
        (-32000, "execution reverted", {"data": revert("DeadlinePassed(uint256)", 5)},
         "DeadlinePassed"),
        (3, "execution reverted: too bad", revert("Error(string)", "too bad"), "Error: too bad"),
        (3, "execution reverted", revert("Panic(uint256)", 17), "Panic: 17"),
        (3, "execution reverted", "0x08c379a0", "Error"),
        (3, "execution reverted", "0xdeadbeef", "0xdeadbeef"),
        (3, "execution reverted", "0x", "no reason given"),
        (3, "execution reverted", None, "no reason given"),
        (3, "execution reverted", "0xzz", "no reason given"),
        (3, "execution reverted", ["0x"], "no reason given"),
    ],
)  # fmt: skip
def test_a_revert_is_permanent_and_named(
    number: int, message: str, data: object, expected: str
) -> None:
    refusal = mapping.revert_of(RPCError(number, message, data))
    assert isinstance(refusal, Permanent)
    assert (refusal.code, refusal.detail) == ("SETTLE_REVERTED", expected)


def test_a_paused_contract_is_waited_for() -> None:
    paused = mapping.revert_of(RPCError(3, "execution reverted", revert("EnforcedPause()")))
    assert isinstance(paused, Transient)
    assert paused.code == "SETTLEMENT_PAUSED"


@pytest.mark.parametrize(
    "refused",
    [
        RPCError(-32005, "limit exceeded", {"see": "0x"}),
        RPCError(-32603, "internal error", "0xdeadbeef"),
        RPCError(-32000, "header not found"),
    ],
)
def test_a_failing_node_is_not_a_refusing_contract(refused: RPCError) -> None:
    assert mapping.revert_of(refused) is None
    with pytest.raises(RPCError):
        mapping.answered_word(refused)


def test_a_call_without_end_is_permanent() -> None:
    refusal = mapping.revert_of(RPCError(-32000, "gas required exceeds allowance (30000000)"))
    assert refusal is not None
    assert refusal.code == "SETTLE_TOO_EXPENSIVE"


@pytest.mark.parametrize(
    ("message", "meant"),
    [
        ("already known", Refusal.ALREADY_KNOWN),
        ("transaction already imported", Refusal.ALREADY_KNOWN),
        ("Known transaction", Refusal.ALREADY_KNOWN),
        ("nonce too low: next nonce 5, tx nonce 4", Refusal.NONCE_TOO_LOW),
        ("OldNonce, Current nonce: 5, nonce of rejected tx: 4", Refusal.NONCE_TOO_LOW),
        ("insufficient funds for gas * price + value", Refusal.OUT_OF_GAS_MONEY),
        ("Insufficient funds for gas * price + value", Refusal.OUT_OF_GAS_MONEY),
        ("replacement transaction underpriced", Refusal.UNDERPRICED),
        ("max fee per gas less than block base fee: address 0x…", Refusal.UNDERPRICED),
        ("nonce too high", Refusal.OTHER),
        ("", Refusal.OTHER),
    ],
)
def test_nodes_refuse_in_words_of_their_own(message: str, meant: Refusal) -> None:
    assert mapping.refusal_of(RPCError(-32000, message)) is meant


@pytest.mark.parametrize(
    ("base_wei", "rewards_wei", "cap_wei", "expected"),
    [
        # Twice the next base fee and the median tip.
        (10 * GWEI, [GWEI, 2 * GWEI, 3 * GWEI], 200 * GWEI, (22 * GWEI, 2 * GWEI)),
        # Empty blocks pay nothing and say nothing.
        (10 * GWEI, [0, 0, 2 * GWEI], 200 * GWEI, (22 * GWEI, 2 * GWEI)),
        (7, [0, 0], 200 * GWEI, (1_000_014, 1_000_000)),
        (7, [], 200 * GWEI, (1_000_014, 1_000_000)),
        # Tips of people in a hurry do not bind us.
        (10 * GWEI, [90 * GWEI], 200 * GWEI, (23 * GWEI, 3 * GWEI)),
        # The cap binds the maximum, not the decision to send.
        (150 * GWEI, [GWEI], 200 * GWEI, (200 * GWEI, GWEI)),
        (199 * GWEI, [GWEI], 200 * GWEI, (200 * GWEI, GWEI)),
    ],
)
def test_fees(
    base_wei: int, rewards_wei: list[int], cap_wei: int, expected: tuple[int, int]
) -> None:
    history = {
        "baseFeePerGas": ["0x1", hex(base_wei)],
        "reward": [[hex(reward)] for reward in rewards_wei],
    }
    assert mapping.fees(history, cap_wei) == expected


def test_a_chain_above_the_cap_is_waited_for() -> None:
    history = {"baseFeePerGas": [hex(200 * GWEI)], "reward": [[hex(GWEI)]]}
    with pytest.raises(Transient) as dear:
        mapping.fees(history, 200 * GWEI)
    assert dear.value.code == "GAS_PRICE_ABOVE_CAP"


@pytest.mark.parametrize(
    "history",
    [None, [], {}, {"baseFeePerGas": []}, {"baseFeePerGas": ["x"]}, {"baseFeePerGas": [None]},
     {"baseFeePerGas": ["0x1"], "reward": [[]]}],
)  # fmt: skip
def test_a_malformed_fee_history_is_transient(history: object) -> None:
    with pytest.raises(Transient, match="CHAIN_ANSWER_MALFORMED"):
        mapping.fees(history, GWEI)


@pytest.mark.parametrize("value", [None, 7, "", "0x", "7", "0xg", "0x" + "1" * 65, "0x_1", "0x-1"])
def test_what_is_no_quantity_is_malformed(value: object) -> None:
    with pytest.raises(Transient, match="CHAIN_ANSWER_MALFORMED"):
        mapping.quantity(value)


RECEIPT = {
    "transactionHash": "0x" + "aa" * 32,
    "blockNumber": "0x10",
    "blockHash": "0x" + "bb" * 32,
    "status": "0x1",
    "gasUsed": "0x5208",
}


@pytest.mark.parametrize(("head", "confirmations"), [(16, 1), (17, 2), (18, 3), (15, 1)])
def test_depth_counts_the_block_itself(head: int, confirmations: int) -> None:
    seen = mapping.receipt(RECEIPT["transactionHash"], RECEIPT)
    assert mapping.at_depth(seen, head).confirmations == confirmations


def test_a_reverted_transaction_did_not_succeed() -> None:
    assert mapping.receipt(RECEIPT["transactionHash"], RECEIPT).succeeded
    failed = mapping.receipt(RECEIPT["transactionHash"], {**RECEIPT, "status": "0x0"})
    assert not failed.succeeded


@pytest.mark.parametrize(
    "changes",
    [
        {"transactionHash": "0x" + "cc" * 32},
        {"status": None},
        {"status": "0x2"},
        {"blockHash": None},
        {"blockNumber": None},
        {"gasUsed": 21_000},
    ],
)
def test_a_malformed_receipt_is_transient(changes: dict[str, object]) -> None:
    with pytest.raises(Transient, match="CHAIN_ANSWER_MALFORMED"):
        mapping.receipt(RECEIPT["transactionHash"], {**RECEIPT, **changes})


TERMS = LoanTerms("0x" + "ab" * 32, ADDRESS, ADDRESS, ADDRESS, 10, 11, 999, 12, 1, 2)
ACCEPTANCE = Acceptance("0x" + "cd" * 32, ADDRESS, 3, 4, "0x" + "ef" * 65)


def test_settle_is_called_as_the_artefact_declares_it() -> None:
    artefact = json.loads((mapping.ARTIFACTS / "CreditAggregator.json").read_text("utf-8"))
    settle = next(entry for entry in artefact["abi"] if entry.get("name") == "settle")
    types = [
        "(" + ",".join(member["type"] for member in field["components"]) + ")"
        if field["type"] == "tuple"
        else field["type"]
        for field in settle["inputs"]
    ]
    calldata = bytes.fromhex(mapping.settle_calldata(TERMS, "0x1234", ACCEPTANCE)[2:])

    assert calldata[:4] == mapping.selector(f"settle({','.join(types)})")
    terms, lender_signature, acceptance, borrower_signature = decode(types, calldata[4:])
    address = ADDRESS.lower()
    assert terms == (b"\xab" * 32, address, address, address, 10, 11, 999, 12, 1, 2)
    assert lender_signature == b"\x12\x34"
    assert acceptance == (b"\xcd" * 32, address, 3, 4)
    assert borrower_signature == b"\xef" * 65


def test_what_settle_cannot_hold_is_refused() -> None:
    for signature in ("0xzz", "0x123"):
        with pytest.raises(Invalid, match="VALUE_NOT_ENCODABLE"):
            mapping.settle_calldata(TERMS, signature, ACCEPTANCE)
