"""What a user, the control socket or the data plane asks of the IKE machine."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from esp.packet.selectors import Selector


@dataclass(frozen=True, slots=True)
class Initiate:
    """Bring up a child (and the IKE_SA below it where there is none). `ticket` 0: nobody waits."""

    connection: str
    child: str
    ticket: int = 0


@dataclass(frozen=True, slots=True)
class Terminate:
    """Delete what matches every criterion that is given (swanctl's words).

    `force`: forget an IKE_SA without waiting for the peer. `fault`: it is ours, and nobody wished the end.
    """

    ike: str | None = None
    child: str | None = None
    ike_id: int | None = None
    child_id: int | None = None
    force: bool = False
    fault: bool = False
    ticket: int = 0


@dataclass(frozen=True, slots=True)
class Rekey:
    """Replace what matches every criterion that is given (swanctl's words).

    `reauth`: authenticate an IKE_SA anew instead of rekeying it.
    """

    ike: str | None = None
    child: str | None = None
    ike_id: int | None = None
    child_id: int | None = None
    reauth: bool = False
    ticket: int = 0


@dataclass(frozen=True, slots=True)
class Acquire:
    """The data plane holds a packet that has no SA: a trap's, or one that a further child is to carry.

    Its source and destination are selectors of one address each, with its protocol and ports as far as they
    can be seen.
    """

    connection: str
    source: Selector
    destination: Selector


@dataclass(frozen=True, slots=True)
class ChildrenLost:
    """A worker died with these SAs: they are never installed again, but negotiated anew."""

    child_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SequenceLow:
    """The outbound sequence numbers of this child run out soon (RFC 4303 3.3.3)."""

    child_id: int


@dataclass(frozen=True, slots=True)
class LocalAddressesChanged:
    """The addresses that this host has now: all that it may send from, best first (RFC 4555 3.5).

    `others` are here too, but no peer is told of them: what is in use among them stays so.
    """

    addresses: tuple[IPv4Address | IPv6Address, ...]
    others: tuple[IPv4Address | IPv6Address, ...] = ()


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Delete every IKE_SA at its peer and take no new ones."""


Command = (
    Initiate | Terminate | Rekey | Acquire | ChildrenLost | SequenceLow | LocalAddressesChanged | Shutdown
)
