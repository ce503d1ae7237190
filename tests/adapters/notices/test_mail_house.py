"""The mail house: a letter is carried once, and refusals are told from outages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest

from adapters.http import HTTPCaller
from adapters.notices.mail_house import HTTPMailHouse
from adapters.notices.mail_house_mapping import message_id_of
from models.domain.errors import Permanent, Transient
from models.domain.notice import RenderedNotice

LETTER = RenderedNotice(
    notice_id="ntc_1",
    application_id="app_1",
    recipient_name="Zelda Quillfeather",
    recipient_address_lines=("1 Heron Street", "62701 Springfield", "US"),
    subject="Your application for credit",
    paragraphs=("Dear Zelda Quillfeather,", "We are unable to grant it."),
)


@pytest.fixture
def house(counterparty, secret_token):
    return counterparty("notifier", api_key=secret_token, steering_secret="s")


@pytest.fixture
def channel(client, house) -> HTTPMailHouse:
    return HTTPMailHouse(HTTPCaller(client, house.url, deadline_s=0.5), house.config["api_key"])


def _told(house: Any, do: Mapping[str, Any]) -> None:
    rules = {"rules": [{"id": "a", "times": 1, "do": do}]}
    headers = {"authorization": "Bearer s"}
    url = f"{house.url}/steering"
    assert httpx.post(url, json=rules, headers=headers, trust_env=False).is_success


async def test_a_letter_is_carried_once_however_often_it_is_handed_over(channel, house) -> None:
    ids = {await channel.send("acme", LETTER) for _ in range(3)}
    assert len(ids) == 1
    [effect] = house.lines("effect")
    assert (effect["key"], effect["application_id"]) == ("ntc_1", "app_1")
    assert [line["attempt"] for line in house.lines("request")] == [1, 2, 3]


async def test_two_notices_are_two_letters(channel, house) -> None:
    first = await channel.send("acme", LETTER)
    assert await channel.send("acme", replace(LETTER, notice_id="ntc_2")) != first
    assert len(house.lines("effect")) == 2


async def test_a_restarted_mail_house_prints_nothing_again(
    channel, client, house, counterparty
) -> None:
    before = await channel.send("acme", LETTER)
    house.stop()
    restarted = counterparty("notifier", **house.config)
    channel = HTTPMailHouse(HTTPCaller(client, restarted.url), house.config["api_key"])
    assert await channel.send("acme", LETTER) == before
    assert len(restarted.lines("effect")) == 1


@pytest.mark.parametrize(
    "do", [{"status": 503}, {"status": 429}, {"hang_s": 5}, {"cut_reply": True}]
)
async def test_an_outage_is_transient_and_the_letter_goes_out_later(channel, house, do) -> None:
    _told(house, do)
    with pytest.raises(Transient):
        await channel.send("acme", LETTER)
    await channel.send("acme", LETTER)
    assert len(house.lines("effect")) == 1


async def test_a_lost_reply_carries_no_second_letter(channel, house) -> None:
    _told(house, {"swallow_reply": True})
    with pytest.raises(Transient):
        await channel.send("acme", LETTER)
    assert len(house.lines("effect")) == 1
    await channel.send("acme", LETTER)
    assert len(house.lines("effect")) == 1


@pytest.mark.parametrize("do", [{"malformed": True}, {"huge_bytes": 2_000_000}])
async def test_an_answer_that_cannot_be_read_is_permanent(channel, house, do) -> None:
    _told(house, do)
    with pytest.raises(Permanent, match="MALFORMED_RESPONSE"):
        await channel.send("acme", LETTER)


async def test_a_letter_nobody_can_carry_is_refused_for_good(channel, house) -> None:
    with pytest.raises(Permanent, match="NOTICE_REFUSED"):
        await channel.send("acme", replace(LETTER, recipient_address_lines=("1 Heron Street",)))
    assert [line["code"] for line in house.lines("refused")] == ["ADDRESS_INCOMPLETE"]
    assert house.lines("effect") == []


async def test_another_letter_under_the_same_notice_is_refused(channel, house) -> None:
    await channel.send("acme", LETTER)
    with pytest.raises(Permanent, match="NOTICE_REFUSED"):
        await channel.send("acme", replace(LETTER, subject="Good news"))
    assert len(house.lines("effect")) == 1


async def test_a_refused_api_key_is_for_us_to_repair(client, house) -> None:
    with pytest.raises(Transient, match="CREDENTIALS_REFUSED"):
        await HTTPMailHouse(HTTPCaller(client, house.url), "wrong").send("acme", LETTER)


async def test_the_mail_house_s_log_names_no_person(channel, house) -> None:
    await channel.send("acme", LETTER)
    log = house.log.read_text()
    for personal in ("Zelda", "Quillfeather", "Heron", "Springfield", "unable"):
        assert personal not in log


@pytest.mark.parametrize("body", [{}, {"message_id": None}, {"message_id": "a b"}])
def test_an_answer_without_a_message_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(Permanent, match="MALFORMED_RESPONSE"):
        message_id_of(body)
