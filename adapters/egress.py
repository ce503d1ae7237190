"""Where our requests may go when somebody else names the address (SSRF).

Three doors, and all of them are needed: `check_url` reads the address as it is written, in every
notation a host may have; `PublicResolver` passes on only those addresses of a name that may be
reached, and the client connects to one of these, so an answer that changes between two look-ups
(rebinding) changes nothing; and no redirect is followed, by whoever uses `new_session`.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from models.domain.errors import Invalid

URL_NOT_ALLOWED: Final = "URL_NOT_ALLOWED"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

LOOPBACK: Final[tuple[Network, ...]] = (
    ipaddress.ip_network("127.0.0.0/8"),
    ipaddress.ip_network("::1/128"),
)
_MOST_CHARACTERS: Final = 2_000

# IANA's special-purpose registry (RFC 6890 and its updates), and what clouds put beside it.
_NOT_PUBLIC_4: Final = tuple(
    ipaddress.IPv4Network(each)
    for each in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24",
        "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15",
        "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",  # a cloud's own services, at a public address
    )
)  # fmt: skip
# Of IPv6 only this is handed out for the internet, and parts of it are not.
_GLOBAL_6: Final = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_6: Final = tuple(
    ipaddress.IPv6Network(each)
    for each in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)
_TRANSLATED: Final = ipaddress.IPv6Network("64:ff9b::/96")

# Names that mean something inside a network only (RFC 6761, 6762, 8375, and usage).
_LOCAL_NAME: Final = re.compile(
    r"(?:.*\.)?(?:localhost|localdomain|local|internal|intranet|private|corp|home|lan"
    r"|home\.arpa|test|invalid|onion)"
)
_NAME: Final = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9-]{1,63}")
# A last label that is a number makes the host an IPv4 address, however oddly written.
_ENDS_IN_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """What is allowed beyond https to the public internet.

    `ports` empty means any port. `allowed_networks` may be reached although they are not public;
    with one of them, names that only mean something inside are looked up, too.
    """

    allowed_networks: tuple[Network, ...] = ()
    ports: frozenset[int] = frozenset({443})
    plain_http: bool = False

    def allows(self, address: str | Address) -> bool:
        """Whether we may connect to this address; an IPv4 address within IPv6 counts as itself."""
        try:
            found = _plain(ipaddress.ip_address(address))
        except ValueError:
            return False
        if any(found in network for network in self.allowed_networks):
            return True
        if isinstance(found, ipaddress.IPv4Address):
            return not any(found in network for network in _NOT_PUBLIC_4)
        return found in _GLOBAL_6 and not any(found in network for network in _NOT_PUBLIC_6)


class AddressRefused(OSError):
    """A name leads to no address we may connect to."""


def check_url(url: str, policy: EgressPolicy) -> URL:
    """The address as it will be asked for; raises Invalid URL_NOT_ALLOWED with the reason.

    A name is not looked up here: what it leads to is decided when we connect. An address comes back
    as the standard writes it.
    """
    if not 0 < len(url) <= _MOST_CHARACTERS or re.search(r"[^\x21-\x7e]|\\", url):
        raise _refused("not_printable_ascii")
    try:
        parsed = URL(url)
        port, host = parsed.port, parsed.raw_host
    except ValueError:
        raise _refused("malformed") from None
    if parsed.scheme != "https" and not (policy.plain_http and parsed.scheme == "http"):
        raise _refused("not_https")
    if re.match(r"[^/]*//[^/?#]*@", url):  # an empty one is lost in parsing
        raise _refused("userinfo")
    if parsed.raw_fragment:
        raise _refused("fragment")
    if not host or port is None or not 0 < port < 65_536:
        raise _refused("malformed")
    if policy.ports and port not in policy.ports:
        raise _refused("port")
    literal = _literal(host.lower())
    if literal is None:
        _check_name(host.lower(), policy)
        return parsed
    if not policy.allows(literal):
        raise _refused("address")
    return parsed.with_host(str(literal))


def _check_name(host: str, policy: EgressPolicy) -> None:
    name = host.removesuffix(".")
    if not 0 < len(name) <= 253 or _NAME.fullmatch(name) is None:
        raise _refused("host")
    # A name without a dot is completed by whatever search list our resolver has.
    local = "." not in name or _LOCAL_NAME.fullmatch(name) is not None
    if local and not policy.allowed_networks:
        raise _refused("local_name")


def _literal(host: str) -> Address | None:
    """The address that a host is in any notation, or None for a name."""
    if ":" in host:
        try:
            return ipaddress.IPv6Address(host) if "%" not in host else ipaddress.IPv6Address(0)
        except ValueError:
            raise _refused("host") from None
    if _ENDS_IN_NUMBER.fullmatch(host.removesuffix(".")) is None:
        return None
    try:
        # Decimal, octal and hexadecimal, of one to four parts: as the system itself reads them.
        return ipaddress.IPv4Address(socket.inet_aton(host.removesuffix(".")))
    except (OSError, ValueError):
        raise _refused("host") from None


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _refused(reason: str) -> Invalid:
    return Invalid(URL_NOT_ALLOWED, reason)


class PublicResolver(AbstractResolver):
    """Names lead to allowed addresses only; the client connects to what this answers.

    aiohttp does not ask a resolver about hosts that are plain addresses: `check_url` sees those.
    """

    def __init__(self, policy: EgressPolicy, beneath: AbstractResolver | None = None) -> None:
        self._policy = policy
        self._beneath = beneath

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses of the host that may be reached; raises AddressRefused when there is none."""
        if self._beneath is None:
            self._beneath = ThreadedResolver()  # needs the running loop
        found = await self._beneath.resolve(host, port, family)
        allowed = [each for each in found if self._policy.allows(each["host"])]
        if found and not allowed:
            raise AddressRefused("the name leads to no address that may be reached")
        return allowed

    async def close(self) -> None:
        """Close what is beneath."""
        if self._beneath is not None:
            await self._beneath.close()


def new_session(
    policy: EgressPolicy,
    *,
    deadline_s: float,
    max_connections: int = 100,
    max_per_host: int = 0,
    resolver: AbstractResolver | None = None,
) -> aiohttp.ClientSession:
    """A keep-alive client that connects where the policy allows, and keeps no cookies.

    Each request still needs `check_url`, and `allow_redirects=False`. `deadline_s` bounds a whole
    request; `max_per_host` 0 leaves that to the caller. The environment's proxies are ignored.
    """
    connector = aiohttp.TCPConnector(
        resolver=PublicResolver(policy, resolver),
        limit=max_connections,
        limit_per_host=max_per_host,
        ttl_dns_cache=10,
    )
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=deadline_s),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
    )


def refused_address(error: BaseException) -> bool:
    """Whether a failed request failed because a name led nowhere we may go."""
    seen: Sequence[Any] = (error, getattr(error, "os_error", None), error.__cause__)
    return any(isinstance(each, AddressRefused) for each in seen)
