"""Requests go where the policy allows: however a host is written, and whatever a name leads to."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from adapters.egress import (
    LOOPBACK,
    AddressRefused,
    EgressPolicy,
    PublicResolver,
    check_url,
    new_session,
    refused_address,
)
from models.domain.errors import Invalid

PUBLIC = EgressPolicy()
SANDBOX = EgressPolicy(LOOPBACK, ports=frozenset(), plain_http=True)

REFUSED = [
    ("http://example.com/", "not_https"),
    ("ftp://example.com/", "not_https"),
    ("file:///etc/passwd", "not_https"),
    ("//example.com/", "not_https"),
    ("gopher://127.0.0.1:6379/_", "not_https"),
    ("https://user@example.com/", "userinfo"),
    ("https://user:secret@example.com/", "userinfo"),
    ("https://example.com@127.0.0.1/", "userinfo"),
    ("https://@example.com/", "userinfo"),
    ("https://example.com/#there", "fragment"),
    ("https://example.com:22/", "port"),
    ("https://example.com:8443/", "port"),
    ("https://example.com:0/", "malformed"),
    ("https://example.com:99999/", "malformed"),
    ("https://", "malformed"),
    ("https:///path", "malformed"),
    ("", "not_printable_ascii"),
    ("https://exa mple.com/", "not_printable_ascii"),
    ("https://example.com\\@127.0.0.1/", "not_printable_ascii"),
    ("https://ⓛocalhost/", "not_printable_ascii"),
    ("https://１２７.0.0.1/", "not_printable_ascii"),
    ("https://" + "a" * 2_000 + ".com/", "not_printable_ascii"),
    ("https://127.0.0.1/", "address"),
    ("https://127.1/", "address"),
    ("https://0/", "address"),
    ("https://0.0.0.0/", "address"),
    ("https://2130706433/", "address"),
    ("https://017700000001/", "address"),
    ("https://0x7f000001/", "address"),
    ("https://0X7F.0x0.0.1/", "address"),
    ("https://0177.0.0.1/", "address"),
    ("https://127.0.0.1./", "address"),
    ("https://10.0.0.1/", "address"),
    ("https://172.31.255.255/", "address"),
    ("https://192.168.1.1/", "address"),
    ("https://169.254.169.254/latest/meta-data/", "address"),
    ("https://0xa9fea9fe/", "address"),
    ("https://100.64.0.1/", "address"),
    ("https://100.100.100.200/", "address"),
    ("https://168.63.129.16/", "address"),
    ("https://192.0.0.192/", "address"),
    ("https://198.18.0.1/", "address"),
    ("https://224.0.0.1/", "address"),
    ("https://240.0.0.1/", "address"),
    ("https://255.255.255.255/", "address"),
    ("https://[::]/", "address"),
    ("https://[::1]/", "address"),
    ("https://[0:0:0:0:0:0:0:1]/", "address"),
    ("https://[::ffff:127.0.0.1]/", "address"),
    ("https://[::ffff:7f00:1]/", "address"),
    ("https://[::127.0.0.1]/", "address"),
    ("https://[64:ff9b::127.0.0.1]/", "address"),
    ("https://[64:ff9b:1::1]/", "address"),
    ("https://[2002:7f00:1::]/", "address"),
    ("https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/", "address"),
    ("https://[fc00::1]/", "address"),
    ("https://[fd00:ec2::254]/", "address"),
    ("https://[fe80::1]/", "address"),
    ("https://[fec0::1]/", "address"),
    ("https://[ff02::1]/", "address"),
    ("https://[2001:db8::1]/", "address"),
    ("https://256.256.256.256/", "host"),
    ("https://1.2.3.4.5/", "host"),
    ("https://example.0x/", "host"),
    ("https://localhost/", "local_name"),
    ("https://LOCALHOST./", "local_name"),
    ("https://a.localhost/", "local_name"),
    ("https://printer.local/", "local_name"),
    ("https://metadata.google.internal/", "local_name"),
    ("https://db.corp/", "local_name"),
    ("https://router.home.arpa/", "local_name"),
    ("https://intranet/", "local_name"),
]


@pytest.mark.parametrize(("url", "reason"), REFUSED, ids=range(len(REFUSED)))
def test_refused_with_its_reason(url: str, reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_url(url, PUBLIC)
    assert (refused.value.code, refused.value.detail) == ("URL_NOT_ALLOWED", reason)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/hooks?x=1",
        "https://example.com:443/",
        "https://EXAMPLE.com./",
        "https://xn--bcher-kva.example/",
        "https://8.8.8.8/",
        "https://[2606:4700:4700::1111]/",
        "https://[::ffff:8.8.8.8]/",
        "https://local.example.com/",
        "https://0x7f.example.com/",
    ],
)
def test_allowed(url: str) -> None:
    assert check_url(url, PUBLIC).scheme == "https"


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://127.0.0.1:8080/", True),
        ("http://localhost:1/", True),
        ("http://[::1]:9/", True),
        ("http://169.254.169.254/", False),
        ("http://10.0.0.1/", False),
        ("http://0.0.0.0:8080/", False),
        ("http://[::ffff:10.0.0.1]/", False),
    ],
)
def test_the_sandbox_reaches_itself_and_no_other_inside(url: str, allowed: bool) -> None:
    if allowed:
        check_url(url, SANDBOX)
    else:
        with pytest.raises(Invalid):
            check_url(url, SANDBOX)


def notations(address: ipaddress.IPv4Address) -> list[str]:
    """An IPv4 address as people have hidden it."""
    a, b, c, d = address.packed
    whole = int(address)
    return [
        str(address),
        str(whole), hex(whole), f"0{whole:o}", f"0x{whole:08X}",
        f"{a}.{whole & 0xFFFFFF}", f"{a}.{b}.{whole & 0xFFFF}",
        f"0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}", f"0{a:o}.0{b:o}.0{c:o}.0{d:o}",
        f"{a}.0x{b:x}.0{c:o}.{d}", f"000{a:o}.{b}.{c}.{d}", f"{address}.",
        f"[::ffff:{address}]", f"[::ffff:{a:02x}{b:02x}:{c:02x}{d:02x}]",
        f"[0:0:0:0:0:FFFF:{a:x}{b:02x}:{c:x}{d:02x}]", f"[64:ff9b::{address}]",
    ]  # fmt: skip


PRIVATE = st.one_of(
    *(
        st.ip_addresses(v=4, network=network)
        for network in (
            "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16",
            "100.64.0.0/10", "0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "198.18.0.0/15",
        )
    )
)  # fmt: skip


@given(PRIVATE, st.data())
def test_no_notation_hides_an_address(address: ipaddress.IPv4Address, data: Any) -> None:
    written = data.draw(st.sampled_from(notations(address)))
    with pytest.raises(Invalid):
        check_url(f"https://{written}/", PUBLIC)


@given(st.ip_addresses(v=4), st.data())
def test_every_notation_is_judged_as_the_address(address: ipaddress.IPv4Address, data: Any) -> None:
    written = data.draw(st.sampled_from(notations(address)))
    try:
        url = check_url(f"https://{written}/", PUBLIC)
    except Invalid:
        assert not PUBLIC.allows(address)
    else:
        assert PUBLIC.allows(address)
        assert url.raw_host is not None
        assert PUBLIC.allows(url.raw_host)  # in a notation that has one reading


@given(st.ip_addresses())
def test_what_is_allowed_is_what_the_internet_routes(address: Any) -> None:
    if PUBLIC.allows(address):
        plain = getattr(address, "ipv4_mapped", None) or address
        if plain not in ipaddress.ip_network(
            "64:ff9b::/96" if plain.version == 6 else "0.0.0.0/32"
        ):
            assert plain.is_global
            assert not plain.is_multicast


@given(st.text(max_size=60))
def test_nothing_that_is_written_breaks_the_check(text: str) -> None:
    for url in (text, f"https://{text}", f"https://{text}/x"):
        with suppress(Invalid):
            assert check_url(url, PUBLIC).raw_host


class Names(AbstractResolver):
    """Answers each look-up with the next list of addresses; the last one stays."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(
                hostname=host, host=each, port=port, family=socket.AF_INET, proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for each in answer
        ]  # fmt: skip

    async def close(self) -> None:
        pass


async def test_a_name_is_passed_on_with_its_allowed_addresses_alone() -> None:
    resolver = PublicResolver(PUBLIC, Names(["10.0.0.1", "8.8.8.8", "::1", "not an address"]))
    assert [each["host"] for each in await resolver.resolve("example.com", 443)] == ["8.8.8.8"]


async def test_a_name_that_leads_inside_is_refused() -> None:
    with pytest.raises(AddressRefused):
        await PublicResolver(PUBLIC, Names(["169.254.169.254"])).resolve("example.com", 443)


@pytest.fixture
async def inside() -> AsyncIterator[tuple[int, list[str]]]:
    """A server on loopback that nobody should reach, with the paths it was asked for."""
    asked: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request.path)
        if request.path == "/moved":
            return web.Response(status=307, headers={"location": "/secret"})
        return web.Response(text="secret")

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1], asked
    await runner.cleanup()


async def test_rebinding_leads_nowhere(inside: tuple[int, list[str]]) -> None:
    """The name was harmless when it was looked at; what we connect to is looked at again."""
    port, asked = inside
    names = Names(["8.8.8.8"], ["127.0.0.1"])
    open_ports = EgressPolicy(ports=frozenset(), plain_http=True)
    resolver = PublicResolver(open_ports, names)
    assert await resolver.resolve("rebound.example", port)
    async with new_session(open_ports, deadline_s=5, resolver=names) as session:
        url = check_url(f"http://rebound.example:{port}/secret", open_ports)
        with pytest.raises(aiohttp.ClientConnectorError) as failed:
            await session.post(url, allow_redirects=False)
    assert refused_address(failed.value)
    assert (names.asked, asked) == (2, [])


async def test_the_checked_address_is_the_connected_one(inside: tuple[int, list[str]]) -> None:
    """One look-up for one connection: there is no second answer to connect to."""
    port, asked = inside
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    async with new_session(SANDBOX, deadline_s=5, resolver=names) as session:
        url = check_url(f"http://hooks.example:{port}/fine", SANDBOX)
        async with session.post(url, allow_redirects=False) as answer:
            assert answer.status == 200
    assert (names.asked, asked) == (1, ["/fine"])


async def test_odd_notations_reach_the_resolver_and_not_the_host(
    inside: tuple[int, list[str]],
) -> None:
    """Even unchecked: what the client does not take for an address is looked up, and judged."""
    port, asked = inside
    open_ports = EgressPolicy(ports=frozenset(), plain_http=True)
    async with new_session(open_ports, deadline_s=5) as session:
        for written in ("2130706433", "0x7f000001", "127.1", "localhost"):
            with pytest.raises((aiohttp.ClientConnectorError, aiohttp.InvalidURL)):
                await session.get(f"http://{written}:{port}/", allow_redirects=False)
    assert asked == []


async def test_the_client_keeps_no_cookies_and_knows_no_proxies(
    inside: tuple[int, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, asked = inside
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with new_session(SANDBOX, deadline_s=5) as session:
        async with session.get(f"http://127.0.0.1:{port}/moved", allow_redirects=False) as answer:
            assert answer.status == 307
        assert not list(session.cookie_jar)
    assert asked == ["/moved"]
