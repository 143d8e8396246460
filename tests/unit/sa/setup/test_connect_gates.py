"""ikepy.sa.setup.connect_gates: few set-ups at once to one address of a peer."""

from __future__ import annotations

from ipaddress import ip_address

from ikepy.config.toml_source import parse
from ikepy.sa.api.ends import End
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.negotiation.ts_request import Pair
from ikepy.sa.setup.connect_gates import AT_ONCE, PATIENCE, ConnectGates
from ikepy.sa.setup.demand import Demand
from ikepy.sa.state.ike_sa import IkeSa
from ikepy.sa.state.phase import Phase

from ..state.test_registry import PATH, shared

CHILDREN = [f"c{number}" for number in range(6)]
CONNECTION = parse(
    '[connections.one]\nremote_addrs = ["192.0.2.2"]\n'
    + "".join(f"[connections.one.children.{name}]\n" for name in CHILDREN)
    + '[secrets.ike]\nsecret = "s3cr3t"\n'
).connections["one"]
HERE, THERE, ELSEWHERE = PATH.local, PATH.remote.address, ip_address("203.0.113.9")
SOME_PACKET = Pair(*(CONNECTION.children["c0"].local_selectors(THERE) * 2))


class Peers:
    """Set-ups of ours."""

    def __init__(self) -> None:
        self.gates = ConnectGates()
        self._table = shared()

    def begin(self, now: float, address: object = THERE) -> IkeSa:
        sa = IkeSa(
            self._table,
            self._table.config.connections["one"],
            Path(HERE, Endpoint(ip_address(str(address)), 500)),
            spi_i=self._table.ike_spi(),
            spi_r=bytes(8),
            initiator=True,
        )
        sa.enter(Phase.CONNECTING)
        self.gates.begun(sa, now)
        return sa

    def fill(self, now: float = 0.0) -> list[IkeSa]:
        return [self.begin(now) for _ in range(AT_ONCE)]

    def end(self, sa: IkeSa) -> None:
        sa.kill(End.TIMEOUT, "gone")
        self.gates.update(sa)


def demand(*children: str, packet: Pair | None = None) -> Demand:
    return Demand(CONNECTION, children, packet=packet)


def begun(gates: ConnectGates, now: float) -> list[str]:
    """The children whose turn it is, without anything begun in between."""
    found: list[str] = []
    while (one := gates.pop(now)) is not None:
        found += one.children
    return found


def test_so_many_at_once_by_address() -> None:
    peers = Peers()
    for _ in range(AT_ONCE):
        assert peers.gates.lets_in(THERE)
        peers.begin(0.0)
    assert not peers.gates.lets_in(THERE)
    assert peers.gates.lets_in(ELSEWHERE)


def test_one_that_has_ended_lets_the_next_begin() -> None:
    peers = Peers()
    first, *_ = peers.fill()
    peers.gates.wait(THERE, demand("c1", "c2"))
    assert (bool(peers.gates), peers.gates.pop(1.0)) == (True, None)
    peers.gates.update(first)
    assert peers.gates.pop(1.0) is None, "it goes on"
    peers.end(first)
    assert peers.gates.deadline == float("-inf")
    one = peers.gates.pop(1.0)
    assert one == demand("c1")
    peers.begin(1.0)
    assert peers.gates.pop(1.0) is None


def test_one_that_takes_long_counts_no_more() -> None:
    """Neither when its time is over, nor when it ends after that."""
    peers = Peers()
    slow, *_ = peers.fill(10.0)
    peers.gates.wait(THERE, demand("c1"))
    assert peers.gates.deadline == 10.0 + PATIENCE
    assert begun(peers.gates, 9.9 + PATIENCE) == []
    assert begun(peers.gates, 10.0 + PATIENCE) == ["c1"]
    for _ in range(AT_ONCE):
        assert peers.gates.lets_in(THERE)
        peers.begin(13.0)
    peers.end(slow)
    assert not peers.gates.lets_in(THERE)


def test_what_a_packet_needs_goes_first() -> None:
    peers = Peers()
    first, *_ = peers.fill()
    peers.gates.wait(THERE, demand("c1"))
    peers.gates.wait(THERE, demand("c2", packet=SOME_PACKET))
    peers.gates.wait(THERE, demand("c1", packet=SOME_PACKET))  # waits already
    peers.end(first)
    assert begun(peers.gates, 0.0) == ["c2", "c1"]


def test_queues_of_other_addresses_go_on() -> None:
    peers = Peers()
    peers.fill()
    elsewhere = [peers.begin(0.0, ELSEWHERE) for _ in range(AT_ONCE)]
    peers.gates.wait(THERE, demand("c1"))
    peers.gates.wait(ELSEWHERE, demand("c2"))
    peers.end(elsewhere[0])
    assert begun(peers.gates, 0.0) == ["c2"]
    assert peers.gates.waiting == [("one", "c1")]


def test_what_is_taken_back_is_not_begun() -> None:
    peers = Peers()
    first, *_ = peers.fill()
    peers.gates.wait(THERE, demand("c1", "c2"))
    peers.gates.take_back(("one", "c1"))
    peers.end(first)
    assert begun(peers.gates, 0.0) == ["c2"]
    assert not peers.gates
    assert peers.gates.deadline is None


def test_cleared() -> None:
    peers = Peers()
    first, *_ = peers.fill()
    peers.gates.wait(THERE, demand("c1"))
    peers.gates.clear()
    peers.end(first)
    assert (bool(peers.gates), peers.gates.waiting, peers.gates.pop(100.0)) == (False, [], None)
