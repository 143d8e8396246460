"""The octets of router advertisements, read by scapy; and any octets at all as a solicitation."""

from __future__ import annotations

import contextlib
from ipaddress import IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers import inet6

from ikepy.daemon.router.messages import (
    ROOM,
    Advertisement,
    DnsSearchList,
    Mtu,
    Option,
    Preference,
    PrefixInformation,
    RecursiveDnsServers,
    RouteInformation,
    Solicitation,
    SourceLinkLayerAddress,
    read_solicitation,
)
from ikepy.errors import WireError

HOST, NOBODY = IPv6Address("fe80::1"), IPv6Address("::")
ETHERNET = bytes.fromhex("020000000001")

seconds = st.integers(0, 2**32 - 1)
addresses = st.integers(0, 2**128 - 1).map(IPv6Address)
networks = st.builds(
    lambda address, length: IPv6Network((address, length), strict=False),
    st.integers(0, 2**128 - 1),
    st.integers(0, 128),
)
preferences = st.sampled_from(Preference)
labels = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=63)
domains = st.lists(labels, min_size=1, max_size=3).map(".".join)
options = st.one_of(
    st.binary(min_size=6, max_size=6).map(SourceLinkLayerAddress),
    st.integers(0, 2**32 - 1).map(Mtu),
    st.builds(PrefixInformation, networks, st.booleans(), st.booleans(), seconds, seconds),
    st.builds(RouteInformation, networks, preferences, seconds),
    st.builds(RecursiveDnsServers, st.lists(addresses, min_size=1, max_size=16).map(tuple), seconds),
    st.builds(DnsSearchList, st.lists(domains, min_size=1, max_size=5).map(tuple), seconds),
)
advertisements = st.builds(
    Advertisement,
    hop_limit=st.integers(0, 255),
    managed=st.booleans(),
    other_config=st.booleans(),
    preference=preferences,
    lifetime=st.integers(0, 65535),
    reachable_time=seconds,
    retrans_timer=seconds,
    options=st.lists(options, max_size=12).map(tuple),
)


def by_scapy(message: bytes) -> Advertisement:
    """What scapy reads in a message."""
    found = inet6.ICMPv6ND_RA(message)
    read: list[Option] = []
    one = found.payload
    while one:
        read.append(_option(one))
        one = one.payload
    return Advertisement(
        found.chlim,
        bool(found.M),
        bool(found.O),
        Preference(found.prf),
        found.routerlifetime,
        found.reachabletime,
        found.retranstimer,
        tuple(read),
    )


def _option(one: object) -> Option:
    match one:
        case inet6.ICMPv6NDOptSrcLLAddr():
            return SourceLinkLayerAddress(bytes.fromhex(one.lladdr.replace(":", "")))
        case inet6.ICMPv6NDOptMTU():
            return Mtu(one.mtu)
        case inet6.ICMPv6NDOptPrefixInfo():
            prefix = IPv6Network(f"{one.prefix}/{one.prefixlen}")
            return PrefixInformation(
                prefix, bool(one.L), bool(one.A), one.validlifetime, one.preferredlifetime
            )
        case inet6.ICMPv6NDOptRouteInfo():
            network = IPv6Network(f"{one.prefix}/{one.plen}")
            return RouteInformation(network, Preference(one.prf), one.rtlifetime)
        case inet6.ICMPv6NDOptRDNSS():
            return RecursiveDnsServers(tuple(map(IPv6Address, one.dns)), one.lifetime)
        case inet6.ICMPv6NDOptDNSSL():
            return DnsSearchList(tuple(name.rstrip(".") for name in one.searchlist), one.lifetime)
    raise AssertionError(f"scapy reads {one!r}")


@given(advertisements)
def test_scapy_reads_what_was_written(advertisement: Advertisement) -> None:
    messages = advertisement.encode()
    assert all(len(message) <= ROOM or _single(message) for message in messages)
    read = [by_scapy(message) for message in messages]
    assert tuple(option for one in read for option in one.options) == advertisement.options
    told = advertisement.preference if advertisement.lifetime else Preference.MEDIUM
    for one in read:
        assert (one.hop_limit, one.managed, one.other_config, one.preference, one.lifetime) == (
            advertisement.hop_limit,
            advertisement.managed,
            advertisement.other_config,
            told,
            advertisement.lifetime,
        )
        assert (one.reachable_time, one.retrans_timer) == (
            advertisement.reachable_time,
            advertisement.retrans_timer,
        )


def _single(message: bytes) -> bool:
    """Whether it has one option."""
    return len(message) == 16 + 8 * message[17]


def test_the_rfcs_own_figures() -> None:
    """RFC 4861 4.2 and 4.6.2, RFC 4191 2.1 and 2.3, RFC 8106 5.1 and 5.2, octet by octet."""
    network = IPv6Network("2001:db8:2::/48")
    advertisement = Advertisement(
        64,
        True,
        False,
        Preference.HIGH,
        1800,
        0,
        0,
        (
            SourceLinkLayerAddress(ETHERNET),
            Mtu(1400),
            PrefixInformation(IPv6Network("2001:db8:1::/64"), True, False, 7200, 3600),
            RouteInformation(network, Preference.LOW, 600),
            RecursiveDnsServers((IPv6Address("2001:db8::53"),), 1200),
            DnsSearchList(("b.example",), 1200),
        ),
    )
    (message,) = advertisement.encode()
    assert message.hex(" ", 4).split() == [
        *("86000000", "40880708", "00000000", "00000000"),
        *("01010200", "00000001"),
        *("05010000", "00000578"),
        *("03044080", "00001c20", "00000e10", "00000000", "20010db8", "00010000", "00000000", "00000000"),
        *("18023018", "00000258", "20010db8", "00020000"),
        *("19030000", "000004b0", "20010db8", "00000000", "00000000", "00000053"),
        *("1f030000", "000004b0", "01620765", "78616d70", "6c650000", "00000000"),
    ]


@pytest.mark.parametrize(("length", "units"), [(0, 1), (1, 2), (64, 2), (65, 3), (128, 3)])
def test_a_route_takes_as_much_room_as_its_prefix(length: int, units: int) -> None:
    network = IPv6Network(("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", length), strict=False)
    message = RouteInformation(network, Preference.MEDIUM, 1).encode()
    assert (message[1], len(message)) == (units, 8 * units)


@given(st.binary(max_size=200), st.sampled_from([HOST, NOBODY]), st.sampled_from([255, 64]))
def test_any_octets_are_a_solicitation_or_an_error(octets: bytes, source: IPv6Address, hops: int) -> None:
    with contextlib.suppress(WireError):
        assert isinstance(read_solicitation(octets, source, hops), Solicitation)


@given(st.binary(max_size=64).map(lambda options: bytes((133, 0, 0, 0, 0, 0, 0, 0)) + options))
def test_any_options(octets: bytes) -> None:
    try:
        read_solicitation(octets, HOST, 255)
    except WireError:
        return
    rest = octets[8:]
    while rest:  # every option has a length, and none is left
        assert rest[1] > 0
        assert len(rest) >= 8 * rest[1]
        rest = rest[8 * rest[1] :]


SOLICITATION = bytes(inet6.ICMPv6ND_RS())
WITH_ADDRESS = bytes(inet6.ICMPv6ND_RS() / inet6.ICMPv6NDOptSrcLLAddr(lladdr="02:00:00:00:00:01"))


def test_scapys_solicitations_are_read() -> None:
    assert read_solicitation(SOLICITATION, NOBODY, 255) == Solicitation(None)
    assert read_solicitation(WITH_ADDRESS, HOST, 255) == Solicitation(ETHERNET)


@pytest.mark.parametrize(
    ("octets", "source", "hop_limit"),
    [
        (SOLICITATION, HOST, 254),  # forwarded by somebody
        (SOLICITATION[:7], HOST, 255),
        (b"\x85\x01" + SOLICITATION[2:], HOST, 255),  # code 1
        (b"\x86" + SOLICITATION[1:], HOST, 255),  # an advertisement
        (SOLICITATION + b"\x01\x00" + bytes(6), HOST, 255),  # an option without length
        (SOLICITATION + b"\x01\x02" + bytes(6), HOST, 255),  # longer than what is left
        (SOLICITATION + b"\x01", HOST, 255),
        (WITH_ADDRESS, NOBODY, 255),  # a link-layer address of the unspecified address
    ],
)
def test_what_is_not_valid_is_refused(octets: bytes, source: IPv6Address, hop_limit: int) -> None:
    with pytest.raises(WireError):
        read_solicitation(octets, source, hop_limit)
