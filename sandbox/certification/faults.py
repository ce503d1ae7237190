"""What can go wrong between an adapter and a lender that means well, one function a fault.

Every fault ends by itself: an adapter that waits for ever is found waiting, and nobody is stuck.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Final

from sandbox.certification.wire import Fault, Passing, Reply

_CHUNK: Final = b"x" * 65_536
_OPENING, _CLOSING = b'{"padding":"', b'"}'
_GZIP: Final = 31  # zlib's word for gzip with the largest window
RETRY_AFTER_S: Final = 1


def silent(seconds: float) -> Fault:
    """Nothing is done and nothing is said for so long; then the connection is closed."""

    async def fault(passing: Passing) -> None:
        await passing.wait(seconds)

    return fault


def slow(seconds: float) -> Fault:
    """The whole answer, so much later."""

    async def fault(passing: Passing) -> None:
        reply = await passing.forward()
        await passing.wait(seconds)
        await passing.answer(reply)

    return fault


def dripping(seconds: float, pause_s: float) -> Fault:
    """A byte, a pause, a byte: each read succeeds, and the answer takes so long in all."""

    async def fault(passing: Passing) -> None:
        reply = await passing.forward()
        await passing.send(reply.head())
        for number in range(min(int(seconds / pause_s), len(reply.body))):
            await passing.send(reply.body[number : number + 1])
            await passing.wait(pause_s)

    return fault


def twice(seconds: float) -> Fault:
    """The answer comes two times over a connection that stays open: the second is nobody's."""

    async def fault(passing: Passing) -> None:
        reply = await passing.forward()
        whole = reply.head(connection="keep-alive") + reply.body
        await passing.send(whole + whole)
        await passing.wait(seconds)

    return fault


def status(code: int, **headers: str) -> Fault:
    """Nothing is done, and this status is the answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def fault(passing: Passing) -> None:
        body = b'{"code":"AS_REHEARSED"}'
        await passing.answer(Reply(code, body, {"content-type": "application/json", **named}))

    return fault


def rewritten(change: Callable[[Reply], Reply]) -> Fault:
    """Everything is done, and the answer is what `change` makes of it."""

    async def fault(passing: Passing) -> None:
        await passing.answer(change(await passing.forward()))

    return fault


def malformed() -> Fault:
    """Half of the document, as if it were whole."""
    return rewritten(lambda reply: replace(reply, body=reply.body[: len(reply.body) // 2]))


def of_another_shape() -> Fault:
    """Well-formed, and nothing of what was agreed."""

    def change(reply: Reply) -> Reply:
        xml = "xml" in reply.headers.get("content-type", "")
        return replace(reply, body=b"<surprise/>" if xml else b'{"surprise":[1,null]}')

    return rewritten(change)


def of_another_type() -> Fault:
    """A web page, with status 200."""
    page = b"<!doctype html><title>Maintenance</title><p>We will be back soon."
    return rewritten(lambda _: Reply(200, page, {"content-type": "text/html"}))


def truncated() -> Fault:
    """The connection ends before the bytes that were promised."""

    async def fault(passing: Passing) -> None:
        reply = await passing.forward()
        await passing.send(reply.head() + reply.body[: len(reply.body) // 2])

    return fault


def huge(size: int) -> Fault:
    """A document of so many bytes."""

    async def fault(passing: Passing) -> None:
        reply = await passing.forward()
        await passing.send(reply.head(size) + _OPENING)
        left = size - len(_OPENING) - len(_CLOSING)
        while left > 0:
            await passing.send(_CHUNK[:left])
            left -= len(_CHUNK)
        await passing.send(_CLOSING)

    return fault


def bomb(size: int) -> Fault:
    """A thousandth of so many bytes, which would unpack to all of them; nobody asked for gzip."""

    def change(reply: Reply) -> Reply:
        headers = {**reply.headers, "content-encoding": "gzip"}
        return replace(reply, body=_packed(size), headers=headers)

    return rewritten(change)


def redirect(elsewhere: str) -> Fault:
    """The same request is to be sent to another host, its credentials with it."""

    async def fault(passing: Passing) -> None:
        to = {"location": elsewhere + passing.asked.target}
        await passing.answer(Reply(307, b"", to))

    return fault


def reset() -> Fault:
    """The connection breaks before anything is done."""

    async def fault(passing: Passing) -> None:
        passing.reset()

    return fault


def swallowed(seconds: float) -> Fault:
    """Everything is done; the answer never comes, and after so long the connection is closed."""

    async def fault(passing: Passing) -> None:
        await passing.forward()
        await passing.wait(seconds)

    return fault


@lru_cache(maxsize=2)
def _packed(size: int) -> bytes:
    """Packed in pieces: the memory it takes must be the adapter's alone."""
    packer = zlib.compressobj(wbits=_GZIP)
    pieces = [packer.compress(_OPENING)]
    pieces += [packer.compress(_CHUNK) for _ in range(size // len(_CHUNK))]
    return b"".join((*pieces, packer.compress(_CLOSING), packer.flush()))
