"""TCP ports on the loopback interface: free ones, and a clear word where a wanted one is taken."""

from __future__ import annotations

import random
import socket
from pathlib import Path

from sandbox.services import linux

LOOPBACK = "127.0.0.1"
_FIRST_PORT = 15_000
_ATTEMPTS = 200

_handed_out: set[int] = set()
_dice = random.SystemRandom()


class PortTakenError(Exception):
    """Somebody else listens on a port that was asked for; the message says who, if known."""

    def __init__(self, port: int, setting: str) -> None:
        owner = linux.listener(port)
        by = f" by {linux.command_name(owner.pid)} (pid {owner.pid})" if owner else ""
        super().__init__(f"port {port} is taken{by}; stop it or set {setting} to another port")
        self.port = port


class NotAPortError(Exception):
    """A setting does not hold the number of a TCP port; the message names it."""


def port_number(text: str, setting: str) -> int:
    """The port a setting's text names, 1 to 65535.

    Raises:
        NotAPortError: it names none.
    """
    # The length comes first: Python refuses to read numbers of thousands of digits.
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536):
        raise NotAPortError(f"{setting}: {text!r} is not a port (1 to 65535)")
    return int(text)


def claim_port(configured: int | None, setting: str) -> int:
    """The configured port if it is free, or any free one.

    Raises:
        PortTakenError: the configured port is in use; `setting` is the variable that changes it.
    """
    if configured is None:
        return free_port()
    if not _can_bind(configured):
        raise PortTakenError(configured, setting)
    return configured


def free_port() -> int:
    """A port nobody listens on, never the same one twice in this process.

    It lies below the range from which the kernel takes the near end of outgoing connections: a
    service that was killed must find its port free again, and one of those would sit on it.
    """
    first_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    if first_ephemeral - _FIRST_PORT > _ATTEMPTS:
        for _ in range(_ATTEMPTS):
            port = _dice.randrange(_FIRST_PORT, first_ephemeral)
            if port not in _handed_out and _can_bind(port):
                _handed_out.add(port)
                return port
    with socket.socket() as anywhere:
        anywhere.bind((LOOPBACK, 0))
        return int(anywhere.getsockname()[1])


def _can_bind(port: int) -> bool:
    with socket.socket() as trial:
        # As servers do: a port whose last connection is still winding down counts as free.
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
