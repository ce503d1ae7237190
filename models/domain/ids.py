"""Prefixed, time-ordered identifiers: `app_…`, `off_…` (UUIDv7, RFC 9562 §5.7) and workflow ids."""

from __future__ import annotations

import os
import re
import time
from typing import Final

PREFIXES: Final = frozenset(
    {
        "app", "off", "ver", "rev", "ass", "dec", "set", "loan", "evt", "led", "ntc", "inf",
        "usr", "ses", "inv", "svc", "key", "prv", "srch", "whk", "dlv",
    }
)  # fmt: skip
# The tenant of what belongs to no tenant.
PLATFORM: Final = "platform"
_ID_PATTERN: Final = re.compile(r"^[a-z]{3,4}_[0-9a-f]{32}$")
_NAME_PATTERN: Final = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._\-]{0,63}$")


def new_id(prefix: str) -> str:
    """A fresh id with the given prefix; ids made later sort later (to the millisecond)."""
    if prefix not in PREFIXES:
        raise ValueError(f"unknown id prefix {prefix!r}")
    millis = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (millis & (2**48 - 1)) << 80 | 0x7 << 76 | (random >> 68) << 64
    value |= 0b10 << 62 | (random & (2**62 - 1))
    return f"{prefix}_{value:032x}"


def is_id(value: str, prefix: str) -> bool:
    """Whether `value` has the form of an id of that kind; says nothing about its existence."""
    return value.startswith(prefix + "_") and _ID_PATTERN.fullmatch(value) is not None


def is_name(value: str) -> bool:
    """Whether `value` may be a tenant or user id: 1-64 ASCII characters, safe in a workflow id."""
    return _NAME_PATTERN.fullmatch(value) is not None


def application_workflow_id(tenant_id: str, application_id: str) -> str:
    """The one workflow id an application ever has."""
    return f"credit-application/{tenant_id}/{application_id}"


def kyc_workflow_id(tenant_id: str, user_id: str) -> str:
    """The workflow id of a person's identity verification within one tenant."""
    return f"kyc/{tenant_id}/{user_id}"


def risk_workflow_id(tenant_id: str, application_id: str) -> str:
    """The workflow id of an application's risk scoring."""
    return f"risk-scoring/{tenant_id}/{application_id}"


def settlement_workflow_id(tenant_id: str, application_id: str) -> str:
    """The workflow id of an application's settlement on chain."""
    return f"settlement/{tenant_id}/{application_id}"


def notice_workflow_id(tenant_id: str, application_id: str) -> str:
    """The workflow id of the notice an application's applicant is owed."""
    return f"notice/{tenant_id}/{application_id}"


def webhook_workflow_id(tenant_id: str, webhook_id: str, key: str) -> str:
    """The workflow id of what one webhook is to be told about one key, where that has failed."""
    return f"webhook-delivery/{tenant_id}/{webhook_id}~{key}"


def tenant_of_workflow(workflow_id: str) -> str | None:
    """The tenant named in a workflow id of ours, or None for a foreign id."""
    parts = workflow_id.split("/")
    return parts[1] if len(parts) == 3 and is_name(parts[1]) else None
