"""What an adapter makes of a line, or a server, that fails."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from adapters.http import BUSY, MALFORMED_RESPONSE, UNREACHABLE
from adapters.providers.guard import DEADLINE_EXCEEDED
from models.domain.errors import CreditError, Permanent, Transient
from models.domain.offer import LenderConfirmation
from sandbox.certification import faults
from sandbox.certification.rehearsal import Step
from sandbox.certification.row import Part, Row
from sandbox.certification.trial import TENANT, Options, Outcome, Trial, require
from sandbox.certification.wire import Fault, Passing, Reply

_LATE: Final = frozenset({UNREACHABLE, DEADLINE_EXCEEDED})
_GONE: Final = frozenset({UNREACHABLE})
_MALFORMED: Final = frozenset({MALFORMED_RESPONSE})
_REFUSED: Final = frozenset({"PROVIDER_REFUSED"})


@dataclass(frozen=True, slots=True)
class WireFault:
    """A fault at the request for quotes, and the error it has to become.

    `hurried` faults never end by themselves in time: only the deadline ends them.
    """

    name: str
    fault: Callable[[Options], Fault]
    kind: type[CreditError]
    codes: frozenset[str]
    hurried: bool = False
    weighed: bool = False

    @property
    def expected(self) -> str:
        """In words."""
        within = ", within the deadline" if self.hurried else ""
        bounded = ", memory bounded" if self.weighed else ""
        return f"{self.kind.__name__} {' or '.join(sorted(self.codes))}{within}{bounded}"

    async def run(self, trial: Trial) -> str:
        """Connect while all is well, then ask for quotes; a fault is met once, never retried."""
        provider = trial.open(deadline_s=trial.options.deadline_s if self.hurried else None)
        # On a busy machine even a healthy connection may miss a short deadline; then it is the
        # request for quotes that connects.
        await trial.watch(provider.connect())
        trial.break_at(Step.QUOTE, self.fault(trial.options))
        within_s = trial.options.deadline_s if self.hurried else None
        call = provider.get_offers(trial.request)
        refused = await trial.refused(call, self.kind, self.codes, within_s)
        require(trial.line.faulted <= 1, f"asked {trial.line.faulted} times by itself")
        return refused.told()


FAULTS: Final = (
    WireFault("slow", lambda o: faults.slow(o.fault_s), Transient, _LATE, hurried=True),
    WireFault("silent", lambda o: faults.silent(o.fault_s), Transient, _LATE, hurried=True),
    WireFault(
        "drip-fed", lambda o: faults.dripping(o.fault_s, 0.05), Transient, _LATE, hurried=True
    ),
    WireFault("truncated", lambda _: faults.truncated(), Transient, _GONE),
    WireFault("connection-reset", lambda _: faults.reset(), Transient, _GONE),
    WireFault("error-500", lambda _: faults.status(500), Transient, frozenset({BUSY})),
    WireFault("error-503", lambda _: faults.status(503), Transient, frozenset({BUSY})),
    WireFault("malformed", lambda _: faults.malformed(), Permanent, _MALFORMED),
    WireFault("another-shape", lambda _: faults.of_another_shape(), Permanent, _MALFORMED),
    WireFault("web-page", lambda _: faults.of_another_type(), Permanent, _MALFORMED),
    WireFault("refused-400", lambda _: faults.status(400), Permanent, _REFUSED),
    WireFault("huge", lambda o: faults.huge(o.huge_bytes), Permanent, _MALFORMED, weighed=True),
    WireFault(
        "compressed-bomb", lambda o: faults.bomb(o.huge_bytes), Permanent, _MALFORMED, weighed=True
    ),
)


async def busy_429(trial: Trial) -> str:
    """The lender's own advice when to come back is kept."""
    provider = trial.open()
    await trial.given(provider.connect())
    trial.break_at(Step.QUOTE, faults.status(429, retry_after=str(faults.RETRY_AFTER_S)))
    refused = await trial.refused(provider.get_offers(trial.request), Transient, frozenset({BUSY}))
    require(trial.line.faulted <= 1, f"asked {trial.line.faulted} times by itself")
    advice = getattr(refused.error, "retry_after_s", None)
    require(advice == faults.RETRY_AFTER_S, f"{refused.told()}, its Retry-After forgotten")
    return f"{refused.told()}, again in {advice} s"


async def unreachable(trial: Trial) -> str:
    """Nobody listens at the lender's address."""
    provider = trial.open()
    trial.line.cut()
    refused = await trial.refused(provider.get_offers(trial.request), Transient, _GONE)
    return refused.told()


async def answered_twice(trial: Trial) -> str:
    """An answer that comes twice is never taken for the answer to what is asked next."""
    provider = trial.open()
    await trial.given(provider.connect())
    trial.break_at(Step.QUOTE, faults.twice(trial.options.fault_s))
    first = await trial.given(provider.get_offers(trial.request))
    trial.line.mend()
    outcome = await trial.watch(provider.get_offers(trial.another_request()))
    if outcome.error is not None:
        require(isinstance(outcome.error, Transient), outcome.told())
        return outcome.told()
    former = {quote.quote_id for quote in first}
    new = {quote.quote_id for quote in outcome.answer or ()}
    require(bool(new) and former.isdisjoint(new), "the former answer is taken for the next one")
    return "the next question got an answer of its own"


async def redirected(trial: Trial) -> str:
    """Nothing, credentials least of all, is sent to where a redirect points."""
    provider, elsewhere = trial.open(), trial.another_line()
    await trial.given(provider.connect())
    trial.break_at(Step.QUOTE, faults.redirect(elsewhere.url))
    outcome = await trial.watch(provider.get_offers(trial.request))
    require(not elsewhere.asked, "followed, credentials and all")
    require(isinstance(outcome.error, Permanent), outcome.told())
    return outcome.told()


async def echoed(trial: Trial) -> str:
    """A refusal that quotes our own credentials: the error says so in no word of it."""

    async def fault(passing: Passing) -> None:
        quoted = {
            "code": "BAD_REQUEST",
            "message": f"headers {dict(passing.asked.headers)}",
            "credentials": dict(trial.ground.stage.credentials),
        }
        await passing.answer(Reply(400, json.dumps(quoted).encode()))

    provider = trial.open()
    await trial.given(provider.connect())
    trial.break_at(Step.QUOTE, fault)
    refused = await trial.refused(provider.get_offers(trial.request), Permanent, _REFUSED)
    error = refused.error
    said = f"{error} {error!r} {getattr(error, 'detail', '')}"
    require(not any(secret in said for secret in trial.secrets()), "the error quotes a secret")
    return refused.told()


async def reply_lost(trial: Trial) -> str:
    """The lender signed, its answer never came: asked again, the same, and nothing twice."""
    return await _accepted_after(
        trial, faults.swallowed(trial.options.fault_s), _LATE, hurried=True
    )


async def reply_cut(trial: Trial) -> str:
    """The lender signed, its answer broke off."""
    return await _accepted_after(trial, faults.truncated(), _GONE)


async def reply_spoiled(trial: Trial) -> str:
    """The lender signed, a gateway before it answered 502."""
    fault = faults.rewritten(lambda _: Reply(502, b"Bad Gateway", {"content-type": "text/html"}))
    return await _accepted_after(trial, fault, frozenset({BUSY}))


async def _accepted_after(
    trial: Trial, fault: Fault, codes: frozenset[str], *, hurried: bool = False
) -> str:
    """Accept with the answer lost, then again by another process, as Temporal's retry would be."""
    _, quote = await trial.quoted()
    acceptance, application_id = trial.acceptance(quote), trial.request.application_id

    def accepting(deadline_s: float | None) -> Awaitable[LenderConfirmation]:
        provider = trial.open(deadline_s=deadline_s)
        return provider.accept_offer(TENANT, application_id, quote, acceptance)

    trial.break_at(Step.ACCEPT, fault)
    # A deadline that a busy machine misses before the lender is even asked would show nothing.
    for patience in (1, 4, 12):
        deadline_s = patience * trial.options.deadline_s if hurried else None
        first: Outcome[Any] = await trial.refused(
            accepting(deadline_s), Transient, codes, deadline_s
        )
        if trial.line.faulted:
            break
    require(trial.line.faulted > 0, "the lender was never asked")
    require(trial.line.faulted <= 1, f"asked {trial.line.faulted} times by itself")
    trial.line.mend()
    confirmed = await trial.given(accepting(None))
    again = await trial.given(accepting(None))
    require(confirmed == again, "another confirmation at every repetition")
    require(trial.effects() == 1, f"the lender signed {trial.effects()} times")
    genuine = await trial.ground.stage.signed(quote.terms, confirmed.lender_signature)
    require(genuine, "not the lender's signature over the quoted terms")
    return f"{first.told()}, then the one confirmation"


_LOST: Final = "Transient, then the one confirmation, signed once"

ROWS: Final = (
    *(Row(f.name, Part.WIRE, f.expected, f.run, f.weighed) for f in FAULTS),
    Row("busy-429", Part.WIRE, "Transient UPSTREAM_BUSY with the Retry-After", busy_429),
    Row("answer-twice", Part.WIRE, "the second belongs to no question", answered_twice),
    Row("unreachable", Part.WIRE, "Transient UPSTREAM_UNREACHABLE", unreachable),
    Row("redirect", Part.WIRE, "Permanent, and not followed", redirected),
    Row("credentials-echoed", Part.WIRE, "Permanent PROVIDER_REFUSED, no secret in it", echoed),
    Row("accept-without-reply", Part.WIRE, _LOST, reply_lost),
    Row("accept-truncated", Part.WIRE, _LOST, reply_cut),
    Row("accept-gateway-error", Part.WIRE, _LOST, reply_spoiled),
)
