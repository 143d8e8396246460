"""The whole control process on the loopback: a fake machine, fake devices, everything else real."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from esp.ipc.messages import Message, SetTfcPadding
from ikepy.control.client import RefusedError
from ikepy.daemon.errors import StartError
from ikepy.daemon.net import served_addresses
from ikepy.daemon.workers.pool import WorkerPool
from ikepy.sa.api.commands import LocalAddressesChanged, Shutdown
from ikepy.sa.api.effects import Outcome, Send
from ikepy.sa.api.path import Address, Endpoint
from ikepy.sa.api.path import Path as IkePath
from tests.unit.daemon.bed import LOOPBACK, Bed, run
from tests.unit.daemon.fakes import ike_info, inbound, outbound
from tun.watch import Changes

TOLD = f"request {LocalAddressesChanged((LOOPBACK,))}"


def test_messages_go_in_and_out(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(type=socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            peer.setblocking(False)
            remote = Endpoint(LOOPBACK, peer.getsockname()[1])
            path = IkePath(Endpoint(LOOPBACK, bed.ports[0]), remote)
            bed.answers = {"receive 01": [Send(path, b"\x02")]}
            await loop.sock_sendto(peer, b"\x01", ("127.0.0.1", bed.ports[0]))
            assert await loop.sock_recv(peer, 100) == b"\x02"
        assert bed.machine.calls == [TOLD, "start", f"receive 01 {path}"]
        assert bed.spi % 2 == 0  # the connection's slot

    run(Bed(control), scenario)


def test_the_last_words_are_a_shutdown(control: Path) -> None:
    bed = Bed(control)

    async def scenario(bed: Bed) -> None:
        pass

    run(bed, scenario)
    assert bed.machine.calls == [TOLD, "start", f"request {Shutdown()}"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_a_second_one_at_once(control: Path, number: signal.Signals) -> None:
    bed = Bed(control)

    async def scenario(bed: Bed) -> None:
        bed.machine.sas = [ike_info(1)]  # a peer that never answers the delete
        os.kill(os.getpid(), number)
        while f"request {Shutdown()}" not in bed.machine.calls:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    start = time.monotonic()
    run(bed, scenario)  # stops it a second time
    assert time.monotonic() - start < 4


def test_a_peer_that_does_not_answer_is_not_waited_for_long(control: Path) -> None:
    bed = Bed(control)
    bed.machine.sas = [ike_info(1)]
    begin: list[float] = []

    async def scenario(bed: Bed) -> None:
        begin.append(time.monotonic())

    run(bed, scenario)
    assert 3.9 < time.monotonic() - begin[0] < 15


def test_a_worker_that_dies_is_told_to_the_machine_as_lost_children(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        bed.answers = {"request Initiate": [inbound(), outbound(), Outcome(1, True, "up")]}
        await bed.ask("initiate", child="net")
        assert bed.tuns[0].carrier is True
        (pid,) = _children_of(os.getpid())
        os.kill(pid, signal.SIGKILL)
        while bed.tuns[0].carrier:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert bed.machine.calls[-1] == "request ChildrenLost(child_ids=(1,))"

    run(Bed(control), scenario)


def test_another_mtu_is_told_to_the_worker(control: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Message] = []
    monkeypatch.setattr(WorkerPool, "send", lambda pool, slot, message: told.append(message))

    async def scenario(bed: Bed) -> None:
        bed.answers = {
            "request Initiate": [inbound(), replace(outbound(), tfc_padding="mtu"), Outcome(1, True, "up")]
        }
        await bed.ask("initiate", child="net")
        bed.network.uplink = 1400
        bed.watches[0].changed(Changes(all=True))
        while not isinstance(told[-1], SetTfcPadding):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert told[-1] == SetTfcPadding(1, bed.network.mtus["vti-a"])

    run(Bed(control), scenario)


def _children_of(pid: int) -> list[int]:
    """The workers among them: other tests may have left processes of their own."""
    children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [child for child in children if b"worker_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def test_list_sas(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        bed.answers = {"request Initiate": [inbound(5), Outcome(1, True, "up")]}
        await bed.ask("initiate", child="net")
        bed.machine.sas = [ike_info(1, 5, 6)]
        (sa,) = await bed.list_sas()
        assert len(await bed.list_sas(ike="a")) == 1
        assert (sa["connection"], sa["ike_id"], sa["state"]) == ("a", 1, "ESTABLISHED")
        assert (sa["local"], sa["spi_i"]) == ("192.0.2.1[500]", "01" * 8)
        assert sa["established"] is not None and sa["established"] >= 0
        installed, unknown = sa["children"]
        assert (installed["device"], unknown["device"]) == ("vti-a", None)
        assert (installed["spi_in"], installed["suite"]) == ("00001000", "AES_GCM_16_128")
        assert (installed["in_packets"], installed["in_last"], installed["drops"]) == (0, None, {})
        assert installed["ts_local"] == ["10.2.0.0/24"]
        bed.machine.sas = []

    run(Bed(control), scenario)


def test_list_conns_shows_no_secret(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        (found,) = await bed.list_conns()
        assert found["name"] == "a"
        assert found["remote"] == {"auth": "psk", "id": "%any"}
        assert found["children"][0]["remote_ts"] == ["10.2.0.0/24", "fd02::/64"]
        assert found["proposals"] == ["AES_GCM_16_128/PRF_HMAC_SHA2_256/CURVE_25519"]
        assert found["vti"]["routes"] is None

    run(Bed(control), scenario)


def test_counters_name_control_worker_and_device(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        ours = ("stray ESP packets lost", "strangers' messages lost", "strangers' key exchanges not begun")
        lines = ("log lines lost", "log lines summed up")
        control_plane = {"cookies asked for": 3, **dict.fromkeys((*ours, *lines), 0)}
        assert await bed.drops() == {"control": control_plane, "worker 0 (vti-a)": {}}

    run(Bed(control), scenario)


def test_names_that_there_are_not(control: Path) -> None:
    """Our own list-sas is told what there is, where strongSwan's says nothing."""

    async def scenario(bed: Bed) -> None:
        with pytest.raises(RefusedError, match="no connection 'b' is configured; there is a"):
            await bed.list_sas(ike="b")
        assert await bed.list_sas(ike="a") == []
        assert "no child 'other' is configured" in await bed.fails("initiate", child="other")

    run(Bed(control), scenario)


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        ({"vti": {"name": "lo"}}, r"^connections\.a\.vti\.name: a device lo exists already"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_opened(
    control: Path, keys: dict[str, Any], error: str
) -> None:
    bed = Bed(control, **keys)
    with pytest.raises(StartError, match=error):
        asyncio.run(bed.daemon.serve())
    assert bed.tuns == []
    assert list(control.parent.iterdir()) == []


def test_a_port_in_use_leaves_nothing_behind(control: Path) -> None:
    bed = Bed(control)
    with socket.socket(type=socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", bed.ports[1]))
        with pytest.raises(StartError, match="in use"):
            asyncio.run(bed.daemon.serve())
    assert bed.tuns == []
    assert not control.exists()


def test_a_second_daemon_on_the_socket_is_refused(control: Path) -> None:
    async def scenario(bed: Bed) -> None:
        with pytest.raises(
            StartError,
            match=rf"^already running \(pid {os.getpid()}, socket {control}\); a second .*--socket",
        ):
            await Bed(control).daemon.serve()

    run(Bed(control), scenario)


@pytest.mark.parametrize("pattern", ["127.9.9.9", "127.9.9.0/24"])
def test_an_address_that_is_not_there_yet_is_waited_for(
    control: Path, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is listened on until it comes; then it is served like any other."""
    late = ip_address("127.9.9.9")
    here: list[Address] = []
    real = served_addresses.is_ours
    monkeypatch.setattr(
        served_addresses, "is_ours", lambda address: real(address) and (address != late or late in here)
    )

    async def scenario(bed: Bed) -> None:
        assert bed.machine.calls == [f"request {LocalAddressesChanged(())}", "start"]
        here.append(late)
        bed.network.addresses = here
        bed.watches[0].changed(Changes(frozenset({2})))
        while "LocalAddressesChanged" not in bed.machine.calls[-1]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        with socket.socket(type=socket.SOCK_DGRAM) as squatter, pytest.raises(OSError, match="in use"):
            squatter.bind((str(late), bed.ports[0]))

    bed = Bed(control, local_addrs=[pattern])
    bed.network.addresses = []
    run(bed, scenario)


def test_any_address_means_all_that_are_usable(control: Path) -> None:
    bed = Bed(control, local_addrs=["%any"])
    bed.network.addresses = [LOOPBACK, ip_address("192.0.2.77")]

    async def scenario(bed: Bed) -> None:
        assert bed.machine.calls[-1] == "start"

    run(bed, scenario)
