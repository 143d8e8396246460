"""The commands that users, the control socket and the data plane give to the IKE machine."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from esp.packet.selectors import Selector
from ikepy.config.model import DnsName


@dataclass(frozen=True, slots=True)
class Initiate:
    """Bring up a child, and an IKE_SA for it if there is none. `ticket` 0: nobody waits for the outcome."""

    connection: str
    child: str
    ticket: int = 0


@dataclass(frozen=True, slots=True)
class Terminate:
    """Delete the SAs that match every given criterion (named as in swanctl).

    `force`: forget an IKE_SA without waiting for the peer. `fault`: an internal error ends it, not a user.
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
    """Replace the SAs that match every given criterion (named as in swanctl).

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
    """The data plane holds a packet without an SA: it hit a trap, or needs an additional child.

    `source` and `destination` are selectors of one address each, with the packet's protocol and ports where
    they are visible.
    """

    connection: str
    source: Selector
    destination: Selector


@dataclass(frozen=True, slots=True)
class ChildrenLost:
    """A worker died with these SAs: they are negotiated anew, never installed again."""

    child_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SequenceLow:
    """The outbound sequence numbers of this child are nearly used up (RFC 4303 3.3.3)."""

    child_id: int


@dataclass(frozen=True, slots=True)
class LocalAddressesChanged:
    """The host's addresses changed; `addresses` are all that it may send from, best first (RFC 4555 3.5).

    `others` exist too, but are not announced to peers; an SA that uses one of them keeps it.
    """

    addresses: tuple[IPv4Address | IPv6Address, ...]
    others: tuple[IPv4Address | IPv6Address, ...] = ()


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Delete every IKE_SA at its peer and accept no new ones."""


@dataclass(frozen=True, slots=True)
class RedirectClients:
    """Send the clients of these IKE_SAs to another gateway (RFC 5685 5), as far as they follow."""

    ike_ids: tuple[int, ...]
    gateway: IPv4Address | IPv6Address | DnsName
    ticket: int = 0


Command = (
    Initiate
    | Terminate
    | Rekey
    | Acquire
    | ChildrenLost
    | SequenceLow
    | LocalAddressesChanged
    | Shutdown
    | RedirectClients
)
