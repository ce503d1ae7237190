"""Named points where a test may stop the process: inert unless the sandbox arms them.

Armed by the environment variable `CAAS_FAILPOINTS`, as `name=action[,name=action…]`:

    kill           the process ends at once, as by SIGKILL
    pause:<file>   the file is written with the pid in it, then the process waits to be killed from
                   outside; if it exists already the point is passed (the restarted worker goes on)

Every activity has a point before it does anything and one after it has done everything
(`activity.<name>.before`, `.after`); the others are where an effect and its record come apart.

`settings.py` refuses to start a process with armed failpoints outside the sandbox environment.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Final

ENVIRONMENT_VARIABLE: Final = "CAAS_FAILPOINTS"

# Every activity there is, by its published name.
ACTIVITIES: Final = frozenset(
    {
        "assess_risk",
        "book_loan",
        "check_eligibility",
        "close_application",
        "close_review",
        "collect_offers",
        "conclude_verification",
        "decide_credit",
        "deliver_webhooks",
        "expire_offers",
        "expire_verification",
        "fail_settlement",
        "follow_settlement",
        "join_verification",
        "look_for_information",
        "observe_settlement",
        "open_review",
        "record_acceptance",
        "record_notice",
        "record_review_step",
        "recorded_ending",
        "refer_unscored",
        "resolve_settlement",
        "send_notice",
        "someone_waits",
        "submit_settlement",
        "submit_verification",
        "withdraw_application",
    }
)

# Every named point; a test compares both lists with the code.
NAMED: Final = frozenset(
    {
        "application.uncommitted",
        "application.stored",
        "application.dispatched",
        "write.effected",
        "write.kept",
        "callback.stored",
        "callback.told",
        "sweep.started",
        "sweep.told",
        "sweep.informed",
        "information.stored",
        "kyc.joined",
        "kyc.submitted",
        "kyc.concluded",
        "risk.evidence_stored",
        "settlement.lender_confirmed",
        "settlement.attempt_uncommitted",
        "settlement.attempt_persisted",
        "settlement.broadcast",
        "settlement.loan_uncommitted",
        "watcher.seen",
        "watcher.told",
        "outbox.unsent",
        "outbox.sent",
        "outbox.acknowledged",
        "webhook.taken_up",
        "webhook.sent",
        "webhook.kept",
        "webhook.handed_over",
        "webhook.retried",
    }
)

FAILPOINTS: Final = NAMED | {
    f"activity.{name}.{moment}" for name in ACTIVITIES for moment in ("before", "after")
}


def failpoint(name: str) -> None:
    """Do what the sandbox armed for this point; without arming, nothing at all."""
    armed = os.environ.get(ENVIRONMENT_VARIABLE)
    if not armed:
        return
    action = parse(armed).get(name)
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action is not None:
        _pause(Path(action.removeprefix("pause:")))


def parse(armed: str) -> dict[str, str]:
    """The armed points and their actions; ValueError names what is wrong."""
    actions: dict[str, str] = {}
    for part in filter(None, armed.split(",")):
        name, _, action = part.partition("=")
        if name not in FAILPOINTS:
            raise ValueError(f"no failpoint is called {name!r}")
        if action != "kill" and not action.startswith("pause:"):
            raise ValueError(
                f"failpoint {name}: action {action!r} is neither kill nor pause:<file>"
            )
        actions[name] = action
    return actions


def _pause(marker: Path) -> None:
    # Exclusive creation decides between first arrival (wait) and the restarted process (go on).
    try:
        with marker.open("x") as file:
            file.write(str(os.getpid()))
    except FileExistsError:
        return
    while True:  # blocks the event loop on purpose: nothing of this process may go on
        time.sleep(3600)
