"""Cases of an initiator, on loopback, under an initiator that is right, or wrong in one way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from ikepy.probe import registry, runner, sets
from ikepy.probe.draft import Draft, RawPayload
from ikepy.probe.listen.profile import COMMON, Action, Profile
from ikepy.probe.listen.under_test import next_host
from ikepy.probe.peer import Peer
from ikepy.probe.reserved import with_reserved
from ikepy.probe.runner import Result
from ikepy.probe.target import ESP_SUITE, IKE_SUITE
from ikepy.probe.transport import Transport
from ikepy.probe.verdict import Verdict
from ikepy.wire.constants import HeaderFlag, PayloadType
from ikepy.wire.payloads import SaPayload
from tests.unit.probe.two_peers import targets

Change = Callable[[Draft], Draft]


def right(request: Draft) -> Draft:
    return request


def other_nonce(size: int) -> Change:
    def change(request: Draft) -> Draft:
        wrong = RawPayload(PayloadType.NONCE, bytes(size))
        return request.without(PayloadType.NONCE).with_payloads(wrong)

    return change


def numbered_from_two(request: Draft) -> Draft:
    """Its only proposal is number 2."""
    (sa,) = (one for one in request.payloads if isinstance(one, SaPayload))
    again = SaPayload(tuple(replace(one, number=2) for one in sa.proposals))
    return request.but(payloads=tuple(again if one is sa else one for one in request.payloads))


class Scripted:
    """A trigger, and the initiator: its IKE_SA_INIT goes out `times`, and what comes is not looked at."""

    patience_s = 0.0

    def __init__(self, peer: Peer, change: Change, times: int) -> None:
        self._peer, self._change, self._times = peer, change, times

    async def ask(self, action: Action, profile: Profile, case: str) -> None:
        if action == Action.INITIATE:
            octets = self._change(self._peer.new_sa().init_request()).encode()
            for _ in range(self._times):
                await self._peer.send_octets(octets)


async def _judged(case: str, change: Change, times: int) -> Result:
    sets.load()
    (one,) = registry.cases([case], "initiator")
    of_initiator, of_responder = (one.but(ike=IKE_SUITE, esp=ESP_SUITE) for one in targets())
    limits = replace(of_responder.limits, response_s=0.5, repeat_s=0.3)
    with contextlib.ExitStack() as stack:
        ends = [Transport(of_initiator), Transport(of_responder.but(limits=limits))]
        for end in ends:
            end.open()
            stack.callback(end.close)
        peer = Peer(of_initiator, ends[0])
        return await runner.run_case(one, ends[1].target, ends[1], Scripted(peer, change, times))


def verdict(case: str, change: Change = right, times: int = 1) -> Verdict:
    return asyncio.run(_judged(case, change, times)).verdict


@pytest.mark.parametrize(
    ("case", "change"),
    [
        ("SGW.I.1.1.1.1.A", lambda request: request.but(flags=request.flags | HeaderFlag.RESPONSE)),
        ("SGW.I.1.1.1.1.A", lambda request: request.but(message_id=1)),
        ("SGW.I.1.1.1.1.A", lambda request: request.but(version=0x21)),
        ("SGW.I.1.1.1.1.B", with_reserved),
        ("SGW.I.1.1.1.1.B", numbered_from_two),
        ("SGW.I.1.1.1.1.C", with_reserved),
        ("SGW.I.1.1.1.1.D", other_nonce(8)),
    ],
)
def test_formats(case: str, change: Change) -> None:
    assert verdict(case) is Verdict.PASS
    assert verdict(case, change) is Verdict.FAIL


def test_retransmission() -> None:
    assert verdict("SGW.I.1.1.2.1", times=2) is Verdict.PASS
    assert verdict("SGW.I.1.1.2.1") is Verdict.FAIL


def test_two_proposals_are_not_one() -> None:
    assert verdict("SGW.I.1.1.6.4") is Verdict.FAIL


def test_words_of_a_profile() -> None:
    assert COMMON.words() == {"profile": "common", "ike": IKE_SUITE, "esp": ESP_SUITE}
    other = COMMON.but("other", secret="0xab", endpoint=True, remote_auth="pubkey")
    assert other.words().items() >= {"secret": "0xab", "endpoint": "yes", "remote_auth": "pubkey"}.items()
    assert other.differs_from(COMMON)


def test_the_next_host_is_in_the_network() -> None:
    net = targets()[0].local_net
    first, last = net.network_address + 1, net.broadcast_address - 1
    assert next_host(first, net) in net
    assert next_host(last, net) in net
    assert next_host(first, net) != first
