"""Counterparties told how to behave: by content, counted, kept, and followed to the letter."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from sandbox.counterparties import bureau
from sandbox.counterparties.serving import steerable

SECRET = "steering-secret"
CONFIG = {"api_key": "k", "steering_secret": SECRET}
ENDPOINT = "POST /v1/reports"


class Bureau:
    """A steerable bureau on a real socket; `restart` keeps its files."""

    def __init__(self, log: Path, config: dict[str, Any]) -> None:
        self.log, self._config = log, config
        self._begin()

    def _begin(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        app = steerable(self._config, self.log, bureau.build)
        config = uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        kwargs = {"sockets": [self._socket]}
        self._thread = threading.Thread(target=self._server.run, kwargs=kwargs, daemon=True)
        self._thread.start()
        url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=60)
        deadline = time.monotonic() + 10
        while not self._server.started and time.monotonic() < deadline:
            time.sleep(0.005)
        assert self._server.started

    def end(self) -> None:
        self.http.close()
        self._server.should_exit = True
        self._thread.join(timeout=60)
        self._socket.close()
        assert not self._thread.is_alive()

    def restart(self) -> None:
        self.end()
        self._begin()

    def steer(self, *rules: dict[str, Any]) -> httpx.Response:
        return self.http.post("/steering", json={"rules": rules}, headers=_bearer(SECRET))

    def told(self, do: dict[str, Any]) -> None:
        """Every report from now on is answered so."""
        assert self.steer({"id": "all", "match": {"endpoint": ENDPOINT}, "do": do}).is_success

    def standing(self) -> dict[str, dict[str, Any]]:
        answer = self.http.get("/steering", headers=_bearer(SECRET))
        return {rule["id"]: rule for rule in answer.json()["rules"]}

    def ask(self, key: str = "app_1:bureau", national_id: str = "100-10-0001") -> httpx.Response:
        return self.http.post("/v1/reports", content=_report(national_id), headers=_headers(key))

    def lines(self, kind: str) -> list[dict[str, Any]]:
        written = map(json.loads, self.log.read_text("utf-8").splitlines())
        return [line for line in written if line["kind"] == kind]


def _bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def _headers(key: str) -> dict[str, str]:
    return {"x-api-key": "k", "idempotency-key": key, "content-type": "application/json"}


def _report(national_id: str) -> bytes:
    names = {"given": "Zelda", "family": "Quillfeather"}
    person = {"national_id": national_id, "names": names, "born_on": "1990-04-05"}
    return json.dumps({"person": person, "purpose": "credit_application"}).encode()


@pytest.fixture
def steered(tmp_path: Path) -> Iterator[Bureau]:
    running = Bureau(tmp_path / "bureau.jsonl", CONFIG)
    yield running
    running.end()


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("headers", [{}, _bearer("other"), {"authorization": SECRET}])
def test_nobody_steers_without_the_secret(steered: Bureau, method: str, headers: Any) -> None:
    rules = {"rules": [{"id": "a", "do": {"status": 503}}]}
    answer = steered.http.request(method, "/steering", json=rules, headers=headers)
    assert answer.status_code == 401
    assert steered.standing() == {}
    assert steered.ask().status_code == 200


def test_without_a_secret_in_the_configuration_there_is_no_steering(tmp_path: Path) -> None:
    deaf = Bureau(tmp_path / "bureau.jsonl", {"api_key": "k"})
    try:
        answers = [deaf.http.get("/steering", headers=_bearer(text)) for text in ("x", "None")]
    finally:
        deaf.end()
    assert [answer.status_code for answer in answers] == [404, 404]


@pytest.mark.parametrize(
    "rule",
    [
        {"id": "a"},
        {"do": {"status": 503}},
        {"id": "a b", "do": {"status": 503}},
        {"id": "a", "do": {"explode": True}},
        {"id": "a", "do": {"status": 200}},
        {"id": "a", "do": {"slow_s": -1}},
        {"id": "a", "do": {"callbacks": ["carrier_pigeon"]}},
        {"id": "a", "times": 0, "do": {}},
        {"id": "a", "match": {"header": "x"}, "do": {}},
    ],
)
def test_a_rule_nobody_could_follow_is_refused(steered: Bureau, rule: dict[str, Any]) -> None:
    assert steered.steer({"id": "good", "do": {"status": 503}}, rule).status_code == 400
    assert steered.standing() == {}


MATCHES = [
    ({}, True),
    ({"endpoint": ENDPOINT}, True),
    ({"endpoint": "POST /v1/quotes"}, False),
    ({"field": "person.national_id", "equals": "100-10-0001"}, True),
    ({"field": "person.national_id", "equals": "100-10-0002"}, False),
    ({"field": "person.national_id.digits", "equals": "100-10-0001"}, False),
    ({"field": "person.shoe_size", "equals": "100-10-0001"}, False),
    ({"field": "path.check_id", "equals": "100-10-0001"}, False),
    ({"endpoint": "POST /v1/quotes", "field": "purpose", "equals": "credit_application"}, False),
]


@pytest.mark.parametrize(("match", "applies"), MATCHES)
def test_a_rule_applies_by_what_the_request_says(
    steered: Bureau, match: dict[str, Any], *, applies: bool
) -> None:
    steered.steer({"id": "a", "match": match, "do": {"status": 503}})
    assert steered.ask().status_code == (503 if applies else 200)
    assert steered.standing()["a"]["took_effect"] == int(applies)
    assert len(steered.lines("steered")) == int(applies)


def test_values_are_compared_with_their_type(steered: Bureau) -> None:
    match = {"field": "purpose", "equals": 1}
    steered.steer({"id": "a", "match": match, "do": {"status": 503}})
    body = json.dumps({"purpose": True})
    answer = steered.http.post("/v1/reports", content=body, headers=_headers("k"))
    assert answer.json()["code"] == "REQUEST_MALFORMED"


def test_skip_and_times_count_matching_requests_and_survive_a_restart(steered: Bureau) -> None:
    mine = {"field": "person.national_id", "equals": "100-10-0001"}
    rule = {"id": "a", "match": mine, "skip": 1, "times": 2, "do": {"status": 503}}
    steered.steer(rule)
    first = [steered.ask("k1").status_code, steered.ask("k2", "100-10-0002").status_code]
    assert first == [200, 200]
    assert steered.ask("k3").status_code == 503
    steered.restart()
    steered.steer(rule)  # told again is no new rule
    assert [steered.ask("k3").status_code, steered.ask("k3").status_code] == [503, 200]
    standing = steered.standing()["a"]
    assert (standing["passed_over"], standing["took_effect"]) == (1, 2)
    lines = [(line["endpoint"], line["key"], line["rule"]) for line in steered.lines("steered")]
    assert lines == [(ENDPOINT, "k3", "a")] * 2


def test_the_first_applicable_rule_applies_alone(steered: Bureau) -> None:
    steered.steer(
        {"id": "a", "times": 1, "do": {"status": 503}},
        {"id": "b", "times": 1, "do": {"status": 429, "retry_after_s": 7}},
    )
    answers = [steered.ask() for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 429, 200]
    assert answers[1].headers["retry-after"] == "7"


def test_rules_are_forgotten_one_by_one_or_all(steered: Bureau) -> None:
    steered.steer(*({"id": name, "do": {"status": 503}} for name in "abc"))
    assert steered.http.delete("/steering/x", headers=_bearer(SECRET)).status_code == 404
    steered.http.delete("/steering/b", headers=_bearer(SECRET))
    assert list(steered.standing()) == ["a", "c"]
    steered.http.delete("/steering", headers=_bearer(SECRET))
    assert steered.standing() == {}
    assert steered.ask().status_code == 200


def test_a_status_means_that_nothing_was_done(steered: Bureau) -> None:
    steered.told({"status": 500})
    assert steered.ask().status_code == 500
    assert steered.lines("effect") == []


def test_a_hanging_server_does_nothing_until_the_caller_leaves(steered: Bureau) -> None:
    steered.told({"hang_s": 60})
    with pytest.raises(httpx.ReadTimeout):
        steered.http.post("/v1/reports", content=_report("1"), headers=_headers("k"), timeout=0.2)
    assert steered.lines("effect") == []


@pytest.mark.parametrize("do", [{"hang_s": 0}, {"hang_s": 0.05}])
def test_a_hanging_server_hangs_up_in_the_end(steered: Bureau, do: dict[str, Any]) -> None:
    steered.told(do)
    with pytest.raises(httpx.RemoteProtocolError):
        steered.ask()
    assert steered.lines("effect") == []


LOST_REPLIES = [{"swallow_reply": True}, {"hang_reply_s": 0.05}, {"cut_reply": True}]


@pytest.mark.parametrize("do", LOST_REPLIES)
def test_a_lost_reply_follows_an_effect_and_a_repeat_finds_it(
    steered: Bureau, do: dict[str, Any]
) -> None:
    steered.told(do)
    with pytest.raises(httpx.RemoteProtocolError):
        steered.ask()
    assert len(steered.lines("effect")) == 1
    steered.http.delete("/steering", headers=_bearer(SECRET))
    assert steered.ask().json()["file"] is not None
    assert len(steered.lines("effect")) == 1


def test_half_an_answer_arrives_before_the_connection_closes(steered: Bureau) -> None:
    steered.told({"cut_reply": True})
    got = bytearray()
    with steered.http.stream(
        "POST", "/v1/reports", content=_report("1"), headers=_headers("k")
    ) as answer:
        chunks = answer.iter_raw()
        got += next(chunks)
        with pytest.raises(httpx.RemoteProtocolError):
            got += next(chunks)
    assert answer.status_code == 200
    assert 0 < len(got) < int(answer.headers["content-length"])


def test_a_malformed_answer_is_no_json_though_it_says_so(steered: Bureau) -> None:
    steered.told({"malformed": True})
    answer = steered.ask()
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        answer.json()


def test_a_huge_answer_has_the_size_it_was_told(steered: Bureau) -> None:
    steered.told({"huge_bytes": 300_000})
    answer = steered.ask()
    assert len(answer.content) == 300_000
    assert set(answer.json()) == {"padding"}


def test_a_dripping_answer_is_whole_in_the_end(steered: Bureau) -> None:
    whole = steered.ask()
    steered.told({"drip_s": 0})
    with steered.http.stream(
        "POST", "/v1/reports", content=_report("100-10-0001"), headers=_headers("app_1:bureau")
    ) as answer:
        assert b"".join(answer.iter_raw()) == whole.content


def test_a_slow_answer_is_the_same_answer(steered: Bureau) -> None:
    whole = steered.ask()
    steered.told({"slow_s": 0.05})
    assert steered.ask().content == whole.content


def test_a_refusal_is_recorded_though_its_answer_was_lost(steered: Bureau) -> None:
    steered.told({"swallow_reply": True})
    with pytest.raises(httpx.RemoteProtocolError):
        steered.http.post("/v1/reports", content=b"{}", headers=_headers("k"))
    assert [line["code"] for line in steered.lines("refused")] == ["REQUEST_MALFORMED"]
