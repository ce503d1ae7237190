"""What an adapter writes while it is tried: to its logs, to the screen, and how much it keeps."""

from __future__ import annotations

import io
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TextIO, cast

from adapters import telemetry

HEARD: ContextVar[list[str] | None] = ContextVar("heard", default=None)
"""Where the present row's words go; what it starts, tasks and threads, inherits it."""

_weighing = threading.Lock()


class _Ear(io.TextIOBase):
    """A stream that keeps a row's words, and lets everybody else's pass."""

    def __init__(self, passing: TextIO) -> None:
        self._passing = passing

    def write(self, text: str) -> int:
        heard = HEARD.get()
        if heard is None:
            return self._passing.write(text)
        heard.append(text)
        return len(text)

    def flush(self) -> None:
        self._passing.flush()


@contextmanager
def listening() -> Iterator[None]:
    """Hear what rows write, through loggers set up as in production, at their most talkative."""
    out, err = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = cast(TextIO, _Ear(out)), cast(TextIO, _Ear(err))
    telemetry.configure("DEBUG")
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err
        telemetry.configure("INFO")


class Weight:
    """The most memory that was held at once beyond what there was before, in bytes."""

    peak = 0


@contextmanager
def weighed() -> Iterator[Weight]:
    """Measure the memory that Python code takes meanwhile, in all threads; one at a time."""
    weight = Weight()
    with _weighing:
        tracemalloc.start()
        try:
            yield weight
            weight.peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
