"""Which request all this belongs to: one name from the caller's header to the last log line.

The name travels with a request through the API, into Temporal, the activities and the calls to
outside systems, and stands in every log line on the way. It is the caller's or invented here; it
says nothing about anybody, and callers are told to keep it so.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass
from secrets import token_hex
from typing import Final

CORRELATION_HEADER: Final = "x-correlation-id"
TRACE_HEADER: Final = "traceparent"

_NAME: Final = re.compile(r"[A-Za-z0-9._\-]{8,64}")
# W3C Trace Context, version 00: trace id, parent id, flags; no id is all zeros.
_TRACE: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})")

_TRACE_ID: Final = re.compile(r"(?!0{32})[0-9a-f]{32}")
_CARRIED: Final = re.compile(r"([A-Za-z0-9._\-]{8,64}) ([0-9a-f]{32})-([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class Correlation:
    """The name of a request and of what follows from it."""

    correlation_id: str  # 8 to 64 of letters, digits and ._-
    trace_id: str  # 32 hexadecimal digits
    flags: str = "00"
    request_id: str | None = None  # of the one request within this process

    @classmethod
    def parse(cls, text: str) -> Correlation | None:
        """What `carried` wrote; None if it is anything else."""
        found = _CARRIED.fullmatch(text)
        return cls(found[1], found[2], found[3]) if found else None

    def carried(self) -> str:
        """All that travels on within our own system."""
        return f"{self.correlation_id} {self.trace_id}-{self.flags}"

    def traceparent(self) -> str:
        """The trace with a parent of our own, for the answer or for an outgoing call."""
        return f"00-{self.trace_id}-{token_hex(8)}-{self.flags}"


CURRENT: Final[ContextVar[Correlation | None]] = ContextVar("correlation", default=None)


def correlate(
    correlation_id: str | None = None,
    traceparent: str | None = None,
    request_id: str | None = None,
) -> Correlation:
    """The correlation these headers ask for; what is missing or not well-formed is invented."""
    traced = _TRACE.fullmatch(traceparent) if traceparent else None
    request = request_id if request_id and _NAME.fullmatch(request_id) else token_hex(16)
    trace_id, flags = (traced[1], traced[2]) if traced else (_trace_of(request), "00")
    if not (correlation_id and _NAME.fullmatch(correlation_id)):
        correlation_id = trace_id if traced else request
    return Correlation(correlation_id, trace_id, flags, request)


def _trace_of(request_id: str) -> str:
    """The trace of a request that came without one: its own name, where that has the form."""
    return request_id if _TRACE_ID.fullmatch(request_id) else token_hex(16)
