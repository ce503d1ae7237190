"""The API as a process: `python -m api`, configured by `CAAS_API__…` alone."""

from __future__ import annotations

import gc
import os
import resource
import socket
import ssl
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import uvicorn

from api.app import create_app
from api.protocol import limited
from settings import PREFIX, APISettings, APITLSSettings, WrongSetting, settings_or_exit

KEEP_ALIVE_S: Final = 15
_WEBSOCKETS: Final = "api.live.transport:LiveProtocol"


def main() -> None:
    """Serve until SIGTERM or SIGINT; what is wrong with the settings is said in one line each."""
    settings = settings_or_exit(os.environ)
    try:
        tls = tls_context(settings.api.tls) if settings.api.tls else None
    except WrongSetting as error:
        sys.exit(str(error))
    _allow_connections(settings.api.max_connections)
    server = AnnouncedServer(server_config(settings.api, tls, create_app(settings)))
    server.run()
    if not server.started:
        sys.exit(3)


class AnnouncedServer(uvicorn.Server):
    """The web server; says READY when it listens, as the workers do when they poll."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        if self.started:
            # What was loaded stays: the collector need not walk over it under somebody's request.
            gc.collect()
            gc.freeze()
            print("READY api", flush=True)


def server_config(api: APISettings, tls: ssl.SSLContext | None, app: Any) -> uvicorn.Config:
    """The web server: no banner, no word of proxies believed but ours, limits before requests."""
    return uvicorn.Config(
        app,
        host=api.host,
        port=api.port,
        http=limited(
            max_header_bytes=api.max_header_bytes,
            max_headers=api.max_headers,
            max_connections=api.max_connections,
            header_timeout_s=api.header_timeout_s,
            body_timeout_s=api.body_timeout_s,
        ),
        ws=_WEBSOCKETS,
        loop="uvloop",
        access_log=False,
        log_config=None,  # adapters/telemetry.py speaks for all
        server_header=False,
        proxy_headers=False,  # api/proxies.py decides whom to believe
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=api.shutdown_grace_s,
        ssl_context_factory=None if tls is None else lambda _config, _default: tls,
    )


def tls_context(tls: APITLSSettings) -> ssl.SSLContext:
    """TLS 1.3 or nothing; with a client CA, nobody without one of its certificates.

    Raises WrongSetting with the name of the setting whose file is no good.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    for field in ("certificate_path", "key_path", "client_ca_path"):
        path: Path | None = getattr(tls, field)
        if path is not None:
            _require(field, path)
    try:
        # A key under a password would wait for somebody to type it.
        context.load_cert_chain(tls.certificate_path, tls.key_path, lambda: "")
    except (ssl.SSLError, ValueError) as error:
        raise _wrong("key_path", "is not the key of certificate_path") from error
    if tls.client_ca_path is not None:
        try:
            context.load_verify_locations(tls.client_ca_path)
        except ssl.SSLError as error:
            raise _wrong("client_ca_path", "holds no certificate") from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _require(field: str, path: Path) -> None:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise _wrong(field, type(error).__name__) from error
    wanted = b"PRIVATE KEY-----" if field == "key_path" else b"BEGIN CERTIFICATE-----"
    if wanted not in text:
        raise _wrong(field, f"holds no {'key' if field == 'key_path' else 'certificate'} (PEM)")


def _wrong(field: str, reason: str) -> WrongSetting:
    return WrongSetting(f"{PREFIX}API__TLS__{field.upper()}: {reason}")


def _allow_connections(wanted: int) -> None:
    """As many open files as connections and some; the usual soft limit is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = wanted + 256
    if soft < enough:
        with suppress(ValueError, OSError):
            limit = enough if hard == resource.RLIM_INFINITY else min(enough, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
