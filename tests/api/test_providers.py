"""The routes of providers: what they refuse, what they pass on, and what they never answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from adapters.providers.desk import ProviderPage
from api.schemas import provider_examples
from models.domain.errors import Unavailable
from models.domain.provider import ProviderStatus, ProviderType
from models.domain.provider_record import Change, CredentialState, ProviderRecord, Source
from models.domain.writes import StoredAnswer, WriteKey

CANARY = "canary-s3cret"
AT = datetime(2026, 11, 22, 20, tzinfo=UTC)
ID = provider_examples.PROVIDER_ID
KEY = {"Idempotency-Key": "k" * 16, "Content-Type": "application/json"}
OWN = ProviderRecord(
    "acme", ID, "First Harbour Bank", "bank-rest", ProviderType.TRADITIONAL,
    "https://api.first-harbour.example", {"lender_address": "0x"}, {}, {}, {"contract": "7"},
    credential=CredentialState(2, ("client_id", "client_secret"), AT), created_at=AT,
)  # fmt: skip
SHARED = replace(OWN, tenant_id="platform", source=Source.PLATFORM)

Bearer = Callable[..., dict[str, str]]


class Desk:
    """Knows one provider, and remembers what it was asked."""

    def __init__(self, record: ProviderRecord) -> None:
        self.record = record
        self.asked: list[tuple[Any, ...]] = []

    async def page(self, tenant_id: str, **only: Any) -> ProviderPage:
        self.asked.append((tenant_id, only))
        return ProviderPage((self.record,), ID)

    async def find(self, tenant_id: str, provider_id: str) -> ProviderRecord:
        return self.record

    async def history(self, tenant_id: str, provider_id: str) -> tuple[Any, ...]:
        return ()

    async def register(
        self, write: WriteKey, adapter: str, draft: Any, answer: Callable[..., StoredAnswer]
    ) -> StoredAnswer:
        self.asked.append((write, adapter, draft))
        return answer(self.record)

    async def change(
        self, write: WriteKey, provider_id: str, change: Change, answer: Callable[..., StoredAnswer]
    ) -> StoredAnswer:
        self.asked.append((write, provider_id, change))
        return answer(self.record)

    async def rotate(
        self, write: WriteKey, provider_id: str, secrets: Any, answer: Callable[..., StoredAnswer]
    ) -> StoredAnswer:
        raise Unavailable("VAULT_UNAVAILABLE")


@pytest.fixture
def desk(app: FastAPI) -> Desk:
    """Behind the routes, instead of the one that knows nobody."""
    stands: Any = Desk(OWN)
    app.state.services = replace(app.state.services, providers=stands)
    return stands  # type: ignore[no-any-return]


@pytest.mark.parametrize("record", [OWN, SHARED], ids=["own", "platform's"])
async def test_where_and_how_is_shown_to_whose_it_is(
    desk: Desk, http: httpx.AsyncClient, bearer: Bearer, record: ProviderRecord
) -> None:
    desk.record = record
    shown = (await http.get(f"/api/v1/providers/{ID}", headers=bearer("auditor"))).json()
    own = record.tenant_id == "acme"
    for name in ("url", "config", "metadata", "credentials"):
        assert (shown[name] is not None) == own, name
    assert shown["name"] == "First Harbour Bank"
    if own:
        assert shown["credentials"] == {
            "fields": ["client_id", "client_secret"], "version": 2,
            "rotated_at": "2026-11-22T20:00:00Z",
        }  # fmt: skip


async def test_a_list_passes_its_filters_on(
    desk: Desk, http: httpx.AsyncClient, bearer: Bearer
) -> None:
    answer = await http.get(
        f"/api/v1/providers?type=DEFI&status=INACTIVE&limit=7&after={ID}", headers=bearer("support")
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["next"] == ID
    only = {
        "after": ID, "limit": 7, "type_": ProviderType.DEFI, "status": ProviderStatus.INACTIVE,
    }  # fmt: skip
    assert desk.asked == [("acme", only)]


async def test_a_registration_is_passed_on_whole_and_answers_no_secret(
    desk: Desk, http: httpx.AsyncClient, bearer: Bearer
) -> None:
    body = provider_examples.REGISTERED | {
        "credentials": {"client_id": "acme", "client_secret": CANARY}
    }
    answer = await http.post(
        "/api/v1/providers", json=body, headers={**bearer("tenant_admin"), **KEY}
    )
    assert answer.status_code == 201, answer.text
    assert CANARY not in answer.text
    [(write, adapter, draft)] = desk.asked
    assert (write.tenant_id, write.subject, adapter) == ("acme", "zelda", "bank-rest")
    assert draft.credentials == {"client_id": "acme", "client_secret": CANARY}
    assert draft.appetite == {
        "countries": ["US"], "currencies": ["USD"], "max_amount_minor": 5_000_000,
    }  # fmt: skip
    assert CANARY not in repr(draft)


async def test_a_change_names_the_version_it_was_made_from(
    desk: Desk, http: httpx.AsyncClient, bearer: Bearer
) -> None:
    headers = {**bearer("tenant_admin"), **KEY}
    answer = await http.put(
        f"/api/v1/providers/{ID}", json=provider_examples.CHANGED, headers=headers
    )
    assert answer.status_code == 200, answer.text
    [(_, _, change)] = desk.asked
    assert (change.version, change.status) == (1, ProviderStatus.MAINTENANCE)
    assert change.draft.credentials is None


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"version": "1"}, "/body/version"),
        ({"version": 0}, "/body/version"),
        ({"version": None}, "/body/version"),
        ({"status": "INACTIVE"}, "/body/status"),
        ({"name": "a\u202eb"}, "/body/name"),
        ({"config": {"note": "a\u0000b"}}, "/body/config"),
        ({"config": {"a\u0000": "b"}}, "/body/config"),
        ({"metadata": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {}}}}}}}}}, "/body/metadata"),
        ({"metadata": {"a": "x" * 20_000}}, "/body/metadata"),
        ({"credentials": {}}, "/body/credentials"),
        ({"credentials": {"client_secret": 7}}, "/body/credentials"),
        ({"credentials": {CANARY: "x"}}, "/body/credentials"),
        ({"credentials": {"a\u0000": CANARY}}, "/body/credentials"),
        ({"appetite": {"countries": []}}, "/body/appetite/countries"),
        ({"appetite": {"countries": ["usa"]}}, "/body/appetite/countries/0"),
        ({"appetite": {"max_amount_minor": 1.5}}, "/body/appetite/max_amount_minor"),
        ({"limits": {"concurrency": 0}}, "/body/limits/concurrency"),
        ({"limits": {"requests_per_s": "10"}}, "/body/limits/requests_per_s"),
        ({"adapter": "bank-soap"}, "/body"),
    ],
)
async def test_what_is_not_of_the_form_is_told_by_its_place(
    desk: Desk, http: httpx.AsyncClient, bearer: Bearer, changes: dict[str, Any], pointer: str
) -> None:
    content = json.dumps(provider_examples.CHANGED | changes)
    headers = {**bearer("tenant_admin"), **KEY}
    answer = await http.put(f"/api/v1/providers/{ID}", content=content, headers=headers)
    assert answer.status_code == 422, answer.text
    assert pointer in {each["pointer"] for each in answer.json()["errors"]}
    assert CANARY not in answer.text
    assert desk.asked == []


async def test_a_vault_that_is_away_is_no_fault_of_the_caller(
    desk: Desk, http: httpx.AsyncClient, bearer: Bearer, logged: list[Any]
) -> None:
    headers = {**bearer("tenant_admin"), **KEY}
    answer = await http.post(
        f"/api/v1/providers/{ID}/credentials",
        json={"credentials": {"client_secret": CANARY}},
        headers=headers,
    )
    assert (answer.status_code, answer.json()["code"]) == (503, "VAULT_UNAVAILABLE")
    assert CANARY not in answer.text + str(logged)
