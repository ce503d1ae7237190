"""Logins are one spelling, weak passwords are told, guessing is slowed, credentials have a form."""

from __future__ import annotations

import pytest

from models.domain.accounts import (
    FREE_ATTEMPTS,
    LONGEST_WAIT_S,
    is_weak,
    login_wait_s,
    normal_login,
    normal_password,
)
from models.domain.credentials import Credential, CredentialKind


@pytest.mark.parametrize(
    "written",
    ["ada@example.com", " Ada@Example.COM ", "ADA@EXAMPLE.COM", "ａｄａ@example.com"],
)
def test_one_address_is_one_login(written: str) -> None:
    assert normal_login(written) == "ada@example.com"


def test_a_password_is_the_same_however_it_is_composed() -> None:
    assert normal_password("caf\u00e9-lantern") == normal_password("cafe\u0301-lantern")
    assert normal_password("Lantern") != normal_password("lantern")


@pytest.mark.parametrize(
    ("password", "weak"),
    [
        ("", True),
        ("heron-lante", True),  # 11
        ("heron-lanter", False),  # 12
        ("x" * 40, True),
        ("abcdabcdabcd", True),  # four different ones
        ("abcdeabcdeab", False),
        ("ada.lovelace", True),  # the login itself
        ("My-Ada.Lovelace-1", True),
        ("a" * 123 + "bcde!", False),
        ("a" * 124 + "bcde!", True),  # 129
    ],
)
def test_what_is_guessed_at_once(password: str, weak: bool) -> None:
    assert is_weak(password, "Ada.Lovelace@example.com") is weak


def test_a_short_name_forbids_no_word() -> None:
    assert not is_weak("bob-heron-lantern", "bob@example.com")


@pytest.mark.parametrize(
    ("attempts", "wait_s"),
    [(0, 0), (1, 0), (4, 0), (5, 15), (6, 30), (7, 60), (10, 480), (11, 900), (10_000, 900)],
)
def test_guessing_gets_slower(attempts: int, wait_s: int) -> None:
    assert login_wait_s(attempts) == wait_s


def test_a_day_holds_about_a_hundred_guesses() -> None:
    seconds, guesses = 0, 0
    while seconds < 86_400:
        guesses += 1
        seconds += login_wait_s(guesses)
    assert FREE_ATTEMPTS < guesses < 110
    assert login_wait_s(guesses) == LONGEST_WAIT_S


@pytest.mark.parametrize("kind", CredentialKind)
def test_a_credential_is_read_as_it_was_written(kind: CredentialKind) -> None:
    made = Credential.new(kind, "acme-1.eu")
    assert Credential.read(kind, made.text) == made
    assert made.secret not in made.shown
    assert made.secret not in repr(made)
    assert made.secret not in made.fingerprint
    assert Credential.new(kind, "acme-1.eu", made.named_id).fingerprint != made.fingerprint
    others = set(CredentialKind) - {kind}
    assert all(Credential.read(other, made.text) is None for other in others)


SECRET = "A" * 43
KEY = "key_" + "0" * 32


@pytest.mark.parametrize(
    "text",
    [
        "",
        "caas_key",
        f"caas_key~acme~{KEY}",
        f"caas_key~acme~{KEY}~{SECRET}~",
        f"caas_key~acme~{KEY}~{SECRET[:-1]}",
        f"caas_key~acme~{KEY}~{SECRET[:-1]}=",
        f"caas_key~~{KEY}~{SECRET}",
        f"caas_key~ac/me~{KEY}~{SECRET}",
        f"caas_key~acme~ses_{'0' * 32}~{SECRET}",
        f"caas_key~acme~key_0~{SECRET}",
        f"CAAS_KEY~acme~{KEY}~{SECRET}",
        f"caas_key~acme~{KEY}~{SECRET}\n",
        f"caas_key~acme~{KEY}~{'é' * 43}",
        f"caas_key~{'a' * 300}~{KEY}~{SECRET}",
    ],
    ids=range(14),
)
def test_what_is_no_credential(text: str) -> None:
    assert Credential.read(CredentialKind.API_KEY, text) is None
