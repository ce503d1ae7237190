"""Logs as JSON lines: event names and opaque ids, never personal data or secrets."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO, cast

import orjson
import structlog

from models.domain.correlation import CURRENT

# Only these names may appear in a log line; whatever else is passed is dropped, not printed.
ALLOWED: Final = frozenset(
    {
        "event", "level", "timestamp", "request_id", "correlation_id",
        "code", "error", "source", "provider",
        "vendor", "application", "settlement", "tenant", "role", "exception", "status", "method",
        "path", "elapsed_ms", "duration_ms", "count", "attempt", "bytes", "outcome", "peer", "name",
        "reason", "version", "chain_id", "queue", "host", "call", "failure", "session", "issuer",
    }
)  # fmt: skip


_LINE_ENDS: Final = {code: f"\\u{code:04x}" for code in (0x85, 0x2028, 0x2029)}


class _Stderr(io.TextIOBase):
    """The standard error there is now: loggers are kept, and it may be replaced."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


_STDERR: Final = cast(TextIO, _Stderr())


def configure(level: str) -> None:
    """Set up structlog for this process, and let the libraries' own loggers speak from WARNING."""
    structlog.configure(
        processors=[
            _name_request,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _name_exception,
            _only_allowed,
            structlog.processors.JSONRenderer(serializer=_serialise),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(_STDERR),
        cache_logger_on_first_use=True,
    )
    _speak_without_messages()


class _FramesOnly(logging.Formatter):
    """A library's log line: where an exception came from, not what it says."""

    def format(self, record: logging.LogRecord) -> str:
        event: dict[str, Any] = {"event": record.name, "level": record.levelname.lower()}
        if record.exc_info and record.exc_info[1] is not None:
            event["exception"] = _frames(record.exc_info[1])
        else:
            event["reason"] = record.getMessage()
        return _serialise(event)


def _speak_without_messages() -> None:
    """Exceptions quote input; libraries log exceptions. Their handlers get our formatter."""
    handler = logging.StreamHandler(_STDERR)
    handler.setFormatter(_FramesOnly())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    # It reports every attempt of an outage, ten a second; the relay says once that there is one.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    for name in ("uvicorn", "uvicorn.error", "temporalio", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def _name_request(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Which request the line belongs to, and what that belongs to."""
    current = CURRENT.get()
    if current is not None:
        event["correlation_id"] = current.correlation_id
        if current.request_id is not None:
            event["request_id"] = current.request_id
    return event


def _name_exception(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Where an exception came from, without its message: that may quote what was sent."""
    error = event.pop("exc_info", None)
    if isinstance(error, BaseException):
        event["exception"] = _frames(error)
    return event


def _frames(error: BaseException) -> list[str]:
    """An exception's type and the last frames it passed through."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}:{code.co_name}")
        trace = trace.tb_next
    return [type(error).__name__, *frames[-8:]]


def _only_allowed(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {name: value for name, value in event.items() if name in ALLOWED}


def _serialise(event: Any, **_: Any) -> str:
    text = orjson.dumps(event, default=str).decode()
    # JSON lets these stand; viewers begin a line at them.
    return text if text.isascii() else text.translate(_LINE_ENDS)
