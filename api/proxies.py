"""Who the client is behind proxies: the last address that no proxy of ours vouches for.

Only proxies of the listed networks are believed, and only in the one header they are known to
write: a proxy that adds to X-Forwarded-For passes a client's own Forwarded on untouched. The list
is read from the right, where our own proxies wrote; the first address there that is not itself a
listed proxy is the client, whatever stands left of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from starlette.types import Scope

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_FORWARDED_FOR: Final = re.compile(r'(?:^|;)\s*for=("[^"]*"|[^;,]*)', re.IGNORECASE)
_FORWARDED_PROTO: Final = re.compile(r'(?:^|;)\s*proto="?(https?)"?\s*(?:;|$)', re.IGNORECASE)
_BRACKETED: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d{1,5})?")
_WITH_PORT: Final = re.compile(r"([0-9.]+):\d{1,5}")
_HOPS: Final = 16  # a longer list than this was not written by proxies
UNKNOWN: Final = "unknown"


class TrustedProxies:
    """The networks whose proxies are believed, and the header they write."""

    def __init__(self, networks: Sequence[Network], header: str) -> None:
        self._networks = tuple(networks)
        self._forwarded = header == "forwarded"
        self.headers: frozenset[bytes] = (
            frozenset({header.encode("ascii"), b"x-forwarded-proto"}) if networks else frozenset()
        )
        self._name = header.encode("ascii")
        self._is_trusted = lru_cache(maxsize=4_096)(self._in_networks)

    def apply(self, scope: Scope, given: dict[bytes, bytes]) -> str:
        """The client's address; it and the scheme the client used are put into the scope."""
        peer = scope["client"][0] if scope.get("client") else UNKNOWN
        if not self._networks or not self._is_trusted(peer):
            return str(peer)
        hops = [each.strip() for each in given.get(self._name, b"").decode("latin-1").split(",")]
        client, proto = str(peer), ""
        for hop in reversed(hops[-_HOPS:]):
            if not hop:
                break
            address = _address(_for(hop) if self._forwarded else hop)
            proto = proto or (_proto(hop) if self._forwarded else "")
            # What is no address was not written by a proxy of ours: the hop before it is the last
            # one somebody vouches for.
            if address is None:
                break
            client = str(address)
            if not self._is_trusted(client):
                break
        if not self._forwarded:
            proto = given.get(b"x-forwarded-proto", b"").decode("latin-1").strip().lower()
        if proto in {"http", "https"}:
            scope["scheme"] = _scheme(scope["type"], proto)
        scope["client"] = (client, 0)
        return client

    def _in_networks(self, text: str) -> bool:
        address = _address(text)
        return address is not None and any(address in network for network in self._networks)


def _scheme(kind: str, proto: str) -> str:
    return proto if kind == "http" else {"http": "ws", "https": "wss"}[proto]


def _for(hop: str) -> str:
    found = _FORWARDED_FOR.search(hop)
    return found[1].strip('"') if found else ""


def _proto(hop: str) -> str:
    found = _FORWARDED_PROTO.search(hop)
    return found[1].lower() if found else ""


def _address(text: str) -> Address | None:
    """The address in a hop, its port left out; IPv4 within IPv6 is the IPv4 address."""
    bare = _BRACKETED.fullmatch(text) or _WITH_PORT.fullmatch(text)
    try:
        address = ip_address(bare[1] if bare else text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def bucket_of(client: str) -> str:
    """Whose bucket an address counts in: IPv6 callers own whole /64 networks of addresses."""
    address = _address(client)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, 64), strict=False))
    return client
