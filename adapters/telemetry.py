"""Logs as JSON lines: event names and opaque ids, never personal data or secrets."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import orjson
import structlog

# Only these names may appear in a log line; whatever else is passed is dropped, not printed.
ALLOWED: Final = frozenset(
    {
        "event", "level", "timestamp", "request_id", "code", "error", "source", "provider",
        "vendor", "application", "settlement", "tenant", "role", "exception", "status", "method",
        "path", "elapsed_ms", "duration_ms", "count", "attempt", "bytes", "outcome", "peer", "name",
        "reason", "version", "chain_id", "queue",
    }
)  # fmt: skip


def configure(level: str) -> None:
    """Set up structlog for this process, and let the libraries' own loggers speak from WARNING."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _name_exception,
            _only_allowed,
            structlog.processors.JSONRenderer(serializer=_serialise),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s %(message)s")


def _name_exception(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Where an exception came from, without its message: that may quote what was sent."""
    error = event.pop("exc_info", None)
    if isinstance(error, BaseException):
        frames = []
        trace = error.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            frames.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}:{code.co_name}")
            trace = trace.tb_next
        event["exception"] = [type(error).__name__, *frames[-8:]]
    return event


def _only_allowed(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {name: value for name, value in event.items() if name in ALLOWED}


def _serialise(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=str).decode()
