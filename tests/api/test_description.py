"""The description's worked examples: each is what the code that checks it takes."""

from __future__ import annotations

import ast
import base64
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from adapters.chain import eip712
from adapters.identity.verifier_mapping import _CheckCompleted, parse_callback
from adapters.webhooks.signature import (
    DEFAULT_TOLERANCE_S,
    decode_secret,
    sign_callback,
    verify_callback,
)
from api.app import create_app
from api.description import TERMS_TYPE, describe
from api.errors import TITLES
from api.routes.applications import WALLET_PROOF_AGE_S, WALLET_PROOF_SKEW_S
from api.schemas import examples, wire
from api.schemas.applications import AcceptBody, ApplicationBody
from api.schemas.offer_answers import TermsAnswer
from api.schemas.reviews import DecisionBody
from models.domain.offer import LoanTerms
from settings import ChainSettings, Settings
from workflows.options import ACCEPTANCE_MARGIN

ROOT = Path(__file__).resolve().parents[2]
DOMAIN: dict[str, Any] = {"chain_id": examples.CHAIN_ID, "aggregator": examples.AGGREGATOR}


def shown() -> dict[str, dict[str, Any]]:
    """The typed data of the description, as a reader would copy it, by primary type."""
    documents = map(json.loads, re.findall(r"```json\n(.*?)\n```", describe(None), re.DOTALL))
    return {each["primaryType"]: each for each in documents}


def test_the_typed_data_shown_is_what_the_code_hashes() -> None:
    assert set(shown()) == {"WalletOwnership", "Acceptance"}
    proof = examples.WALLET_PROOF
    ownership = shown()["WalletOwnership"]
    assert ownership == eip712.wallet_ownership_typed_data(
        "acme", "customer-7", proof["address"], proof["issued_at"], **DOMAIN
    )
    body = examples.ACCEPTANCE
    assert shown()["Acceptance"] == eip712.acceptance_typed_data(
        body["terms_hash"], body["borrower"], int(body["nonce"]), body["deadline"], **DOMAIN
    )
    # A nonce that JavaScript would round is shown as a text.
    assert shown()["Acceptance"]["message"]["nonce"] == str(examples.NONCE)
    assert examples.NONCE > 2**53


def test_the_signatures_shown_are_those_of_the_key_shown() -> None:
    key, text = examples.PRIVATE_KEY, describe(None)
    assert key in text
    assert eip712.address_of(key) == examples.WALLET
    owned = (examples.TENANT, examples.USER_ID, examples.WALLET, examples.ISSUED_AT)
    accepted = (examples.TERMS_HASH, examples.WALLET, examples.NONCE, examples.DEADLINE)
    for digest, body in (
        (eip712.wallet_ownership_digest(*owned, **DOMAIN), examples.WALLET_PROOF),
        (eip712.acceptance_digest(*accepted, **DOMAIN), examples.ACCEPTANCE),
    ):
        assert body["signature"] == eip712.sign_digest(digest, key)
        assert f"`0x{digest.hex()}`" in text
        assert f"`{body['signature']}`" in text


def test_the_type_of_the_terms_is_the_contracts() -> None:
    assert TERMS_TYPE in (ROOT / "contracts/src/CreditAggregator.sol").read_text("utf-8")
    assert TERMS_TYPE in describe(None)
    members = [each.split()[1] for each in TERMS_TYPE[len("LoanTerms(") : -1].split(",")]
    snake = [re.sub(r"([A-Z])", lambda found: "_" + found[1].lower(), each) for each in members]
    assert list(TermsAnswer.model_fields) == snake


def test_terms_are_shown_in_texts() -> None:
    terms = LoanTerms("0x1", "0x2", "0x3", "0x4", 10**30, 2**255, 1_250, 36, 2**200, 1_790_000_000)
    assert TermsAnswer.of(terms).model_dump() == {
        "loan_reference": "0x1", "lender": "0x2", "borrower": "0x3", "token": "0x4",
        "principal": "1" + "0" * 30, "total_repayable": str(2**255), "apr_bps": "1250",
        "term_months": "36", "nonce": str(2**200), "deadline": "1790000000",
    }  # fmt: skip


def test_an_api_with_a_chain_names_it() -> None:
    chain = ChainSettings(
        chain_id=8453, rpc_url="http://x", aggregator="0x" + "77" * 20, token="0x" + "33" * 20
    )
    assert f"`8453` and `0x{'77' * 20}`" in describe(chain)
    keys = {"v1": SecretStr(base64.b64encode(b"k" * 32).decode())}
    assert create_app(Settings(master_keys=keys, chain=chain)).description == describe(chain)


def test_the_times_stated_are_those_that_hold(app: FastAPI) -> None:
    issued_at = str(ApplicationBody.model_json_schema()["$defs"]["WalletBody"]["properties"])
    assert (WALLET_PROOF_AGE_S, WALLET_PROOF_SKEW_S) == (600, 60)
    assert "at most 10 minutes ago and at most 1 minute ahead" in issued_at
    assert "most ten minutes ago" in describe(None)
    assert timedelta(minutes=5) == ACCEPTANCE_MARGIN
    assert "at least five minutes ahead" in describe(None)
    assert "at least 5 minutes ahead" in str(AcceptBody.model_json_schema())
    callback = app.openapi()["paths"]["/callbacks/{vendor}"]["post"]
    assert f"{DEFAULT_TOLERANCE_S} seconds" in callback["description"]


def test_the_examples_are_bodies_that_are_read() -> None:
    ApplicationBody.model_validate(examples.APPLICATION)
    AcceptBody.model_validate(examples.ACCEPTANCE)
    DecisionBody.model_validate(examples.DECISION)


def test_a_user_id_is_said_to_be_opaque() -> None:
    told = ApplicationBody.model_json_schema()["properties"]["user_id"]["description"]
    for word in ("opaque", "never a name, e-mail address or government id", "workflow ids"):
        assert word in told


# Callbacks.


def test_the_callback_shown_is_one_that_is_taken(app: FastAPI) -> None:
    told = app.openapi()["paths"]["/callbacks/{vendor}"]["post"]
    body, headers = wire.CALLBACK_BYTES.encode(), dict(examples.CALLBACK_HEADERS)
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    secret = decode_secret(examples.CALLBACK_SECRET)
    assert verify_callback(secret, headers, body, at) == "msg-1"
    assert sign_callback(secret, "msg-1", body, at) == headers
    tenant, callback = parse_callback(body)
    assert (tenant, callback.verdict) == ("acme", "clear")
    for part in (wire.CALLBACK_BYTES, examples.CALLBACK_SECRET, *headers.values()):
        assert part in told["description"]
    assert {each["name"] for each in told["parameters"] if each["in"] == "header"} == set(headers)


def test_the_callbacks_fields_are_those_that_are_read() -> None:
    read = _CheckCompleted.model_json_schema()
    assert set(wire.CALLBACK["properties"]) == set(read["properties"])
    assert wire.CALLBACK["required"] == read["required"]
    for name in ("event_id", "check_id", "reference", "verdict", "type"):
        for rule in ("pattern", "maxLength", "enum", "const"):
            told = wire.CALLBACK["properties"][name]
            assert told.get(rule) == read["properties"][name].get(rule), (name, rule)


# Refusals.


def published(path: Path) -> set[str]:
    """The codes a module refuses with by name: Invalid("X"), Conflict("X"), type="X"."""
    codes: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        named = node.func.id if isinstance(node.func, ast.Name) else ""
        values = list(node.args[:1]) if named in ("Invalid", "Conflict", "_refusal") else []
        if named == "ApplicationError":
            values = [each.value for each in node.keywords if each.arg == "type"]
        codes |= {each.value for each in values if isinstance(each, ast.Constant)}
    return codes


@pytest.mark.parametrize(
    "module",
    ["api/routes/applications.py", "api/routes/applicants.py",
     "adapters/postgres/information.py", "adapters/postgres/notices.py",
     "workflows/acceptance.py", "workflows/offering.py", "api/acceptance.py",
     "workflows/review.py", "adapters/temporal.py", "adapters/workflow_messages.py",
     "adapters/postgres/idempotency.py", "adapters/postgres/applications.py",
     "adapters/postgres/offers.py", "adapters/postgres/offer_views.py", "api/routes/offers.py"],
)  # fmt: skip
def test_every_code_a_client_may_meet_has_a_title(module: str) -> None:
    codes = published(ROOT / module)
    assert codes
    assert codes <= set(TITLES), codes - set(TITLES)
