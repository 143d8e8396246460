"""Both ends act at once, and messages are late or lost: afterwards they agree (RFC 7296 2.8.1, 2.8.2, 2.25).

Each schedule names what a and b begin in the same instant and what happens to one of the messages. Two seeds
give two sets of nonces, so that each end is once the winner.
"""

from __future__ import annotations

import itertools

import pytest

from ikepy.sa.api.commands import Command, Initiate, Rekey, Terminate

from .network import DELAY, Network, Options, Script, assert_joined, deliver_all

OPTIONS = Options(
    local_ts='["10.1.0.0/24"]',
    remote_ts='["10.1.0.0/24"]',
    more="""
[connections.ab.children.second]
local_ts = ["10.9.0.0/24"]
remote_ts = ["10.9.0.0/24"]
esp_proposals = ["aes128gcm16"]
""",
)
ACTIONS = ["child rekey", "child delete", "child create", "IKE rekey", "IKE delete"]
PAIRS = [pair for pair in itertools.product(ACTIONS, repeat=2) if "rekey" in pair[0] + pair[1]]


def nth_of(sender: str, kind: str, delays: list[float]) -> Script:
    """What happens to the first request or response of one end after the schedule begins."""
    seen = [0]

    def script(line: str, nth: int, data: bytes) -> list[float]:
        if line.startswith(f"{sender} -> ") and f" {kind} " in line:
            seen[0] += 1
            if seen[0] == 1:
                return delays
        return [DELAY]

    return script


def disturbances() -> list[tuple[str, str, list[float]]]:
    found: list[tuple[str, str, list[float]]] = [("-", "-", [DELAY])]
    for sender, kind in itertools.product("ab", ("request", "response")):
        found += [
            (sender, kind, []),  # lost
            (sender, kind, [1.5]),  # late, but before it is sent again
            (sender, kind, [6.0]),  # late: the repetition overtakes it
            (sender, kind, [DELAY, 2.0]),  # twice
        ]
    return found


COMMANDS: dict[str, Command] = {
    "child rekey": Rekey(child="net"),
    "IKE rekey": Rekey(ike="ab"),
    "child delete": Terminate(child="net"),
    "IKE delete": Terminate(ike="ab"),
    "child create": Initiate("ab", "second"),
}


def act(net: Network, name: str, action: str) -> None:
    net.command(name, COMMANDS[action])


def established(seed: str) -> Network:
    net = Network(OPTIONS, seed=seed)
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    net.ladder.clear()
    return net


def expected_children(first: str, second: str) -> int:
    actions = {first, second}
    if "IKE delete" in actions:
        return 0
    return 1 + ("child create" in actions) - ("child delete" in actions)


@pytest.mark.parametrize("seed", ["one", "two"])
@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda value: str(value))
def test_schedule(first: str, second: str, seed: str) -> None:
    for sender, kind, delays in disturbances():
        net = established(seed)
        net.script = deliver_all if sender == "-" else nth_of(sender, kind, delays)
        act(net, "a", first)
        act(net, "b", second)
        net.run(150)
        note = f"{first} x {second}, {kind} of {sender}: {delays}\n" + "\n".join(net.ladder)
        a, b = net.a.manager.list_sas(net.now), net.b.manager.list_sas(net.now)
        assert {(i.spi_i, i.spi_r) for i in a} == {(i.spi_i, i.spi_r) for i in b}, note
        assert len(a) == (0 if "IKE delete" in (first, second) else 1), note
        assert_joined(net, expected_children(first, second), note)
        assert not net.a.plane.standby, note
        assert not net.b.plane.standby, note


def test_each_end_wins_once() -> None:
    winners = set()
    for seed in ("one", "two", "three", "four"):
        net = established(seed)
        act(net, "a", "child rekey")
        act(net, "b", "child rekey")
        net.run(30)
        logs = [log.text for log in net.a.logs if "both ends rekeyed it" in log.text]
        winners.add("b" if logs else "a")
    assert winners == {"a", "b"}
