"""Failures in words that may be shown: codes and ids, never what a stranger's exception quotes."""

from __future__ import annotations

import re
from typing import Final

from temporalio.api.failure.v1 import Failure as FailureMessage
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError, TimeoutError

from adapters.vault import Undecipherable
from models.domain.operations import Failure

# Published codes; what a bug raises bears the name of its exception's class instead.
_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{3,}")
_DEEPEST: Final = 10
# What is left of the words when the server has cut a long failure short: its type stays.
_CUT_SHORT: Final = "Encoded failure"


async def failure_of(converter: DataConverter, message: FailureMessage) -> Failure:
    """The code and words of a failure, decrypted.

    Words are shown where the failure is one of our own errors: those name ids and states. The
    message of any other exception may quote input, so it is named by its kind alone.
    """
    # The decoder works on the message itself, and the caller's is to stay as it was.
    copied = FailureMessage()
    copied.CopyFrom(message)
    try:
        return in_words(await converter.decode_failure(copied))
    except Undecipherable:
        return Failure("UNDECIPHERABLE", "the failure is encrypted under a key that is not known")


def in_words(error: BaseException) -> Failure:
    """The outermost published code in a chain of causes; the innermost kind if there is none."""
    chain: list[BaseException] = [error]
    while (cause := getattr(chain[-1], "cause", None)) is not None and len(chain) < _DEEPEST:
        chain.append(cause)
    for each in chain:
        if isinstance(each, ApplicationError) and each.type and _CODE.fullmatch(each.type):
            return Failure(each.type, "" if each.message == _CUT_SHORT else each.message)
    last = chain[-1]
    if isinstance(last, TimeoutError):
        kind = last.type.name if last.type else "TIMEOUT"
        return Failure(kind, f"timed out ({kind.lower().replace('_', ' ')})")
    kind = last.type if isinstance(last, ApplicationError) and last.type else type(last).__name__
    return Failure(kind, f"an error of the kind {kind}")
