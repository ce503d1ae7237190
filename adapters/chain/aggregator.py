"""One EVM chain with its CreditAggregator: simulate, sign, send and read settlements.

Knows nothing of the database: whoever calls persists a signed transaction before it is broadcast.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import structlog
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_hash.auto import keccak
from eth_typing import HexStr

from activities.ports.chain import GasTerms, ReferenceStanding
from adapters.chain import aggregator_mapping as mapping
from adapters.chain import eip712, payments
from adapters.chain.eip712 import address_of
from adapters.chain.rpc import JSONRPCProvider, RPCError
from adapters.chain.well_known import WELL_KNOWN_TEST_ADDRESSES
from models.domain.errors import Invalid, InvariantViolated, Permanent, Transient
from models.domain.offer import Acceptance, LoanTerms, SettlementVenue
from models.domain.settlement import ChainReceipt, SignedTransaction

__all__ = ["EVMSettlementChain", "address_of"]

DEFAULT_FEE_CAP_WEI: Final = 200_000_000_000  # 200 gwei: at 300,000 gas, 0.06 ether for a loan
# Plain accounts settle with less than half of this; a lender's own contract may not cost us more.
_GAS_LIMIT_CAP: Final = 1_000_000
_GAS_MARGIN_PERCENT: Final = 25  # state may change between the estimate and the block
_FEE_BLOCKS: Final = 10
_FEE_PERCENTILE: Final = 50
_DEADLINE_S: Final = 10.0

_log = structlog.get_logger("adapters.chain")


class EVMSettlementChain:
    """`SettlementChain` of an EVM network; built by `connect`, closed by `close`."""

    def __init__(
        self,
        rpc: JSONRPCProvider,
        venue: SettlementVenue,
        account: LocalAccount,
        *,
        confirmations: int,
        fee_cap_wei: int,
    ) -> None:
        self._rpc = rpc
        self._account = account
        self._fee_cap_wei = fee_cap_wei
        self.venue = venue
        self.sender: str = account.address
        self.confirmations = confirmations

    @classmethod
    async def connect(
        cls,
        rpc_url: str,
        chain_id: int,
        aggregator: str,
        token: str,
        token_decimals: int,
        *,
        private_key: str,
        confirmations: int,
        sandbox_chain_ids: Collection[int],
        fee_cap_wei: int = DEFAULT_FEE_CAP_WEI,
        deadline_s: float = _DEADLINE_S,
    ) -> EVMSettlementChain:
        """Connect, and refuse to start on anything but the chain and contracts configured.

        Raises Permanent TEST_KEY_REFUSED, CHAIN_ID_MISMATCH, CONTRACT_ABSENT,
        AGGREGATOR_UNEXPECTED or TOKEN_DECIMALS_MISMATCH; Invalid for settings that cannot be;
        Transient when the node does not answer.
        """
        for address in (aggregator, token):
            if not eip712.is_address(address):
                raise Invalid("ADDRESS_MALFORMED", "aggregator and token are checksummed addresses")
        if confirmations < 1:
            raise Invalid("CONFIRMATIONS_OUT_OF_RANGE", "a final settlement is at least in a block")
        sender = address_of(private_key)
        if sender in WELL_KNOWN_TEST_ADDRESSES and chain_id not in sandbox_chain_ids:
            raise Permanent("TEST_KEY_REFUSED", f"{sender} is everybody's on chain {chain_id}")
        venue = SettlementVenue(chain_id, aggregator, token, token_decimals)
        rpc = JSONRPCProvider(rpc_url, deadline_s=deadline_s)
        try:
            await _check_venue(rpc, venue)
        except BaseException:
            await rpc.close()
            raise
        account = Account.from_key(private_key)
        return cls(rpc, venue, account, confirmations=confirmations, fee_cap_wei=fee_cap_wei)

    async def close(self) -> None:
        """Close the connections to the node."""
        await self._rpc.close()

    def __repr__(self) -> str:
        return f"EVMSettlementChain(chain_id={self.venue.chain_id}, sender={self.sender})"

    def loan_reference(self, tenant_id: str, application_id: str) -> str:
        """keccak256(abi.encode("caas/v1", tenant, application, "disburse")), 0x hex."""
        return eip712.loan_reference(tenant_id, application_id)

    def terms_hash(self, terms: LoanTerms) -> str:
        """The EIP-712 struct hash of the terms, 0x hex; raises Invalid for impossible terms."""
        return eip712.terms_hash(terms)

    async def signed_by_lender(self, terms: LoanTerms, signature: str) -> bool:
        """Whether the terms' lender signed exactly these terms; a contract is asked (ERC-1271).

        A key's own signature needs no answer of the chain. Raises Transient when it cannot be
        asked; False for whatever is no signature.
        """
        try:
            digest = eip712.terms_digest(terms, self.venue.chain_id, self.venue.aggregator)
            if eip712.signed_by(digest, signature, terms.lender):
                return True
            call = {
                "to": terms.lender,
                "data": mapping.is_valid_signature_calldata(digest, signature),
            }
        except Invalid:
            return False
        [answer] = await self._rpc.batch([("eth_call", (call, "latest"))])
        # An account without code answers nothing, and a contract may revert: neither is a yes.
        return mapping.answered_word(answer) == mapping.ERC1271_YES

    async def simulate(
        self, terms: LoanTerms, lender_signature: str, acceptance: Acceptance
    ) -> GasTerms:
        """Estimate `settle` at the newest block, and read the fees.

        Raises Permanent SETTLE_REVERTED with the name of the contract's error, TOKEN_NOT_CONFIGURED
        or SETTLE_TOO_EXPENSIVE; Transient SETTLEMENT_PAUSED, or GAS_PRICE_ABOVE_CAP while the
        chain is too dear.
        """
        call = {
            "from": self.sender,
            "to": self.venue.aggregator,
            "data": self._settle_calldata(terms, lender_signature, acceptance),
        }
        estimate, history = await self._rpc.batch(
            [
                ("eth_estimateGas", (call, "latest")),
                ("eth_feeHistory", (hex(_FEE_BLOCKS), "latest", [_FEE_PERCENTILE])),
            ]
        )
        if isinstance(estimate, RPCError):
            raise mapping.revert_of(estimate) or estimate
        if isinstance(history, RPCError):
            raise history
        # Rounded up: a unit of gas too few reverts, one too many is not charged.
        gas_limit = -(-mapping.quantity(estimate) * (100 + _GAS_MARGIN_PERCENT) // 100)
        if gas_limit > _GAS_LIMIT_CAP:
            raise Permanent("SETTLE_TOO_EXPENSIVE", f"{gas_limit} of {_GAS_LIMIT_CAP} gas")
        max_fee_wei, priority_fee_wei = mapping.fees(history, self._fee_cap_wei)
        return GasTerms(gas_limit, max_fee_wei, priority_fee_wei)

    async def next_nonce(self) -> int:
        """The sender's next nonce as the chain has it (mined transactions only)."""
        count = await self._rpc.call("eth_getTransactionCount", self.sender, "latest")
        return mapping.quantity(count)

    def sign_settle(
        self,
        terms: LoanTerms,
        lender_signature: str,
        acceptance: Acceptance,
        nonce: int,
        gas: GasTerms,
    ) -> SignedTransaction:
        """Sign `settle` with this nonce: no I/O, and the same bytes for the same arguments."""
        signed = self._account.sign_transaction(
            {
                "type": 2,
                "chainId": self.venue.chain_id,
                "nonce": nonce,
                "to": HexStr(self.venue.aggregator),
                "value": 0,
                "data": HexStr(self._settle_calldata(terms, lender_signature, acceptance)),
                "gas": gas.gas_limit,
                "maxFeePerGas": gas.max_fee_wei,
                "maxPriorityFeePerGas": gas.priority_fee_wei,
            }
        )
        return SignedTransaction(
            chain_id=self.venue.chain_id,
            sender=self.sender,
            nonce=nonce,
            tx_hash="0x" + bytes(signed.hash).hex(),
            raw="0x" + bytes(signed.raw_transaction).hex(),
        )

    async def broadcast(self, transaction: SignedTransaction) -> None:
        """Send these bytes; sending them again is harmless, mined or not.

        Raises Permanent NONCE_TAKEN when another transaction of the sender used the nonce;
        Transient OUT_OF_GAS_MONEY, FEE_TOO_LOW, or whatever else the node refused for now.
        """
        if transaction.chain_id != self.venue.chain_id:
            raise Permanent("CHAIN_ID_MISMATCH", f"a transaction of chain {transaction.chain_id}")
        if "0x" + keccak(bytes.fromhex(transaction.raw[2:])).hex() != transaction.tx_hash:
            raise InvariantViolated("TX_HASH_MISMATCH", "stored bytes and hash differ")
        try:
            answer = await self._rpc.call("eth_sendRawTransaction", transaction.raw)
        except RPCError as refused:
            await self._judge_refusal(transaction, refused)
        else:
            if str(answer).lower() != transaction.tx_hash:
                raise Transient("CHAIN_ANSWER_MALFORMED", "another hash than the bytes have")

    async def receipts(self, tx_hashes: Sequence[str]) -> dict[str, ChainReceipt]:
        """Receipts of those transactions that are in the canonical chain now, by hash.

        Two round trips for any number: all receipts and the head, then the canonical block at each
        of their heights; a receipt of another block has been reorganised away and is left out.
        The depth counts from the lower of two readings of the head, so it is never overstated.
        """
        wanted = list(dict.fromkeys(tx_hashes))
        if not wanted:
            return {}
        calls = [("eth_getTransactionReceipt", (tx_hash,)) for tx_hash in wanted]
        first, *answers = mapping.results(await self._rpc.batch([("eth_blockNumber", ()), *calls]))
        found = {
            tx_hash: mapping.receipt(tx_hash, answer)
            for tx_hash, answer in zip(wanted, answers, strict=True)
            if answer is not None
        }
        if not found:
            return {}
        heights = sorted({seen.block_number for seen in found.values()})
        blocks = [("eth_getBlockByNumber", (hex(height), False)) for height in heights]
        second, *canonical = mapping.results(
            await self._rpc.batch([("eth_blockNumber", ()), *blocks])
        )
        hash_at = {
            height: block.get("hash") if isinstance(block, dict) else None
            for height, block in zip(heights, canonical, strict=True)
        }
        head = min(mapping.quantity(first), mapping.quantity(second))
        return {
            tx_hash: mapping.at_depth(seen, head)
            for tx_hash, seen in found.items()
            if hash_at[seen.block_number] == seen.block_hash
        }

    async def head(self) -> int:
        """The newest block's number."""
        return mapping.quantity(await self._rpc.call("eth_blockNumber"))

    async def is_settled(self, loan_reference: str) -> bool:
        """Whether the contract has ever paid under this reference, at the newest block."""
        call = {"to": self.venue.aggregator, "data": mapping.is_settled_calldata(loan_reference)}
        return mapping.word(await self._rpc.call("eth_call", call, "latest")) != 0

    async def standing(self, loan_reference: str) -> ReferenceStanding:
        """What the final part of the chain says of this reference."""
        return await payments.standing(self._rpc, self.venue, self.confirmations, loan_reference)

    def _settle_calldata(
        self, terms: LoanTerms, lender_signature: str, acceptance: Acceptance
    ) -> str:
        if terms.token != self.venue.token:
            raise Permanent("TOKEN_NOT_CONFIGURED", terms.token)
        return mapping.settle_calldata(terms, lender_signature, acceptance)

    async def _judge_refusal(self, transaction: SignedTransaction, refused: RPCError) -> None:
        """Return if the refused bytes are with the chain already; raise what it means otherwise."""
        match mapping.refusal_of(refused):
            case mapping.Refusal.ALREADY_KNOWN:
                return
            case mapping.Refusal.NONCE_TOO_LOW:
                await self._find_mined(transaction, refused)
            case mapping.Refusal.OUT_OF_GAS_MONEY:
                # Nothing is lost and nothing moves until somebody sends money: an operator must.
                _log.error("relayer_out_of_gas_money", sender=self.sender, nonce=transaction.nonce)
                raise Transient("OUT_OF_GAS_MONEY", self.sender) from refused
            case mapping.Refusal.UNDERPRICED:
                raise Transient("FEE_TOO_LOW", refused.message) from refused
            case mapping.Refusal.OTHER:
                raise refused

    async def _find_mined(self, transaction: SignedTransaction, refused: RPCError) -> None:
        """Whether it was this transaction that used the nonce; the count is read first.

        A node that counts the nonce as used already has the receipt of whatever used it. One that
        does not is behind the node that refused: it proves nothing, so that is tried again.
        """
        used = await self.next_nonce()
        if await self._rpc.call("eth_getTransactionReceipt", transaction.tx_hash) is not None:
            return
        if used <= transaction.nonce:
            raise Transient("CHAIN_BEHIND", "nonce used, but not in this node's chain") from refused
        raise Permanent("NONCE_TAKEN", f"{self.sender} nonce {transaction.nonce}") from refused


async def _check_venue(rpc: JSONRPCProvider, venue: SettlementVenue) -> None:
    """Refuse another chain, absent contracts, and contracts other than the ones we sign for."""
    separator, decimals = (
        "0x" + mapping.selector(view).hex() for view in (mapping.DOMAIN_SEPARATOR, mapping.DECIMALS)
    )
    calls = [
        ("eth_chainId", ()),
        ("eth_getCode", (venue.aggregator, "latest")),
        ("eth_getCode", (venue.token, "latest")),
        ("eth_call", ({"to": venue.aggregator, "data": separator}, "latest")),
        ("eth_call", ({"to": venue.token, "data": decimals}, "latest")),
    ]
    answers = await rpc.batch(calls)
    chain_id, *codes = mapping.results(answers[:3])
    if mapping.quantity(chain_id) != venue.chain_id:
        found = f"configured {venue.chain_id}, found {mapping.quantity(chain_id)}"
        raise Permanent("CHAIN_ID_MISMATCH", found)
    for what, code in zip(("aggregator", "token"), codes, strict=True):
        if not mapping.code_present(code):
            raise Permanent("CONTRACT_ABSENT", what)
    expected = int.from_bytes(eip712.domain_separator(venue.chain_id, venue.aggregator), "big")
    if mapping.answered_word(answers[3]) != expected:
        raise Permanent("AGGREGATOR_UNEXPECTED", "its EIP-712 domain is another")
    decimals_found = mapping.answered_word(answers[4])
    if decimals_found != venue.token_decimals:
        found = f"configured {venue.token_decimals}, found {decimals_found}"
        raise Permanent("TOKEN_DECIMALS_MISMATCH", found)
