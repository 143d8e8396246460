"""Messages between control and worker over a SOCK_SEQPACKET pair, one a datagram.

Keys travel only in these. A message that carries a file descriptor (AddSocket, AddDevice) is sent with it in
the same datagram (SCM_RIGHTS), see `esp.ipc.channel`. Each class lists its fields in wire order; `_CLASSES`
numbers the classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Address, IPv6Address
from typing import get_args, get_type_hints

from esp.ipc.fields import FieldError, FieldReader, write
from esp.net.sockets import SocketKind
from esp.packet.selectors import Selector
from esp.sa.suites import Suite

Address = IPv4Address | IPv6Address


class MessageError(Exception):
    """A malformed message, or one without its file descriptor."""


# Control to worker


@dataclass(frozen=True, slots=True)
class AddSocket:
    """Use this socket (its descriptor comes along). A socket of the same index is replaced and closed."""

    index: int
    version: int  # 4 or 6
    kind: SocketKind
    local_address: Address  # 0.0.0.0 or :: serves every local address
    local_port: int  # 0 for RAW


@dataclass(frozen=True, slots=True)
class RemoveSocket:
    """Close this socket, if it is there."""

    index: int


@dataclass(frozen=True, slots=True)
class Ping:
    """Answer with Pong: shows control that the worker's loop runs."""


@dataclass(frozen=True, slots=True)
class AddDevice:
    """Serve this TUN device (its descriptor comes along). It replaces one with the same number, whose SAs
    stay."""

    device_id: int
    name: str
    trap: bool  # packets without an SA are queued for a while, and Acquire is sent
    mss4: int  # upper bound of TCP's MSS in IPv4 and IPv6; 0: none
    mss6: int


@dataclass(frozen=True, slots=True)
class SetMss:
    """New upper bounds of TCP's MSS: the device's MTU has changed."""

    device_id: int
    mss4: int
    mss6: int


@dataclass(frozen=True, slots=True)
class RemoveDevice:
    """Close the device and remove its SAs."""

    device_id: int


@dataclass(frozen=True, slots=True)
class AddInboundSa:
    """Install an inbound SA: accept ESP under `spi` and write inner packets to the device."""

    child_id: int
    device_id: int
    slot: int  # of the counters; both SAs of a pair share it
    spi: int
    suite: Suite
    keys: bytes = field(repr=False)  # suite.key_length octets
    esn: bool
    replay_window: int  # packets, 0..4096; 0: no anti-replay
    ts_local: tuple[Selector, ...]
    ts_remote: tuple[Selector, ...]
    encap: bool
    local_address: Address
    local_port: int
    remote_address: Address
    remote_port: int
    transport: bool = False  # transport mode, of one address on each side
    replay_top: int = 0  # right edge of the replay window at the start; what is not above it is a replay


@dataclass(frozen=True, slots=True)
class AddOutboundSa:
    """Install an outbound SA: seal packets from the device under `spi`; not yet if `standby`.

    `trap`: while this SA is installed, packets without an SA are queued and acquired, as on a trap device.
    """

    child_id: int
    device_id: int
    slot: int
    spi: int
    suite: Suite
    keys: bytes = field(repr=False)
    esn: bool
    ts_local: tuple[Selector, ...]
    ts_remote: tuple[Selector, ...]
    encap: bool
    local_address: Address
    local_port: int
    remote_address: Address
    remote_port: int
    standby: bool
    trap: bool = False
    tfc_padding: int = 0  # octets to which inner packets are padded (RFC 4303 2.7); 0: no padding
    last_sequence: int = 0  # used under these keys elsewhere; the first packet takes the next
    transport: bool = False  # transport mode


@dataclass(frozen=True, slots=True)
class ActivateOutboundSa:
    """Use this standby outbound SA from now on."""

    child_id: int


@dataclass(frozen=True, slots=True)
class RemoveOutboundSa:
    """Remove an outbound SA."""

    child_id: int


@dataclass(frozen=True, slots=True)
class RemoveSaPair:
    """Remove the inbound and the outbound SA."""

    child_id: int


@dataclass(frozen=True, slots=True)
class UpdateSaPath:
    """Change the path of both SAs: endpoints, UDP encapsulation, TFC padding."""

    child_id: int
    encap: bool
    local_address: Address
    local_port: int
    remote_address: Address
    remote_port: int
    tfc_padding: int = 0  # as in AddOutboundSa


@dataclass(frozen=True, slots=True)
class SetTfcPadding:
    """Pad what an outbound SA sends to another length: the device's MTU has changed."""

    child_id: int
    tfc_padding: int  # as in AddOutboundSa


# Both ways


@dataclass(frozen=True, slots=True)
class ForwardEsp:
    """An ESP packet (from its SPI on) that reached the wrong worker: control forwards it to the right one."""

    encap: bool  # it came in UDP
    tos: int  # TOS octet or traffic class of the outer header
    local_address: Address
    local_port: int
    remote_address: Address
    remote_port: int
    data: bytes


# Worker to control


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker's loop runs."""


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to Ping."""


@dataclass(frozen=True, slots=True)
class BusyChanged:
    """The worker has become busy, or is no longer: control raises its priority only while it is."""

    busy: bool


@dataclass(frozen=True, slots=True)
class ForwardIke:
    """An IKE message, without the non-ESP marker, that reached a worker."""

    local_address: Address
    local_port: int
    remote_address: Address
    remote_port: int
    data: bytes


@dataclass(frozen=True, slots=True)
class UnknownSpi:
    """ESP under an SPI of this worker that no SA has. Rate-limited."""

    spi: int
    local_address: Address
    local_port: int
    remote_address: Address
    remote_port: int


@dataclass(frozen=True, slots=True)
class SequenceLow:
    """Three quarters of an outbound SA's sequence numbers are used up: rekey."""

    child_id: int


@dataclass(frozen=True, slots=True)
class SequenceExhausted:
    """All sequence numbers are used up: the SA sends nothing any more."""

    child_id: int


@dataclass(frozen=True, slots=True)
class PeerMoved:
    """An authentic packet that advanced the replay window came in UDP from another endpoint than the SA's.
    Rate-limited."""

    child_id: int
    remote_address: Address
    remote_port: int


@dataclass(frozen=True, slots=True)
class NotPermitted:
    """An authentic packet was dropped because the SA's selectors do not permit it. Rate-limited."""

    child_id: int
    start: bytes  # of the inner packet


@dataclass(frozen=True, slots=True)
class Acquire:
    """A packet waits for an SA: control is to set one up. Rate-limited."""

    device_id: int
    packet: tuple[Selector, ...]  # two: its source and its destination, with protocol and ports


@dataclass(frozen=True, slots=True)
class NoSa:
    """Packets came out of a device that no SA's selectors permit, and that no trap queues: they are dropped
    (RFC 4301 5.1). Rate-limited; link-scope control traffic, which every host sends, is none of them."""

    device_id: int
    count: int  # since the last message of the device
    packet: tuple[Selector, ...]  # the last one's: two, as in Acquire


@dataclass(frozen=True, slots=True)
class Looped:
    """Our own ESP came out of a device: routes lead the peer's address into the tunnel. Rate-limited."""

    device_id: int
    remote_address: Address


@dataclass(frozen=True, slots=True)
class DeviceBroken:
    """Reads from this device fail."""

    device_id: int
    text: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A message could not be executed (child_id 0: it named no SA pair), or a device or socket failed."""

    child_id: int
    text: str


Message = (
    AddSocket
    | RemoveSocket
    | AddDevice
    | SetMss
    | RemoveDevice
    | AddInboundSa
    | AddOutboundSa
    | ActivateOutboundSa
    | RemoveOutboundSa
    | RemoveSaPair
    | UpdateSaPath
    | SetTfcPadding
    | ForwardEsp
    | Ready
    | BusyChanged
    | Ping
    | Pong
    | ForwardIke
    | UnknownSpi
    | SequenceLow
    | SequenceExhausted
    | PeerMoved
    | NotPermitted
    | Acquire
    | NoSa
    | Looped
    | DeviceBroken
    | Fault
)

_CLASSES: tuple[type[Message], ...] = get_args(Message)
_NUMBERS: dict[type[Message], int] = {cls: number for number, cls in enumerate(_CLASSES)}


def _kind(reader: FieldReader) -> SocketKind:
    try:
        return SocketKind(reader.number())
    except ValueError:
        raise FieldError("unknown kind of socket") from None


_READERS: dict[object, Callable[[FieldReader], object]] = {
    int: FieldReader.number,
    bool: FieldReader.flag,
    str: FieldReader.text,
    bytes: FieldReader.octets,
    Address: FieldReader.address,
    Suite: FieldReader.suite,
    tuple[Selector, ...]: FieldReader.selectors,
    SocketKind: _kind,
}


def _layout(cls: type[Message]) -> tuple[Callable[[FieldReader], object], ...]:
    hints = get_type_hints(cls)
    return tuple(_READERS[hints[each.name]] for each in fields(cls))


_NAMES = {cls: tuple(each.name for each in fields(cls)) for cls in _CLASSES}
_LAYOUTS: tuple[tuple[Callable[..., Message], tuple[Callable[[FieldReader], object], ...]], ...] = tuple(
    (cls, _layout(cls)) for cls in _CLASSES
)


def encode(message: Message) -> bytes:
    """The datagram of a message. Raises MessageError for a value that does not fit its field."""
    cls = type(message)
    out = bytearray([_NUMBERS[cls]])
    try:
        for name in _NAMES[cls]:
            write(out, getattr(message, name))
    except FieldError as error:
        raise MessageError(f"{cls.__name__}: {error}") from None
    return bytes(out)


def decode(data: bytes) -> Message:
    """The message of a datagram. Raises MessageError, and nothing else, for any bytes whatever."""
    if not data or data[0] >= len(_LAYOUTS):
        raise MessageError("unknown kind of message")
    cls, layout = _LAYOUTS[data[0]]
    reader = FieldReader(data, 1)
    try:
        values = [read(reader) for read in layout]
        reader.finish()
    except FieldError as error:
        raise MessageError(f"{_CLASSES[data[0]].__name__}: {error}") from None
    return cls(*values)
