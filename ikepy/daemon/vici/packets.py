"""VICI packets: what they are and who sends them (strongSwan's vici/README.md, "Transport protocol", "Packet
layer").

On the stream each packet follows its length, 32 bits in network order. It begins with its type (one octet);
requests and events have a name (8-bit length) then; the rest is a message.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from ikepy.daemon.vici.message import MAX_NAME, Pairs, ViciError, encode

HEADER = 4  # octets of the length before a packet
MAX_PACKET = 512 * 1024  # octets of a packet; libvici refuses longer ones

ALIVE = "ikepy-alive"  # an event of ours: the daemon works on the client's command


class PacketType(IntEnum):
    CMD_REQUEST = 0
    CMD_RESPONSE = 1
    CMD_UNKNOWN = 2
    EVENT_REGISTER = 3
    EVENT_UNREGISTER = 4
    EVENT_CONFIRM = 5
    EVENT_UNKNOWN = 6
    EVENT = 7


FROM_CLIENTS = (PacketType.CMD_REQUEST, PacketType.EVENT_REGISTER, PacketType.EVENT_UNREGISTER)
FROM_DAEMONS = tuple(kind for kind in PacketType if kind not in FROM_CLIENTS)


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet of either side, `name` empty where its type has none; `message` is not decoded yet."""

    type: PacketType
    name: str
    message: bytes


def parse_request(packet: bytes) -> Packet:
    """A client's packet, without its length. Raises ViciError."""
    if not packet or packet[0] not in FROM_CLIENTS:
        raise ViciError("no packet that a client sends: a type of 0, 3 or 4 is expected")
    return _named(packet)


def parse_answer(packet: bytes) -> Packet:
    """A daemon's packet, without its length. Raises ViciError."""
    if not packet or packet[0] not in FROM_DAEMONS:
        raise ViciError("no packet that a daemon sends: a type of 1, 2, 5, 6 or 7 is expected")
    kind = PacketType(packet[0])
    return _named(packet) if kind is PacketType.EVENT else Packet(kind, "", packet[1:])


def _named(packet: bytes) -> Packet:
    if len(packet) < 2 or len(packet) < 2 + packet[1]:
        raise ViciError("the packet ends within its name")
    end = 2 + packet[1]
    try:
        name = packet[2:end].decode()
    except UnicodeDecodeError:
        raise ViciError("the packet's name is no UTF-8") from None
    return Packet(PacketType(packet[0]), name, packet[end:])


def answer(type: PacketType, pairs: Pairs = ()) -> bytes:
    """An unnamed packet with its length. ViciError if it is longer than clients take."""
    return _framed(bytes((type,)) + encode(pairs))


def event(name: str, pairs: Pairs) -> bytes:
    """An event's packet with its length. ViciError if it is longer than clients take."""
    return request(PacketType.EVENT, name, pairs)


def request(type: PacketType, name: str, pairs: Pairs = ()) -> bytes:
    """A packet of a type that has a name, with its length. ViciError if it is too long."""
    octets = name.encode()
    if len(octets) > MAX_NAME:
        raise ViciError(f"the name {name[:40]!r}... has more than {MAX_NAME} octets")
    return _framed(bytes((type, len(octets))) + octets + encode(pairs))


def _framed(packet: bytes) -> bytes:
    if len(packet) > MAX_PACKET:
        raise ViciError(
            f"the answer has {len(packet)} octets, a VICI packet at most {MAX_PACKET}: ask for less, by name"
        )
    return len(packet).to_bytes(HEADER, "big") + packet
