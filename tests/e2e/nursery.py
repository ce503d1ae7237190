"""Starts the product's processes by forking one that has loaded everything: a program, run by path.

Killing and restarting a worker a hundred times costs a hundred loads of the same modules otherwise.
What runs in a child is the product's own entry point with its own settings.

    stdin    a JSON line per child: {"program": "api" | "worker", "roles": […], "port": n,
             "env": {…}, "log": path}
    stdout   its pid, a line each

The end of stdin ends this process, and with it every child (the kernel sees to it).
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import traceback
from typing import Any

import uvicorn

# What a worker or the API loads, at once or at its start.
import adapters.chain.aggregator
import adapters.chain.watcher
import api.app
import models.risk.scoring
import worker

LOADED = (adapters.chain.aggregator, adapters.chain.watcher, api.app, models.risk.scoring)
PR_SET_PDEATHSIG = 1


def child(order: dict[str, Any]) -> None:
    """Become the process that was ordered; never returns."""
    code = 1
    try:
        os.setsid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for target, source in ((0, nothing), (1, log), (2, log)):
            os.dup2(source, target)
        os.environ.clear()
        os.environ.update(order["env"])
        run(order)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def run(order: dict[str, Any]) -> None:
    """The product's own entry point."""
    if order["program"] == "worker":
        worker.main(order["roles"])
        return
    uvicorn.run(
        "api.app:create_app",
        factory=True,
        host="127.0.0.1",
        port=order["port"],
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=3,
    )


def main() -> None:
    """Fork on demand."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are reaped by the kernel
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            child(json.loads(line))
        print(pid, flush=True)


if __name__ == "__main__":
    main()
