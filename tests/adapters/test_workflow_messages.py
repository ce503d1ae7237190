"""Messages to workflows: refusals keep their codes, absences and outages are told apart."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import (
    Client,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from adapters.workflow_messages import TemporalMessages
from models.domain.application import ApplicationRef, Withdrawal
from models.domain.errors import (
    Conflict,
    CreditError,
    Invalid,
    InvariantViolated,
    NotFound,
    Unavailable,
)
from models.domain.kyc import KYCStanding, KYCStatus, PersonRef, VendorVerdict, VerificationCallback
from models.domain.notice import NoticeHandedOver
from models.domain.offer import Acceptance, AcceptOffer
from models.domain.review import (
    Assignment,
    InformationAsked,
    InformationItem,
    InformationProvided,
    ReviewDecision,
    ReviewEnd,
)
from models.domain.settlement import FinalitySignal
from sandbox.services.ports import free_port

REF = ApplicationRef("acme", "app_1", "zelda")
ZELDA = PersonRef("acme", "zelda")
ACCEPTANCE = AcceptOffer("off_1", "zelda", "zelda", Acceptance("0x1", "0x2", 7, 8, "0x3"))
DECISION = ReviewDecision("rev_1", True, "olga", "fine")
ASSIGNMENT = Assignment("rev_1", "otto", "olga", "knows the trade")
QUESTION = InformationAsked("rev_1", "inf_1", "olga", (InformationItem.EXPLANATION,), "Why?")

Send = Callable[[TemporalMessages], Awaitable[Any]]

UPDATES: dict[str, Send] = {
    "accept": lambda to: to.accept_offer(REF, ACCEPTANCE, "u1"),
    "withdraw": lambda to: to.withdraw(REF, Withdrawal("zelda"), "u1"),
    "decide": lambda to: to.decide_review("kyc/acme/zelda", DECISION, "u1"),
    "reassign": lambda to: to.reassign_review("kyc/acme/zelda", ASSIGNMENT, "u1"),
    "ask": lambda to: to.ask_applicant("kyc/acme/zelda", QUESTION, "u1"),
}
SIGNALS: dict[str, Send] = {
    "identity": lambda to: to.tell_identity("acme", "app_1", KYCStanding(KYCStatus.VERIFIED)),
    "verification": lambda to: to.tell_verification(
        ZELDA, VerificationCallback("evt_1", "ver_1", VendorVerdict.CLEAR)
    ),
    "settlement": lambda to: to.tell_settlement(
        "acme", "app_1", FinalitySignal("0x1", 1, "0x2", 3, succeeded=True)
    ),
    "information": lambda to: to.tell_information(
        "kyc/acme/zelda", InformationProvided("inf_1", new_document=False)
    ),
    "notice": lambda to: to.tell_notice("acme", "app_1", NoticeHandedOver("olga", "by courier")),
}
STARTS: dict[str, Send] = {
    "start": lambda to: to.start_application(REF),
    "join": lambda to: to.join_person(ZELDA, "app_1"),
}


class Answering:
    """A client whose workflows answer every message alike."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self.sent: list[tuple[str, str]] = []

    @property
    def service_client(self) -> Answering:
        return self

    async def check_health(self, *, timeout: timedelta) -> bool:
        return True

    def get_workflow_handle(self, workflow_id: str) -> Answering:
        self.addressed = workflow_id
        return self

    async def execute_update(self, name: str, message: object, **options: Any) -> Any:
        assert options["id"] == "u1"
        return await self.signal(name, message)

    async def signal(self, name: str, message: object, **_: Any) -> Any:
        self.sent.append((self.addressed, name))
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer


def messages(answer: Any) -> TemporalMessages:
    return TemporalMessages(Answering(answer))  # type: ignore[arg-type]


def refused(code: str | None) -> WorkflowUpdateFailedError:
    return WorkflowUpdateFailedError(ApplicationError("no", type=code))


def rpc(status: RPCStatusCode) -> RPCError:
    return RPCError("no", status, b"")


@pytest.mark.parametrize("name", UPDATES)
@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        (refused("FOUR_EYES_NEEDED"), Conflict, "FOUR_EYES_NEEDED"),
        (refused("SETTLEMENT_SIGNED"), Conflict, "SETTLEMENT_SIGNED"),
        (refused("SIGNATURE_INVALID"), Invalid, "SIGNATURE_INVALID"),
        # What a bug raises bears a class's name, and is no refusal.
        (refused("KeyError"), InvariantViolated, "UPDATE_BROKEN"),
        (refused(None), InvariantViolated, "UPDATE_BROKEN"),
        (rpc(RPCStatusCode.NOT_FOUND), Conflict, "APPLICATION_NOT_WAITING"),
        (rpc(RPCStatusCode.UNAVAILABLE), Unavailable, "TEMPORAL_UNAVAILABLE"),
        (RuntimeError("not connected"), Unavailable, "TEMPORAL_UNAVAILABLE"),
        (WorkflowUpdateRPCTimeoutOrCancelledError(), Unavailable, "NO_WORKER_ANSWERED"),
    ],
    ids=str,
)
async def test_an_update_fails_as_what_it_is(
    name: str, answer: BaseException, error: type[CreditError], code: str
) -> None:
    with pytest.raises(error) as raised:
        await UPDATES[name](messages(answer))
    assert raised.value.code == code


@pytest.mark.parametrize("name", SIGNALS)
async def test_a_signal_to_nobody_is_swallowed_unless_a_person_sent_it(name: str) -> None:
    to = messages(rpc(RPCStatusCode.NOT_FOUND))
    if name == "notice":
        with pytest.raises(NotFound, match="NOTICE_NOT_WAITING"):
            await SIGNALS[name](to)
    else:
        await SIGNALS[name](to)
    with pytest.raises(Unavailable):
        await SIGNALS[name](messages(rpc(RPCStatusCode.DEADLINE_EXCEEDED)))


async def test_answers_come_back_as_values() -> None:
    decide, ask = UPDATES["decide"], UPDATES["ask"]
    assert await decide(messages("approved")) is ReviewEnd.APPROVED
    assert await decide(messages(None)) is None
    due_at = await ask(messages("2026-12-01T00:00:00Z"))
    assert due_at.isoformat() == "2026-12-01T00:00:00+00:00"


async def test_an_outage_is_unavailable_for_every_message() -> None:
    client = await Client.connect(f"127.0.0.1:{free_port()}", lazy=True)
    to = TemporalMessages(client)
    for send in (STARTS | SIGNALS).values():
        with pytest.raises(Unavailable):
            await send(to)
    assert await to.ready() is False


async def test_messages_go_to_whom_they_concern() -> None:
    client = Answering(None)
    to = TemporalMessages(client)  # type: ignore[arg-type]
    for send in [UPDATES["withdraw"], *SIGNALS.values()]:
        await send(to)
    assert client.sent == [
        ("credit-application/acme/app_1", "withdraw"),
        ("credit-application/acme/app_1", "identity_concluded"),
        ("kyc/acme/zelda", "verification_answered"),
        ("settlement/acme/app_1", "settlement_observed"),
        ("kyc/acme/zelda", "information_provided"),
        ("notice/acme/app_1", "notice_handed_over"),
    ]


class Away(Answering):
    """A client of a server that does not answer; how often it was asked whether it is there."""

    asked = 0

    async def check_health(self, *, timeout: timedelta) -> bool:
        self.asked += 1
        assert timeout <= timedelta(seconds=1)
        raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")


async def test_an_update_does_not_wait_for_a_server_that_is_away() -> None:
    client: Any = Away(None)
    to = TemporalMessages(client)
    for times in (1, 2):
        with pytest.raises(Unavailable, match="TEMPORAL_UNAVAILABLE"):
            await to.withdraw(REF, Withdrawal("zelda"), "u1")
        assert client.asked == times
    assert client.sent == []
