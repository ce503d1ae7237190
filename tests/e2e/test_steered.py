"""Counterparties that misbehave as told: the loan comes to its right end, and nothing doubles.

Every case is somebody else's application on the shared stack; all travel at once. The rows of
faults 23, 35 to 38 and 42 to 45.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from sandbox.journey import Journey, journey_on
from sandbox.persona import Ending, Step, read_persona
from sandbox.stack_settings import LENDERS
from sandbox.steering import steered
from tests.e2e.outside import World

pytestmark = pytest.mark.stack

DOCUMENT = {"field": "person.document.number", "equals": "$document_number"}
NAMED = {"field": "person.names.given", "equals": "Ada $user_id"}
QUOTED = {"endpoint": "POST /v1/quotes", "field": "borrower", "equals": "$borrower"}
CONFIRMED = {"field": "acceptance.borrower", "equals": "$borrower"}

REVIEWED = (
    Step(do="reject", when={"state": "in_review"}, by="uma", role="underwriter", reason="No file."),
)
NO_FILE = Ending(state="rejected", reasons=("EVIDENCE_MISSING", "MODEL_UNAVAILABLE"))


@dataclass(frozen=True)
class Case:
    """Who is told what, how often, and how an otherwise approved application then ends."""

    counterparty: str
    match: dict[str, Any]
    do: dict[str, Any]
    times: int | None = 1
    ends_in: Ending = field(default_factory=lambda: Ending(state="funded"))
    steps: tuple[Step, ...] | None = None

    def rule(self) -> dict[str, Any]:
        return {"id": "$user_id", "match": self.match, "times": self.times, "do": self.do}


def vendor(**do: Any) -> Case:
    return Case("identity_vendor", {"endpoint": "POST /v1/checks", **DOCUMENT}, do)


def bureau(**do: Any) -> Case:
    """Told for good: no report can be read, so a person decides, and here rejects."""
    return Case("bureau", NAMED, do, None, NO_FILE, REVIEWED)


CASES: dict[str, Case] = {
    "vendor calls ten times at once": vendor(copies=10),
    "vendor calls late": vendor(verdict_after_s=3),
    "vendor corrects itself backwards": vendor(callbacks=["verdict", "superseded"]),
    "vendor tells it was pending, later": vendor(callbacks=["verdict", "pending"]),
    "vendor tells it is pending, first": vendor(callbacks=["pending", "verdict"]),
    "a forgery comes first": vendor(callbacks=["forged", "verdict"]),
    "a stray verdict comes first": vendor(callbacks=["wrong_verification_id", "verdict"]),
    "a forger cannot clear": Case(
        "identity_vendor",
        {"endpoint": "POST /v1/checks", **DOCUMENT},
        {"callbacks": ["forged", "verdict"], "verdict": "rejected"},
        ends_in=Ending(state="declined", reasons=("IDENTITY_NOT_VERIFIED",)),
        steps=(),
    ),
    "vendor swallows its reply": vendor(swallow_reply=True),
    "vendor cuts its reply": vendor(cut_reply=True),
    "vendor is busy": vendor(status=429, retry_after_s=1),
    "bank swallows a confirmation": Case("bank", CONFIRMED, {"swallow_reply": True}),
    "bank cuts a confirmation": Case("bank", CONFIRMED, {"cut_reply": True}),
    "bank fails a confirmation": Case("bank", CONFIRMED, {"status": 503}, times=2),
    "bank confirms slowly": Case("bank", CONFIRMED, {"slow_s": 2}),
    "bank drips a quote": Case("bank", QUOTED, {"drip_s": 0.5}),
    "bank quotes without end": Case("bank", QUOTED, {"huge_bytes": 20_000_000}),
    "bank quotes nonsense": Case("bank", QUOTED, {"malformed": True}),
    "bank hangs": Case("bank", QUOTED, {"hang_s": 60}),
    "bureau sends nonsense": bureau(malformed=True),
    "bureau sends no end": bureau(huge_bytes=20_000_000),
    "bureau drips": bureau(drip_s=1),
    "bureau swallows its replies": bureau(swallow_reply=True),
}


@dataclass(frozen=True)
class Gone:
    """A case's journey as it ended."""

    case: Case
    journey: Journey
    view: dict[str, Any]


async def _go(world: World, case: Case) -> Gone | Exception:
    tag = secrets.token_hex(6)
    persona = read_persona("approved").as_another(f"tenant-{tag}", f"user-{tag}")
    # The bureau is told of a person by a name that nobody else has.
    persona.application["applicant"]["given_name"] += f" {persona.user_id}"
    changes: dict[str, Any] = {"counterparties": {case.counterparty: (case.rule(),)}}
    if case.steps is not None:
        changes["steps"] = case.steps
    try:
        journey = await journey_on(world.stack, world.http, persona.model_copy(update=changes))
        return Gone(case, journey, await journey.run())
    except Exception as error:  # told by the tests of that case
        return error


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def gone(world: World) -> Mapping[str, Gone | Exception]:
    """Every case, all at once."""
    ends = await asyncio.gather(*(_go(world, case) for case in CASES.values()))
    return dict(zip(CASES, ends, strict=True))


def _journey(gone: Mapping[str, Gone | Exception], name: str) -> Gone:
    one = gone[name]
    if isinstance(one, Exception):
        raise one
    return one


@pytest.mark.parametrize("name", CASES)
async def test_the_application_ends_as_it_should(
    world: World, gone: Mapping[str, Gone | Exception], name: str
) -> None:
    one = _journey(gone, name)
    told = tuple(reason["code"] for reason in one.view["reasons"])
    assert Ending(state=one.view["state"], reasons=told) == one.case.ends_in
    borrower = one.journey.borrower
    balance = await world.node.balance_of(borrower.deployment.token, borrower.wallet.address)
    assert balance == (5_000 * 10**6 if one.view["state"] == "funded" else 0)


@pytest.mark.parametrize("name", CASES)
async def test_the_counterparty_did_as_it_was_told(
    world: World, gone: Mapping[str, Gone | Exception], name: str
) -> None:
    one = _journey(gone, name)
    standing = {rule["id"]: rule for rule in await steered(world.stack, one.case.counterparty)}
    took_effect = standing[one.journey.persona.user_id]["took_effect"]
    assert took_effect == one.case.times or (one.case.times is None and took_effect >= 1)


def _sent(world: World, one: Gone) -> list[tuple[str, int]]:
    """What the vendor sent of this person, and how it was answered."""
    return [
        (line["sent"], line["status"])
        for line in world.journals.lines("identity_vendor", "callback")
        if line["key"].startswith(f"{one.journey.persona.tenant}:")
    ]


async def test_ten_verdicts_at_once_are_heard_and_count_once(
    world: World, gone: Mapping[str, Gone | Exception]
) -> None:
    one = _journey(gone, "vendor calls ten times at once")
    assert [s for s in _sent(world, one) if s == ("verdict", 204)] == [("verdict", 204)] * 10
    answered = await world.truth.actions(one.journey.persona.tenant)
    assert (answered["kyc.answered"], answered["kyc.verified"]) == (1, 1)


@pytest.mark.parametrize("name", ["a forgery comes first", "a forger cannot clear"])
async def test_a_forgery_is_refused_and_the_true_verdict_heard(
    world: World, gone: Mapping[str, Gone | Exception], name: str
) -> None:
    one = _journey(gone, name)
    assert _sent(world, one) == [("forged", 401), ("verdict", 204)]


async def test_nothing_was_done_twice_by_any_counterparty(
    world: World, gone: Mapping[str, Gone | Exception]
) -> None:
    assert len(gone) == len(CASES)
    for name in ("identity_vendor", "bureau", "notifier", *LENDERS):
        assert world.journals.repeated(name) == []
