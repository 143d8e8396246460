"""RFC 7634 Appendix A: an ESP packet under ChaCha20-Poly1305."""

from esp.packet.policy import Policy
from esp.packet.selectors import Selector
from esp.sa.inbound import InboundSa
from esp.sa.suites import CHACHA20_POLY1305, suite_for
from tests.unit.esp.packets import open_row, seal_row

SUITE = suite_for(CHACHA20_POLY1305, None, None)
KEYS = bytes(range(0x80, 0xA0)) + bytes.fromhex("a0a1a2a3")
IV = 0x1011121314151617
INNER = bytes.fromhex(
    "45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec10"
    "0007362708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223"
    "2425262728292a2b2c2d2e2f3031323334353637"
)
TRAILER = bytes.fromhex("01020204")
ESP = bytes.fromhex(
    "01020304000000051011121314151617"
    "24039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c6"
    "14ee8099d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2facc638e8f3"
    "cbec163fac469b502773f6fb94e664da9165b82829f641e0"
    "76aaa8266b7fb0f7b11b369907e1ad43"
)


def test_sealed() -> None:
    row = bytearray(ESP[:8] + bytes(8) + INNER + TRAILER + bytes(16))
    # The example counts its IVs apart from its sequence numbers; here the IV is the 64-bit number, of which
    # the header that is filled in already shows another one.
    seal_row(SUITE, KEYS, memoryview(row), IV)
    assert bytes(row) == ESP


def test_opened() -> None:
    plaintext = open_row(SUITE, KEYS, memoryview(bytearray(ESP)), 5)
    assert plaintext is not None
    assert bytes(plaintext) == INNER + TRAILER


def test_received() -> None:
    policy = Policy([Selector.of("192.0.2.0/24")], [Selector.of("198.51.100.0/24")])
    sa = InboundSa(0x01020304, SUITE, KEYS, False, 64, policy)
    assert sa.open_batch([memoryview(bytearray(ESP))]).packets == [INNER]
