"""The MTU of a VTI: what fits into one outer packet after ESP's overhead (RFC 4303 3.3.3, RFC 3948 2.1)."""

from __future__ import annotations

from collections.abc import Iterable

from esp.sa.suites import Suite, inner_mtu, suite_for
from ikepy.config.model import Connection
from ikepy.daemon.device.configured import first_addresses
from ikepy.daemon.device.vti_device import VtiDevice
from ikepy.daemon.interfaces import NetworkConfig
from ikepy.sa.api.path import Address
from ikepy.wire.constants import TransformType
from ikepy.wire.proposal import Proposal
from tun.netlink import RouteError

ETHERNET = 1500  # octets: assumed while there is no route to the peer
SMALLEST = {4: 576, 6: 1280}  # octets: every host receives them (RFC 791), every link (RFC 8200 5)


def suites_of(proposals: Iterable[Proposal]) -> list[Suite]:
    """Every ESP suite that one of the proposals permits."""
    suites: list[Suite] = []
    for proposal in proposals:
        transforms = proposal.transforms
        integs = [t.id or None for t in transforms if t.type == TransformType.INTEG] or [None]
        for encr in (t for t in transforms if t.type == TransformType.ENCR):
            for integ in integs:
                try:
                    suites.append(suite_for(encr.id, encr.key_length, integ))
                except KeyError:
                    continue  # one cipher's integrity isn't another's: such a pair is never chosen
    return suites


def needs_ipv6(connection: Connection) -> bool:
    """Whether IPv6 packets may go through the connection's device."""
    vti = connection.vti
    used = (*vti.addresses, *vti.peers, *(route.to for route in vti.routes or ()))
    if any(one.version == 6 for one in used):
        return True
    selectors = (s for child in connection.children.values() for s in (*child.local_ts, *child.remote_ts))
    return any(not isinstance(s, str) and s.version == 6 for s in selectors)


def bounded(mtu: int, connection: Connection) -> int:
    """`mtu`, but at least what the inner IP versions need of a link: larger outer packets are fragmented."""
    return max(mtu, SMALLEST[6 if needs_ipv6(connection) else 4])


def before_child(
    connection: Connection, network: NetworkConfig, local: Address | None, remote: Address | None
) -> int:
    """The MTU to begin with, for the largest overhead of the configured proposals and UDP encapsulation."""
    suites = suites_of(p for child in connection.children.values() for p in child.esp_proposals)
    version = 6 if remote is None else remote.version
    outer = outer_mtu(network, local, remote)
    return bounded(
        min((inner_mtu(outer, version, True, suite) for suite in suites), default=outer), connection
    )


def fitting(device: VtiDevice, network: NetworkConfig) -> int:
    """The MTU that a device is to have: the configured one, or what its children leave. Raises OSError."""
    connection = device.connection
    if connection.vti.mtu is not None:
        return connection.vti.mtu
    if device.suited is None:
        return before_child(connection, network, *first_addresses(connection))
    path, encap, suite = device.suited
    return of_child(connection, network, path.local.address, path.remote.address, encap, suite)


def of_child(
    connection: Connection, network: NetworkConfig, local: Address, remote: Address, encap: bool, suite: Suite
) -> int:
    """The MTU that the path and the suite of an installed child leave."""
    outer = outer_mtu(network, local, remote)
    return bounded(inner_mtu(outer, remote.version, encap, suite), connection)


def outer_mtu(network: NetworkConfig, local: Address | None, remote: Address | None) -> int:
    """The MTU of the route to `remote`; Ethernet's if there is none (yet) or the peer isn't known."""
    if remote is None:
        return ETHERNET
    try:
        return network.uplink_mtu(remote, local)
    except RouteError:
        return ETHERNET
