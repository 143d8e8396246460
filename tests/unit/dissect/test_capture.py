"""Captures: read as scapy writes them, written so that scapy reads them."""

from __future__ import annotations

import gzip
import struct
from io import BytesIO
from ipaddress import ip_address
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import CookedLinux, Dot1Q, Ether, Loopback
from scapy.layers.ppp import PPP, PPPoE
from scapy.packet import Packet as Layer
from scapy.packet import Raw
from scapy.utils import PcapNgReader, PcapNgWriter, PcapWriter

from ikepy.dissect import capture, pcapng
from ikepy.dissect.capture import Capture, CaptureError
from ikepy.dissect.datagrams import Datagram, Datagrams
from ikepy.dissect.decode import decode
from ikepy.dissect.keys import Keys
from ikepy.sa.api.path import Endpoint

BODY = bytes(range(200)) * 10
LINK = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
UDP4 = IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=500, dport=4500) / Raw(BODY)
UDP6 = IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(sport=500, dport=4500) / Raw(BODY)


def datagrams(data: bytes) -> list[Datagram]:
    return list(Datagrams(Capture(BytesIO(data))))


def pcap(*packets: Layer, endianness: str = "<", nano: bool = False, link: int | None = None) -> bytes:
    stream = BytesIO()
    stream.close = lambda: None  # type: ignore[method-assign]
    writer = PcapWriter(stream, endianness=endianness, nano=nano, linktype=link)
    for number, packet in enumerate(packets):
        packet.time = 1000.25 + number
        writer.write(packet)
    writer.flush()
    return stream.getvalue()


def ng(path: Path, *packets: Layer) -> bytes:
    writer = PcapNgWriter(str(path))
    for number, packet in enumerate(packets):
        packet.time = 1000.25 + number
        writer.write(packet)
    writer.close()
    return path.read_bytes()


def expected(version: int, time_s: float = 1000.25) -> Datagram:
    pair = ("192.0.2.1", "192.0.2.2") if version == 4 else ("2001:db8::1", "2001:db8::2")
    source, destination = (
        Endpoint(ip_address(one), port) for one, port in zip(pair, (500, 4500), strict=True)
    )
    return Datagram(time_s, source, destination, BODY)


@pytest.mark.parametrize("endianness", ["<", ">"])
@pytest.mark.parametrize("nano", [False, True])
def test_pcap(endianness: str, nano: bool) -> None:
    data = pcap(LINK / UDP4, LINK / UDP6, endianness=endianness, nano=nano)
    assert datagrams(data) == [expected(4), expected(6, 1001.25)]


def test_pcapng(tmp_path: Path) -> None:
    data = ng(tmp_path / "a", LINK / UDP4, LINK / UDP6)
    found = datagrams(data)
    assert [one.payload for one in found] == [BODY, BODY]
    assert [one.time_s for one in found] == pytest.approx([1000.25, 1001.25], abs=1e-6)


@pytest.mark.parametrize(
    "packet",
    [
        LINK / Dot1Q(vlan=7) / UDP4,
        LINK / Dot1Q(vlan=7) / Dot1Q(vlan=8) / UDP4,
        CookedLinux() / UDP4,
        Loopback() / UDP4,
        LINK / PPPoE(sessionid=7) / PPP() / UDP4,
        LINK / Dot1Q(vlan=7) / PPPoE(sessionid=7) / PPP() / UDP4,
        CookedLinux() / PPPoE(sessionid=7) / PPP() / UDP4,
        UDP4,
    ],
    ids=[
        *("VLAN", "two VLANs", "cooked", "loopback", "PPPoE", "PPPoE in a VLAN", "cooked PPPoE", "bare IP"),
    ],
)
def test_links(packet: Layer) -> None:
    assert datagrams(pcap(packet, link=101 if packet is UDP4 else None)) == [expected(4)]


@pytest.mark.parametrize("link", [9, 50])
@pytest.mark.parametrize("framing", ["", "ff03"])
@pytest.mark.parametrize("protocol", ["0021", "21"])
def test_ppp(link: int, framing: str, protocol: str) -> None:
    head = bytes.fromhex(framing + protocol)
    data = pcap(Raw(head + bytes(UDP4)), Raw(bytes.fromhex("c021") + bytes(UDP4)), Raw(b"\x21"), link=link)
    assert datagrams(data) == [expected(4)]


def test_packets_of_links_that_are_not_read_are_counted() -> None:
    found = Datagrams(Capture(BytesIO(pcap(UDP4, UDP4, link=239))))
    assert list(found) == [] and found.unread == {239: 2}


def test_esp_without_udp() -> None:
    packet = IP(src="192.0.2.1", dst="192.0.2.2") / ESP(spi=0x1001, seq=7, data=b"sealed")
    (found,) = datagrams(pcap(packet))
    assert (found.protocol, found.source.port, found.payload[:8].hex()) == (50, 0, "0000100100000007")


def test_ip_fragments_are_put_together() -> None:
    old = fragment(UDP4, 500)
    new = fragment6(
        IPv6(src="2001:db8::1", dst="2001:db8::2")
        / IPv6ExtHdrFragment(id=7)
        / UDP(sport=500, dport=4500)
        / Raw(BODY),
        600,
    )
    assert len(old) == 5 and len(new) > 3
    found = datagrams(pcap(*reversed(old), *new))
    assert [one.payload for one in found] == [BODY, BODY]
    assert [one.source for one in found] == [expected(4).source, expected(6).source]


def test_fragments_that_stay_alone_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ikepy.dissect.datagrams.MAX_WAITING", 10)
    first, *rest = fragment(UDP4, 500)
    others = []
    for number in range(1, 20):
        one = first.copy()
        one.id = number
        others.append(one)
    assert datagrams(pcap(first, *others, *rest)) == []


def test_what_is_no_capture() -> None:
    for data in (b"", b"\1\2", b"not a capture at all"):
        with pytest.raises(CaptureError):
            Capture(BytesIO(data))
    with pytest.raises(CaptureError):
        list(Capture(BytesIO(bytes.fromhex("0a0d0d0a1c00000000000000"))))


def test_a_capture_that_is_cut() -> None:
    data = pcap(LINK / UDP4, LINK / UDP6)
    cut = Capture(BytesIO(data[:-10]))
    assert [one.link for one in cut] == [1]
    assert cut.cut
    whole = Capture(BytesIO(data))
    assert len(list(whole)) == 2 and not whole.cut


def test_a_length_that_is_too_long() -> None:
    data = pcap(LINK / UDP4)[:24] + struct.pack("<IIII", 0, 0, capture.MAX_RECORD + 1, 1)
    huge = Capture(BytesIO(data))
    assert list(huge) == [] and huge.cut


@pytest.mark.parametrize("exchanges", [300, 3000])
def test_any_number_of_keys_is_read(exchanges: int) -> None:
    """Of key exchanges by ML-KEM-768: 300 take more than a packet may have."""
    keys, stream = Keys(), BytesIO()
    for number in range(exchanges):
        keys.add_secret(number.to_bytes(4, "big") * 296, bytes(1088), bytes(32))
    pcapng.write(stream, [expected(4)], keys)
    assert len(stream.getvalue()) > exchanges * 4096
    found = Keys()
    decoded = decode(BytesIO(stream.getvalue()), found)
    assert not decoded.cut and len(decoded.ladder) == 1
    assert found.secrets == keys.secrets


@pytest.mark.parametrize("size", [capture.MAX_RECORD + 4, 3 * capture.MAX_RECORD])
def test_a_long_block_is_passed_over(size: int) -> None:
    stream = BytesIO()
    pcapng.write(stream, [expected(4)])
    own = stream.getvalue()
    at = struct.unpack_from("<I", own, 4)[0]  # behind the section's header
    secrets = struct.pack("<II", 10, 12 + size) + bytes(size) + struct.pack("<I", 12 + size)
    whole = Capture(BytesIO(own[:at] + secrets + own[at:]))
    assert [one.payload for one in Datagrams(whole)] == [BODY] and not whole.cut
    short = Capture(BytesIO(own[:at] + secrets[:-8]))
    assert list(Datagrams(short)) == [] and short.cut


def test_comments_are_kept_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "MAX_COMMENT", 10_000)
    comments = struct.pack("<HH", 1, 0) * 100_000 + struct.pack("<HH", 1, 4) + b"text"
    size = struct.pack("<I", 28 + len(comments))
    head = struct.pack("<I", 0x0A0D0D0A) + size + struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
    read = Capture(BytesIO(head + comments + size))
    assert list(read) == [] and not read.cut
    assert 0 < len(read.comments) < 1000


def test_written_files_are_read(tmp_path: Path) -> None:
    keys = Keys()
    for number in range(3000):  # more than one comment holds
        keys.add_secret(number.to_bytes(32, "big"), bytes(32), bytes(32))
    given = [expected(4, 1764000000.123456), expected(6, 1764000001.5)]
    path = tmp_path / "written.pcapng"
    with path.open("wb") as stream:
        pcapng.write(stream, given, keys)
    with path.open("rb") as stream:
        read = Capture(stream)
        found = list(Datagrams(read))
    assert [(one.source, one.destination, one.payload) for one in found] == [
        (one.source, one.destination, one.payload) for one in given
    ]
    assert [one.time_s for one in found] == pytest.approx([one.time_s for one in given], abs=1e-6)
    assert len(read.comments) > 1 and sum(text.count("\n") for text in read.comments) == 3000
    with PcapNgReader(str(path)) as reader:
        packets = list(reader)
    for packet, one in zip(packets, given, strict=True):
        assert bytes(packet[UDP].payload) == one.payload
        sent = bytes(packet)
        for layer in packet.layers():
            if hasattr(packet[layer], "chksum"):
                packet[layer].chksum = None
        assert bytes(type(packet)(bytes(packet))) == sent  # with scapy's own checksums


def test_gzip_is_for_the_command() -> None:
    with pytest.raises(CaptureError):
        Capture(BytesIO(gzip.compress(pcap(UDP4))))
