"""Headers of every answer, as prepared bytes: what browsers may do with it, and who it answers.

The set is that of the specification's security section (Helmet's), with a stricter content policy:
`unsafe-inline` is nowhere, and an API answer may load nothing at all.
"""

from __future__ import annotations

from typing import Final

from starlette.types import Message

RawHeaders = list[tuple[bytes, bytes]]

_NOTHING: Final = b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
# Pages for people: their own scripts and styles, from this host, and nothing inline.
_OWN_PAGE: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    b"connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_PAGES: Final = ("/docs", "/console")

SECURITY: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", _NOTHING),
)
_FOR_PAGES: Final = (*SECURITY[:-1], (b"content-security-policy", _OWN_PAGE))
# A year, as the specification has it. Said over TLS alone: browsers ignore it elsewhere.
_HSTS: Final = (b"strict-transport-security", b"max-age=31536000; includeSubDomains; preload")


def dress(message: Message, path: str, scheme: str, own: RawHeaders) -> None:
    """Add to the start of an answer what every answer has; a route's own choice is kept."""
    headers: RawHeaders = list(message["headers"])
    given = {name for name, _ in headers}
    standard = _FOR_PAGES if path.startswith(_PAGES) else SECURITY
    headers.extend([each for each in standard if each[0] not in given])
    if scheme == "https":
        headers.append(_HSTS)
    headers.extend(own)
    message["headers"] = headers
