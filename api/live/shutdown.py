"""Whether the web server has been told to end.

It waits for every open answer before it tells the application, and a stream is never over by
itself: so the application has to look. The server's signal handler is a method of it.
"""

from __future__ import annotations

import signal


def server_ends() -> bool:
    """Whether the server that runs us (uvicorn) was told to end; False under any other."""
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return bool(getattr(server, "should_exit", False))
