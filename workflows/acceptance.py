"""What an acceptance must fulfil: pure checks, run by the validator before history is written."""

from __future__ import annotations

from datetime import UTC, datetime

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from models.domain.application import ApplicationRef
    from models.domain.offer import AcceptOffer, OfferBook
    from models.domain.routing import VERIFY_ACCEPTANCE
    from workflows.options import ACCEPTANCE_MARGIN


def check_acceptance(application: ApplicationRef, book: OfferBook, request: AcceptOffer) -> None:
    """Raise ApplicationError with a published code unless the acceptance may stand."""
    offer = next((each for each in book.offers if each.offer_id == request.offer_id), None)
    if offer is None or request.applicant_id != application.user_id:
        raise _refusal("OFFER_UNKNOWN", "no such offer in this application")
    if datetime.fromisoformat(offer.expires_at) <= workflow.now():
        raise _refusal("OFFER_EXPIRED", "the offer has expired")
    acceptance = request.acceptance
    if acceptance.terms_hash != offer.terms_hash:
        raise _refusal("TERMS_HASH_MISMATCH", "the acceptance names other terms")
    if acceptance.borrower != offer.borrower:
        raise _refusal("BORROWER_MISMATCH", "the acceptance names another wallet")
    deadline = datetime.fromtimestamp(acceptance.deadline, UTC)
    if deadline < workflow.now() + ACCEPTANCE_MARGIN:
        raise _refusal("ACCEPTANCE_DEADLINE_TOO_SOON", "the signature would expire on its way")
    # Elliptic-curve code stays outside the workflow sandbox: the worker lends the function.
    verify = workflow.extern_functions()[VERIFY_ACCEPTANCE]
    if not verify(offer.chain_id, offer.aggregator, offer.borrower, acceptance):
        raise _refusal("SIGNATURE_INVALID", "the borrower did not sign this acceptance")


def _refusal(code: str, detail: str) -> ApplicationError:
    return ApplicationError(detail, type=code, non_retryable=True)
