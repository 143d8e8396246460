"""What is fuzzed: functions of bytes that may do anything but raise, hang or grow."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from esp.packet.policy import Policy
from esp.sa.inbound import InboundSa, OpenedBatch
from esp.sa.suites import ESP_HEADER, SUITES
from ikepy.errors import PeerError, WireError
from ikepy.sa.api.effects import Send
from ikepy.sa.api.path import Endpoint, Path
from ikepy.wire import rules
from ikepy.wire.constants import FIRST_EXCHANGES, ExchangeType, HeaderFlag
from ikepy.wire.message import (
    IkeHeader,
    decode_header,
    decode_message,
    encode_message,
    fragment_prefix,
    protected_prefix,
)
from tests.exchange.network import ADDRESS_A, ADDRESS_B
from tests.fuzz.corpus import RAW, established
from tests.fuzz.onlooker import DecodeTarget
from tests.unit.esp.packets import ANY, keys_for, seal_row

A_TO_B = Path(Endpoint(ADDRESS_B, 500), Endpoint(ADDRESS_A, 500))
MAX_SAS = 40  # IKE_SAs that strangers and one peer can make a machine hold
MAX_RECORDS = 32  # fragments of one input
RECORD = 6  # octets in front of a fragment's content
NUMBERS = 32  # where a fragment's number and total stand in a message
SPI = 0x1001
RENEWED = 2000  # inputs that one machine takes


class MessageTarget:
    """A datagram from anywhere, at the parser and at a machine with an established IKE_SA."""

    def __init__(self) -> None:
        self._inputs = 0

    def __call__(self, data: bytes) -> None:
        if self._inputs % RENEWED == 0:
            self._net = established()
        self._inputs += 1
        try:
            message = decode_message(data)
        except WireError:
            pass
        else:
            again = decode_message(encode_message(message.header, message.payloads))
            assert again == message, "what is decoded encodes to the same"
            for protected in (False, True):
                with suppress(PeerError):
                    rules.check(message.header, message.payloads, protected)
        net = self._net
        net.inject("b", A_TO_B, data)
        net.now += 0.01
        assert len(net.b.manager.list_sas(net.now)) <= MAX_SAS


class SealedTarget:
    """The inside of a protected request of an authenticated peer: exchange, first type, the rest."""

    def __init__(self) -> None:
        self._inputs = 0

    def _renew(self) -> None:
        self._net = established()
        (snapshot,) = self._net.a.manager.list_sas(self._net.now)
        sa = self._net.a.manager.find(snapshot.ike_id)
        assert sa is not None
        self._sa, self._spi, self._message_id = sa, sa.spi_r, 2

    def __call__(self, data: bytes) -> None:
        if len(data) < 2:
            return
        if self._inputs % RENEWED == 0 or not self._stands():
            self._renew()
        self._inputs += 1
        net, sa = self._net, self._sa
        exchange = EXCHANGES[data[0] % len(EXCHANGES)]
        header = IkeHeader(sa.spi_i, sa.spi_r, exchange, HeaderFlag.INITIATOR, self._message_id)
        self._message_id += 1
        cipher, chain = sa.keys.cipher_out, data[2:60_000]
        prefix = protected_prefix(header, data[1], cipher.body_length(len(chain)))
        effects = net.inject("b", A_TO_B, cipher.seal(prefix, chain, sa.registry.entropy.random))
        assert any(isinstance(effect, Send) for effect in effects), "every request is answered"
        held = {child.spi_in for one in net.b.manager.list_sas(net.now) for child in one.children}
        assert held <= {sa.spi for sa in net.b.plane.inbound.values()}
        assert len(net.b.manager.list_sas(net.now)) <= MAX_SAS
        if net.b.manager.idle:
            assert not net.b.plane.inbound
            assert not net.b.plane.outbound

    def _stands(self) -> bool:
        """Whether b still has the first IKE_SA, neither rekeyed nor ended."""
        return any(
            snapshot.spi_r == self._spi and snapshot.state == "ESTABLISHED"
            for snapshot in self._net.b.manager.list_sas(self._net.now)
        )


class FragmentsTarget:
    """Fragments of an authenticated peer's (RFC 7383): an exchange, then record after record.

    A record: the number of octets of its content (2), an offset to the message ID, the fragment's number, the
    total, the type of the first payload (1 each), the content, which is authentic.
    """

    def __init__(self) -> None:
        self._inputs = 0

    def _renew(self) -> None:
        self._net = established()
        (snapshot,) = self._net.a.manager.list_sas(self._net.now)
        sa = self._net.a.manager.find(snapshot.ike_id)
        assert sa is not None
        self._sa, self._message_id = sa, 2

    def __call__(self, data: bytes) -> None:
        if len(data) < 1:
            return
        if self._inputs % RENEWED == 0 or not self._stands():
            self._renew()
        self._inputs += 1
        exchange = EXCHANGES[data[0] % len(EXCHANGES)]
        at, answers = 1, 0
        for _ in range(MAX_RECORDS):
            if at + RECORD > len(data):
                break
            size = int.from_bytes(data[at : at + 2], "big")
            answers += self._send(
                exchange, data[at + 2 : at + RECORD], data[at + RECORD : at + RECORD + size]
            )
            at += RECORD + size
        assert answers <= MAX_RECORDS
        self._net.now += 0.01

    def _send(self, exchange: int, numbers: bytes, content: bytes) -> int:
        """One fragment; whether it completed a message, which was answered then."""
        net, sa, (offset, number, total, first) = self._net, self._sa, numbers
        if not self._stands():
            return 0
        message_id = max(0, self._message_id + offset % 4 - 1)
        header = IkeHeader(sa.spi_i, sa.spi_r, exchange, HeaderFlag.INITIATOR, message_id)
        cipher = sa.keys.cipher_out
        prefix = bytearray(fragment_prefix(header, first, 1, 1, cipher.body_length(len(content))))
        prefix[NUMBERS : NUMBERS + 4] = bytes((0, number, 0, total))
        effects = net.inject("b", A_TO_B, cipher.seal(bytes(prefix), content, sa.registry.entropy.random))
        sent = any(
            isinstance(effect, Send) and decode_header(effect.data)[0].is_response for effect in effects
        )
        if sent and message_id == self._message_id:
            self._message_id += 1
        return sent

    def _stands(self) -> bool:
        return any(
            snapshot.spi_r == self._sa.spi_r and snapshot.state == "ESTABLISHED"
            for snapshot in self._net.b.manager.list_sas(self._net.now)
        )


class EspTarget:
    """Packets for an inbound SA. The first octet tells which suite, and by its highest bit whether the rest
    is a packet as a stranger may send it, or what is inside an authentic one: inner packet, padding, trailer.
    """

    def __init__(self) -> None:
        kinds = [(suite, esn) for suite in SUITES for esn in (False, True)]
        self._kinds = kinds
        self._batch, self._lone = (
            [InboundSa(SPI, suite, keys_for(suite), esn, 64, Policy(ANY, ANY)) for suite, esn in kinds]
            for _ in range(2)
        )
        self._sequence = 0

    def __call__(self, data: bytes) -> None:
        if not data:
            return
        kind = (data[0] & ~RAW) % len(self._kinds)
        batch = self._batch[kind]
        packet = data[1:] if data[0] & RAW else self._sealed(kind, data[1:])
        opened = batch.open_batch([memoryview(bytearray(packet))])
        assert len(opened.packets) + sum(opened.drops.values()) == 1
        alone = self._lone[kind].open_single(memoryview(bytearray(packet)), 0)
        if isinstance(alone, memoryview):
            alone = OpenedBatch([alone], valid=True, newest=True)
        assert alone == opened

    def _sealed(self, kind: int, inside: bytes) -> bytes:
        suite, esn = self._kinds[kind]
        self._sequence += 1
        inside = inside[: len(inside) // suite.block * suite.block] or bytes(suite.block)
        row = bytearray(suite.overhead + len(inside))
        row[:ESP_HEADER] = SPI.to_bytes(4, "big") + self._sequence.to_bytes(4, "big")
        start = ESP_HEADER + suite.iv_length
        row[start : start + len(inside)] = inside
        seal_row(suite, keys_for(suite), memoryview(row), self._sequence, esn=esn)
        return bytes(row)


# IKE_SA_INIT is never protected; the other positions are those of the seeds.
EXCHANGES = (*(one for one in ExchangeType if one not in FIRST_EXCHANGES), 0, 255)

TARGETS: dict[str, Callable[[], Callable[[bytes], None]]] = {
    "message": MessageTarget,
    "sealed": SealedTarget,
    "fragments": FragmentsTarget,
    "esp": EspTarget,
    "decode": DecodeTarget,
}
