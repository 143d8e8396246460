"""What control may ask of the privileged process, and what it answers: values, which `codec` carries."""

from __future__ import annotations

from dataclasses import dataclass

from tun.netlink import Address
from tun.rtnetlink import Hop
from tun.state import Operation, Pairing
from tun.steering import HostFlow
from tun.vxlan import MendedVxlan
from tun.vxlan_state import VxlanState


@dataclass(frozen=True, slots=True)
class Begin:
    """The first message but for `BeginNames`, of a control that still has its rights: later ones are held
    against it.

    `ports`: the UDP ports that may be bound, 0: any from 1024 on. `account`: uid and gid of the workers;
    None: they stay the user that this process is. `sockets`: control sockets (path, inode) that are removed
    at the end. `files`: the paths of files that the configuration was read from; `patterns`: the names with
    wildcards that it was looked for by; behind those that came in `BeginNames`. `tag`: by which control
    recognizes what this process changes (`tun.rtnetlink.use_tag`).
    """

    ports: tuple[int, ...]
    workers: int
    priority: int
    account: tuple[int, int] | None
    sockets: tuple[tuple[str, int], ...]
    files: tuple[str, ...]
    patterns: tuple[str, ...]
    keep_reading: bool  # CAP_DAC_READ_SEARCH, without which the workers' program could not be read
    tag: int


@dataclass(frozen=True, slots=True)
class BeginNames:
    """Ahead of `Begin`, any number of times: a part of its `files` and `patterns`, of which there may be more
    than a message has room for."""

    files: tuple[str, ...]
    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MakeDevice:
    """Make a TUN device; answered by `Made` and its descriptor."""

    name: str


@dataclass(frozen=True, slots=True)
class RenameDevice:
    index: int
    name: str


@dataclass(frozen=True, slots=True)
class Perform:
    """Do operations on a device, in their order.

    `desired`: the link-local addresses that it is to have; `neighbours`: devices that may share its routes.
    """

    index: int
    operations: tuple[Operation, ...]
    desired: tuple[Pairing, ...]
    neighbours: frozenset[int]


@dataclass(frozen=True, slots=True)
class MendVxlan:
    """Make or mend a VXLAN device (`tun.vxlan`), never another program's: `MendedVxlan`."""

    desired: VxlanState


@dataclass(frozen=True, slots=True)
class RemoveVxlan:
    name: str


@dataclass(frozen=True, slots=True)
class Exempt:
    """Route a peer's address ahead of all other routes (`tun.exemptions`)."""

    remote: Address
    hop: Hop
    source: Address | None


@dataclass(frozen=True, slots=True)
class EndExemption:
    remote: Address


@dataclass(frozen=True, slots=True)
class EndExemptions:
    pass


@dataclass(frozen=True, slots=True)
class Steer:
    """Lead these flows of the host's own, and no others, into a device (`tun.steering`)."""

    index: int
    flows: tuple[HostFlow, ...]


@dataclass(frozen=True, slots=True)
class EndSteering:
    pass


@dataclass(frozen=True, slots=True)
class OpenUdp:
    """A bound UDP socket, whose descriptor comes with `Done`. `probe`: bind and close it again."""

    address: Address
    port: int
    reuse_port: bool
    probe: bool


@dataclass(frozen=True, slots=True)
class OpenEsp:
    """A raw socket of protocol 50, whose descriptor comes with `Done`."""

    address: Address


@dataclass(frozen=True, slots=True)
class OpenRouter:
    """A raw ICMPv6 socket of one interface, for router advertisements; its descriptor comes with `Done`."""

    interface: str
    index: int


@dataclass(frozen=True, slots=True)
class OpenEcho:
    """A raw ICMP socket of a device of ours, for probes; its descriptor comes with `Done`."""

    index: int
    version: int
    source: Address | None


@dataclass(frozen=True, slots=True)
class SizeQueue:
    """Size the receive queue of the socket whose descriptor comes with this."""

    prompt: bool


@dataclass(frozen=True, slots=True)
class StartWorker:
    """Start a worker on its end of a pair, whose descriptor comes with this. `Started` has a pidfd."""


@dataclass(frozen=True, slots=True)
class KillWorker:
    pid: int


@dataclass(frozen=True, slots=True)
class ReapWorker:
    """Ask for the exit status of a worker that has ended: `Ended`."""

    pid: int


@dataclass(frozen=True, slots=True)
class SetPriority:
    """Give a worker its real-time priority, or take it. `Told` has the obstacle."""

    pid: int
    busy: bool


@dataclass(frozen=True, slots=True)
class OpenFile:
    """Open a file of the configuration to be read; its descriptor comes with `Done`."""

    path: str


@dataclass(frozen=True, slots=True)
class ListFiles:
    """The names that a pattern of an `include` means: `Named`, with the first of those that sort behind
    `after`, as many as a message has room for; none: there are no more."""

    pattern: str
    after: str


Request = (
    MakeDevice
    | RenameDevice
    | Perform
    | MendVxlan
    | RemoveVxlan
    | Exempt
    | EndExemption
    | EndExemptions
    | Steer
    | EndSteering
    | OpenUdp
    | OpenEsp
    | OpenRouter
    | OpenEcho
    | SizeQueue
    | StartWorker
    | KillWorker
    | ReapWorker
    | SetPriority
    | OpenFile
    | ListFiles
)
WITH_DESCRIPTOR = (SizeQueue, StartWorker)  # requests to which one belongs


@dataclass(frozen=True, slots=True)
class Done:
    pass


@dataclass(frozen=True, slots=True)
class Made:
    index: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """The operation at `index` failed with errno `code`, or because of a route of the devices `others`."""

    index: int
    code: int
    others: frozenset[int]


@dataclass(frozen=True, slots=True)
class Performed:
    """What `Perform` could not do; all else is done."""

    refused: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class Started:
    pid: int


@dataclass(frozen=True, slots=True)
class Ended:
    """Negative: the signal."""

    status: int


@dataclass(frozen=True, slots=True)
class Told:
    text: str | None


@dataclass(frozen=True, slots=True)
class Named:
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """It can't be done, or is not permitted (EPERM)."""

    code: int
    text: str


Answer = Done | Made | Performed | MendedVxlan | Started | Ended | Told | Named | Failed
