"""Attacks around the body: headers that claim to be somebody, methods, origins, paths and sizes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import httpx
import pytest
from fastapi import FastAPI

from api.problems import CATALOGUE
from settings import RateLimitSettings, Settings
from tests.api.walking import Operation, walked

Bearer = Callable[..., dict[str, str]]

FOREIGN_ORIGINS: Final = (
    "https://evil.example", "null", "http://api.evil.example", "https://app.example.org.evil.example"
)  # fmt: skip
# Headers by which proxies and frameworks elsewhere say who calls, what is asked, and how.
CLAIMS: Final = {
    **dict.fromkeys(
        ("x-user-id", "x-user", "x-userid", "x-remote-user", "remote-user", "x-forwarded-user",
         "x-authenticated-userid", "x-auth-request-user", "x-goog-authenticated-user-id",
         "x-ms-client-principal-id", "x-ssl-client-cn", "x-client-cert", "x-amzn-oidc-identity",
         "x-forwarded-client-cert", "x-forwarded-email", "x-forwarded-preferred-username"),
        "root.admin",
    ),
    **dict.fromkeys(("x-tenant-id", "x-tenant", "tenant", "tenant-id", "x-org-id"), "platform"),
    **dict.fromkeys(("x-roles", "x-role", "roles", "x-forwarded-groups", "x-scopes"),
                    "platform_admin,tenant_admin,underwriter"),
    **dict.fromkeys(("x-original-url", "x-rewrite-url", "x-forwarded-uri", "x-forwarded-prefix",
                     "x-forwarded-path", "x-script-name"), "/healthz"),
    **dict.fromkeys(("x-http-method-override", "x-http-method", "x-method-override", "_method"),
                    "GET"),
    **dict.fromkeys(("x-forwarded-for", "x-real-ip", "client-ip", "true-client-ip",
                     "cf-connecting-ip", "x-cluster-client-ip", "x-originating-ip"), "127.0.0.1"),
    "forwarded": 'for=127.0.0.1;proto=https;host="api"', "x-forwarded-host": "evil.example",
    "x-forwarded-proto": "https", "x-forwarded-port": "443", "x-host": "evil.example",
    "x-debug": "1", "x-api-key": "root", "x-access-token": "root", "x-internal": "true",
    "proxy-authorization": "Basic cm9vdDpyb290", "x-authorization": "Bearer root",
}  # fmt: skip
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND",
                  "MERGE", "POST_", "X")  # fmt: skip
HOSTILE_VALUES: Final = (
    "x" * 5_000, "'; DROP TABLE applications; --", "\x9b31m", "١٢", "1e400", "9" * 400, "../x",
    "%00", "app_1", "${jndi:x}", "\u202e",
)  # fmt: skip
KEY: Final = {"idempotency-key": "k" * 16}
OWN_OF_A_REQUEST: Final = {"x-request-id", "x-correlation-id", "traceparent", "ratelimit"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Without limits to how much may be asked: they have tests of their own."""
    most = 1_000_000
    limits = RateLimitSettings(
        max_requests=most, tenant_max_requests=most, address_max_requests=most,
        sign_in_max_attempts=10_000,
    )  # fmt: skip
    return settings.model_copy(update={"rate_limit": limits})


@pytest.fixture
def all_operations(app: FastAPI) -> list[Operation]:
    found = walked(app.openapi())
    assert len(found) >= 37
    return found


def body_of(operation: Operation) -> dict[str, Any]:
    """The description's own example, as httpx sends it."""
    return {} if operation.example is None else {"json": operation.example}


def said(answer: httpx.Response) -> tuple[Any, ...]:
    """All of an answer but what is another with each request."""
    headers = sorted(
        each for each in answer.headers.multi_items() if each[0] not in OWN_OF_A_REQUEST
    )
    return answer.status_code, headers, answer.content


def refused(answer: httpx.Response, about: object) -> str:
    """The code of a published problem; nothing is told of what went on inside."""
    told = (about, answer.status_code, answer.text)
    assert answer.headers.get("content-type") == "application/problem+json", told
    assert (answer.json()["code"], answer.status_code) in {
        (each.code, each.status) for each in CATALOGUE
    }, told
    return str(answer.json()["code"])


async def test_a_header_makes_nobody_somebody(
    http: httpx.AsyncClient, bearer: Bearer, all_operations: list[Operation]
) -> None:
    """With all of them at once the answer is what it is without, for nobody and for somebody."""
    for operation in all_operations:
        for caller in ({}, bearer("provider")):
            given = {**caller, **KEY}
            plain = await http.request(
                operation.method, operation.url(), headers=given, **body_of(operation)
            )
            claimed = await http.request(
                operation.method, operation.url(), headers={**given, **CLAIMS},
                **body_of(operation),
            )  # fmt: skip
            assert said(claimed) == said(plain), (operation.name, bool(caller))


@pytest.mark.parametrize("header", CLAIMS)
async def test_no_single_header_makes_nobody_somebody(
    http: httpx.AsyncClient, bearer: Bearer, header: str
) -> None:
    for value in (CLAIMS[header], "zelda", "acme", "/api/v1/reviews", "DELETE"):
        claims = {header: value}
        assert (await http.get("/api/v1/reviews", headers=claims)).status_code == 401
        given = {**bearer("applicant"), **claims}
        assert (await http.get("/api/v1/reviews", headers=given)).status_code == 403
        assert (await http.post("/api/v1/applications", headers=claims)).status_code == 401


async def test_a_method_is_what_the_first_line_says(
    http: httpx.AsyncClient, bearer: Bearer, all_operations: list[Operation]
) -> None:
    offered: dict[str, set[str]] = {}
    for operation in all_operations:
        offered.setdefault(operation.path, set()).add(operation.method)
    for operation in all_operations:
        own = offered[operation.path]
        most = own | _offered_for_ids(operation.path, offered)
        for method in METHODS:
            if method in most:
                continue
            for query in ("", "?_method=GET&method=GET"):
                answer = await http.request(
                    method, operation.url() + query, json={},
                    headers={**bearer("tenant_admin", "underwriter"), "x-http-method": "GET"},
                )  # fmt: skip
                told = (method, operation.path, answer.status_code)
                assert answer.status_code == 405, told
                assert own <= set(answer.headers["allow"].split(", ")) <= most, told
                if method != "HEAD":
                    assert refused(answer, told) == "METHOD_NOT_ALLOWED"


def _offered_for_ids(path: str, offered: dict[str, set[str]]) -> set[str]:
    """What is offered where an id stands in the place of a literal path's last part."""
    above, _, last = path.rpartition("/")
    alike = [each for each in offered if re.fullmatch(re.escape(above) + r"/\{\w+\}", each)]
    return set() if last.startswith("{") else set().union(*(offered[each] for each in alike))


async def test_no_page_of_others_is_let_in(
    http: httpx.AsyncClient, bearer: Bearer, all_operations: list[Operation]
) -> None:
    for operation in all_operations:
        for origin in FOREIGN_ORIGINS:
            preflight = await http.options(
                operation.url(),
                headers={"origin": origin, "access-control-request-method": operation.method,
                         "access-control-request-headers": "authorization, idempotency-key"},
            )  # fmt: skip
            given = {"origin": origin, **bearer("provider")}
            asked = await http.request(operation.method, operation.url(), headers=given, json={})
            for answer in (preflight, asked):
                allowed = answer.headers.get("access-control-allow-origin")
                assert allowed is None, (operation.name, origin, allowed)
            assert preflight.status_code in (200, 204, 400, 403, 405), operation.name


async def test_no_write_reads_more_than_it_may(
    http: httpx.AsyncClient, bearer: Bearer, all_operations: list[Operation], records: Any
) -> None:
    """Too much is refused at once, whether its length is told or not; for nobody as for anybody."""
    for operation in all_operations:
        if operation.method != "POST":
            continue
        for caller in ({}, bearer("applicant", "tenant_admin")):
            sent = 0

            async def endless() -> AsyncIterator[bytes]:
                nonlocal sent
                while sent < 10_000_000:
                    sent += 16_384
                    yield b" " * 16_384

            given = {
                **caller, **KEY, "content-type": "application/json",
            }  # fmt: skip
            answer = await http.post(operation.url(), content=b" " * 65_537, headers=given)
            assert refused(answer, operation.name) == "BODY_TOO_LARGE"
            answer = await http.post(operation.url(), content=endless(), headers=given)
            # Whoever is refused before their body is read, or reads none, is not waited for.
            reads = "requestBody" in operation.described
            if reads:
                assert refused(answer, operation.name) == "BODY_TOO_LARGE"
            assert sent <= 7 * 16_384, (operation.name, sent)
    assert records.submitted == []


HOSTILE_IDS: Final = (
    "..", "../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e%2f", "%2e%2e", "..;/", "....//",
    "%00", "x%00", "%0d%0aSet-Cookie:%20a=b", "%ff%fe", "%c0%ae%c0%ae", "'%20OR%201=1--",
    "1;SELECT%20pg_sleep(5)", "%27%22%60", "${7*7}", "{{7*7}}", "*", "%", "%25", "%u0041", "null",
    "undefined", "-1", "0", "NaN", "1e400", "%D9%A3%D9%A6", "x" * 200, "x" * 8_000, "%20", "+",
    "app_", "app_" + "0" * 31, "app_" + "0" * 33, "APP_" + "0" * 32, "app_" + "G" * 32,
    "app_" + "0" * 32 + "%0a", "rev_" + "F" * 32, "usr_" + "%D9%A0" * 32, "[]", "{}", "@", ":", "~",
)  # fmt: skip


async def test_an_id_is_an_id_and_nothing_else(
    http: httpx.AsyncClient, bearer: Bearer, all_operations: list[Operation], records: Any
) -> None:
    """In every place of every path: an unknown one, whatever else it could be read as."""
    tried = 0
    headers = {
        **bearer("applicant", "underwriter", "compliance_officer", "support", "tenant_admin"),
        "idempotency-key": "k" * 16,
    }  # fmt: skip
    for operation in all_operations:
        for name in operation.parameters("path"):
            for hostile in HOSTILE_IDS:
                url = httpx.URL("http://api").copy_with(
                    raw_path=operation.url(**{name: hostile}).encode()
                )
                answer = await http.request(
                    operation.method, url, headers=headers, **body_of(operation)
                )
                told = (operation.name, name, hostile)
                code = refused(answer, told)
                signed = {"CALLBACK_SIGNATURE_INVALID"} if name == "vendor" else set()
                assert code in {"NOT_FOUND", "METHOD_NOT_ALLOWED", *signed}, (told, code)
                assert len(hostile) < 6 or hostile not in answer.text, told
                tried += 1
    assert tried >= 15 * len(HOSTILE_IDS)
    assert records.submitted == []


async def test_nobody_is_sent_elsewhere(
    http: httpx.AsyncClient, bearer: Bearer, all_operations: list[Operation]
) -> None:
    """Another spelling of a path is another path; a redirect would take the token to any host."""
    for operation in all_operations:
        path = operation.url()
        for spelling in (f"{path}/", f"/{path}", path.upper(), f"{path}//"):
            answer = await http.request(
                operation.method, httpx.URL("http://api").copy_with(raw_path=spelling.encode()),
                headers={**bearer("tenant_admin"), "host": "evil.example"}, **body_of(operation),
            )  # fmt: skip
            assert refused(answer, (operation.name, spelling)) == "NOT_FOUND"
            assert "location" not in answer.headers
            assert "evil" not in str(said(answer))


async def test_a_parameter_is_not_read_as_anything_else(
    http: httpx.AsyncClient, bearer: Bearer, all_operations: list[Operation]
) -> None:
    """Query parameters and headers that the description knows."""
    for operation in all_operations:
        # What streams never ends for whoever may follow it; test_live.py asks on their behalf.
        role = "provider" if operation.path == "/api/v1/events" else "support"
        for place, name, hostile in (
            (each, name, value)
            for each in ("query", "header")
            for name in operation.parameters(each)
            for value in HOSTILE_VALUES
        ):
            headers = {**bearer("applicant" if role == "support" else role, role), **KEY}
            params = {}
            if place == "header":
                headers[name.lower()] = hostile
            else:
                params[name] = hostile
            answer = await http.request(
                operation.method, operation.url(), params=params, **body_of(operation),
                headers=[(key.encode(), value.encode()) for key, value in headers.items()],
            )  # fmt: skip
            told = (operation.name, name, hostile[:40], answer.text[:200])
            assert answer.status_code < 500, told
            assert hostile not in answer.text or hostile in str(operation.example), told
