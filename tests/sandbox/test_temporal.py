"""The embedded Temporal server answers, keeps its state across SIGKILL, and shows its Web UI."""

import asyncio
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from sandbox.services import linux
from sandbox.services.ports import PortTakenError, free_port
from sandbox.services.temporal import TemporalServer, time_skipping_server_path

pytestmark = pytest.mark.stack


async def client_of(server: TemporalServer) -> Client:
    return await Client.connect(server.address, namespace=server.namespace)


async def test_state_survives_sigkill_and_restart_and_no_process_stays(tmp_path: Path) -> None:
    server = TemporalServer(tmp_path, headless=True)
    await server.start()
    try:
        address = server.address
        client = await client_of(server)
        await client.start_workflow("Waiting", id="loan-1", task_queue="nobody-listens")
        await server.kill()
        await server.start()
        assert server.address == address
        described = await (await client_of(server)).get_workflow_handle("loan-1").describe()
        assert described.workflow_type == "Waiting"
        await server.restart()
        described = await (await client_of(server)).get_workflow_handle("loan-1").describe()
        assert described.status is not None
        process = linux.seen(server.process.pid)
        assert process is not None
    finally:
        await server.stop()
    assert not linux.is_alive(process)
    assert not list((tmp_path / "processes").iterdir())


async def test_web_ui_knows_the_codec_and_the_search_attributes_are_there(tmp_path: Path) -> None:
    codec = "http://127.0.0.1:9/codec"
    server = TemporalServer(tmp_path, codec_endpoint=codec, search_attributes={"Lane": "Keyword"})
    await server.start()
    try:
        client = await client_of(server)
        assert [w async for w in client.list_workflows("Lane = 'fast'")] == []
        with pytest.raises(RPCError, match="NoSuchLane"):
            assert [w async for w in client.list_workflows("NoSuchLane = 'fast'")] == []
        async with httpx.AsyncClient(trust_env=False) as web:
            assert server.ui_url is not None
            assert (await web.get(server.ui_url)).status_code == 200
            settings = (await web.get(f"{server.ui_url}/api/v1/settings")).json()
        assert settings["Codec"]["Endpoint"] == codec
    finally:
        await server.stop()


async def test_a_taken_port_is_refused_before_anything_starts(tmp_path: Path) -> None:
    port = free_port()
    taker = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", port)
    async with taker:
        with pytest.raises(PortTakenError, match="CAAS_TEMPORAL_PORT"):
            await TemporalServer(tmp_path, port=port, headless=True).start()
        with pytest.raises(PortTakenError, match="CAAS_TEMPORAL_UI_PORT"):
            await TemporalServer(tmp_path, ui_port=port).start()
    assert not (tmp_path / "temporal").exists()


async def test_the_time_skipping_server_is_the_installed_one() -> None:
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(time_skipping_server_path())
    ) as environment:
        before = await environment.get_current_time()
        await environment.sleep(timedelta(days=30))
        assert await environment.get_current_time() - before >= timedelta(days=30)
