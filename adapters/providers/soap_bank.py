"""A bank over SOAP 1.1: quotes and acceptances by its WSDL, callers known by WS-Security.

zeep builds and reads the messages (soap_messages.py); on the wire is our own caller, with its
deadline, its size limit and no redirects. A refusal comes as a fault with the bank's own code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog

from adapters.http import BUSY, MALFORMED_RESPONSE, HTTPCaller, Received, RetryLater
from adapters.providers.lender import CREDENTIALS_REFUSED, status_of
from adapters.providers.plugin import LenderAddress, Opening, Plugin, Secret, Told, utc_now
from adapters.providers.quote_check import (
    PROVIDER_REFUSED,
    Declined,
    Expected,
    LenderRefused,
    acceptance_refused,
    because,
    confirmation_of,
)
from adapters.providers.soap_bank_mapping import (
    acceptance_request,
    confirmation_document,
    quote_of,
    quote_request,
)
from adapters.providers.soap_xml import Unreadable
from models.domain.errors import Permanent, Transient
from models.domain.money import CURRENCY_EXPONENT, MAX_AMOUNT_MINOR
from models.domain.offer import Acceptance, LenderConfirmation, LoanTerms, Quote, QuoteRequest
from models.domain.provider import (
    Appetite,
    ErrorClass,
    Limits,
    Manifest,
    ProviderStatus,
    ProviderType,
)

if TYPE_CHECKING:
    from adapters.providers.soap_messages import Fault, Messages, UsernameDigest

WSDL: Final = Path(__file__).with_name("soap_bank.wsdl")
QUOTES: Final = "/soap/v1/quotes"
ACCEPTANCES: Final = "/soap/v1/acceptances"

_XML: Final = frozenset({"text/xml", "application/xml"})
# SOAP 1.1 §6.2: a fault comes with 500, and only its content says whose fault it is.
_FAULT_STATUS: Final = frozenset({500})
# Faults about who we are or how we prove it (WS-Security 1.1 §12): ours to repair.
_SECURITY: Final = frozenset(
    {
        "FailedAuthentication",
        "FailedCheck",
        "InvalidSecurity",
        "InvalidSecurityToken",
        "MessageExpired",
        "SecurityTokenUnavailable",
    }
)

_log = structlog.get_logger("adapters.providers")


class SOAPBankProvider:
    """Satisfies `CreditProvider`: one bank that lends from one address."""

    def __init__(
        self,
        caller: HTTPCaller,
        provider_id: str,
        messages: Messages,
        credentials: UsernameDigest,
        *,
        terms_hash: Callable[[LoanTerms], str],
        lender_address: str,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """`lender_address` (checksummed) is the only lender whose terms are passed on."""
        self.provider_id = provider_id
        self._caller = caller
        self._messages = messages
        self._credentials = credentials
        self._terms_hash = terms_hash
        self._lender_address = lender_address
        self._now = now

    async def connect(self) -> None:
        """Nothing is needed beforehand: each message carries its own proof."""

    async def disconnect(self) -> None:
        """The connections belong to the process's shared client."""

    async def get_offers(self, request: QuoteRequest) -> tuple[Quote, ...]:
        """The bank's quote, none if it declines; the same one for the same round.

        Raises Permanent PROVIDER_REFUSED, MALFORMED_RESPONSE, TERMS_INVALID (with the field) or
        QUOTE_EXPIRED; Transient.
        """
        answer = await self._asked(QUOTES, "RequestQuote", quote_request(request))
        if not isinstance(answer, Mapping):
            body = {"code": answer.code}
            detail = because(self.provider_id, 500, body)
            raise LenderRefused(PROVIDER_REFUSED, detail, answer.code or "UNEXPLAINED")
        expected = Expected(
            self.provider_id, self._lender_address, self._terms_hash, now=self._now()
        )
        quote = quote_of(answer, request, expected)
        if isinstance(quote, Declined):
            _log.info("quote_declined", provider=self.provider_id, code=quote.code)
            return ()
        return (quote,)

    async def accept_offer(
        self,
        tenant_id: str,  # noqa: ARG002 - the port's; application ids are unique without it
        application_id: str,
        quote: Quote,
        acceptance: Acceptance,
    ) -> LenderConfirmation:
        """The bank's signature over exactly `quote.terms`; the same one however often asked.

        Raises Permanent QUOTE_EXPIRED, TERMS_CHANGED, PROVIDER_REFUSED or MALFORMED_RESPONSE;
        Transient.
        """
        key = quote.accept_key(application_id)
        content = acceptance_request(quote, acceptance, key)
        answer = await self._asked(ACCEPTANCES, "AcceptQuote", content)
        if not isinstance(answer, Mapping):
            body = {"code": answer.code}
            raise acceptance_refused(self.provider_id, 500, body, expired="QUOTE_EXPIRED")
        return confirmation_of(confirmation_document(answer), quote)

    async def get_status(self) -> ProviderStatus:
        """What the bank's health address says; never raises its failures."""
        return await status_of(self._caller)

    async def _asked(
        self, path: str, operation: str, content: Mapping[str, Any]
    ) -> Mapping[str, Any] | Fault:
        """The answer, or the fault by which the bank refuses; other faults are raised."""
        envelope = self._messages.request(operation, content, self._credentials)
        headers = {
            "accept": "text/xml",
            "content-type": "text/xml; charset=utf-8",
            "soapaction": self._messages.action(operation),
            # For the bank's front door alone; what it goes by is in the message.
            "idempotency-key": str(content["RequestId"]),
        }
        received = await self._caller.exchange(
            "POST", path, envelope, headers, answers=_FAULT_STATUS
        )
        answer = self._read(operation, received)
        if not isinstance(answer, Mapping):
            self._require_refusal(answer)
        return answer

    def _read(self, operation: str, received: Received) -> Mapping[str, Any] | Fault:
        status, name = received.status, self.provider_id
        media_type = received.headers.get("content-type", "").partition(";")[0].strip().lower()
        if status in (401, 403):
            raise Transient(CREDENTIALS_REFUSED, f"{name}: status {status}")
        if 400 <= status < 500:
            raise LenderRefused(PROVIDER_REFUSED, f"{name}: status {status}", "UNEXPLAINED")
        try:
            if media_type not in _XML:
                raise Unreadable("not of type text/xml")
            answer = self._messages.reply(operation, received.raw)
        except Unreadable as error:
            if status == 500:
                raise RetryLater(BUSY, f"{name}: status 500", None, status) from None
            raise Permanent(MALFORMED_RESPONSE, str(error)) from None
        if status == 500 and isinstance(answer, Mapping):
            raise Permanent(MALFORMED_RESPONSE, "an answer with the status of a fault")
        return answer

    def _require_refusal(self, fault: Fault) -> None:
        """Raise what a fault is if it is no refusal: our credentials, or the bank's own trouble."""
        if fault.kind in _SECURITY:
            raise Transient(CREDENTIALS_REFUSED, f"{self.provider_id}: {fault.kind}")
        if fault.kind != "Client" and fault.code is None:
            raise RetryLater(BUSY, f"{self.provider_id}: a fault of its own", None, 500)


class SOAPBankConfig(Told):
    """`lender_address` (checksummed) is the account the bank lends from."""

    lender_address: LenderAddress


class SOAPBankCredentials(Told):
    """What the UsernameToken is made of; the password itself never travels."""

    username: Secret
    password: Secret


def _open(opening: Opening) -> SOAPBankProvider:
    # zeep takes a fifth of a second to load: only who has such a bank pays.
    from adapters.providers.soap_messages import Messages, UsernameDigest  # noqa: PLC0415

    config: SOAPBankConfig = opening.config
    credentials: SOAPBankCredentials = opening.credentials
    return SOAPBankProvider(
        opening.caller,
        opening.provider_id,
        Messages(WSDL),
        UsernameDigest(
            credentials.username.get_secret_value(), credentials.password.get_secret_value()
        ),
        terms_hash=opening.terms_hash,
        lender_address=config.lender_address,
        now=opening.now,
    )


MANIFEST: Final = Manifest(
    adapter="bank-soap",
    version="1.0.0",
    type=ProviderType.TRADITIONAL,
    about="A bank's SOAP 1.1 interface with a WS-Security UsernameToken",
    appetite=Appetite(currencies=frozenset(CURRENCY_EXPONENT), max_amount_minor=MAX_AMOUNT_MINOR),
    # One quote is 3 kB; XML costs more to read than JSON.
    limits=Limits(max_bytes=200_000),
    # It holds another contract for this loan, or another request under our key: no program knows.
    error_map={
        "LOAN_ALREADY_CONFIRMED": ErrorClass.PERSON,
        "REQUEST_ID_REUSED": ErrorClass.PERSON,
    },
    rehearsal="sandbox.counterparties.soap_bank",
)
PLUGIN: Final = Plugin(MANIFEST, config=SOAPBankConfig, credentials=SOAPBankCredentials, open=_open)
