"""Whatever an authenticated peer says of addresses: children send only to where it has been."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from hypothesis import given, settings
from hypothesis import strategies as st

from ikepy.sa.api.commands import LocalAddressesChanged
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.tasks.liveness import Liveness
from ikepy.wire.constants import NotifyType
from ikepy.wire.payloads import NotifyPayload
from tests.exchange.network import ADDRESS_A, ADDRESS_B, Network
from tests.exchange.test_established import do, established, ike_sa
from tests.exchange.test_mobike import FIXED, ROAMING, request

PLACES = [
    Endpoint(ADDRESS_A, 4500),
    Endpoint(ADDRESS_A, 1),
    Endpoint(IPv4Address("198.51.100.1"), 4500),
    Endpoint(IPv4Address("224.0.0.1"), 4500),
    Endpoint(IPv4Address("0.0.0.0"), 0),
]
SIZED = st.sampled_from(
    [
        (NotifyType.UPDATE_SA_ADDRESSES, 0),
        (NotifyType.ADDITIONAL_IP4_ADDRESS, 4),
        (NotifyType.ADDITIONAL_IP6_ADDRESS, 16),
        (NotifyType.NO_ADDITIONAL_ADDRESSES, 0),
        (NotifyType.NO_NATS_ALLOWED, 12),
        (NotifyType.NO_NATS_ALLOWED, 36),
        (NotifyType.COOKIE2, 8),
        (NotifyType.COOKIE2, 64),
        (NotifyType.NAT_DETECTION_SOURCE_IP, 20),
        (NotifyType.NAT_DETECTION_DESTINATION_IP, 20),
        (NotifyType.UNACCEPTABLE_ADDRESSES, 0),
        (NotifyType.UNEXPECTED_NAT_DETECTED, 0),
        (NotifyType.MOBIKE_SUPPORTED, 0),
    ]
)
NOTIFIES = SIZED.flatmap(
    lambda kind: st.binary(min_size=kind[1], max_size=kind[1]).map(lambda data: NotifyPayload(kind[0], data))
)
MESSAGES = st.lists(st.tuples(st.sampled_from(PLACES), st.lists(NOTIFIES, max_size=5)), max_size=5)


@settings(max_examples=150, deadline=None)
@given(MESSAGES)
def test_the_initiator_says_anything(messages: list[tuple[Endpoint, list[NotifyPayload]]]) -> None:
    net = established(ROAMING, FIXED)
    net.script = lambda line, nth, data: []  # nobody is there to return a cookie
    a = ike_sa(net, "a")
    for number, (place, notifies) in enumerate(messages, 2):
        assert net.inject(
            "b", Path(Endpoint(ADDRESS_B, 4500), place), request(a, *notifies, message_id=number)
        )
    (b,) = net.b.manager.list_sas(net.now)
    assert b.state == "ESTABLISHED"
    assert all(move.path.remote.address == ADDRESS_A for move in net.b.moves)


@settings(max_examples=150, deadline=None)
@given(MESSAGES)
def test_the_responder_says_anything(messages: list[tuple[Endpoint, list[NotifyPayload]]]) -> None:
    net = established(ROAMING, FIXED)
    net.script = lambda line, nth, data: []
    b = ike_sa(net, "b")
    for number, (place, notifies) in enumerate(messages):
        there = Path(Endpoint(ADDRESS_A, 4500), Endpoint(ADDRESS_B, 4500) if place is PLACES[0] else place)
        assert net.inject("a", there, request(b, *notifies, message_id=number))
    (a,) = net.a.manager.list_sas(net.now)
    assert a.state == "ESTABLISHED"
    assert not net.a.moves


ADDRESSES = [ADDRESS_A, *map(IPv4Address, ("198.51.100.1", "203.0.113.1")), IPv6Address("2001:db8::1")]
CHANGES = st.lists(
    st.tuples(
        st.lists(st.sampled_from(ADDRESSES), unique=True, max_size=3),
        st.floats(0, 0.1),
        st.booleans(),
    ),
    max_size=8,
)


@settings(max_examples=100, deadline=None)
@given(CHANGES)
def test_addresses_come_and_go_on_the_initiators_side(
    changes: list[tuple[list[IPv4Address | IPv6Address], float, bool]],
) -> None:
    """Whatever the order and the moment, both ends agree on the path in the end."""
    net: Network = established(ROAMING, FIXED)
    for addresses, after, ask in changes:
        net.command("a", LocalAddressesChanged(tuple(addresses)))
        if ask:
            do(net, "a", Liveness())
        net.run(after)
    net.run(30)
    a, b = ike_sa(net, "a"), ike_sa(net, "b")
    assert a.path == Path(b.path.remote, b.path.local)
    assert (a.children_path, b.children_path) == (a.path, b.path)
    for site, sa in ((net.a, a), (net.b, b)):
        assert not site.moves or site.moves[-1].path == sa.path
