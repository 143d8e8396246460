"""Which of the host's own packets lead into a device, from its configuration to its removal."""

from __future__ import annotations

import errno
from ipaddress import ip_address

import pytest

from ikepy.config.model import Config
from ikepy.config.toml_source import parse
from tests.unit.daemon.device.test_devices import Bed
from tests.unit.daemon.fakes import NETS
from tun.netlink import RouteError
from tun.steering import HostFlow

PEER, OURS = ip_address("192.0.2.2"), ip_address("192.0.2.1")


def configuration(
    local: str, remote: str, *, remote_addrs: str = "192.0.2.2", mode: str = "transport"
) -> Config:
    return parse(f"""
[connections.a]
local_addrs = ["192.0.2.1"]
remote_addrs = ["{remote_addrs}"]
[connections.a.children.net]
mode = "{mode}"
local_ts = ["{local}"]
remote_ts = ["{remote}"]
[connections.a.vti]
name = "vti-a"
[secrets.ike-a]
secret = "LzU0vX3nRkq9TfWm7cYh"
""")


@pytest.mark.parametrize(
    ("local", "remote", "flow"),
    [
        ("0.0.0.0/0[gre]", "0.0.0.0/0[gre]", HostFlow(PEER, 47, source=OURS)),
        ("dynamic", "192.0.2.2/32[gre]", HostFlow(PEER, 47, source=OURS)),
        ("0.0.0.0/0", "0.0.0.0/0[udp/4789]", HostFlow(PEER, 17, 4789, 4789, source=OURS)),
        ("0.0.0.0/0[udp/1701]", "0.0.0.0/0[udp/1-499]", HostFlow(PEER, 17, 1, 499, 1701, 1701, OURS)),
        ("0.0.0.0/0[icmp]", "0.0.0.0/0[icmp]", HostFlow(PEER, 1, source=OURS)),
    ],
)
def test_by_protocol_and_ports(local: str, remote: str, flow: HostFlow) -> None:
    """From the start on, whether or not there is an SA."""
    with Bed(configuration(local, remote)) as bed:
        (flows,) = bed.network.steered.values()
        assert flows == {flow}
        bed.up(ts=())
        bed.devices.child_down(1, "a")
        (flows,) = bed.network.steered.values()
        assert flows == {flow}
    assert not bed.network.steered


@pytest.mark.parametrize(
    ("local", "remote", "mode"),
    [
        ("0.0.0.0/0[gre]", "0.0.0.0/0[gre]", "tunnel"),
        ("0.0.0.0/0[gre]", "192.0.2.3/32[gre]", "transport"),
        ("0.0.0.0/0[tcp]", "0.0.0.0/0[gre]", "transport"),
    ],
    ids=["tunnel mode", "another address than the peer's", "two protocols"],
)
def test_others_are_not_led(local: str, remote: str, mode: str) -> None:
    with Bed(configuration(local, remote, mode=mode)) as bed:
        assert not any(bed.network.steered.values())


def test_a_peer_of_unknown_address_once_it_is_there() -> None:
    with Bed(configuration("0.0.0.0/0[gre]", "0.0.0.0/0[gre]", remote_addrs="%any")) as bed:
        assert not any(bed.network.steered.values())
        bed.up(ts=NETS)
        (flows,) = bed.network.steered.values()
        assert {flow.protocol for flow in flows} == {47}
        bed.devices.child_down(1, "a")
        assert not any(bed.network.steered.values())


def lost(bed: Bed, *, makes: bool = True) -> None:
    """Somebody deletes the device; it is made again, unless the kernel refuses its configuration."""
    device = bed.devices.of("a")
    bed.tuns.clear()
    bed.devices.lost(device)
    assert device.steered, "what is sent is still refused"
    if makes:
        bed.devices.make_again(device)
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bed.network, "mend", refuse)
        with pytest.raises(RouteError):
            bed.devices.make_again(device)


def refuse(*_: object, **__: object) -> None:
    raise RouteError("refused", errno.ENOBUFS)


def test_rules_lead_into_the_device_that_there_is_at_last() -> None:
    """Those of each one before it are gone, also of one that came to nothing."""
    with Bed(configuration("0.0.0.0/0[gre]", "0.0.0.0/0[gre]")) as bed:
        lost(bed, makes=False)
        lost(bed)
        steered = {index for index, flows in bed.network.steered.items() if flows}
        assert steered == {bed.devices.of("a").index} == bed.devices.of("a").steered


def test_rules_of_former_devices_that_the_kernel_keeps_go_later(monkeypatch: pytest.MonkeyPatch) -> None:
    with Bed(configuration("0.0.0.0/0[gre]", "0.0.0.0/0[gre]")) as bed:
        device = bed.devices.of("a")
        before, steer = device.index, bed.network.steer

        def steer_this(index: int, flows: frozenset[HostFlow]) -> None:
            if index == before:
                refuse()
            steer(index, flows)

        with monkeypatch.context() as patch:
            patch.setattr(bed.network, "steer", steer_this)
            lost(bed)
        assert device.unsteered
        assert bed.network.steered[before]
        bed.devices.mend(device)
        assert not device.unsteered
        assert not bed.network.steered[before]


def test_rules_go_with_a_device_that_is_away() -> None:
    with Bed(configuration("0.0.0.0/0[gre]", "0.0.0.0/0[gre]")) as bed:
        device = bed.devices.of("a")
        bed.devices.lost(device)
        bed.devices.remove(device)
        assert not any(bed.network.steered.values())
