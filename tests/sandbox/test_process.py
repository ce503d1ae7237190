"""A supervised child starts, is ended as a whole, and never outlives the run that started it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandbox.services import linux
from sandbox.services.process import (
    RUN_ID,
    EarlyExitError,
    ManagedProcess,
    NotReadyInTimeError,
    while_running,
)

ROOT = Path(__file__).resolve().parents[2]
SLEEPER = [sys.executable, "-S", "-c", "import time; print('up', flush=True); time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-S",
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True);"
    "time.sleep(600)",
]
# A parent whose child leaves the process group, as a PostgreSQL backend does.
PARENT = [
    sys.executable,
    "-S",
    "-c",
    "import subprocess, time, sys; c = subprocess.Popen(['sleep', '600'], start_new_session=True);"
    "print('child', c.pid, flush=True); time.sleep(600)",
]


async def never() -> bool:
    return False


@pytest.fixture
async def started() -> AsyncIterator[list[ManagedProcess]]:
    """Whatever a test adds here is gone after it."""
    processes: list[ManagedProcess] = []
    yield processes
    for process in processes:
        await process.kill()


async def start(
    name: str, argv: list[str], state_dir: Path, started: list[ManagedProcess], **more: object
) -> ManagedProcess:
    process = ManagedProcess(name, argv, state_dir=state_dir, **more)  # type: ignore[arg-type]
    started.append(process)
    await process.start()

    async def spoke() -> bool:
        return bool(process.log_tail())

    await process.ready(spoke, timeout_s=60)
    return process


async def test_leads_its_own_session_and_is_written_down(tmp_path: Path, started) -> None:
    process = await start("sleeper", SLEEPER, tmp_path, started)
    record = json.loads((tmp_path / "processes/sleeper.json").read_text())
    assert os.getsid(process.pid) == process.pid
    assert record["pid"] == process.pid
    assert linux.has_environment(process.pid, "CAAS_RUN_ID", RUN_ID)


async def test_terminate_lets_it_end_in_order_and_strikes_it_from_the_list(
    tmp_path: Path, started
) -> None:
    process = await start("sleeper", SLEEPER, tmp_path, started)
    await process.terminate()
    assert process.returncode == -signal.SIGTERM
    assert not list((tmp_path / "processes").iterdir())


async def test_terminate_insists_when_the_signal_is_ignored(tmp_path: Path, started) -> None:
    process = await start("stubborn", STUBBORN, tmp_path, started, grace_s=0.2)
    await process.terminate()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("end", ["terminate", "kill"])
async def test_a_child_in_a_session_of_its_own_goes_too(tmp_path: Path, started, end: str) -> None:
    process = await start("parent", PARENT, tmp_path, started)
    child = linux.seen(int(process.log_tail().split()[-1]))
    assert child is not None
    await getattr(process, end)()
    assert not linux.is_alive(child)


async def test_killed_from_outside_it_can_be_started_again(tmp_path: Path, started) -> None:
    process = await start("sleeper", SLEEPER, tmp_path, started)
    os.kill(process.pid, signal.SIGKILL)
    assert await process.wait_exit(timeout_s=60) == -signal.SIGKILL
    await process.start()
    assert process.running


async def test_early_exit_is_told_with_the_last_log_lines(tmp_path: Path, started) -> None:
    argv = [sys.executable, "-S", "-c", "import sys; sys.exit('the disk is on fire')"]
    process = ManagedProcess("burning", argv, state_dir=tmp_path)
    started.append(process)
    await process.start()
    with pytest.raises(EarlyExitError, match=r"burning ended with code 1.*\nthe disk is on fire"):
        await process.ready(never, timeout_s=60)


async def test_a_program_that_does_not_exist_is_named(tmp_path: Path, started) -> None:
    process = ManagedProcess("absent", ["/no/such/program"], state_dir=tmp_path)
    started.append(process)
    await process.start()
    with pytest.raises(EarlyExitError, match="/no/such/program: No such file"):
        await process.ready(never, timeout_s=60)


async def test_a_silent_process_is_given_up_on(tmp_path: Path, started) -> None:
    process = await start("sleeper", SLEEPER, tmp_path, started)
    with pytest.raises(NotReadyInTimeError, match=r"did not answer within 0\.1 s"):
        await process.ready(never, timeout_s=0.1)


async def test_waiting_ends_when_a_needed_process_does_with_its_name_and_log(
    tmp_path: Path, started
) -> None:
    living = await start("living", SLEEPER, tmp_path, started)
    doomed = await start("doomed", SLEEPER, tmp_path, started)
    forever = asyncio.Event()
    waiting = asyncio.create_task(while_running(lambda: [living, doomed], forever.wait()))
    os.kill(doomed.pid, signal.SIGKILL)
    with pytest.raises(EarlyExitError, match=r"doomed ended with code -9; .*logs/doomed\.log"):
        await asyncio.wait_for(waiting, timeout=60)
    assert living.running


async def test_work_that_fails_because_a_process_ended_is_told_as_its_end(
    tmp_path: Path, started
) -> None:
    doomed = await start("doomed", SLEEPER, tmp_path, started)

    async def work() -> None:
        os.kill(doomed.pid, signal.SIGKILL)
        raise ConnectionResetError

    with pytest.raises(EarlyExitError, match="doomed ended") as ended:
        await while_running(lambda: [doomed], work())
    assert isinstance(ended.value.__cause__, ConnectionResetError)


async def test_work_beside_living_processes_ends_as_it_ends(tmp_path: Path, started) -> None:
    living = await start("living", SLEEPER, tmp_path, started)

    async def succeed() -> int:
        return 7

    async def fail() -> None:
        raise ZeroDivisionError

    assert await while_running(lambda: [living], succeed()) == 7
    with pytest.raises(ZeroDivisionError):
        await while_running(lambda: [living], fail())


async def test_dies_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys, time; from pathlib import Path\n"
        "from sandbox.services.process import ManagedProcess\n"
        "p = ManagedProcess('sleeper', ['sleep', '600'], state_dir=Path(sys.argv[1]))\n"
        "asyncio.run(p.start()); print(p.pid, flush=True); time.sleep(600)\n"
    )
    supervisor = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert supervisor.stdout is not None
    with supervisor:
        child = linux.seen(int(supervisor.stdout.readline()))
        assert child is not None
        # Until it has become the real program it may still decide by itself to stay away.
        async with asyncio.timeout(60):
            while linux.command_name(child.pid) != "sleep":
                await asyncio.sleep(0.02)
        supervisor.kill()
    async with asyncio.timeout(60):
        while linux.is_alive(child):
            await asyncio.sleep(0.02)
