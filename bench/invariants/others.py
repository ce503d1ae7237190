"""What others have seen: effects once (I6), offers (I10), callbacks (I11), tenancy (I20)."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any, Final

from eth_account.messages import encode_typed_data

from bench.invariants.evidence import Evidence, Row, Tally, once_each

_LOAN_TERMS: Final = [
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
]
_NAMES: Final = {
    "loanReference": "loan_reference",
    "totalRepayable": "total_repayable",
    "aprBps": "apr_bps",
    "termMonths": "term_months",
}


def effects_once(evidence: Evidence, tally: Tally) -> None:
    """I6: the counterparties' own journals show one effect per business key."""
    for name, lines in evidence.journals.items():
        done = Counter(
            (name, line["effect"], line["key"]) for line in lines if line["kind"] == "effect"
        )
        once_each(tally, done, "done more than once:")
    confirmed = Counter(line["loan_reference"] for _, line in evidence.effects("quote.confirmed"))
    once_each(tally, confirmed, "lenders have confirmed more than once:")


def terms_hash_of(terms: Row) -> str:
    """The EIP-712 struct hash of terms on record, by another library than the product's."""
    message = {
        name: terms[_NAMES.get(name, name)]
        if kind in ("address", "bytes32")
        else int(terms[_NAMES.get(name, name)])
        for kind, name in _LOAN_TERMS
    }
    fields = [{"name": name, "type": kind} for kind, name in _LOAN_TERMS]
    signable = encode_typed_data({"name": "any"}, {"LoanTerms": fields}, message)
    return "0x" + signable.body.hex()


def offers(evidence: Evidence, tally: Tally) -> None:
    """I10: one accepted offer at most, in time, and the same terms for everybody."""
    accepted = [row for row in evidence.rows("offers") if row["status"] == "accepted"]
    once_each(
        tally,
        Counter((row["tenant_id"], row["application_id"]) for row in accepted),
        "several offers were accepted:",
    )
    # By the hash its lender quoted: the lender's own copy of what it would sign.
    quoted = {
        each["terms_hash"]: each
        for _, line in evidence.effects("quote.issued")
        for each in _quotes_in(line["answer"])
    }
    # What a lender confirmed in the end, or what it tried instead.
    confirmed = {
        line["loan_reference"]: line["answer"]
        for effect in ("quote.changed", "quote.confirmed")
        for _, line in evidence.effects(effect)
    }
    applications = evidence.applications()
    for row in evidence.rows("offers"):
        about = row["tenant_id"], row["offer_id"]
        tally.expect(
            row["terms_hash"] == terms_hash_of(row["terms"]), "the hash is of other terms:", *about
        )
        if quoted:
            tally.expect(
                row["terms_hash"] in quoted or row["provider_id"] not in _journaled(evidence),
                "its lender never quoted this:", *about,
            )  # fmt: skip
    for row in accepted:
        ref = row["tenant_id"], row["application_id"]
        _accepted_properly(evidence, tally, row)
        held = applications[ref]["accepted_offer_id"] if ref in applications else None
        tally.expect(held == row["offer_id"], "the application holds another offer:", *ref)
        answer = confirmed.get(row["terms"]["loan_reference"])
        if answer is not None and "terms_hash" in answer:
            # A lender may try: then nothing is paid.
            unpaid = applications[ref]["state"] != "funded" if ref in applications else False
            same = answer["terms_hash"] == row["terms_hash"]
            tally.expect(same or unpaid, "its lender confirmed other terms:", *ref)


def _accepted_properly(evidence: Evidence, tally: Tally, row: Row) -> None:
    ref = row["tenant_id"], row["application_id"]
    audited = [
        each
        for each in evidence.audit("offer.accepted").get(ref, [])
        if each["detail"]["offer_id"] == row["offer_id"]
    ]
    if tally.expect(len(audited) == 1, "accepted", len(audited), "times on record:", *ref):
        in_time = audited[0]["recorded_at"] < row["expires_at"]
        tally.expect(in_time, "accepted after it had expired:", *ref)
    signed = row["acceptance"] or {}
    same = signed.get("terms_hash") == row["terms_hash"]
    tally.expect(same, "the borrower signed other terms:", *ref)


def _journaled(evidence: Evidence) -> set[str]:
    """Lenders that keep a journal; a contract on chain keeps none."""
    return {
        each["provider_id"]
        for _, line in evidence.effects("quote.issued")
        for each in _quotes_in(line["answer"])
        if "provider_id" in each
    }


def _quotes_in(answer: Any) -> list[Row]:
    """Every quote in a lender's answer, whatever it is wrapped in."""
    if isinstance(answer, list):
        return [quote for each in answer for quote in _quotes_in(each)]
    if not isinstance(answer, dict):
        return []
    if "terms_hash" in answer:
        return [answer]
    return [quote for each in answer.values() for quote in _quotes_in(each)]


def callbacks(evidence: Evidence, tally: Tally) -> None:
    """I11: each event once, truly the vendor's, and no conclusion is ever taken back."""
    events = Counter(
        (row["tenant_id"], row["vendor"], row["event_id"])
        for row in evidence.rows("callback_events")
    )
    once_each(tally, events, "a callback is on record more than once:")
    sent = {
        line["event"]["event_id"]: line["event"] for _, line in evidence.effects("check.completed")
    }
    for row in evidence.rows("callback_events"):
        event = sent.get(row["event_id"])
        if tally.expect(event, "the vendor never sent", row["event_id"]):
            assert event is not None
            same = (event["verdict"], event["reference"])
            told = (row["verdict"], f"{row['tenant_id']}.{row['verification_id']}")
            tally.expect(
                same[0] == told[0] and row["verification_id"] in same[1],
                "the vendor said otherwise:", row["event_id"],
            )  # fmt: skip
    _concluded_once(evidence, tally)


def _concluded_once(evidence: Evidence, tally: Tally) -> None:
    """A verification is submitted, then concluded, once; its vendor's verdict is what counts."""
    steps: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in evidence.rows("audit_log"):
        verification = row["detail"].get("verification_id")
        if verification is not None:
            steps[row["tenant_id"], verification].append(row["action"])
    for about, actions in steps.items():
        ended = [each for each in actions if each in _CONCLUSIONS]
        tally.expect(len(ended) <= 1, "concluded several times:", *about, *ended)
        order = [_ORDER[each] for each in actions if each in _ORDER]
        tally.expect(order == sorted(order), "went backward:", *about, *actions)


_CONCLUSIONS: Final = frozenset({"kyc.verified", "kyc.failed", "kyc.expired"})
# The vendor may answer before our record of the submission is written, or after the conclusion.
_ORDER: Final = {"kyc.submitted": 0, "kyc.verified": 1, "kyc.failed": 1}


def tenancy(evidence: Evidence, tally: Tally) -> None:
    """I20: a foreign id is answered like an absent one."""
    for probe in evidence.probes:
        tally.expect(probe.status == 404, f"answered {probe.status} to", probe.tenant, probe.path)
    tenants = {row["tenant_id"] for row in evidence.rows("applications")}
    for child in ("offers", "settlements", "loans", "decisions", "assessments", "ledger_entries"):
        known = evidence.applications()
        for row in evidence.rows(child):
            ref = row["tenant_id"], row["application_id"]
            tally.expect(ref in known and ref[0] in tenants, f"{child} of a stranger:", *ref)
