"""What counts as the same output, and what does not."""

from __future__ import annotations

import pytest

from ikepy.course.compare import fits

SA = "  net: #1, INSTALLED, in 5e143056, 168 bytes, 2 packets, 0s ago"


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ([SA], SA + "\n"),
        ([SA], SA.replace("5e143056", "0badcafe").replace("0s", "12s")),
        (["ESP 0xfc5a509e, sequence number 1"], "ESP 0x00000001, sequence number 1\n"),
        (["64 bytes from 10.2.0.10: ttl=62 time=11.6 ms"], "64 bytes from 10.2.0.10: ttl=62 time=1 ms\n"),
        (["rtt min/avg/max/mdev = 1.157/6.377/11.597/5.220 ms"], "rtt min/avg/max/mdev = 0.1/0.2/0.3/0.0 ms"),
        (["10:08:43.094522 IP a > b: id 13584, seq 1"], "11:00:00.000000 IP a > b: id 1, seq 1"),
        (["   1     0.000000      a ───▶ b  ESP"], "   1  12.345678   a ──▶ b ESP"),
        (["net: up for 1 s, 3 packets in, 4 out, 5 dropped"], "net: up for 2 s, 5 dropped"),
        (["sent again: at 1.604391, 2.483963"], "sent again: at 1.000001, 1.500000"),
        (["valid from 2026-11-29 to 2027-11-29"], "valid from 2027-01-01 to 2028-01-01"),
        (["a … d"], "a b c d"),
        (["one", "…", "four"], "one\ntwo\nthree\nfour\n"),
        (["one", "…", "four"], "one\nfour\n"),
        (["…"], ""),
        ([], ""),
    ],
)
def test_the_same(expected: list[str], printed: str) -> None:
    assert fits(expected, printed)


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ([SA], SA.replace("2 packets", "3 packets")),
        ([SA], SA + "\nmore\n"),
        ([SA], ""),
        ([], "unexpected"),
        (["local 10.1.0.0/24"], "local 10.1.1.0/24"),
        (["a … d"], "a b c"),
        (["one", "…", "four"], "one\ntwo\n"),
        (["0 received, 100% packet loss"], "1 received, 0% packet loss"),
        (["ESP 0xfc5a509e, sequence number 1"], "ESP 0xfc5a509e, sequence number 2"),
    ],
)
def test_not_the_same(expected: list[str], printed: str) -> None:
    assert not fits(expected, printed)
