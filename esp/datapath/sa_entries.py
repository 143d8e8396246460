"""Entries of the SA database: an SA with its path, counters slot and reporting state (RFC 4301 4.4.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from esp.datapath.limits import RateLimit
from esp.ipc.messages import AddInboundSa, AddOutboundSa, UpdateSaPath
from esp.packet.policy import Policy
from esp.sa.inbound import InboundSa
from esp.sa.outbound import OutboundSa

Address = IPv4Address | IPv6Address

_PATHS = 4096  # cached: the next SA of the same endpoints shares the object
_MOVED_INTERVAL = 1.0  # seconds between two PeerMoved of one SA
_NOT_PERMITTED_INTERVAL = 10.0  # seconds between two NotPermitted of one SA


@dataclass(frozen=True, slots=True)
class OuterPath:
    """The endpoints of an SA's outer packets, and whether they use UDP (RFC 3948). Raises ValueError if these
    contradict each other."""

    encap: bool
    local_address: Address
    local_port: int
    remote_address: Address
    remote_port: int
    remote: tuple[str, int] = field(init=False)  # as socket calls take it
    local: tuple[bytes, int] = field(init=False)  # our address and port (0 without UDP), as a key

    def __post_init__(self) -> None:
        if self.local_address.version != self.remote_address.version:
            raise ValueError(f"{self.local_address} and {self.remote_address} are of different versions")
        if max(self.local_port, self.remote_port) > 0xFFFF:
            raise ValueError("a port above 65535")
        remote = str(self.remote_address), self.remote_port if self.encap else 0
        object.__setattr__(self, "remote", remote)
        object.__setattr__(self, "local", (self.local_address.packed, self.local_port if self.encap else 0))

    @classmethod
    def of(cls, message: AddInboundSa | AddOutboundSa | UpdateSaPath) -> OuterPath:
        """The path of a message: usually the same object for the same endpoints, which compares fast."""
        return _path(
            message.encap,
            message.local_address,
            message.local_port,
            message.remote_address,
            message.remote_port,
        )

    def shares_send_with(self, other: OuterPath) -> bool:
        """Whether one send can take packets of both paths."""
        return self is other or (self.local == other.local and self.remote == other.remote)


_path = lru_cache(_PATHS)(OuterPath)


@dataclass(slots=True, eq=False)
class InboundEntry:
    """An inbound SA, its path, and the rate limits of what is reported about it."""

    child_id: int
    device_id: int
    slot: int
    sa: InboundSa
    path: OuterPath
    moved: RateLimit = field(default_factory=lambda: RateLimit(_MOVED_INTERVAL))
    not_permitted: RateLimit = field(default_factory=lambda: RateLimit(_NOT_PERMITTED_INTERVAL))


@dataclass(slots=True, eq=False)
class OutboundEntry:
    """An outbound SA, its selectors and path, and what was reported about it."""

    child_id: int
    device_id: int
    slot: int
    sa: OutboundSa
    policy: Policy
    path: OuterPath
    active: bool
    order: int  # of installation: the newest has the highest
    trap: bool
    low_reported: bool = False
    exhausted_reported: bool = False


class SaRun(NamedTuple):
    """Consecutive rows of a batch under one SA: so many packets, of which the last inner one is `short_by`
    octets shorter than the others. What a batch needs of the SA is in columns, which `zip` gives at once."""

    entry: OutboundEntry
    sa: OutboundSa
    path: OuterPath
    slot: int
    packets: int
    short_by: int

    @classmethod
    def of(cls, entry: OutboundEntry, packets: int, short_by: int = 0) -> SaRun:
        """A run of packets under the SA of an entry."""
        return cls(entry, entry.sa, entry.path, entry.slot, packets, short_by)
