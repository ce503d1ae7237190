"""What a client was answered, written down by the client: evidence outside the system."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import httpx


class ClientLog:
    """An append-only JSONL file of every answered write; give `heard` to a client as a hook."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    async def heard(self, answer: httpx.Response) -> None:
        """Write down an answered write: tenant, route, key, status and the body's hash."""
        request = answer.request
        key = request.headers.get("idempotency-key")
        if key is None:
            return
        body = await answer.aread()
        self.write(
            at=time.time(),
            tenant=_tenant_of(request.headers["authorization"]),
            route=f"{request.method} {request.url.path}",
            key=key,
            status=answer.status_code,
            body_sha256=hashlib.sha256(body).hexdigest(),
        )

    def write(self, **facts: Any) -> None:
        """Append one line in one call: a kill never leaves two lines mixed."""
        os.write(self._fd, json.dumps(facts, separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        """Give the file back."""
        os.close(self._fd)


def _tenant_of(authorization: str) -> str:
    """The tenant a bearer token is for, as the client put it there."""
    claims = authorization.split(".")[1]
    tenant: str = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["tenant"]
    return tenant
