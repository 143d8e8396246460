"""TFC padding with a real strongSwan (RFC 4303 2.7): every packet of ours is as long as the longest."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ikepy.lab import pair
from ikepy.lab.netns import Namespace
from tests.interop.bed import OURS, Bed

pytestmark = [pytest.mark.root, pytest.mark.strongswan]

_HEADERS = 14 + 20 + 8  # octets: Ethernet, IPv4, UDP


@contextlib.contextmanager
def esp_lengths(namespace: Namespace, sender: str) -> Iterator[list[int]]:
    """The lengths of ESP packets in UDP that reach a namespace from `sender`, filled in at the end."""
    sock = namespace.inside(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)))
    lengths: list[int] = []
    with sock:
        sock.setblocking(False)
        yield lengths
        with contextlib.suppress(BlockingIOError):
            while True:
                data = sock.recv(4096)
                ours = data[23] == 17 and data[26:30] == socket.inet_aton(sender)
                if ours and data[36:38] == (4500).to_bytes(2, "big") and data[42:46] != bytes(4):
                    lengths.append(len(data) - _HEADERS)


@pytest.mark.parametrize(("padding", "length"), [("600", 8 + 8 + 600 + 2 + 2 + 16), ('"mtu"', None)])
def test_our_packets_are_padded(bed: Bed, padding: str, length: int | None) -> None:
    """charon's userspace ESP cuts it again; its pings of 1,200 octets are longer than 600."""
    bed.start(replace(OURS, child_extra=f"tfc_padding = {padding}\n"))
    bed.up(by="ikepy")
    with esp_lengths(bed.pair.right, pair.LEFT) as lengths:
        bed.expect_traffic()
    if length is None:
        assert len(set(lengths)) == 1
        assert 1400 <= lengths[0] <= 1500 - 28
    else:
        assert min(lengths) == length
        assert lengths.count(length) >= 2
