"""The consumer example holds events to their published schemas."""

from __future__ import annotations

import pytest

from sandbox.consumer_example import Published
from tests.event_schemas import FOLDER, schemas


@pytest.fixture(scope="module")
def published() -> Published:
    return Published(FOLDER)


def test_every_example_of_a_schema_is_as_published(published: Published) -> None:
    examples = [schema["examples"][0] for schema in schemas().values()]
    assert [published.complaint(example) for example in examples] == [None] * len(examples)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"type": "offer.unheard_of"}, "not published here"),
        ({"data": {"subject_id": "app_1"}}, "required property"),
        ({"sequence": "815"}, "does not match"),
    ],
)
def test_what_is_not_as_published_is_complained_of(
    published: Published, changes: dict[str, object], complaint: str
) -> None:
    [example] = schemas()["offer.created"]["examples"]
    assert complaint in (published.complaint({**example, **changes}) or "")
