"""A journey takes its steps in order, waits for what they need, and says where it is stuck."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sandbox import journey as journeys
from sandbox.borrower import Borrower
from sandbox.journey import Journey, JourneyStuckError
from sandbox.persona import Persona, Step, read_persona
from sandbox.services.deployment import Deployment

AT = Deployment(aggregator="0x" + "aA" * 20, token="0x" + "bb" * 20, token_decimals=6, chain_id=1)
OFFER = {
    "offer_id": "off_1", "provider_id": "bank", "terms_hash": "0x" + "12" * 32,
    "chain_id": 1, "aggregator": "0x" + "11" * 20, "status": "open",
}  # fmt: skip
OTHER = {**OFFER, "offer_id": "off_2", "provider_id": "pool"}
REVIEW = {"review_id": "rev_1", "subject_id": "app_1", "status": "open"}

Answer = httpx.Response | Exception


class API:
    """Plays the API: each look finds the next of `views`; writes are answered by `answers`."""

    def __init__(self, *views: dict[str, Any]) -> None:
        self.views = list(views)
        self.reviews: list[dict[str, Any]] = []
        self.answers: list[Answer] = []
        self.writes: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.submitted = 0

    def handle(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1/")
        if request.method == "GET" and path == "reviews":
            return httpx.Response(200, json={"reviews": self.reviews})
        if request.method == "GET":
            view = self.views.pop(0) if len(self.views) > 1 else self.views[0]
            return httpx.Response(200, json={"stage": "any", "reasons": [], "offers": [], **view})
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            if not answer.is_success:
                self.writes.append((path, {}, dict(request.headers)))
                return answer
        self.writes.append((path, json.loads(request.content), dict(request.headers)))
        self.submitted += path == "applications"
        return httpx.Response(200, json={"application_id": f"app_{self.submitted}"})

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.writes]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journeys, "FOLLOW_EVERY_S", 0.0)
    monkeypatch.setattr(journeys, "RETRY_EVERY_S", 0.0)


def persona_with(*steps: dict[str, Any]) -> Persona:
    return read_persona("approved").model_copy(update={"steps": tuple(Step(**s) for s in steps)})


Begin = Callable[..., Journey]


@pytest.fixture
def begin() -> Begin:
    def journey(api: API, *steps: dict[str, Any], limit_s: float = 30.0) -> Journey:
        persona = persona_with(*steps)
        http = httpx.AsyncClient(transport=httpx.MockTransport(api.handle), base_url="http://api")
        borrower = Borrower.of(http, persona.data, b"s" * 32, AT, "token-of-the-applicant")
        return Journey(persona, borrower, "{}:{}".format, limit_s=limit_s)

    return journey


PROCESSING = {"state": "processing"}
OFFERED = {"state": "offered", "offers": [OFFER, OTHER]}
IN_REVIEW = {"state": "in_review"}
FUNDED = {"state": "funded"}


async def test_the_best_offer_is_accepted_when_it_is_there(begin: Begin) -> None:
    api = API(PROCESSING, PROCESSING, OFFERED, {"state": "settling"}, FUNDED)
    view = await begin(api, {"when": {"state": "offered"}, "do": "accept"}).run()
    assert view["state"] == "funded"
    assert api.paths() == ["applications", "applications/app_1/accept"]
    assert api.writes[1][1]["offer_id"] == "off_1"


async def test_a_named_providers_offer_is_accepted(begin: Begin) -> None:
    api = API(OFFERED, FUNDED)
    step = {"when": {"state": "offered"}, "do": "accept", "provider": "pool"}
    await begin(api, step).run()
    assert api.writes[1][1]["offer_id"] == "off_2"


async def test_an_offer_that_is_not_there_cannot_be_accepted(begin: Begin) -> None:
    step = {"when": {"state": "offered"}, "do": "accept", "provider": "nobody"}
    with pytest.raises(JourneyStuckError, match="no offer from nobody"):
        await begin(API(OFFERED), step).run()


async def test_operators_act_on_this_applications_open_review_with_their_own_tokens(
    begin: Begin,
) -> None:
    api = API(IN_REVIEW, IN_REVIEW, {"state": "rejected"})
    api.reviews = [{**REVIEW, "review_id": "rev_0", "subject_id": "app_9"}, REVIEW]
    by = {"by": "uma", "role": "underwriter", "when": {"state": "in_review"}}
    await begin(
        api,
        {**by, "do": "request_information", "items": ["PROOF_OF_INCOME"], "message": "Please."},
        {**by, "do": "reassign", "assignee": "una", "reason": "Away."},
        {**by, "do": "approve", "reason": "Fine."},
        {**by, "do": "reject", "reason": "No.", "by": "una"},
    ).run()
    written = [(path.removeprefix("reviews/rev_1/"), body) for path, body, _ in api.writes[1:]]
    assert written == [
        ("information", {"items": ["PROOF_OF_INCOME"], "message": "Please."}),
        ("assignment", {"assignee": "una", "reason": "Away."}),
        ("decision", {"decision": "approve", "reason": "Fine."}),
        ("decision", {"decision": "reject", "reason": "No."}),
    ]
    tokens = [headers["authorization"] for _, _, headers in api.writes]
    assert tokens[0] == "Bearer token-of-the-applicant"
    assert tokens[1:] == ["Bearer uma:underwriter"] * 3 + ["Bearer una:underwriter"]


async def test_the_open_question_is_answered(begin: Begin) -> None:
    asked = {
        "information_requests": [
            {"request_id": "inf_1", "status": "answered"},
            {"request_id": "inf_2", "status": "open"},
        ]
    }
    api = API(IN_REVIEW, {**IN_REVIEW, **asked}, FUNDED)
    answers = [{"item": "PROOF_OF_INCOME", "text": "3,050 USD"}]
    await begin(api, {"do": "provide_information", "answers": answers}).run()
    path, body, _ = api.writes[1]
    assert path == "applications/app_1/information"
    assert body == {"request_id": "inf_2", "answers": answers, "document": None}


async def test_whoever_applies_again_goes_on_with_the_second_application(begin: Begin) -> None:
    api = API(OFFERED, {"state": "withdrawn"}, OFFERED, FUNDED)
    journey = begin(
        api,
        {"when": {"state": "offered"}, "do": "withdraw", "reason": "Later."},
        {"when": {"state": "withdrawn"}, "do": "apply_again"},
        {"when": {"state": "offered"}, "do": "accept"},
    )
    assert (await journey.run())["state"] == "funded"
    assert journey.applications == ["app_1", "app_2"]
    assert api.paths()[1:] == [
        "applications/app_1/withdraw", "applications", "applications/app_2/accept",
    ]  # fmt: skip


async def test_what_comes_after_the_ending_is_waited_for(begin: Begin) -> None:
    declined, told = {"state": "declined", "notice": {"status": "pending"}}, {"status": "delivered"}
    api = API(declined, declined, {**declined, "notice": told})
    view = await begin(api, {"when": {"notice": told}, "do": "wait"}).run()
    assert view["notice"] == told


async def test_another_ending_than_the_step_waits_for_is_told_at_once(begin: Begin) -> None:
    api = API(PROCESSING, {"state": "declined", "reasons": [{"code": "SCORE_TOO_LOW"}]})
    with pytest.raises(JourneyStuckError, match=r"app_1 is declined .* \(SCORE_TOO_LOW\)"):
        await begin(api, {"when": {"state": "offered"}, "do": "accept"}).run()


async def test_a_journey_that_leads_nowhere_is_given_up(begin: Begin) -> None:
    with pytest.raises(JourneyStuckError, match="out of time: app_1 is processing"):
        await begin(API(PROCESSING), limit_s=0.0).run()


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("silence"),
        httpx.Response(503),
        httpx.Response(409, json={"code": "REQUEST_IN_FLIGHT"}),
    ],
)
async def test_what_got_no_answer_is_repeated_under_the_same_key(
    begin: Begin, trouble: Answer
) -> None:
    api = API(FUNDED)
    api.answers = [trouble]
    await begin(api).run()
    assert api.submitted == 1
    assert len({headers["idempotency-key"] for _, _, headers in api.writes}) == 1


async def test_a_refusal_is_not_repeated(begin: Begin) -> None:
    api = API(OFFERED)
    api.answers = [httpx.Response(200), httpx.Response(409, json={"code": "APPLICATION_CLOSED"})]
    with pytest.raises(JourneyStuckError, match=r"409 .*APPLICATION_CLOSED"):
        await begin(api, {"when": {"state": "offered"}, "do": "withdraw"}).run()
    assert api.paths() == ["applications", "applications/app_1/withdraw"]
