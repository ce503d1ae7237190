"""Accounts: who signs in, with what, for how long, and how guessing is slowed down."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

# So many attempts in a row cost nothing but their own work: people mistype.
FREE_ATTEMPTS: Final = 5
FIRST_WAIT_S: Final = 15
# Long enough to make guessing hopeless, short enough that locking others out is a nuisance only.
LONGEST_WAIT_S: Final = 900
# After so long without an attempt, the count begins anew.
FORGET_ATTEMPTS_AFTER_S: Final = 3_600

SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 128
FEWEST_DIFFERENT: Final = 5


class AccountStatus(StrEnum):
    """Whether an account may sign in."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class Profile:
    """What a person says of themselves; kept under the person's own key."""

    email: str
    name: str


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may sign in."""

    tenant_id: str
    user_id: str
    roles: tuple[str, ...]
    status: AccountStatus
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SignUp:
    """A new account, asked for by whoever will sign in with it."""

    tenant_id: str
    profile: Profile
    password: str = field(repr=False)
    invitation: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a sign-in gives; the refresh token works once."""

    access_token: str = field(repr=False)
    expires_in_s: int
    refresh_token: str = field(repr=False)
    refresh_expires_in_s: int
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SignInRefused:
    """Nobody signs in, for a reason that is not told; `wait_s` when too many tried before."""

    wait_s: int = 0


@dataclass(frozen=True, slots=True)
class Invitation:
    """Somebody is asked to become staff; `state` is open, accepted, revoked or expired."""

    invitation_id: str
    email: str | None  # gone once it is no longer needed
    roles: tuple[str, ...]
    state: str
    invited_by: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A program that calls the API by its own name."""

    service_account_id: str
    name: str
    roles: tuple[str, ...]
    created_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class APIKey:
    """What is shown of an API key; `last_used_at` is right to the minute."""

    key_id: str
    shown: str
    scopes: tuple[str, ...] | None
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Whose a valid API key is."""

    tenant_id: str
    service_account_id: str
    key_id: str
    roles: tuple[str, ...]
    scopes: tuple[str, ...] | None
    expires_at: datetime


def normal_login(email: str) -> str:
    """The one spelling of a login: people write the same address in many ways."""
    return unicodedata.normalize("NFKC", email.strip()).casefold()


def normal_password(password: str) -> bytes:
    """What is hashed: keyboards compose the same characters differently (RFC 8265, 4.2)."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def is_weak(password: str, login: str) -> bool:
    """Whether a password is guessed at once: too short, of a few characters, or the login itself.

    Length counts, mixtures do not (NIST SP 800-63B, 3.1.1).
    """
    lowered, name = password.casefold(), normal_login(login).partition("@")[0]
    return (
        not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD
        or len(set(lowered)) < FEWEST_DIFFERENT
        or (len(name) >= 4 and name in lowered)
    )


def login_wait_s(attempts: int) -> int:
    """How long after this many attempts in a row the next one has to wait, in seconds.

    Doubles from 15 seconds to a quarter of an hour: 100 guesses take a day.
    """
    if attempts < FREE_ATTEMPTS:
        return 0
    return min(LONGEST_WAIT_S, FIRST_WAIT_S << min(attempts - FREE_ATTEMPTS, 10))
