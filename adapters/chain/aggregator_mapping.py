"""CreditAggregator in the node's terms: calldata, reverts, fees, refusals and receipts. Pure.

Sources: contracts/artifacts/CreditAggregator.json (custom errors), ERC-6093 (the token's errors),
ERC-1271 (contracts that sign),
Solidity's Error(string) and Panic(uint256), EIP-1559 (fees), the Ethereum JSON-RPC specification.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from statistics import median_high
from typing import Any, Final

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError, EncodingError
from eth_hash.auto import keccak

from adapters.chain.rpc import RPCError
from models.domain.errors import Invalid, Permanent, Transient
from models.domain.offer import Acceptance, LoanTerms
from models.domain.settlement import ChainReceipt

ARTIFACTS: Final = Path(__file__).parents[2] / "contracts" / "artifacts"

SETTLE_TYPES: Final = (
    "(bytes32,address,address,address,uint256,uint256,uint32,uint32,uint256,uint256)",
    "bytes",
    "(bytes32,address,uint256,uint256)",
    "bytes",
)
SETTLE: Final = f"settle({','.join(SETTLE_TYPES)})"
IS_SETTLED: Final = "isSettled(bytes32)"
DOMAIN_SEPARATOR: Final = "domainSeparator()"
DECIMALS: Final = "decimals()"
IS_VALID_SIGNATURE: Final = "isValidSignature(bytes32,bytes)"

# What the token of a lender may say (ERC-6093); the aggregator passes it on unchanged.
_TOKEN_ERRORS: Final = (
    "ERC20InsufficientBalance(address,uint256,uint256)",
    "ERC20InvalidSender(address)",
    "ERC20InvalidReceiver(address)",
    "ERC20InsufficientAllowance(address,uint256,uint256)",
    "ERC20InvalidApprover(address)",
    "ERC20InvalidSpender(address)",
)
# 0.001 gwei, so that a block's builder always gains; 3 gwei, where others overpay for their haste.
_MIN_PRIORITY_FEE_WEI: Final = 1_000_000
_MAX_PRIORITY_FEE_WEI: Final = 3_000_000_000
_EXECUTION_REVERTED: Final = 3  # geth, anvil, Erigon; others say it in words
_QUANTITY: Final = re.compile(r"0x[0-9a-fA-F]{1,64}")
_WORD: Final = re.compile(r"0x[0-9a-fA-F]{64}")
_BYTES: Final = re.compile(r"0x([0-9a-fA-F]{2})*")


class Refusal(StrEnum):
    """What a node meant when it refused a signed transaction."""

    ALREADY_KNOWN = "already known"
    NONCE_TOO_LOW = "nonce too low"
    OUT_OF_GAS_MONEY = "insufficient funds"
    UNDERPRICED = "underpriced"
    OTHER = "other"


# geth, anvil, Besu, Nethermind and Erigon, in the first words of each, lower case.
_REFUSALS: Final[tuple[tuple[Refusal, tuple[str, ...]], ...]] = (
    (Refusal.ALREADY_KNOWN, ("already known", "already imported", "known transaction")),
    (Refusal.NONCE_TOO_LOW, ("nonce too low", "oldnonce", "nonce is too low")),
    (Refusal.OUT_OF_GAS_MONEY, ("insufficient funds", "insufficientfunds", "upfront cost exceeds")),
    (Refusal.UNDERPRICED, ("underpriced", "less than block base fee", "fee too low", "feetoolow")),
)


def selector(signature: str) -> bytes:
    """The four bytes by which a function or an error is known."""
    return keccak(signature.encode("ascii"))[:4]


# ERC-1271's magic value, padded to the word in which a bytes4 is returned.
ERC1271_YES: Final = int.from_bytes(selector(IS_VALID_SIGNATURE).ljust(32, b"\x00"), "big")


def settle_calldata(terms: LoanTerms, lender_signature: str, acceptance: Acceptance) -> str:
    """The call of `settle`, 0x hex; raises Invalid for what its types cannot hold."""
    try:
        arguments = encode(
            SETTLE_TYPES,
            (
                (
                    bytes.fromhex(terms.loan_reference[2:]),
                    terms.lender,
                    terms.borrower,
                    terms.token,
                    terms.principal,
                    terms.total_repayable,
                    terms.apr_bps,
                    terms.term_months,
                    terms.nonce,
                    terms.deadline,
                ),
                bytes.fromhex(lender_signature[2:]),
                (
                    bytes.fromhex(acceptance.terms_hash[2:]),
                    acceptance.borrower,
                    acceptance.nonce,
                    acceptance.deadline,
                ),
                bytes.fromhex(acceptance.signature[2:]),
            ),
        )
    except (EncodingError, ValueError) as wrong:
        raise Invalid("VALUE_NOT_ENCODABLE", "settle") from wrong
    return "0x" + (selector(SETTLE) + arguments).hex()


def is_settled_calldata(loan_reference: str) -> str:
    """The call of `isSettled`, 0x hex."""
    return "0x" + (selector(IS_SETTLED) + bytes.fromhex(loan_reference[2:])).hex()


def is_valid_signature_calldata(digest: bytes, signature: str) -> str:
    """The question to a contract whether it signed; raises Invalid for what is no 0x hex."""
    if _BYTES.fullmatch(signature) is None:
        raise Invalid("VALUE_NOT_ENCODABLE", "signature")
    arguments = encode(["bytes32", "bytes"], [digest, bytes.fromhex(signature[2:])])
    return "0x" + (selector(IS_VALID_SIGNATURE) + arguments).hex()


def revert_of(refused: RPCError) -> Permanent | Transient | None:
    """The contract's own no, by the name of its error; None when the node could not ask it.

    Permanent, except that an owner who paused the contract will end the pause: Transient
    SETTLEMENT_PAUSED.
    """
    said = f"{refused.message} {refused.data}".lower()
    if refused.number == _EXECUTION_REVERTED or "revert" in said:
        name = revert_name(_revert_data(refused.data))
        if name == "EnforcedPause":
            return Transient("SETTLEMENT_PAUSED", "by the owner of the contract")
        return Permanent("SETTLE_REVERTED", name)
    if "gas required exceeds" in said or "out of gas" in said:
        return Permanent("SETTLE_TOO_EXPENSIVE", "more gas than a call may use")
    return None


def revert_name(data: bytes) -> str:
    """The name of the error that a call reverted with; its selector when nobody declared it."""
    if len(data) < 4:
        return "no reason given"
    name = revert_names().get(data[:4], "0x" + data[:4].hex())
    if name not in ("Error", "Panic"):
        return name
    try:
        kind = "string" if name == "Error" else "uint256"
        return f"{name}: {str(decode([kind], data[4:])[0])[:200]}"
    except (DecodingError, ValueError):
        return name


@lru_cache(maxsize=1)
def revert_names() -> Mapping[bytes, str]:
    """Selector to name of every error that a settlement can end with."""
    artefact = json.loads((ARTIFACTS / "CreditAggregator.json").read_text(encoding="utf-8"))
    declared = [
        f"{entry['name']}({','.join(field['type'] for field in entry['inputs'])})"
        for entry in artefact["abi"]
        if entry["type"] == "error"
    ]
    known = (*declared, *_TOKEN_ERRORS, "Error(string)", "Panic(uint256)")
    return {selector(signature): signature.partition("(")[0] for signature in known}


def refusal_of(refused: RPCError) -> Refusal:
    """What the node meant by refusing a signed transaction; nodes differ in their words."""
    text = refused.message.lower()
    return next(
        (meant for meant, words in _REFUSALS if any(word in text for word in words)), Refusal.OTHER
    )


def fees(history: object, fee_cap_wei: int) -> tuple[int, int]:
    """Maximum and priority fee per gas in wei, from eth_feeHistory with one percentile.

    Twice the next base fee stays valid through five full blocks (each adds at most an eighth).
    The maximum is never above the cap; a chain dearer than the cap raises Transient
    GAS_PRICE_ABOVE_CAP, to be tried when it is cheaper.
    """
    if not isinstance(history, dict):
        raise _malformed("fee history")
    try:
        base = quantity(history["baseFeePerGas"][-1])
        rewards = [quantity(row[0]) for row in history.get("reward") or ()]
    except (KeyError, IndexError, TypeError):
        raise _malformed("fee history") from None
    paid = [reward for reward in rewards if reward > 0] or [_MIN_PRIORITY_FEE_WEI]
    priority = min(max(median_high(paid), _MIN_PRIORITY_FEE_WEI), _MAX_PRIORITY_FEE_WEI)
    if base + priority > fee_cap_wei:
        raise Transient("GAS_PRICE_ABOVE_CAP", f"{base + priority} of {fee_cap_wei} wei")
    return min(2 * base + priority, fee_cap_wei), priority


def receipt(tx_hash: str, answer: object) -> ChainReceipt:
    """A receipt as the chain gave it; its depth is not known yet, so it counts as the newest."""
    if not isinstance(answer, dict) or answer.get("transactionHash") != tx_hash:
        raise _malformed("receipt of another transaction")
    status = quantity(answer.get("status"))
    block_hash = answer.get("blockHash")
    if status not in (0, 1) or not isinstance(block_hash, str):
        raise _malformed("receipt without status or block")
    return ChainReceipt(
        tx_hash=tx_hash,
        block_number=quantity(answer.get("blockNumber")),
        block_hash=block_hash,
        succeeded=status == 1,
        confirmations=1,
        gas_used=quantity(answer.get("gasUsed")),
    )


def at_depth(seen: ChainReceipt, head: int) -> ChainReceipt:
    """The receipt with its depth below this head; in a block newer than the head it is 1."""
    return replace(seen, confirmations=max(head - seen.block_number + 1, 1))


def quantity(value: object) -> int:
    """A number of the JSON-RPC specification (0x hex, at most 256 bits)."""
    if isinstance(value, str) and _QUANTITY.fullmatch(value):
        return int(value, 16)
    raise _malformed("a quantity")


def word(value: object) -> int:
    """The single 32-byte word that a view returned."""
    if isinstance(value, str) and _WORD.fullmatch(value):
        return int(value, 16)
    raise _malformed("a word")


def answered_word(answer: object) -> int | None:
    """The word a contract answered; None when it has no such view (a revert, or no data).

    A refusal by the node itself is raised: it says nothing about the contract.
    """
    if isinstance(answer, RPCError):
        if revert_of(answer) is None:
            raise answer
        return None
    return int(answer, 16) if isinstance(answer, str) and _WORD.fullmatch(answer) else None


def code_present(code: object) -> bool:
    """Whether eth_getCode found a contract."""
    return isinstance(code, str) and len(code) > 2


def results(answers: Sequence[Any]) -> list[Any]:
    """The results of a batch in which every call must have succeeded."""
    for answer in answers:
        if isinstance(answer, RPCError):
            raise answer
    return list(answers)


def _revert_data(data: object) -> bytes:
    """Where nodes put what a call reverted with: a text, or an object that holds one."""
    if isinstance(data, dict):
        data = data.get("data")
    if not isinstance(data, str):
        return b""
    start = data.find("0x")  # some write "Reverted 0x..."
    try:
        return bytes.fromhex(data[start + 2 :]) if start >= 0 else b""
    except ValueError:
        return b""


def _malformed(what: str) -> Transient:
    return Transient("CHAIN_ANSWER_MALFORMED", what)
