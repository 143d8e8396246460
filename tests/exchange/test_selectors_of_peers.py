"""How much a peer's selectors may cost: 255 of each side in one message (RFC 7296 3.13)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from esp.packet.selectors import MOST, Selector
from ikepy.sa.api.commands import Initiate

from .network import Network, Options, assert_joined

EVERYTHING = '["0.0.0.0/0"]'
ENOUGH = 20 * MOST**2  # comparisons: some of each with each


def ports(network: str) -> str:
    return "[" + ", ".join(f'"{network}[udp/{port}]"' for port in range(1, MOST + 1)) + "]"


@pytest.mark.parametrize("several", [False, True])
def test_as_many_selectors_as_there_may_be(monkeypatch: pytest.MonkeyPatch, several: bool) -> None:
    """Also where several children of ours may carry them. All pairs of all pairs would take an hour."""
    further = '[connections.ab.children.other]\nlocal_ts = ["0.0.0.0/0"]\nremote_ts = ["0.0.0.0/0"]\n'
    net = Network(
        Options(local_ts=ports("10.1.0.0/24"), remote_ts=ports("10.2.0.0/24")),
        Options(local_ts=EVERYTHING, remote_ts=EVERYTHING, more=further if several else ""),
    )
    compared = 0

    def counted(way: Callable[[Selector, Selector], object]) -> Callable[[Selector, Selector], object]:
        def compare(one: Selector, other: Selector) -> object:
            nonlocal compared
            compared += 1
            assert compared < ENOUGH
            return way(one, other)

        return compare

    for name in ("intersection", "contains"):
        monkeypatch.setattr(Selector, name, counted(getattr(Selector, name)))
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(5)
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    assert_joined(net)
    (child,) = net.b.manager.list_sas(net.now)[0].children
    assert len(child.ts_local) == len(child.ts_remote) == MOST
