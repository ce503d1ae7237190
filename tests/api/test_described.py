"""The API answers only what its description says it may."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.errors import MEDIA_TYPE

FILLED = {
    "/api/v1/applications": ["/api/v1/applications"],
    "/api/v1/applications/{application_id}": [
        "/api/v1/applications/x", "/api/v1/applications/app_" + "0" * 32,
    ],
    "/api/v1/applications/{application_id}/accept": [
        "/api/v1/applications/x/accept", f"/api/v1/applications/app_{'0' * 32}/accept",
    ],
    "/api/v1/applications/{application_id}/withdraw": [
        "/api/v1/applications/x/withdraw", f"/api/v1/applications/app_{'0' * 32}/withdraw",
    ],
    "/api/v1/applications/{application_id}/information": [
        f"/api/v1/applications/app_{'0' * 32}/information",
    ],
    "/api/v1/applications/{application_id}/notice/delivery": [
        f"/api/v1/applications/app_{'0' * 32}/notice/delivery",
    ],
    "/api/v1/reviews": ["/api/v1/reviews"],
    "/api/v1/reviews/{review_id}": [
        "/api/v1/reviews/x", f"/api/v1/reviews/rev_{'0' * 32}",
    ],
    "/api/v1/reviews/{review_id}/information": [
        f"/api/v1/reviews/rev_{'0' * 32}/information",
    ],
    "/api/v1/reviews/{review_id}/assignment": [
        f"/api/v1/reviews/rev_{'0' * 32}/assignment",
    ],
    "/api/v1/reviews/{review_id}/decision": [
        "/api/v1/reviews/x/decision", f"/api/v1/reviews/rev_{'0' * 32}/decision",
    ],
    "/api/v1/providers": [
        "/api/v1/providers", "/api/v1/providers?type=FINTECH&status=ACTIVE&limit=1",
        "/api/v1/providers?type=x", "/api/v1/providers?limit=0", "/api/v1/providers?after=%00",
    ],
    "/api/v1/providers/{provider_id}": [
        "/api/v1/providers/no%20name", f"/api/v1/providers/prv_{'0' * 32}",
    ],
    "/api/v1/providers/{provider_id}/status-history": [
        f"/api/v1/providers/prv_{'0' * 32}/status-history",
    ],
    "/api/v1/providers/{provider_id}/credentials": [
        f"/api/v1/providers/prv_{'0' * 32}/credentials",
    ],
    "/api/v1/providers/{provider_id}/test": [f"/api/v1/providers/prv_{'0' * 32}/test"],
    "/api/v1/offers/search": ["/api/v1/offers/search"],
    "/api/v1/offers/history": [
        "/api/v1/offers/history", "/api/v1/offers/history?status=open&limit=1",
        "/api/v1/offers/history?limit=0", "/api/v1/offers/history?after=x",
    ],
    "/api/v1/offers/{offer_id}": ["/api/v1/offers/x", f"/api/v1/offers/off_{'0' * 32}"],
    "/api/v1/offers/{offer_id}/accept": [
        "/api/v1/offers/x/accept", f"/api/v1/offers/off_{'0' * 32}/accept",
    ],
    "/api/v1/offers/{offer_id}/reject": [
        "/api/v1/offers/x/reject", f"/api/v1/offers/off_{'0' * 32}/reject",
    ],
    "/api/v1/webhooks": ["/api/v1/webhooks"],
    "/api/v1/webhooks/test": ["/api/v1/webhooks/test"],
    "/api/v1/webhooks/{id}": ["/api/v1/webhooks/x", f"/api/v1/webhooks/whk_{'0' * 32}"],
    "/api/v1/webhooks/{id}/rotation": [f"/api/v1/webhooks/whk_{'0' * 32}/rotation"],
    "/api/v1/webhooks/{id}/status": [f"/api/v1/webhooks/whk_{'0' * 32}/status"],
    "/api/v1/webhooks/{id}/deliveries": [
        f"/api/v1/webhooks/whk_{'0' * 32}/deliveries", "/api/v1/webhooks/x/deliveries?limit=0",
    ],
    "/api/v1/webhooks/{id}/redelivery": [f"/api/v1/webhooks/whk_{'0' * 32}/redelivery"],
    "/api/v1/webhooks/{id}/deliveries/{delivery_id}/redelivery": [
        f"/api/v1/webhooks/whk_{'0' * 32}/deliveries/dlv_{'0' * 32}/redelivery",
        f"/api/v1/webhooks/whk_{'0' * 32}/deliveries/x/redelivery",
    ],
    "/api/v1/tenants": ["/api/v1/tenants"],
    "/api/v1/accounts": ["/api/v1/accounts"],
    "/api/v1/accounts/{user_id}/status": [
        "/api/v1/accounts/x/status", f"/api/v1/accounts/usr_{'0' * 32}/status",
    ],
    "/api/v1/invitations": ["/api/v1/invitations"],
    "/api/v1/invitations/{invitation_id}/revocation": [
        f"/api/v1/invitations/inv_{'0' * 32}/revocation",
    ],
    "/api/v1/service-accounts": ["/api/v1/service-accounts"],
    "/api/v1/service-accounts/{service_account_id}/keys": [
        f"/api/v1/service-accounts/svc_{'0' * 32}/keys",
    ],
    "/api/v1/service-accounts/{service_account_id}/keys/{key_id}/rotation": [
        f"/api/v1/service-accounts/svc_{'0' * 32}/keys/key_{'0' * 32}/rotation",
    ],
    "/api/v1/service-accounts/{service_account_id}/keys/{key_id}/revocation": [
        f"/api/v1/service-accounts/svc_{'0' * 32}/keys/key_{'0' * 32}/revocation",
    ],
    "/auth/register": ["/auth/register"],
    "/auth/login": ["/auth/login"],
    "/auth/refresh": ["/auth/refresh"],
    "/auth/logout": ["/auth/logout"],
    "/auth/profile": ["/auth/profile"],
    "/.well-known/jwks.json": ["/.well-known/jwks.json"],
    # Those that would be followed are in test_live.py: their answer has no end.
    "/api/v1/events": [
        f"/api/v1/events?application_id=app_{'0' * 32}", "/api/v1/events?application_id=x",
        "/api/v1/events?type=",
    ],
    "/callbacks/{vendor}": ["/callbacks/x", "/callbacks/identity"],
    "/codec/decode": ["/codec/decode"],
    "/codec/encode": ["/codec/encode"],
    "/graphql": ["/graphql"],
    "/healthz": ["/healthz"],
    "/readyz": ["/readyz"],
    "/metrics": ["/metrics"],
}  # fmt: skip
ACCEPTANCE = (
    b'{"offer_id": "off_' + b"0" * 32 + b'", "terms_hash": "0x' + b"0" * 64
    + b'", "borrower": "0x' + b"11" * 20 + b'", "nonce": "1", "deadline": 1, "signature": "0x'
    + b"ab" * 65 + b'"}'
)  # fmt: skip
SIGNED = b"{" + ACCEPTANCE.partition(b", ")[2]
BODIES = [
    b"", b"{}", b"{", b"[]", b"x" * 70_000, ACCEPTANCE,
    b'{"decision": "approve", "reason": "fine"}',
    b'{"items": ["EXPLANATION"], "message": "why"}', b'{"assignee": "uma", "reason": "hers"}',
    b'{"request_id": "inf_' + b"0" * 32 + b'", "answers": [{"item": "EXPLANATION", "text": "so"}]}',
    b'{"query": "{"}', b'{"query": "{applications{edges{node{state}}}}"}', b'{"how": "by hand"}',
    b'{"tenant": "acme", "email": "a@b.example", "password": "heron-lantern-quarry"}',
    b'{"tenant": "acme", "email": "a@b.example", "name": "A", "password": "heron-lantern-quarry"}',
    b'{"email": "a@b.example", "roles": ["support"]}',
    b'{"name": "Checkout", "roles": ["integrator"]}', b'{"status": "active", "reason": "back"}',
    SIGNED, b'{"reason": "other"}', b'{"application_id": "app_' + b"0" * 32 + b'"}',
    b'{"criteria": {"amount_minor": 500000, "currency": "USD", "term_months": 12,'
    b' "jurisdiction": "US", "wallet": "0x' + b"11" * 20 + b'"}}',
    b'{"name": "B", "url": "https://a.example", "adapter": "bank-rest"}',
    b'{"name": "B", "url": "https://a.example", "version": 1}', b'{"credentials": {"key": "k"}}',
    b'{"payloads": 7}', b'{"payloads": []}',
]  # fmt: skip
ROLES = [None, "applicant", "integrator", "underwriter", "tenant_admin"]


def test_every_described_path_is_asked(app: FastAPI) -> None:
    assert set(FILLED) == set(app.openapi()["paths"])


@pytest.mark.parametrize("path", FILLED)
@pytest.mark.parametrize("key", [None, "x", "k" * 16])
async def test_no_status_is_given_that_is_not_described(
    app: FastAPI, http: httpx.AsyncClient, bearer: Callable[..., dict[str, str]], path: str,
    key: str | None,
) -> None:  # fmt: skip
    for method, operation in app.openapi()["paths"][path].items():
        described: dict[str, Any] = operation["responses"]
        for role in ROLES if operation.get("security") else ROLES[:1]:
            headers = {"content-type": "application/json", **(bearer(role) if role else {})}
            if key is not None:
                headers["idempotency-key"] = key
            for filled in FILLED[path]:
                for body in BODIES if method in ("post", "put") else [b""]:
                    answer = await http.request(method, filled, content=body, headers=headers)
                    asked = (method, filled, role, body[:20])
                    assert str(answer.status_code) in described, (asked, answer.text)
                    assert answer.status_code < 500, (asked, answer.text)
                    if answer.content:
                        media = answer.headers["content-type"].partition(";")[0]
                        content = described[str(answer.status_code)]["content"]
                        assert media in content, asked
                        if media == MEDIA_TYPE:
                            assert answer.json()["code"] in content[media]["examples"], asked
