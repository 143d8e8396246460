"""What is announced, and what is taken back."""

from __future__ import annotations

from ipaddress import IPv6Network

from ikepy.config.router_advertisement import MAX_ROUTES, RouterAdvertisement
from ikepy.daemon.router.announcement import MOST_TOLD, Content, announced, content, remembered, withdrawn
from ikepy.daemon.router.messages import (
    DnsSearchList,
    Mtu,
    Option,
    Preference,
    PrefixInformation,
    RecursiveDnsServers,
    RouteInformation,
    SourceLinkLayerAddress,
)

FAR, FURTHER = IPv6Network("fd02::/64"), IPv6Network("fd03::/64")
ETHERNET = bytes.fromhex("020000000001")
FULL = RouterAdvertisement(
    name="vxeth0",
    prefixes=["fd01::/64"],
    routes=["fd02::/64"],
    route_preference="high",
    rdnss=["fd02::53"],
    dnssl=["b.example"],
    mtu=1400,
)
ROUTES_ONLY = RouterAdvertisement(name="vxeth0", default_router=False)


def kinds(options: tuple[Option, ...]) -> list[type[Option]]:
    return [type(one) for one in options]


def test_everything() -> None:
    current = content(FULL, [])
    found = announced(FULL, current, current, ETHERNET)
    assert (found.lifetime, found.hop_limit, found.preference) == (1800, 64, Preference.MEDIUM)
    assert found.options == (
        SourceLinkLayerAddress(ETHERNET),
        Mtu(1400),
        PrefixInformation(IPv6Network("fd01::/64"), True, True, 2_592_000, 604_800),
        RouteInformation(FAR, Preference.HIGH, 1800),
        RecursiveDnsServers(FULL.rdnss, 1800),
        DnsSearchList(("b.example",), 1800),
    )


def test_all_is_taken_back_but_the_prefix() -> None:
    """RFC 4861 6.2.5; addresses of the prefix are in use."""
    found = withdrawn(FULL, content(FULL, []), ETHERNET)
    assert found.lifetime == 0
    assert found.options[2:] == (
        PrefixInformation(IPv6Network("fd01::/64"), True, True, 2_592_000, 604_800),
        RouteInformation(FAR, Preference.HIGH, 0),
        RecursiveDnsServers(FULL.rdnss, 0),
        DnsSearchList(("b.example",), 0),
    )
    deprecating = FULL.model_copy(update={"deprecate": True})
    found = withdrawn(deprecating, content(FULL, []), ETHERNET)
    assert PrefixInformation(IPv6Network("fd01::/64"), True, True, 2_592_000, 0) in found.options


def test_routes_of_the_tunnels_where_we_are_no_default_router() -> None:
    current = content(ROUTES_ONLY, [FURTHER, FAR])
    found = announced(ROUTES_ONLY, current, current, None)
    assert found.lifetime == 0
    assert found.options == tuple(RouteInformation(one, Preference.MEDIUM, 1800) for one in (FAR, FURTHER))
    assert content(RouterAdvertisement(name="vxeth0"), [FAR]).routes == frozenset()


def test_a_route_that_is_gone_is_taken_back_beside_those_that_stay() -> None:
    before, after = content(ROUTES_ONLY, [FAR, FURTHER]), content(ROUTES_ONLY, [FURTHER])
    found = announced(ROUTES_ONLY, after, before | after, None)
    assert found.options == (
        RouteInformation(FURTHER, Preference.MEDIUM, 1800),
        RouteInformation(FAR, Preference.MEDIUM, 0),
    )


def test_what_another_configuration_leaves_out_is_taken_back() -> None:
    less = RouterAdvertisement(name="vxeth0")
    found = announced(less, content(less, []), content(FULL, []), None)
    assert kinds(found.options) == [
        PrefixInformation,
        RouteInformation,
        RecursiveDnsServers,
        DnsSearchList,
    ]
    assert found.options[0] == PrefixInformation(IPv6Network("fd01::/64"), True, True, 2_592_000, 0)


def test_peers_do_not_decide_how_much_is_announced() -> None:
    many = [IPv6Network((0xFD << 120 | number << 64, 64)) for number in range(MAX_ROUTES + 100)]
    assert len(content(ROUTES_ONLY, many).routes) == MAX_ROUTES


def test_routes_without_end_are_left_to_their_lifetimes() -> None:
    told = Content()
    for number in range(100):
        far = [IPv6Network((0xFD << 120 | number << 80 | each << 64, 64)) for each in range(MAX_ROUTES)]
        current = content(ROUTES_ONLY, far)
        told = remembered(told, current)
        assert current.routes <= told.routes
        assert len(told.routes) <= MOST_TOLD


def test_nothing_is_taken_back_twice() -> None:
    assert Content() - content(FULL, []) == Content()
