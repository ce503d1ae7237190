"""What the simulated SOAP bank reads and writes: envelopes, its own way, by the WSDL's schema."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from lxml import etree
from pydantic import ValidationError

from adapters.providers.soap_xml import SOAP, Schema, Unreadable, body_of, parsed
from sandbox.counterparties.answers import Refusal
from sandbox.counterparties.bank_messages import LendingConfig, QuoteRequest, Venue
from sandbox.counterparties.lending import SignedAcceptance, Text

ROOT: Final = Path(__file__).resolve().parents[2]
SCHEMA: Final = Schema(ROOT / "adapters/providers/soap_bank.wsdl")
NAMESPACE: Final = "urn:lending:bank:v1"


class SOAPBankConfig(LendingConfig):
    """The settings of a bank that is spoken to over SOAP."""

    username: Text
    password: Text


def read(raw: bytes, operation: str) -> tuple[Any, dict[str, Any]]:
    """The envelope, and its body's elements by their names; Refusal 400 names what is wrong."""
    try:
        envelope = parsed(raw)
        body = body_of(envelope)
        if body.tag != f"{{{NAMESPACE}}}{operation}":
            raise Unreadable("another operation")
        SCHEMA.check(body)
    except Unreadable as error:
        raise Refusal(400, "REQUEST_MALFORMED", str(error)) from None
    return envelope, _named(body)


def quote_request(asked: Mapping[str, Any]) -> QuoteRequest:
    """The request as every bank prices it; Refusal 400 for what the schema cannot know."""
    venue = asked["Venue"]
    try:
        return QuoteRequest(
            application_reference=asked["ApplicationReference"],
            loan_reference=asked["LoanReference"],
            borrower=asked["Borrower"],
            amount_minor=int(Decimal(asked["Amount"]) * 100),
            currency=asked["Currency"],
            term_months=int(asked["TermMonths"]),
            jurisdiction=asked["Jurisdiction"],
            score=int(asked["Score"]) if "Score" in asked else None,
            pd=float(asked["DefaultProbability"]) if "DefaultProbability" in asked else None,
            venue=Venue(
                chain_id=int(venue["ChainId"]),
                aggregator=venue["Aggregator"],
                token=venue["Token"],
                token_decimals=int(venue["TokenDecimals"]),
            ),
        )
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise Refusal(400, "REQUEST_MALFORMED", f"field {field}") from None


def acceptance(asked: Mapping[str, Any]) -> SignedAcceptance:
    """The borrower's acceptance; Refusal 400 for what the schema cannot know."""
    stated = asked["Acceptance"]
    try:
        return SignedAcceptance(
            terms_hash=stated["TermsHash"],
            borrower=stated["Borrower"],
            nonce=stated["Nonce"],
            deadline=stated["Deadline"],
            signature=stated["Signature"],
        )
    except ValidationError:
        raise Refusal(400, "REQUEST_MALFORMED", "Acceptance") from None


def quote_elements(quote: Mapping[str, Any]) -> dict[str, Any]:
    """A quote as this bank writes it."""
    terms = quote["terms"]
    return {
        "QuoteId": quote["quote_id"],
        "Amount": _hundredths(quote["amount_minor"]),
        "Currency": quote["currency"],
        "TermMonths": quote["term_months"],
        "NominalRate": _hundredths(quote["nominal_rate_bps"]),
        "AnnualPercentageRate": _hundredths(quote["apr_bps"]),
        "Fee": _hundredths(quote["fee_minor"]),
        "MonthlyPayment": _hundredths(quote["monthly_payment_minor"]),
        "TotalRepayable": _hundredths(quote["total_repayable_minor"]),
        "ExpiresAt": quote["expires_at"],
        "Terms": {
            "LoanReference": terms["loan_reference"],
            "Lender": terms["lender"],
            "Borrower": terms["borrower"],
            "Token": terms["token"],
            "Principal": terms["principal"],
            "TotalRepayable": terms["total_repayable"],
            "AprBps": terms["apr_bps"],
            "TermMonths": terms["term_months"],
            "Nonce": terms["nonce"],
            "Deadline": terms["deadline"],
        },
        "TermsHash": quote["terms_hash"],
    }


def answer(operation: str, content: Mapping[str, Any]) -> bytes:
    """An envelope with the operation's response."""
    return _enveloped(_element(f"{operation}Response", content))


def fault(kind: str, code: str, message: str) -> bytes:
    """An envelope with a fault; `kind` is `soap:Client`, or another prefixed code."""
    broken = etree.Element(f"{{{SOAP}}}Fault")
    etree.SubElement(broken, "faultcode").text = kind
    etree.SubElement(broken, "faultstring").text = message
    detail = etree.SubElement(broken, "detail")
    detail.append(_element("Refused", {"Code": code, "Message": message}))
    return _enveloped(broken)


def _enveloped(content: Any) -> bytes:
    envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"soap": SOAP})
    etree.SubElement(envelope, f"{{{SOAP}}}Body").append(content)
    written: bytes = etree.tostring(envelope, xml_declaration=True, encoding="utf-8")
    return written


def _element(name: str, content: Mapping[str, Any]) -> Any:
    element = etree.Element(f"{{{NAMESPACE}}}{name}", nsmap={None: NAMESPACE})
    for child, value in content.items():
        if isinstance(value, Mapping):
            element.append(_element(child, value))
        else:
            etree.SubElement(element, f"{{{NAMESPACE}}}{child}").text = str(value)
    return element


def _named(element: Any) -> dict[str, Any]:
    return {
        etree.QName(child).localname: _named(child) if len(child) else (child.text or "")
        for child in element
    }


def _hundredths(number: int) -> str:
    return f"{Decimal(number) / 100:.2f}"
