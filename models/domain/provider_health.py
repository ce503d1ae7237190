"""How a provider fares: from what checks see to whether it is asked for offers.

A status changes slowly: one bad answer pauses nobody, and one good answer brings nobody back. What
a person has decided, only a person takes back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from models.domain.provider import ProviderStatus

# Why a status is as it is; published, never reused.
REGISTERED = "REGISTERED"
CHECKS_FAILED = "CHECKS_FAILED"
CHECKS_PASSED = "CHECKS_PASSED"
ANNOUNCED_BY_LENDER = "ANNOUNCED_BY_LENDER"
SET_BY_PERSON = "SET_BY_PERSON"


class SetBy(StrEnum):
    """Who gave a provider its status."""

    CHECKER = "checker"
    LENDER = "lender"
    PERSON = "person"


class Seen(StrEnum):
    """What one check saw."""

    WELL = "well"
    FAILING = "failing"
    IN_MAINTENANCE = "in_maintenance"  # the lender says so itself


@dataclass(frozen=True, slots=True)
class Hysteresis:
    """How many checks in a row it takes to pause a provider, and to bring it back."""

    failures: int = 3
    successes: int = 2

    def __post_init__(self) -> None:
        if self.failures < 1 or self.successes < 1:
            raise ValueError("a status changes after one check at least")


@dataclass(frozen=True, slots=True)
class ProviderHealth:
    """Where a provider stands; `failures` and `successes` count checks in a row.

    `connected` says that it is asked for offers, and that a check has seen it well.
    """

    status: ProviderStatus = ProviderStatus.ACTIVE
    set_by: SetBy = SetBy.CHECKER
    reason: str = REGISTERED
    connected: bool = False
    failures: int = 0
    successes: int = 0


def after_check(before: ProviderHealth, seen: Seen, enough: Hysteresis) -> ProviderHealth:
    """The health after one more check.

    Maintenance set by a person stays. Maintenance the lender announces begins at once, and ends as
    every pause does: after enough good checks in a row.
    """
    failing = seen is Seen.FAILING
    counted = replace(
        before,
        failures=before.failures + 1 if failing else 0,
        successes=before.successes + 1 if seen is Seen.WELL else 0,
    )
    if before.status is ProviderStatus.MAINTENANCE and before.set_by is SetBy.PERSON:
        return counted
    after = _judged(counted, seen, enough)
    active = after.status is ProviderStatus.ACTIVE
    return replace(after, connected=active and (seen is Seen.WELL or before.connected))


def set_by_person(before: ProviderHealth, status: ProviderStatus) -> ProviderHealth:
    """The health after a person has spoken; checks count anew."""
    return ProviderHealth(
        status=status,
        set_by=SetBy.PERSON,
        reason=SET_BY_PERSON,
        connected=before.connected and status is ProviderStatus.ACTIVE,
    )


def announcements(before: ProviderHealth, after: ProviderHealth) -> tuple[str, ...]:
    """What a change of health is told as, in order: types of events without their `provider.`."""
    told = (
        ("error", before.failures == 0 and after.failures > 0),
        ("status_changed", before.status is not after.status),
        ("connected", after.connected and not before.connected),
        ("disconnected", before.connected and not after.connected),
    )
    return tuple(name for name, happened in told if happened)


def _judged(counted: ProviderHealth, seen: Seen, enough: Hysteresis) -> ProviderHealth:
    status = counted.status
    if seen is Seen.IN_MAINTENANCE:
        if status is ProviderStatus.MAINTENANCE:
            return counted
        return _now(counted, ProviderStatus.MAINTENANCE, SetBy.LENDER, ANNOUNCED_BY_LENDER)
    if counted.failures >= enough.failures and status is not ProviderStatus.INACTIVE:
        return _now(counted, ProviderStatus.INACTIVE, SetBy.CHECKER, CHECKS_FAILED)
    if counted.successes >= enough.successes and status is not ProviderStatus.ACTIVE:
        return _now(counted, ProviderStatus.ACTIVE, SetBy.CHECKER, CHECKS_PASSED)
    return counted


def _now(
    counted: ProviderHealth, status: ProviderStatus, set_by: SetBy, reason: str
) -> ProviderHealth:
    return replace(counted, status=status, set_by=set_by, reason=reason)
