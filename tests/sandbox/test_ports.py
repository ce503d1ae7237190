"""Ports are free when handed out, and a taken one is refused with its owner and its setting."""

import os
import socket
from pathlib import Path

import pytest

from sandbox.services.ports import (
    NotAPortError,
    PortTakenError,
    claim_port,
    free_port,
    port_number,
)
from sandbox.stack import StackOptions


def test_a_taken_port_is_told_with_its_owner_and_the_setting_that_moves_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        expected = rf"port {port} is taken by .* \(pid {os.getpid()}\).*CAAS_TEMPORAL_PORT"
        with pytest.raises(PortTakenError, match=expected):
            claim_port(port, "CAAS_TEMPORAL_PORT")


def test_a_port_taken_on_every_address_is_refused_too() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server, pytest.raises(PortTakenError):
        claim_port(server.getsockname()[1], "CAAS_CHAIN_PORT")


def test_a_free_configured_port_is_kept() -> None:
    port = free_port()
    assert claim_port(port, "CAAS_CHAIN_PORT") == port


def test_free_ports_differ_and_are_never_the_near_end_of_an_outgoing_connection() -> None:
    ephemeral = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    assert all(port < int(ephemeral[0]) for port in ports)


@pytest.mark.parametrize(
    "text", ["abc", "0", "-1", "65536", "70000", "8000.0", " 80", "٨٠", "9" * 5000]
)
def test_what_is_no_port_is_refused_with_its_setting(text: str) -> None:
    with pytest.raises(NotAPortError, match=r"CAAS_API_PORT: .* is not a port"):
        StackOptions.ports_from({"CAAS_API_PORT": text})


def test_ports_are_read_from_the_environment_and_an_empty_one_is_any() -> None:
    assert port_number("65535", "CAAS_API_PORT") == 65535
    ports = StackOptions.ports_from({"CAAS_TEMPORAL_UI_PORT": "8233", "CAAS_CHAIN_PORT": ""})
    assert ports == {"TEMPORAL_UI": 8233}
