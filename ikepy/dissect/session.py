"""Puts datagrams together to messages: fragments, retransmissions, and what keys open.

Sees both directions, in the order of the capture. What it keeps is bounded; the oldest messages go.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace

from ikepy.dissect.esp import dissect_esp
from ikepy.dissect.keys import EspKeys, IkeKeys, Keys
from ikepy.dissect.message import Kind, Message, of_ike
from ikepy.dissect.opening import Found, Opening, Piece
from ikepy.dissect.tree import Fields, layer
from ikepy.dissect.witness import Witness
from ikepy.sa.api.path import Endpoint
from ikepy.wire.constants import NON_ESP_MARKER, PayloadType
from ikepy.wire.message import HEADER_SIZE, MAX_FRAGMENTS

NAT_T_PORT = 4500
IKE_PORT = 500
MAX_MESSAGES = 20_000
MAX_OCTETS = 64 << 20  # of all messages that are kept
MAX_FIELDS = 1_000_000  # likewise
MAX_COPIES = 256
_SPI = 4
_KEEPALIVE = b"\xff"
_MAJOR_VERSIONS = (1, 2)
_ROUNDS = 8  # in which keys that were derived open more, and so on

_Fragments = tuple[bytes, bytes, int, int]  # both SPIs, flags, message ID


@dataclass(slots=True)
class _Kept:
    message: Message
    octets: bytes
    pieces: list[Piece] = field(default_factory=list)  # if it came in fragments
    waits_for: Hashable = None  # the keys of this SA

    @property
    def datagrams(self) -> list[bytes]:
        return [one.octets for one in self.pieces] or [self.octets]


class Session:
    """An onlooker of any number of IKE and ESP SAs.

    `keys` may grow by `add_ike_keys`, `add_esp_keys` and `add_secret`, or outside, before `reopened`. `psks`:
    preshared keys that AUTH is verified with. `most`: messages that are remembered.
    """

    def __init__(
        self, keys: Keys | None = None, psks: Sequence[bytes] = (), most: int = MAX_MESSAGES
    ) -> None:
        self.keys = Keys() if keys is None else keys
        self.witness = Witness(self.keys, psks)
        self._opening = Opening(self.keys, self.witness)
        self._most, self._octets, self._fields = most, 0, 0
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._numbers: dict[bytes, int] = {}  # of datagrams that were seen
        self._fragments: dict[_Fragments, int] = {}
        self._closed: defaultdict[Hashable, set[int]] = defaultdict(set)  # numbers, by whose keys are lacking
        self._next = 0

    @property
    def kept(self) -> int:
        """How many messages are remembered."""
        return len(self._kept)

    # -- what comes ----------------------------------------------------------------------------------

    def feed(self, time_s: float, source: Endpoint, destination: Endpoint, payload: bytes) -> Message | None:
        """The content of a UDP datagram. The message that it is (or is more of); None if it is no IPsec."""
        if NAT_T_PORT in (source.port, destination.port):
            if payload == _KEEPALIVE:
                return self._new(time_s, source, destination, payload, Kind.KEEPALIVE)
            if payload[:4] != NON_ESP_MARKER:
                return self.feed_esp(time_s, source, destination, payload)
            return self._ike(time_s, source, destination, payload[4:])
        if IKE_PORT in (source.port, destination.port) or looks_like_ike(payload):
            return self._ike(time_s, source, destination, payload)
        if payload[:4] == NON_ESP_MARKER and looks_like_ike(payload[4:]):  # NAT-T on another port
            return self._ike(time_s, source, destination, payload[4:])
        return None

    def feed_esp(
        self, time_s: float, source: Endpoint, destination: Endpoint, packet: bytes
    ) -> Message | None:
        """An ESP packet from its SPI on, out of UDP or of IP (then the ports are 0)."""
        if len(packet) <= _SPI:
            return None
        return self._new(time_s, source, destination, packet, Kind.ESP)

    def add_ike_keys(self, keys: IkeKeys) -> list[Message]:
        """More keys; the messages that they open."""
        self.keys.add_ike(keys)
        return self.reopened()

    def add_esp_keys(self, keys: EspKeys) -> list[Message]:
        self.keys.add_esp(keys)
        return self.reopened()

    def add_secret(self, public_i: bytes, public_r: bytes, secret: bytes) -> list[Message]:
        """The secret of a key exchange, by its two public values."""
        self.keys.add_secret(public_i, public_r, secret)
        return self.reopened()

    def reopened(self) -> list[Message]:
        """The messages that keys which are new since the last call open."""
        changed: dict[int, Message] = {}
        for _ in range(_ROUNDS):
            if self.keys.has_new_secrets():
                self.witness.look_again()
            waiting = self._waiting()
            if not waiting:
                break
            for number in waiting:
                kept = self._kept[number]
                kept.pieces = [self._opening.piece(one.number, one.total, one.octets) for one in kept.pieces]
                self._build(kept)
                if kept.message.opened:
                    changed[number] = kept.message
        return [changed[number] for number in sorted(changed)]

    def _waiting(self) -> list[int]:
        """Messages that wait for keys which are new, in their order."""
        found: set[int] = set()
        for sa in self.keys.new_sas():
            if sa is None:  # ESP keys of any SPI
                found.update(*(numbers for name, numbers in self._closed.items() if isinstance(name, int)))
            else:
                found |= self._closed.get(sa, set())
        return sorted(found)

    # -- IKE -----------------------------------------------------------------------------------------

    def _ike(self, time_s: float, source: Endpoint, destination: Endpoint, octets: bytes) -> Message:
        if (known := self._again(time_s, octets)) is not None:
            return known
        kept = self._of_fragment(octets)
        if kept is None:
            return self._new(time_s, source, destination, octets, Kind.IKE)
        self._numbers[octets] = kept.message.number
        self._build(kept)
        self._make_room()
        return kept.message

    def _again(self, time_s: float, octets: bytes) -> Message | None:
        """A datagram that was seen before: retransmissions are the same octet for octet (RFC 7296 2.1)."""
        number = self._numbers.get(octets)
        kept = None if number is None else self._kept.get(number)
        if kept is None:
            return None
        if len(kept.message.copies) < MAX_COPIES:
            kept.message = replace(kept.message, copies=(*kept.message.copies, time_s))
        return kept.message

    def _of_fragment(self, octets: bytes) -> _Kept | None:
        """The message that this fragment belongs to, with it; None if it is the first, or no fragment."""
        parsed = _fragment_of(octets)
        if parsed is None:
            return None
        name, number, total = parsed
        kept = self._kept.get(self._fragments.get(name, -1))
        if kept is None or len(kept.pieces) > MAX_FRAGMENTS:
            return None
        same = [one for one in kept.pieces if (one.number, one.total) == (number, total)]
        if all(one.plaintext is None for one in same):  # one that can't be opened may be forged
            kept.pieces.append(self._opening.piece(number, total, octets))
        return kept

    # -- what is kept --------------------------------------------------------------------------------

    def _new(
        self, time_s: float, source: Endpoint, destination: Endpoint, octets: bytes, kind: Kind
    ) -> Message:
        number, self._next = self._next, self._next + 1
        kept = _Kept(Message(number, time_s, source, destination, (), kind.value, kind), octets)
        self._kept[number] = kept
        if kind is Kind.IKE:
            self._numbers[octets] = number
            if (parsed := _fragment_of(octets)) is not None:
                name, fragment, total = parsed
                self._fragments[name] = number
                kept.pieces.append(self._opening.piece(fragment, total, octets))
        self._build(kept)
        self._make_room()
        return kept.message

    def _make_room(self) -> None:
        while self._is_full:
            number, oldest = self._kept.popitem(last=False)
            self._count(oldest.message, -1)
            self._is_closed(oldest, None)
            for octets in oldest.datagrams:
                if self._numbers.get(octets) == number:
                    del self._numbers[octets]
                parsed = _fragment_of(octets) if oldest.pieces else None
                if parsed is not None and self._fragments.get(parsed[0]) == number:
                    del self._fragments[parsed[0]]

    @property
    def _is_full(self) -> bool:
        much = self._octets > MAX_OCTETS or self._fields > MAX_FIELDS
        return len(self._kept) > self._most or (much and len(self._kept) > 1)

    def _count(self, message: Message, sign: int) -> None:
        self._fields += sign * message.fields
        self._octets += sign * sum(len(one.octets) for one in message.layers)

    def _is_closed(self, kept: _Kept, waits_for: Hashable) -> None:
        """Note whose keys it waits for; None: it is open, or gone."""
        if kept.waits_for is not None:
            numbers = self._closed[kept.waits_for]
            numbers.discard(kept.message.number)
            if not numbers:
                del self._closed[kept.waits_for]
        kept.waits_for = waits_for
        if waits_for is not None:
            self._closed[waits_for].add(kept.message.number)

    def _build(self, kept: _Kept) -> None:
        """Make the message of all that is known of it now."""
        former = kept.message
        waits_for: Hashable = None
        if former.kind is Kind.KEEPALIVE:
            found = layer("NAT keepalive", kept.octets, _keepalive, "keepalive")
            kept.message = replace(former, layers=(found,))
        elif former.kind is Kind.ESP:
            kept.message = self._esp(former, kept.octets)
            waits_for = None if kept.message.opened else int.from_bytes(kept.octets[:_SPI], "big")
        else:
            told = self._opening.of_pieces(kept.pieces) if kept.pieces else self._opening.of(kept.octets)
            kept.message = _ike_message(former, told)
            spis = kept.message.spi_i, kept.message.spi_r
            waits_for = spis if told.sealed and not told.opened else None
        self._is_closed(kept, waits_for)
        self._count(former, -1)
        self._count(kept.message, 1)

    def _esp(self, former: Message, octets: bytes) -> Message:
        spi = int.from_bytes(octets[:_SPI], "big")
        keys = self.keys.of_esp(spi, former.source.address, former.destination.address)
        opened = dissect_esp(octets, keys)
        summary = opened.layers[0].node.value
        return replace(
            former,
            layers=opened.layers,
            summary=f"{summary} [ {opened.summary} ]" if opened.summary else summary,
            problems=opened.problems,
            opened=bool(opened.summary),
        )


def _ike_message(former: Message, told: Found) -> Message:
    message = of_ike(former.number, former.time_s, former.source, former.destination, told.layers)
    return replace(
        message,
        summary=told.summary or message.summary,
        problems=(*message.problems, *told.problems),
        findings=told.findings,
        copies=former.copies,
        opened=told.opened,
    )


def looks_like_ike(octets: bytes) -> bool:
    """Whether it is an IKE message by its version and length."""
    return (
        len(octets) >= HEADER_SIZE
        and octets[17] >> 4 in _MAJOR_VERSIONS
        and octets[:8] != bytes(8)
        and int.from_bytes(octets[24:28], "big") == len(octets)
    )


def _fragment_of(octets: bytes) -> tuple[_Fragments, int, int] | None:
    """Of which message a datagram is a fragment, its number and their total; None if it is none."""
    if len(octets) < HEADER_SIZE + 8 or octets[16] != PayloadType.SKF or octets[17] >> 4 != 2:
        return None
    number, total = int.from_bytes(octets[32:34], "big"), int.from_bytes(octets[34:36], "big")
    if not 1 <= number <= total <= MAX_FRAGMENTS:
        return None
    name = (octets[:8], octets[8:16], octets[19], int.from_bytes(octets[20:24], "big"))
    return name, number, total


def _keepalive(fields: Fields) -> str:
    fields.rest("Octet 0xff")
    return "NAT keepalive"
