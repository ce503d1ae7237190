"""The sandbox's token issuer."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from sandbox.counterparties.issuer import AUDIENCE, ISSUER, SandboxIssuer

ROOT = Path(__file__).parents[2]


def decoded(token: str, issuer: SandboxIssuer) -> jwt.Token:
    keys = KeySet.import_key_set(json.loads(issuer.jwks_path.read_text()))
    return jwt.decode(token, keys, algorithms=["Ed25519"])


def test_a_token_verifies_against_the_published_keys(tmp_path) -> None:
    issuer = SandboxIssuer.create(tmp_path / "issuer")
    token = decoded(issuer.token("zelda", "acme", ["applicant"], ttl_s=60), issuer)
    assert token.header["typ"] == "at+jwt"
    claims = token.claims
    assert (claims["iss"], claims["aud"]) == (ISSUER, AUDIENCE)
    assert (claims["sub"], claims["tenant"], claims["roles"]) == ("zelda", "acme", ["applicant"])
    assert claims["exp"] - claims["iat"] == 60
    assert claims["nbf"] == claims["iat"]


def test_no_two_tokens_share_an_id(tmp_path) -> None:
    issuer = SandboxIssuer.create(tmp_path)
    ids = {decoded(issuer.token("z", "acme", []), issuer).claims["jti"] for _ in range(20)}
    assert len(ids) == 20


def test_claims_can_be_overridden_and_left_out(tmp_path) -> None:
    issuer = SandboxIssuer.create(tmp_path)
    claims = decoded(issuer.token("z", "acme", [], iss="urn:other", exp=None), issuer).claims
    assert claims["iss"] == "urn:other"
    assert "exp" not in claims


def test_only_the_public_half_is_published(tmp_path) -> None:
    issuer = SandboxIssuer.create(tmp_path)
    [key] = json.loads(issuer.jwks_path.read_text())["keys"]
    assert "d" not in key
    private = [path for path in tmp_path.iterdir() if path != issuer.jwks_path]
    assert [stat.S_IMODE(path.stat().st_mode) for path in private] == [0o600]


def test_a_new_issuer_does_not_honour_the_old_one_s_tokens(tmp_path) -> None:
    old = SandboxIssuer.create(tmp_path).token("z", "acme", [])
    new = SandboxIssuer.create(tmp_path)
    with pytest.raises(JoseError):
        decoded(old, new)


def test_the_command_line_prints_a_token_of_that_issuer(tmp_path) -> None:
    issuer = SandboxIssuer.create(tmp_path)
    command = [sys.executable, "-m", "sandbox.counterparties.issuer", "--dir", str(tmp_path)]
    command += ["--subject", "olga", "--tenant", "acme", "--role", "operator", "--role", "auditor"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=180
    )
    assert done.stderr == ""
    claims = decoded(done.stdout.strip(), issuer).claims
    assert (claims["sub"], claims["roles"]) == ("olga", ["operator", "auditor"])


def test_without_an_issuer_the_command_line_says_so(tmp_path) -> None:
    command = [sys.executable, "-m", "sandbox.counterparties.issuer", "--dir", str(tmp_path)]
    command += ["--subject", "olga", "--tenant", "acme"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert "no issuer in" in done.stderr
    assert "Traceback" not in done.stderr
