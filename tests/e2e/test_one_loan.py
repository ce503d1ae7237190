"""One real loan, and what the chain, the database and the servers themselves say of it."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client

from adapters.temporal import connect
from adapters.vault import Keyring
from sandbox.borrower import Borrower
from tests.e2e.outside import NodeError, World, selector, word

pytestmark = pytest.mark.stack

PRINCIPAL_UNITS = 5_000 * 10**6
MAX_EVENTS_APPLICATION, MAX_EVENTS_ALL = 50, 100

APPLICATION_STEPS = {
    "application.submitted", "application.started", "eligibility.decided", "evidence.recorded",
    "risk.assessed", "credit.decided", "offers.collected", "offer.accepted", "offer.confirmed",
    "settlement.signed", "settlement.broadcast", "settlement.included", "application.funded",
}  # fmt: skip
LOCAL_ACTIVITY_NOTE = {
    "seq", "attempt", "activity_id", "activity_type", "complete_time", "backoff",
    "original_schedule_time", "activation_index",
}  # fmt: skip
PERSON_STEPS = {"kyc.submitted", "kyc.answered", "kyc.verified"}


@dataclass(frozen=True)
class Loan:
    """A funded application with the canaries its applicant stated."""

    person: Borrower
    view: dict[str, Any]
    stated: tuple[str, ...]

    @property
    def tenant(self) -> str:
        return str(self.person.data["tenant"])

    @property
    def application_id(self) -> str:
        return str(self.view["application_id"])

    @property
    def transaction(self) -> dict[str, Any]:
        return dict(self.view["transaction"])

    def workflow_ids(self) -> list[str]:
        application = f"{self.tenant}/{self.application_id}"
        return [
            f"credit-application/{application}",
            f"kyc/{self.tenant}/{self.person.data['user_id']}",
            f"risk-scoring/{application}",
            f"settlement/{application}",
        ]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def loan(world: World) -> Loan:
    """A loan to somebody whose data occurs nowhere else."""
    canary = secrets.token_hex(4)
    stated = {
        "applicant.given_name": f"Zéphyrine{canary}",
        "applicant.family_name": f"Quackenbosh{canary}",
        "applicant.email": f"zq.{canary}@canary.example",
        "applicant.address.line1": f"{canary} Mockingbird Lane",
        "applicant.document.number": f"D{canary.upper()}",
        "applicant.born_on": "1957-03-29",
    }
    person = world.person(stated)
    view = await world.fund(person)
    return Loan(person, view, (*stated.values(), "100-10-0001"))


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
    steps = await world.truth.actions(loan.tenant)
    assert set(steps) == APPLICATION_STEPS | PERSON_STEPS
    assert set(steps.values()) == {1}
    audited = await world.truth.rows(
        "SELECT action, actor, subject_id FROM audit_log WHERE tenant_id = $1 ORDER BY seq",
        loan.tenant,
    )
    actors = {each["action"]: each["actor"] for each in audited}
    assert actors["application.submitted"] == loan.person.data["user_id"]
    assert actors["offer.accepted"] == loan.person.data["user_id"]
    assert actors["offer.confirmed"] == "provider:first-harbour-bank"
    published = await world.truth.rows(
        "SELECT event_id, key, type FROM outbox WHERE tenant_id = $1 ORDER BY seq", loan.tenant
    )
    assert [each["type"] for each in published] == [each["action"] for each in audited]
    assert len({each["event_id"] for each in published}) == len(published)
    of_application = {each["type"] for each in published if each["key"] == loan.application_id}
    assert of_application == APPLICATION_STEPS


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


async def test_the_servers_count_of_events_is_within_the_budget(
    loan: Loan, temporal: Client, record_property: Any
) -> None:
    counts = {}
    for workflow_id in loan.workflow_ids():
        handle = temporal.get_workflow_handle(workflow_id)
        counts[workflow_id.partition("/")[0]] = len(
            [event async for event in handle.fetch_history_events()]
        )
    record_property("history_events", json.dumps(counts))
    print("history events:", counts, "together", sum(counts.values()))
    assert 0 < counts["credit-application"] <= MAX_EVENTS_APPLICATION, counts
    assert sum(counts.values()) <= MAX_EVENTS_ALL, counts


async def test_payloads_in_history_are_encrypted(loan: Loan, temporal: Client) -> None:
    for workflow_id in loan.workflow_ids():
        handle = temporal.get_workflow_handle(workflow_id)
        payloads = [
            payload async for event in handle.fetch_history_events() for payload in _payloads(event)
        ]
        encrypted = [each for each in payloads if each.metadata["encoding"] == b"binary/encrypted"]
        assert encrypted, workflow_id
        key_ids = {each.metadata["key-id"].partition(b"/")[2] for each in encrypted}
        assert key_ids == {loan.tenant.encode()}
        # The SDK's own note on a local activity is bookkeeping: its name and when it ran.
        readable = [json.loads(each.data) for each in payloads if each not in encrypted]
        assert set().union(*readable) <= LOCAL_ACTIVITY_NOTE


async def test_nobodys_data_lies_about_in_the_clear(world: World, loan: Loan) -> None:
    state = world.stack.state_dir
    places = {
        str(path.relative_to(state)): path.read_bytes()
        for pattern in ("temporal/temporal.db*", "logs/*.log")
        for path in state.glob(pattern)
    }
    for table in await world.truth.tables():
        rows = await world.truth.rows(f"SELECT t::text AS row FROM {table} t")
        places[f"table {table}"] = "\n".join(row["row"] for row in rows).encode()
    # The search finds what is there: ids, in every place that knows the application.
    knows = [place for place, content in places.items() if loan.application_id.encode() in content]
    assert any(place.startswith("temporal/") for place in knows)
    assert {"table applications", "table audit_log", "table outbox"} <= set(knows)
    for canary in loan.stated:
        for spelling in _spellings(canary):
            found = [place for place, content in places.items() if spelling in content]
            assert found == [], (canary, spelling)


async def test_support_staff_find_and_read_a_workflow(
    world: World, loan: Loan, temporal: Client
) -> None:
    found = [
        workflow.id
        async for workflow in temporal.list_workflows(
            f"CaasTenant = '{loan.tenant}' AND CaasState = 'funded'"
        )
    ]
    assert found == [f"credit-application/{loan.tenant}/{loan.application_id}"]

    keys = json.loads(world.stack.environment()["CAAS_MASTER_KEYS"])
    keyring = Keyring({version: base64.b64decode(key) for version, key in keys.items()})
    address, namespace = world.stack.temporal.address, world.stack.temporal.namespace
    reader = await connect(address, namespace, keyring)
    words = {}
    for workflow_id in loan.workflow_ids():
        metadata = await reader.get_workflow_handle(workflow_id).query(
            "__temporal_workflow_metadata", result_type=WorkflowMetadata
        )
        words[workflow_id.partition("/")[0]] = metadata.current_details
    assert words["credit-application"] == "Ended as funded."
    assert words["kyc"].startswith("Identity verified; valid until ")
    assert loan.view["loan"]["loan_id"] in words["settlement"]
    description = await reader.get_workflow_handle(loan.workflow_ids()[0]).describe()
    assert await description.static_summary() == f"Credit application {loan.application_id}"


def _two_strings(*texts: str) -> str:
    """ABI words of two dynamic strings."""
    head, tail = "", ""
    for text in texts:
        padded = text.encode().hex().ljust(-(-len(text.encode()) // 32) * 64, "0")
        head += word(64 + len(tail) // 2)
        tail += word(len(text.encode())) + padded
    return head + tail


def _payloads(message: Message) -> Iterator[Payload]:
    """Every payload within a protobuf message, but search attributes: those are for searching."""
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.name == "search_attributes" or field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            for each in value.values():
                if isinstance(each, Message):
                    yield from _payloads(each)
        elif isinstance(value, Message):
            yield from _payloads(value)
        else:
            for each in value:
                yield from _payloads(each)


def _spellings(text: str) -> set[bytes]:
    """A text as it might lie in a file: plain, escaped, hexadecimal, base64 at each alignment."""
    raw = text.encode()
    spellings = {raw, raw.lower(), raw.upper(), raw.hex().encode(), raw.hex().upper().encode()}
    spellings |= {quote(text).encode(), quote(text, safe="").encode(), text.encode("utf-16-le")}
    spellings.add(json.dumps(text).strip('"').encode())
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw)
        # Only characters that depend on nothing but the text itself.
        start, end = -(-shift * 8 // 6), (shift + len(raw)) * 8 // 6
        spellings |= {encoded[start:end], encoded[start:end].translate(_URL_SAFE)}
    return spellings


_URL_SAFE = bytes.maketrans(b"+/", b"-_")
