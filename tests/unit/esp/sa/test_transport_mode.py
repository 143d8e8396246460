"""SAs in transport mode, under every kind of suite."""

from __future__ import annotations

import pytest

from esp.packet.drop_reasons import Drop
from esp.packet.policy import Policy
from esp.packet.selectors import Selector
from esp.packet.transport import Headers
from esp.sa.inbound import InboundSa
from esp.sa.outbound import OutboundSa
from esp.sa.suites import Suite
from tests.unit.esp.packets import EACH_KIND, ipv4, ipv6, keys_for, seal_row

OURS, PEERS = (Selector.of("192.0.2.1/32", 47),), (Selector.of("192.0.2.2/32", 47),)
GRE = ipv4("192.0.2.2", "192.0.2.1", bytes(range(99)), protocol=47)


def pair(suite: Suite, *, esn: bool = False) -> tuple[OutboundSa, InboundSa]:
    keys = keys_for(suite)
    inbound = InboundSa(
        0x1001, suite, keys, esn, 64, Policy(OURS, PEERS), transport=Headers(OURS, PEERS, nat=False)
    )
    return OutboundSa(0x1001, suite, keys, esn, transport=True, tfc=1000), inbound


def seal(sa: OutboundSa, packet: bytes) -> memoryview | None:
    copied = sa.copy(packet)
    return copied and sa.seal_in_place(copied[0], sa.start, *copied[1:])


@pytest.mark.parametrize("esn", [False, True])
@pytest.mark.parametrize("headroom", [0, 10])
@pytest.mark.parametrize("suite", EACH_KIND, ids=str)
def test_there_and_back(suite: Suite, headroom: int, esn: bool) -> None:
    """The header is not carried, and stands there again; no TFC padding, whatever is asked."""
    outbound, inbound = pair(suite, esn=esn)
    row = seal(outbound, GRE)
    assert row is not None and len(row) <= suite.overhead + 99 + 2 + suite.block
    opened = inbound.open_batch([row], headroom)
    (packet,) = opened.packets
    assert len(packet) == headroom + len(GRE)
    assert bytes(packet[headroom + 12 :]) == GRE[12:]
    assert packet[headroom + 9] == 47
    assert opened.valid and not opened.drops


def test_other_protocols_than_the_selectors_are_refused() -> None:
    outbound, inbound = pair(EACH_KIND[0])
    for packet in (ipv4(payload=b"abcd", protocol=17), ipv6(payload=bytes(8), next_header=4)):
        row = seal(outbound, packet)
        assert row is not None
        opened = inbound.open_batch([row])
        assert opened.drops == {Drop.SELECTORS: 1}
        assert opened.not_permitted[12:20] == GRE[12:20]


def test_what_a_peer_may_send_otherwise() -> None:
    """Dummies (RFC 4303 2.6), and more padding than there is packet."""
    suite = EACH_KIND[0]
    _, inbound = pair(suite)
    for number, (trailer, reason) in enumerate(((b"\0\x3b", Drop.DUMMY), (b"\xff\x2f", Drop.MALFORMED)), 1):
        row = memoryview(bytearray(suite.overhead + 10))
        row[:8] = (0x1001).to_bytes(4, "big") + number.to_bytes(4, "big")
        row[-suite.icv_length - 2 : -suite.icv_length] = trailer
        seal_row(suite, keys_for(suite), row, number)
        assert inbound.open_batch([row]).drops == {reason: 1}


def test_fragments_take_no_sequence_number() -> None:
    outbound, _ = pair(EACH_KIND[0])
    assert seal(outbound, ipv4(payload=bytes(8), fragment_offset=1)) is None
    assert outbound.sequence == 0
