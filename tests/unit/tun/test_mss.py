"""The MSS clamp against packets that scapy builds and whose checksums it computes anew."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP, IPOption_Router_Alert
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from scapy.packet import Packet, Raw, raw

from tun.mss import clamp

Version = Literal[4, 6]
VERSIONS: list[Version] = [4, 6]


def packet(
    version: Version, options: list[tuple[str, object]], flags: str = "S", payload: bytes = b""
) -> bytes:
    tcp = TCP(sport=1025, dport=80, seq=7, flags=flags, options=options) / Raw(payload)
    return bytes(ip(version) / tcp)


def ip(version: Version) -> Packet:
    return IP(src="10.1.0.1", dst="10.2.0.1") if version == 4 else IPv6(src="fd01::1", dst="fd02::1")


def options(data: bytes) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = parse(data)[TCP].options
    return found


def parse(data: bytes) -> Packet:
    return IP(data) if data[0] >> 4 == 4 else IPv6(data)


def recomputed(data: bytes) -> bytes:
    """The same packet with every checksum computed from nothing."""
    whole = parse(data)
    del whole[TCP].chksum
    if IP in whole:
        del whole[IP].chksum
    return bytes(whole)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("flags", ["S", "SA", "SEC", "SAE"])
def test_handshake_is_lowered(version: Version, flags: str) -> None:
    before = packet(version, [("MSS", 1460), ("SAckOK", b""), ("WScale", 7)], flags)
    after = clamp(before, 1360, 1340)
    assert after == packet(
        version, [("MSS", {4: 1360, 6: 1340}[version]), ("SAckOK", b""), ("WScale", 7)], flags
    )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("flags", ["A", "PA", "FA", "R", "RA", "SR", "SF", ""])
def test_other_segments_are_left_alone(version: Version, flags: str) -> None:
    assert clamp(packet(version, [("MSS", 1460)], flags), 1360, 1340) is None


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mss", [536, 1299, 1300])
def test_never_raised(version: Version, mss: int) -> None:
    assert clamp(packet(version, [("MSS", mss)]), 1300, 1300) is None


def test_no_bound_for_one_family() -> None:
    assert clamp(packet(4, [("MSS", 1460)]), 0, 1300) is None
    assert clamp(packet(6, [("MSS", 1460)]), 1300, 0) is None


@pytest.mark.parametrize("version", VERSIONS)
def test_handshake_without_the_option(version: Version) -> None:
    assert clamp(packet(version, []), 1300, 1300) is None
    assert clamp(packet(version, [("SAckOK", b""), ("EOL", None), ("MSS", 1460)]), 1300, 1300) is None


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("before", range(4))
def test_option_at_any_alignment(version: Version, before: int) -> None:
    changed = clamp(packet(version, [("NOP", None)] * before + [("MSS", 9000)]), 1300, 1300)
    assert changed is not None
    assert ("MSS", 1300) in options(changed)
    assert changed == recomputed(changed)


def test_ip_options() -> None:
    before = raw(
        IP(src="10.1.0.1", dst="10.2.0.1", options=[IPOption_Router_Alert()])
        / TCP(flags="S", options=[("MSS", 1460)])
    )
    after = clamp(before, 1300, 0)
    assert after is not None
    assert after == recomputed(after)
    assert options(after) == [("MSS", 1300)]


def test_several_options_are_all_lowered() -> None:
    after = clamp(packet(4, [("MSS", 1460), ("MSS", 1200), ("MSS", 9000)]), 1300, 0)
    assert after is not None
    assert after == recomputed(after)
    assert options(after) == [("MSS", 1300), ("MSS", 1200), ("MSS", 1300)]


@pytest.mark.parametrize(("flags", "offset"), [("MF", 0), (0, 1), ("MF", 100), ("MF+DF", 0)])
def test_fragments_are_left_alone(flags: str | int, offset: int) -> None:
    tcp = TCP(flags="S", options=[("MSS", 1460)])
    assert clamp(raw(IP(src="10.1.0.1", dst="10.2.0.1", flags=flags, frag=offset) / tcp), 1300, 0) is None


def test_dont_fragment_is_no_fragment() -> None:
    tcp = TCP(flags="S", options=[("MSS", 1460)])
    assert clamp(raw(IP(src="10.1.0.1", dst="10.2.0.1", flags="DF") / tcp), 1300, 0) is not None


def test_extension_headers_and_other_protocols_are_left_alone() -> None:
    tcp = TCP(flags="S", options=[("MSS", 1460)])
    assert clamp(raw(ip(6) / IPv6ExtHdrDestOpt() / tcp), 0, 1300) is None
    assert clamp(raw(ip(6) / UDP(sport=1, dport=2) / raw(tcp)), 0, 1300) is None
    assert clamp(raw(ip(4) / UDP(sport=1, dport=2) / raw(tcp)), 1300, 0) is None


@pytest.mark.parametrize("version", VERSIONS)
def test_truncation_at_every_length(version: Version) -> None:
    whole = packet(version, [("MSS", 1460), ("SAckOK", b"")])
    for length in range(len(whole)):
        assert clamp(whole[:length], 1300, 1300) is None


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "bad",
    [
        "0200",
        "0201",
        "0203",
        "0205ffffff",
        "02ff",
        "080005b4",
        "03030702",
        "01010102",
        "0203ff00",
        "0206ffffffff0000",
    ],
)
def test_malformed_options_are_left_alone(version: Version, bad: str) -> None:
    bare = bytearray(packet(version, [("MSS", 1460), ("SAckOK", b"")]))
    at = {4: 20, 6: 40}[version] + 20
    data = bytes.fromhex(bad).ljust(8, b"\x09")
    bare[at : at + 8] = data
    assert clamp(bare, 1300, 1300) is None


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_argument_is_not_changed(kind: type[bytes] | type[bytearray] | type[memoryview]) -> None:
    whole = packet(4, [("MSS", 1460)])
    given_packet = kind(whole)
    assert clamp(given_packet, 1300, 0) is not None
    assert given_packet == whole


def test_padding_behind_the_packet_is_kept() -> None:
    after = clamp(packet(4, [("MSS", 1460)]) + bytes(9), 1300, 0)
    assert after == packet(4, [("MSS", 1300)]) + bytes(9)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("words", [0, 4, 7, 15])
def test_header_length_that_is_a_lie(version: Version, words: int) -> None:
    """Longer than the packet, though padding with a likely option follows, or shorter than any header."""
    whole = bytearray(packet(version, [("NOP", None)] * 4) + bytes.fromhex("020405b4") * 9)
    whole[{4: 20, 6: 40}[version] + 12] = words << 4
    assert clamp(whole, 1300, 1300) is None


PLAIN_OPTIONS = st.sampled_from([("NOP", None), ("SAckOK", b""), ("WScale", 7), ("Timestamp", (1, 2))])


@given(
    version=st.sampled_from(VERSIONS),
    before=st.lists(PLAIN_OPTIONS, max_size=5),
    after=st.lists(PLAIN_OPTIONS, max_size=1),
    mss=st.integers(0, 65535),
    limit=st.integers(1, 65535),
    payload=st.binary(max_size=20),
)
@example(version=4, before=[], after=[], mss=65535, limit=1, payload=b"")
def test_incremental_checksum(
    version: Version,
    before: list[tuple[str, object]],
    after: list[tuple[str, object]],
    mss: int,
    limit: int,
    payload: bytes,
) -> None:
    whole = packet(version, [*before, ("MSS", mss), *after][-6:], "S", payload)
    changed = clamp(whole, limit, limit)
    if mss <= limit or ("MSS", mss) not in options(whole):
        assert changed is None
    else:
        assert changed is not None
        assert changed == recomputed(changed)
        assert options(changed) == [("MSS", limit) if one == ("MSS", mss) else one for one in options(whole)]


@pytest.mark.parametrize("nops", [0, 1])
def test_wrong_checksum_stays_wrong(nops: int) -> None:
    """By as much as before: a clamp must not vouch for a packet that was damaged."""
    whole = bytearray(packet(4, [("NOP", None)] * nops + [("MSS", 1536)]))
    good = int.from_bytes(whole[36:38], "big")
    right = int.from_bytes(packet(4, [("NOP", None)] * nops + [("MSS", 1535)])[36:38], "big")
    for error in range(1, 65535):
        whole[36:38] = ((good + error) % 65535).to_bytes(2, "big")
        changed = clamp(whole, 1535, 0)
        assert changed is not None
        assert (int.from_bytes(changed[36:38], "big") - right) % 65535 == error


@given(st.binary(max_size=120), st.integers(0, 65535), st.integers(0, 65535))
def test_any_bytes(data: bytes, mss4: int, mss6: int) -> None:
    changed = clamp(data, mss4, mss6)
    assert changed is None or len(changed) == len(data)


@given(st.sampled_from(VERSIONS), st.data())
def test_damaged_handshakes(version: Version, data: st.DataObject) -> None:
    whole = bytearray(packet(version, [("MSS", 1460), ("Timestamp", (1, 2)), ("NOP", None)]))
    for _ in range(3):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    changed = clamp(whole, 1300, 1300)
    assert changed is None or len(changed) == len(whole)
