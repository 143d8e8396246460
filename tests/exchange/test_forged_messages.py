"""Forged and repeated messages are dropped before they are decoded; those of the peer never are.

Every message of every ladder is checked besides (`tests.exchange.network`): one that is called worthless has
no effect when it is received.
"""

from __future__ import annotations

import random
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from ikepy.sa.api.commands import Initiate, Rekey
from ikepy.sa.api.effects import Log, Send
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.state.forgery_limit import EXPLANATIONS, REPEATS, UNPROTECTED
from ikepy.wire.constants import ExchangeType
from ikepy.wire.payloads import NotifyPayload

from .network import ADDRESS_A, ADDRESS_B, DELAY, Network, Options, assert_joined
from .test_fragmentation import SMALL

FROM_A = Path(Endpoint(ADDRESS_B, 500), Endpoint(ADDRESS_A, 500))
ELSEWHERE = replace(FROM_A, remote=Endpoint(IPv4Address("198.51.100.7"), 500))
PRIVATE_USE = 40960  # a status notify that nobody knows (RFC 7296 3.10.1)
LATER = 1000.0  # seconds: whatever may be done now and then may be done again
COUNTED = "messages under SPIs of ours that are forged or repeated"


def kept(net: Network) -> dict[str, bytes]:
    """What is sent from now on, by its ladder line; nothing from a arrives."""
    sent: dict[str, bytes] = {}

    def script(line: str, nth: int, data: bytes) -> list[float]:
        sent[line] = data
        return [] if line.startswith("a") else [DELAY]

    net.script = script
    return sent


def with_request() -> tuple[Network, bytes]:
    """b, which stands with a, and a request of a's that it has not seen yet."""
    net = Network()
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    sent = kept(net)
    net.command("a", Rekey(ike="ab", child="net"))
    net.run(0.1)
    (request,) = sent.values()
    return net, request


def forged(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("path", [FROM_A, ELSEWHERE], ids=["its address", "elsewhere"])
def test_forged_ones_are_dropped_and_the_peers_own_gets_through(path: Path) -> None:
    net, request = with_request()
    manager, now = net.b.manager, net.now
    dropped = sum(manager.drops(forged(request), path, now) for _ in range(1000))
    assert dropped == 1000 - EXPLANATIONS, "a few are received, to leave their trace"
    assert manager.counters()[COUNTED] == dropped
    assert not manager.drops(request, FROM_A, now)
    assert not manager.drops(request, ELSEWHERE, now), "it may have moved"
    assert any(isinstance(effect, Send) for effect in net.inject("b", FROM_A, request))


def test_what_is_forged_under_a_half_open_ike_sa() -> None:
    net = Network()
    sent = kept(net)
    net.script = lambda line, nth, data: sent.update({line: data}) or ([] if "IKE_AUTH" in line else [DELAY])
    net.command("a", Initiate("ab", "net"))
    net.run(0.1)
    auth = sent["a -> b IKE_AUTH request 1"]
    assert net.b.manager.is_worthless(forged(auth), FROM_A, net.now)
    assert not net.b.manager.is_worthless(auth, FROM_A, net.now)
    assert not net.b.manager.is_worthless(auth, ELSEWHERE, net.now)
    net.script = lambda line, nth, data: [DELAY]
    net.run(10)
    assert_joined(net)


def test_repeated_requests_are_answered_again_but_not_for_ever() -> None:
    """Replays from elsewhere use up nothing of what the peer has on its own path."""
    net, request = with_request()
    manager = net.b.manager
    (sa,) = manager.ike_sas
    net.inject("b", sa.path, request)
    assert sum(not manager.is_worthless(request, ELSEWHERE, net.now) for _ in range(1000)) == REPEATS
    assert sum(not manager.is_worthless(request, sa.path, net.now) for _ in range(1000)) == REPEATS
    assert not manager.is_worthless(request, sa.path, net.now + 1)
    assert manager.is_worthless(forged(request), sa.path, net.now + LATER)


def test_what_the_header_says() -> None:
    net, request = with_request()
    manager, now = net.b.manager, net.now
    (sa,) = manager.ike_sas
    spi_i, spi_r = request[:8], request[8:16]
    assert (spi_i, spi_r) == (sa.spi_i, sa.spi_r)
    header = {
        "a response that nobody awaits": request[:19] + bytes([0x28]) + request[20:],
        "out of the window": request[:20] + bytes([0, 0, 1, 0]) + request[24:],
        "another length": request + b"\0",
        "too short for a payload": request[:24] + (30).to_bytes(4, "big") + request[28:30],
    }
    for what, data in header.items():
        assert manager.is_worthless(data, FROM_A, now), what
        assert all(isinstance(effect, Log) for effect in manager.receive(data, FROM_A, now)), what
    for data in (
        b"",
        request[:27],
        spi_i + b"\7" * 8 + request[16:],
        b"\7" * 8 + request[8:],
        spi_r + spi_i + request[16:19] + bytes([0]) + request[20:],
    ):
        assert not manager.is_worthless(data, FROM_A, now), "it is for no IKE_SA of ours"
        assert not manager.knows(data)


def test_what_is_not_protected_has_no_peers_rank_and_is_looked_at_now_and_then() -> None:
    """A notify, anything in front of SK, another version; what comes from elsewhere has its own share."""
    net, request = with_request()
    manager = net.b.manager
    (sa,) = manager.ike_sas
    assert manager.knows(request)
    for at, octet in ((16, 41), (16, 43), (17, 0x30)):
        net.now += LATER
        data = request[:at] + bytes([octet]) + request[at + 1 :]
        assert not manager.knows(data)
        for path in (ELSEWHERE, sa.path):
            dropped = sum(manager.drops(data, path, net.now) for _ in range(1000))
            assert dropped == 1000 - UNPROTECTED
    assert not manager.drops(request, sa.path, net.now)


def test_a_first_request_that_is_repeated_without_end() -> None:
    """It is answered again, and then no more for a while; others' are not concerned."""
    net = Network(b=Options(remote_addrs="%any"))
    sent = kept(net)
    net.script = lambda line, nth, data: sent.update({line: data}) or ([] if "IKE_AUTH" in line else [DELAY])
    net.command("a", Initiate("ab", "net"))
    net.run(0.1)
    manager, init = net.b.manager, sent["a -> b IKE_SA_INIT request 0"]
    taken = sum(manager.refuse(init, FROM_A.remote, net.now) is None for _ in range(1000))
    assert taken == REPEATS
    assert manager.refuse(init, FROM_A.remote, net.now + 1) is None
    assert manager.refuse(b"\7" * 8 + init[8:], ELSEWHERE.remote, net.now) is None


def test_a_request_older_than_the_window() -> None:
    """It was the peer's own, and is not answered again once the next one is (RFC 7296 2.3)."""
    net, request = with_request()
    net.inject("b", FROM_A, request)
    assert not net.b.manager.is_worthless(request, FROM_A, net.now)
    net.script = lambda line, nth, data: [DELAY]
    net.run(10)
    net.command("a", Rekey(ike="ab", child="net"))
    net.run(10)
    assert net.b.manager.is_worthless(request, FROM_A, net.now)


def test_a_message_larger_than_we_receive() -> None:
    """The peer's own, with a valid checksum: it is worthless, as it would be dropped unread."""
    net = Network(Options(connection='fragmentation = "no"'), Options(daemon="max_packet = 1500"))
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    (sa,) = net.a.manager.ike_sas
    header = sa.header(ExchangeType.INFORMATIONAL, sa.window.next_request, response=False)

    def sized(octets: int) -> bytes:
        (data,) = sa.encode(header, [NotifyPayload(PRIVATE_USE, bytes(octets))])
        return data

    content = 1500 - len(sized(0))
    assert (len(sized(content)), len(sized(content + 1))) == (1500, 1501)
    assert not net.b.manager.is_worthless(sized(content), FROM_A, net.now)
    assert net.b.manager.is_worthless(sized(content + 1), FROM_A, net.now)


def test_what_answers_a_first_request() -> None:
    """Nothing of it is protected yet: a response to another exchange is worthless, all else is received."""
    net = Network()
    net.script = lambda line, nth, data: []
    net.command("a", Initiate("ab", "net"))
    net.run(0.1)
    (sa,) = net.a.manager.ike_sas
    at_a = Path(Endpoint(ADDRESS_A, 500), Endpoint(ADDRESS_B, 500))

    def response(exchange: int) -> bytes:
        return sa.spi_i + b"respondr" + bytes((46, 0x20, exchange, 0x20)) + bytes(4) + b"\0\0\0\x1c"

    assert net.a.manager.is_worthless(response(ExchangeType.IKE_AUTH), at_a, net.now)
    assert not net.a.manager.is_worthless(response(ExchangeType.IKE_SA_INIT), at_a, net.now)


def test_fragments_of_a_response() -> None:
    """As those of a request: each by itself, and none twice."""
    net = Network(SMALL, SMALL)
    sent: list[bytes] = []

    def script(line: str, nth: int, data: bytes) -> list[float]:
        if "IKE_AUTH response" in line:
            sent.append(data)
            return []
        return [DELAY]

    net.script = script
    net.command("a", Initiate("ab", "net"))
    net.run(0.1)
    at_a = Path(Endpoint(ADDRESS_A, 500), Endpoint(ADDRESS_B, 500))
    assert len(sent) > 1
    for data in sent:
        assert net.a.manager.is_worthless(forged(data), at_a, net.now)
        assert not net.a.manager.is_worthless(data, at_a, net.now)
    net.inject("a", at_a, sent[0])
    assert net.a.manager.is_worthless(sent[0], at_a, net.now)
    assert not net.a.manager.is_worthless(sent[1], at_a, net.now)


def test_fragments() -> None:
    """Each is tried for itself, and one that is at hand is not tried again."""
    net = Network(SMALL)
    sent: list[bytes] = []

    def script(line: str, nth: int, data: bytes) -> list[float]:
        if "IKE_AUTH request" in line:
            sent.append(data)
            return []
        return [DELAY]

    net.script = script
    net.command("a", Initiate("ab", "net"))
    net.run(0.1)
    assert len(sent) > 2
    for data in sent:
        assert net.b.manager.is_worthless(forged(data), FROM_A, net.now)
        assert not net.b.manager.is_worthless(data, FROM_A, net.now)
    net.inject("b", FROM_A, sent[0])
    assert net.b.manager.is_worthless(sent[0], FROM_A, net.now)
    for data in sent[1:]:
        assert not net.b.manager.is_worthless(data, FROM_A, net.now)
        net.inject("b", FROM_A, data)
    net.script = lambda line, nth, data: [DELAY]
    net.run(10)
    assert_joined(net)


def test_nothing_follows_from_whatever_is_called_worthless() -> None:
    net, request = with_request()
    chance = random.Random(1)
    manager, worthless = net.b.manager, 0
    for _ in range(3000):
        data = bytearray(request[: chance.choice((28, 32, 40, len(request)))])
        for _ in range(chance.randrange(1, 4)):
            at = chance.choice((16, 17, 18, 19, 23, 24, 27, 28, 30, 31, chance.randrange(len(data))))
            if at < len(data):
                data[at] = chance.randrange(256)
        if manager.is_worthless(bytes(data), FROM_A, net.now) and bytes(data) != request:
            worthless += 1
            effects = manager.receive(bytes(data), FROM_A, net.now)
            assert all(isinstance(effect, Log) for effect in effects)
    assert worthless > 1000
    assert not manager.is_worthless(request, FROM_A, net.now)
