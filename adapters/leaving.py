"""How a program that has used the Temporal SDK ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn


def run_and_leave(program: Callable[[], object]) -> NoReturn:
    """Run a program to its `SystemExit`, then end without tearing the interpreter down.

    Threads of the SDK outlive its workers by a moment; one that gives the interpreter's lock back
    while that is torn down aborts the process (temporalio 1.35 with Python 3.11: about one in
    thirty on a busy machine). What has to be written or joined was, when the program returned.
    """
    code: object = 0
    try:
        program()
    except SystemExit as ended:
        code = ended.code or 0
    if not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # who reads may have left
            stream.flush()
    os._exit(code)
