"""Named points where a test may stop the process: inert unless the sandbox arms them.

Armed by the environment variable `CAAS_FAILPOINTS`, as `name=action[,name=action…]`:

    kill           the process ends at once, as by SIGKILL
    pause:<file>   the file is written, then the process waits to be killed from outside;
                   if the file exists already the point is passed (the restarted worker goes on)

`settings.py` refuses to start a process with armed failpoints outside the sandbox environment.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Final

ENVIRONMENT_VARIABLE: Final = "CAAS_FAILPOINTS"

# Every failpoint there is; a test compares this list with the calls in the code.
FAILPOINTS: Final = frozenset(
    {
        "application.stored",
        "kyc.joined",
        "kyc.submitted",
        "kyc.concluded",
        "review.opened",
        "review.step_recorded",
        "review.closed",
        "eligibility.recorded",
        "risk.evidence_stored",
        "risk.assessed",
        "credit.decided",
        "offers.collected",
        "acceptance.recorded",
        "application.closed",
        "application.withdrawn",
        "notice.sent",
        "notice.recorded",
        "settlement.lender_confirmed",
        "settlement.attempt_persisted",
        "settlement.broadcast",
        "settlement.broadcast_recorded",
        "settlement.loan_booked",
        "outbox.sent",
        "settlement.failed",
    }
)


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
        marker.touch(exist_ok=False)
    except FileExistsError:
        return
    while True:  # blocks the event loop on purpose: nothing of this process may go on
        time.sleep(3600)
