"""Configured issuers: a wrong one stops the start by name, and fetched keys are kept with care."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from joserfc.jwk import KeySet, OKPKey

import wiring
from adapters.accounts import provider_keys
from adapters.accounts.provider_keys import ProviderKeys
from adapters.http import Answer
from api.issuers import trusted_issuers
from models.domain.errors import Unavailable
from settings import Environment, IssuerSettings, Settings, WrongSetting


class OwnKeys:
    def key_set(self) -> KeySet:
        return KeySet([])

    async def look_again(self) -> bool:
        return False


def settings(*issuers: dict[str, Any], **more: Any) -> Settings:
    return Settings(
        master_keys={"v1": base64.b64encode(b"k" * 32).decode()},  # type: ignore[dict-item]
        issuers=tuple(IssuerSettings.model_validate(each) for each in issuers),
        **more,
    )


def published(*keys: OKPKey) -> dict[str, Any]:
    return {"keys": [dict(key.as_dict(private=False)) for key in keys]}


@pytest.fixture
def key() -> OKPKey:
    return OKPKey.generate_key("Ed25519", auto_kid=True)


@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}", '{"keys": [{"kty": "XYZ"}]}'])
def test_a_key_file_that_is_none_stops_the_start(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "jwks.json"
    if text is not None:
        path.write_text(text)
    configured = settings({"issuer": "https://a.example", "jwks_path": str(path)})
    with pytest.raises(WrongSetting, match=r"^CAAS_ISSUERS__0__JWKS_PATH: \w+$"):
        trusted_issuers(configured, OwnKeys(), {})


def test_two_issuers_of_one_name_stop_the_start(tmp_path: Path, key: OKPKey) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(published(key)))
    for name in ("urn:caas:issuer", "https://a.example"):
        twice = [{"issuer": each, "jwks_path": str(path)} for each in (name, "https://a.example")]
        with pytest.raises(WrongSetting, match="CAAS_ISSUERS: two issuers of one name"):
            trusted_issuers(settings(*twice), OwnKeys(), {})


def test_keys_are_fetched_by_https_outside_the_sandbox() -> None:
    there = {"issuer": "https://a.example", "jwks_url": "http://a.example/jwks"}

    def found(configured: Settings) -> dict[str, ProviderKeys]:
        stand_in: Any = SimpleNamespace(settings=configured, caller=lambda *_: None)
        return wiring._provider_keys(stand_in)

    with pytest.raises(WrongSetting, match="CAAS_ISSUERS__0__JWKS_URL: must start with https://"):
        found(settings(there))
    assert set(found(settings(there, environment=Environment.SANDBOX))) == {"https://a.example"}
    assert found(settings({**there, "jwks_url": "https://a.example/jwks"}))


class Publisher:
    """What the provider answers next; an error is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str]] = []

    async def call(self, method: str, path: str) -> Answer:
        self.asked.append((method, path))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Answer(200, {}, answer) if isinstance(answer, dict) else Answer(answer, {}, {})


def provider(publisher: Publisher, cooldown_s: float = 0.0) -> ProviderKeys:
    caller: Any = publisher
    return ProviderKeys(caller, "https://a.example", cooldown_s=cooldown_s)


async def test_new_keys_replace_old_ones_and_failures_replace_nothing(key: OKPKey) -> None:
    other = OKPKey.generate_key("Ed25519", auto_kid=True)
    publisher = Publisher(
        published(key), Unavailable("AWAY"), 404, {"keys": []}, {}, published(other)
    )
    keys = provider(publisher)
    assert not keys.key_set()
    assert await keys.newer()
    for _ in range(4):
        assert not await keys.newer()
        assert [each.kid for each in keys.key_set()] == [key.kid]
    assert await keys.newer()
    assert [each.kid for each in keys.key_set()] == [other.kid]
    assert set(publisher.asked) == {("GET", "")}  # the configured address, and nothing added to it


async def test_a_provider_is_not_asked_again_at_once(key: OKPKey) -> None:
    publisher = Publisher(published(key))
    keys = provider(publisher, cooldown_s=60)
    assert await keys.newer()
    assert not await keys.newer()
    assert len(publisher.asked) == 1


async def test_keys_of_a_provider_that_is_gone_for_long_are_dropped(
    key: OKPKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = provider(Publisher(published(key)))
    await keys.newer()
    assert keys.key_set()
    monkeypatch.setattr(provider_keys, "STALE_AFTER_S", -1.0)
    assert not keys.key_set()
