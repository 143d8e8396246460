"""Two gateways with a connection of two children, and what the ladders about these ask."""

from __future__ import annotations

from ikepy.sa.api.commands import Initiate
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.wire.payloads import NoncePayload

from .network import DELAY, Network, Options, Script

AGAIN = 'close_action = "start"'
SECOND = """
[connections.ab.children.second]
local_ts = ["10.9.0.0/24"]
remote_ts = ["10.9.0.0/24"]
esp_proposals = ["aes128gcm16"]
"""
NONCE = NoncePayload(bytes(32))
SEEDS = ["one", "two", "three", "four"]  # nonces of which either end's are the lowest


def options(child: str = "rekey_time = 0", second: str = "rekey_time = 0", connection: str = "") -> Options:
    selector = '["10.1.0.0/24"]'
    return Options(
        local_ts=selector, remote_ts=selector, child=child, more=SECOND + second, connection=connection
    )


def established(a: Options, b: Options, *, second: bool = True, seed: str = "one") -> Network:
    net = Network(a, b, seed=seed)
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    if second:
        net.command("a", Initiate("ab", "second"))
        net.run(1)
    net.ladder.clear()
    return net


def late(line: str, seconds: float, times: int = 1) -> Script:
    """The first sendings of a message take so long."""
    return lambda sent, nth, data: [seconds] if sent == line and nth < times else [DELAY]


def child_id(net: Network, name: str, child: str) -> int:
    return next(i for i, sa in net.site(name).plane.inbound.items() if sa.child == child)


def policies(net: Network, name: str) -> list[str]:
    return sorted(sa.child for sa in net.site(name).plane.outbound.values())


def ike_sas(net: Network, name: str) -> list[IkeSa]:
    return net.site(name).manager.ike_sas
