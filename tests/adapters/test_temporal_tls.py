"""The Temporal client by TLS and with a certificate of its own: real handshakes.

The server is the sandbox's, behind a door that speaks TLS; it sees who came in.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from adapters.temporal import connect
from adapters.temporal_tls import read_tls
from adapters.vault import Keyring, new_key
from models.domain.errors import Unavailable
from sandbox.stack import Stack
from tests.certificates import Authority

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.found(tmp_path_factory.mktemp("tls") / "ours", "ours")


@asynccontextmanager
async def door(stack: Stack, ours: Authority) -> AsyncIterator[str]:
    """The address of a door to the sandbox's Temporal that asks for a certificate of ours."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*ours.sign("temporal"))
    context.load_verify_locations(ours.path)
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])
    host, _, port = stack.temporal.address.rpartition(":")

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def enter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pipe(reader, behind[1]), pipe(behind[0], writer))

    server = await asyncio.start_server(enter, "127.0.0.1", 0, ssl=context)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_who_shows_a_certificate_is_served(stack: Stack, ours: Authority) -> None:
    async with door(stack, ours) as address:
        tls = read_tls(ours.path, *ours.sign("worker"), None)
        client = await connect(
            address, stack.temporal.namespace, Keyring({"v1": new_key()}), tls=tls
        )
        assert await client.service_client.check_health()


@pytest.mark.parametrize("how", ["plainly", "without a certificate", "trusting another authority"])
async def test_who_does_not_is_refused(
    stack: Stack, ours: Authority, tmp_path_factory: pytest.TempPathFactory, how: str
) -> None:
    certificate = ours.sign("worker")
    match how:
        case "plainly":
            tls = None
        case "without a certificate":
            tls = read_tls(ours.path, None, None, None)
        case _:
            other = Authority.found(tmp_path_factory.mktemp("tls") / "other", "other")
            tls = read_tls(other.path, *certificate, None)
    async with door(stack, ours) as address:
        with pytest.raises(Unavailable, match="TEMPORAL_UNAVAILABLE"):
            await connect(address, stack.temporal.namespace, Keyring({"v1": new_key()}), tls=tls)
