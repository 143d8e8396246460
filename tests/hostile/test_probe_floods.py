"""A peer under test that floods the probe: memory, datagrams and tasks stay bounded, and the case ends."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import pytest

from ikepy.probe import trace
from ikepy.probe.line import COURTESIES, Line
from ikepy.probe.peer import Peer
from ikepy.probe.registry import Case
from ikepy.probe.report import onlooker, record
from ikepy.probe.report.record import ladder_of, record_of
from ikepy.probe.runner import Result
from ikepy.probe.trace import Trace
from ikepy.probe.transport import Datagram, Transport
from ikepy.probe.verdict import Inconclusive, Verdict
from tests.unit.probe.two_peers import targets

SPI = b"initiato"


def request(number: int, size: int = 28) -> bytes:
    """An INFORMATIONAL request, unprotected."""
    head = SPI + bytes(8) + bytes([0, 0x20, 37, 0x00]) + number.to_bytes(4, "big")
    return head + size.to_bytes(4, "big") + bytes(size - 28)


def came(octets: bytes, port: int = 500) -> Datagram:
    return Datagram(0.0, False, port, 500, octets)


def test_what_comes_is_kept_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "MOST_OCTETS", 10_000)
    found = Trace()
    for number in range(100):
        found.add(came(request(number, 1000)))
    found.add(replace(came(b"ours"), sent=True))
    assert (len(found.datagrams), found.left_out) == (11, 90)
    monkeypatch.setattr(trace, "MOST_OCTETS", 1 << 20)
    found = Trace()
    for number in range(trace.MOST_DATAGRAMS + 10):
        found.add(came(request(number)))
    assert (len(found.datagrams), found.left_out) == (trace.MOST_DATAGRAMS, 10)


def test_copies_of_a_request_are_answered_within_bounds(caplog: pytest.LogCaptureFixture) -> None:
    """However fast they come: few jobs wait, and the limit of datagrams is no error of anybody's."""
    target, _ = targets()
    target = target.but(limits=replace(target.limits, datagrams=100))

    async def flood() -> tuple[int, int]:
        transport = Transport(target)
        transport.open()
        peer = Peer(target, transport)
        peer.claim(SPI)
        jobs = 0
        try:
            one = came(request(1), target.local_port)
            peer.receiver.take_ike(one, one.octets)
            (first,) = peer.inbox
            first.answer = request(1)
            for _ in range(20):
                for _ in range(50):
                    peer.receiver.take_ike(one, one.octets)
                jobs = max(jobs, len(asyncio.all_tasks()))
                await asyncio.sleep(0.05)
            assert first.copies == 1000
            with pytest.raises(Inconclusive, match="its limit"):
                await peer.send_octets(b"one more")
        finally:
            await peer.close()
            transport.close()
        return jobs, peer.trace.sent

    with caplog.at_level(logging.ERROR, "asyncio"):
        jobs, sent = asyncio.run(flood())
    assert jobs <= COURTESIES + 2
    assert sent == 100
    assert caplog.text == ""


def test_the_ladder_of_a_flood_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its fields would fill memory, and the disk as JSON."""
    monkeypatch.setattr(onlooker, "MAX_FIELDS", 5000)
    monkeypatch.setattr(record, "MAX_FIELDS", 5000)
    target, _ = targets()
    case = Case("T.1", "flooded", "RFC 7296", "MUST", "responder", "ours", flooded)
    result = Result(case, Verdict.PASS, "", 0.0)
    for number in range(100):
        deletes = SPI + bytes(8) + bytes([42, 0x20, 37, 0x20]) + number.to_bytes(4, "big")
        body = bytes(2) + (4 + 4 + 4000).to_bytes(2, "big") + bytes([3, 4]) + (1000).to_bytes(2, "big")
        result.trace.add(came(deletes + (28 + 4008).to_bytes(4, "big") + body + bytes(4000)))
    ladder = ladder_of(result, target)
    assert sum(one.fields for one in ladder) < 5000 + 4096
    assert record_of(result, ladder).ladder.endswith("more than is kept.\n")


async def flooded(_: Peer) -> None:
    """A case."""


def test_other_faults_beside_a_case_are_told(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        raise ZeroDivisionError

    async def scenario() -> None:
        target, _ = targets()
        line = Line(target, Transport(target))
        line.courtesy(fails())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await line.close()

    with caplog.at_level(logging.ERROR, "asyncio"):
        asyncio.run(scenario())
    assert "a job beside the case failed" in caplog.text
