"""TLS 1.3 and client certificates, by real handshakes; a wrong file stops the start by name."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from adapters.temporal_tls import read_tls
from api.server import tls_context
from models.domain.errors import Permanent
from settings import ROOT, APISettings, APITLSSettings, WrongSetting
from tests.api.serving import served
from tests.certificates import Authority


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.found(tmp_path_factory.mktemp("tls") / "ours", "ours")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.found(tmp_path_factory.mktemp("tls") / "foreign", "foreign")


def client_context(trusted: Authority, own: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=trusted.path)
    if own is not None:
        context.load_cert_chain(*own)
    return context


async def status(port: int, context: ssl.SSLContext) -> httpx.Response:
    url = f"https://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=url, verify=context, trust_env=False) as client:
        return await client.get("/healthz")


@pytest_asyncio.fixture(loop_scope="session")
async def plain_tls(app: FastAPI, ours: Authority) -> AsyncIterator[int]:
    certificate, key = ours.sign("api")
    context = tls_context(APITLSSettings(certificate_path=certificate, key_path=key))
    async with served(app, APISettings(), context) as port:
        yield port


@pytest_asyncio.fixture(loop_scope="session")
async def mutual_tls(app: FastAPI, ours: Authority) -> AsyncIterator[int]:
    certificate, key = ours.sign("api")
    context = tls_context(
        APITLSSettings(certificate_path=certificate, key_path=key, client_ca_path=ours.path)
    )
    async with served(app, APISettings(), context) as port:
        yield port


async def test_a_client_of_tls_13_is_served_and_told_to_keep_to_it(
    plain_tls: int, ours: Authority
) -> None:
    context = client_context(ours)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    answer = await status(plain_tls, context)
    assert answer.status_code == 204
    assert answer.headers["strict-transport-security"].startswith("max-age=31536000;")
    assert "server" not in answer.headers


async def test_a_client_of_tls_12_is_refused(plain_tls: int, ours: Authority) -> None:
    context = client_context(ours)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(httpx.ConnectError):
        await status(plain_tls, context)


async def test_a_client_that_speaks_plainly_is_refused(plain_tls: int) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.TransportError):
            await client.get(f"http://127.0.0.1:{plain_tls}/healthz")


async def test_a_client_with_our_certificate_is_served(mutual_tls: int, ours: Authority) -> None:
    answer = await status(mutual_tls, client_context(ours, ours.sign("client")))
    assert answer.status_code == 204


@pytest.mark.parametrize("whose", ["nobody's", "a stranger's"])
async def test_a_client_without_our_certificate_is_refused(
    mutual_tls: int, ours: Authority, foreign: Authority, whose: str
) -> None:
    own = foreign.sign("client") if whose == "a stranger's" else None
    with pytest.raises(httpx.TransportError):
        await status(mutual_tls, client_context(ours, own))


# Files that are no good.


WRONG = {
    "absent": ("CERTIFICATE_PATH: FileNotFoundError", {"certificate_path": "absent.pem"}),
    "a folder": ("KEY_PATH: IsADirectoryError", {"key_path": "."}),
    "no key": ("KEY_PATH: holds no key", {"key_path": "api.pem"}),
    "no certificate": ("CERTIFICATE_PATH: holds no cert", {"certificate_path": "api.key"}),
    "another's key": ("KEY_PATH: is not the key of", {"key_path": "other.key"}),
    "no authority": ("CLIENT_CA_PATH: holds no cert", {"client_ca_path": "api.key"}),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_file_is_named(ours: Authority, what: str) -> None:
    line, changed = WRONG[what]
    ours.sign("api")
    ours.sign("other")
    files = {"certificate_path": "api.pem", "key_path": "api.key", **changed}
    tls = APITLSSettings(**{field: ours.folder / name for field, name in files.items()})
    with pytest.raises(WrongSetting, match=f"CAAS_API__TLS__{line}"):
        tls_context(tls)


def test_a_wrong_file_stops_the_start(tmp_path: Path) -> None:
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("CAAS_")}
    started = subprocess.run(
        [sys.executable, "-m", "api"],
        cwd=ROOT,
        env={
            **inherited,
            "CAAS_MASTER_KEYS": '{"v1": "' + "A" * 43 + '="}',
            "CAAS_API__TLS__CERTIFICATE_PATH": str(tmp_path / "absent.pem"),
            "CAAS_API__TLS__KEY_PATH": str(tmp_path / "absent.key"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert started.returncode != 0
    said = started.stderr.strip().splitlines()
    assert said == ["CAAS_API__TLS__CERTIFICATE_PATH: FileNotFoundError"]


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"ca_path": "absent.pem"}, "CA_PATH: FileNotFoundError"),
        ({"ca_path": "api.key"}, "CA_PATH: holds no certificate"),
        ({"certificate_path": "api.pem", "key_path": "absent"}, "KEY_PATH: FileNotFoundError"),
        ({"certificate_path": "api.pem", "key_path": "other.key"}, "CERTIFICATE_PATH: is no"),
    ],
)
def test_a_wrong_file_for_temporal_is_named(
    ours: Authority, fields: dict[str, str], line: str
) -> None:
    ours.sign("api")
    ours.sign("other")
    paths: dict[str, Path | None] = {"ca_path": None, "certificate_path": None, "key_path": None}
    paths |= {field: ours.folder / name for field, name in fields.items()}
    with pytest.raises(Permanent, match=f"CAAS_TEMPORAL__TLS__{line}"):
        read_tls(**paths, server_name=None)


def test_temporal_is_told_what_the_files_hold(ours: Authority) -> None:
    certificate, key = ours.sign("worker")
    tls = read_tls(ours.path, certificate, key, "temporal.example.com")
    assert tls.server_root_ca_cert == ours.path.read_bytes()
    assert tls.client_cert == certificate.read_bytes()
    assert tls.client_private_key == key.read_bytes()
    assert tls.domain == "temporal.example.com"
