"""What becomes of a lender's signed callback that comes more than once."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import Final

from adapters.webhooks.signature import DEFAULT_TOLERANCE_S, sign_callback, verify_callback
from models.domain.errors import Invalid
from sandbox.certification.row import Part, Row
from sandbox.certification.trial import Trial, require, unmet


async def double_callback(trial: Trial) -> str:
    """Both copies are authentic under one id, so the second is known; no other copy is believed.

    It is the platform that verifies callbacks and keeps each id once (a table's key), whatever the
    adapter; the row holds the verifier every lender's callback passes against a lender's habits.
    """
    secret, now = secrets.token_bytes(32), datetime.now(UTC)
    told = {"application": trial.request.application_id, "status": "signed"}
    body = json.dumps(told).encode()
    message_id = "msg_" + secrets.token_hex(16)
    headers = sign_callback(secret, message_id, body, now)
    later = sign_callback(secret, message_id, body, now + timedelta(seconds=30))
    effects = {
        verify_callback(secret, each, body, now + timedelta(seconds=30))
        for each in (headers, headers, later)
    }
    require(effects == {message_id}, f"{len(effects)} effects of one callback")
    stale = now + timedelta(seconds=DEFAULT_TOLERANCE_S + 1)
    for what, copy, said, at in (
        ("altered", headers, body.replace(b"signed", b"denied"), now),
        ("under another id", {**headers, "webhook-id": "msg_other"}, body, now),
        ("replayed late", headers, body, stale),
    ):
        try:
            verify_callback(secret, copy, said, at)
        except Invalid:
            continue
        unmet(f"a copy {what} is believed")
    return "one id, one effect; altered, renamed and late copies refused"


ROWS: Final = (
    Row(
        "double-callback",
        Part.CALLBACKS,
        "one effect, and no copy believed that is not the lender's",
        double_callback,
    ),
)
