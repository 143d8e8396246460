"""ESP packets under every suite, as `esp` seals them; what wrong keys and cut packets show."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from esp.sa.suites import SUITES, Suite
from ikepy.crypto.captured import ENCRYPTION_BY_ID, INTEGRITY, INTEGRITY_BY_ID
from ikepy.dissect.esp import dissect_esp
from ikepy.dissect.keys import EspKeys, Keys
from tests.unit.esp.packets import ICMP, TCP, UDP, ipv4, ipv6, keys_for, ports, sa_pair

PING = ipv4(payload=bytes.fromhex("0800000000070001") + b"data", protocol=ICMP)


def keys_of(suite: Suite, *, esn: bool = False, seed: int = 1) -> EspKeys:
    keys = keys_for(suite, seed)
    integrity = None if suite.integ is None else INTEGRITY_BY_ID[suite.integ]
    split = suite.encr_key_length
    return EspKeys(None, ENCRYPTION_BY_ID[suite.encr], keys[:split], integrity, keys[split:], esn=esn)


def sealed(suite: Suite, packet: bytes, *, esn: bool = False) -> bytes:
    outbound, _ = sa_pair(suite, esn=esn)
    (row,) = outbound.seal_batch([packet])
    return bytes(row)


@pytest.mark.parametrize("esn", [False, True])
@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_every_suite(suite: Suite, esn: bool) -> None:
    packet = sealed(suite, PING, esn=esn)
    opened = dissect_esp(packet, [keys_of(suite, esn=esn)])
    assert opened.problems == ()
    assert opened.summary == "10.1.0.1 to 10.2.0.1, ICMP echo request, identifier 7, sequence 1"
    assert opened.layers[2].octets == PING
    outer = opened.layers[0].node.children
    assert sum(one.end - one.start for one in outer) == len(packet)


FOUR, SIX = "10.1.0.1 to 10.2.0.1", "2001:db8:1::1 to 2001:db8:2::1"
INSIDE = [
    (ipv6(payload=ports(53, 4000, 16), next_header=UDP), f"{SIX}, UDP 53 to 4000, 8 octets"),
    (
        ipv4(payload=ports(443, 5000, 12) + b"\x50\x12" + bytes(6), protocol=TCP),
        f"{FOUR}, TCP 443 to 5000, SYN ACK, 0 octets",
    ),
    (ipv4(payload=b"x" * 8, protocol=UDP, fragment_offset=9), f"{FOUR}, a later fragment of UDP"),
    (ipv4(payload=b"x" * 8), f"{FOUR}, 253, 8 octets"),
    (
        ipv6(payload=b"\x11\0" + bytes(6) + ports(1, 2), next_header=60),
        f"{SIX}, UDP 1 to 2, 0 octets",
    ),
]


@pytest.mark.parametrize(("packet", "told"), INSIDE)
def test_packets_inside(packet: bytes, told: str) -> None:
    suite = SUITES[0]
    opened = dissect_esp(sealed(suite, packet), [keys_of(suite)])
    assert (opened.summary, opened.problems) == (told, ())


def test_wrong_keys_and_the_right_ones_behind_them() -> None:
    suite = SUITES[0]
    packet = sealed(suite, PING)
    wrong, right = keys_of(suite, seed=2), keys_of(suite)
    opened = dissect_esp(packet, [wrong])
    assert (opened.summary, opened.problems) == ("", ("wrong integrity check value",))
    assert dissect_esp(packet, [wrong, right]).summary.startswith("10.1.0.1")


def test_checksums_may_be_skipped() -> None:
    """As Wireshark's "ANY 128 bit authentication": who lacks the key of integrity still reads."""
    suite = next(one for one in SUITES if str(one) == "AES_CBC_128/HMAC_SHA2_256_128")
    known = keys_of(suite)
    keys = EspKeys(None, known.encryption, known.key, INTEGRITY["ANY_128"])
    assert dissect_esp(sealed(suite, PING), [keys]).summary.startswith("10.1.0.1")


@pytest.mark.parametrize("size", range(0, 60, 5))
def test_packets_that_are_cut(size: int) -> None:
    suite = SUITES[0]
    opened = dissect_esp(sealed(suite, PING)[:size], [keys_of(suite)])
    assert opened.summary == "" and opened.problems


def test_keys_by_spi_and_address() -> None:
    keys, suite = Keys(), SUITES[0]
    known = keys_of(suite)
    for spi, source in (
        (1, "*"),
        (1, "192.0.2.0/24"),
        (1, "192.0.2.1"),
        (1, "nonsense"),
        (2, "*"),
        (None, "*"),
    ):
        keys.add_esp(EspKeys(spi, known.encryption, known.key, source=source))
    there, elsewhere = ip_address("192.0.2.1"), ip_address("198.51.100.1")
    assert len(keys.of_esp(1, there, elsewhere)) == 4
    assert len(keys.of_esp(1, elsewhere, there)) == 2
    assert len(keys.of_esp(3, there, there)) == 1
