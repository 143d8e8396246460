"""`impair.packets`: what a right inbound SA says of the packets of impaired outbound ones."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from esp.packet.drop_reasons import Drop
from esp.packet.policy import Policy
from esp.packet.selectors import Selector
from esp.sa.inbound import InboundSa
from esp.sa.suites import suite_for
from ikepy.impair.packets import IMPAIRMENTS, outbound_sa
from ikepy.probe.child import echo_request
from ikepy.wire.constants import Encr, Integ

SUITES = [suite_for(Encr.AES_GCM_16, 128, None), suite_for(Encr.AES_CBC, 128, Integ.HMAC_SHA2_256_128)]
ANY = Policy((Selector.of("0.0.0.0/0"),), (Selector.of("0.0.0.0/0"),))
ENDS = IPv4Address("10.1.0.1"), IPv4Address("10.2.0.1")


def drops(texts: list[str], suite: int) -> list[Drop | None]:
    """What becomes of three packets, in order; None: it is delivered."""
    chosen = SUITES[suite]
    keys = bytes(range(chosen.key_length))
    outbound = outbound_sa(texts)(0x1234, chosen, keys, False)
    inbound = InboundSa(0x1234, chosen, keys, False, 64, ANY)
    found: list[Drop | None] = []
    for sequence in range(3):
        packet = echo_request(*ENDS, 7, sequence)
        (sealed,) = outbound.seal_batch([packet])
        opened = inbound.open_batch([memoryview(bytearray(sealed))])
        found.append(None if opened.packets else next(iter(opened.drops)))
    return found


@pytest.mark.parametrize("suite", range(len(SUITES)))
@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ([], [None, None, None]),
        (["corrupt-auth"], [None, None, None]),
        (["esp-bad-icv"], [Drop.INTEGRITY] * 3),
        (["esp-next-header"], [Drop.NEXT_HEADER] * 3),
        (["esp-pad-length"], [Drop.MALFORMED] * 3),
        (["esp-repeat-sequence"], [None, Drop.REPLAY, Drop.REPLAY]),
        (["esp-next-header=200", "esp-bad-icv"], [Drop.INTEGRITY] * 3),
    ],
)
def test_what_the_peer_drops(suite: int, texts: list[str], found: list[Drop | None]) -> None:
    assert drops(texts, suite) == found


def test_a_value_that_is_not_allowed() -> None:
    with pytest.raises(ValueError, match="needs a value"):
        outbound_sa(["esp-pad-length=1000"])
    assert len(IMPAIRMENTS) == 4
