"""What an authentic message says beside its content: that the peer lives, and where (RFC 7296 2.4, 2.23)."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from ikepy.sa.api.commands import Initiate, Rekey
from ikepy.sa.api.effects import Send
from ikepy.sa.api.path import Endpoint, Path

from .network import ADDRESS_A, Network, Options
from .test_dispatch import A_TO_B, INFORMATIONAL, LASTING, established, sealed
from .test_established import ike_sa


@pytest.mark.parametrize("kind", ["request", "response", "repetition"])
def test_what_is_a_sign_of_life_and_what_is_none(kind: str) -> None:
    """dpd_delay counts from the last message that only the peer can have sent just now."""
    dpd = Options(connection=f"{LASTING}\ndpd_delay = 10", child="rekey_time = 0")
    net = established(Options(connection=LASTING, child="rekey_time = 0"), dpd)
    data = sealed(net, "a", INFORMATIONAL, 2, [])
    net.inject("b", A_TO_B, data)
    net.run(8)
    if kind == "request":
        net.inject("b", A_TO_B, sealed(net, "a", INFORMATIONAL, 3, []))
    elif kind == "response":
        net.command("b", Rekey(child="net"))
    else:
        net.inject("b", A_TO_B, data)
    net.run(1)
    net.ladder.clear()
    net.run(4)
    asked = any(line.startswith("b -> a INFORMATIONAL request") for line in net.ladder)
    assert asked is (kind == "repetition")


def test_an_answer_keeps_the_mapping_of_a_nat() -> None:
    """keep_alive counts from the last message that was sent, responses among them."""
    net = Network(Options(connection=LASTING, child="rekey_time = 0"), Options(remote_addrs="%any"))
    net.nat_to_a = Endpoint(IPv4Address("198.51.100.7"), 40000)
    net.command("a", Initiate("ab", "net"))
    net.run(15)
    assert net.a.keepalives == 0
    sa = ike_sa(net, "a")
    net.inject("a", sa.path, sealed(net, "b", INFORMATIONAL, 0, []))
    net.run(15)
    assert net.a.keepalives == 0
    net.run(10)
    assert net.a.keepalives == 1


@pytest.mark.parametrize("mobike", ["true", "false"])
def test_a_peer_that_is_behind_no_nat_is_not_followed(mobike: str) -> None:
    """Its message is answered whence it came, and the next one of ours goes where it was."""
    options = Options(connection=f"{LASTING}\nmobike = {mobike}", child="rekey_time = 0")
    net = established(options, options)
    before = ike_sa(net, "b").path
    elsewhere = Path(before.local, Endpoint(ADDRESS_A, 5000))
    effects = net.inject("b", elsewhere, sealed(net, "a", INFORMATIONAL, 2, []))
    assert [one.path for one in effects if isinstance(one, Send)] == [elsewhere]
    assert ike_sa(net, "b").path == before
    assert not net.b.moves
