"""A NAT that forgets its mappings: the peer's authentic packets are followed (RFC 7296 2.23, RFC 4555 3.8).

Every test begins with its ladder; "x" is what is late or lost.
"""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from ikepy.sa.api.commands import Initiate, Rekey, Terminate
from ikepy.sa.api.effects import Send
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.driver import clock

from .network import ADDRESS_B, DELAY, Network, Options, assert_joined
from .test_established import ike_sa

OUTER = IPv4Address("203.0.113.1")
OLD, NEW = Endpoint(OUTER, 40000), Endpoint(OUTER, 50000)  # whence the NAT sends what leaves from port 500
ATTACKER = Path(Endpoint(ADDRESS_B, 4500), Endpoint(IPv4Address("203.0.113.66"), 666))


def behind_nat(a: str = "mobike = false", b: str = "") -> Network:
    net = Network(Options(connection=a), Options(remote_addrs="%any", connection=b))
    net.nat_to_a = OLD
    net.command("a", Initiate("ab", "net"))
    net.run(2)
    net.ladder.clear()
    return net


def peer_port(net: Network) -> int:
    """Where b sends to."""
    return ike_sa(net, "b").path.remote.port


def children_port(net: Network) -> int:
    return net.b.moves[-1].path.remote.port


def probe_liveness(net: Network, name: str) -> None:
    net.run_effects(name, clock.probe_liveness(ike_sa(net, name), net.now))


def packet_from_new_mapping(net: Network) -> None:
    """A worker of b's tells of an authentic ESP packet."""
    (child_id,) = net.b.plane.inbound
    effects = net.b.manager.peer_moved(child_id, Endpoint(OUTER, NEW.port + 1), net.now)
    net.run_effects("b", effects)


def test_a_message_from_another_mapping() -> None:
    """a -> b INFORMATIONAL request 2    from the new mapping
    b -> a INFORMATIONAL response 2
    """
    net = behind_nat()
    net.nat_to_a = NEW
    net.command("a", Terminate(child="net"))
    net.run(2)
    assert net.ladder == ["a -> b INFORMATIONAL request 2", "b -> a INFORMATIONAL response 2"]
    assert peer_port(net) == NEW.port + 1


def test_a_response_from_another_mapping() -> None:
    """b -> a INFORMATIONAL request 0
    a -> b INFORMATIONAL response 0    from the new mapping
    """
    net = behind_nat()
    probe_liveness(net, "b")
    net.nat_to_a = NEW
    net.run(2)
    assert net.ladder == ["b -> a INFORMATIONAL request 0", "a -> b INFORMATIONAL response 0"]
    assert peer_port(net) == children_port(net) == NEW.port + 1


def test_what_is_sent_again_goes_to_the_new_mapping_after_a_message() -> None:
    """b -> a INFORMATIONAL request 0    x (the old mapping is gone)
    a -> b INFORMATIONAL request 2
    b -> a INFORMATIONAL response 2
    b -> a INFORMATIONAL request 0
    a -> b INFORMATIONAL response 0
    """
    net = behind_nat()
    net.nat_to_a = NEW
    probe_liveness(net, "b")
    net.run(1)
    probe_liveness(net, "a")
    net.run(10)
    assert net.ladder == [
        "b -> a INFORMATIONAL request 0",
        "a -> b INFORMATIONAL request 2",
        "b -> a INFORMATIONAL response 2",
        "b -> a INFORMATIONAL request 0",
        "a -> b INFORMATIONAL response 0",
    ]
    assert children_port(net) == NEW.port + 1


@pytest.mark.parametrize("mobike", ["false", "true"])
def test_what_is_sent_again_goes_to_the_new_mapping_after_a_packet(mobike: str) -> None:
    """b -> a INFORMATIONAL request 0    x (the old mapping is gone)
                                       a's ESP comes from the new one
    b -> a INFORMATIONAL request 0
    a -> b INFORMATIONAL response 0
    """
    net = behind_nat(f"mobike = {mobike}")
    net.nat_to_a = NEW
    probe_liveness(net, "b")
    net.run(1)
    packet_from_new_mapping(net)
    net.run(10)
    assert net.ladder == ["b -> a INFORMATIONAL request 0"] * 2 + ["a -> b INFORMATIONAL response 0"]
    assert children_port(net) == NEW.port + 1
    assert_joined(net)


def test_a_replayed_request_is_answered_but_not_followed() -> None:
    """a -> b INFORMATIONAL request 2
    b -> a INFORMATIONAL response 2
    x -> b INFORMATIONAL request 2      the same, from elsewhere: no sign of life either
    b -> x INFORMATIONAL response 2
    """
    net = behind_nat(b="dpd_delay = 10")
    seen: list[bytes] = []

    def listen(line: str, nth: int, data: bytes) -> list[float]:
        if line == "a -> b INFORMATIONAL request 2":
            seen.append(data)
        return [DELAY]

    net.script = listen
    probe_liveness(net, "a")
    net.run(9)
    effects = net.inject("b", ATTACKER, seen[0])
    assert [effect.path for effect in effects if isinstance(effect, Send)] == [ATTACKER]
    assert peer_port(net) == OLD.port + 1
    assert not net.b.moves
    net.run(2)
    assert "b -> a INFORMATIONAL request 0" in net.ladder


def test_an_ike_sa_that_was_rekeyed_meanwhile_goes_along() -> None:
    """b -> a CREATE_CHILD_SA request 0    x (the old mapping is gone)
    a -> b CREATE_CHILD_SA request 2     the new IKE_SA is contested: the old one has the children
    b -> a CREATE_CHILD_SA response 2
                                         a's ESP comes from the new mapping
    a -> b INFORMATIONAL request 3
    b -> a INFORMATIONAL response 3
    """
    net = behind_nat("")
    net.nat_to_a = NEW
    net.command("b", Rekey(ike="ab"))
    net.command("a", Rekey(ike="ab"))
    net.run(1.5 * DELAY)
    packet_from_new_mapping(net)
    net.run(200)
    assert net.ladder == [
        "b -> a CREATE_CHILD_SA request 0",
        "a -> b CREATE_CHILD_SA request 2",
        "b -> a CREATE_CHILD_SA response 2",
        "a -> b INFORMATIONAL request 3",
        "b -> a INFORMATIONAL response 3",
    ]
    assert peer_port(net) == children_port(net) == NEW.port + 1
    assert_joined(net)
