"""The bureau: a report bought once per application, or the honest absence of one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adapters.bureau.bureau import HTTPCreditBureau
from adapters.bureau.bureau_mapping import report_of
from adapters.http import HTTPCaller
from models.domain.errors import Permanent, Transient
from models.domain.risk import BureauReport


@pytest.fixture
def sold_by(counterparty, secret_token):
    return counterparty("bureau", api_key=secret_token)


@pytest.fixture
def bureau(client, sold_by) -> HTTPCreditBureau:
    return HTTPCreditBureau(
        HTTPCaller(client, sold_by.url), "sandbox-bureau", sold_by.config["api_key"]
    )


async def test_a_known_person_s_file(bureau, applicant) -> None:
    report = await bureau.report("acme", "app_1", applicant(national_id="100-10-0001"))
    assert report is not None
    assert replace(report, report_id="r") == BureauReport(
        "r", 0, 0, 1, 1200, 3000, 0, 1, 9, 1_250_000
    )


async def test_worse_people_have_worse_files(bureau, applicant) -> None:
    reports = [
        await bureau.report("acme", f"app_{n}", applicant(national_id=f"100-10-000{n}"))
        for n in (1, 2, 3)
    ]
    for worse in ("delinquencies_2y", "inquiries_6m", "inquiries_12m", "revolving_utilisation_bps"):
        values = [getattr(report, worse) for report in reports]
        assert values == sorted(set(values)), worse


@pytest.mark.parametrize("national_id", ["555-55-5555", "1", "unknown"])
async def test_too_little_known_is_an_answer(bureau, applicant, national_id) -> None:
    assert await bureau.report("acme", "app_1", applicant(national_id=national_id)) is None


async def test_invented_files_are_valid_deterministic_and_differ(bureau, applicant) -> None:
    first = [
        await bureau.report("acme", f"app_{n}", applicant(national_id=f"9{n:08}"))
        for n in range(50)
    ]
    again = await bureau.report("acme", "app_again", applicant(national_id="900-00-0000"))
    assert first[0] is not None
    assert again is not None
    assert replace(again, report_id="r") == replace(first[0], report_id="r")
    assert len({replace(report, report_id="r") for report in first}) == 50


async def test_a_report_is_billed_once_per_application(bureau, sold_by, applicant) -> None:
    reports = [await bureau.report("acme", "app_1", applicant()) for _ in range(3)]
    assert reports[0] == reports[1] == reports[2]
    assert [line["key"] for line in sold_by.lines("effect")] == ["app_1:bureau"]
    assert [line["attempt"] for line in sold_by.lines("request")] == [1, 2, 3]


async def test_a_restarted_bureau_bills_nothing_again(
    client, bureau, sold_by, counterparty, applicant
) -> None:
    before = await bureau.report("acme", "app_1", applicant())
    sold_by.stop()
    restarted = counterparty("bureau", **sold_by.config)
    bureau = HTTPCreditBureau(HTTPCaller(client, restarted.url), "b", sold_by.config["api_key"])
    assert await bureau.report("acme", "app_1", applicant()) == before
    assert len(restarted.lines("effect")) == 1
    assert restarted.lines("request")[-1]["attempt"] == 2


async def test_the_same_application_with_another_person_is_refused(
    bureau, sold_by, applicant
) -> None:
    await bureau.report("acme", "app_1", applicant())
    with pytest.raises(Permanent) as raised:
        await bureau.report("acme", "app_1", applicant(national_id="100-10-0002"))
    assert raised.value.code == "REPORT_REFUSED"
    assert len(sold_by.lines("effect")) == 1


async def test_a_refused_api_key_is_for_us_to_repair(client, sold_by, applicant) -> None:
    bureau = HTTPCreditBureau(HTTPCaller(client, sold_by.url), "b", "wrong")
    with pytest.raises(Transient) as raised:
        await bureau.report("acme", "app_1", applicant())
    assert raised.value.code == "CREDENTIALS_REFUSED"
    assert sold_by.lines("effect") == []


async def test_the_bureau_s_log_names_no_person(bureau, sold_by, applicant) -> None:
    await bureau.report("acme", "app_1", applicant(national_id="912-34-5678"))
    log = sold_by.log.read_text()
    for personal in ("Zelda", "Quillfeather", "1990-04-05", "912-34-5678", "912345678"):
        assert personal not in log


FILE: dict[str, Any] = {
    "delinquencies_2y": 0,
    "inquiries_6m": 0,
    "inquiries_12m": 1,
    "revolving_utilisation_bps": 1200,
    "total_utilisation_bps": 3000,
    "instalment_accounts_opened_12m": 0,
    "instalment_accounts_opened_24m": 1,
    "instalment_accounts_total": 9,
    "instalment_balance_minor": 1_250_000,
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("delinquencies_2y", -1),
        ("delinquencies_2y", True),
        ("delinquencies_2y", "0"),
        ("inquiries_6m", 0.5),
        ("inquiries_12m", None),
        ("revolving_utilisation_bps", 10**9),
        ("total_utilisation_bps", float("inf")),
        ("instalment_accounts_opened_24m", 10),
        ("instalment_accounts_opened_12m", 2),
        ("instalment_balance_minor", 2**256),
    ],
)
def test_a_broken_file_is_refused_by_its_field(field: str, value: object) -> None:
    with pytest.raises(Permanent) as raised:
        report_of({"report_id": "r", "file": {**FILE, field: value}})
    assert raised.value.code == "MALFORMED_RESPONSE"
    assert field in raised.value.detail


@pytest.mark.parametrize(
    "body", [{}, {"report_id": "r"}, {"file": None}, {"report_id": "r", "file": []}]
)
def test_silence_is_not_a_thin_file(body: dict[str, Any]) -> None:
    with pytest.raises(Permanent):
        report_of(body)


def test_a_missing_field_is_refused() -> None:
    for field in FILE:
        part = {name: value for name, value in FILE.items() if name != field}
        with pytest.raises(Permanent, match=field):
            report_of({"report_id": "r", "file": part})
