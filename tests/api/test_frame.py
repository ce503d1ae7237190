"""What surrounds every request: bounded bodies, named answers, one shape of refusal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from models.domain.errors import (
    Conflict,
    Invalid,
    InvariantViolated,
    NotFound,
    Permanent,
    Unavailable,
)
from tests.api.answers import framed, problem

Bearer = Callable[..., dict[str, str]]
LIMIT = 65_536
KEY = {"idempotency-key": "k" * 16}
REVIEW = "/api/v1/reviews/rev_" + "0" * 32 + "/decision"
APPLICATION = "/api/v1/applications/app_" + "0" * 32

# Bodies.


@pytest.mark.parametrize("path", ["/api/v1/applications", REVIEW, "/codec/decode"])
async def test_a_declared_body_over_the_limit_is_not_read(
    http: httpx.AsyncClient, path: str
) -> None:
    body = b"x" * (LIMIT + 1)
    problem(await http.post(path, content=body), 413, "BODY_TOO_LARGE")


@pytest.mark.parametrize(
    "path", ["/api/v1/applications", REVIEW, "/codec/decode", "/callbacks/identity"]
)
async def test_a_streamed_body_over_the_limit_is_cut_off(
    http: httpx.AsyncClient, bearer: Bearer, path: str
) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 50 * LIMIT:
            sent += 4_096
            yield b" " * 4_096

    headers = {**bearer("applicant"), **KEY, "content-type": "application/json"}
    problem(await http.post(path, content=endless(), headers=headers), 413, "BODY_TOO_LARGE")
    assert sent <= LIMIT + 2 * 4_096


@pytest.mark.parametrize("length", ["-1", "1e9", "abc", "9" * 40, "٣"])
async def test_a_length_that_is_no_number_is_no_small_one(app: FastAPI, length: str) -> None:
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": "/api/v1/applications",
        "raw_path": b"/api/v1/applications", "query_string": b"", "root_path": "",
        "headers": [(b"content-length", length.encode("utf-8"))], "scheme": "http",
        "server": ("api", 80), "client": ("127.0.0.1", 1),
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        raise AssertionError("the body was read")

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    assert sent[0]["status"] == 413


async def test_a_body_at_the_limit_is_read(http: httpx.AsyncClient, bearer: Bearer) -> None:
    body = b"{" + b" " * (LIMIT - 2) + b"}"
    headers = {**bearer("applicant"), **KEY, "content-type": "application/json"}
    answer = await http.post("/api/v1/applications", content=body, headers=headers)
    problem(answer, 422, "VALIDATION_FAILED")


@pytest.mark.parametrize(
    "body",
    [
        b'{"amount_minor": NaN}',
        b'{"amount_minor": Infinity}',
        b'{"amount_minor": -Infinity}',
        b'{"amount_minor": 1e400}',
        b'{"amount_minor": 1, "amount_minor": 2}',
        b'{"applicant": {"email": "a", "email": "b"}}',
        b'{"purpose": "\\ud800"}',
        b'\xff\xfe{"a": 1}',
        b"[]",
        b"7",
        b"null",
        b'"text"',
        b"{",
        b"{'a': 1}",
        b'{"a": 1} trailing',
        b'{"a":' * 3_000,
        b"[" * 30_000,
        b'{"amount_minor": ' + b"9" * 5_000 + b"}",
    ],
    ids=lambda body: f"{body[:24]!r} of {len(body)}",
)
async def test_json_with_two_readings_is_refused(
    http: httpx.AsyncClient, bearer: Bearer, body: bytes
) -> None:
    headers = {**bearer("applicant"), **KEY, "content-type": "application/json"}
    answer = await http.post("/api/v1/applications", content=body, headers=headers)
    problem(answer, 400, "BODY_MALFORMED")


@pytest.mark.parametrize(
    "media",
    [None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
     "text/json", "application/jsonp", "application/x/json", "text/plain; application/json"],
)  # fmt: skip
@pytest.mark.parametrize(
    "path",
    ["/api/v1/applications", f"{APPLICATION}/accept", REVIEW, "/codec/decode", "/codec/encode"],
)
async def test_what_is_not_sent_as_json_is_not_read_as_json(
    http: httpx.AsyncClient, bearer: Bearer, path: str, media: str | None
) -> None:
    """A form on a foreign page can send text, but not JSON."""
    headers = {**bearer("applicant"), **KEY, **({} if media is None else {"content-type": media})}
    answer = await http.post(path, content=b"{}", headers=headers)
    problem(answer, 415, "MEDIA_TYPE_NOT_READ")


@pytest.mark.parametrize(
    "media",
    ["application/json", "Application/JSON ; charset=utf-8", "application/merge-patch+json"],
)
async def test_what_is_sent_as_json_is_read(
    http: httpx.AsyncClient, bearer: Bearer, media: str
) -> None:
    headers = {**bearer("applicant"), **KEY, "content-type": media}
    answer = await http.post("/api/v1/applications", content=b"{}", headers=headers)
    assert problem(answer, 422, "VALIDATION_FAILED")["errors"][0]["reason"] == "missing"


async def test_what_was_sent_is_not_echoed(http: httpx.AsyncClient, bearer: Bearer) -> None:
    body = {"amount_minor": "secret-amount", "secret-name": {"inner": "secret-value"}}
    answer = await http.post(
        "/api/v1/applications", json=body, headers={**bearer("applicant"), **KEY}
    )
    document = problem(answer, 422, "VALIDATION_FAILED")
    assert document["errors"]
    assert "secret" not in answer.text
    assert {"pointer": "/body/amount_minor", "reason": "int_type"} in document["errors"]


# Names and headers.


async def test_a_request_keeps_its_name(http: httpx.AsyncClient) -> None:
    answer = await http.get("/healthz", headers={"x-request-id": "trace-1234.a_b"})
    assert answer.headers["x-request-id"] == "trace-1234.a_b"


@pytest.mark.parametrize(
    "name", ["short", "x" * 65, "with space 123", "a\u00e9bcdefgh", "{evil}!!"]
)
async def test_a_name_that_would_spoil_a_log_is_replaced(
    http: httpx.AsyncClient, name: str
) -> None:
    answer = await http.get("/healthz", headers={"x-request-id": name.encode("utf-8")})
    framed(answer)
    assert answer.headers["x-request-id"] != name


async def test_two_requests_have_two_names(http: httpx.AsyncClient) -> None:
    names = {(await http.get("/healthz")).headers["x-request-id"] for _ in range(5)}
    assert len(names) == 5


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/healthz", 204),
        ("GET", "/readyz", 200),
        ("GET", "/docs", 200),
        ("GET", "/docs/start.js", 200),
        ("GET", "/docs/assets/swagger-ui.css", 200),
        ("GET", "/docs/assets/absent.css", 404),
        ("GET", "/docs/assets/..%2f..%2fsettings.py", 404),
        ("GET", "/console/sign-in", 200),
        ("GET", "/console/signed-in", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/", 404),
        ("GET", "/nothing", 404),
        ("DELETE", "/api/v1/applications", 405),
        ("GET", "/api/v1/applications/x", 401),
        ("POST", "/api/v1/applications", 401),
        ("POST", "/callbacks/nobody", 404),
        ("POST", "/callbacks/identity", 401),
        ("POST", "/codec/decode", 401),
        ("POST", "/console/session", 415),
    ],
)
async def test_every_answer_is_framed(
    http: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await http.request(method, path, json={} if method == "POST" else None)
    assert answer.status_code == status, answer.text
    framed(answer)
    if status >= 400:
        problem(answer, status, answer.json()["code"])


# Errors.


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFound("APPLICATION_UNKNOWN"), 404, "NOT_FOUND"),
        (Conflict("REQUEST_IN_FLIGHT"), 409, "REQUEST_IN_FLIGHT"),
        (Invalid("IDEMPOTENCY_KEY_REUSED"), 422, "IDEMPOTENCY_KEY_REUSED"),
        (Unavailable("DATABASE_UNAVAILABLE", "zelda"), 503, "DATABASE_UNAVAILABLE"),
        (Permanent("ROLE_TOO_STRONG", "zelda"), 500, "INTERNAL_ERROR"),
        (InvariantViolated("LEDGER_UNBALANCED", "zelda"), 500, "INTERNAL_ERROR"),
        (RuntimeError("zelda"), 500, "INTERNAL_ERROR"),
        (KeyError("zelda"), 500, "INTERNAL_ERROR"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
async def test_each_kind_of_error_has_its_status(
    http: httpx.AsyncClient, bearer: Bearer, records: Any, logged: list[Any],
    error: Exception, status: int, code: str,
) -> None:  # fmt: skip
    records.fails_with = error
    answer = await http.get(APPLICATION, headers=bearer("support"))
    problem(answer, status, code)
    assert [line["exc_info"] for line in logged] == ([error] if status == 500 else [])
    assert "zelda" not in answer.text
    assert ("retry-after" in answer.headers) == (status == 503)


async def test_a_refusal_to_let_in_says_how(http: httpx.AsyncClient) -> None:
    answer = await http.get(APPLICATION)
    problem(answer, 401, "UNAUTHENTICATED")
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_not_ready_says_what_is_missing(http: httpx.AsyncClient, records: Any) -> None:
    records.fails_with = Unavailable("DATABASE_UNAVAILABLE")
    answer = await http.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "ready": False,
        "degraded": False,
        "database": "away",
        "temporal": "away",
        "cache": "not_configured",
        "missing": ["database", "temporal"],
    }
    assert int(answer.headers["retry-after"]) > 0


# Who may call what.


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("POST", "/api/v1/applications", "underwriter"),
        ("POST", f"{APPLICATION}/accept", "support"),
        ("GET", "/api/v1/reviews", "applicant"),
        ("GET", "/api/v1/reviews", "integrator"),
        ("POST", REVIEW, "applicant"),
        ("POST", "/codec/decode", "applicant"),
        ("POST", "/codec/decode", "auditor"),
        ("POST", "/codec/encode", "integrator"),
    ],
)
async def test_a_role_without_the_right_is_refused(
    http: httpx.AsyncClient, bearer: Bearer, body_of: Any, method: str, path: str, role: str
) -> None:
    answer = await http.request(
        method, path, json=body_of(path) if method == "POST" else None,
        headers={**bearer(role), **KEY},
    )  # fmt: skip
    problem(answer, 403, "NOT_ALLOWED")


@pytest.fixture
def body_of(application_body: dict[str, Any]) -> Callable[[str], dict[str, Any]]:
    """A body that is acceptable there."""

    def body(path: str) -> dict[str, Any]:
        if path.endswith("/decision"):
            return {"decision": "approve", "reason": "fine"}
        if path.endswith("/accept"):
            return {
                "offer_id": "off_" + "0" * 32, "terms_hash": "0x" + "0" * 64,
                "borrower": "0x" + "11" * 20, "nonce": "1", "deadline": 1,
                "signature": "0x" + "0" * 130,
            }  # fmt: skip
        return {"payloads": []} if path.startswith("/codec") else application_body

    return body


@pytest.mark.parametrize("key", [None, "", "short", "x" * 129, "with space 1234", "tabs\tinside\t"])
@pytest.mark.parametrize("path", ["/api/v1/applications", f"{APPLICATION}/accept", REVIEW])
async def test_a_write_needs_a_key(
    http: httpx.AsyncClient, bearer: Bearer, body_of: Any, path: str, key: str | None
) -> None:
    role = "compliance_officer" if path == REVIEW else "applicant"
    headers = {**bearer(role), **({"idempotency-key": key} if key is not None else {})}
    answer = await http.post(path, json=body_of(path), headers=headers)
    code = "IDEMPOTENCY_KEY_MISSING" if key is None else "IDEMPOTENCY_KEY_MALFORMED"
    problem(answer, 400, code)


@pytest.mark.parametrize("identifier", ["x", "app_1", "off_" + "0" * 32, "app_" + "g" * 32, "%00"])
async def test_an_id_of_another_form_is_an_unknown_one(
    http: httpx.AsyncClient, bearer: Bearer, identifier: str
) -> None:
    answer = await http.get(f"/api/v1/applications/{identifier}", headers=bearer("support"))
    problem(answer, 404, "NOT_FOUND")


async def test_a_cookie_reads_but_never_writes(
    http: httpx.AsyncClient, bearer: Bearer, body_of: Any
) -> None:
    token = bearer("support")["authorization"].removeprefix("Bearer ")
    cookie = {"cookie": f"caas_session={token}"}
    assert (await http.get("/api/v1/reviews", headers=cookie)).status_code == 200
    assert (await http.post("/codec/decode", json={}, headers=cookie)).status_code == 200
    answer = await http.post(REVIEW, json=body_of(REVIEW), headers={**cookie, **KEY})
    problem(answer, 401, "UNAUTHENTICATED")
    # A wrong header is not made good by a right cookie.
    for header in ("Bearer x", "Basic eDp5", "Bearer"):
        answer = await http.get("/api/v1/reviews", headers={**cookie, "authorization": header})
        problem(answer, 401, "UNAUTHENTICATED")
