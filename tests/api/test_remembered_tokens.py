"""A right token's signature is checked once, and never longer than the token says."""

from __future__ import annotations

import time
from typing import Any

import pytest
from joserfc import jwt

from api import auth
from api.auth import LEEWAY_S, TokenVerifier
from api.errors import Problem
from sandbox.counterparties.issuer import SandboxIssuer


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signature was checked, in that order."""
    tokens: list[str] = []
    decode = jwt.decode

    def noted(token: str, *args: Any, **kwargs: Any) -> Any:
        tokens.append(token)
        return decode(token, *args, **kwargs)

    monkeypatch.setattr(jwt, "decode", noted)
    return tokens


def refuse(verifier: TokenVerifier, token: str) -> None:
    with pytest.raises(Problem) as raised:
        verifier.verify(token)
    assert raised.value.status == 401


def test_a_right_token_is_checked_once_until_it_expires(
    verifier: TokenVerifier,
    issuer: SandboxIssuer,
    checked: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = issuer.token("zelda", "acme", ["applicant"], ttl_s=600)
    first = verifier.verify(token)
    assert verifier.verify(token) == first
    assert checked == [token]
    monkeypatch.setattr(time, "time", lambda: first.expires_at_s + LEEWAY_S + 1)
    refuse(verifier, token)
    refuse(verifier, token)
    assert checked == [token] * 3


def test_a_token_that_lives_on_leeway_is_checked_every_time(
    verifier: TokenVerifier, issuer: SandboxIssuer, checked: list[str]
) -> None:
    late = issuer.token("zelda", "acme", ["applicant"], ttl_s=10 - LEEWAY_S)
    assert verifier.verify(late) == verifier.verify(late)
    assert checked == [late, late]


def test_a_wrong_token_is_never_remembered(
    verifier: TokenVerifier, issuer: SandboxIssuer, checked: list[str]
) -> None:
    right = issuer.token("zelda", "acme", ["applicant"])
    verifier.verify(right)
    forged = right[:-8] + ("A" * 8 if not right.endswith("A" * 8) else "B" * 8)
    refuse(verifier, forged)
    refuse(verifier, forged)
    assert checked == [right, forged, forged]


def test_who_came_longest_ago_is_checked_again(
    verifier: TokenVerifier,
    issuer: SandboxIssuer,
    checked: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(auth, "REMEMBERED_TOKENS", 2)
    one, two, three = (issuer.token(name, "acme", ["applicant"]) for name in "abc")
    for token in (one, two, one, three, one):
        verifier.verify(token)
    assert checked == [one, two, three]
    verifier.verify(two)
    assert checked == [one, two, three, two]
