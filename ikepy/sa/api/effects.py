"""Effects: what the IKE machine asks its caller to do, to be run in the order of the list."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Literal

from esp.packet.selectors import Selector
from esp.sa.suites import Suite
from ikepy.config.model import DnsName
from ikepy.crypto.secret import Secret
from ikepy.sa.api.computation import Job
from ikepy.sa.api.events import Event
from ikepy.sa.api.log_source import NamedSa, Peer
from ikepy.sa.api.network_settings import NetworkSettings
from ikepy.sa.api.path import Address, Path


@dataclass(frozen=True, slots=True)
class Send:
    """Send an IKE message (without the non-ESP marker, which the socket of port 4500 prepends)."""

    path: Path
    data: bytes


@dataclass(frozen=True, slots=True)
class SendKeepalive:
    """Send one 0xFF byte to keep a NAT mapping (RFC 3948 2.3)."""

    path: Path


@dataclass(frozen=True, slots=True)
class InstallInbound:
    """Make the worker accept ESP under `spi`, before any later effect sends something.

    `replay_top`: the right edge of the replay window at the start; packets at or below it are replays.
    """

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
    replay_top: int = 0
    transport: bool = False  # transport mode, of one address on each side


@dataclass(frozen=True, slots=True)
class InstallOutbound:
    """Make the worker able to send under `spi`, which the peer chose.

    `standby`: the peer may not be ready yet (it asked for a rekey): the worker keeps sending under the older
    SA until `ActivateOutbound`, or until the first valid packet arrives under the same child_id.
    `trapped`: remote selectors of the same policy that this child does not carry: a packet for them brings up
    another child. `tfc_padding`: octets to which inner packets are padded, "mtu" for the device's MTU; 0: no
    padding (RFC 4303 2.7). `last_sequence`: the last sequence number that was used under these keys
    elsewhere, which no packet takes again (RFC 4303 3.3.3).
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
    last_sequence: int = 0
    transport: bool = False  # transport mode


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
    """Remove both directions of a child and their keys."""

    child_id: int


@dataclass(frozen=True, slots=True)
class UpdatePath:
    """The peer's address or port changed: send this child's packets there."""

    child_id: int
    path: Path
    encap: bool


@dataclass(frozen=True, slots=True)
class SetNetworkSettings:
    """What the connection's device has of this IKE_SA from now on, in the place of what it had of it before.

    Empty settings take it all away. What other IKE_SAs or the configuration give the device stays.
    """

    connection: str
    ike_id: int
    settings: NetworkSettings


class Rank(IntEnum):
    """Priority of a job, by whom it is for: the lower number goes first."""

    ESTABLISHED = 0  # a peer that is authenticated
    OURS = 1  # an IKE_SA that we are setting up
    EXPECTED = 2  # one set up from where a configured or recent peer may be (`ExpectedPlaces`)
    STRANGER = 3  # one set up from anywhere else


@dataclass(frozen=True, slots=True)
class Compute:
    """Run `job`, which takes about `seconds`, in the background; hand its result or exception to
    `IkeManager.complete`.

    `waits`: for something else than the CPU, as the network or another process: let it delay no other job.
    """

    ticket: int
    job: Job
    seconds: float
    rank: Rank
    owner: Hashable = None  # for whom: the owners of one rank share the CPU time
    waits: bool = False


@dataclass(frozen=True, slots=True)
class LookUp:
    """Look these DNS names up, write what they mean into the `NameTable`, then call `IkeManager.complete`."""

    ticket: int
    names: tuple[DnsName, ...]


class Level(Enum):
    """Log levels, with the numbers of `logging`."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


@dataclass(frozen=True, slots=True)
class Log:
    """A line for the log; it never holds a secret."""

    level: Level
    subject: str  # "site-b #3"
    text: str
    # Set on lines that a peer, or anybody at an address, can cause without limit: the topic, and who
    # caused it. The log aggregates such lines by both.
    kind: str = ""
    source: Address | Peer | None = None
    sa: NamedSa | None = None


@dataclass(frozen=True, slots=True)
class TargetOutcome:
    """What came of a command at one of its targets: "IKE_SA #3" or "CHILD_SA #4"."""

    target: str
    ok: bool
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of the command that carried this ticket.

    `targets`: if it had several, what came of it at each, as they ended; it is `ok` if all are.
    """

    ticket: int
    ok: bool
    text: str
    targets: tuple[TargetOutcome, ...] = ()


Effect = (
    Send
    | SendKeepalive
    | InstallInbound
    | InstallOutbound
    | ActivateOutbound
    | RemoveOutbound
    | RemoveChild
    | UpdatePath
    | SetNetworkSettings
    | Compute
    | LookUp
    | Event
    | Log
    | Outcome
)
