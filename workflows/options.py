"""Named timeouts and retry policies, each with its reason."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, NotRequired, TypedDict

from temporalio.common import (
    RetryPolicy,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
)

from models.domain.routing import SEARCH_STAGE, SEARCH_STATE, SEARCH_TENANT


class LocalOptions(TypedDict):
    """Options of a local activity."""

    start_to_close_timeout: timedelta
    schedule_to_close_timeout: timedelta
    retry_policy: RetryPolicy


class PacedOptions(TypedDict):
    """Options of a regular activity whose caller knows until when it makes sense."""

    start_to_close_timeout: timedelta
    heartbeat_timeout: timedelta
    retry_policy: RetryPolicy


class RemoteOptions(PacedOptions):
    """Options of a regular activity."""

    schedule_to_close_timeout: NotRequired[timedelta]


STAGE: Final = SearchAttributeKey.for_keyword(SEARCH_STAGE)
STATE: Final = SearchAttributeKey.for_keyword(SEARCH_STATE)

_TENANT: Final = SearchAttributeKey.for_keyword(SEARCH_TENANT)


def searchable(tenant_id: str, stage: str) -> TypedSearchAttributes:
    """What a child is found by; the state is the application's alone."""
    return TypedSearchAttributes(
        [SearchAttributePair(_TENANT, tenant_id), SearchAttributePair(STAGE, stage)]
    )


# The worker beats for every activity while its process lives (see adapters/temporal.py), so a dead
# or frozen one is noticed after this long and not after the activity's own timeout.
HEARTBEAT: Final = timedelta(seconds=6)

# One short transaction on our own database. It is retried for as long as a person would still be
# waiting: giving up would strand an application whose next step is harmless to repeat.
OWN_DATABASE: Final = LocalOptions(
    start_to_close_timeout=timedelta(seconds=10),
    schedule_to_close_timeout=timedelta(days=7),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=200),
        backoff_coefficient=2.0,
        maximum_interval=timedelta(seconds=10),
    ),
)

# The identity vendor answers a submission at once; an outage of hours is ridden out, since the
# person has days to be verified.
IDENTITY_VENDOR: Final = RemoteOptions(
    start_to_close_timeout=timedelta(seconds=15),
    schedule_to_close_timeout=timedelta(hours=24),
    heartbeat_timeout=HEARTBEAT,
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1)
    ),
)

# Evidence has its own deadlines inside the activity and is partial rather than late, so the
# whole step is short; what cannot be scored within the hour goes to a person.
SCORING: Final = RemoteOptions(
    start_to_close_timeout=timedelta(seconds=30),
    schedule_to_close_timeout=timedelta(hours=1),
    heartbeat_timeout=HEARTBEAT,
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)
    ),
)

# The fan-out has one deadline for all providers (seconds); only our own database can make the
# step fail as a whole.
OFFERS: Final = RemoteOptions(
    start_to_close_timeout=timedelta(seconds=30),
    schedule_to_close_timeout=timedelta(hours=24),
    heartbeat_timeout=HEARTBEAT,
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)
    ),
)

# When nobody offers and somebody was only late or away: after these the next round asks again, so
# that an outage of a quarter of an hour declines nobody. One less than there are rounds.
ASK_AGAIN_AFTER: Final = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
)

# Each of a line's attempts decides when the next one is due, for days; what is queued is told in
# steps of a minute. Only our own database can make a step fail without saying so.
WEBHOOK: Final = RemoteOptions(
    start_to_close_timeout=timedelta(minutes=3),
    heartbeat_timeout=HEARTBEAT,
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1)
    ),
)

# A letter has thirty days; the caller sets the end of them as the step's own deadline.
MAIL_HOUSE: Final = PacedOptions(
    start_to_close_timeout=timedelta(seconds=30),
    heartbeat_timeout=HEARTBEAT,
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=5), maximum_interval=timedelta(hours=1)
    ),
)

# Confirming, signing and sending. Once bytes are signed only the chain decides, so no timeout of
# ours ever abandons this: it is retried until the chain is back.
CHAIN: Final = RemoteOptions(
    start_to_close_timeout=timedelta(seconds=30),
    heartbeat_timeout=HEARTBEAT,
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)
    ),
)

# Until the signatures' deadlines have passed in a final block (about an hour) the answer is "not
# yet"; asking every minute writes no history.
RESOLUTION: Final = RemoteOptions(
    start_to_close_timeout=timedelta(seconds=30),
    heartbeat_timeout=HEARTBEAT,
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=5), maximum_interval=timedelta(minutes=1)
    ),
)

# A settlement that was started before is waited for as long as the chain takes; asking again
# writes no history.
RECORDED_SETTLEMENT: Final = RemoteOptions(
    start_to_close_timeout=timedelta(seconds=10),
    heartbeat_timeout=HEARTBEAT,
    retry_policy=RetryPolicy(
        initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)
    ),
)

# A person has a week to finish the identity check; afterwards the application expires.
KYC_DEADLINE: Final = timedelta(days=7)

# A verification holds for a year (the platform's policy; FATF Recommendation 10 asks for
# ongoing due diligence without naming a period).
KYC_VALIDITY: Final = timedelta(days=365)

# A named person has a week to decide; an undecided review expires, it never approves.
REVIEW_DEADLINE: Final = timedelta(days=7)

# Applicants have two weeks to send what an operator asks for; that time is not the operator's.
INFORMATION_DEADLINE: Final = timedelta(days=14)

# The watcher signals finality. If its signal is lost, the workflow looks for itself this often.
FINALITY_CHECK: Final = timedelta(minutes=2)

# An acceptance must outlive its way to the chain: signing, broadcasting and a busy block or two.
ACCEPTANCE_MARGIN: Final = timedelta(minutes=5)

# Timers below a second cost as much as a second (measured), so none is shorter.
SHORTEST_TIMER: Final = timedelta(seconds=1)
