"""What an onlooker knows of one message: when, between whom, and its layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from ikepy.dissect.ike import dissect_ike
from ikepy.dissect.tree import Layer
from ikepy.sa.api.path import Endpoint
from ikepy.wire.constants import HeaderFlag
from ikepy.wire.message import HEADER_SIZE


class Kind(Enum):
    """What a datagram is."""

    IKE = "IKE"
    ESP = "ESP"
    KEEPALIVE = "NAT keepalive"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Message:
    """One message, with all datagrams that carried it.

    `number`: its place among those of its session; a later value of the same number takes this one's place.
    `time_s`: of its first datagram, in seconds since 1970. `layers`: the datagrams, and what they hid.
    `copies`: when each further copy came. `from_initiator`: the IKE SA's original initiator sent it.
    `findings`: what was verified (AUTH); `problems`: what is wrong with it. `opened`: it was decrypted.
    """

    number: int
    time_s: float
    source: Endpoint
    destination: Endpoint
    layers: tuple[Layer, ...]
    summary: str
    kind: Kind = Kind.IKE
    exchange: int = 0
    message_id: int = 0
    is_response: bool = False
    from_initiator: bool = False
    spi_i: bytes = b""
    spi_r: bytes = b""
    problems: tuple[str, ...] = ()
    copies: tuple[float, ...] = ()
    findings: tuple[str, ...] = ()
    opened: bool = False

    @property
    def fields(self) -> int:
        """How many nodes all layers have: 250 octets of memory or so each."""
        return sum(layer.fields for layer in self.layers)


def plain(number: int, time_s: float, source: Endpoint, destination: Endpoint, octets: bytes) -> Message:
    """A datagram with an IKE message (without non-ESP marker), as one without keys sees it."""
    return of_ike(number, time_s, source, destination, [dissect_ike(octets)])


def of_ike(
    number: int, time_s: float, source: Endpoint, destination: Endpoint, layers: Sequence[Layer]
) -> Message:
    """A message of IKE out of its layers, the first of which is its (first) datagram."""
    octets = layers[0].octets
    head = octets[:HEADER_SIZE].ljust(HEADER_SIZE, b"\0")
    return Message(
        number,
        time_s,
        source,
        destination,
        tuple(layers),
        layers[0].node.value,
        Kind.IKE,
        exchange=head[18],
        message_id=int.from_bytes(head[20:24], "big"),
        is_response=bool(head[19] & HeaderFlag.RESPONSE),
        from_initiator=bool(head[19] & HeaderFlag.INITIATOR),
        spi_i=head[:8],
        spi_r=head[8:16],
        problems=tuple(problem for layer in layers for problem in layer.problems),
    )
