"""What operators have: the sign-in pages, and the codec for the Web UI's origin and no other."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from api.app import create_app
from sandbox.counterparties.issuer import SandboxIssuer
from settings import Settings
from tests.api.answers import framed, problem

Bearer = Callable[..., dict[str, str]]
UI = "http://127.0.0.1:8233"
PAGES = ("/docs", "/console/sign-in", "/console/signed-in")
HALF_A_DAY_S = 12 * 3600


class Page(HTMLParser):
    """What a page loads, where its links lead, and what it alerts to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.alerts: list[str] = []
        self._alerting = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "a":
            self.links.append(named["href"] or "")
        else:
            self.loads += [named[each] or "" for each in ("src", "href") if each in named]
        self._alerting = named.get("role") == "alert"

    def handle_data(self, data: str) -> None:
        if self._alerting:
            self.alerts.append(data)
        self._alerting = False


# The pages.


async def test_pages_load_nothing_from_elsewhere(http: httpx.AsyncClient) -> None:
    for path in PAGES:
        answer = await http.get(path)
        loads = Page(answer.text).loads
        assert loads, path
        assert all(re.match(r"/[^/]", each) for each in loads), path
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]


async def test_the_pages_name_the_web_ui_and_lead_there(http: httpx.AsyncClient) -> None:
    for path in ("/console/sign-in", "/console/signed-in"):
        answer = await http.get(path)
        assert "Temporal Web UI" in answer.text
        links = Page(answer.text).links
        assert set(links) == {f"{UI}/namespaces/caas/workflows"}, path


async def test_without_its_address_the_web_ui_is_named_alone() -> None:
    keys = {"v1": SecretStr("a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=")}
    bare = httpx.ASGITransport(create_app(Settings(master_keys=keys)))
    async with httpx.AsyncClient(transport=bare, base_url="http://api") as client:
        for path in ("/console/sign-in", "/console/signed-in"):
            answer = await client.get(path)
            assert "Temporal Web UI" in answer.text
            assert Page(answer.text).links == []


async def test_signing_in_keeps_the_token_from_scripts(
    http: httpx.AsyncClient, bearer: Bearer
) -> None:
    token = bearer("support")["authorization"].removeprefix("Bearer ")
    answer = await http.post("/console/session", data={"token": f" {token}\n"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/signed-in")
    cookie = answer.headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=lax", "path=/"))


@pytest.mark.parametrize(
    ("token_s", "cookie_s"),
    [
        (90, 90),
        (3_600, 3_600),
        (HALF_A_DAY_S - 60, HALF_A_DAY_S - 60),
        (HALF_A_DAY_S + 60, HALF_A_DAY_S),
        (10**30, HALF_A_DAY_S),
    ],
)
async def test_the_cookie_lives_as_long_as_its_token_but_half_a_day_at_most(
    http: httpx.AsyncClient, issuer: SandboxIssuer, token_s: int, cookie_s: int
) -> None:
    token = issuer.token("sam", "acme", ["support"], ttl_s=token_s)
    answer = await http.post("/console/session", data={"token": token})
    stated = re.search(r"max-age=(\d+)", answer.headers["set-cookie"].lower())
    assert stated is not None
    # The clock goes on between the token's making and the cookie's.
    assert cookie_s - 60 < int(stated[1]) <= cookie_s


@pytest.mark.parametrize(
    ("roles", "ttl_s", "status", "told"),
    [
        ([], 3_600, 403, "its roles may not read payloads"),
        (["applicant"], 3_600, 403, "its roles may not read payloads"),
        (["auditor"], 3_600, 403, "its roles may not read payloads"),
        (["support"], -3_600, 401, "not valid"),
        # Within the leeway for clocks, where the API would still take it.
        (["support"], -1, 401, "not valid"),
        (["no-such-role"], 3_600, 401, "not valid"),
    ],
)
async def test_a_refused_token_is_told_on_the_sign_in_page(
    http: httpx.AsyncClient, issuer: SandboxIssuer, roles: list[str], ttl_s: int, status: int,
    told: str,
) -> None:  # fmt: skip
    token = issuer.token("sam", "acme", roles, ttl_s=ttl_s)
    await refused_on_the_page(http, token, status, told)


@pytest.mark.parametrize("token", ["x", "", " ", "<script>alert(1)</script>", "x" * 9_000])
async def test_what_is_no_token_is_told_on_the_sign_in_page(
    http: httpx.AsyncClient, token: str
) -> None:
    answer = await refused_on_the_page(http, token, 401, "not valid")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "alert(1)" not in answer.text


async def refused_on_the_page(
    http: httpx.AsyncClient, token: str, status: int, told: str
) -> httpx.Response:
    """Sign in with a token that must not do, and get the page again."""
    answer = await http.post("/console/session", data={"token": token})
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert "set-cookie" not in answer.headers
    (alert,) = Page(answer.text).alerts
    assert told in alert
    assert 'name="token"' in answer.text
    framed(answer)
    return answer


@pytest.mark.parametrize(
    "sent",
    [
        {"json": {"token": "x"}},
        {"files": {"token": b"x"}},
        {"content": b"token=x"},
        {"content": b"token=x", "headers": {"content-type": "text/plain"}},
        {},
    ],
    ids=str,
)
async def test_signing_in_takes_a_form_alone(http: httpx.AsyncClient, sent: dict[str, Any]) -> None:
    problem(await http.post("/console/session", **sent), 415, "MEDIA_TYPE_NOT_READ")


# The codec.


async def test_only_the_web_ui_may_call_the_codec_from_its_page(http: httpx.AsyncClient) -> None:
    asks = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-namespace",
    }
    answer = await http.options("/codec/decode", headers={"origin": UI, **asks})
    assert answer.headers["access-control-allow-origin"] == UI
    assert answer.headers["access-control-allow-credentials"] == "true"
    for origin in ("http://evil.example", UI + "0", "null", UI.replace("http", "https")):
        refused = await http.options("/codec/decode", headers={"origin": origin, **asks})
        assert "access-control-allow-origin" not in refused.headers, origin
        framed(refused)


async def test_no_other_path_may_be_called_from_any_page(http: httpx.AsyncClient) -> None:
    for path in ("/api/v1/reviews", "/api/v1/applications", "/healthz", "/docs"):
        answer = await http.get(path, headers={"origin": UI})
        assert "access-control-allow-origin" not in answer.headers, path


async def test_every_decryption_is_on_the_trail(
    http: httpx.AsyncClient, bearer: Bearer, records: Any
) -> None:
    clear = {"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "e30="}
    headers = {**bearer("support", subject="sam"), "origin": UI}
    sealed = (await http.post("/codec/encode", json={"payloads": [clear]}, headers=headers)).json()
    assert records.trail.recorded == []
    answer = await http.post("/codec/decode", json=sealed, headers=headers)
    assert answer.json() == {"payloads": [clear]}
    assert answer.headers["access-control-allow-origin"] == UI
    assert records.trail.recorded == [("sam", "payloads.decoded", "acme", {"count": 1}, "acme")]
    theirs = {**bearer("support", tenant="other"), "origin": UI}
    refused = await http.post("/codec/decode", json=sealed, headers=theirs)
    assert refused.json() == sealed
    assert len(records.trail.recorded) == 1


@pytest.mark.parametrize(
    "document",
    [
        {"payloads": 7},
        {"payloads": ["x"]},
        {"payloads": [{"data": "!!!"}]},
        {"payloads": [{"data": "e3 0="}]},
        {"payloads": [{"data": 7}]},
        {"payloads": [{"metadata": {"encoding": "no base64"}, "data": "e30="}]},
        {"payloads": [{"metadata": 7}]},
        {"payloads": [], "more": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/codec/decode", "/codec/encode"])
async def test_what_is_not_of_the_codec_protocol_is_refused(
    http: httpx.AsyncClient, bearer: Bearer, path: str, document: dict[str, Any]
) -> None:
    answer = await http.post(path, json=document, headers=bearer("support"))
    told = problem(answer, 422, "PAYLOADS_MALFORMED")
    assert told["title"] == "The payloads are not of the codec protocol."


async def test_nothing_to_decode_is_no_error(http: httpx.AsyncClient, bearer: Bearer) -> None:
    for document in ({}, {"payloads": []}):
        answer = await http.post("/codec/decode", json=document, headers=bearer("support"))
        assert (answer.status_code, answer.json()) == (200, {})
