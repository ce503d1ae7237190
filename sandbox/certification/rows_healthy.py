"""What an adapter does while its lender does what was agreed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from adapters.chain import eip712
from models.domain.errors import CreditError
from models.domain.money import Money, to_token_units
from models.domain.offer import Quote, QuoteRequest
from models.domain.provider import ProviderStatus
from models.domain.rates import apr_bps
from sandbox.certification.faults import rewritten, silent
from sandbox.certification.row import Part, Row
from sandbox.certification.trial import PROVIDER_ID, TENANT, Trial, require

_UNKNOWN: Final = "not-the-secret-that-was-agreed"


async def connects(trial: Trial) -> str:
    """Connecting works, and again."""
    provider = trial.open()
    await trial.given(provider.connect())
    await trial.given(provider.connect())
    return "connected"


async def offers_match(trial: Trial) -> str:
    """Every offer is for what was asked, bound to it by its terms."""
    provider = trial.open()
    await trial.given(provider.connect())
    quotes = await trial.given(provider.get_offers(trial.request))
    require(bool(quotes), "no offer for a loan the lender wants")
    for quote in quotes:
        wrong = _mismatch(quote, trial.request)
        require(wrong is None, f"{wrong} of an offer is not what was asked for")
    return f"{len(quotes)} offers, each for what was asked"


async def offers_repeat(trial: Trial) -> str:
    """The same question gets the same offers, whoever asks."""
    first = await trial.given(trial.open().get_offers(trial.request))
    again = await trial.given(trial.open().get_offers(trial.request))
    require(bool(first) and first == again, "other offers when asked again")
    return f"the same {len(first)} offers"


async def offers_anew(trial: Trial) -> str:
    """A new round of the same application gets new offers, beside those of the round before."""
    provider = trial.open()
    first = await trial.given(provider.get_offers(trial.request))
    second = await trial.given(provider.get_offers(replace(trial.request, round=2)))
    before = {quote.quote_id for quote in first}
    require(bool(second), "no offers in the second round")
    require(before.isdisjoint(q.quote_id for q in second), "the first round's offers once more")
    return f"{len(second)} new offers"


async def declines(trial: Trial) -> str:
    """A lender's no is no offer, and no error."""
    unwanted = replace(trial.request, **trial.ground.rehearsal.unwanted)
    quotes = await trial.given(trial.open().get_offers(unwanted))
    require(quotes == (), f"{len(quotes)} offers for a loan the lender declines")
    return "no offers"


async def appetite_honoured(trial: Trial) -> str:
    """At both ends of what the manifest claims, the lender understands what it is asked."""
    appetite = trial.ground.plugin.manifest.appetite
    request = trial.request
    asked = (
        replace(request, amount_minor=appetite.min_amount_minor, round=2),
        replace(request, amount_minor=appetite.max_amount_minor, round=3),
        replace(request, term_months=appetite.min_term_months, round=4),
        replace(request, term_months=appetite.max_term_months, round=5),
    )
    provider, count = trial.open(), 0
    for each in asked:
        quotes = await trial.given(provider.get_offers(each))
        wrong = next(filter(None, (_mismatch(quote, each) for quote in quotes)), None)
        require(wrong is None, f"{wrong} of an offer is not what was asked for")
        count += len(quotes)
    return f"understood at both ends, {count} offers"


async def unknown_risk(trial: Trial) -> str:
    """Without a score and a probability, the lender is told none and says what it likes."""
    unscored = replace(trial.request, score=None, pd=None)
    quotes = await trial.given(trial.open().get_offers(unscored))
    return f"{len(quotes)} offers"


async def accepts(trial: Trial) -> str:
    """The lender's signature over exactly the quoted terms."""
    provider, quote = await trial.quoted()
    confirmed = await trial.given(
        provider.accept_offer(TENANT, trial.request.application_id, quote, trial.acceptance(quote))
    )
    require(confirmed.quote_id == quote.quote_id, "another quote is confirmed")
    require(confirmed.terms_hash == quote.terms_hash, "other terms are confirmed")
    genuine = await trial.ground.stage.signed(quote.terms, confirmed.lender_signature)
    require(genuine, "not the lender's signature over the quoted terms")
    require(trial.effects() == 1, f"the lender signed {trial.effects()} times")
    return "signed by the lender, once"


async def accepts_once(trial: Trial) -> str:
    """Accepting again, at once and later and by another process, changes nothing."""
    provider, quote = await trial.quoted()
    acceptance, application_id = trial.acceptance(quote), trial.request.application_id
    outcomes = await asyncio.gather(
        *(
            trial.watch(each.accept_offer(TENANT, application_id, quote, acceptance))
            for each in (provider, provider, trial.open(), trial.open())
        )
    )
    failed = next((each for each in outcomes if each.error is not None), None)
    require(failed is None, failed.told() if failed else "")
    signatures = {each.answer.lender_signature for each in outcomes if each.answer}
    require(len(signatures) == 1, f"{len(signatures)} different confirmations")
    require(trial.effects() == 1, f"the lender signed {trial.effects()} times")
    return "one confirmation, signed once"


async def status_active(trial: Trial) -> str:
    """A lender that answers is ACTIVE."""
    provider = trial.open()
    await trial.given(provider.connect())
    status = await trial.given(provider.get_status())
    require(status is ProviderStatus.ACTIVE, f"{status}")
    return f"{status}"


async def status_down(trial: Trial) -> str:
    """A lender that cannot be reached is INACTIVE, and that is no error."""
    provider = trial.open()
    trial.line.cut()
    status = await trial.given(provider.get_status())
    require(status is ProviderStatus.INACTIVE, f"{status}")
    return f"{status}"


async def status_maintenance(trial: Trial) -> str:
    """A lender that says it is away on purpose is in MAINTENANCE."""
    provider = trial.open()
    trial.line.break_with(rewritten(lambda _: trial.ground.rehearsal.maintenance))
    status = await trial.given(provider.get_status())
    require(status is ProviderStatus.MAINTENANCE, f"{status}")
    return f"{status}"


async def status_silent(trial: Trial) -> str:
    """A lender that does not answer is INACTIVE within the deadline."""
    provider = trial.open(deadline_s=trial.options.deadline_s)
    trial.line.break_with(silent(trial.options.fault_s))
    outcome = await trial.watch(provider.get_status(), trial.options.deadline_s)
    require(outcome.answer is ProviderStatus.INACTIVE, outcome.told())
    return f"INACTIVE after {outcome.elapsed_s * 1000:.0f} ms"


async def disconnects(trial: Trial) -> str:
    """Disconnecting never fails, not even twice or from a lender that is gone; one comes back."""
    provider = trial.open()
    await trial.given(provider.disconnect())
    await trial.given(provider.connect())
    await trial.given(provider.disconnect())
    await trial.given(provider.disconnect())
    await trial.given(provider.get_offers(trial.request))
    trial.line.cut()
    await trial.given(provider.disconnect())
    return "disconnected, connected again, disconnected"


async def credentials_refused(trial: Trial) -> str:
    """Credentials the lender does not know are nobody's refusal of a loan."""
    wrong = dict.fromkeys(trial.ground.stage.credentials, _UNKNOWN)
    provider = trial.open(credentials=wrong)
    refused = await trial.refused(
        provider.get_offers(trial.request), CreditError, frozenset({"CREDENTIALS_REFUSED"})
    )
    return refused.told()


def _mismatch(quote: Quote, asked: QuoteRequest) -> str | None:
    """What of a quote is not as it has to be, by the kit's own reckoning; None if all is."""
    decimals, terms = asked.venue.token_decimals, quote.terms
    last = quote.total_repayable_minor - quote.monthly_payment_minor * (quote.term_months - 1)
    payments = [quote.monthly_payment_minor] * (quote.term_months - 1) + [last]
    facts = (
        ("the provider", quote.provider_id, PROVIDER_ID),
        ("the amount", quote.amount_minor, asked.amount_minor),
        ("the currency", quote.currency, asked.currency),
        ("the term", quote.term_months, asked.term_months),
        ("the borrower", terms.borrower, asked.borrower),
        ("the loan reference", terms.loan_reference, asked.loan_reference),
        ("the token", terms.token, asked.venue.token),
        ("the principal", terms.principal, _units(quote.amount_minor, asked, decimals)),
        (
            "the total",
            terms.total_repayable,
            _units(quote.total_repayable_minor, asked, decimals),
        ),
        ("the terms' APR", terms.apr_bps, quote.apr_bps),
        ("the APR", quote.apr_bps, apr_bps(quote.amount_minor, payments)),
        ("the terms' term", terms.term_months, asked.term_months),
        ("the terms hash", quote.terms_hash, eip712.terms_hash(terms)),
    )
    wrong = next((name for name, stated, due in facts if stated != due), None)
    if wrong is None and datetime.fromisoformat(quote.expires_at) <= datetime.now(UTC):
        return "the expiry"
    return wrong


def _units(amount_minor: int, asked: QuoteRequest, decimals: int) -> int:
    return to_token_units(Money(amount_minor, asked.currency), decimals)


ROWS: Final = tuple(
    Row(name, Part.HEALTHY, expected, run)
    for name, expected, run in (
        ("connect", "connected, and again", connects),
        ("credentials-refused", "CREDENTIALS_REFUSED", credentials_refused),
        ("offers-match", "every offer for what was asked", offers_match),
        ("offers-repeat", "the same offers when asked again", offers_repeat),
        ("offers-anew", "new offers in a new round", offers_anew),
        ("declined", "no offers, and no error", declines),
        ("appetite-edges", "understood at both ends of the appetite", appetite_honoured),
        ("risk-unknown", "offers or none, without a score", unknown_risk),
        ("accept", "the lender's signature over the quoted terms", accepts),
        ("accept-repeat", "one confirmation, signed once", accepts_once),
        ("status-active", "ACTIVE", status_active),
        ("status-unreachable", "INACTIVE, never an error", status_down),
        ("status-maintenance", "MAINTENANCE when the lender says so", status_maintenance),
        ("status-silent", "INACTIVE within the deadline", status_silent),
        ("disconnect", "never an error, and connected again", disconnects),
    )
)
