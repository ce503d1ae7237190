"""Bodies that no model of ours reads: a vendor's callback, and payloads of the codec protocol."""

from __future__ import annotations

import json
from typing import Any, Final

from api.schemas import examples

# JSON of protobuf writes what is not there as null, too.
_BASE64: Final = {"type": ["string", "null"], "contentEncoding": "base64"}
PAYLOADS: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Payloads",
    "description": "Payloads of Temporal's codec protocol, as JSON of protobuf writes them.",
    "properties": {
        "payloads": {
            "type": ["array", "null"],
            "description": "In the order in which they are answered.",
            "items": {
                "type": "object",
                "properties": {
                    "metadata": {
                        "type": ["object", "null"],
                        "description": "Names with values in base64; `encoding` says what `data` "
                        "is: `binary/encrypted` is ours, with `key-id` naming the key.",
                        "additionalProperties": _BASE64,
                    },
                    "data": {**_BASE64, "description": "The payload itself, in base64."},
                },
            },
        }
    },
    "examples": [examples.PAYLOADS],
}

_VENDOR_ID: Final = {"type": "string", "pattern": r"^[A-Za-z0-9_\-]{1,128}$"}
CALLBACK: Final[dict[str, Any]] = {
    "type": "object",
    "title": "VendorCallback",
    "description": "A check is completed. Fields beyond these are ignored.",
    "required": ["event_id", "type", "check_id", "reference", "verdict"],
    "properties": {
        "event_id": {
            **_VENDOR_ID,
            "description": "The event's own id: the same event is taken once, however often it "
            "comes. 1 to 128 letters, digits, '_' or '-'.",
        },
        "type": {"const": "check.completed", "description": "The one kind of event there is."},
        "check_id": {**_VENDOR_ID, "description": "The vendor's id of the check."},
        "reference": {
            "type": "string",
            "maxLength": 129,
            "description": "Our name for the verification, repeated from the vendor's request: "
            "`<tenant>:<verification id>`.",
        },
        "verdict": {
            "enum": ["clear", "unclear", "rejected"],
            "description": "`clear`: the identity is proved; `unclear`: a person of ours decides; "
            "`rejected`: it is not.",
        },
        "reason": {
            "type": ["string", "null"],
            "maxLength": 4000,
            "description": "A code in capitals, kept; free text is not kept, as it may name the "
            "person.",
        },
    },
    "examples": [examples.CALLBACK],
}


def _header(name: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": True,
        "description": description,
        "schema": {"type": "string"},
        "example": examples.CALLBACK_HEADERS[name],
    }


CALLBACK_HEADERS: Final = [
    _header(
        "webhook-id",
        "The message's id: 1 to 128 letters, digits, '_' or '-'. The same in every repetition.",
    ),
    _header("webhook-timestamp", "When it was signed: Unix seconds, in decimal digits."),
    _header(
        "webhook-signature",
        "One to eight signatures with spaces between them, each `v1,` and the HMAC-SHA256 in "
        "base64; one of them must be right.",
    ),
]

# The bytes the example's headers sign.
CALLBACK_BYTES: Final = json.dumps(examples.CALLBACK, separators=(",", ":"))


def signed_callback(tolerance_s: int) -> str:
    """What is signed, with an example."""
    headers = examples.CALLBACK_HEADERS
    return (
        "Signed by the Standard Webhooks specification: the HMAC-SHA256, under the secret shared "
        "with the vendor, of `{webhook-id}.{webhook-timestamp}.{body}`, where the body is its "
        "bytes exactly as they travel. A secret is written `whsec_` and base64; what is decoded is "
        "the key. While secrets are rotated, either of two is right. The timestamp may differ from "
        f"our clock by {tolerance_s} seconds at most: a repetition is signed anew.\n\n"
        "Refused are a wrong signature (401 `CALLBACK_SIGNATURE_INVALID`), a wrong time (401 "
        "`CALLBACK_TIMESTAMP_INVALID`), a vendor or verification we do not know (404), and a body "
        "of another form (422). A repetition is answered like the first; after a 5xx, repeat.\n\n"
        f"Example: under `{examples.CALLBACK_SECRET}`, the headers\n\n```\n"
        + "\n".join(f"{name}: {value}" for name, value in headers.items())
        + f"\n```\n\nsign the body\n\n```\n{CALLBACK_BYTES}\n```"
    )
