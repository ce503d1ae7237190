"""The flow: one request one application (I3), rows and workflows agree (I4), one ending each (I5),
nothing stuck (I12)."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Final

from bench.invariants.evidence import Evidence, Execution, Ref, Row, Tally, once_each

TERMINAL: Final = frozenset({"funded", "declined", "withdrawn", "expired", "blocked", "rejected"})
_ENDINGS: Final = frozenset(f"application.{state}" for state in TERMINAL)
_SUBMIT: Final = "POST /api/v1/applications"
# States in which an application may rest because somebody else has the next move.
_RESTING: Final = frozenset({"offered", "in_review"})
_LONGEST_REST: Final = timedelta(days=7)


def requests(evidence: Evidence, tally: Tally) -> None:
    """I3: one key, one answer, one application; everything the client saw exists."""
    keys = Counter(
        (row["tenant_id"], row["route"], row["key"]) for row in evidence.rows("idempotency_keys")
    )
    once_each(tally, keys, "a key is on record more than once:")
    answered = {
        (row["tenant_id"], row["route"], row["key"]): row
        for row in evidence.rows("idempotency_keys")
    }
    applications = evidence.applications()
    submitted: Counter[Ref] = Counter()
    for (tenant_id, route, key), row in answered.items():
        if route == _SUBMIT and row["status"] == 202:
            submitted[tenant_id, json.loads(row["response"])["application_id"]] += 1
            tally.expect(row["subject"], "answered nobody:", tenant_id, key)
    for ref in submitted.keys() | applications.keys():
        tally.expect(ref in applications, "answered, but no such application:", *ref)
        tally.expect(submitted[ref] == 1, "applications of", submitted[ref], "requests:", *ref)
    _as_the_client_saw(evidence, tally, answered)


def _as_the_client_saw(
    evidence: Evidence, tally: Tally, answered: dict[tuple[str, str, str], Row]
) -> None:
    seen: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for line in evidence.client:
        if 200 <= line["status"] < 300:
            seen[line["tenant"], line["route"], line["key"]].add(line["body_sha256"])
    for request, bodies in seen.items():
        tally.expect(len(bodies) == 1, "a repetition was answered otherwise:", *request)
        row = answered.get(request)
        if tally.expect(row, "the client was answered, nothing is on record:", *request):
            assert row is not None
            kept = hashlib.sha256(row["response"] or b"").hexdigest()
            tally.expect(kept in bodies, "the client was answered otherwise:", *request)


def workflows(evidence: Evidence, tally: Tally) -> None:
    """I4: each application has its one workflow, each workflow its row."""
    effective: dict[str, list[Execution]] = defaultdict(list)
    for each in evidence.executions:
        # A reset run ends as terminated, a continued one goes on in the next: neither counts.
        if each.status not in ("TERMINATED", "CONTINUED_AS_NEW"):
            effective[each.workflow_id].append(each)
    applications = evidence.applications()
    people = {(row["tenant_id"], row["user_id"]) for row in evidence.rows("kyc_profiles")}
    notices = {(row["tenant_id"], row["application_id"]) for row in evidence.rows("notices")}
    accepted = evidence.audit("offer.accepted")
    owners: dict[str, set[Ref]] = {
        "credit-application": set(applications),
        "kyc": people,
        "notice": notices,
        "risk-scoring": set(applications),
        # One whose lender did not stand by its offer has an acceptance in its past alone.
        "settlement": {*evidence.accepted(), *accepted},
        "webhook-delivery": {
            (row["tenant_id"], f"{row['webhook_id']}~{row['key']}")
            for row in evidence.rows("webhook_deliveries")
        },
    }
    for workflow_id, runs in effective.items():
        kind, tenant_id, subject_id = workflow_id.split("/", 2)
        known = (tenant_id, subject_id) in owners.get(kind, set())
        tally.expect(known, "a workflow without a row:", workflow_id)
        # A person may be verified again after a year, and a receiver fail again.
        if kind not in ("kyc", "webhook-delivery"):
            # An offer that its lender does not stand by is void: the next one is settled anew.
            times = len(accepted.get((tenant_id, subject_id), ()))
            most = max(times, 1) if kind == "settlement" else 1
            tally.expect(len(runs) <= most, "several effective runs:", workflow_id)
    for tenant_id, application_id in applications:
        workflow_id = f"credit-application/{tenant_id}/{application_id}"
        tally.expect(workflow_id in effective, "an application without a workflow:", workflow_id)
    for tenant_id, application_id in notices:
        workflow_id = f"notice/{tenant_id}/{application_id}"
        tally.expect(workflow_id in effective, "a notice without a workflow:", workflow_id)


def endings(evidence: Evidence, tally: Tally) -> None:
    """I5: exactly one ending, the same in row, event, audit trail and workflow."""
    events = _endings_by_application(evidence.rows("outbox"), "type", "key")
    audited = _endings_by_application(evidence.rows("audit_log"), "action", "subject_id")
    runs = {
        each.workflow_id: each
        for each in evidence.executions
        if each.workflow_id.startswith("credit-application/")
        and each.status not in ("TERMINATED", "CONTINUED_AS_NEW")
    }
    for ref, application in evidence.applications().items():
        state = application["state"]
        wanted = [f"application.{state}"] if state in TERMINAL else []
        tally.expect(events.get(ref, []) == wanted, f"{state}, but told of", events.get(ref), *ref)
        tally.expect(
            audited.get(ref, []) == wanted, f"{state}, but audited", audited.get(ref), *ref
        )
        tally.expect(
            (application["stage"] == "closed") == (state in TERMINAL), "half closed:", *ref
        )
        run = runs.get("/".join(("credit-application", *ref)))
        if run is None:
            continue
        if state in TERMINAL:
            ended = run.status == "COMPLETED" and run.result["state"] == state
            told = run.result["state"] if run.result else run.status
            tally.expect(ended, f"{state}, but its workflow ended as", told, *ref)
        else:
            tally.expect(run.status == "RUNNING", "open without a running workflow:", *ref)


def _endings_by_application(rows: list[Row], name: str, subject: str) -> dict[Ref, list[str]]:
    found: dict[Ref, list[str]] = defaultdict(list)
    for row in rows:
        if row[name] in _ENDINGS:
            found[row["tenant_id"], row[subject]].append(row[name])
    return found


def nothing_stuck(evidence: Evidence, tally: Tally) -> None:
    """I12: whatever is open waits for somebody, and not longer than it may."""
    now = datetime.fromtimestamp(evidence.taken_at, UTC)
    for ref, application in evidence.applications().items():
        if application["state"] in TERMINAL:
            tally.checked += 1
            continue
        rests = application["state"] in _RESTING or _waits_for_identity(evidence, application)
        fresh = now - application["updated_at"] < _LONGEST_REST
        tally.expect(rests and fresh, "stuck in", application["stage"], application["state"], *ref)
    for each in evidence.executions:
        broken = each.status in ("FAILED", "TIMED_OUT", "CANCELED")
        tally.expect(not broken, "a workflow ended as", each.status, each.workflow_id)
    for queue, depth in evidence.backlog.items():
        tally.expect(depth == 0, "tasks nobody takes:", depth, "in", queue)
    for row in evidence.rows("notices"):
        late = row["status"] == "pending" and row["due_at"] < now
        tally.expect(not late, "a notice is past its day:", row["notice_id"])
    _nothing_undelivered(evidence, tally)


def _waits_for_identity(evidence: Evidence, application: Row) -> bool:
    waiting = ("pending", "in_review")
    return application["stage"] == "identity" and any(
        row["status"] in waiting
        for row in evidence.rows("kyc_profiles")
        if (row["tenant_id"], row["user_id"]) == (application["tenant_id"], application["user_id"])
    )


def _nothing_undelivered(evidence: Evidence, tally: Tally) -> None:
    open_ones = {
        ref for ref, row in evidence.applications().items() if row["state"] not in TERMINAL
    }
    for row in evidence.rows("start_intents"):
        tally.expect(False, "never started:", row["application_id"])
    for row in evidence.rows("callback_events"):
        tally.expect(row["delivered_at"], "a callback nobody got:", row["event_id"])
    for row in evidence.rows("information_requests"):
        lost = row["answered_at"] is not None and row["delivered_at"] is None
        tally.expect(not lost, "an answer nobody got:", row["request_id"])
    for row in evidence.rows("kyc_waiters"):
        waits = (row["tenant_id"], row["application_id"]) in open_ones
        told = row["answer"] is not None and row["told_at"] is not None
        tally.expect(told or waits, "never told of the verification:", row["application_id"])
    applications = evidence.applications()
    for row in evidence.rows("reviews"):
        about = row["tenant_id"], row["subject_id"]
        moot = row["status"] == "open" and about in applications and about not in open_ones
        tally.expect(not moot, "a review of a closed application is open:", row["review_id"])
    for row in evidence.rows("settlements"):
        ended = row["state"] in ("final", "failed")
        tally.expect(ended, "a settlement is still", row["state"], row["settlement_id"])
    for row in evidence.rows("ledger_entries"):
        tally.expect(row["state"] != "pending", "still pending:", row["kind"], row["entry_id"])
    for row in evidence.rows("outbox"):
        if row.get("parked_at") is not None:
            tally.expect(row["parked_because"], "parked without a reason:", row["event_id"])
        elif evidence.topic is not None:
            tally.expect(row["published_at"], "never published:", row["event_id"])
