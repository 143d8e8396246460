"""Sites whose daemon is impaired, and a run of a set-up, rekeys, liveness checks and deletes to compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from ikepy.impair.active import Active
from ikepy.impair.machine import ImpairedMachine
from ikepy.sa.api.commands import Initiate, Rekey, Terminate

from .network import Network, Options, Script, deliver_all

LEFT = Options(
    local_ts='["10.1.0.0/16"]',
    remote_ts='["10.2.0.0/16"]',
    connection="dpd_delay = 20",
    daemon="impairments_allowed = true\nretransmit_timeout = 1.0\nretransmit_tries = 2",
)
RIGHT = replace(LEFT, local_ts=LEFT.remote_ts, remote_ts=LEFT.local_ts)
BOTH = LEFT, RIGHT

Sent = list[tuple[str, bytes]]  # (ladder line, datagram)


def impair(net: Network, name: str, *texts: str) -> None:
    """Let a site begin anew, impaired."""
    site = net.site(name)
    site.machine = partial(ImpairedMachine, Active(site.config, texts))
    site.restart()


def network(
    a: tuple[str, ...] = (),
    b: tuple[str, ...] = (),
    options: tuple[Options, Options] = BOTH,
) -> Network:
    """Two sites with these impairments; whether they have any, they draw the same random numbers."""
    net = Network(*options)
    for name, texts in (("a", a), ("b", b)):
        impair(net, name, *texts)
    return net


def recorded(net: Network, script: Script = deliver_all) -> Sent:
    """What the sites send from now on."""
    sent: Sent = []

    def note(line: str, nth: int, data: bytes) -> list[float]:
        sent.append((line, data))
        return script(line, nth, data)

    net.script = note
    return sent


def set_up(net: Network) -> None:
    net.command("a", Initiate("ab", "net", 1))
    net.run(2)


def usual(net: Network) -> None:
    """Set-up, a rekey from each side, liveness checks from each side, deletes of child and IKE_SA."""
    set_up(net)
    net.command("a", Rekey(ike="ab", child="net", ticket=2))
    net.run(2)
    net.command("b", Rekey(ike="ab", child="net", ticket=3))
    net.run(52)
    net.command("a", Terminate(ike="ab", child="net", ticket=4))
    net.run(3)
    net.command("b", Terminate(ike="ab", ticket=5))
    net.run(20)


def first_difference(
    a: tuple[str, ...] = (),
    b: tuple[str, ...] = (),
    *,
    script: Script = deliver_all,
    options: tuple[Options, Options] = BOTH,
    run: Callable[[Network], None] = usual,
) -> str | None:
    """The first line of the ladder that differs from what sites without impairments send, in octets; if that
    ends before, the line that is missing."""
    right, wrong = network(options=options), network(a, b, options)
    expected, found = recorded(right, script), recorded(wrong, script)
    run(right)
    run(wrong)
    for one, other in zip(expected, found, strict=False):
        if one != other:
            return other[0]
    if len(expected) == len(found):
        return None
    return max((expected, found), key=len)[min(len(expected), len(found))][0]
