"""One real loan, and what the chain, the database and the servers themselves say of it."""

from __future__ import annotations

import pytest

from tests.e2e.outside import Loan, NodeError, World, selector, word

pytestmark = pytest.mark.stack

PRINCIPAL_UNITS = 5_000 * 10**6

APPLICATION_STEPS = {
    "application.submitted", "application.started", "eligibility.decided", "evidence.recorded",
    "risk.assessed", "credit.decided", "offers.collected", "offer.accepted", "offer.confirmed",
    "settlement.signed", "settlement.broadcast", "settlement.included", "application.funded",
}  # fmt: skip
PERSON_STEPS = {"kyc.submitted", "kyc.answered", "kyc.verified"}


async def test_the_borrower_was_paid_exactly_once_by_the_chains_own_word(
    world: World, loan: Loan
) -> None:
    transaction, node = loan.transaction, world.node
    assert transaction["settlement_state"] == "final"
    receipt = await node.call("eth_getTransactionReceipt", transaction["tx_hash"])
    block = int(receipt["blockNumber"], 16)
    stated_depth = world.stack.options.confirmations
    assert receipt["status"] == "0x1"
    assert block == transaction["block_number"]
    assert await node.head() - block + 1 >= transaction["confirmations"] >= stated_depth

    at = loan.person.deployment
    before = await node.balance_of(at.token, loan.person.wallet.address, block - 1)
    after = await node.balance_of(at.token, loan.person.wallet.address, block)
    assert after - before == PRINCIPAL_UNITS == int(transaction["amount_units"])
    assert await node.balance_of(at.token, loan.person.wallet.address) == after


async def test_the_event_names_this_loan(world: World, loan: Loan) -> None:
    at, transaction = loan.person.deployment, loan.transaction
    [event] = await world.node.disbursements(at.aggregator, transaction["loan_reference"])
    assert event["transactionHash"] == transaction["tx_hash"]
    _, reference, _, borrower = event["topics"]
    lender, token, principal = (event["data"][2:][64 * n : 64 * (n + 1)] for n in range(3))
    assert reference == transaction["loan_reference"]
    assert borrower[2:] == word(loan.person.wallet.address) == word(transaction["borrower"])
    assert lender == word(world.stack.lender.address)
    assert token == word(at.token)
    assert int(principal, 16) == PRINCIPAL_UNITS
    # The reference follows from tenant and application alone, by the contract's own reckoning.
    arguments = _two_strings(loan.tenant, loan.application_id)
    assert (
        await world.node.view(at.aggregator, "referenceOf(string,string)", arguments) == reference
    )


async def test_settling_again_reverts_whoever_sends_it(world: World, loan: Loan) -> None:
    node, at = world.node, loan.person.deployment
    mined = await node.call("eth_getTransactionByHash", loan.transaction["tx_hash"])
    stranger = (await node.call("eth_accounts"))[-1]
    assert stranger.lower() != mined["from"].lower()
    again = {"from": stranger, "to": mined["to"], "data": mined["input"], "gas": hex(1_000_000)}
    refused = selector("ReferenceAlreadySettled(bytes32,uint256)")
    before = await node.balance_of(at.token, loan.person.wallet.address)

    for sender in (stranger, mined["from"]):
        with pytest.raises(NodeError) as caught:
            await node.call("eth_call", {**again, "from": sender}, "latest")
        assert caught.value.data[2:10] == refused
        assert caught.value.data[10:74] == loan.transaction["loan_reference"][2:]

    tx_hash = await node.call("eth_sendTransaction", again)
    receipt = None
    while receipt is None:
        receipt = await node.call("eth_getTransactionReceipt", tx_hash)
    assert receipt["status"] == "0x0"
    assert await node.balance_of(at.token, loan.person.wallet.address) == before


async def test_the_books_balance_and_are_final(world: World, loan: Loan) -> None:
    truth = world.truth
    entries = await truth.rows(
        "SELECT e.kind, e.state, e.currency, sum(p.amount_minor)::int8 AS total,"
        " sum(abs(p.amount_minor))::int8 AS moved, count(*) AS sides FROM ledger_entries e"
        " JOIN ledger_postings p USING (tenant_id, entry_id) WHERE e.tenant_id = $1"
        " GROUP BY 1, 2, 3 ORDER BY 1",
        loan.tenant,
    )
    assert [(each["kind"], each["state"]) for each in entries] == [
        ("commitment", "final"), ("disbursement", "final"), ("release", "final"),
    ]  # fmt: skip
    for entry in entries:
        assert (entry["total"], entry["moved"], entry["sides"]) == (0, 2 * 500_000, 2), entry
    accounts = await truth.rows(
        "SELECT split_part(account, ':', 1) AS account, sum(amount_minor)::int8 AS balance"
        " FROM ledger_postings WHERE tenant_id = $1 GROUP BY 1 ORDER BY 1",
        loan.tenant,
    )
    assert {each["account"]: each["balance"] for each in accounts} == {
        "commitments": 0, "committed-funds": 0,
        "loans-receivable": 500_000, "lender-funds": -500_000,
    }  # fmt: skip
    [booked] = await truth.rows("SELECT * FROM loans WHERE tenant_id = $1", loan.tenant)
    assert booked["amount_minor"] == 500_000
    assert booked["loan_id"] == loan.view["loan"]["loan_id"]


async def test_every_step_was_audited_and_published_once(world: World, loan: Loan) -> None:
    subjects = [loan.application_id, loan.person.data["user_id"]]
    audited = await world.truth.rows(
        "SELECT action, actor FROM audit_log WHERE tenant_id = $1 AND subject_id = ANY($2)"
        " ORDER BY seq",
        loan.tenant,
        subjects,
    )
    steps = [each["action"] for each in audited]
    created = ["offer.created"] * len(loan.view["offers"])
    assert sorted(steps) == sorted([*APPLICATION_STEPS, *PERSON_STEPS, *created])
    actors = {each["action"]: each["actor"] for each in audited}
    assert actors["application.submitted"] == loan.person.data["user_id"]
    assert actors["offer.accepted"] == loan.person.data["user_id"]
    assert actors["offer.confirmed"] == "provider:first-harbour-bank"
    published = await world.truth.rows(
        "SELECT event_id, key, type FROM outbox WHERE tenant_id = $1 AND key = ANY($2)"
        " ORDER BY seq",
        loan.tenant,
        subjects,
    )
    assert sorted(each["type"] for each in published) == sorted(steps)
    assert len({each["event_id"] for each in published}) == len(published)
    of_application = {each["type"] for each in published if each["key"] == loan.application_id}
    assert of_application == APPLICATION_STEPS | {"offer.created"}


async def test_the_signed_bytes_were_stored_before_they_were_sent(world: World, loan: Loan) -> None:
    [attempt] = await world.truth.rows(
        "SELECT * FROM chain_attempts WHERE tenant_id = $1", loan.tenant
    )
    assert attempt["tx_hash"] == loan.transaction["tx_hash"]
    assert attempt["created_at"] < attempt["broadcast_at"]
    mined = await world.node.call("eth_getTransactionByHash", attempt["tx_hash"])
    assert int(mined["nonce"], 16) == attempt["nonce"]
    assert mined["from"].lower() == attempt["sender"].lower()
    # The transaction was broadcast before its block was made, and signed before that.
    [steps] = await world.truth.rows(
        "SELECT min(seq) FILTER (WHERE action = 'offer.confirmed') AS confirmed,"
        " min(seq) FILTER (WHERE action = 'settlement.signed') AS signed,"
        " min(seq) FILTER (WHERE action = 'settlement.broadcast') AS sent,"
        " min(seq) FILTER (WHERE action = 'application.funded') AS funded"
        " FROM audit_log WHERE tenant_id = $1",
        loan.tenant,
    )
    assert steps["confirmed"] < steps["signed"] < steps["sent"] < steps["funded"]


async def test_all_parties_mean_the_same_terms(world: World, loan: Loan) -> None:
    offers = await world.truth.rows("SELECT * FROM offers WHERE tenant_id = $1", loan.tenant)
    [accepted] = [offer for offer in offers if offer["status"] == "accepted"]
    assert accepted["offer_id"] == loan.view["accepted_offer_id"]

    mined = await world.node.call("eth_getTransactionByHash", loan.transaction["tx_hash"])
    ten_words = mined["input"][2 + 8 : 2 + 8 + 10 * 64]  # the terms lie first and inline
    fields = "bytes32,address,address,address,uint256,uint256,uint32,uint32,uint256,uint256"
    at = loan.person.deployment
    by_contract = await world.node.view(at.aggregator, f"hashTerms(({fields}))", ten_words)

    reference = loan.transaction["loan_reference"]
    [issued] = world.journals.effects("bank", "quote.issued", reference)
    [confirmed] = world.journals.effects("bank", "quote.confirmed", reference)
    assert {
        by_contract,
        accepted["terms_hash"],
        accepted["acceptance"]["terms_hash"],
        issued["answer"]["quote"]["terms_hash"],
        confirmed["answer"]["terms_hash"],
    } == {by_contract}


async def test_counterparties_did_everything_once(world: World, loan: Loan) -> None:
    assert len(world.journals.effects("identity_vendor", "check.opened", loan.tenant)) == 1
    assert len(world.journals.effects("identity_vendor", "check.completed", loan.tenant)) == 1
    assert len(world.journals.effects("bureau", "report.billed", loan.application_id)) == 1
    for name in ("identity_vendor", "bureau", "bank"):
        assert world.journals.lines(name), name
        assert world.journals.repeated(name) == []


def _two_strings(*texts: str) -> str:
    """ABI words of two dynamic strings."""
    head, tail = "", ""
    for text in texts:
        padded = text.encode().hex().ljust(-(-len(text.encode()) // 32) * 64, "0")
        head += word(64 + len(tail) // 2)
        tail += word(len(text.encode())) + padded
    return head + tail
