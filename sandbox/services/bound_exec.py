"""Becomes another program that cannot outlive the process that started it.

Usage: bound_exec.py PARENT_PID UID:GID|- PROGRAM [ARGUMENT ...]

Run by path in an isolated interpreter between fork and the real program: calling Python code in a
forked child of a process with threads may deadlock, a program of its own may not. The death signal
comes last because the kernel forgets it when a process changes its user.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent_pid: int, account: str, program: list[str]) -> None:
    """Change the user if asked to, tie our life to the parent's, and become the program."""
    if account != "-":
        user, _, group = account.partition(":")
        os.setgroups([])
        os.setgid(int(group))
        os.setuid(int(user))
        os.chdir("/")  # the working directory may be closed to the new user
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        sys.exit("the process that started this one has gone")
    try:
        os.execvp(program[0], program)
    except OSError as error:
        sys.exit(f"{program[0]}: {error.strerror}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
