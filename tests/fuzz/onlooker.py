"""The decoder as a target: what it is fed may be anything; it never raises, and what it says is bounded."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from ipaddress import ip_address

from ikepy.crypto.captured import ENCRYPTION, INTEGRITY
from ikepy.dissect.capture import CaptureError
from ikepy.dissect.decode import decode
from ikepy.dissect.ike import dissect_payloads
from ikepy.dissect.ip import dissect_ip
from ikepy.dissect.keys import EspKeys, IkeKeys, Keys
from ikepy.dissect.message import Message
from ikepy.dissect.session import Session
from ikepy.dissect.tree import MAX_NODES, MAX_PROBLEMS, Layer
from ikepy.sa.api.path import Endpoint

RENEWED = 500  # inputs that one session takes
A, B = (Endpoint(ip_address(f"192.0.2.{number}"), 4500) for number in (1, 2))
IKE, ESP, INSIDE, PACKET, CAPTURE = range(5)  # what the rest of an input is, by its first octet
LONGEST = 4096  # characters of a value


def opened_by_anybody() -> Keys:
    """Keys of suites without secrets, for all ESP SAs and for an IKE SA of zeros and ones."""
    keys, skipped = Keys(), INTEGRITY["ANY_96"]
    for spi_r in (b"\0" * 8, b"\1" * 8):
        keys.add_ike(IkeKeys(b"\1" * 8, spi_r, ENCRYPTION["NULL"], b"", b"", skipped))
    keys.add_esp(EspKeys(None, ENCRYPTION["NULL"], b"", skipped))
    return keys


class DecodeTarget:
    """The first octet tells what follows, the second one whether a datagram's SPIs are those of the keys."""

    def __init__(self) -> None:
        self._inputs = 0

    def __call__(self, data: bytes) -> None:
        if len(data) < 2:
            return
        if self._inputs % RENEWED == 0:
            self._session = Session(opened_by_anybody(), [b"a secret"])
        self._inputs += 1
        kind, flags, rest = data[0] % 5, data[1], data[2:]
        if kind == IKE:
            octets = b"\1" * 16 + rest[16:] if flags & 1 else rest
            self._feed(bytes(4) + octets)
        elif kind == ESP:
            self._feed(rest)
        elif kind == INSIDE:
            holds(dissect_payloads(flags, rest))
        elif kind == PACKET:
            holds(dissect_ip(rest))
        else:
            with suppress(CaptureError):
                for message in decode(BytesIO(rest), opened_by_anybody()).ladder:
                    all_hold(message)

    def _feed(self, payload: bytes) -> None:
        message = self._session.feed(float(self._inputs), A, B, payload)
        if message is not None:
            all_hold(message)


def all_hold(message: Message) -> None:
    assert message.summary.isprintable()
    for layer in message.layers:
        holds(layer)


def holds(layer: Layer) -> None:
    assert len(layer.problems) <= MAX_PROBLEMS
    count = 0
    for node in layer.node.walk():
        count += 1
        assert 0 <= node.start <= node.end <= len(layer.octets)
        assert node.value.isprintable() and len(node.value) <= LONGEST
    assert count <= 2 * MAX_NODES
