"""The snapshot of a daemon with a real machine: what renderers make of it, and what it costs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

import pytest

from esp.ipc.counters import CounterBlock
from esp.packet.drop_reasons import Drop
from ikepy import __version__
from ikepy.control.client import Message
from ikepy.control.queries import ike_sas
from ikepy.daemon.control import status
from ikepy.daemon.control.snapshot import EVERYTHING, Section, Snapshot
from ikepy.daemon.control.take_snapshot import Sources, take
from ikepy.daemon.credentials.certificate_state import CertificateState
from ikepy.daemon.device.devices import DeviceTable
from ikepy.daemon.effects.children import ChildTable
from ikepy.daemon.probe.prober import ProbeState
from ikepy.daemon.probe.target import Loss
from ikepy.daemon.vici.message import Decoded, decode, encode
from ikepy.daemon.vici.packets import event
from ikepy.daemon.vici.sections import Reqids, list_conn, list_sa
from ikepy.sa.api.commands import Initiate, Rekey
from ikepy.sa.api.path import Endpoint
from ikepy.sa.api.snapshot import Waiting
from tests.exchange.network import ADDRESS_A, Network, Options
from tests.unit.daemon.fakes import FakeNetwork, FakeTun

from .renderers import metrics

OPTIONS = Options(
    more="""
[pools.users]
addrs = "10.3.0.0/24"
[connections.ab.children.second]
local_ts = ["10.8.0.0/24"]
remote_ts = ["10.9.0.0/24"]
start_action = "trap"
[connections.ab.vti]
addresses = ["10.0.0.1/30"]
""",
)


class FakeWorkers:
    """Two slots, of which the first has a process: this one."""

    workers = 2

    def __init__(self) -> None:
        self.block = CounterBlock.create(4)

    def counters(self, slot: int) -> CounterBlock | None:
        return None if slot else self.block

    def pid(self, slot: int) -> int | None:
        return None if slot else os.getpid()

    def starts(self, slot: int) -> int:
        return 0 if slot else 3


@pytest.fixture
def workers() -> Iterator[FakeWorkers]:
    workers = FakeWorkers()
    with workers.block:
        yield workers


@pytest.fixture
def net() -> Network:
    net = Network(OPTIONS, OPTIONS)
    net.command("a", Initiate("ab", "net"))
    net.run(100)
    return net


@pytest.fixture
def sources(net: Network, workers: FakeWorkers) -> Iterator[Sources]:
    """Of site a."""
    devices = DeviceTable(net.a.config, 2, FakeTun, FakeNetwork())
    devices.open()
    children = ChildTable(2, 4)
    for effect in net.a.plane.outbound.values():
        child = children.add(effect.child_id, devices.of("ab"), effect.suite, effect.child)
        workers.block.clear(child.counter, child.child_id)
        devices.child_up(effect.child_id, "ab", effect.ts_remote, effect.path, effect.encap, effect.suite)
    yield Sources(
        machine=net.a.manager,
        devices=devices,
        children=children,
        workers=workers,
        listeners=lambda: [Endpoint(ADDRESS_A, 500), Endpoint(ADDRESS_A, 4500)],
        unserved=net.a.manager.counters,
        clock=lambda: net.now,
        started_at=1.0e9,
    )
    devices.close()


def test_metrics(sources: Sources, workers: FakeWorkers) -> None:
    block = workers.block
    block.count_in(0, 7, 1000, 1.0e9)
    block.drop(Drop.LOOP, 5)
    found = metrics(take(sources))
    ab = 'connection="ab"'
    assert found["ikepy_start_time_seconds"] == 1.0e9
    assert found[f'ikepy_build_info{{version="{__version__}"}}'] == 1
    assert found[f'ikepy_child_up{{{ab},child="net"}}'] == 1
    assert found[f'ikepy_child_up{{{ab},child="second"}}'] == 0
    assert 99 < found[f'ikepy_ike_sa_age_seconds{{{ab},ike_id="1"}}'] < 100
    assert found[f'ikepy_child_in_bytes_total{{{ab},ike_id="1",child="net"}}'] == 1000
    assert found[f'ikepy_worker_drops_total{{worker="0",reason="{Drop.LOOP.text}"}}'] == 5
    (device,) = (name for name in found if name.startswith("ikepy_device_routes"))
    assert found[device] == 1
    assert found['ikepy_worker_up{worker="0"}'] == 1 and found['ikepy_worker_up{worker="1"}'] == 0
    assert found['ikepy_worker_restarts_total{worker="0"}'] == 2
    assert found['ikepy_worker_cpu_seconds_total{worker="0"}'] > 0
    assert found['ikepy_worker_resident_bytes{worker="0"}'] > 1 << 20
    assert found[f'ikepy_listener{{address="{ADDRESS_A}",port="4500"}}'] == 1
    assert found['ikepy_unserved_total{reason="malformed messages"}'] == 0


def test_sections_as_vici_has_them(net: Network, sources: Sources) -> None:
    net.script = lambda line, nth, data: []
    net.command("a", Rekey(child="net"))
    snapshot = take(sources)
    (state,) = snapshot.ike_sas
    ((events,),) = list_sa(state, Reqids(), snapshot.at)
    name, section = events
    assert name == "ab" and isinstance(section, dict)
    children = section["child-sas"]
    assert isinstance(children, dict)
    assert section["state"] == "ESTABLISHED" and section["initiator"] == "yes"
    assert (section["local-id"], section["remote-id"]) == ("gwa", "gwb")
    assert (section["encr-alg"], section["encr-keysize"]) == ("AES_GCM_16", "128")
    assert section["dh-group"] == "CURVE_25519"
    assert section["tasks-active"] == ["CHILD_REKEY"] and "tasks-queued" not in section
    assert 0 < int(str(section["rekey-time"])) < sources.machine.config.connections["ab"].rekey_time
    child = children["net-1"]
    assert isinstance(child, dict)
    assert child["state"] == "REKEYING"
    assert child["local-ts"] == ["0.0.0.0/0"]
    assert child["install-time"] == 99 and child["reqid"] == 1


def test_our_own_keys_tell_clients_what_there_is(sources: Sources) -> None:
    """`ikepy list-sas --json`, which is made of VICI's messages, is what `/sas` has of the snapshot."""
    snapshot = take(sources)
    now = snapshot.at
    messages = [
        as_text(decode(encode(pairs)))
        for state in snapshot.ike_sas
        for pairs in list_sa(state, Reqids(), now, ours=True)
    ]
    assert ike_sas(messages) == status.sas(snapshot) != []


def test_others_get_strongswans_keys_alone(sources: Sources) -> None:
    snapshot = take(sources)
    (state,) = snapshot.ike_sas
    (pairs,) = list_sa(state, Reqids(), snapshot.at)
    (configured,) = snapshot.connections
    for ours, section in (
        (False, encode(pairs)),
        (False, encode(list_conn(configured.config).items())),
        (True, encode(list_conn(configured.config, ours=True).items())),
    ):
        assert (b"ikepy" in section) is ours


def as_text(section: Decoded) -> Message:
    """A message as clients have it."""
    made: Message = {}
    for key, value in section.items():
        if isinstance(value, dict):
            made[key] = as_text(value)
        else:
            made[key] = value.decode() if isinstance(value, bytes) else [one.decode() for one in value]
    return made


def test_many_children_come_in_several_events(net: Network, sources: Sources) -> None:
    snapshot = take(sources)
    (state,) = snapshot.ike_sas
    (child,) = state.children
    many = [replace(child, sa=replace(child.sa, child_id=number)) for number in range(2000)]
    seen: list[str] = []
    events = list(list_sa(replace(state, children=tuple(many)), Reqids(), snapshot.at))
    for pairs in events:
        assert event("list-sa", pairs)  # it is no longer than a packet may be
        ((_, section),) = pairs
        assert isinstance(section, dict) and isinstance(section["child-sas"], dict)
        seen += section["child-sas"]
    assert len(events) > 1
    assert seen == [f"net-{number}" for number in range(2000)]


def test_only_what_is_asked_for(sources: Sources) -> None:
    probe = ProbeState("ab", ip_address("10.2.0.1"), True, 0, 0, Loss(), None, None, None)
    certificate = CertificateState("ab", "CN=a", "1f", False, 2.0e9)
    sources = replace(sources, probes=lambda: [probe], certificates=lambda: [certificate])
    everything = take(sources)
    for section in Section:
        some = take(sources, {section})
        shown = {name for name in Snapshot.__slots__ if getattr(some, name)}
        assert len(shown - {"at", "unix_at", "daemon"}) == 1, section
    empty = take(sources, ())
    assert not (empty.ike_sas or empty.connections or empty.devices or empty.workers or empty.listeners)
    assert everything.connections[0].children[0].waiting is Waiting.NOTHING
    assert len(take(sources, EVERYTHING, connection="ab", ike_id=1).ike_sas) == 1
    assert not take(sources, EVERYTHING, ike_id=2).ike_sas


def test_problems_of_devices(sources: Sources) -> None:
    (device,) = sources.devices
    assert take(sources).devices[0].problems == ()
    device.down = device.unserved = True
    told = take(sources).devices[0].problems
    assert told == (device.lacks, "it was taken down by others")


def test_a_child_that_no_worker_knows(sources: Sources) -> None:
    (state,) = take(replace(sources, children=ChildTable(2, 4))).ike_sas
    (child,) = state.children
    assert child.device is None and child.traffic.in_bytes == 0
