"""What a worker shows of itself to whoever looks from outside."""

import asyncio
from pathlib import Path

from worker import show_alive


async def test_the_file_is_there_while_the_process_is_well_and_gone_when_it_ends(
    tmp_path: Path,
) -> None:
    path, stop = tmp_path / "worker.alive", asyncio.Event()
    showing = asyncio.create_task(show_alive(path, stop))
    async with asyncio.timeout(10):
        while not path.exists():
            await asyncio.sleep(0)
        stop.set()
        await showing
    assert not path.exists()


async def test_a_file_of_an_earlier_process_is_not_left_behind(tmp_path: Path) -> None:
    path, stop = tmp_path / "worker.alive", asyncio.Event()
    path.touch()
    stop.set()
    await show_alive(path, stop)
    assert not path.exists()
