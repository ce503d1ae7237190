"""Counterparties as they really run: processes of their own, killed and started again."""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from sandbox.services.ports import free_port

ROOT = Path(__file__).parents[3]

CONFIGS = {
    "identity_vendor": {"api_key": "k", "callback_secret": "whsec_" + "A" * 32},
    "bureau": {"api_key": "k"},
    "notifier": {"api_key": "k"},
    "bank": {"client_id": "c", "client_secret": "s", "lender_private_key": "0x" + "11" * 32},
    "fintech": {"api_key": "k", "signing_secret": "s", "lender_private_key": "0x" + "11" * 32},
    "pool_underwriter": {
        "api_key": "k",
        "underwriter_private_key": "0x" + "11" * 32,
        "rpc_url": "http://127.0.0.1:9",
        "pool": "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    },
}


class Running:
    """One counterparty's process."""

    def __init__(self, name: str, directory: Path) -> None:
        port = free_port()
        config, self.log = directory / f"{name}.json", directory / f"{name}.jsonl"
        config.write_text(json.dumps(CONFIGS[name]))
        command = [sys.executable, "-m", f"sandbox.counterparties.{name}", "--port", str(port)]
        command += ["--host", "127.0.0.1", "--config", str(config), "--log", str(self.log)]
        self.process = subprocess.Popen(command, cwd=ROOT)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)
        self._wait()

    def _wait(self) -> None:
        for _ in range(600):
            assert self.process.poll() is None
            try:
                if self.client.get("/healthz").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        pytest.fail("not ready within half a minute")

    def end(self, how: signal.Signals) -> None:
        self.process.send_signal(how)
        self.process.wait(timeout=180)
        self.client.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Running]]:
    running: list[Running] = []

    def begin(name: str) -> Running:
        running.append(Running(name, tmp_path))
        return running[-1]

    yield begin
    for each in running:
        if each.process.poll() is None:
            each.end(signal.SIGKILL)


@pytest.mark.parametrize("name", CONFIGS)
def test_starts_from_the_command_line_and_ends_on_request(start, name: str) -> None:
    running = start(name)
    running.end(signal.SIGTERM)
    assert running.process.returncode in (0, -signal.SIGTERM)


def test_a_wrong_setting_stops_the_start_without_telling_secrets(tmp_path: Path) -> None:
    secret = secrets.token_hex(8)
    (tmp_path / "c.json").write_text(json.dumps({**CONFIGS["bank"], "lender_private_key": secret}))
    command = [sys.executable, "-m", "sandbox.counterparties.bank", "--port", "1"]
    command += ["--config", str(tmp_path / "c.json"), "--log", str(tmp_path / "l.jsonl")]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode != 0
    assert "lender_private_key" in done.stderr
    assert secret not in done.stderr


def test_a_killed_bureau_bills_a_report_once(start) -> None:
    request = {
        "person": {
            "national_id": "900-00-0001",
            "names": {"given": "Zelda", "family": "Quillfeather"},
            "born_on": "1990-04-05",
        },
        "purpose": "credit_application",
    }
    headers = {"x-api-key": "k", "idempotency-key": "app_1:bureau"}
    answers = []
    for _ in range(2):
        running = start("bureau")
        answer = running.client.post("/v1/reports", json=request, headers=headers)
        answers.append(answer.json())
        running.end(signal.SIGKILL)
    assert answers[0] == answers[1]
    lines = [json.loads(line) for line in running.log.read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["request", "effect", "request"]
    assert lines[2]["attempt"] == 2
