"""Answers written straight from their fields are those the framework would give."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from api.rendering import rendered
from api.schemas.answer_examples import ANSWERS
from api.schemas.application_answers import ApplicationAnswer
from models.domain.application import Stage


def test_an_application_reads_as_its_model_writes_it() -> None:
    answer = ApplicationAnswer.model_validate(ANSWERS["ApplicationAnswer"])
    assert answer.offers
    given = rendered(answer)
    assert bytes(given.body) == answer.model_dump_json().encode()
    assert given.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "at",
    [
        datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC),
        datetime(2026, 11, 22, 12, 0, 0, 120, tzinfo=UTC),
        datetime(2026, 11, 22, 12, 0, 0, 120_000, tzinfo=timezone(timedelta(hours=2))),
    ],
    ids=["whole", "microseconds", "elsewhere"],
)
def test_moments_and_names_are_written_alike(at: datetime) -> None:
    answer = ApplicationAnswer.model_validate(ANSWERS["ApplicationAnswer"])
    changed = answer.model_copy(update={"created_at": at, "stage": Stage.OFFERS})
    body = json.loads(bytes(rendered(changed).body))
    assert body == json.loads(changed.model_dump_json())


def test_no_field_of_it_is_written_in_a_way_of_its_own() -> None:
    seen: set[type[BaseModel]] = set()
    _models_of(ApplicationAnswer, seen)
    assert len(seen) > 5
    for model in seen:
        decorators = model.__pydantic_decorators__
        assert not decorators.field_serializers
        assert not decorators.model_serializers
        assert not model.model_computed_fields
        for field in model.model_fields.values():
            assert field.alias is None
            assert field.serialization_alias is None


def test_what_is_no_model_is_refused() -> None:
    class Odd(BaseModel):
        value: Any

    with pytest.raises(TypeError):
        rendered(Odd(value=object()))


def _models_of(kind: Any, seen: set[type[BaseModel]]) -> None:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if kind in seen:
            return
        seen.add(kind)
        for field in kind.model_fields.values():
            _models_of(field.annotation, seen)
    elif get_origin(kind) in (list, UnionType):
        for each in get_args(kind):
            if each is not NoneType:
                _models_of(each, seen)
