"""The client sends what the API reads, and tells refusals as exceptions."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from clients.python.caas_client import API_VERSION, AsyncClient, Client, Refused

Handler = Callable[[httpx.Request], httpx.Response]


class Heard:
    """A door that answers the same to all, and remembers who came."""

    def __init__(self, answer: httpx.Response) -> None:
        self.requests: list[httpx.Request] = []
        self._answer = answer

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self._answer


def over(handler: Handler, token: str | None = "the-token") -> Client:
    http = httpx.Client(transport=httpx.MockTransport(handler), base_url="http://api")
    return Client(http, token)


def test_a_write_names_its_key_its_token_and_its_version() -> None:
    heard = Heard(httpx.Response(200, json={"application_id": "app_1", "state": "withdrawn"}))
    answer = over(heard).applications.withdraw("app_1", {"reason": None})
    assert answer["state"] == "withdrawn"
    [request] = heard.requests
    assert (request.method, request.url.path) == ("POST", "/api/v1/applications/app_1/withdraw")
    assert json.loads(request.content) == {"reason": None}
    assert request.headers["authorization"] == "Bearer the-token"
    assert request.headers["api-version"] == API_VERSION
    UUID(request.headers["idempotency-key"])


def test_each_write_has_a_key_of_its_own_and_a_given_one_is_kept() -> None:
    heard = Heard(httpx.Response(200, json={}))
    for key in (None, None, "key-of-mine"):
        over(heard).applications.withdraw("app_1", {}, idempotency_key=key)
    keys = [each.headers["idempotency-key"] for each in heard.requests]
    assert len(set(keys)) == 3
    assert keys[2] == "key-of-mine"


def test_a_read_sends_no_key_and_nobody_needs_a_token() -> None:
    heard = Heard(httpx.Response(204))
    over(heard, token=None).health.alive()
    [request] = heard.requests
    assert "idempotency-key" not in request.headers
    assert "authorization" not in request.headers


@pytest.mark.parametrize("hostile", ["../reviews", "a/b", "a?b=c", "a#b", "%2e%2e%2f", "..."])
def test_an_id_reaches_no_other_path(hostile: str) -> None:
    heard = Heard(httpx.Response(200, json={}))
    over(heard).applications.withdraw(hostile, {})
    path = heard.requests[0].url.raw_path.decode()
    assert path.startswith("/api/v1/applications/")
    assert path.endswith("/withdraw")
    assert path.count("/") == 5
    assert "?" not in path


@pytest.mark.parametrize("nothing", ["", ".", ".."])
def test_what_names_nothing_is_not_asked_for(nothing: str) -> None:
    heard = Heard(httpx.Response(200, json={}))
    with pytest.raises(ValueError, match="is no id"):
        over(heard).applications.show(nothing)
    assert heard.requests == []


def test_a_refusal_is_an_exception_with_the_published_code() -> None:
    document = {"type": "urn:caas:problem:offer-expired", "title": "The offer has expired.",
                "status": 409, "code": "OFFER_EXPIRED"}  # fmt: skip
    with pytest.raises(httpx.HTTPStatusError) as raised:
        over(Heard(httpx.Response(409, json=document))).reviews.open_reviews()
    refused = raised.value
    assert isinstance(refused, Refused)
    assert (refused.status, refused.code, refused.problem) == (409, "OFFER_EXPIRED", document)
    assert "OFFER_EXPIRED" in str(refused)
    assert refused.retry_after_s is None


@pytest.mark.parametrize(
    ("answer", "retry_after_s"),
    [
        (httpx.Response(503, headers={"retry-after": "2"}, json={"code": "AWAY"}), 2.0),
        (httpx.Response(502, text="<html>bad gateway</html>"), None),
        (httpx.Response(500, json=["no", "problem"]), None),
        (httpx.Response(503, headers={"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}), None),
        (httpx.Response(302, headers={"location": "http://elsewhere"}), None),
    ],
)
def test_whatever_is_no_success_is_refused(
    answer: httpx.Response, retry_after_s: float | None
) -> None:
    with pytest.raises(Refused) as raised:
        over(Heard(answer)).reviews.open_reviews()
    assert raised.value.retry_after_s == retry_after_s


async def test_the_awaited_client_asks_alike() -> None:
    awaited, waited = (Heard(httpx.Response(200, json={"reviews": []})) for _ in range(2))
    transport = httpx.MockTransport(awaited)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
        answer: Any = await AsyncClient(http, "t").reviews.open_reviews()
    assert answer == over(waited, "t").reviews.open_reviews() == {"reviews": []}
    assert awaited.requests[0].headers == waited.requests[0].headers
    assert awaited.requests[0].url == waited.requests[0].url
