"""What the simulated identity vendor will say of a check, when, and how often. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

# An event that another one has overtaken says that it happened this much earlier.
_OVERTAKEN_BY: Final = timedelta(minutes=1)

_REASONS: Final = {
    "clear": None,
    "unclear": "DOCUMENT_NOT_LEGIBLE",
    "rejected": "DOCUMENT_NOT_GENUINE",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """The verdict after `delay_s`, in the order of `callbacks`, each verdict `copies` at once."""

    verdict: str
    delay_s: float
    callbacks: tuple[str, ...]
    copies: int


def plan_for(
    document_number: str, usual_delay_s: float, told: Callable[[str], Any] = lambda _: None
) -> Plan:
    """What the document's number asks for (see identity_vendor.py), unless `told` otherwise.

    `told` looks up a steering directive by its name.
    """
    number = document_number.upper()
    verdict = "rejected" if "REJECT" in number else "unclear" if "UNCLEAR" in number else "clear"
    slow = re.search(r"SLOW([0-9]{1,4})", number)
    deliveries = 0 if "NEVER" in number else 2 if "TWICE" in number else 1
    delay_s, callbacks = told("verdict_after_s"), told("callbacks")
    if delay_s is None:
        delay_s = float(slow[1]) if slow else usual_delay_s
    if callbacks is None:
        callbacks = ("verdict",) * deliveries
    return Plan(told("verdict") or verdict, delay_s, tuple(callbacks), told("copies") or 1)


def verdict_event(check_id: str, reference: str, verdict: str, now: datetime) -> dict[str, Any]:
    """The event that tells the verdict."""
    return {
        "event_id": _event_id(check_id),
        "type": "check.completed",
        "check_id": check_id,
        "reference": reference,
        "verdict": verdict,
        "reason": _REASONS[verdict],
        "occurred_at": now.isoformat(timespec="milliseconds"),
    }


def variant_of(event: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The event that is sent for this kind of callback; "verdict" is the event itself.

    pending                 a state the check had before, told by an event of its own
    superseded              a verdict that the vendor itself has corrected since
    forged                  somebody else's: clear, whatever was found (its signature is wrong)
    wrong_verification_id   the verdict, for a verification nobody asked for
    """
    if kind == "verdict":
        return dict(event)
    if kind == "forged":
        return {**event, "verdict": "clear", "reason": None}
    event_id = _event_id(f"{event['check_id']}:{kind}")
    earlier = datetime.fromisoformat(event["occurred_at"]) - _OVERTAKEN_BY
    before = {"event_id": event_id, "occurred_at": earlier.isoformat(timespec="milliseconds")}
    if kind == "pending":
        return {**event, **before, "type": "check.pending", "verdict": None, "reason": None}
    if kind == "superseded":
        verdict = "rejected" if event["verdict"] == "clear" else "clear"
        return {**event, **before, "verdict": verdict, "reason": _REASONS[verdict]}
    tenant_id, _, verification_id = event["reference"].partition(":")
    other = verification_id[:4] + hashlib.sha256(verification_id.encode()).hexdigest()[:32]
    return {**event, "event_id": event_id, "reference": f"{tenant_id}:{other}"}


def _event_id(of: str) -> str:
    return "evt_" + hashlib.sha256(of.encode("ascii")).hexdigest()[:32]
