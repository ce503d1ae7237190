"""The stories whose histories are recorded: every persona's, and every other way to go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Final

from models.domain.application import ApplicationRef, State
from models.domain.decision import Outcome
from models.domain.errors import Transient
from models.domain.kyc import VendorVerdict, VerificationRequest
from models.domain.notice import NoticeHandedOver
from models.domain.offer import SearchAgain
from tests.workflows.cast import (
    BrokenScorer,
    PromptVendor,
    RefusedLetters,
    Reopening,
    Rules,
    UnsureVendor,
)
from tests.workflows.lenders_and_chains import (
    AwayAtFirst,
    ChangedTerms,
    ChangesTermsOnce,
    ForgetfulWatcher,
    OneLender,
    OvertakenChain,
    Quoting,
    RefusingLender,
)
from tests.workflows.people import (
    answer,
    identity_under_review,
    under_review,
    withdraw,
)
from tests.workflows.slow_cast import SlowScorer, SlowToSign
from tests.workflows.world import World, eventually


class StumblingVendor(PromptVendor):
    """Out of order for the first two submissions."""

    async def answer(self, request: VerificationRequest) -> None:
        if len(self.requests) < 3:
            raise Transient("VENDOR_DOWN")
        await super().answer(request)


class BriefLender(OneLender):
    """An offer for seconds, so that it can be waited out."""

    open_for = timedelta(seconds=3)


async def accept_offer(world: World, application: ApplicationRef) -> ApplicationRef:
    """Accept the best offer once there is one; the workflow may learn of it a moment later."""

    async def offered() -> bool:
        return application.application_id in world.lender.books

    await eventually(offered)
    await world.accept(application)
    return application


async def accepted(world: World) -> ApplicationRef:
    """Apply, wait for offers, accept the best."""
    return await accept_offer(world, await world.offered(await world.apply()))


async def waited_for_lenders(world: World) -> ApplicationRef:
    """Accept what lenders offer when they are asked the second time."""
    application = await world.apply()
    await world.until_event(world.application(application), "TIMER_STARTED", times=2)
    return await accept_offer(world, application)


async def accepted_twice(world: World) -> ApplicationRef:
    """Accept, and accept again what is offered instead."""
    application = await accepted(world)
    await world.until_event(world.application(application), "TIMER_STARTED", times=2)
    await world.accept(application)
    return application


async def asked_again(world: World) -> ApplicationRef:
    """Have lenders asked once more before accepting."""
    application = await world.offered(await world.apply())
    await world.messages.search_again(application, SearchAgain(2, application.user_id))
    await world.accept(application)
    return application


async def refused(world: World) -> ApplicationRef:
    """Apply, and be refused without being asked anything."""
    return await world.apply()


async def forgotten(world: World) -> ApplicationRef:
    """Apply, and never accept."""
    return await world.offered(await world.apply())


async def forgotten_for_a_year(world: World) -> ApplicationRef:
    """Apply, never accept, and never come back."""
    application = await forgotten(world)
    await world.outcome_in_time(application)
    async with world.skipping():
        await world.kyc().result()
    return application


async def changed_mind(world: World) -> ApplicationRef:
    """Withdraw at the sight of the offers."""
    application = await world.offered(await world.apply())
    await withdraw(world, application)
    return application


async def cancelled(world: World) -> ApplicationRef:
    """An operator cancels in the Web UI."""
    application = await world.offered(await world.apply())
    await world.application(application).cancel()
    return application


async def changed_mind_early(world: World) -> ApplicationRef:
    """Withdraw while the risk is being scored."""
    assert isinstance(world.scorer, SlowScorer)
    application = await world.apply()
    await world.scorer.asked.wait()
    await withdraw(world, application)
    return application


async def changed_mind_late(world: World) -> ApplicationRef:
    """Withdraw after accepting, before anything is signed."""
    assert isinstance(world.chain, SlowToSign)
    application = await accepted(world)
    await world.chain.asked.wait()
    await withdraw(world, application)
    world.chain.may_sign.set()
    return application


async def known_already(world: World) -> ApplicationRef:
    """Withdraw, apply again, and accept: nobody is verified twice."""
    await world.outcome(await changed_mind(world))
    return await accepted(world)


async def approved(world: World) -> ApplicationRef:
    """A named person approves; then accept."""
    application, officer = await under_review(world)
    await officer.approve()
    return await accept_offer(world, application)


async def approved_by_two(world: World) -> ApplicationRef:
    """Two named persons approve, to each of whom the review is given in turn; then accept."""
    application, officer = await under_review(world)
    for name in ("carl", "cora"):
        await officer.assign(name)
        await officer.named(name).approve()
    return await accept_offer(world, application)


async def rejected(world: World) -> ApplicationRef:
    """A named person rejects."""
    application, officer = await under_review(world)
    await officer.reject()
    return application


async def asked_and_answered(world: World) -> ApplicationRef:
    """The applicant is asked for payslips, sends them, and is approved."""
    application, officer = await under_review(world)
    await officer.ask("inf_1")
    await answer(world, officer.workflow_id, "inf_1")
    await world.until_event(world.application(application), "TIMER_STARTED", times=3)
    await officer.approve()
    return await accept_offer(world, application)


async def asked_in_vain(world: World) -> ApplicationRef:
    """The applicant is asked for payslips and never sends them."""
    application, officer = await under_review(world)
    await officer.ask("inf_1")
    return application


async def not_reviewed(world: World) -> ApplicationRef:
    """Nobody decides."""
    application, _ = await under_review(world)
    return application


async def identity_approved(world: World) -> ApplicationRef:
    """A named person decides about unclear evidence; then accept."""
    application, officer = await identity_under_review(world)
    await officer.approve()
    return await accept_offer(world, application)


async def document_sent_again(world: World) -> ApplicationRef:
    """A blurred document is replaced by a clear one; then accept."""
    application, officer = await identity_under_review(world)
    await officer.ask("inf_1")
    world.vendor.verdict = VendorVerdict.CLEAR
    await answer(world, officer.workflow_id, "inf_1", new_document=True)
    return await accept_offer(world, application)


async def handed_over(world: World) -> ApplicationRef:
    """The mail house refuses the letter; a named person delivers it."""
    application = await world.apply()
    await world.until_event(world.workflows_of(application)["notice"], "TIMER_STARTED")
    await world.messages.tell_notice(
        application.tenant_id,
        application.application_id,
        NoticeHandedOver("olga", "by courier"),
    )
    return application


@dataclass(frozen=True)
class Story:
    """What happens, who plays, how the application ends; days are skipped where they pass."""

    about: str
    play: Callable[[World], Awaitable[ApplicationRef]]
    ends: State
    cast: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    days_pass: bool = False


_CREDIT_REVIEW = {"rules": partial(Rules, credit=Outcome.REVIEW)}
_DECLINE = {"rules": partial(Rules, credit=Outcome.DECLINE)}
_ENHANCED = {"rules": partial(Rules, eligibility=Outcome.ENHANCED_DUE_DILIGENCE)}

# One for every persona of the sandbox, under its name.
PERSONAS: Final[dict[str, Story]] = {
    "approved": Story("straight through", accepted, State.FUNDED),
    "declined": Story(
        "the credit rules decline, a letter says why", refused, State.DECLINED, _DECLINE
    ),
    "needs_review": Story(
        "the credit rules refer, a named person approves", approved, State.FUNDED, _CREDIT_REVIEW
    ),
    "sanctioned": Story(
        "the eligibility rules block, before anything is bought",
        refused,
        State.BLOCKED,
        {"rules": partial(Rules, eligibility=Outcome.BLOCK)},
    ),
    "thin_file": Story(
        "a named person asks for payslips, gets them and approves",
        asked_and_answered,
        State.FUNDED,
        _CREDIT_REVIEW,
    ),
    "verified_before": Story(
        "an earlier application was withdrawn; this one finds the person verified",
        known_already,
        State.FUNDED,
    ),
    "vendor_down": Story(
        "the identity vendor fails twice before it answers",
        accepted,
        State.FUNDED,
        {"vendor": StumblingVendor},
    ),
    "bureau_down": Story(
        "the credit rules refer for want of evidence, a named person rejects",
        rejected,
        State.REJECTED,
        _CREDIT_REVIEW,
    ),
    "expired_offer": Story(
        "nobody accepts in time", forgotten, State.EXPIRED, {"lender": BriefLender}
    ),
    "withdrawn": Story("withdrawn at the sight of the offers", changed_mind, State.WITHDRAWN),
    "changed_terms": Story(
        "the lender confirms other terms, and again: nothing is signed",
        accepted_twice,
        State.EXPIRED,
        {"lender": Quoting, "chain": ChangedTerms, "books": partial(Reopening, times=1)},
    ),
    "requoted": Story(
        "the lender confirms other terms; the next offer is paid",
        accepted_twice,
        State.FUNDED,
        {"lender": Quoting, "chain": ChangesTermsOnce, "books": Reopening},
    ),
    "enhanced_due_diligence": Story(
        "two named persons approve, one after the other", approved_by_two, State.FUNDED, _ENHANCED
    ),
}

OTHERS: Final[dict[str, Story]] = {
    "lenders_away": Story(
        "nobody answers the first time; asked again, they offer",
        waited_for_lenders,
        State.FUNDED,
        {"lender": partial(AwayAtFirst, times=1)},
    ),
    "asked_again": Story(
        "the applicant has lenders asked once more", asked_again, State.FUNDED, {"lender": Quoting}
    ),
    "identity_review": Story(
        "unclear evidence, approved by a named person",
        identity_approved,
        State.FUNDED,
        {"vendor": UnsureVendor},
    ),
    "document_sent_again": Story(
        "a blurred document is replaced, and the vendor asked anew",
        document_sent_again,
        State.FUNDED,
        {"vendor": UnsureVendor},
    ),
    "withdrawn_while_scoring": Story(
        "the scoring is cancelled, nobody is referred",
        changed_mind_early,
        State.WITHDRAWN,
        {"scorer": SlowScorer},
    ),
    "withdrawn_while_settling": Story(
        "accepted, but nothing was signed yet",
        changed_mind_late,
        State.WITHDRAWN,
        {"chain": SlowToSign},
    ),
    "cancelled": Story("an operator cancels in the Web UI", cancelled, State.WITHDRAWN),
    "failed_settlement": Story(
        "the lender refuses for good before anything is signed",
        accepted,
        State.REJECTED,
        {"chain": RefusingLender},
    ),
    "overtaken_settlement": Story(
        "somebody else relayed the signatures: the loan is booked with their transaction",
        accepted,
        State.FUNDED,
        {"chain": OvertakenChain},
    ),
    "letter_handed_over": Story(
        "the mail house refuses the letter, a named person delivers it",
        handed_over,
        State.DECLINED,
        {**_DECLINE, "books": RefusedLetters},
    ),
    "letter_overdue": Story(
        "nobody delivers the letter within thirty days",
        refused,
        State.DECLINED,
        {**_DECLINE, "books": RefusedLetters},
        days_pass=True,
    ),
    "lost_finality_signal": Story(
        "nobody tells of finality; the settlement looks for itself",
        accepted,
        State.FUNDED,
        {"chain": ForgetfulWatcher},
        days_pass=True,
    ),
    "undecided_review": Story(
        "nobody decides within a week", not_reviewed, State.EXPIRED, _CREDIT_REVIEW, days_pass=True
    ),
    "unanswered_question": Story(
        "the applicant does not answer within two weeks",
        asked_in_vain,
        State.EXPIRED,
        _CREDIT_REVIEW,
        days_pass=True,
    ),
    "unscored": Story(
        "nothing could be scored within the hour: referred, and declined by the rules",
        refused,
        State.DECLINED,
        {**_DECLINE, "scorer": BrokenScorer},
        days_pass=True,
    ),
    "expired_verification": Story(
        "nobody accepts; a year later the verification ends",
        forgotten_for_a_year,
        State.EXPIRED,
        days_pass=True,
    ),
}

STORIES: Final = PERSONAS | OTHERS
