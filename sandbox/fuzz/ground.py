"""What the cases stand on: a token that may do everything, and ids of things that exist."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from clients.python.caas_client import AsyncClient
from sandbox.borrower import Borrower
from sandbox.persona import read_persona
from sandbox.services.deployment import Deployment

TENANT: Final = "fuzzed"
STAFF: Final = "fiona.fuzz"
LEAVER: Final = "leo.leaver"  # who signs out, and everywhere
READY_S: Final = 60.0
TOKENS_VALID_S: Final = 12 * 3600

Token = Callable[..., str]  # subject, tenant, roles


@dataclass(frozen=True)
class Ground:
    """Written down for the process that makes the cases."""

    token: str
    leavers_token: str
    tenant: str
    applications: list[str]
    reviews: list[str]
    request_id: str
    offer: dict[str, Any]  # the body of an acceptance, but for what is signed
    applicant: dict[str, Any]
    wallet: str
    private_key: str
    chain_id: int
    aggregator: str

    def write(self, path: Path) -> None:
        """Keep it where `read` finds it; it holds a token and a key."""
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self)), "utf-8")

    @classmethod
    def read(cls, path: Path) -> Ground:
        """What was kept."""
        return cls(**json.loads(path.read_text("utf-8")))


async def lay_ground(
    http: httpx.AsyncClient, token: Token, deployment: Deployment, seed: bytes, name: str
) -> Ground:
    """Applications with offers, in review, and declined; one applicant was asked something.

    `name` sets these people apart from those of another run.
    """

    def people(persona: str, count: int) -> list[Borrower]:
        names = [f"{name}-{persona}-{number}" for number in range(count)]
        return [_person(http, token, deployment, seed, persona, each) for each in names]

    offered, reviewed, spare = (
        people("approved", 2),
        people("needs_review", 3),
        people("declined", 1),
    )
    # The last application is the one that is withdrawn, the last review the one that is left.
    everybody = [*spare, *reviewed, *offered]
    ids = list(await asyncio.gather(*(each.apply() for each in everybody)))
    states = ["declined", *["in_review"] * len(reviewed), *["offered"] * len(offered)]
    views = await asyncio.gather(
        *(
            person.until(application_id, state, timeout_s=READY_S)
            for person, application_id, state in zip(everybody, ids, states, strict=True)
        )
    )
    # Whoever may do everything: what is refused by role is told by the tests of roles.
    staff, leaver = (
        token(each, TENANT, *_roles(), ttl_s=TOKENS_VALID_S) for each in (STAFF, LEAVER)
    )
    client = AsyncClient(http, staff)
    in_review = set(ids[len(spare) : len(spare) + len(reviewed)])
    reviews = [
        each["review_id"]
        for each in (await client.reviews.open_reviews())["reviews"]
        if each["subject_id"] in in_review
    ]
    asked = await client.reviews.ask(
        reviews[0], {"items": ["PROOF_OF_INCOME"], "message": "Please send it."}
    )
    offer = views[-2]["offers"][0]
    return Ground(
        token=staff,
        leavers_token=leaver,
        tenant=TENANT,
        applications=ids,
        reviews=reviews,
        request_id=asked["request_id"],
        offer={"offer_id": offer["offer_id"], "terms_hash": offer["terms_hash"]},
        applicant=offered[0].data["applicant"],
        wallet=offered[-2].wallet.address,
        private_key=offered[-2].wallet.private_key,
        chain_id=deployment.chain_id,
        aggregator=deployment.aggregator,
    )


def _person(
    http: httpx.AsyncClient,
    token: Token,
    deployment: Deployment,
    seed: bytes,
    persona: str,
    user_id: str,
) -> Borrower:
    person = read_persona(persona).as_another(TENANT, user_id)
    return Borrower.of(http, person.data, seed, deployment, token(user_id, TENANT, "applicant"))


def _roles() -> tuple[str, ...]:
    return (
        "integrator", "underwriter", "compliance_officer", "support", "auditor", "tenant_admin",
    )  # fmt: skip
