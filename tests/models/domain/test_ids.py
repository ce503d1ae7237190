"""Ids sort by the time they were made, name what they are, and are safe inside workflow ids."""

from __future__ import annotations

import time
import uuid

import pytest

from models.domain import ids
from models.domain.ids import (
    PREFIXES,
    application_workflow_id,
    is_id,
    is_name,
    kyc_workflow_id,
    new_id,
    risk_workflow_id,
    settlement_workflow_id,
    tenant_of_workflow,
)


def test_an_unknown_prefix_is_refused() -> None:
    with pytest.raises(ValueError, match="'user'"):
        new_id("user")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "app",
        "app_",
        "app_" + "0" * 31,
        "app_" + "0" * 33,
        "app_" + "G" * 32,
        "app_" + "A" * 32,
        "off_" + "0" * 32,
        " app_" + "0" * 32,
        "app_" + "0" * 32 + "\n",
        "app_" + "٠" * 32,
        "app_app_" + "0" * 28,
    ],
)
def test_what_is_no_application_id(value: str) -> None:
    assert not is_id(value, "app")


@pytest.mark.parametrize("prefix", sorted(PREFIXES))
def test_a_new_id_is_a_uuid_of_version_7(prefix: str) -> None:
    before_ms = time.time_ns() // 1_000_000
    value = new_id(prefix)
    after_ms = time.time_ns() // 1_000_000
    assert is_id(value, prefix)
    parsed = uuid.UUID(hex=value.removeprefix(prefix + "_"))
    assert parsed.variant == uuid.RFC_4122
    assert parsed.version == 7
    assert before_ms <= parsed.int >> 80 <= after_ms


def test_later_ids_sort_later(monkeypatch: pytest.MonkeyPatch) -> None:
    moments_ms = [1, 1_000, 1_700_000_000_000, 1_700_000_000_001, 2**47, 2**48 - 1]
    made = []
    for moment_ms in moments_ms:
        monkeypatch.setattr(ids.time, "time_ns", lambda at=moment_ms: at * 1_000_000)
        made.append(new_id("app"))
    assert sorted(made) == made


def test_the_random_parts_keep_version_and_variant(monkeypatch: pytest.MonkeyPatch) -> None:
    for filler in (b"\x00", b"\xff"):
        monkeypatch.setattr(ids.os, "urandom", lambda count, each=filler: each * count)
        parsed = uuid.UUID(hex=new_id("app").removeprefix("app_"))
        assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)


def test_ids_of_one_millisecond_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids.time, "time_ns", lambda: 1_700_000_000_000_000_000)
    assert len({new_id("app") for _ in range(1_000)}) == 1_000


@pytest.mark.parametrize(
    "value", ["", "-a", ".a", "a/b", "a b", "a\n", "ä", "a" * 65, "١", "a\x00", "_a", "../a"]
)
def test_what_may_not_be_a_name(value: str) -> None:
    assert not is_name(value)


@pytest.mark.parametrize("value", ["a", "A-1", "tenant_1.x", "9", "a" * 64])
def test_what_may_be_a_name(value: str) -> None:
    assert is_name(value)


@pytest.mark.parametrize("value", ["", "kyc/t", "kyc/t/u/v", "kyc//u", "kyc/a b/u", "no-slash"])
def test_a_foreign_workflow_id_names_no_tenant(value: str) -> None:
    assert tenant_of_workflow(value) is None


def test_the_four_workflows_of_a_loan_have_one_id_each() -> None:
    made = [
        application_workflow_id("t-1", "app_1"),
        kyc_workflow_id("t-1", "u-1"),
        risk_workflow_id("t-1", "app_1"),
        settlement_workflow_id("t-1", "app_1"),
    ]
    assert made == [
        "credit-application/t-1/app_1",
        "kyc/t-1/u-1",
        "risk-scoring/t-1/app_1",
        "settlement/t-1/app_1",
    ]
    assert {tenant_of_workflow(each) for each in made} == {"t-1"}
