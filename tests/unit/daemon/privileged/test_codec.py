"""The messages of the pair: every value comes back as it was, and other bytes are refused by one error."""

from __future__ import annotations

import json
from contextlib import closing
from ipaddress import ip_address, ip_interface, ip_network
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikepy.daemon.privileged import codec
from ikepy.daemon.privileged.requests import (
    Answer,
    Begin,
    Exempt,
    Failed,
    MakeDevice,
    MendVxlan,
    Named,
    OpenUdp,
    Perform,
    Performed,
    Refusal,
    Request,
    Steer,
)
from ikepy.daemon.privileged.separated import AT_ONCE, SeparatedNetwork
from tests.unit.daemon.fakes import FakeTun
from tun.rtnetlink import Hop
from tun.state import AddAddress, AddRoute, DeviceState, RemoveRoute, Route, SetMtu, SetUp
from tun.steering import HostFlow
from tun.vxlan import MendedVxlan
from tun.vxlan_state import VxlanState

REQUESTS = get_args(Request)
ANSWERS = get_args(Answer)
VALUES = [
    Begin(
        (500, 4500),
        2,
        1,
        (65534, 65534),
        (("/run/ikepy/ikepy.sock", 7),),
        ("/etc/a",),
        ("/etc/x509/*",),
        False,
        1 << 21,
    ),
    Begin((500, 4500), 2, 0, None, (), (), (), True, 0),
    MakeDevice("vti0"),
    MendVxlan(VxlanState("vx0", 7, 4789)),
    MendVxlan(
        VxlanState(
            "vx0",
            7,
            4789,
            "eth0",
            ip_address("fd00::1"),
            1400,
            frozenset({ip_address("fd00::2")}),
            frozenset({ip_interface("10.7.0.1/24")}),
            frozenset({ip_interface("fd07::1/64")}),
            "02:00:00:00:00:01",
        )
    ),
    Exempt(ip_address("2001:db8::1"), Hop(3, ip_address("fe80::1"), True), None),
    Steer(7, (HostFlow(ip_address("2001:db8::1"), 17, 4501, 65534, 1, 2, ip_address("2001:db8::2")),)),
    OpenUdp(ip_address("192.0.2.1"), 500, reuse_port=True, probe=False),
    Perform(
        7,
        (
            SetMtu(1400, 1500),
            SetUp(),
            AddAddress(ip_interface("192.0.2.1/30"), ip_address("192.0.2.2")),
            AddAddress(ip_interface("2001:db8::1/64"), None, anew=True),
            AddRoute(Route.of(ip_network("10.0.0.0/8"))),
            RemoveRoute(Route.of(ip_network("::/0"), table=7, metric=5, gateway=ip_address("fe80::2"))),
        ),
        ((ip_interface("192.0.2.1/30"), ip_address("192.0.2.2")),),
        frozenset({8}),
    ),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_comes_back_as_it_was(value: object) -> None:
    assert codec.decode(codec.encode(value), *REQUESTS, Begin) == value


@pytest.mark.parametrize(
    "value",
    [
        Failed(1, "no"),
        MendedVxlan(("a",), True, "02:00:00:00:00:01"),
        Named(("a", "b")),
        Refusal(0, 17, frozenset({3})),
    ],
    ids=repr,
)
def test_an_answer_comes_back_as_it_was(value: object) -> None:
    assert codec.decode(codec.encode(value), *ANSWERS, Refusal) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '["Begin"]',  # not a request
        '["Failed", 1, "x"]',
        '["MakeDevice"]',
        '["MakeDevice", 1]',
        '["MakeDevice", null]',
        '["MakeDevice", "a", "b"]',
        '["MakeDevice", ["a"]]',
        f'["MakeDevice", "{"x" * 5000}"]',
        '["RenameDevice", true, "a"]',  # a boolean is no number
        '["RenameDevice", 1.0, "a"]',
        '["RenameDevice", 1e400, "a"]',
        '["RenameDevice", 99999999999999999999, "a"]',
        '["OpenUdp", "nobody", 500, true, true]',
        '["OpenUdp", "192.0.2.1/32", 500, true, true]',
        '["OpenUdp", "fe80::1%eth0", 500, true, true]',
        '["Perform", 1, [["SetMtu", 1]], [], []]',
        '["Perform", 1, [["Route"]], [], []]',
        '["Perform", 1, {}, [], []]',
        '["Perform", 1, [], [["192.0.2.1/24"]], []]',
        "[" * 30000,
    ],
)
def test_what_is_malformed_is_refused(text: str) -> None:
    with pytest.raises(codec.CodecError):
        codec.decode(text.encode(), *REQUESTS)


def test_sizes_are_bounded() -> None:
    with pytest.raises(codec.CodecError, match="octets"):
        codec.decode(b" " * (codec.MAX_MESSAGE + 1), *REQUESTS)
    with pytest.raises(codec.CodecError, match="octets"):
        codec.encode(Named(("x" * 4000,) * 100))
    with pytest.raises(codec.CodecError, match="at most 8192"):
        codec.encode(Named(("x",) * (codec.MAX_ITEMS + 1)))
    many = json.dumps(["Perform", 1, [], [], [7] * (codec.MAX_ITEMS + 1)])
    with pytest.raises(codec.CodecError, match="too long"):
        codec.decode(many.encode(), *REQUESTS)


def test_as_many_tunnels_as_a_route_can_have_fit_beside_the_operations_of_a_request() -> None:
    routes = tuple(
        AddRoute(Route.of(ip_network(f"2001:db8:1234:5678:9abc:def0:1234:{number:x}/128")))
        for number in range(AT_ONCE)
    )
    sharers = frozenset(range(1_000_000, 1_000_000 + codec.MAX_ITEMS))
    request = Perform(1_000_000, routes, (), sharers)
    assert codec.decode(codec.encode(request), *REQUESTS) == request


class Asked:
    """A privileged process that does everything."""

    def __init__(self) -> None:
        self.requests: list[Perform] = []

    def ask(self, request: Perform, _: object) -> Performed:
        self.requests.append(request)
        return Performed(())


@pytest.mark.parametrize(("sharers", "most"), [(0, AT_ONCE), (100, AT_ONCE), (1500, 10), (8000, 2)])
def test_routes_that_many_tunnels_share_come_in_smaller_requests(sharers: int, most: int) -> None:
    """The kernel takes its time for each, and control waits for the answer."""
    asked = Asked()
    routes = [AddRoute(Route.of(ip_network(f"10.2.{number}.0/24"))) for number in range(200)]
    desired = DeviceState(1400, neighbours=frozenset(range(10, 10 + sharers)))
    with closing(FakeTun("vti0")) as device:
        mended = SeparatedNetwork(asked).perform(device, routes, desired)  # type: ignore[arg-type]
    assert mended.done == tuple(routes) and not mended.refused
    assert max(len(one.operations) for one in asked.requests) == most


def test_of_thousands_of_addresses_those_come_along_that_a_device_could_have_by_itself() -> None:
    asked = Asked()
    own = ip_interface("fe80::1/64")
    addresses = [ip_interface(f"10.2.{number >> 8}.{number & 255}/32") for number in range(10_000)]
    desired = DeviceState(1400, addresses=tuple((one, None) for one in (*addresses, own)))
    with closing(FakeTun("vti0")) as device:
        SeparatedNetwork(asked).perform(device, [SetUp()], desired)  # type: ignore[arg-type]
    (request,) = asked.requests
    assert request.desired == ((own, None),)


def test_more_tunnels_than_a_route_can_have_are_refused_in_words() -> None:
    """Nothing but the routes fails."""
    route = AddRoute(Route.of(ip_network("10.2.0.0/24")))
    asked = Asked()
    separated = SeparatedNetwork(asked)  # type: ignore[arg-type]
    desired = DeviceState(1400, neighbours=frozenset(range(10, 11 + codec.MAX_ITEMS)))
    with closing(FakeTun("vti0")) as device:
        mended = separated.perform(device, (SetMtu(1400, 1500), route), desired)
    assert [one.operations for one in asked.requests] == [(SetMtu(1400, 1500),)]
    assert mended.done == (SetMtu(1400, 1500),)
    (refused,) = mended.refused
    assert refused.operation == route
    assert "10.2.0.0/24" in str(refused.error) and "more than 8192 tunnels share it" in str(refused.error)


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([one.__name__ for one in REQUESTS])
    | st.sampled_from(["192.0.2.1", "::1", "10.0.0.0/8", "AddRoute", "Route", "Hop", "SetMtu"]),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=20,
)


@given(PLAIN | st.tuples(st.sampled_from([one.__name__ for one in REQUESTS]), PLAIN, PLAIN).map(list))
def test_whatever_is_said_is_a_request_or_refused(plain: object) -> None:
    try:
        request = codec.decode(json.dumps(plain).encode(), *REQUESTS)
    except codec.CodecError:
        return
    assert isinstance(request, REQUESTS)
    assert codec.decode(codec.encode(request), *REQUESTS) == request


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_refused(data: bytes) -> None:
    try:
        assert isinstance(codec.decode(data, *REQUESTS), REQUESTS)
    except codec.CodecError:
        return
