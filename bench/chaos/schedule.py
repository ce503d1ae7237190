"""Who applies and what goes wrong, and when: decided by a seed, and by nothing else."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

# Applications that arrive each second; faults strike over the same time.
ARRIVALS_PER_S: Final = 1.0
FIRST_FAULT_S: Final = 4.0
TENANTS: Final = ("chaos-east", "chaos-north", "chaos-south", "chaos-west")

# How often each story is told, in proportion.
PERSONAS: Final[Mapping[str, int]] = {
    "approved": 40,
    "declined": 8,
    "needs_review": 6,
    "sanctioned": 4,
    "thin_file": 6,
    "verified_before": 6,
    "vendor_down": 5,
    "bureau_down": 3,
    "expired_offer": 5,
    "withdrawn": 6,
    "changed_terms": 3,
    "requoted": 4,
    "enhanced_due_diligence": 6,
}

# Every kind of fault and how often it strikes, in proportion.
KINDS: Final[Mapping[str, int]] = {
    "kill worker-workflows": 5,
    "kill worker-workflows#2": 4,
    "kill worker-scoring": 3,
    "kill worker-chain": 5,
    "kill api": 4,
    "kill temporal": 2,
    "kill postgres": 2,
    "kill chain": 2,
    "freeze worker-workflows": 2,
    "freeze worker-scoring": 1,
    "freeze worker-chain": 2,
    "freeze kafka": 2,
    "drop a transaction": 3,
    "reorganise the chain": 3,
    "steer identity_vendor": 4,
    "steer bureau": 3,
    "steer bank": 4,
    "steer fintech": 2,
    "steer notifier": 2,
}

# What a counterparty may be told to do to a few requests of anybody's.
BEHAVIOURS: Final[Mapping[str, tuple[dict[str, Any], ...]]] = {
    "identity_vendor": (
        {"status": 503, "retry_after_s": 1},
        {"hang_s": 12.0},
        {"swallow_reply": True},
        {"malformed": True},
        {"callbacks": ["verdict"], "copies": 5},
        {"callbacks": ["forged", "verdict"]},
        {"callbacks": ["verdict", "pending"]},
        {"verdict_after_s": 6.0},
    ),
    "bureau": (
        {"status": 500},
        {"slow_s": 2.0},
        {"swallow_reply": True},
        {"malformed": True},
        {"huge_bytes": 20_000_000},
        {"cut_reply": True},
    ),
    "bank": (
        {"status": 503, "retry_after_s": 1},
        {"slow_s": 3.0},
        {"swallow_reply": True},
        {"malformed": True},
        {"duplicate_offers": True},
        {"cut_reply": True},
    ),
    "fintech": ({"status": 429, "retry_after_s": 1}, {"swallow_reply": True}, {"drip_s": 0.5}),
    "notifier": ({"status": 500}, {"swallow_reply": True}, {"slow_s": 2.0}),
}


@dataclass(frozen=True)
class Arrival:
    """Somebody applies so many seconds after the start."""

    at_s: float
    persona: str
    tenant: str
    user_id: str


@dataclass(frozen=True)
class Fault:
    """Something goes wrong so many seconds after the start; `detail` is what exactly."""

    number: int
    at_s: float
    kind: str
    detail: dict[str, Any]


@dataclass(frozen=True)
class Schedule:
    """One run."""

    seed: str
    arrivals: tuple[Arrival, ...]
    faults: tuple[Fault, ...]

    def lines(self) -> list[dict[str, Any]]:
        """What is going to happen, as it is printed."""
        return [asdict(fault) for fault in self.faults]


def draw(seed: str, applications: int, faults: int) -> Schedule:
    """A seed's schedule: each persona and each kind of fault at least once, if there is room."""
    dice = random.Random(seed)
    names = _mixed(dice, PERSONAS, applications)
    arrivals = tuple(
        Arrival(
            round(number / ARRIVALS_PER_S + dice.random(), 3),
            name,
            dice.choice(TENANTS),
            f"p{number:05d}",
        )
        for number, name in enumerate(names)
    )
    last = max(FIRST_FAULT_S + 1.0, applications / ARRIVALS_PER_S)
    moments = sorted(dice.uniform(FIRST_FAULT_S, last) for _ in range(faults))
    kinds = _mixed(dice, KINDS, faults)
    return Schedule(
        seed,
        arrivals,
        tuple(
            Fault(number, round(at_s, 3), kind, _detail(dice, kind))
            for number, (at_s, kind) in enumerate(zip(moments, kinds, strict=True))
        ),
    )


def _mixed(dice: random.Random, weights: Mapping[str, int], count: int) -> list[str]:
    """So many names, each at least once if there is room, in any order."""
    drawn = dice.sample(sorted(weights), min(count, len(weights)))
    more = max(0, count - len(drawn))
    drawn += dice.choices(list(weights), weights=list(weights.values()), k=more)
    dice.shuffle(drawn)
    return drawn


def _detail(dice: random.Random, kind: str) -> dict[str, Any]:
    what, _, target = kind.partition(" ")
    match what:
        case "kill":
            return {"away_s": round(dice.uniform(0.0, 1.0), 2)}
        case "freeze":
            # Past the heartbeat, so that the frozen one is given up while it lives.
            return {"for_s": round(dice.uniform(7.0, 10.0), 2)}
        case "reorganise":
            return {"depth": dice.choice((1, 2))}
        case "steer":
            return {"times": dice.randint(1, 4), "do": dice.choice(BEHAVIOURS[target])}
        case _:
            return {}
