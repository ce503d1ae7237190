"""Signed callbacks: what is authentic, and every way not to be."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from adapters.webhooks.signature import decode_secret, sign_callback, verify_callback
from models.domain.errors import Invalid

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OLD, NEW = b"o" * 24, b"n" * 24
BODY = b'{"verdict":"clear"}'


def signed(**changes: str) -> dict[str, str]:
    return {**sign_callback(NEW, "evt_1", BODY, NOW), **changes}


def code_of(headers: dict[str, str], body: bytes = BODY, now: datetime = NOW) -> str:
    with pytest.raises(Invalid) as raised:
        verify_callback(NEW, headers, body, now)
    return raised.value.code


def test_the_signature_is_the_specification_s() -> None:
    timestamp = str(int(NOW.timestamp()))
    mac = hmac.new(NEW, b"evt_1." + timestamp.encode() + b"." + BODY, hashlib.sha256).digest()
    assert signed() == {
        "webhook-id": "evt_1",
        "webhook-timestamp": timestamp,
        "webhook-signature": "v1," + base64.b64encode(mac).decode(),
    }


def test_the_specification_s_own_example_verifies() -> None:
    # standardwebhooks 1.0, reference vector of its libraries.
    secret = decode_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    at = datetime.fromtimestamp(1614265330, UTC)
    assert verify_callback(secret, headers, b'{"test": 2432232314}', at) == headers["webhook-id"]


def test_an_authentic_callback_gives_its_id_whatever_the_case_of_the_headers() -> None:
    headers = {name.title(): value for name, value in signed().items()}
    assert verify_callback(NEW, headers, BODY, NOW) == "evt_1"


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_two_secrets_are_valid_during_a_rotation(secret: bytes) -> None:
    headers = sign_callback(secret, "evt_1", BODY, NOW)
    assert verify_callback((NEW, OLD), headers, BODY, NOW) == "evt_1"


def test_one_matching_signature_among_several_is_enough() -> None:
    others = "v1,AAAA v1a,xxxx v1,§ " + signed()["webhook-signature"]
    assert verify_callback(NEW, signed(**{"webhook-signature": others}), BODY, NOW) == "evt_1"


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook-id": "evt_2"},
        {"webhook-id": ""},
        {"webhook-id": "evt_1\n"},
        {"webhook-id": "evt.1"},
        {"webhook-timestamp": str(int(NOW.timestamp()) + 1)},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "١٢"},
        {"webhook-timestamp": "-1"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,not base64"},
        {"webhook-signature": "v1," + base64.b64encode(b"0" * 32).decode()},
        {"webhook-signature": "v1,A " * 10_000},
    ],
)
def test_a_changed_header_is_refused(changes: dict[str, str]) -> None:
    assert code_of(signed(**changes)) == "CALLBACK_SIGNATURE_INVALID"


def test_a_missing_header_is_refused() -> None:
    for missing in signed():
        headers = {name: value for name, value in signed().items() if name != missing}
        assert code_of(headers) == "CALLBACK_SIGNATURE_INVALID"


def test_a_signature_of_another_version_is_not_taken_for_ours() -> None:
    other = signed()["webhook-signature"].replace("v1,", "v2,")
    assert code_of(signed(**{"webhook-signature": other})) == "CALLBACK_SIGNATURE_INVALID"


def test_a_body_serialised_again_is_refused() -> None:
    assert code_of(signed(), body=b'{"verdict": "clear"}') == "CALLBACK_SIGNATURE_INVALID"


def test_another_secret_is_refused() -> None:
    headers = sign_callback(OLD, "evt_1", BODY, NOW)
    assert code_of(headers) == "CALLBACK_SIGNATURE_INVALID"


@pytest.mark.parametrize("minutes", [-5, 5])
def test_the_tolerance_is_five_minutes_to_either_side(minutes: int) -> None:
    at = NOW + timedelta(minutes=minutes)
    assert verify_callback(NEW, signed(), BODY, at) == "evt_1"
    beyond = at + timedelta(seconds=1 if minutes > 0 else -1)
    assert code_of(signed(), now=beyond) == "CALLBACK_TIMESTAMP_INVALID"


@pytest.mark.parametrize("secrets", [(), b"", (NEW, b""), (NEW, OLD, NEW)])
def test_an_empty_secret_is_a_mistake_in_the_settings(secrets: object) -> None:
    with pytest.raises(ValueError, match="secrets"):
        verify_callback(secrets, signed(), BODY, NOW)


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_AAAA", "whsec_§§§§", NEW.decode()])
def test_a_weak_or_misspelt_secret_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a callback secret"):
        decode_secret(text)
