"""What has to be done to a device, by what it is to be and what it is."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tun.state import (
    AddAddress,
    AddRoute,
    DeviceState,
    Operation,
    RemoveAddress,
    Route,
    Seen,
    SetCarrier,
    SetMtu,
    SetUp,
    StopAutoconfiguration,
    device_state,
    difference,
    removals,
)

V4, V6 = ip_interface("169.254.10.1/30"), ip_interface("fd00::1/126")
PEER4, PEER6 = ip_address("169.254.10.2"), ip_address("fd00::2")
ROUTE4, ROUTE6 = Route.of(ip_network("10.2.0.0/24")), Route.of(ip_network("fd02::/64"))
LINK4, LINK6 = Route.of(ip_network("169.254.10.0/30")), Route.of(ip_network("fd00::/126"), metric=256)
DESIRED = device_state([V4, V6], [PEER4, PEER6], 1400, [ROUTE4, ROUTE6])
RIGHT = Seen(
    up=True,
    mtu=1400,
    carrier=True,
    quiet=True,
    addresses=frozenset({(V4, PEER4), (V6, PEER6)}),
    routes=frozenset({ROUTE4, ROUTE6, LINK4, LINK6}),
)
DOWN = replace(
    RIGHT, up=False, addresses=frozenset({(V4, PEER4)}), routes=frozenset()
)  # what the kernel leaves of it


def test_nothing_is_done_to_what_is_right() -> None:
    assert difference(DESIRED, RIGHT) == []


def test_what_others_have_added_is_theirs() -> None:
    further = Route.of(ip_network("10.99.0.0/16"), gateway=PEER4)
    seen = replace(
        RIGHT,
        addresses=RIGHT.addresses | {(ip_interface("10.7.7.7/32"), None)},
        routes=RIGHT.routes | {further},
    )
    assert difference(DESIRED, seen) == []


CASES: list[tuple[Seen, list[Operation]]] = [
    (replace(RIGHT, mtu=1300), [SetMtu(1400, 1300)]),
    (replace(RIGHT, carrier=False), [SetCarrier(True)]),
    (replace(RIGHT, quiet=False), [StopAutoconfiguration()]),
    (replace(RIGHT, routes=RIGHT.routes - {ROUTE4}), [AddRoute(ROUTE4)]),
    (replace(RIGHT, addresses=frozenset({(V4, PEER4)})), [AddAddress(V6, PEER6)]),
    # An address of the same number, but without its peer, or with another prefix
    (replace(RIGHT, addresses=frozenset({(V4, None), (V6, PEER6)})), [AddAddress(V4, PEER4)]),
    (
        replace(RIGHT, addresses=frozenset({(ip_interface("169.254.10.1/29"), PEER4), (V6, PEER6)})),
        [AddAddress(V4, PEER4)],
    ),
    # The route that the kernel made with an address
    (replace(RIGHT, routes=RIGHT.routes - {LINK4}), [AddAddress(V4, PEER4, anew=True)]),
    # The same network, but not the same route
    (
        replace(RIGHT, routes=RIGHT.routes - {ROUTE4} | {Route.of(ROUTE4.network, metric=5)}),
        [AddRoute(ROUTE4)],
    ),
    (replace(RIGHT, routes=RIGHT.routes - {ROUTE6} | {Route.of(ROUTE6.network, 7)}), [AddRoute(ROUTE6)]),
    (
        # IPv6 came to the device anew, after its MTU was too small for it
        replace(RIGHT, mtu=1200, addresses=frozenset({(V4, PEER4)}), routes=frozenset({ROUTE4, LINK4})),
        [SetMtu(1400, 1200), AddAddress(V6, PEER6), AddRoute(ROUTE6)],
    ),
]


@pytest.mark.parametrize(("seen", "operations"), CASES)
def test_what_is_missing_is_done(seen: Seen, operations: list[Operation]) -> None:
    assert difference(DESIRED, seen) == operations


def test_a_device_that_is_down_stays_so_and_gets_what_it_can_take() -> None:
    assert difference(DESIRED, DOWN) == []
    assert difference(DESIRED, replace(DOWN, mtu=1300)) == [SetMtu(1400, 1300)]
    assert difference(DESIRED, replace(DOWN, carrier=False)) == [], "it can't be seen of one that is down"


def test_up_again_it_gets_back_what_the_kernel_took() -> None:
    seen = replace(DOWN, up=True, routes=frozenset({LINK4}))
    assert difference(DESIRED, seen) == [AddAddress(V6, PEER6), AddRoute(ROUTE4), AddRoute(ROUTE6)]


def test_a_new_device_gets_all_of_it_in_an_order_that_the_kernel_takes() -> None:
    new = Seen(False, 1500, False, quiet=False, addresses=frozenset(), routes=frozenset())
    assert difference(DESIRED, new, bring_up=True) == [
        SetMtu(1400, 1500),
        StopAutoconfiguration(),
        SetUp(),
        SetCarrier(True),
        AddAddress(V4, PEER4),
        AddAddress(V6, PEER6),
        AddRoute(ROUTE4),
        AddRoute(ROUTE6),
    ]


def test_below_ipv6s_least_mtu_there_is_nothing_to_stop() -> None:
    small = DeviceState(1000)
    assert difference(small, Seen(True, 1000, True, False, frozenset(), frozenset())) == []


def test_a_single_address_has_no_route_of_its_own() -> None:
    own = ip_interface("10.0.0.1/32")
    seen = Seen(True, 1400, True, True, frozenset({(own, None)}), frozenset())
    assert difference(device_state([own], [], 1400), seen) == []


def test_peers_without_an_address_are_routes() -> None:
    desired = device_state([], [ip_address("10.9.9.9")], 1400, table=77)
    assert desired.routes == {Route.of(ip_network("10.9.9.9/32"), 77)}


def test_a_route_in_words() -> None:
    assert str(ROUTE4) == "10.2.0.0/24"
    assert str(ROUTE6) == "fd02::/64"
    route = Route.of(ip_network("10.0.0.0/8"), 7, 20, gateway=PEER4)
    assert str(route) == "10.0.0.0/8 via 169.254.10.2 in table 7 with metric 20"


SEEN = st.builds(
    Seen,
    up=st.booleans(),
    mtu=st.sampled_from([1000, 1300, 1400]),
    carrier=st.booleans(),
    quiet=st.booleans(),
    addresses=st.frozensets(st.sampled_from([(V4, PEER4), (V4, None), (V6, PEER6), (V6, None)])),
    routes=st.frozensets(st.sampled_from([ROUTE4, ROUTE6, LINK4, LINK6])),
)


@given(SEEN, st.booleans())
def test_whatever_it_was_it_is_right_afterwards(seen: Seen, bring_up: bool) -> None:
    """Or, of what is down, as right as it can be."""
    for operation in difference(DESIRED, seen, bring_up=bring_up):
        seen = _done(operation, seen)
    assert difference(DESIRED, seen) == []


def _done(operation: Operation, seen: Seen) -> Seen:
    match operation:
        case SetMtu(mtu=mtu):
            return replace(seen, mtu=mtu)
        case StopAutoconfiguration():
            return replace(seen, quiet=True)
        case SetUp():
            links = {LINK4 if own is V4 else LINK6 for own, _ in seen.addresses}
            return replace(seen, up=True, routes=seen.routes | links)
        case SetCarrier(on=on):
            return replace(seen, carrier=on)
        case AddAddress(own=own, peer=peer):
            link = LINK4 if own is V4 else LINK6
            return replace(seen, addresses=seen.addresses | {(own, peer)}, routes=seen.routes | {link})
        case AddRoute(route=route):
            return replace(seen, routes=seen.routes | {route})
    raise AssertionError(f"{operation} takes something away")


EXTRA4, EXTRA6 = ip_interface("10.7.0.5/32"), ip_interface("fd07::5/64")


def test_a_retired_address_goes_and_those_of_others_stay() -> None:
    desired = replace(DESIRED, retired=frozenset({(EXTRA4, None), (EXTRA6, None)}))
    others = (ip_interface("10.9.0.5/32"), None)
    seen = replace(RIGHT, addresses=RIGHT.addresses | {(EXTRA4, None), (EXTRA6, None), others})
    found = difference(desired, seen)
    assert found[:2] == [RemoveAddress(EXTRA4, None), RemoveAddress(EXTRA6, None)]
    assert all(isinstance(one, AddAddress | AddRoute) for one in found[2:])
    assert difference(desired, RIGHT) == []
    down = replace(DOWN, addresses=DOWN.addresses | {(EXTRA4, None)})
    assert difference(desired, down) == [RemoveAddress(EXTRA4, None)]


def test_what_the_kernel_takes_with_an_ipv4_address_is_added_again() -> None:
    assert removals([(EXTRA6, None)], DESIRED) == [RemoveAddress(EXTRA6, None)]
    assert removals([], DESIRED) == []
    assert removals([(EXTRA4, None)], DESIRED) == [
        RemoveAddress(EXTRA4, None),
        AddAddress(V4, PEER4),
        AddRoute(ROUTE4),
    ]
