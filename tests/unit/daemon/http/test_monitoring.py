"""A whole control process that answers HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ikepy.daemon import checks
from ikepy.daemon.errors import StartError
from ikepy.daemon.host_checks import mistakes
from ikepy.daemon.http import metrics
from ikepy.sa.api.events import IkeUp
from ikepy.sa.api.snapshot import ChildWait, Waiting
from tests.scraped import Scraped
from tests.unit.daemon.bed import Bed, run
from tests.unit.daemon.fakes import ike_info


@pytest.fixture
def port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        found: int = one.getsockname()[1]
        return found


async def get(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return int(head.split()[1]), body.decode()


def make_bed(control: Path, port: int, **keys: object) -> Bed:
    settings = {"http": {"listen": f"127.0.0.1:{port}", **keys}}
    bed = Bed(control, settings=settings, child={"start_action": "start"})
    bed.machine.sas = [ike_info(1, 5)]
    bed.machine.waits = [ChildWait("a", "net", Waiting.RETRY)]
    return bed


def test_every_page(control: Path, port: int) -> None:
    bed = make_bed(control, port, strongswan_names=True)
    bed.answers = {"start": [IkeUp(ike_info(1))]}

    async def scenario(bed: Bed) -> None:
        assert await get(port, "/healthz") == (200, "ok\n")
        status, text = await get(port, "/readyz")
        assert status == 503 and "a/net waits for its next try" in text
        status, text = await get(port, "/metrics")
        found = Scraped(text)
        assert status == 200
        assert found.value("ikepy_ready") == 0
        assert found.value("ikepy_children_down") == 1
        assert found.value("ikepy_ike_handshakes_total", connection="a", outcome="established") == 1
        assert found.value("strongswan_ike_status", ike_name="a", ike_id="1") == 1
        status, text = await get(port, "/sas")
        assert status == 200 and json.loads(text)[0]["connection"] == "a"
        assert (await get(port, "/"))[0] == 404
        bed.machine.sas = []  # nobody to say farewell to

    run(bed, scenario)


def test_ready_by_the_configuration_and_not_while_it_ends(control: Path, port: int) -> None:
    bed = make_bed(control, port, ready="none")

    async def scenario(bed: Bed) -> None:
        assert (await get(port, "/readyz"))[0] == 200
        bed.daemon.stop()  # its peer never answers the delete
        async with asyncio.timeout(3):
            while (await get(port, "/readyz")) != (503, "not ready: ending\n"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    run(bed, scenario)


def test_without_the_key_nothing_listens(control: Path, port: int) -> None:
    async def scenario(bed: Bed) -> None:
        with pytest.raises(ConnectionRefusedError):
            await get(port, "/healthz")

    run(Bed(control), scenario)


def test_a_missing_library_is_named(control: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "FOR_HTTP", ("h11", "nosuchlibrary"))
    bed = make_bed(control, port)
    text = (
        "needs nosuchlibrary, which this Python does not have: install ikepy with its extra "
        "\"http\" (in a clone: pip install '.[http]'), or leave the section out"
    )
    assert list(mistakes(bed.config)) == [("daemon.http", text)]
    with pytest.raises(StartError) as caught:
        asyncio.run(bed.daemon.serve())
    assert str(caught.value) == f"daemon.http: {text}"
    assert not list(mistakes(Bed(control).config))


def test_an_address_that_is_not_ours(control: Path, port: int) -> None:
    bed = Bed(control, settings={"http": {"listen": f"203.0.113.1:{port}"}})
    with pytest.raises(StartError, match=r"daemon\.http\.listen: 203\.0\.113\.1"):
        asyncio.run(bed.daemon.serve())
    assert not control.exists()


def test_a_fault_in_an_answer_costs_nothing_else(
    control: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(facts: metrics.Facts) -> list[object]:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(metrics, "families", broken)
    bed = make_bed(control, port)

    async def scenario(bed: Bed) -> None:
        assert await get(port, "/metrics") == (500, "internal fault; the log has more\n")
        assert await get(port, "/healthz") == (200, "ok\n")
        bed.machine.sas = []

    run(bed, scenario)


def test_its_libraries_are_loaded_only_where_it_is_configured() -> None:
    text = "import sys, ikepy.daemon.main; sys.exit(not {'h11', 'prometheus_client'}.isdisjoint(sys.modules))"
    subprocess.run([sys.executable, "-c", text], check=True)
