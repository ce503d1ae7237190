"""SOAP messages built and read by a shipped WSDL: zeep knows the messages, HTTP is not its matter.

zeep is lenient in what it reads, so a body is checked against the WSDL's schema before; and it may
load nothing, neither when it starts nor for an answer.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import zeep
import zeep.exceptions
from lxml import etree
from zeep.helpers import serialize_object
from zeep.wsse.username import UsernameToken

from adapters.providers.soap_xml import SOAP, Schema, Unreadable, body_of, parsed

_FAULT: Final = f"{{{SOAP}}}Fault"


@dataclass(frozen=True, slots=True)
class UsernameDigest:
    """WS-Security UsernameToken 1.1 with a password digest: the password itself never travels.

    The digest is SHA-1's because the profile knows no other; the nonce and the moment in it keep a
    stolen message from being sent again.
    """

    username: str
    password: str

    def sign(self, envelope: Any) -> None:
        """Put a token with a fresh nonce into the envelope's header."""
        token = UsernameToken(self.username, self.password, use_digest=True, zulu_timestamp=True)
        token.apply(envelope, {})


@dataclass(frozen=True, slots=True)
class Fault:
    """A SOAP fault: `kind` is its faultcode without prefix, `code` the lender's own, or None."""

    kind: str
    code: str | None


class Messages:
    """The messages of one WSDL file."""

    def __init__(self, wsdl: Path) -> None:
        settings = zeep.Settings(
            strict=True, forbid_dtd=True, forbid_entities=True, forbid_external=True
        )
        self._client = zeep.Client(
            io.BytesIO(wsdl.read_bytes()), transport=_Nothing(), settings=settings
        )
        self._schema = Schema(wsdl)

    def action(self, operation: str) -> str:
        """The SOAPAction header of an operation."""
        return f'"{self._operation(operation).soapaction}"'

    def request(self, operation: str, content: Mapping[str, Any], caller: UsernameDigest) -> bytes:
        """The operation's request as it travels; raises Unreadable if it is not as agreed."""
        envelope = self._client.create_message(self._client.service, operation, **content)
        self._schema.check(body_of(envelope))
        caller.sign(envelope)
        written: bytes = etree.tostring(envelope, xml_declaration=True, encoding="utf-8")
        return written

    def reply(self, operation: str, raw: bytes) -> Mapping[str, Any] | Fault:
        """The operation's answer by the names of the WSDL, or the fault; raises Unreadable."""
        envelope = parsed(raw)
        body = body_of(envelope)
        if body.tag == _FAULT:
            return self._fault(body)
        if etree.QName(body).localname != f"{operation}Response":
            raise Unreadable("the answer to another operation")
        self._schema.check(body)
        try:
            answer: dict[str, Any] = serialize_object(
                self._operation(operation).process_reply(envelope), dict
            )
        except (zeep.exceptions.Error, ValueError, OverflowError):
            # Right by the schema and yet no value of ours: a moment in the year 20000.
            raise Unreadable(operation) from None
        return answer

    def _fault(self, fault: Any) -> Fault:
        kind = (fault.findtext("faultcode") or "").rpartition(":")[2].strip()
        for detail in fault.findall("detail"):
            for refused in detail:
                self._schema.check(refused)
                return Fault(kind, next((e.text for e in refused if e.tag.endswith("}Code")), None))
        return Fault(kind, None)

    def _operation(self, name: str) -> Any:
        return self._client.service._binding.get(name)


class _Nothing:
    """What zeep would load with; there is nothing to load."""

    def load(self, url: str) -> bytes:
        raise Unreadable(f"refers to {url}")
