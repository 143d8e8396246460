"""What the IKE machine asks its surroundings to do. Effects are run in the order in which they stand."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Literal

from esp.packet.selectors import Selector
from esp.sa.suites import Suite
from ikepy.crypto.secret import Secret
from ikepy.sa.api.computation import Job
from ikepy.sa.api.log_source import Peer
from ikepy.sa.api.path import Address, Path


@dataclass(frozen=True, slots=True)
class Send:
    """Send an IKE message (without the non-ESP marker: the socket of port 4500 puts that in front)."""

    path: Path
    data: bytes


@dataclass(frozen=True, slots=True)
class SendKeepalive:
    """Send one 0xFF byte to keep a NAT mapping (RFC 3948 2.3)."""

    path: Path


@dataclass(frozen=True, slots=True)
class InstallInbound:
    """Make the worker accept ESP under `spi`, before anything that is sent after this effect."""

    child_id: int  # unique in the daemon; both directions of one CHILD_SA share it
    connection: str
    child: str
    spi: int
    suite: Suite
    keys: Secret  # encryption key (with salt), then integrity key: suite.key_length bytes
    esn: bool
    replay_window: int  # packets; 0: no anti-replay
    ts_local: tuple[Selector, ...]
    ts_remote: tuple[Selector, ...]
    encap: bool  # UDP encapsulation (RFC 3948); else protocol 50
    path: Path


@dataclass(frozen=True, slots=True)
class InstallOutbound:
    """Make the worker able to send under `spi` (the peer's).

    `standby`: the peer may not be ready yet (a rekey that it asked for): the worker keeps sending under the
    older SA until `ActivateOutbound`, or until the first valid packet comes in under the same child_id.
    `trapped`: remote selectors of the same policy that further children are to carry, when a packet asks for
    them; empty if this one carries all. `tfc_padding`: octets to which inner packets are padded, "mtu" for as
    many as the device's MTU (RFC 4303 2.7); 0: they are not.
    """

    child_id: int
    connection: str
    child: str
    spi: int
    suite: Suite
    keys: Secret
    esn: bool
    ts_local: tuple[Selector, ...]
    ts_remote: tuple[Selector, ...]
    encap: bool
    path: Path
    standby: bool
    trapped: tuple[Selector, ...] = ()
    tfc_padding: int | Literal["mtu"] = 0


@dataclass(frozen=True, slots=True)
class ActivateOutbound:
    """Send under this child's outbound SA from now on."""

    child_id: int


@dataclass(frozen=True, slots=True)
class RemoveOutbound:
    """Stop sending under this child's SA; its inbound SA stays."""

    child_id: int


@dataclass(frozen=True, slots=True)
class RemoveChild:
    """Forget both directions and their keys."""

    child_id: int


@dataclass(frozen=True, slots=True)
class UpdatePath:
    """The peer's address or port changed: send this child's packets there."""

    child_id: int
    path: Path
    encap: bool


class Rank(IntEnum):
    """For whom something is computed: the lower number goes first."""

    ESTABLISHED = 0  # a peer that is authenticated
    OURS = 1  # an IKE_SA that we are setting up
    EXPECTED = 2  # one that a peer is setting up, from where a peer of ours may be (`expected`)
    STRANGER = 3  # one that anybody else is setting up


@dataclass(frozen=True, slots=True)
class Compute:
    """Call `job`, which takes about `seconds`, beside everything else, and hand what it gives or raises to
    `IkeManager.complete`. Nothing else waits for that."""

    ticket: int
    job: Job
    seconds: float
    rank: Rank
    owner: Hashable = None  # for whom it is: those of one rank share the time


class Topic(Enum):
    """What an `Event` tells."""

    IKE_UP = "ike-up"
    IKE_REKEYED = "ike-rekeyed"
    IKE_DOWN = "ike-down"
    CHILD_UP = "child-up"
    CHILD_REKEYED = "child-rekeyed"
    CHILD_DOWN = "child-down"


@dataclass(frozen=True, slots=True)
class Event:
    """Something a user wants to know, for hooks and metrics."""

    topic: Topic
    connection: str
    ike_id: int
    child: str = ""
    child_id: int = 0
    text: str = ""


class Level(Enum):
    """As `logging` has them."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


@dataclass(frozen=True, slots=True)
class Log:
    """A line for the log. No secret ever stands in one."""

    level: Level
    subject: str  # "site-b #3"
    text: str
    # Of a line that somebody can cause as often as they like, a stranger at an address or a peer: what it is
    # about, and who it is. Such lines are summed up by both.
    kind: str = ""
    source: Address | Peer | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The command that carried this ticket is done."""

    ticket: int
    ok: bool
    text: str


Effect = (
    Send
    | SendKeepalive
    | InstallInbound
    | InstallOutbound
    | ActivateOutbound
    | RemoveOutbound
    | RemoveChild
    | UpdatePath
    | Compute
    | Event
    | Log
    | Outcome
)
