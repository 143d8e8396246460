"""Tells of packets outside the selectors, out and in: which, how many, and whose configuration is to mend.

RFC 4301 5.1 and 5.2: a packet goes only where an SA's selectors permit it, at either end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import NamedTuple

from esp.packet.drop_reasons import Drop
from esp.packet.selectors import Selector
from ikepy.config.model import Child, Connection
from ikepy.config.values import Dynamic
from ikepy.daemon.control.snapshot import DeviceState, InstalledChild
from ikepy.daemon.diagnosis.findings import Code, Finding, Severity
from ikepy.daemon.diagnosis.history import Dropped, Unmatched
from ikepy.daemon.diagnosis.words import packets, were
from ikepy.sa.api.path import Address
from ikepy.sa.api.snapshot import ChildSnapshot
from ikepy.sa.state.event_text import packet_text

MOST_SHOWN = 16  # children whose selectors are shown
Configured = Iterable[Selector | Dynamic]


class _Packet(NamedTuple):
    """As seen from here, whichever way it goes."""

    local: Address
    remote: Address
    protocol: int

    def is_in(self, local: Configured, remote: Configured) -> bool:
        """Whether selectors permit it, as far as its ports don't matter; an address that the configuration
        leaves open (`dynamic`) may be this one."""
        return _permit(local, self.local, self.protocol) and _permit(remote, self.remote, self.protocol)

    def fits(self, child: ChildSnapshot) -> bool:
        return self.is_in(child.ts_local, child.ts_remote)

    def fits_configuration(self, child: Child) -> bool:
        return self.is_in(child.local_ts, child.remote_ts)


def going_out(
    unmatched: Unmatched,
    connection: Connection,
    installed: Mapping[str, InstalledChild],
    device: DeviceState,
    *,
    sent: bool,
) -> Iterator[Finding]:
    """Packets that came into the device and no child may carry; nothing while no child is up, for that says
    all. `sent`: whether others have been sent."""
    last = unmatched.last
    packet = _Packet(last.source, last.destination, last.protocol)
    fitting = [one.sa for one in installed.values() if packet.fits(one.sa)]
    if not installed or (fitting and not any(map(_restricts_ports, fitting))):
        return  # it came before a child was up
    why, do = (
        (f"The ports, or the ICMP type, are outside those of {fitting[0].name}.", "")
        if fitting
        else _whose(packet, connection, installed, device)
    )
    entry = f"connections.{connection.name}"
    yield Finding(
        Code.OUTSIDE_SELECTORS_OUT,
        Severity.WARNING if sent else Severity.ERROR,
        f"{packets(unmatched.count)} that came into {device.name} {were(unmatched.count)} dropped: outside "
        f"the selectors of its children; the last one {last.packet}.",
        why,
        do
        or f"Widen local_ts and remote_ts of {entry}.children here and at the peer, or route only these "
        f"networks into {device.name}.",
        at=unmatched.at,
        ours=tuple(_selectors(one.sa) for one in list(installed.values())[:MOST_SHOWN]),
    )


def coming_in(
    child: InstalledChild,
    last: Dropped | None,
    connection: Connection,
    installed: Mapping[str, InstalledChild],
) -> Iterator[Finding]:
    """Packets of the peer that the child's selectors do not permit."""
    number, sa = child.traffic.drops.get(Drop.SELECTORS.text, 0), child.sa
    if not number:
        return
    entry = f"connections.{connection.name}.children.{sa.name}"
    why = "The peer's routes send more through the tunnel than was negotiated."
    do = f"Add these networks to {entry}, or mend the peer's configuration."
    packet = None if last is None else _of_peer(last.start)
    if packet is not None:
        configured = connection.children.get(sa.name)
        other = next((one.sa for one in installed.values() if packet.fits(one.sa)), None)
        if other is not None and other.name != sa.name:
            why = (
                f"{other.name} permits it: the peer sends it under the SA of {sa.name}, as strongSwan does "
                "where two children have one reqid."
            )
            do = "Mend the peer's configuration of the two children."
        elif configured is not None and packet.fits_configuration(configured):
            why = "Our configuration permits it; the peer agreed to less than it sends."
            do = "Widen the selectors in the peer's configuration."
        elif configured is not None:
            why = f"{_outside(packet, (configured,))}; the peer's routes or selectors send it all the same."
    yield Finding(
        Code.OUTSIDE_SELECTORS_IN,
        Severity.WARNING,
        f"{packets(number)} of the peer {were(number)} dropped: outside the selectors of {sa.name}"
        f"{'' if last is None else f', the last one {packet_text(last.start)}'}.",
        why,
        do,
        at=None if last is None else last.at,
        ours=(_selectors(sa),),
    )


def _whose(
    packet: _Packet, connection: Connection, installed: Mapping[str, InstalledChild], device: DeviceState
) -> tuple[str, str]:
    """Whose configuration keeps a packet out, and what to do if it is the peer's, or a child that is down."""
    for name, configured in connection.children.items():
        if packet.fits_configuration(configured):
            if name not in installed:
                return f"{name} would carry it, and is not up.", f"See what is said of {name}."
            return (
                f"Our configuration of {name} permits it: the peer has taken less than we asked for.",
                f"Widen the selectors in the peer's configuration, or route into {device.name} only what it "
                "has taken.",
            )
    leads = next((one for one in device.routes if packet.remote in one.network), None)
    led = "" if leads is None else f" The route {leads} leads it into {device.name}."
    return f"{_outside(packet, connection.children.values())}.{led}", ""


def _outside(packet: _Packet, children: Iterable[Child]) -> str:
    """Which address of a packet is outside our configuration."""
    children = tuple(children)
    local = any(_permit(one.local_ts, packet.local, packet.protocol) for one in children)
    remote = any(_permit(one.remote_ts, packet.remote, packet.protocol) for one in children)
    lacking = [
        text
        for text, there in (
            (f"{packet.local} is in no local_ts", local),
            (f"{packet.remote} is in no remote_ts", remote),
        )
        if not there
    ]
    return " and ".join(lacking) or f"No child has both {packet.local} and {packet.remote}"


def _of_peer(start: bytes) -> _Packet | None:
    """The packet of the peer that begins so."""
    version = start[0] >> 4 if start else 0
    if version == 4 and len(start) >= 20:
        return _Packet(ip_address(start[16:20]), ip_address(start[12:16]), start[9])
    if version == 6 and len(start) >= 40:
        return _Packet(ip_address(start[24:40]), ip_address(start[8:24]), start[6])
    return None


def _permit(selectors: Configured, address: Address, protocol: int) -> bool:
    return any(
        isinstance(one, str)
        or (
            one.version == address.version
            and one.first <= int(address) <= one.last
            and one.protocol in (0, protocol)
        )
        for one in selectors
    )


def _restricts_ports(child: ChildSnapshot) -> bool:
    return not all(one.all_ports for one in (*child.ts_local, *child.ts_remote))


def _selectors(child: ChildSnapshot) -> str:
    return f"{' '.join(map(str, child.ts_local))} === {' '.join(map(str, child.ts_remote))}"
