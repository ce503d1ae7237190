"""Headers of every answer, cross-origin calls, and pages that need nothing inline."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from api.app import create_app
from settings import APISettings, CORSSettings, Settings

Bearer = Callable[..., dict[str, str]]
PARTNER = "https://app.example.com"
TOKEN = "a-token-for-numbers"
PAGES = ["/docs", "/console/sign-in", "/console/signed-in"]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    cors = CORSSettings(origins=(PARTNER,), credentials=True, max_age_s=77)
    api = APISettings(cors=cors, metrics_token=SecretStr(TOKEN), trusted_proxies=["127.0.0.1/32"])
    return settings.model_copy(update={"api": api})


async def test_an_answer_may_be_nothing_but_data(http: httpx.AsyncClient) -> None:
    answer = await http.get("/healthz")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; frame-ancestors 'none'")
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in answer.headers
    assert "strict-transport-security" not in answer.headers


async def test_over_tls_browsers_are_told_to_stay_there(http: httpx.AsyncClient) -> None:
    answer = await http.get("/healthz", headers={"x-forwarded-proto": "https"})
    assert answer.headers["strict-transport-security"] == (
        "max-age=31536000; includeSubDomains; preload"
    )


class Inline(HTMLParser):
    """What of a page a strict policy would not run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag == "style" or (tag == "script" and "src" not in given):
            self.found.append(tag)
        self.found += [name for name in given if name == "style" or name.startswith("on")]
        if tag == "script":
            self.sources.append(given.get("src") or "")
        if tag == "link":
            self.sources.append(given.get("href") or "")
        if (given.get("href") or given.get("src") or "").startswith("javascript:"):
            self.found.append(tag)


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_works_without_anything_inline(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "script-src 'self'" in policy
    page = Inline()
    page.feed(answer.text)
    assert page.found == []
    assert page.sources or path != "/docs"
    for source in page.sources:  # all there, all of this host
        assert source.startswith("/")
        assert (await http.get(source)).status_code == 200


async def test_a_configured_origin_may_call_from_a_browser(
    http: httpx.AsyncClient, bearer: Bearer
) -> None:
    preflight = await http.options(
        "/api/v1/applications",
        headers={
            "origin": PARTNER,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,idempotency-key,content-type",
        },
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == PARTNER
    assert preflight.headers["access-control-allow-credentials"] == "true"
    assert preflight.headers["access-control-max-age"] == "77"
    answer = await http.get("/api/v1/reviews", headers={**bearer("support"), "origin": PARTNER})
    assert answer.headers["access-control-allow-origin"] == PARTNER
    assert "ratelimit" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("path", "origin"),
    [
        ("/api/v1/reviews", "https://evil.example.com"),
        ("/api/v1/reviews", "null"),
        ("/api/v1/reviews", PARTNER + ".evil.example"),
        ("/metrics", PARTNER),
        ("/console/sign-in", PARTNER),
        ("/codec/decode", PARTNER),
    ],
)
async def test_another_origin_may_not(
    http: httpx.AsyncClient, bearer: Bearer, path: str, origin: str
) -> None:
    answer = await http.get(path, headers={**bearer("support"), "origin": origin})
    assert "access-control-allow-origin" not in answer.headers
    preflight = await http.options(
        path, headers={"origin": origin, "access-control-request-method": "GET"}
    )
    assert "access-control-allow-origin" not in preflight.headers


async def test_without_settings_no_origin_may_call(bearer: Bearer, settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"api": APISettings()}))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        answer = await client.get("/healthz", headers={"origin": PARTNER})
        assert "access-control-allow-origin" not in answer.headers


# Numbers.


async def test_numbers_are_for_the_holder_of_the_token(http: httpx.AsyncClient) -> None:
    for headers in ({}, {"authorization": "Bearer x"}, {"authorization": f"Basic {TOKEN}"}):
        assert (await http.get("/metrics", headers=headers)).status_code == 401
    await http.get("/api/v1/applications/app_1", headers={"authorization": "Bearer x"})
    await http.request("BREW", "/nothing")
    answer = await http.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert (
        'service_request_total{method="GET",route="/api/v1/applications/{application_id}",'
        'status="401"} 1.0' in answer.text
    )
    assert 'service_request_total{method="OTHER",route="unmatched",status="404"} 1.0' in answer.text
    assert 'service_request_duration_seconds_bucket{le="0.025"' in answer.text
    assert "app_1" not in answer.text


async def test_without_a_token_there_are_none(app: FastAPI, http: httpx.AsyncClient) -> None:
    app.state.front_door.metrics_token = None
    answer = await http.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 404


async def test_a_limit_that_was_met_is_counted(http: httpx.AsyncClient) -> None:
    await http.post("/api/v1/applications", content=b"x" * 70_000)
    answer = await http.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert 'gateway_limit_hits_total{limit="BODY_TOO_LARGE"} 1.0' in answer.text


async def test_readiness_is_asked_once_for_many(
    app: FastAPI, http: httpx.AsyncClient, records: Any
) -> None:
    asked = 0

    async def counted() -> bool:
        nonlocal asked
        asked += 1
        return True

    records.ready = counted
    for _ in range(5):
        assert (await http.get("/readyz")).json()["missing"] == []
    assert asked == 2  # database and Temporal, once each
