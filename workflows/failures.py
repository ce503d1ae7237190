"""What a failure says: the stable code of whatever lies at its root."""

from __future__ import annotations

from temporalio.exceptions import ApplicationError, FailureError


def code_of(error: BaseException) -> str | None:
    """The type of the first application error in the chain of causes; a timeout has none.

    A local activity's own error arrives as it is (measured), a regular one's inside another, and a
    child's inside two.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ApplicationError):
            return cause.type
        cause = cause.__cause__
    return None


def not_recorded(error: FailureError, what: str) -> ApplicationError:
    """For update handlers: the code under which our records refuse what was asked."""
    code = code_of(error) or "NOT_RECORDED"
    return ApplicationError(f"{what} could not be recorded", type=code, non_retryable=True)
