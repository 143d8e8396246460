"""Many connections between two addresses: set-ups begin a few at a time, so that no limit is in their way."""

from __future__ import annotations

from ikepy.config.model import Config
from ikepy.config.toml_source import parse
from ikepy.sa.api.commands import Initiate, Terminate
from ikepy.sa.state.phase import Phase

from .network import ADDRESS_A, ADDRESS_B, DELAY, Network, Site

MANY = 60
INIT = "a -> b IKE_SA_INIT request 0"


def config(name: str, start: str = "none") -> Config:
    local, remote = (ADDRESS_A, ADDRESS_B) if name == "a" else (ADDRESS_B, ADDRESS_A)
    peer = "b" if name == "a" else "a"
    return parse(
        "".join(
            f"""
[connections.c{n}]
local_addrs = ["{local}"]
remote_addrs = ["{remote}"]
[connections.c{n}.local]
id = "{name}{n}"
[connections.c{n}.remote]
id = "{peer}{n}"
[connections.c{n}.children.net]
local_ts = ["10.0.{n}.0/24"]
remote_ts = ["10.0.{n}.0/24"]
start_action = "{start}"
"""
            for n in range(MANY)
        )
        + '[secrets.ike]\nsecret = "correct horse"\n[daemon]\nretransmit_jitter = 0\n'
    )


def many() -> Network:
    net = Network()
    net.a, net.b = Site("a", config("a", "start"), "seed"), Site("b", config("b"), "seed")
    return net


def test_all_come_up_at_once_and_without_retransmissions() -> None:
    """With the defaults of both ends: no cookie, nobody that makes room, nothing sent again."""
    net = many()
    most = 0

    def count(line: str, nth: int, data: bytes) -> list[float]:
        nonlocal most
        half_open = [sa for sa in net.b.manager.ike_sas if sa.phase is Phase.CONNECTING]
        most = max(most, len(half_open))
        return [DELAY]

    net.script = count
    net.start()
    net.run(5)
    assert len(net.a.plane.outbound) == len(net.b.plane.outbound) == MANY
    assert most <= 4
    assert net.ladder.count(INIT) <= MANY * 2  # the fourth is asked for a COOKIE
    assert not any("retransmit" in log.text for log in net.a.logs)
    assert not net.a.manager.retrying


def test_a_silent_peer_holds_up_nobody_for_long() -> None:
    """Four every two seconds; each is sent again after 4 and 7.2 seconds."""
    net = many()
    begun: set[bytes] = set()

    def note(line: str, nth: int, data: bytes) -> list[float]:
        begun.add(data[:8])
        return []

    net.script = note
    net.start()
    assert len(begun) == 4
    net.run(9)
    assert len(begun) == 20
    net.run(30)
    assert len(begun) == MANY


def test_a_user_does_not_wait_for_his_turn() -> None:
    net = many()
    net.start()
    net.command("a", Initiate("c50", "net", ticket=1))
    net.run(8 * DELAY)  # with an additional key exchange
    assert net.a.outcomes[1].ok
    net.run(5)
    assert len(net.a.plane.outbound) == len(net.b.plane.outbound) == MANY, "and it came up once"


def test_what_waits_for_its_turn_can_be_taken_back() -> None:
    net = many()
    net.start()
    net.command("a", Terminate(ike="c50", ticket=1))
    assert net.a.outcomes[1].ok
    assert net.a.outcomes[1].text == "no further try of c50/net"
    net.run(5)
    assert len(net.a.plane.outbound) == MANY - 1
