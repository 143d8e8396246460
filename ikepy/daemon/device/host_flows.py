"""The host's own packets that lead into a device: those of children in transport mode (`tun.steering`)."""

from __future__ import annotations

from esp.packet.selectors import Selector
from ikepy.config.model import Child
from ikepy.daemon.device.vti_device import VtiDevice
from ikepy.sa.api.path import Address
from tun.steering import ALL_PORTS, HostFlow

WITH_PORTS = frozenset({6, 17, 33, 132})  # TCP, UDP, DCCP, SCTP: whose ports a rule can have


def host_flows(device: VtiDevice) -> frozenset[HostFlow]:
    """The flows to the peers of a device. Those whose addresses are configured have them whether or not there
    is an SA, so that nothing leaves in the clear; others while they have a child."""
    return frozenset(
        flow
        for child in device.connection.children.values()
        if child.transport
        for remote, own in device.peers.items()
        for flow in _flows(child, remote, own)
    )


def _flows(child: Child, remote: Address, own: Address | None) -> list[HostFlow]:
    ours = [one for one in child.local_selectors(remote) if one.version == remote.version]
    theirs = [one for one in child.remote_selectors(remote) if _holds(one, remote)]
    return [
        HostFlow(remote, protocol, *_ports(protocol, one), *_ports(protocol, mine), source=own)
        for one in theirs
        for mine in ours
        if (protocol := one.protocol or mine.protocol) and mine.protocol in (0, protocol)
    ]


def _holds(selector: Selector, address: Address) -> bool:
    return selector.version == address.version and selector.first <= int(address) <= selector.last


def _ports(protocol: int, selector: Selector) -> tuple[int, int]:
    return (selector.first_port, selector.last_port) if protocol in WITH_PORTS else ALL_PORTS
