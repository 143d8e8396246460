"""What ping prints, read."""

from __future__ import annotations

import pytest

from ikepy.lab.measure import Iperf, Ping, learned_mtu, parse_ping
from ikepy.lab.netns import LabError, Namespace

ALL_BACK = """\
PING 10.2.0.10 (10.2.0.10) 56(84) bytes of data.
64 bytes from 10.2.0.10: icmp_seq=1 ttl=62 time=0.413 ms
64 bytes from 10.2.0.10: icmp_seq=2 ttl=62 time=1.285 ms

--- 10.2.0.10 ping statistics ---
2 packets transmitted, 2 received, 0% packet loss, time 1002ms
rtt min/avg/max/mdev = 0.413/0.849/1.285/0.436 ms
"""
NONE_BACK = """\
--- 10.2.0.10 ping statistics ---
1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 0ms
"""


def test_round_trips() -> None:
    ping = parse_ping(ALL_BACK, 2)
    assert ping == Ping(2, 2, 0.413, 0.849, 1.285)
    assert ping.ok
    assert str(ping) == "2 of 2 back, 0% loss, RTT 0.41/0.85/1.28 ms"


def test_the_last_reply_is_late() -> None:
    """Ping sent one more meanwhile, which it did not wait for."""
    text = ALL_BACK.replace("2 packets transmitted, 2 received, 0%", "3 packets transmitted, 2 received, 33%")
    assert parse_ping(text, 2).ok


def test_one_of_the_first_is_lost_and_a_later_one_is_not() -> None:
    text = ALL_BACK.replace("2 packets transmitted", "3 packets transmitted").replace("seq=2", "seq=3")
    ping = parse_ping(text, 2)
    assert (ping.sent, ping.received, ping.ok) == (2, 1, False)


def test_nothing_back() -> None:
    ping = parse_ping(NONE_BACK, 1)
    assert not ping.ok
    assert str(ping) == "0 of 1 back, 100% loss"


def test_one_lost_is_not_right() -> None:
    assert not Ping(10, 9, 1.0, 1.0, 1.0).ok


def test_no_ping_at_all() -> None:
    ping = parse_ping("ping: connect: Network is unreachable\n", 1)
    assert not ping.ok
    assert str(ping) == "ping: connect: Network is unreachable"
    assert not parse_ping("", 1).ok


@pytest.mark.parametrize(
    "line",
    [
        "From 10.1.0.1 icmp_seq=1 Frag needed and DF set (mtu = 1438)",
        "From fd00:1::1 icmp_seq=1 Packet too big: mtu=1438",
        "ping: local error: message too long, mtu=1438",
    ],
)
def test_learned_mtu(line: str) -> None:
    assert learned_mtu(line) == 1438
    assert learned_mtu(ALL_BACK) is None


class Client(Namespace):
    """A namespace in which iperf3 prints these, one after the other; an error is raised."""

    def __init__(self, *said: str | LabError) -> None:
        super().__init__("client")
        self.said = list(said)

    def run(self, *command: str, text: str | None = None, timeout: float = 30.0) -> str:
        said = self.said.pop(0)
        if isinstance(said, LabError):
            raise said
        return said


RECEIVED = '{"end": {"sum_received": {"bits_per_second": 3e6}}}'


@pytest.mark.parametrize(
    "said",
    [
        '{"error": "the server is busy running a test. try again later"}',
        '{"error": "unable to receive control message: Connection reset by peer"}',
        LabError('{"error": "error - the server is busy running a test. try again later"}'),
    ],
)
def test_a_server_that_has_not_done_with_the_test_before(said: str | LabError) -> None:
    assert Iperf(Namespace("server")).tcp(Client(said, said, RECEIVED), "10.2.0.10", 1) == 3


@pytest.mark.parametrize("said", ['{"error": "unable to connect"}', LabError("unable to connect")])
def test_another_error_of_iperf(said: str | LabError) -> None:
    with pytest.raises(LabError, match=r"iperf3 in client: .*unable to connect"):
        Iperf(Namespace("server")).tcp(Client(said, RECEIVED), "10.2.0.10", 1)
