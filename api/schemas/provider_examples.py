"""Worked examples of requests and answers about providers."""

from __future__ import annotations

from typing import Any, Final

from pydantic import ConfigDict

PROVIDER_ID: Final = "prv_0199000000007000800000000000000b"
_AT: Final = "2026-11-22T20:00:00Z"
_LENDER: Final = "0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF"

CREDENTIALS: Final[dict[str, Any]] = {
    "client_id": "acme-at-first-harbour",
    "client_secret": "not-a-real-secret",
}
CREDENTIALS_SHOWN: Final[dict[str, Any]] = {
    "fields": ["client_id", "client_secret"],
    "version": 1,
    "rotated_at": _AT,
}
_DESCRIBED: Final[dict[str, Any]] = {
    "name": "First Harbour Bank",
    "url": "https://api.first-harbour.example",
    "config": {"lender_address": _LENDER},
    "appetite": {"countries": ["US"], "currencies": ["USD"], "max_amount_minor": 5_000_000},
    "limits": {"requests_per_s": 10.0},
    "metadata": {"contract": "2026-017"},
}
REGISTERED: Final[dict[str, Any]] = {
    **_DESCRIBED,
    "adapter": "bank-rest",
    "credentials": CREDENTIALS,
}
CHANGED: Final[dict[str, Any]] = {**_DESCRIBED, "version": 1, "status": "MAINTENANCE"}

PROVIDER: Final[dict[str, Any]] = {
    "provider_id": PROVIDER_ID,
    "name": "First Harbour Bank",
    "type": "TRADITIONAL",
    "adapter": "bank-rest",
    "source": "tenant",
    "status": "ACTIVE",
    "status_reason": "CHECKS_PASSED",
    "status_set_by": "checker",
    "status_since": _AT,
    "checked_at": "2026-11-22T20:05:00Z",
    "latency_ms": 41,
    "url": "https://api.first-harbour.example",
    "config": {"lender_address": _LENDER},
    "appetite": {"countries": ["US"], "currencies": ["USD"], "max_amount_minor": 5_000_000},
    "limits": {"requests_per_s": 10.0},
    "metadata": {"contract": "2026-017"},
    "credentials": CREDENTIALS_SHOWN,
    "version": 1,
    "created_at": _AT,
    "updated_at": _AT,
    "removed_at": None,
}
STATUS_CHANGE: Final[dict[str, Any]] = {
    "from_status": "ACTIVE",
    "to_status": "INACTIVE",
    "set_by": "checker",
    "actor": "provider-health",
    "reason": "CHECKS_FAILED",
    "changed_at": _AT,
}
_STEP: Final[dict[str, Any]] = {"step": "resolve", "passed": True, "took_ms": 3, "reason": None}

# Of these a field may be null, which the framework leaves out of an example.
ANSWERS: Final[dict[str, Any]] = {
    "ProviderAnswer": PROVIDER,
    "ProviderListAnswer": {"providers": [PROVIDER], "next": None},
    "StatusChangeAnswer": STATUS_CHANGE,
    "StatusHistoryAnswer": {"changes": [STATUS_CHANGE]},
    "StepAnswer": _STEP,
    "TrialAnswer": {
        "passed": False,
        "failed_step": "reach",
        "steps": [
            _STEP,
            {"step": "reach", "passed": False, "took_ms": 5_000, "reason": "TIMED_OUT"},
        ],
    },
}


def shows(example: Any) -> ConfigDict:
    """An answer with its example."""
    return ConfigDict(json_schema_extra={"examples": [example]})


def reads(example: Any) -> ConfigDict:
    """A request with its example; errors never quote what was sent."""
    return ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True,
        json_schema_extra={"examples": [example]},
    )  # fmt: skip
