"""Finds mistakes in the sections of VXLAN devices."""

from __future__ import annotations

from collections.abc import Iterator

from ikepy.config.fields import MIN_IPV6_MTU
from ikepy.config.model import Config, Vxlan

Problems = Iterator[tuple[str, str]]


def check(config: Config) -> Problems:
    """All such mistakes, as (key path, text)."""
    devices = {one.vti.name: f"connections.{one.name}.vti" for one in config.connections.values()}
    taken: dict[tuple[int, int, int], str] = {}
    for one in config.vxlan.values():
        key = f"vxlan.{one.name}"
        yield from _alone(one, key)
        if one.name in devices:
            yield key, f"{devices[one.name]}.name is the same: each device has a name of its own"
        if one.device in config.vxlan:
            yield f"{key}.device", "is a VXLAN device itself; allowed: the device that packets leave through"
        identity = one.vni, one.port, one.version
        if identity in taken:
            yield f"{key}.vni", f"{taken[identity]} has the same vni and port"
        taken.setdefault(identity, key)


def _alone(one: Vxlan, key: str) -> Problems:
    for index, peer in enumerate(one.peers):
        if not isinstance(peer, str) and peer.version != one.version:
            why = "as local is" if one.local is not None else "unless local is an IPv6 address"
            yield f"{key}.peers[{index}]", f"allowed: an IPv{one.version} address, {why}"
    if one.mtu is not None and one.mtu < MIN_IPV6_MTU and any(a.version == 6 for a in one.addresses):
        yield f"{key}.mtu", f"allowed with IPv6 addresses: {MIN_IPV6_MTU}..65535"
