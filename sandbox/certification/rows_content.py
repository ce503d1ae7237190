"""What an adapter makes of answers that are well-formed and wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from adapters.chain import eip712
from models.domain.errors import Permanent
from models.domain.offer import LoanTerms
from models.domain.rates import apr_bps
from sandbox.certification.faults import rewritten
from sandbox.certification.rehearsal import Document, Fields, Step
from sandbox.certification.row import Part, Row
from sandbox.certification.trial import TENANT, Trial, require

_FOREIGN_KEY: Final = "0x" + "4d" * 32
_FOREIGN: Final = eip712.address_of(_FOREIGN_KEY)
_UNBELIEVED: Final = frozenset({"TERMS_INVALID", "MALFORMED_RESPONSE"})
_CHANGED: Final = frozenset({"TERMS_CHANGED"})
_BIG: Final = frozenset({"principal", "total_repayable", "nonce", "deadline"})
_TERMS: Final = tuple(LoanTerms.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Lie:
    """One thing wrong with every quote of an answer; the rest agrees with it, hash included."""

    name: str
    change: Callable[[Fields], None]
    expected: str = "Permanent TERMS_INVALID"
    codes: frozenset[str] = _UNBELIEVED

    async def run(self, trial: Trial) -> str:
        """Ask for quotes; not one of them may be believed."""
        provider = trial.open()
        await trial.given(provider.connect())
        trial.rewrite_at(Step.QUOTE, self._told)
        refused = await trial.refused(provider.get_offers(trial.request), Permanent, self.codes)
        return refused.told()

    def _told(self, document: Document) -> None:
        for quote in document.quotes():
            self.change(quote)


def _rehashed(quote: Fields, **terms: str | int) -> None:
    """Other terms, and the hash that is theirs."""
    for name, value in terms.items():
        quote.set(f"terms.{name}", value)
    stated: dict[str, Any] = {name: quote.get(f"terms.{name}") for name in _TERMS}
    for name in (*_BIG, "apr_bps", "term_months"):
        stated[name] = int(stated[name])
    quote.set("terms_hash", eip712.terms_hash(LoanTerms(**stated)))


def _wrong_currency(quote: Fields) -> None:
    quote.set("currency", "EUR")


def _wrong_amount(quote: Fields) -> None:
    """A cent more than was asked for: 10^4 units of the token."""
    quote.set("amount_minor", int(quote.get("amount_minor")) + 1)
    _rehashed(quote, principal=int(quote.get("terms.principal")) + 10_000)


def _wrong_term(quote: Fields) -> None:
    """Half a year longer, at the same payment, reckoned rightly."""
    months = int(quote.get("term_months")) + 6
    payment = int(quote.get("monthly_payment_minor"))
    apr = apr_bps(int(quote.get("amount_minor")), [payment] * months)
    quote.set("term_months", months)
    quote.set("total_repayable_minor", payment * months)
    quote.set("apr_bps", apr)
    total = payment * months * 10_000
    _rehashed(quote, term_months=months, total_repayable=total, apr_bps=apr)


def _understated_apr(quote: Fields) -> None:
    """One percent less than the payments come to."""
    apr = int(quote.get("apr_bps")) - 100
    quote.set("apr_bps", apr)
    quote.set("nominal_rate_bps", min(apr, int(quote.get("nominal_rate_bps"))))
    _rehashed(quote, apr_bps=apr)


def _hidden_cost(quote: Fields) -> None:
    """The headline as before; the terms that would be signed cost a hundredth more."""
    _rehashed(quote, total_repayable=int(quote.get("terms.total_repayable")) * 101 // 100)


def _wrong_hash(quote: Fields) -> None:
    stated = str(quote.get("terms_hash"))
    quote.set("terms_hash", stated[:-1] + ("0" if stated[-1] != "0" else "1"))


def _foreign_lender(quote: Fields) -> None:
    _rehashed(quote, lender=_FOREIGN)


def _another_loan(quote: Fields) -> None:
    _rehashed(quote, loan_reference="0x" + "cd" * 32)


def _another_borrower(quote: Fields) -> None:
    _rehashed(quote, borrower=_FOREIGN)


def _expired(quote: Fields) -> None:
    past = datetime.now(UTC) - timedelta(minutes=5)
    quote.set("expires_at", past.isoformat(timespec="milliseconds"))


LIES: Final = (
    Lie("wrong-currency", _wrong_currency),
    Lie("wrong-amount", _wrong_amount),
    Lie("wrong-term", _wrong_term),
    Lie("understated-apr", _understated_apr),
    Lie("changed-terms", _hidden_cost),
    Lie("terms-hash-mismatch", _wrong_hash),
    Lie("foreign-lender", _foreign_lender),
    Lie("another-loan", _another_loan),
    Lie("another-borrower", _another_borrower),
    # By its own code: the lender repeats what it said, and a new round has another answer.
    Lie("expired-quote", _expired, "Permanent QUOTE_EXPIRED", frozenset({"QUOTE_EXPIRED"})),
)


async def duplicate_offers(trial: Trial) -> str:
    """An offer listed twice is one offer, or an answer nobody believes."""
    provider = trial.open()
    await trial.given(provider.connect())
    trial.rewrite_at(Step.QUOTE, lambda document: document.listed_again(lambda _: None))
    outcome = await trial.watch(provider.get_offers(trial.request))
    if isinstance(outcome.error, Permanent):
        require(outcome.error.code in _UNBELIEVED, outcome.told())
        return outcome.told()
    require(outcome.error is None and bool(outcome.answer), outcome.told())
    # What the adapter itself lists; its guard would have merged them.
    [own] = outcome.own
    ids = [quote.quote_id for quote in own.answer]
    require(len(set(ids)) == len(ids), f"{len(ids)} offers, of which {len(set(ids))} differ")
    return f"{len(ids)} offers, each once"


async def contradicting_offers(trial: Trial) -> str:
    """One offer that says two things is believed in neither."""
    provider = trial.open()
    await trial.given(provider.connect())

    def dearer(quote: Fields) -> None:
        quote.set("fee_minor", int(quote.get("fee_minor")) + 1)

    trial.rewrite_at(Step.QUOTE, lambda document: document.listed_again(dearer))
    refused = await trial.refused(provider.get_offers(trial.request), Permanent, _UNBELIEVED)
    return refused.told()


async def confirmed_other_terms(trial: Trial) -> str:
    """What the lender confirms is not what it quoted."""
    return await _confirmation_refused(trial, "terms_hash", "0x" + "ef" * 32)


async def confirmed_other_quote(trial: Trial) -> str:
    """What the lender confirms is another quote."""
    return await _confirmation_refused(trial, "quote_id", "another_quote")


async def _confirmation_refused(trial: Trial, name: str, value: str) -> str:
    provider, quote = await trial.quoted()
    trial.rewrite_at(Step.ACCEPT, lambda document: document.confirmation().set(name, value))
    call = provider.accept_offer(
        TENANT, trial.request.application_id, quote, trial.acceptance(quote)
    )
    return (await trial.refused(call, Permanent, _CHANGED)).told()


async def forged_signature(trial: Trial) -> str:
    """A signature over the right terms by somebody else is no confirmation to the platform."""
    provider, quote = await trial.quoted()
    venue = trial.ground.stage.venue
    forged = eip712.sign_terms(quote.terms, venue.chain_id, venue.aggregator, _FOREIGN_KEY)
    trial.rewrite_at(
        Step.ACCEPT, lambda document: document.confirmation().set("lender_signature", forged)
    )
    outcome = await trial.watch(
        provider.accept_offer(TENANT, trial.request.application_id, quote, trial.acceptance(quote))
    )
    if outcome.error is not None:
        require(isinstance(outcome.error, Permanent), outcome.told())
        return outcome.told()
    assert outcome.answer is not None
    require(outcome.answer.lender_signature == forged, "another signature than the lender sent")
    genuine = await trial.ground.stage.signed(quote.terms, outcome.answer.lender_signature)
    require(not genuine, "somebody else's signature passes for the lender's")
    return "passed on as it came, and refused by the check before settlement"


def _refusal(code: str) -> Callable[[Trial], Any]:
    async def run(trial: Trial) -> str:
        provider, quote = await trial.quoted()
        trial.break_at(Step.ACCEPT, rewritten(lambda _: trial.ground.rehearsal.refusals[code]))
        call = provider.accept_offer(
            TENANT, trial.request.application_id, quote, trial.acceptance(quote)
        )
        return (await trial.refused(call, Permanent, frozenset({code}))).told()

    return run


async def terms_changed_at_accept(trial: Trial) -> str:
    """Terms changed between quote and acceptance: the lender never quoted what is accepted."""
    provider, quote = await trial.quoted()
    changed = replace(quote, terms_hash="0x" + "ab" * 32)
    call = provider.accept_offer(
        TENANT, trial.request.application_id, changed, trial.acceptance(changed)
    )
    refused = await trial.refused(call, Permanent, _CHANGED)
    require(trial.effects() == 0, f"the lender signed {trial.effects()} times")
    return refused.told()


ROWS: Final = (
    *(Row(lie.name, Part.CONTENT, lie.expected, lie.run) for lie in LIES),
    Row(
        "duplicate-offers", Part.CONTENT, "each offer once, or MALFORMED_RESPONSE", duplicate_offers
    ),
    Row("contradicting-offers", Part.CONTENT, "Permanent, neither believed", contradicting_offers),
    Row(
        "quote-expired-at-accept",
        Part.CONTENT,
        "Permanent QUOTE_EXPIRED",
        _refusal("QUOTE_EXPIRED"),
    ),
    Row(
        "terms-refused-at-accept",
        Part.CONTENT,
        "Permanent TERMS_CHANGED",
        _refusal("TERMS_CHANGED"),
    ),
    Row(
        "changed-terms-at-accept",
        Part.CONTENT,
        "Permanent TERMS_CHANGED, nothing signed",
        terms_changed_at_accept,
    ),
    Row("other-terms-confirmed", Part.CONTENT, "Permanent TERMS_CHANGED", confirmed_other_terms),
    Row("other-quote-confirmed", Part.CONTENT, "Permanent TERMS_CHANGED", confirmed_other_quote),
    Row("forged-signature", Part.CONTENT, "never taken for the lender's", forged_signature),
)
