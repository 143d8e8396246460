"""Desired and actual state of a VXLAN device as values (RFC 7348), and their difference as operations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tun.netlink import Address, Interface
from tun.state import AddAddress, RemoveAddress, SetMtu, SetUp

OVERHEAD = {4: 50, 6: 70}  # octets: outer IP, UDP and VXLAN headers, and the inner Ethernet header


@dataclass(frozen=True, slots=True)
class VxlanLink:
    """What a device has from its creation on. `underlay`: a device's index; 0: any, as routes lead.

    `local`: the source of outer packets, which also says their IP version; None: IPv4, as the kernel chooses.
    """

    vni: int
    port: int
    underlay: int
    local: Address | None = None

    @property
    def version(self) -> int:
        return 4 if self.local is None else self.local.version


@dataclass(frozen=True, slots=True)
class VxlanState:
    """The desired state of one of our devices. `underlay`: a device's name; None: as routes lead.

    `mac`: of a device that is made anew, so that its neighbours still know it; None: the kernel's choice.
    `mtu`: octets; None: the underlay's less VXLAN's overhead. `peers`: where frames for all, and those for
    unknown addresses, are sent. `retired`: addresses of ours that it is to have no more; others' stay.
    """

    name: str
    vni: int
    port: int
    underlay: str | None = None
    local: Address | None = None
    mtu: int | None = None
    peers: frozenset[Address] = frozenset()
    addresses: frozenset[Interface] = frozenset()
    retired: frozenset[Interface] = frozenset()
    mac: str | None = None


@dataclass(frozen=True, slots=True)
class SeenVxlan:
    """The actual state of a device. `link` None: it is no VXLAN device; `ours`: it has our mark."""

    ours: bool
    link: VxlanLink | None
    mtu: int
    peers: frozenset[Address]
    addresses: frozenset[Interface]


@dataclass(frozen=True, slots=True)
class Delete:
    def __str__(self) -> str:
        return "it was another VXLAN device"


@dataclass(frozen=True, slots=True)
class Make:
    def __str__(self) -> str:
        return "it was not there"


@dataclass(frozen=True, slots=True)
class AddPeer:
    peer: Address

    def __str__(self) -> str:
        return f"the peer {self.peer} was missing"


@dataclass(frozen=True, slots=True)
class RemovePeer:
    peer: Address

    def __str__(self) -> str:
        return f"it had the peer {self.peer}"


# SetUp: only of a new device, as whoever takes one down later means it.
Operation = Delete | Make | SetMtu | AddPeer | RemovePeer | AddAddress | RemoveAddress | SetUp


def difference(desired: VxlanState, link: VxlanLink, mtu: int, seen: SeenVxlan | None) -> list[Operation]:
    """The operations that bring a device of ours from `seen` (None: there is none) to `desired`.

    `link` and `mtu`: what `desired` means with the underlay as it is.
    """
    found: list[Operation] = []
    fresh = seen is None or seen.link != link
    if seen is None or fresh:
        found += [Make()] if seen is None else [Delete(), Make()]
        seen = SeenVxlan(True, link, 0, frozenset(), frozenset())
    if seen.mtu != mtu:
        found.append(SetMtu(mtu, seen.mtu))
    found += [RemovePeer(one) for one in _ordered(seen.peers - desired.peers)]
    found += [AddPeer(one) for one in _ordered(desired.peers - seen.peers)]
    gone = (desired.retired - desired.addresses) & seen.addresses
    found += [RemoveAddress(one, None) for one in sorted(gone, key=str)]
    found += [AddAddress(one, None) for one in sorted(desired.addresses - seen.addresses, key=str)]
    return [*found, SetUp()] if fresh else found


def _ordered(addresses: Iterable[Address]) -> list[Address]:
    return sorted(addresses, key=str)
