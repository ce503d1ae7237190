"""The records: events (I13), audit trail (I14), what decisions rest on (I15)."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bench.invariants.evidence import Evidence, Ref, Row, Tally, once_each
from bench.invariants.seals import chain_hash, genesis, row_hash
from settings import ROOT

_MODELS: Final = ROOT / "models" / "risk" / "artifacts"


def outbox(evidence: Evidence, tally: Tally) -> None:
    """I13: each audited step is an event and the other way round; each event reached the topic."""
    once_each(
        tally, Counter(row["event_id"] for row in evidence.rows("outbox")), "an event id twice:"
    )
    audited = Counter(
        _step(row["tenant_id"], row["action"], row["subject_id"], row["detail"])
        for row in evidence.rows("audit_log")
        if row["action"].partition(".")[0] not in _AUDITED_ONLY
    )
    told = Counter(
        _step(row["tenant_id"], row["type"], row["data"]["subject_id"], _without_subject(row))
        for row in evidence.rows("outbox")
    )
    for step in audited.keys() | told.keys():
        tally.expect(
            audited[step] == told[step],
            f"audited {audited[step]} times, told {told[step]} times:", *step[:3],
        )  # fmt: skip
    if evidence.topic is not None:
        _reached_the_topic(evidence, tally)


# Who signed in and which keys there are is for auditors; subscribers learn of applications.
_AUDITED_ONLY: Final = frozenset(
    {
        "account",
        "api_key",
        "invitation",
        "provider_credentials",
        "provider_registry",
        "service_account",
        "session",
        "signing_key",
        "tenant",
        "webhook_registry",
    }
)


def _step(tenant_id: str, action: str, subject_id: str, detail: Row) -> tuple[str, ...]:
    return tenant_id, action, subject_id, json.dumps(detail, sort_keys=True)


def _without_subject(row: Row) -> Row:
    return {name: value for name, value in row["data"].items() if name != "subject_id"}


def _reached_the_topic(evidence: Evidence, tally: Tally) -> None:
    assert evidence.topic is not None
    rows = {row["event_id"]: row for row in evidence.rows("outbox")}
    first: dict[str, tuple[int, int]] = {}
    for partition, offset, _, event_id in sorted(evidence.topic.records):
        tally.expect(event_id in rows, "published, but not ours:", event_id)
        first.setdefault(event_id, (partition, offset))
    lanes: dict[Ref, list[Row]] = defaultdict(list)
    for event_id, row in rows.items():
        if row["published_at"] is not None:
            tally.expect(event_id in first, "marked as published, never arrived:", event_id)
        lanes[row["tenant_id"], row["key"]].append(row)
    for lane, events in lanes.items():
        order = [
            first[row["event_id"]]
            for row in sorted(events, key=lambda each: int(each["seq"]))
            if row["event_id"] in first
        ]
        tally.expect(order == sorted(order), "out of order along", *lane)
        tally.expect(len({partition for partition, _ in order}) <= 1, "two partitions:", *lane)


def audit_trail(evidence: Evidence, tally: Tally) -> None:
    """I14: every transition has its row, in a legal order, and the hash chain holds."""
    moves: dict[Ref, list[Row]] = defaultdict(list)
    for row in evidence.rows("audit_log"):
        if "state" in row["detail"] and "stage" in row["detail"]:
            moves[row["tenant_id"], row["subject_id"]].append(row)
    # A new document is stated in every open application of its person: a version, no transition.
    amended = Counter(
        (row["tenant_id"], row["user_id"])
        for row in evidence.rows("information_requests")
        if row["answered_at"] is not None and row["new_document"]
    )
    for ref, application in evidence.applications().items():
        rows = moves.get(ref, [])
        actions = Counter(row["action"] for row in rows)
        tally.expect(actions["application.submitted"] == 1, "no record of its submission:", *ref)
        tally.expect(actions["application.started"] == 1, "no record of its start:", *ref)
        most = application["version"] + 1
        least = most - amended[application["tenant_id"], application["user_id"]]
        tally.expect(
            least <= len(rows) <= most, f"{most} transitions, {len(rows)} on record:", *ref
        )
        if rows:
            last = rows[-1]["detail"]
            stands = application["state"], application["stage"]
            same = (last["state"], last["stage"]) == stands
            tally.expect(same, "the last transition on record is another:", *ref)
    _settlements_audited(evidence, tally)
    _sealed(evidence, tally)


def _settlements_audited(evidence: Evidence, tally: Tally) -> None:
    signed, confirmed = evidence.audit("settlement.signed"), evidence.audit("offer.confirmed")
    for row in evidence.rows("chain_attempts"):
        found = [
            each
            for rows in signed.values()
            for each in rows
            if each["detail"]["tx_hash"] == row["tx_hash"]
        ]
        tally.expect(len(found) == 1, "signed without a record:", row["tx_hash"])
    for row in evidence.rows("ledger_entries"):
        if row["kind"] == "commitment":
            ref = row["tenant_id"], row["application_id"]
            tally.expect(len(confirmed.get(ref, ())) == 1, "committed without a record:", *ref)
    for row in evidence.rows("loans"):
        ref = row["tenant_id"], row["application_id"]
        funded = evidence.audit("application.funded").get(ref, [])
        known = [each for each in funded if each["detail"].get("loan_id") == row["loan_id"]]
        tally.expect(len(known) == 1, "booked without a record:", *ref)


def _sealed(evidence: Evidence, tally: Tally) -> None:
    """Recompute every tenant's hash chain from its beginning."""
    if "audit_seals" not in evidence.tables:
        return
    rows = {(row["tenant_id"], row["seq"]): row for row in evidence.rows("audit_log")}
    waiting = {(row["tenant_id"], row["audit_seq"]) for row in evidence.rows("audit_unsealed")}
    by_tenant: dict[str, list[Row]] = defaultdict(list)
    for seal in evidence.rows("audit_seals"):
        by_tenant[seal["tenant_id"]].append(seal)
    covered = set()
    for tenant_id, seals in by_tenant.items():
        chained = genesis(tenant_id)
        for position, seal in enumerate(sorted(seals, key=lambda each: each["position"]), 1):
            key = tenant_id, seal["audit_seq"]
            covered.add(key)
            row = rows.get(key)
            tally.expect(seal["position"] == position, "a seal is missing before", *key)
            if tally.expect(row, "sealed, but gone:", *key):
                assert row is not None
                same = row_hash(row) == bytes(seal["row_hash"])
                tally.expect(same, "not the row that was sealed:", *key)
            chained = chain_hash(chained, tenant_id, seal)
            tally.expect(chained == bytes(seal["chain_hash"]), "the chain breaks at", *key)
            chained = bytes(seal["chain_hash"])
    for key in rows.keys() - covered:
        tally.expect(key in waiting, "never sealed, and not in line:", *key)
    tally.expect(not waiting, "rows wait for their seal:", len(waiting))


def provenance(evidence: Evidence, tally: Tally) -> None:
    """I15: nothing is approved without identity, screening, rules and a model, in that order."""
    decisions = evidence.by_application("decisions")
    assessments = evidence.by_application("assessments")
    waiters = evidence.by_application("kyc_waiters")
    known_models = {manifest["model_version"]: manifest["sha256"] for manifest in _manifests()}
    approvals: dict[Ref, list[Row]] = defaultdict(list)
    for row in evidence.rows("reviews"):
        if row["status"] == "approved":
            approvals[row["tenant_id"], row["subject_id"]].append(row)
            _signed_off(tally, row)
    searched = {
        (row["tenant_id"], row["application_id"]) for row in evidence.rows("offer_searches")
    }
    for ref in searched | set(evidence.accepted()):
        phases = {row["phase"]: row for row in decisions.get(ref, [])}
        [answer] = waiters.get(ref, [None])[:1]
        identified = answer is not None and (answer["answer"] or {}).get("status") == "verified"
        tally.expect(identified or approvals.get(ref), "approved unidentified:", *ref)
        for phase in ("eligibility", "credit"):
            decision = phases.get(phase)
            if tally.expect(decision, f"approved without a decision on {phase}:", *ref):
                assert decision is not None
                _rests_on_something(tally, ref, decision, approvals.get(ref, []))
        scored = assessments.get(ref, [])
        if tally.expect(len(scored) == 1, "approved without an assessment:", *ref):
            _known_model(tally, ref, scored[0], phases.get("credit"), known_models)
            _in_order(evidence, tally, ref, phases, scored[0])


def _rests_on_something(tally: Tally, ref: Ref, decision: Row, approvals: list[Row]) -> None:
    phase = decision["phase"]
    tally.expect(decision["rule_set_version"], f"{phase} without rules:", *ref)
    tally.expect(decision["sanctions_list_version"], f"{phase} without screening:", *ref)
    allowed = decision["outcome"] == "allow"
    reviewed = any(each["kind"] == phase for each in approvals)
    tally.expect(allowed or reviewed, f"{phase}: {decision['outcome']}, yet approved:", *ref)


def _known_model(
    tally: Tally, ref: Ref, scored: Row, credit: Row | None, known: Mapping[str, str]
) -> None:
    tally.expect(scored["model_version"], "approved without a model:", *ref)
    if scored["outcome"] == "scored":
        sha256 = known.get(scored["model_version"])
        tally.expect(sha256 == scored["model_sha256"], "no such model:", *ref)
    if credit is not None:
        same = credit["model_version"] == scored["model_version"]
        tally.expect(same, "decided upon another model:", *ref)


def _in_order(
    evidence: Evidence, tally: Tally, ref: Ref, phases: Mapping[str, Row], scored: Row
) -> None:
    """What a decision rests on was there when it was made."""
    moments = [
        phases[phase]["decided_at"] if phase in phases else None for phase in ("eligibility",)
    ]
    moments.append(scored["assessed_at"])
    moments.append(phases["credit"]["decided_at"] if "credit" in phases else None)
    # Lenders may be asked again once an acceptance came to nothing, but never before all this.
    offered = [row["recorded_at"] for row in evidence.audit("offers.collected").get(ref, [])]
    moments += sorted(offered)[:1]
    moments += sorted(row["recorded_at"] for row in evidence.audit("offer.accepted").get(ref, []))
    known = [each for each in moments if each is not None]
    tally.expect(known == sorted(known), "decided before it could be:", *ref)


def _signed_off(tally: Tally, review: Row) -> None:
    """Named people, as many as were needed, none of them the applicant."""
    people = {*review["approvals"], review["decided_by"]} - {None}
    about = review["tenant_id"], review["review_id"]
    tally.expect(len(people) >= review["approvals_needed"], "too few approved", *about)
    tally.expect(review["applicant_id"] not in people, "approved their own:", *about)


def _manifests() -> list[dict[str, Any]]:
    """The committed models; the hash of each is recomputed from its file."""
    found = []
    for path in sorted(Path(_MODELS).glob("*.json")):
        manifest = json.loads(path.read_text("utf-8"))
        arrays = path.with_suffix(".npz")
        if arrays.exists() and "model_version" in manifest:
            manifest["sha256"] = hashlib.sha256(arrays.read_bytes()).hexdigest()
            found.append(manifest)
    return found
