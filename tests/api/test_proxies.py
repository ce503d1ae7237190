"""Who the client is: the last address that no listed proxy vouches for."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from api.proxies import TrustedProxies, bucket_of

OURS = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


def client(peer: str, header: str, value: str, **more: str) -> tuple[str, str]:
    """The client's address and scheme, as they are in the scope afterwards."""
    scope: dict[str, Any] = {"type": "http", "client": (peer, 1), "scheme": "http"}
    given = {header.encode(): value.encode("latin-1")}
    given |= {name.replace("_", "-").encode(): text.encode() for name, text in more.items()}
    TrustedProxies(OURS, header).apply(scope, given)
    return scope["client"][0], scope["scheme"]


@pytest.mark.parametrize(
    ("peer", "list_", "found"),
    [
        ("192.0.2.1", "203.0.113.7", "192.0.2.1"),  # no proxy of ours
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"),  # the left is anybody's word
        ("10.0.0.1", "203.0.113.7, 10.0.0.2, 10.0.0.3", "203.0.113.7"),
        ("10.0.0.1", "10.0.0.9, 10.0.0.2", "10.0.0.9"),  # all ours: the farthest
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "nobody", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.7, nobody", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.7:4711", "203.0.113.7"),
        ("10.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"),
        ("10.0.0.1", "::ffff:203.0.113.7", "203.0.113.7"),
        ("::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("fd00::1", "203.0.113.7, fd00::2", "203.0.113.7"),
        ("10.0.0.1", ", ".join(["10.0.0.2"] * 40), "10.0.0.2"),
    ],
)
def test_the_client_is_the_last_one_nobody_vouches_for(peer: str, list_: str, found: str) -> None:
    assert client(peer, "x-forwarded-for", list_)[0] == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("for=203.0.113.7;proto=https", ("203.0.113.7", "https")),
        ('for="203.0.113.7:80"; proto=http', ("203.0.113.7", "http")),
        ('For="[2001:db8::7]:4711";by=10.0.0.1;Proto=HTTPS', ("2001:db8::7", "https")),
        ("for=198.51.100.1;proto=https, for=203.0.113.7;proto=http", ("203.0.113.7", "http")),
        ("for=203.0.113.7, for=10.0.0.2;proto=https", ("203.0.113.7", "https")),
        ("for=_hidden", ("10.0.0.1", "http")),
        ("for=unknown", ("10.0.0.1", "http")),
        ("by=10.0.0.1", ("10.0.0.1", "http")),
    ],
)
def test_forwarded_is_read_where_our_proxies_write_it(value: str, found: tuple[str, str]) -> None:
    assert client("10.0.0.1", "forwarded", value) == found


def test_the_other_header_is_the_clients_own_word() -> None:
    scope: dict[str, Any] = {"type": "http", "client": ("10.0.0.1", 1), "scheme": "http"}
    proxies = TrustedProxies(OURS, "x-forwarded-for")
    assert b"forwarded" not in proxies.headers
    proxies.apply(scope, {b"forwarded": b"for=203.0.113.9;proto=https"})
    assert (scope["client"][0], scope["scheme"]) == ("10.0.0.1", "http")


def test_the_scheme_is_a_proxys_word_alone() -> None:
    told = {"x_forwarded_proto": "https"}
    assert client("10.0.0.1", "x-forwarded-for", "203.0.113.7", **told)[1] == "https"
    assert client("192.0.2.1", "x-forwarded-for", "203.0.113.7", **told)[1] == "http"
    assert client("10.0.0.1", "x-forwarded-for", "1.1.1.1", x_forwarded_proto="gopher")[1] == "http"


def test_without_proxies_nobodys_word_is_taken() -> None:
    scope: dict[str, Any] = {"type": "http", "client": ("127.0.0.1", 1), "scheme": "http"}
    proxies = TrustedProxies([], "x-forwarded-for")
    assert proxies.headers == frozenset()
    assert proxies.apply(scope, {b"x-forwarded-for": b"203.0.113.7"}) == "127.0.0.1"


def test_a_network_of_addresses_is_one_caller() -> None:
    assert bucket_of("2001:db8:1:2::7") == bucket_of("2001:db8:1:2:ffff::9")
    assert bucket_of("2001:db8:1:2::7") != bucket_of("2001:db8:1:3::7")
    assert bucket_of("203.0.113.7") == "203.0.113.7"
