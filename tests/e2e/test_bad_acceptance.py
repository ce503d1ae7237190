"""Acceptances that must not count: refused with a published code, and the offer stays open."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from adapters.chain.eip712 import sign_acceptance
from sandbox.borrower import Borrower
from tests.e2e.outside import World, refusal_of

pytestmark = pytest.mark.stack


@dataclass(frozen=True)
class Offered:
    """An application with an open offer, and a wallet that is not its borrower's."""

    person: Borrower
    stranger: Borrower
    application_id: str
    offer: dict[str, Any]

    @property
    def path(self) -> str:
        return f"/api/v1/applications/{self.application_id}/accept"

    def signed(self, by: Borrower | None = None, **stated: Any) -> dict[str, Any]:
        """An acceptance with a genuine signature over what is stated; the valid one by default."""
        wallet = (by or self.person).wallet
        message = {
            "terms_hash": self.offer["terms_hash"],
            "borrower": wallet.address,
            "nonce": secrets.randbits(128),
            "deadline": int(time.time()) + 3_600,
            "chain_id": self.offer["chain_id"],
            "aggregator": self.offer["aggregator"],
            **stated,
        }
        venue = {"chain_id": message.pop("chain_id"), "aggregator": message.pop("aggregator")}
        signature = sign_acceptance(**message, **venue, private_key=wallet.private_key)
        return {
            "offer_id": self.offer["offer_id"],
            **message,
            "nonce": str(message["nonce"]),
            "signature": signature,
        }


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def offered(world: World) -> Offered:
    """An offer that nobody accepts."""
    person = world.person()
    view = await world.apply_until(person, "offered")
    return Offered(person, world.person(), view["application_id"], view["offers"][0])


async def _post(
    world: World, offered: Offered, body: Any, person: Borrower | None = None
) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {
        **(person or offered.person).headers(),
        "Content-Type": "application/json",
        "Idempotency-Key": secrets.token_urlsafe(16),
    }
    return await world.http.post(offered.path, content=content, headers=headers)


def _flipped(body: dict[str, Any]) -> dict[str, Any]:
    """The same signature with one bit of s changed."""
    digits = body["signature"]
    return {**body, "signature": f"{digits[:-4]}{int(digits[-4], 16) ^ 1:x}{digits[-3:]}"}


def _high_s(body: dict[str, Any]) -> dict[str, Any]:
    """The same signature in its second form, which the curve admits and EIP-2 refuses."""
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    raw = bytes.fromhex(body["signature"][2:])
    s, v = order - int.from_bytes(raw[32:64], "big"), 55 - raw[64]
    return {**body, "signature": "0x" + (raw[:32] + s.to_bytes(32, "big") + bytes([v])).hex()}


OTHER_HASH = "0x" + "5a" * 32
OTHER_CONTRACT = "0x" + "12" * 20

# Well-formed, and unacceptable for what it says.
REFUSED: dict[str, tuple[Callable[[Offered], dict[str, Any]], str]] = {
    "an unknown offer": (
        lambda o: {**o.signed(), "offer_id": f"off_{secrets.token_hex(16)}"}, "OFFER_UNKNOWN",
    ),
    "other terms": (lambda o: o.signed(terms_hash=OTHER_HASH), "TERMS_HASH_MISMATCH"),
    "another wallet": (lambda o: o.signed(by=o.stranger), "BORROWER_MISMATCH"),
    "a deadline in a minute": (
        lambda o: o.signed(deadline=int(time.time()) + 60), "ACCEPTANCE_DEADLINE_TOO_SOON",
    ),
    "a deadline in the past": (
        lambda o: o.signed(deadline=int(time.time()) - 60), "ACCEPTANCE_DEADLINE_TOO_SOON",
    ),
    "signed by another wallet": (
        lambda o: {**o.signed(), "signature": o.signed(by=o.stranger)["signature"]},
        "SIGNATURE_INVALID",
    ),
    "signed over another nonce": (lambda o: {**o.signed(), "nonce": "7"}, "SIGNATURE_INVALID"),
    "signed for another chain": (lambda o: o.signed(chain_id=1), "SIGNATURE_INVALID"),
    "signed for another contract": (
        lambda o: o.signed(aggregator=OTHER_CONTRACT), "SIGNATURE_INVALID",
    ),
    "a changed signature": (lambda o: _flipped(o.signed()), "SIGNATURE_INVALID"),
    "a malleable signature": (lambda o: _high_s(o.signed()), "SIGNATURE_INVALID"),
    "a signature of zeros": (
        lambda o: {**o.signed(), "signature": "0x" + "00" * 65}, "SIGNATURE_INVALID",
    ),
    "a nonce beyond uint256": (
        lambda o: {**o.signed(), "nonce": str(2**256)}, "NONCE_TOO_LARGE",
    ),
}  # fmt: skip

# (field, JSON as it stands in the body, status)
MALFORMED = [
    ("nonce", "7", 422),
    ("nonce", '"-1"', 422),
    ("nonce", '"007"', 422),
    ("nonce", '"0x07"', 422),
    ("nonce", '"1e3"', 422),
    ("nonce", '"٧"', 422),
    ("nonce", '"1_000"', 422),
    ("nonce", f'"{"9" * 79}"', 422),
    ("nonce", "1e400", 400),
    ("deadline", '"1790000000"', 422),
    ("deadline", "1790000000.5", 422),
    ("deadline", "-1", 422),
    ("deadline", "0", 422),
    ("deadline", str(2**63), 422),
    ("deadline", str(2**256), 422),
    ("deadline", "NaN", 400),
    ("deadline", "true", 422),
    ("terms_hash", '"0x"', 422),
    ("terms_hash", "null", 422),
    ("terms_hash", f'"{"0x" + "AB" * 32}"', 422),
    ("borrower", '"vitalik.eth"', 422),
    ("borrower", f'"{"0x" + "0" * 39}"', 422),
    ("signature", '"0x1234"', 422),
    ("signature", f'"{"0x" + "00" * 66}"', 422),
    ("offer_id", '"off_1"', 422),
    ("offer_id", "[]", 422),
]


@pytest.mark.parametrize("what", REFUSED)
async def test_a_wrong_acceptance_is_refused(world: World, offered: Offered, what: str) -> None:
    make, code = REFUSED[what]
    body = make(offered)
    before = await world.truth.footprint(offered.person.data["tenant"])
    answer = await _post(world, offered, body)
    refusal_of(answer, 422, code)
    assert body["signature"] not in answer.text
    assert await world.truth.footprint(offered.person.data["tenant"]) == before
    await _still_open(world, offered)


@pytest.mark.parametrize(("field", "literal", "status"), MALFORMED)
async def test_a_malformed_acceptance_is_refused(
    world: World, offered: Offered, field: str, literal: str, status: int
) -> None:
    body = json.dumps({**offered.signed(), field: "@@"}).replace('"@@"', literal).encode()
    before = await world.truth.footprint(offered.person.data["tenant"])
    refusal_of(await _post(world, offered, body), status)
    assert await world.truth.footprint(offered.person.data["tenant"]) == before
    await _still_open(world, offered)


async def test_a_wrong_form_is_refused(world: World, offered: Offered) -> None:
    before = await world.truth.footprint(offered.person.data["tenant"])
    valid = offered.signed()
    short = {name: value for name, value in valid.items() if name != "signature"}
    for body, status in (
        ({**valid, "amount_minor": 1}, 422),
        (short, 422),
        ({}, 422),
        ([valid], 400),
        (b"", 422),
        (b'{"nonce":"1",' + json.dumps(valid).encode()[1:], 400),
        (b" " * 100_000, 413),
    ):
        refusal_of(await _post(world, offered, body), status)
    unkeyed = await world.http.post(offered.path, json=valid, headers=offered.person.headers())
    refusal_of(unkeyed, 400, "IDEMPOTENCY_KEY_MISSING")
    assert await world.truth.footprint(offered.person.data["tenant"]) == before


async def test_a_closed_application_accepts_nothing(world: World, offered: Offered) -> None:
    ended = world.person({"applicant.document.number": "REJECT-9"})
    view = await world.apply_until(ended, "declined")
    closed = Offered(ended, offered.stranger, view["application_id"], offered.offer)
    told = refusal_of(await _post(world, closed, closed.signed()), 409)
    # Its ending is on record a moment before its workflow has ended.
    assert told["code"] in ("APPLICATION_CLOSED", "APPLICATION_NOT_WAITING"), told


async def test_an_offer_is_accepted_once(world: World) -> None:
    """Ten different signatures at once, one acceptance; the winner's repetition is no conflict."""
    person = world.person()
    view = await world.apply_until(person, "offered")
    offered = Offered(person, person, view["application_id"], view["offers"][0])
    bodies = [offered.signed() for _ in range(10)]
    answers = await asyncio.gather(*(_post(world, offered, body) for body in bodies))
    won = [body for body, answer in zip(bodies, answers, strict=True) if answer.is_success]
    assert len(won) == 1
    for answer in answers:
        if not answer.is_success:
            # Who comes so late that the loan is paid finds nobody waiting any more.
            told = refusal_of(answer, 409)
            assert told["code"] in ("ALREADY_ACCEPTED", "APPLICATION_NOT_WAITING"), told
    again = await _post(world, offered, won[0])
    assert again.status_code == 200
    refusal_of(await _post(world, offered, offered.signed()), 409)
    funded = await world.until(person, offered.application_id, "funded")
    late = await _post(world, offered, offered.signed())
    refusal_of(late, 409)
    [row] = await world.truth.rows(
        "SELECT acceptance FROM offers WHERE tenant_id = $1 AND status = 'accepted'",
        person.data["tenant"],
    )
    assert row["acceptance"]["signature"] == won[0]["signature"]
    reference = funded["transaction"]["loan_reference"]
    assert len(world.journals.effects("bank", "quote.confirmed", reference)) == 1


async def _still_open(world: World, offered: Offered) -> None:
    view = await offered.person.view(offered.application_id)
    assert (view["state"], view["accepted_offer_id"]) == ("offered", None)
    assert {offer["status"] for offer in view["offers"]} == {"open"}


async def test_before_there_are_offers_nothing_can_be_accepted(
    world: World, offered: Offered
) -> None:
    """It is said at once: an acceptance that waited would be told that nobody answered."""
    person = world.person({"applicant.national_id": "800-00-0001"})
    application_id = await person.apply()
    early = Offered(person, offered.stranger, application_id, offered.offer)
    refusal_of(await _post(world, early, early.signed()), 422, "OFFER_UNKNOWN")
