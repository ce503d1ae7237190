"""Requests: what a body may say, and a table of what it may not, field by field."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from adapters.chain.eip712 import sign_wallet_ownership
from api.schemas.applications import AcceptBody, ApplicationBody
from api.schemas.reviews import DecisionBody
from sandbox.wallets import wallet

Bearer = Callable[..., dict[str, str]]
KEY = {"idempotency-key": "k" * 16}
TOO_LONG = "x" * 201
ARABIC = "\u0663\u0664"  # 34 in Arabic-Indic digits

ACCEPTANCE: dict[str, Any] = {
    "offer_id": "off_" + "0" * 32,
    "terms_hash": "0x" + "0" * 64,
    "borrower": "0x" + "11" * 20,
    "nonce": "1",
    "deadline": 1_790_000_000,
    "signature": "0x" + "ab" * 65,
}

NUMBERS: list[Any] = [
    None, True, "1", 1.0, 1.5, -1, [], {}, float("nan"), float("inf"), 2**63, 2**256, ARABIC,
]  # fmt: skip
TEXTS: list[Any] = [
    None, 7, True, [], {}, "", "   ", TOO_LONG, "a\x00b", "line\nbreak", "\u202eevil",
    "\x1b[31m", "zero\u200bwidth",
]  # fmt: skip
TOKENS: list[Any] = [
    None, 7, "", " 1", "a/b", "a;b", "a" * 65, ARABIC, "\u00e9", "a\n", "-1", "'--", "a\x00",
]  # fmt: skip
COUNTRIES: list[Any] = [None, "", "us", "USA", "U", "U1", "\u0415U", "US\n", 7, ["US"]]
DAYS: list[Any] = [
    None, 19900405, "1990-4-5", "05.04.1990", "1990-02-30", "1990-13-01", "0000-01-01",
    "1899-12-31", "1990-04-05T00:00:00", "1990-04-05\n", f"19{ARABIC}-04-05", "",
]  # fmt: skip
EMAILS: list[Any] = [
    None, "", "a", "a@b", "@b.c", "a@@b.c", "a b@c.d", "a@b.c\n", "a@b.c d@e.f", 7,
    "a@" + "b" * 251 + ".c", "a\x00@b.c", "a@b\u202e.c",
]  # fmt: skip
ADDRESSES: list[Any] = [
    None, "", "0x", "11" * 20, "0x" + "11" * 19, "0x" + "11" * 21, "0x" + "gg" * 20,
    "0X" + "11" * 20, "0x" + "11" * 20 + "\n", " 0x" + "11" * 20, 0x11, "0x" + "\uff11" * 40,
]  # fmt: skip
SIGNATURES: list[Any] = [
    None, "", "0x", "0x" + "ab" * 64, "0x" + "ab" * 66, "ab" * 65, "0x" + "zz" * 65,
    "0x" + "ab" * 65 + "\n", 7,
]  # fmt: skip
SECONDS: list[Any] = [None, True, "1", 1.5, -1, 2**63, 4_102_444_801, float("nan"), ARABIC]

BAD_APPLICATION: dict[str, list[Any]] = {
    "user_id": ["", "a b", "a/b", "\u00e9", "x" * 65, 7, "-a", "a\n", ["a"]],
    "amount_minor": [*NUMBERS, 0, 1_000_000_001],
    "currency": [None, "", "usd", "GBP", "XXX", "USD ", 840, ["USD"]],
    "term_months": [*NUMBERS, 0, 2, 121],
    "purpose": [None, "", "Medical", "gambling", 1, ["medical"]],
    "applicant": [None, [], "zelda", {}, 7],
    "applicant.given_name": TEXTS,
    "applicant.family_name": TEXTS,
    "applicant.born_on": DAYS,
    "applicant.email": EMAILS,
    "applicant.national_id": TOKENS,
    "applicant.address.line1": TEXTS,
    "applicant.address.city": TEXTS,
    "applicant.address.postal_code": TOKENS,
    "applicant.address.country": COUNTRIES,
    "applicant.document.kind": [None, "", "Passport", "library_card", 7],
    "applicant.document.number": TOKENS,
    "applicant.document.country": COUNTRIES,
    "finances": [None, [], {}],
    "finances.annual_income_minor": [*NUMBERS, 100_000_000_001],
    "finances.employment_months": [*NUMBERS, 1_201],
    "wallet": [None, "0x" + "11" * 20, {}],
    "wallet.address": ADDRESSES,
    "wallet.issued_at": SECONDS,
    "wallet.signature": SIGNATURES,
}
BAD_ACCEPTANCE: dict[str, list[Any]] = {
    "offer_id": [None, "", "off_1", "app_" + "0" * 32, "off_" + "G" * 32, "off_" + "0" * 32 + "\n"],
    "terms_hash": [None, "", "0x" + "0" * 63, "0x" + "A" * 64, "0" * 64, "0x" + "0" * 64 + "\n"],
    "borrower": ADDRESSES,
    "nonce": [None, 1, "", "-1", "+1", "01", "1.0", "1e3", "0x1", "1_0", " 1", "1\n", ARABIC,
              "9" * 79],
    "deadline": SECONDS,
    "signature": SIGNATURES,
}  # fmt: skip
BAD_DECISION: dict[str, list[Any]] = {
    "decision": [None, "", "approved", "Approve", True, 1, []],
    "reason": TEXTS,
}


def changed(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The body with one field replaced."""
    made = copy.deepcopy(body)
    *parents, name = path.split(".")
    inner = made
    for parent in parents:
        inner = inner[parent]
    inner[name] = value
    return made


def cases(table: dict[str, list[Any]]) -> list[Any]:
    return [
        pytest.param(path, value, id=f"{path}={value!r:.30}")
        for path, values in table.items()
        for value in values
    ]


@pytest.mark.parametrize(("path", "value"), cases(BAD_APPLICATION))
def test_an_application_is_refused_for(
    application_body: dict[str, Any], path: str, value: Any
) -> None:
    with pytest.raises(ValidationError) as refused:
        ApplicationBody.model_validate(changed(application_body, path, value))
    places = {".".join(str(part) for part in each["loc"]) for each in refused.value.errors()}
    assert any(place.startswith(path) for place in places), places


@pytest.mark.parametrize(("path", "value"), cases(BAD_ACCEPTANCE))
def test_an_acceptance_is_refused_for(path: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        AcceptBody.model_validate(changed(ACCEPTANCE, path, value))


@pytest.mark.parametrize(("path", "value"), cases(BAD_DECISION))
def test_a_decision_is_refused_for(path: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        DecisionBody.model_validate(changed({"decision": "approve", "reason": "fine"}, path, value))


@pytest.mark.parametrize(
    "path",
    ["x", "applicant.gender", "applicant.address.x", "applicant.document.x", "finances.x",
     "wallet.x", "tenant", "application_id", "score"],
)  # fmt: skip
def test_an_unknown_field_is_refused_wherever_it_is(
    application_body: dict[str, Any], path: str
) -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        ApplicationBody.model_validate(changed(application_body, path, "x"))


def test_every_field_but_the_user_is_needed(application_body: dict[str, Any]) -> None:
    def leaves(body: dict[str, Any], prefix: str = "") -> list[str]:
        found = []
        for name, value in body.items():
            found.append(prefix + name)
            if isinstance(value, dict):
                found += leaves(value, f"{prefix}{name}.")
        return found

    for path in leaves(application_body):
        body = copy.deepcopy(application_body)
        *parents, name = path.split(".")
        inner = body
        for parent in parents:
            inner = inner[parent]
        del inner[name]
        with pytest.raises(ValidationError, match="missing"):
            ApplicationBody.model_validate(body)
    assert ApplicationBody.model_validate(application_body).user_id is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("amount_minor", 1),
        ("amount_minor", 1_000_000_000),
        ("term_months", 3),
        ("term_months", 120),
        ("applicant.given_name", "Zo\u00eb-Mar\u00eda d'\u00c5lborg"),
        ("applicant.family_name", "\u738b"),
        ("applicant.born_on", "2000-02-29"),
        ("applicant.address.postal_code", "SW1A 1AA"),
        ("applicant.email", "z+loans@mail.example.co"),
        ("finances.annual_income_minor", 0),
        ("user_id", "user-1.a_b"),
    ],
)
def test_what_people_really_have_is_accepted(
    application_body: dict[str, Any], path: str, value: Any
) -> None:
    ApplicationBody.model_validate(changed(application_body, path, value))


def test_no_protected_attribute_is_asked_for() -> None:
    asked = str(ApplicationBody.model_json_schema()).casefold()
    for attribute in ("gender", "sex", "race", "religion", "marital", "ethnic", "nationality"):
        assert f"'{attribute}" not in asked


def test_the_published_example_is_acceptable() -> None:
    for example in ApplicationBody.model_json_schema()["examples"]:
        ApplicationBody.model_validate(example)


# At the front door.


def proved(body: dict[str, Any], subject: str = "zelda", **changes: Any) -> dict[str, Any]:
    """The body with a wallet that is proved, unless a change spoils the proof."""
    owner = wallet(f"borrower:{subject}", b"s" * 32)
    issued_at = int(time.time())
    stated = {
        "tenant": "acme", "user": subject, "address": owner.address, "issued_at": issued_at,
        "chain_id": 31337, "aggregator": "0x" + "44" * 20, **changes,
    }  # fmt: skip
    signature = sign_wallet_ownership(
        stated["tenant"], stated["user"], stated["address"], stated["issued_at"],
        chain_id=stated["chain_id"], aggregator=stated["aggregator"],
        private_key=owner.private_key,
    )  # fmt: skip
    shown = {"address": owner.address, "issued_at": stated["issued_at"], "signature": signature}
    return changed(body, "wallet", shown)


async def test_a_proved_wallet_is_taken_and_stored_checksummed(
    http: httpx.AsyncClient, bearer: Bearer, records: Any, application_body: dict[str, Any]
) -> None:
    body = proved(application_body)
    body["wallet"]["address"] = body["wallet"]["address"].lower()
    headers = {**bearer("applicant"), **KEY}
    answer = await http.post("/api/v1/applications", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    document = answer.json()
    assert answer.headers["location"] == document["links"]["self"]
    ((write, application, request, person),) = records.submitted
    assert (write.tenant_id, write.subject) == ("acme", "zelda")
    assert (application.tenant_id, application.user_id) == ("acme", "zelda")
    assert document["application_id"] == application.application_id
    assert request.wallet == wallet("borrower:zelda", b"s" * 32).address
    assert person.full_name == "Zelda Quillfeather"


@pytest.mark.parametrize(
    "change",
    [
        {"tenant": "other"},
        {"user": "eve"},
        {"chain_id": 1},
        {"aggregator": "0x" + "55" * 20},
        {"address": "0x" + "66" * 20},
        {"days_off": -1},
        {"days_off": 1},
    ],
    ids=str,
)
async def test_a_proof_for_something_else_is_no_proof(
    http: httpx.AsyncClient, bearer: Bearer, records: Any, application_body: dict[str, Any],
    change: dict[str, Any],
) -> None:  # fmt: skip
    if days_off := change.get("days_off"):
        change = {"issued_at": int(time.time()) + 86_400 * days_off}
    answer = await http.post(
        "/api/v1/applications", json=proved(application_body, **change),
        headers={**bearer("applicant"), **KEY},
    )  # fmt: skip
    assert (answer.status_code, answer.json()["code"]) == (422, "WALLET_PROOF_INVALID")
    assert records.submitted == []


@pytest.mark.parametrize(
    ("roles", "user_id", "status", "code"),
    [
        (("applicant",), None, 202, None),
        (("applicant",), "zelda", 202, None),
        (("applicant",), "eve", 403, "NOT_ALLOWED"),
        (("applicant", "auditor"), "eve", 403, "NOT_ALLOWED"),
        (("integrator",), None, 422, "USER_ID_MISSING"),
        (("integrator",), "zelda", 202, None),
    ],
)
async def test_who_may_apply_for_whom(
    http: httpx.AsyncClient, bearer: Bearer, application_body: dict[str, Any],
    roles: tuple[str, ...], user_id: str | None, status: int, code: str | None,
) -> None:  # fmt: skip
    body = proved(application_body) | ({"user_id": user_id} if user_id else {})
    answer = await http.post("/api/v1/applications", json=body, headers={**bearer(*roles), **KEY})
    assert (answer.status_code, answer.json().get("code")) == (status, code)


async def test_a_currency_without_a_token_is_refused(
    http: httpx.AsyncClient, bearer: Bearer, application_body: dict[str, Any]
) -> None:
    body = proved({**application_body, "currency": "EUR"})
    answer = await http.post(
        "/api/v1/applications", json=body, headers={**bearer("applicant"), **KEY}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "CURRENCY_NOT_SETTLED")
