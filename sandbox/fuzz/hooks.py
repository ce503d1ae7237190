"""Loaded by schemathesis: half of the cases get ids and proofs of what exists, so go deep."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any, Final, TypeAlias

import schemathesis
from schemathesis import Case, GenerationMode, HookContext, Response
from schemathesis.core.parameters import ParameterLocation

from adapters.chain.eip712 import sign_wallet_ownership
from api.problems import CATALOGUE
from clients.generate.document import streams
from sandbox.fuzz.ground import STAFF, Ground

AnyCase: TypeAlias = Case[Any]

GROUND: Final = Ground.read(Path(os.environ["CAAS_FUZZ_GROUND"]))
KEY: Final = "Idempotency-Key"
# The same choices in each run; which case they meet depends on schemathesis' own seed.
_CHANCE: Final = random.Random(int(os.environ.get("CAAS_FUZZ_SEED", "1")))


@schemathesis.auth(refresh_interval=None)
class BearerToken:
    """The token that may do everything; whoever signs out does it with one of their own."""

    def get(self, case: AnyCase, context: Any) -> str:
        """The token."""
        leaves = case.operation.path.endswith("/logout")
        return GROUND.leavers_token if leaves else GROUND.token

    def set(self, case: AnyCase, data: str, context: Any) -> None:
        """Put it where the API reads it."""
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def before_process_path(context: HookContext, path: str, methods: dict[str, Any]) -> None:
    """Leave out what streams: a case would read until it gives up. Its own tests listen to it."""
    for method, operation in list(methods.items()):
        if isinstance(operation, dict) and "responses" in operation and streams(operation):
            del methods[method]


@schemathesis.hook
def map_case(context: HookContext, case: AnyCase) -> AnyCase:
    """Half of what is well-formed gets ids, keys and proofs of what exists."""
    if _sound(case, ParameterLocation.HEADER) and case.headers and KEY in case.headers:
        # Otherwise the example's key would be every write's.
        case.headers[KEY] = f"fuzz-{_CHANCE.getrandbits(64):016x}"
    if _CHANCE.random() < 0.5:
        return case
    if _sound(case, ParameterLocation.PATH):
        _lead_somewhere(case)
    if _sound(case, ParameterLocation.BODY) and isinstance(case.body, dict):
        case.body = _of_what_exists(dict(case.body))
    return case


def _sound(case: AnyCase, place: ParameterLocation) -> bool:
    """Whether this part of the case was made to be well-formed: what is not must stay as it is."""
    made = case.meta.components.get(place) if case.meta else None
    return made is not None and made.mode is GenerationMode.POSITIVE


def _lead_somewhere(case: AnyCase) -> None:
    real = {"application_id": GROUND.applications, "review_id": GROUND.reviews,
            "vendor": ["identity"]}  # fmt: skip
    # What is withdrawn leads nowhere any more: only one of them may be.
    ends = case.operation.path.endswith("/withdraw")
    for name, ids in real.items():
        if name in case.path_parameters:
            case.path_parameters[name] = ids[-1] if ends else _CHANCE.choice(ids[:-1] or ids)


def _of_what_exists(body: dict[str, Any]) -> dict[str, Any]:
    if "request_id" in body:
        body["request_id"] = GROUND.request_id
    if "assignee" in body:
        body["assignee"] = STAFF
    if "offer_id" in body:
        body |= {**GROUND.offer, "borrower": GROUND.wallet}
    if "applicant" in body and "wallet" in body:
        user_id = f"person-{_CHANCE.randrange(8)}"
        body |= {"user_id": user_id, "wallet": _proof(user_id), "currency": "USD"}
        body["applicant"] = GROUND.applicant
    return body


def _proof(user_id: str) -> dict[str, Any]:
    issued_at = int(time.time())
    signature = sign_wallet_ownership(
        GROUND.tenant, user_id, GROUND.wallet, issued_at,
        chain_id=GROUND.chain_id, aggregator=GROUND.aggregator, private_key=GROUND.private_key,
    )  # fmt: skip
    return {"address": GROUND.wallet, "issued_at": issued_at, "signature": signature}


@schemathesis.check
def problem_is_published(ctx: Any, response: Response, case: AnyCase) -> None:
    """A refusal's code is one its operation publishes under that status."""
    if not response.headers.get("content-type", [""])[0].startswith("application/problem+json"):
        return
    described = case.operation.definition.raw["responses"].get(str(response.status_code), {})
    media = described.get("content", {}).get("application/problem+json", {})
    code = response.json()["code"]
    everywhere = [each.code for each in CATALOGUE if each.status == response.status_code == 405]
    published = [*media.get("examples", {}), *everywhere]
    assert code in published, f"{code} is not published for this operation"
