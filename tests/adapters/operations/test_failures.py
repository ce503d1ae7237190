"""Failures are named by published codes; what a stranger's exception quotes is never shown."""

from __future__ import annotations

import pytest
from temporalio.api.failure.v1 import Failure as FailureMessage
from temporalio.converter import DefaultFailureConverterWithEncodedAttributes
from temporalio.exceptions import ActivityError, ApplicationError, RetryState

from adapters.operations.failures import failure_of, in_words
from adapters.temporal import TenantCodec, data_converter
from adapters.vault import Keyring
from models.domain.operations import Failure

KEYRING = Keyring({"v1": b"k" * 32})


def caused(outer: BaseException, *causes: BaseException) -> BaseException:
    """A chain of causes, outermost first."""
    for effect, cause in zip((outer, *causes), causes, strict=False):
        effect.__cause__ = cause
    return outer


def activity_error() -> ActivityError:
    return ActivityError(
        "Activity task failed",
        scheduled_event_id=5,
        started_event_id=6,
        identity="worker",
        activity_type="assess_risk",
        activity_id="1",
        retry_state=RetryState.NON_RETRYABLE_FAILURE,
    )


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (
            ApplicationError("UPSTREAM_BUSY: status 503", type="UPSTREAM_BUSY"),
            Failure("UPSTREAM_BUSY", "UPSTREAM_BUSY: status 503"),
        ),
        (
            caused(activity_error(), ApplicationError("KEY_UNKNOWN: v9", type="KEY_UNKNOWN")),
            Failure("KEY_UNKNOWN", "KEY_UNKNOWN: v9"),
        ),
        # The server cuts long failures short.
        (
            ApplicationError("Encoded failure", type="UNDECIPHERABLE"),
            Failure("UNDECIPHERABLE", ""),
        ),
        # An exception of a library may quote what it was given: only its kind is shown.
        (
            ApplicationError("no such person: Ada Lovelace", type="KeyError"),
            Failure("KeyError", "an error of the kind KeyError"),
        ),
        (
            caused(
                ApplicationError("UNDECIPHERABLE", type="UNDECIPHERABLE"),
                ApplicationError("Ada", type="InvalidTag"),
            ),
            Failure("UNDECIPHERABLE", "UNDECIPHERABLE"),
        ),
    ],
)
def test_words_that_may_be_shown(error: BaseException, failure: Failure) -> None:
    assert in_words(error) == failure


async def encrypted(error: BaseException) -> FailureMessage:
    converter = data_converter(KEYRING)
    message = FailureMessage()
    DefaultFailureConverterWithEncodedAttributes().to_failure(
        error, converter.payload_converter, message
    )
    await TenantCodec(KEYRING, "acme").encode_failure(message)
    return message


async def test_encrypted_failures_are_read() -> None:
    message = await encrypted(ApplicationError("UPSTREAM_BUSY: 503", type="UPSTREAM_BUSY"))
    assert b"503" not in message.SerializeToString()
    before = message.SerializeToString()
    found = await failure_of(data_converter(KEYRING), message)
    assert found == Failure("UPSTREAM_BUSY", "UPSTREAM_BUSY: 503")
    assert message.SerializeToString() == before


async def test_a_failure_under_an_unknown_key_is_said_to_be_one() -> None:
    message = await encrypted(ApplicationError("UPSTREAM_BUSY: 503", type="UPSTREAM_BUSY"))
    other = data_converter(Keyring({"v2": b"o" * 32}))
    assert (await failure_of(other, message)).code == "UNDECIPHERABLE"
