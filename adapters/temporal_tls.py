"""What the Temporal client is told of TLS: read from files, and tried before anything starts."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from temporalio.service import TLSConfig

from models.domain.errors import Permanent

_SETTINGS: Final = "CAAS_TEMPORAL__TLS__"


def read_tls(
    ca_path: Path | None,
    certificate_path: Path | None,
    key_path: Path | None,
    server_name: str | None,
) -> TLSConfig:
    """The client's TLS; raises Permanent with the name of the setting whose file is no good.

    The client itself would find out at its first call, and take the server for away.
    """
    trial = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authorities = _read("ca_path", ca_path)
    if ca_path is not None:
        try:
            trial.load_verify_locations(ca_path)
        except ssl.SSLError as error:
            raise _wrong("ca_path", "holds no certificate") from error
    certificate, key = _read("certificate_path", certificate_path), _read("key_path", key_path)
    if certificate_path is not None:
        try:
            trial.load_cert_chain(certificate_path, key_path, lambda: "")
        except (ssl.SSLError, ValueError) as error:
            raise _wrong("certificate_path", "is no certificate of key_path") from error
    return TLSConfig(
        server_root_ca_cert=authorities,
        client_cert=certificate,
        client_private_key=key,
        domain=server_name,
    )


def _read(field: str, path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise _wrong(field, type(error).__name__) from error


def _wrong(field: str, reason: str) -> Permanent:
    return Permanent("SETTING_WRONG", f"{_SETTINGS}{field.upper()}: {reason}")
