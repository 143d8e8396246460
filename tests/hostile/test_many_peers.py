"""Many peers that mean it: those of one address are up in time, and nobody is charged who proves itself."""

from __future__ import annotations

import pytest

from ikepy.sa.api.commands import Initiate, Terminate
from ikepy.sa.message import query
from ikepy.wire.constants import ExchangeType
from tests.exchange.network import assert_joined
from tests.hostile.attacker import HalfOpenAttacker, UnansweredError, target
from tests.hostile.test_admission import MODP
from tests.hostile.test_limits import OTHER

TRIES = (0.0, 4.0, 11.2)  # seconds at which a peer asks (charon's defaults)


@pytest.mark.parametrize(
    ("suite", "under_way"),
    [("x25519", 1000), ("modp2048", 1000), ("modp3072", 10)],
)
def test_a_thousand_peers_of_one_address_are_up_in_twenty_seconds(suite: str, under_way: int) -> None:
    """They ask all together; so many of them go on before the first one's IKE_AUTH is worked on."""
    name = f"aes128gcm16-prfsha256-{suite}"
    net = target(proposals=f'["{name}"]', connection='unique = "never"')
    waiting, begin, done = list(range(1000)), net.now, 0
    for at in TRIES:
        net.run(max(0.0, begin + at - net.now))
        answered: list[HalfOpenAttacker] = []
        left: list[int] = []
        for number in waiting:
            net.now += 0.003  # what one costs a host that is as slow as we are
            try:
                answered.append(HalfOpenAttacker(net, name, OTHER, spi_i=(number + 1).to_bytes(8, "big")))
            except UnansweredError:
                left.append(number)
            if len(answered) > under_way:
                done += finished(answered.pop(0))
        done += sum(finished(one) for one in answered)
        waiting = left
    assert done == 1000
    assert net.now - begin < 20


def finished(attacker: HalfOpenAttacker) -> bool:
    answer = attacker.ask(ExchangeType.IKE_AUTH, 1, attacker.auth_payloads())
    return answer is not None and query.error(answer) is None


def test_established_peers_are_not_charged() -> None:
    net = target(proposals=f'["{MODP}"]')
    for _ in range(200):
        net.command("a", Initiate("ab", "net"))
        net.run(0.1)
        assert_joined(net)
        net.command("a", Terminate(ike="ab"))
        net.run(0.1)
    assert net.b.manager.counters()["IKE_SA_INIT requests beyond the CPU budget"] == 0
