"""Defines the events: changes of IKE_SAs and children as values, for hooks, metrics and logs.

Rekeys replace the SAs of a tunnel, so its events form a chain: one `IkeUp` begins it, each `IkeRekeyed` names
the next SA, one `IkeDown` ends it; children likewise. A hook that counts ups and downs can ignore rekeys. An
SA that never carried the tunnel (the redundant one of two colliding rekeys) has no events. A child that stays
because the peer has deleted what replaced it begins another chain.

Each event holds copies of the SAs as they were at that moment, an IKE_SA's without its children. `text` is
for people; programs decide by the other fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias, get_args

from ikepy.sa.api.ends import ChildRemoval, End, Failure
from ikepy.sa.api.path import Address, Path
from ikepy.sa.api.snapshot import ChildSnapshot, IkeSaSnapshot


@dataclass(frozen=True, slots=True)
class IkeUp:
    """Both ends of an IKE_SA are authenticated."""

    sa: IkeSaSnapshot


@dataclass(frozen=True, slots=True)
class IkeRekeyed:
    """`new` has the children of `old` from now on."""

    old: IkeSaSnapshot
    new: IkeSaSnapshot


@dataclass(frozen=True, slots=True)
class IkeDown:
    """An IKE_SA that was up ended; its children follow. `failure`: the error behind it, if any."""

    sa: IkeSaSnapshot
    end: End
    failure: Failure | None
    text: str


@dataclass(frozen=True, slots=True)
class IkeSetUpFailed:
    """An IKE_SA did not come up. `sa` None: a stranger's request was refused before there was one.

    `failure` None: `end` says all, as when a user does not want it any more.
    """

    sa: IkeSaSnapshot | None
    path: Path
    end: End
    failure: Failure | None
    text: str


class MoveReason(Enum):
    """Why an IKE_SA goes on over another path (RFC 4555 3.5)."""

    OWN_ADDRESS_GONE = auto()
    REFUSED = auto()  # the peer does not accept the addresses of the path before
    PEER_ANSWERS = auto()  # there, after a search
    PEER_MOVED = auto()  # it says so
    PEER_ADDRESS_GONE = auto()  # it says so
    NAT_MAPPING = auto()  # its NAT has another mapping (RFC 7296 2.23)


@dataclass(frozen=True, slots=True)
class IkeMoved:
    """An established IKE_SA goes on over another path; `old` is the one before."""

    sa: IkeSaSnapshot
    old: Path
    reason: MoveReason


@dataclass(frozen=True, slots=True)
class IkeExpired:
    """The life of an IKE_SA is over before a rekey succeeded: it is deleted."""

    sa: IkeSaSnapshot


@dataclass(frozen=True, slots=True)
class IkeRekeyFailed:
    """`retry_in`: seconds; None: it is authenticated anew instead."""

    sa: IkeSaSnapshot
    failure: Failure
    retry_in: float | None
    text: str


@dataclass(frozen=True, slots=True)
class ChildUp:
    """A CHILD_SA is installed."""

    sa: IkeSaSnapshot
    child: ChildSnapshot


@dataclass(frozen=True, slots=True)
class ChildRekeyed:
    """`new` replaces `old`."""

    sa: IkeSaSnapshot
    old: ChildSnapshot
    new: ChildSnapshot


@dataclass(frozen=True, slots=True)
class ChildDown:
    """A CHILD_SA that was up has ended."""

    sa: IkeSaSnapshot
    child: ChildSnapshot
    reason: ChildRemoval


@dataclass(frozen=True, slots=True)
class ChildSetUpFailed:
    """A child did not come up, though its IKE_SA stands. `name` "": the peer's offer fits none of ours."""

    sa: IkeSaSnapshot
    name: str
    failure: Failure
    text: str


@dataclass(frozen=True, slots=True)
class ChildExpired:
    """The life of a child is over before a rekey succeeded: it is deleted."""

    sa: IkeSaSnapshot
    child: ChildSnapshot


@dataclass(frozen=True, slots=True)
class ChildRekeyFailed:
    """`retry_in`: seconds."""

    sa: IkeSaSnapshot
    child: ChildSnapshot
    failure: Failure
    retry_in: float
    text: str


@dataclass(frozen=True, slots=True)
class ResponseIgnored:
    """A response to our IKE_SA_INIT that we can't go on with, and that nothing authenticates: we wait on."""

    sa: IkeSaSnapshot
    failure: Failure
    text: str


@dataclass(frozen=True, slots=True)
class Retransmitted:
    """Our request was retransmitted for the `attempt`-th time; `others`: further paths that it takes."""

    sa: IkeSaSnapshot
    message_id: int
    attempt: int
    others: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class RetransmissionsEnded:
    """The peer answered a request that was retransmitted `attempt` times."""

    sa: IkeSaSnapshot
    message_id: int
    attempt: int


@dataclass(frozen=True, slots=True)
class PacketRefused:
    """A packet was dropped that the child's selectors do not permit. `start`: its first octets."""

    sa: IkeSaSnapshot
    child: ChildSnapshot
    start: bytes


@dataclass(frozen=True, slots=True)
class LocalAddressGone:
    """The address that an IKE_SA sends from is gone, and no other is usable; `back`: it is here again."""

    sa: IkeSaSnapshot
    address: Address
    back: bool


Event: TypeAlias = (
    IkeUp
    | IkeRekeyed
    | IkeDown
    | IkeSetUpFailed
    | IkeMoved
    | IkeExpired
    | IkeRekeyFailed
    | ChildUp
    | ChildRekeyed
    | ChildDown
    | ChildSetUpFailed
    | ChildExpired
    | ChildRekeyFailed
    | ResponseIgnored
    | Retransmitted
    | RetransmissionsEnded
    | PacketRefused
    | LocalAddressGone
)

EVENTS: tuple[type[Event], ...] = get_args(Event)


def concerned(event: Event) -> IkeSaSnapshot | None:
    """The IKE_SA that an event is about, the older of two; None: there is none yet."""
    return event.old if isinstance(event, IkeRekeyed) else event.sa
