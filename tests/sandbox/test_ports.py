"""Ports are free when handed out, and a taken one is refused with its owner and its setting."""

import os
import socket
from pathlib import Path

import pytest

from sandbox.services.ports import PortTakenError, claim_port, free_port


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
