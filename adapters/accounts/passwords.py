"""Passwords: argon2id, in a few threads of its own, with a bounded number of people waiting."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from models.domain.accounts import normal_password
from models.domain.errors import Unavailable

T = TypeVar("T")

# A hash whose password nobody knows, verified where there is no account: the same work.
_DECOY_BYTES: Final = 24


class PasswordDesk:
    """Hashes and compares; about 230 ms of one core each, outside the event loop and the GIL.

    More people than `threads` and `waiting` together are sent away at once with Unavailable
    SIGN_IN_BUSY: a queue that only grows would serve nobody in time.
    """

    def __init__(self, *, threads: int, waiting: int, passes: int, memory_kib: int) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="passwords")
        self._places = threads + waiting
        self._decoy = self._hasher.hash(secrets.token_bytes(_DECOY_BYTES))

    async def hash(self, password: str) -> str:
        """The hash to keep, with its salt and its parameters."""
        return await self._work(lambda: self._hasher.hash(normal_password(password)))

    async def matches(self, kept: str | None, password: str) -> bool:
        """Whether it is the password of this hash; never, but at the same cost, without one."""
        right = await self._work(lambda: self._verify(kept or self._decoy, password))
        return right and kept is not None

    def is_outdated(self, kept: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(kept)

    def close(self) -> None:
        """Take no more work; what runs ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _verify(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, normal_password(password))
        except (Argon2Error, InvalidHashError):
            return False

    async def _work(self, work: Callable[[], T]) -> T:
        if self._places <= 0:
            raise Unavailable("SIGN_IN_BUSY")
        self._places -= 1
        done = self._pool.submit(work)
        # The place is free when the thread is, however early the request went away.
        loop = asyncio.get_running_loop()
        done.add_done_callback(lambda _: loop.call_soon_threadsafe(self._free_place))
        return await asyncio.wrap_future(done)

    def _free_place(self) -> None:
        self._places += 1
