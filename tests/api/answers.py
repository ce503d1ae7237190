"""What every answer and every refusal of the API looks like, asked from outside."""

from __future__ import annotations

import re
from typing import Any

import httpx

FRAME = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}


def framed(answer: httpx.Response) -> None:
    """Every answer is named and says how not to be treated."""
    assert {name: answer.headers.get(name) for name in FRAME} == FRAME, answer
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert re.fullmatch(r"[A-Za-z0-9._\-]{8,64}", answer.headers["x-request-id"])


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document; its parts agree with each other and with the answer."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert (document["status"], document["code"]) == (status, code)
    assert document["type"] == "urn:caas:problem:" + code.lower().replace("_", "-")
    assert document["title"]
    framed(answer)
    return document
