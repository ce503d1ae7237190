"""Money: paid once (I1), balanced (I2), intended before sent (I7), one nonce each (I8), final (I9),
and the same in all three places (I18)."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from eth_abi.abi import encode
from eth_hash.auto import keccak

from bench.invariants.chain_evidence import address_in
from bench.invariants.evidence import Evidence, Ref, Row, Tally, once_each

# Minor units of the settled currencies have two decimals.
_MINOR_DECIMALS: Final = 2
# A block's time is a whole second, rounded down, and the two clocks are read apart.
_CLOCK_SLACK_S: Final = 2.0
_ZERO: Final = "0x" + "0" * 40


def reference_of(tenant_id: str, application_id: str) -> str:
    """The loan reference as the design defines it, computed anew."""
    parts = ["caas/v1", tenant_id, application_id, "disburse"]
    return "0x" + keccak(encode(["string"] * 4, parts)).hex()


def money_once(evidence: Evidence, tally: Tally) -> None:
    """I1: every payment belongs to one funded application, and the other way round."""
    chain = evidence.chain
    final = [log for log in chain.disbursed if log.block_number <= chain.final]
    by_reference = Counter(log.topics[1] for log in final)
    once_each(tally, by_reference, "paid more than once:")
    applications = evidence.applications()
    owners = {reference_of(*ref): ref for ref in applications}
    accepted = evidence.accepted()
    for log in final:
        ref = owners.get(log.topics[1])
        application = applications[ref] if ref else None
        if not tally.expect(
            application is not None and application["state"] == "funded",
            "paid, but nothing is funded under", log.topics[1],
        ):  # fmt: skip
            continue
        assert ref is not None
        assert application is not None
        _paid_as_agreed(evidence, tally, log, application, accepted.get(ref))
    for ref, application in applications.items():
        if application["state"] == "funded":
            tally.expect(by_reference[reference_of(*ref)], "funded, but never paid:", *ref)
    _nothing_beside(evidence, tally)


def _paid_as_agreed(
    evidence: Evidence, tally: Tally, log: Any, application: Row, offer: Row | None
) -> None:
    lender, token, units = address_in(log.words[0]), address_in(log.words[1]), int(log.words[2], 16)
    scale = 10 ** (evidence.chain.token_decimals - _MINOR_DECIMALS)
    asked = (application["tenant_id"], application["application_id"])
    if not tally.expect(offer, "paid without an accepted offer:", *asked):
        return
    assert offer is not None
    tally.expect(units == offer["amount_minor"] * scale, "another amount was paid:", *asked)
    tally.expect(
        offer["amount_minor"] <= application["amount_minor"], "more than asked for:", *asked
    )
    tally.expect(token == evidence.chain.token, "another token was paid:", *asked)
    tally.expect(lender == offer["terms"]["lender"].lower(), "another lender paid:", *asked)
    paid_to = address_in(log.topics[3])
    tally.expect(paid_to == application["wallet"].lower(), "somebody else was paid:", *asked)


def _nothing_beside(evidence: Evidence, tally: Tally) -> None:
    """No token leaves a lender but by a disbursement; the platform never holds any."""
    chain = evidence.chain
    lenders = {row["lender"].lower() for row in evidence.rows("settlements")}
    paid = Counter(
        (log.tx_hash, address_in(log.words[0]), address_in(log.topics[3]), log.words[2])
        for log in chain.disbursed
    )
    moved = Counter(
        (log.tx_hash, address_in(log.topics[1]), address_in(log.topics[2]), log.words[0])
        for log in chain.transfers
        if address_in(log.topics[1]) in lenders
    )
    for transfer in paid.keys() | moved.keys():
        tally.expect(paid[transfer] == moved[transfer], "tokens moved otherwise:", *transfer[:3])
    for owner in (chain.aggregator, chain.relayer):
        tally.expect(chain.balances.get(owner, 0) == 0, "the platform holds tokens:", owner)


def balanced(evidence: Evidence, tally: Tally) -> None:
    """I2: postings recomputed: each entry sums to zero, and says what the loan says."""
    sums: Counter[tuple[str, str]] = Counter()
    debits: Counter[tuple[str, str]] = Counter()
    for posting in evidence.rows("ledger_postings"):
        entry = posting["tenant_id"], posting["entry_id"]
        sums[entry] += posting["amount_minor"]
        debits[entry] += max(posting["amount_minor"], 0)
    entries = evidence.by_application("ledger_entries")
    accepted = evidence.accepted()
    for row in evidence.rows("ledger_entries"):
        key = row["tenant_id"], row["entry_id"]
        ref = row["tenant_id"], row["application_id"]
        tally.expect(sums[key] == 0 and debits[key] > 0, "does not balance:", *key)
        offer = accepted.get(ref)
        as_agreed = offer is not None and debits[key] == offer["amount_minor"]
        tally.expect(as_agreed, "books another amount than was accepted:", *key)
    for orphan in sums.keys() - {(e["tenant_id"], e["entry_id"]) for e in _all(entries)}:
        tally.expect(False, "posted without an entry:", *orphan)
    for ref, application in evidence.applications().items():
        _booked_as_ended(tally, ref, application, entries.get(ref, []))


def _booked_as_ended(tally: Tally, ref: Ref, application: Row, entries: list[Row]) -> None:
    kinds = Counter(entry["kind"] for entry in entries)
    once_each(tally, {(*ref, kind): count for kind, count in kinds.items()}, "booked twice:")
    states = {entry["kind"]: entry["state"] for entry in entries}
    if application["state"] == "funded":
        wanted = {"commitment": "final", "disbursement": "final", "release": "final"}
        # A loan that somebody else relayed may never have been confirmed to us.
        if "commitment" not in states:
            wanted.pop("commitment")
        tally.expect(states == wanted, "a funded loan is booked as", states, *ref)
        return
    tally.expect(states.get("disbursement") in (None, "void", "pending"), "cleared:", *ref)
    if application["stage"] == "closed" and "commitment" in states:
        tally.expect("release" in states, "a commitment is never released:", *ref)


def _all(grouped: dict[Ref, list[Row]]) -> list[Row]:
    return [row for rows in grouped.values() for row in rows]


def intent_first(evidence: Evidence, tally: Tally) -> None:
    """I7: whatever our key sent was on record before, byte for byte."""
    attempts = {row["tx_hash"].lower(): row for row in evidence.rows("chain_attempts")}
    for row in attempts.values():
        raw = bytes.fromhex(row["raw"].removeprefix("0x"))
        tally.expect(
            "0x" + keccak(raw).hex() == row["tx_hash"].lower(),
            "stored bytes are not the transaction:", row["tx_hash"],
        )  # fmt: skip
    for sent in evidence.chain.sent:
        if sent.sender != evidence.chain.relayer:
            continue
        attempt = attempts.get(sent.tx_hash.lower())
        if not tally.expect(attempt, "sent without an attempt on record:", sent.tx_hash):
            continue
        assert attempt is not None
        tally.expect(
            attempt["created_at"].timestamp() <= evidence.chain.mined_by(sent.block_number),
            "sent before it was on record:", sent.tx_hash,
        )  # fmt: skip
        tally.expect(attempt["nonce"] == sent.nonce, "another nonce on record:", sent.tx_hash)


def nonces(evidence: Evidence, tally: Tally) -> None:
    """I8: one settlement per nonce, none left out, and the chain has used exactly these."""
    taken = Counter(
        (row["chain_id"], row["sender"].lower(), row["nonce"])
        for row in evidence.rows("chain_attempts")
    )
    once_each(tally, taken, "a nonce was used for several transactions:")
    settled = Counter(
        (row["tenant_id"], row["settlement_id"]) for row in evidence.rows("chain_attempts")
    )
    once_each(tally, settled, "a settlement has several attempts:")
    relayer = evidence.chain.relayer
    used = sorted(nonce for _, sender, nonce in taken if sender == relayer)
    if used:
        missing = sorted(set(range(used[0], used[-1] + 1)) - set(used))
        tally.expect(not missing, "nonces were left out:", missing[:5])
        count = evidence.chain.transaction_counts[relayer]
        tally.expect(count == used[-1] + 1, "the chain counts", count, "we signed to", used[-1])
    mined = [sent.nonce for sent in evidence.chain.sent if sent.sender == relayer]
    tally.expect(sorted(mined) == used, "mined nonces are not the signed ones")


def finality(evidence: Evidence, tally: Tally) -> None:
    """I9: what is cleared lies in a block that is still there, and was deep enough by then."""
    chain = evidence.chain
    final = {
        (row["tenant_id"], row["application_id"]): row
        for row in evidence.rows("settlements")
        if row["state"] == "final"
    }
    for ref, row in final.items():
        number = row["block_number"]
        tally.expect(
            row["block_hash"] == chain.block_hashes.get(number),
            "cleared in a block that is not there:", *ref,
        )  # fmt: skip
        tally.expect(number is not None and number <= chain.final, "not final:", *ref)
        tally.expect((row["confirmations"] or 0) >= chain.confirmations, "cleared too early:", *ref)
    for entry in evidence.rows("ledger_entries"):
        if entry["kind"] != "disbursement" or entry["state"] != "final":
            continue
        ref = entry["tenant_id"], entry["application_id"]
        settlement = final.get(ref)
        if not tally.expect(settlement, "cleared without a final settlement:", *ref):
            continue
        assert settlement is not None
        deep_at = chain.block_times.get((settlement["block_number"] or 0) + chain.confirmations - 1)
        cleared_at = entry["cleared_at"].timestamp() if entry["cleared_at"] else 0.0
        tally.expect(
            deep_at is not None and cleared_at + _CLOCK_SLACK_S >= deep_at,
            "cleared before its block was deep enough:", *ref,
        )  # fmt: skip


def reconciled(evidence: Evidence, tally: Tally) -> None:
    """I18: the final settlements of database, chain and Temporal are the same ones."""
    chain = evidence.chain
    paid = {log.topics[1] for log in chain.disbursed if log.block_number <= chain.final}
    booked = {
        reference_of(row["tenant_id"], row["application_id"])
        for row in evidence.rows("settlements")
        if row["state"] == "final"
    }
    loans = {
        reference_of(row["tenant_id"], row["application_id"]) for row in evidence.rows("loans")
    }
    concluded = set()
    for each in evidence.executions:
        kind, _, rest = each.workflow_id.partition("/")
        ended = kind == "settlement" and each.status == "COMPLETED"
        if ended and each.result["state"] == "final":
            concluded.add(reference_of(*rest.split("/", 1)))
    for reference in paid | booked | loans | concluded:
        places = {"chain": paid, "settlements": booked, "loans": loans, "workflows": concluded}
        absent = [name for name, known in places.items() if reference not in known]
        tally.expect(not absent, "not in", ", ".join(absent), reference)
