"""Signatures of webhooks, by the Standard Webhooks specification 1.0 (symmetric, `v1`).

`webhook-signature` holds one or more `v1,<base64>` values: HMAC-SHA256 under a shared secret over
`{webhook-id}.{webhook-timestamp}.{body}`, the body's bytes exactly as they travelled.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from models.domain.errors import Invalid

CALLBACK_SIGNATURE_INVALID: Final = "CALLBACK_SIGNATURE_INVALID"
CALLBACK_TIMESTAMP_INVALID: Final = "CALLBACK_TIMESTAMP_INVALID"

DEFAULT_TOLERANCE_S: Final = 300  # the specification's advice; also bounds the clocks' difference

# Among a lender's credentials: what it signs callbacks with, and what it did before.
CREDENTIAL_NAMES: Final = ("callback_secret", "former_callback_secret")

_ENCODED_AS: Final = "whsec_"
_MIN_SECRET_BYTES: Final = 24  # the specification asks for 24 to 64 bytes
_NEW_SECRET_BYTES: Final = 32
_MAX_SECRETS: Final = 2  # the new one and the one it replaces
_MAX_SIGNATURES: Final = 8  # a header of thousands would make us compute for a stranger

# No dot in the id: with one, two different messages could share the same signed text.
_MESSAGE_ID: Final = re.compile(r"[A-Za-z0-9_\-]{1,128}")
_TIMESTAMP: Final = re.compile(r"[0-9]{1,11}")


def decode_secret(text: str) -> bytes:
    """The bytes of a secret written as `whsec_<base64>`; ValueError if it is none, or too short."""
    if not text.startswith(_ENCODED_AS):
        raise ValueError(f"a callback secret starts with {_ENCODED_AS}")
    try:
        secret = base64.b64decode(text.removeprefix(_ENCODED_AS), validate=True)
    except ValueError:
        raise ValueError("a callback secret is base64") from None  # the cause would quote it
    if len(secret) < _MIN_SECRET_BYTES:
        raise ValueError(f"a callback secret has at least {_MIN_SECRET_BYTES} bytes")
    return secret


def encode_secret(secret: bytes) -> str:
    """A secret as both sides write it: `whsec_<base64>`."""
    return _ENCODED_AS + base64.b64encode(secret).decode("ascii")


def without_callback_secrets(credentials: Mapping[str, object]) -> dict[str, object]:
    """A lender's credentials as its adapter knows them; ValueError for a secret that is none."""
    for name in CREDENTIAL_NAMES:
        if name in credentials:
            decode_secret(str(credentials[name]))
    return {name: told for name, told in credentials.items() if name not in CREDENTIAL_NAMES}


def callback_secrets(credentials: Mapping[str, str]) -> tuple[bytes, ...]:
    """What a lender signs with, from its credentials: the current secret first."""
    return tuple(
        decode_secret(credentials[each]) for each in CREDENTIAL_NAMES if each in credentials
    )


def new_secret() -> bytes:
    """A fresh random secret of 32 bytes."""
    return os.urandom(_NEW_SECRET_BYTES)


def sign_callback(
    secret: bytes | tuple[bytes, ...], message_id: str, body: bytes, now: datetime
) -> dict[str, str]:
    """The three headers that sign `body` at `now`, under one secret or two of a rotation."""
    secrets = (secret,) if isinstance(secret, bytes) else secret
    if _MESSAGE_ID.fullmatch(message_id) is None:
        raise ValueError("a message id is 1 to 128 letters, digits, '_' or '-'")
    timestamp = str(int(now.timestamp()))
    digests = (_digest(each, message_id, timestamp, body) for each in secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(
            "v1," + base64.b64encode(each).decode("ascii") for each in digests
        ),
    }


def verify_callback(
    secret: bytes | tuple[bytes, ...],
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
    tolerance_s: int = DEFAULT_TOLERANCE_S,
) -> str:
    """The `webhook-id` of an authentic callback signed within `tolerance_s` of `now`.

    `secret` is one secret, or the two that are valid during a rotation; header names are compared
    without case. Raises Invalid CALLBACK_SIGNATURE_INVALID or CALLBACK_TIMESTAMP_INVALID.
    """
    secrets = (secret,) if isinstance(secret, bytes) else secret
    if not 1 <= len(secrets) <= _MAX_SECRETS or not all(secrets):
        raise ValueError("one or two secrets are valid at a time, and neither is empty")
    named = {name.lower(): value for name, value in headers.items()}
    message_id = named.get("webhook-id", "")
    timestamp = named.get("webhook-timestamp", "")
    if _MESSAGE_ID.fullmatch(message_id) is None or _TIMESTAMP.fullmatch(timestamp) is None:
        raise Invalid(CALLBACK_SIGNATURE_INVALID, "id or timestamp header missing or malformed")
    claimed = list(_claimed_digests(named.get("webhook-signature", "")))
    expected = [_digest(each, message_id, timestamp, body) for each in secrets]
    # A list, not any(): the time taken tells nothing about which comparison succeeded.
    if True not in [hmac.compare_digest(ours, theirs) for ours in expected for theirs in claimed]:
        raise Invalid(CALLBACK_SIGNATURE_INVALID, "no signature matches")
    if abs(now.timestamp() - int(timestamp)) > tolerance_s:
        raise Invalid(CALLBACK_TIMESTAMP_INVALID, f"not within {tolerance_s} s of our clock")
    return message_id


def _digest(secret: bytes, message_id: str, timestamp: str, body: bytes) -> bytes:
    signed = f"{message_id}.{timestamp}.".encode("ascii") + body
    return hmac.new(secret, signed, hashlib.sha256).digest()


def _claimed_digests(header: str) -> Iterator[bytes]:
    """The `v1` values of a signature header; other versions are other schemes and passed over."""
    for value in header.split(" ", _MAX_SIGNATURES)[:_MAX_SIGNATURES]:
        version, _, encoded = value.partition(",")
        if version != "v1":
            continue
        try:
            yield base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            continue
