"""Settlement on a real chain with the real contract."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

import pytest
from eth_abi.abi import encode
from eth_account import Account
from eth_hash.auto import keccak

from activities.ports.chain import GasTerms, SettlementChain
from adapters.chain import aggregator_mapping as mapping
from adapters.chain import eip712
from adapters.chain.aggregator import EVMSettlementChain, address_of
from adapters.chain.well_known import WELL_KNOWN_TEST_ADDRESSES
from models.domain.errors import CreditError, Invalid, InvariantViolated, Permanent, Transient
from models.domain.settlement import SignedTransaction
from sandbox.wallets import DEVELOPMENT_DEPLOYER_KEY, Wallet, wallet
from tests.adapters.chain.conftest import CHAIN_ID, SEED, Chain, Loan, signed

pytestmark = pytest.mark.stack

MakeLoan = Callable[..., Loan]
STRANGER = wallet("stranger", SEED)
"""Nobody's lender and nobody's borrower."""


async def prepare(chain: EVMSettlementChain, loan: Loan, **changes: int) -> SignedTransaction:
    """Simulate and sign, as a settlement does."""
    gas = await chain.simulate(loan.terms, loan.lender_signature, loan.acceptance)
    nonce = changes.pop("nonce", await chain.next_nonce())
    gas = replace(gas, **changes)
    return chain.sign_settle(loan.terms, loan.lender_signature, loan.acceptance, nonce, gas)


async def refusal(chain: EVMSettlementChain, loan: Loan) -> str:
    """The name of the error with which the contract refuses this loan."""
    with pytest.raises(Permanent) as refused:
        await chain.simulate(loan.terms, loan.lender_signature, loan.acceptance)
    assert refused.value.code == "SETTLE_REVERTED"
    return refused.value.detail


def test_it_is_the_port(settlement: EVMSettlementChain) -> None:
    port: SettlementChain = settlement
    assert port.confirmations == 3


async def test_hashes_are_the_contracts_own(
    chain: Chain, settlement: EVMSettlementChain, loan: MakeLoan
) -> None:
    terms = loan(principal=2**255, total_repayable=2**256 - 1, apr_bps=2**32 - 1).terms
    members = encode(
        [mapping.SETTLE_TYPES[0]],
        [
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
            )
        ],
    )
    names = ("tenant ü", "app_" + "1" * 40)
    calls = {
        f"hashTerms({mapping.SETTLE_TYPES[0]})": (members, settlement.terms_hash(terms)),
        "referenceOf(string,string)": (
            encode(["string", "string"], names),
            settlement.loan_reference(*names),
        ),
        "domainSeparator()": (
            b"",
            "0x" + eip712.domain_separator(CHAIN_ID, chain.deployment.aggregator).hex(),
        ),
    }
    for signature, (arguments, ours) in calls.items():
        data = "0x" + (mapping.selector(signature) + arguments).hex()
        call = {"to": chain.deployment.aggregator, "data": data}
        assert await chain.rpc.call("eth_call", call, "latest") == ours, signature


async def test_a_loan_is_settled_once_and_exactly(
    chain: Chain, settlement: EVMSettlementChain, loan: MakeLoan, borrower: Wallet
) -> None:
    one = loan()
    before = await chain.balance_units(borrower.address)
    lender_before = await chain.balance_units(chain.lender.address)
    assert await settlement.signed_by_lender(one.terms, one.lender_signature)
    assert not await settlement.is_settled(one.terms.loan_reference)

    transaction = await prepare(settlement, one)
    assert await settlement.receipts([transaction.tx_hash]) == {}
    await settlement.broadcast(transaction)
    await chain.mined(transaction.tx_hash)

    receipt = (await settlement.receipts([transaction.tx_hash]))[transaction.tx_hash]
    assert receipt.succeeded
    assert receipt.confirmations == 1
    assert receipt.block_number == await settlement.head()
    assert await settlement.is_settled(one.terms.loan_reference)
    assert await chain.balance_units(borrower.address) - before == one.terms.principal
    assert lender_before - await chain.balance_units(chain.lender.address) == one.terms.principal

    assert await refusal(settlement, one) == "ReferenceAlreadySettled"
    again = loan(loan_reference=one.terms.loan_reference)
    assert await refusal(settlement, again) == "ReferenceAlreadySettled"
    assert await chain.balance_units(borrower.address) - before == one.terms.principal


async def test_what_was_not_signed_is_refused_by_the_contract(
    chain: Chain, settlement: EVMSettlementChain, loan: MakeLoan, borrower: Wallet
) -> None:
    one = loan()
    more = replace(one, terms=replace(one.terms, principal=one.terms.principal + 1))
    assert await refusal(settlement, more) == "AcceptanceOfOtherTerms"
    accepted = replace(one.acceptance, terms_hash=eip712.terms_hash(more.terms))
    assert await refusal(settlement, replace(more, acceptance=accepted)) == "InvalidLenderSignature"

    # Somebody else's account, with the acceptance made to fit.
    to_stranger = signed(chain, replace(one.terms, borrower=STRANGER.address), STRANGER)
    to_stranger = replace(to_stranger, lender_signature=one.lender_signature)
    assert await refusal(settlement, to_stranger) == "InvalidLenderSignature"

    forged = signed(chain, one.terms, STRANGER)
    assert await refusal(settlement, forged) == "InvalidBorrowerSignature"

    foreign = eip712.sign_terms(one.terms, CHAIN_ID + 1, settlement.venue.aggregator,
                                chain.lender.private_key)  # fmt: skip
    assert not await settlement.signed_by_lender(one.terms, foreign)
    assert await refusal(settlement, replace(one, lender_signature=foreign)) == (
        "InvalidLenderSignature"
    )
    assert not await settlement.is_settled(one.terms.loan_reference)


async def test_refusals_of_contract_and_token_carry_their_names(
    settlement: EVMSettlementChain, loan: MakeLoan
) -> None:
    assert await refusal(settlement, loan(deadline=1)) == "DeadlinePassed"
    assert await refusal(settlement, loan(lender=STRANGER.address)) == "ProviderNotAuthorized"
    assert await refusal(settlement, loan(total_repayable=1)) == "RepayableBelowPrincipal"
    too_much = 10**18
    assert await refusal(settlement, loan(principal=too_much, total_repayable=too_much)) == (
        "ERC20InsufficientBalance"
    )


async def test_a_token_that_is_not_configured_is_refused_before_the_chain_is_asked(
    settlement: EVMSettlementChain, loan: MakeLoan
) -> None:
    other = loan(token=STRANGER.address)
    with pytest.raises(Permanent, match="TOKEN_NOT_CONFIGURED"):
        await settlement.simulate(other.terms, other.lender_signature, other.acceptance)
    with pytest.raises(Permanent, match="TOKEN_NOT_CONFIGURED"):
        settlement.sign_settle(other.terms, "0x", other.acceptance, 0, GasTerms(1, 1, 1))


async def test_a_paused_contract_is_transient(
    chain: Chain, settlement: EVMSettlementChain, loan: MakeLoan
) -> None:
    one = loan()
    await as_owner(chain, "pause()")
    try:
        with pytest.raises(Transient, match="SETTLEMENT_PAUSED"):
            await settlement.simulate(one.terms, one.lender_signature, one.acceptance)
    finally:
        await as_owner(chain, "unpause()")
    await settlement.simulate(one.terms, one.lender_signature, one.acceptance)


async def test_a_chain_above_the_fee_cap_is_transient(chain: Chain, loan: MakeLoan) -> None:
    thrifty = await chain.connect(fee_cap_wei=1)
    one = loan()
    with pytest.raises(Transient, match="GAS_PRICE_ABOVE_CAP"):
        await thrifty.simulate(one.terms, one.lender_signature, one.acceptance)
    await thrifty.close()


async def test_signing_is_deterministic_and_the_hash_is_known_before_sending(
    settlement: EVMSettlementChain, loan: MakeLoan
) -> None:
    one = loan()
    first = await prepare(settlement, one, nonce=7)
    assert first == await prepare(settlement, one, nonce=7)
    assert first.tx_hash == "0x" + keccak(bytes.fromhex(first.raw[2:])).hex()
    assert Account.recover_transaction(first.raw) == first.sender == settlement.sender
    assert (await prepare(settlement, one, nonce=8)).tx_hash != first.tx_hash


async def test_sending_again_is_harmless_pending_or_mined(
    chain: Chain, settlement: EVMSettlementChain, loan: MakeLoan, borrower: Wallet
) -> None:
    one = loan()
    before = await chain.balance_units(borrower.address)
    await chain.rpc.call("evm_setAutomine", False)
    try:
        transaction = await prepare(settlement, one)
        await settlement.broadcast(transaction)
        await settlement.broadcast(transaction)
        assert await settlement.receipts([transaction.tx_hash]) == {}
        assert await settlement.next_nonce() == transaction.nonce
        await chain.mine(1)
    finally:
        await chain.rpc.call("evm_setAutomine", True)
    await settlement.broadcast(transaction)
    await chain.mine(5)
    await settlement.broadcast(transaction)

    assert await chain.balance_units(borrower.address) - before == one.terms.principal
    assert (await settlement.receipts([transaction.tx_hash]))[transaction.tx_hash].succeeded


async def test_a_nonce_used_by_another_transaction_is_permanent(
    chain: Chain, settlement: EVMSettlementChain, loan: MakeLoan
) -> None:
    winner, late = loan(), loan()
    loser = await prepare(settlement, late)
    assert (await settle(chain, settlement, winner)).nonce == loser.nonce

    with pytest.raises(Permanent, match="NONCE_TAKEN"):
        await settlement.broadcast(loser)
    assert not await settlement.is_settled(late.terms.loan_reference)


async def test_a_relayer_without_gas_money_waits_for_it(
    chain: Chain, settlement: EVMSettlementChain, loan: MakeLoan
) -> None:
    transaction = await prepare(settlement, loan())
    balance = await chain.rpc.call("eth_getBalance", settlement.sender, "latest")
    await chain.rpc.call("anvil_setBalance", settlement.sender, "0x1")
    with pytest.raises(Transient, match="OUT_OF_GAS_MONEY"):
        await settlement.broadcast(transaction)
    await chain.rpc.call("anvil_setBalance", settlement.sender, balance)
    await settlement.broadcast(transaction)
    await chain.mined(transaction.tx_hash)


async def test_a_replacement_must_pay_more(
    chain: Chain, settlement: EVMSettlementChain, loan: MakeLoan
) -> None:
    one = loan()
    await chain.rpc.call("evm_setAutomine", False)
    try:
        first = await prepare(settlement, one, max_fee_wei=10**10, priority_fee_wei=10**9)
        cheaper = await prepare(settlement, one, max_fee_wei=9 * 10**9, priority_fee_wei=10**8)
        bumped = await prepare(settlement, one, max_fee_wei=2 * 10**10, priority_fee_wei=2 * 10**9)
        await settlement.broadcast(first)
        with pytest.raises(Transient, match="FEE_TOO_LOW"):
            await settlement.broadcast(cheaper)
        await settlement.broadcast(bumped)
        await chain.mine(1)
    finally:
        await chain.rpc.call("evm_setAutomine", True)
    found = await settlement.receipts([first.tx_hash, cheaper.tx_hash, bumped.tx_hash])
    assert list(found) == [bumped.tx_hash]


async def test_bytes_that_are_not_the_stored_transaction_are_never_sent(
    settlement: EVMSettlementChain, loan: MakeLoan
) -> None:
    transaction = await prepare(settlement, loan())
    with pytest.raises(InvariantViolated, match="TX_HASH_MISMATCH"):
        await settlement.broadcast(replace(transaction, tx_hash="0x" + "ab" * 32))
    with pytest.raises(Permanent, match="CHAIN_ID_MISMATCH"):
        await settlement.broadcast(replace(transaction, chain_id=1))


async def test_receipts_count_their_depth(
    chain: Chain, settlement: EVMSettlementChain, loan: MakeLoan
) -> None:
    first, second = [(await settle(chain, settlement, loan())).tx_hash for _ in range(2)]
    await chain.mine(3)
    absent = "0x" + "12" * 32
    found = await settlement.receipts([second, absent, first, first])
    assert {tx_hash: receipt.confirmations for tx_hash, receipt in found.items()} == {
        first: 5,
        second: 4,
    }
    assert await settlement.receipts([]) == {}
    assert await settlement.receipts([absent]) == {}


async def test_a_settlement_that_reverts_on_chain_has_a_failed_receipt(
    chain: Chain, settlement: EVMSettlementChain, loan: MakeLoan
) -> None:
    one = loan()
    rival = loan(loan_reference=one.terms.loan_reference)
    nonce = await settlement.next_nonce()
    await chain.rpc.call("evm_setAutomine", False)
    try:
        winner = await prepare(settlement, one, nonce=nonce)
        loser = await prepare(settlement, rival, nonce=nonce + 1)
        await settlement.broadcast(winner)
        await settlement.broadcast(loser)
        await chain.mine(1)
    finally:
        await chain.rpc.call("evm_setAutomine", True)
    found = await settlement.receipts([winner.tx_hash, loser.tx_hash])
    assert found[winner.tx_hash].succeeded
    assert not found[loser.tx_hash].succeeded


async def test_a_reorganised_receipt_disappears_and_the_same_bytes_settle_again(
    chain: Chain, settlement: EVMSettlementChain, loan: MakeLoan, borrower: Wallet
) -> None:
    before = await chain.balance_units(borrower.address)
    one = loan()
    transaction = await settle(chain, settlement, one)
    await chain.mine(1)
    assert transaction.tx_hash in await settlement.receipts([transaction.tx_hash])

    await chain.rpc.call("anvil_reorg", 2, [])
    assert await settlement.receipts([transaction.tx_hash]) == {}
    assert not await settlement.is_settled(one.terms.loan_reference)
    assert await chain.balance_units(borrower.address) == before

    await settlement.broadcast(transaction)
    await chain.mined(transaction.tx_hash)
    assert (await settlement.receipts([transaction.tx_hash]))[transaction.tx_hash].succeeded
    assert await chain.balance_units(borrower.address) - before == one.terms.principal


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"chain_id": 1, "sandbox_chain_ids": {1}}, "CHAIN_ID_MISMATCH"),
        ({"aggregator": STRANGER.address}, "CONTRACT_ABSENT"),
        ({"token": STRANGER.address}, "CONTRACT_ABSENT"),
        ({"token_decimals": 18}, "TOKEN_DECIMALS_MISMATCH"),
        ({"aggregator": "0x1234"}, "ADDRESS_MALFORMED"),
        ({"aggregator": STRANGER.address.lower()}, "ADDRESS_MALFORMED"),
        ({"confirmations": 0}, "CONFIRMATIONS_OUT_OF_RANGE"),
        ({"private_key": "0x1234"}, "PRIVATE_KEY_UNUSABLE"),
        ({"rpc_url": "http://127.0.0.1:9"}, "CHAIN_UNREACHABLE"),
        (
            {"private_key": DEVELOPMENT_DEPLOYER_KEY, "sandbox_chain_ids": {31_337}},
            "TEST_KEY_REFUSED",
        ),
    ],
)
async def test_a_wrong_setting_stops_the_start(
    chain: Chain, changes: dict[str, object], code: str
) -> None:
    with pytest.raises(CreditError) as refused:
        await chain.connect(**changes)
    assert refused.value.code == code


async def test_contracts_that_are_swapped_stop_the_start(chain: Chain) -> None:
    at = chain.deployment
    with pytest.raises(Permanent, match="AGGREGATOR_UNEXPECTED"):
        await chain.connect(aggregator=at.token, token=at.token)
    with pytest.raises(Permanent, match="TOKEN_DECIMALS_MISMATCH: configured 6, found None"):
        await chain.connect(token=at.aggregator)


async def test_a_well_known_key_works_on_a_listed_sandbox_chain(chain: Chain) -> None:
    adapter = await chain.connect(private_key=DEVELOPMENT_DEPLOYER_KEY)
    assert adapter.sender in WELL_KNOWN_TEST_ADDRESSES
    await adapter.close()


async def test_every_account_the_chain_starts_with_is_well_known(chain: Chain) -> None:
    unlocked = await chain.rpc.call("eth_accounts")
    assert len(unlocked) == 10
    assert {eip712.checksum(account) for account in unlocked} <= WELL_KNOWN_TEST_ADDRESSES


async def test_the_key_is_in_no_text(
    chain: Chain, loan: MakeLoan, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    adapter = await chain.connect()
    one = loan(deadline=1)
    texts = [repr(adapter), str(adapter), str(vars(adapter)), repr(chain.relayer)]
    for failing in (
        adapter.simulate(one.terms, one.lender_signature, one.acceptance),
        chain.connect(token_decimals=7),
        chain.connect(private_key=chain.relayer.private_key + "00"),
    ):
        with pytest.raises(CreditError) as failed:
            await failing
        texts += [repr(failed.value), repr(failed.value.__cause__)]
    await adapter.close()
    secret = chain.relayer.private_key[2:]
    assert not any(secret in text for text in (*texts, caplog.text))
    number = str(int(secret, 16))
    assert not any(number in text for text in (*texts, caplog.text))
    assert address_of(chain.relayer.private_key) == adapter.sender


async def test_impossible_terms_are_signed_by_nobody(
    settlement: EVMSettlementChain, loan: MakeLoan
) -> None:
    one = loan()
    assert not await settlement.signed_by_lender(
        replace(one.terms, principal=-1), one.lender_signature
    )
    assert not await settlement.signed_by_lender(one.terms, "garbage")
    with pytest.raises(Invalid):
        settlement.terms_hash(replace(one.terms, principal=-1))


async def test_concurrent_calls_share_the_connection(settlement: EVMSettlementChain) -> None:
    heads = await asyncio.gather(*(settlement.head() for _ in range(50)))
    assert len(set(heads)) == 1


async def settle(chain: Chain, adapter: EVMSettlementChain, loan: Loan) -> SignedTransaction:
    """Settle as the product does, and wait for the block."""
    transaction = await prepare(adapter, loan)
    await adapter.broadcast(transaction)
    await chain.mined(transaction.tx_hash)
    return transaction


async def as_owner(chain: Chain, signature: str) -> None:
    call = {
        "from": address_of(DEVELOPMENT_DEPLOYER_KEY),
        "to": chain.deployment.aggregator,
        "data": "0x" + mapping.selector(signature).hex(),
    }
    await chain.mined(await chain.rpc.call("eth_sendTransaction", call))
