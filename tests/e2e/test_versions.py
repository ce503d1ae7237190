"""An older client of the running product, and one with the published client."""

from __future__ import annotations

import json
import secrets

import pytest

from api.versions import FIRST
from api.versions_changes import VERSIONS
from clients.python.caas_client import API_VERSION, AsyncClient, Refused
from tests.e2e.outside import World, eventually

pytestmark = pytest.mark.stack

THIN_FILE = {"applicant.national_id": "500-00-7777"}


async def test_an_older_client_decides_and_its_repetition_gets_the_same_bytes(world: World) -> None:
    person = world.person(THIN_FILE)
    await world.apply_until(person, "in_review")
    headers = world.staff(person.data["tenant"], "underwriter", "una-underwriter")
    client = AsyncClient(world.http, headers["Authorization"].removeprefix("Bearer "))

    async def opened() -> list[str]:
        return [each["review_id"] for each in (await client.reviews.open_reviews())["reviews"]]

    [review_id] = await eventually("a review is open", opened)
    sent = {
        "content": b'{"approved": false,\n "reason": "Seen the documents."}',
        "headers": {
            **headers,
            "Content-Type": "application/json",
            "API-Version": FIRST,
            "Idempotency-Key": secrets.token_urlsafe(16),
        },
    }
    path = f"/api/v1/reviews/{review_id}/decision"
    first, again = [await world.http.post(path, **sent) for _ in range(2)]
    assert first.status_code == 200, first.text
    assert first.json() == {"review_id": review_id, "approved": False, "status": "rejected"}
    assert first.content == again.content
    assert first.headers["api-version"] == again.headers["api-version"] == FIRST
    assert "sunset" in first.headers

    # What is kept is the newest form, and says so.
    [kept] = await world.truth.rows(
        "SELECT headers, response FROM idempotency_keys WHERE tenant_id = $1 AND route LIKE $2",
        person.data["tenant"], "%/decision",
    )  # fmt: skip
    assert kept["headers"]["API-Version"] == VERSIONS.newest
    assert json.loads(kept["response"])["decision"] == "reject"


async def test_the_published_client_speaks_the_newest_and_reads_refusals(world: World) -> None:
    assert VERSIONS.newest == API_VERSION
    person = world.person(THIN_FILE)
    application_id = await person.apply()
    stranger = AsyncClient(world.http, world.stack.token("stranger", "elsewhere", "integrator"))
    with pytest.raises(Refused) as refused:
        await stranger.applications.show(application_id)
    assert (refused.value.status, refused.value.code) == (404, "NOT_FOUND")
    view = await person.client.applications.show(application_id)
    assert view["application_id"] == application_id
