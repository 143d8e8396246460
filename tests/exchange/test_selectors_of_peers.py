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


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often two selectors are compared, as its only element."""
    count = [0]

    def counted(way: Callable[[Selector, Selector], object]) -> Callable[[Selector, Selector], object]:
        def compare(one: Selector, other: Selector) -> object:
            count[0] += 1
            assert count[0] < ENOUGH
            return way(one, other)

        return compare

    for name in ("intersection", "contains"):
        monkeypatch.setattr(Selector, name, counted(getattr(Selector, name)))
    return count


def further(children: int, local_ts: str, remote_ts: str, more: str = "") -> str:
    """Children of these names: other1, other2 and so on."""
    return "".join(
        f"[connections.ab.children.other{number}]\nlocal_ts = {local_ts}\nremote_ts = {remote_ts}\n{more}\n"
        for number in range(1, children + 1)
    )


def asked_for_all(b: Options) -> Network:
    """a asks for as many selectors as there may be, which it could send in one message."""
    net = Network(Options(local_ts=ports("10.1.0.0/24"), remote_ts=ports("10.2.0.0/24")), b)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(5)
    return net


@pytest.mark.parametrize("others", [0, 1, 40])
def test_as_many_selectors_as_there_may_be(compared: list[int], others: int) -> None:
    """Also where several children of ours may carry them. All pairs of all pairs would take an hour."""
    net = asked_for_all(
        Options(local_ts=EVERYTHING, remote_ts=EVERYTHING, more=further(others, EVERYTHING, EVERYTHING))
    )
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    assert_joined(net)
    (child,) = net.b.manager.list_sas(net.now)[0].children
    assert len(child.ts_local) == len(child.ts_remote) == MOST


@pytest.mark.parametrize("suite", ["aes128gcm16", "aes256gcm16"])
def test_many_children_that_permit_a_part(compared: list[int], suite: str) -> None:
    """Whether one is chosen, and the others might carry more, or none has the peer's suite."""
    local_ts, remote_ts = '["10.2.0.0/25"]', '["10.1.0.0/25"]'
    children = further(40, local_ts, remote_ts, f'esp_proposals = ["{suite}"]')
    net = asked_for_all(
        Options(local_ts=local_ts, remote_ts=remote_ts, esp_proposals=f'["{suite}"]', more=children)
    )
    assert compared[0] > 40, "each child is looked at"
    if suite == "aes128gcm16":
        assert net.a.outcomes[1].ok, net.a.outcomes[1].text
        assert_joined(net)
    else:
        assert "NO_PROPOSAL_CHOSEN" in net.a.outcomes[1].text
