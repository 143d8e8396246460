"""esp.packet.policy: inner packets against selectors."""

from __future__ import annotations

import pytest

from esp.packet.headers import flow_of
from esp.packet.policy import CACHE_LIMIT, Policy
from esp.packet.selectors import Selector
from tests.unit.esp.packets import ANY, ICMP, TCP, UDP, ipv4, ipv6, ports

# "in": from 10.2/16 to 10.1/16; the selectors' local side is 10.1/16.
LOCAL, REMOTE = Selector.of("10.1.0.0/16"), Selector.of("10.2.0.0/16")


def inbound(
    source: str = "10.2.0.1",
    destination: str = "10.1.0.1",
    payload: bytes = b"",
    *,
    protocol: int = 253,
    fragment_offset: int = 0,
) -> bytes:
    return ipv4(source, destination, payload, protocol=protocol, fragment_offset=fragment_offset)


@pytest.mark.parametrize(
    ("source", "destination", "permitted"),
    [
        ("10.2.0.1", "10.1.0.1", True),
        ("10.2.255.255", "10.1.0.0", True),
        ("10.3.0.1", "10.1.0.1", False),
        ("10.2.0.1", "10.0.255.255", False),
        ("10.1.0.1", "10.2.0.1", False),  # the other way round
    ],
)
def test_addresses(source: str, destination: str, permitted: bool) -> None:
    policy = Policy([LOCAL], [REMOTE])
    for _ in range(2):  # found out, and remembered
        assert policy.permits_inbound(inbound(source, destination)) is permitted


def test_any() -> None:
    policy = Policy(ANY, ANY)
    assert policy.permits_inbound(ipv4())
    assert policy.permits_inbound(ipv6())


def test_one_version_does_not_permit_the_other() -> None:
    assert not Policy(ANY[:1], ANY[:1]).permits_inbound(ipv6())
    assert not Policy(ANY[1:], ANY[1:]).permits_inbound(ipv4())
    assert not Policy(ANY, ANY[:1]).permits_inbound(ipv6())


def test_several_selectors_a_side() -> None:
    policy = Policy([LOCAL, Selector.of("2001:db8:2::/48")], [REMOTE, Selector.of("2001:db8:1::/48")])
    assert policy.permits_inbound(inbound())
    assert policy.permits_inbound(ipv6())
    assert not policy.permits_inbound(ipv6("2001:db8:3::1"))


WEB = Policy([LOCAL], [Selector.of("10.2.0.0/16", TCP, 80, 80)])


@pytest.mark.parametrize(
    ("packet", "permitted"),
    [
        (inbound(payload=ports(80, 5000), protocol=TCP), True),
        (inbound(payload=ports(81, 5000), protocol=TCP), False),
        (inbound(payload=ports(5000, 80), protocol=TCP), False),
        (inbound(payload=ports(80, 5000), protocol=UDP), False),
        (inbound(payload=ports(80, 5000), protocol=TCP, fragment_offset=9), False),
        (inbound(payload=b"\0", protocol=TCP), False),
    ],
)
def test_protocol_and_port(packet: bytes, permitted: bool) -> None:
    assert WEB.permits_inbound(packet) is permitted


def test_each_side_has_its_own_port() -> None:
    here, there = Selector.of("10.1.0.0/16", TCP, 1000, 1000), Selector.of("10.2.0.0/16", TCP, 80, 80)
    policy = Policy([here], [there])
    in_ports, out_ports = ports(80, 1000), ports(1000, 80)
    assert policy.permits_inbound(inbound(payload=in_ports, protocol=TCP))
    assert not policy.permits_inbound(inbound(payload=out_ports, protocol=TCP))
    assert policy.match_outbound(flow_of(ipv4(payload=out_ports, protocol=TCP))) is not None
    assert policy.match_outbound(flow_of(ipv4(payload=in_ports, protocol=TCP))) is None


def test_a_protocol_without_ports_takes_fragments() -> None:
    policy = Policy([Selector.of("10.1.0.0/16", TCP)], [Selector.of("10.2.0.0/16", TCP)])
    assert policy.permits_inbound(inbound(payload=ports(1, 2), protocol=TCP, fragment_offset=9))
    assert not policy.permits_inbound(inbound(payload=ports(1, 2), protocol=UDP, fragment_offset=9))


def test_opaque_ports_are_for_fragments_only() -> None:
    opaque = Selector.of("10.2.0.0/16", TCP, 65535, 0)
    policy = Policy([LOCAL], [opaque])
    assert policy.permits_inbound(inbound(payload=ports(1, 2), protocol=TCP, fragment_offset=16))
    assert not policy.permits_inbound(inbound(payload=ports(1, 2), protocol=TCP))


@pytest.mark.parametrize("offset", [1, 7, 15])
def test_but_not_for_fragments_that_could_overlap_the_ports(offset: int) -> None:
    """RFC 4301 7.2. Where any ports are permitted, what is overlapped does not matter."""
    packet = inbound(payload=ports(1, 2), protocol=TCP, fragment_offset=offset)
    opaque, web = Selector.of("10.2.0.0/16", TCP, 65535, 0), Selector.of("10.2.0.0/16", TCP, 80, 80)
    assert not Policy([LOCAL], [opaque]).permits_inbound(packet)
    assert not Policy([LOCAL], [opaque, web]).permits_inbound(packet)
    assert Policy([LOCAL], [opaque, Selector.of("10.2.0.0/16", TCP)]).permits_inbound(packet)


def test_icmp_type_and_code() -> None:
    echo = Policy([LOCAL], [Selector.of("10.2.0.0/16", ICMP, 0x800, 0x800)])
    assert echo.permits_inbound(inbound(payload=bytes((8, 0, 0, 0)), protocol=ICMP))
    assert not echo.permits_inbound(inbound(payload=bytes((0, 0, 0, 0)), protocol=ICMP))


def test_what_is_remembered_is_bounded_and_right() -> None:
    policy = Policy([LOCAL], [REMOTE])
    for index in range(CACHE_LIMIT + 10):
        source = f"10.{2 + index % 2}.{index >> 8}.{index & 255}"
        assert policy.permits_inbound(inbound(source)) is (index % 2 == 0)


def test_outbound_match_prefers_what_is_narrow() -> None:
    flow = flow_of(ipv4(payload=ports(1, 80), protocol=TCP))
    candidates = [
        Policy([LOCAL], [Selector.of("10.2.0.1/32", TCP, 80, 80)]),
        Policy([LOCAL], [Selector.of("10.2.0.1/32", TCP)]),
        Policy([LOCAL], [Selector.of("10.2.0.1/32")]),
        Policy([LOCAL], [Selector.of("0.0.0.0/0"), REMOTE]),
        Policy(ANY, [REMOTE]),
        Policy(ANY, ANY),
    ]
    widths = [policy.match_outbound(flow) for policy in candidates]
    assert None not in widths
    assert widths == sorted(width for width in widths if width is not None)
    assert len(set(widths)) == len(widths)


def test_outbound_match_looks_at_both_sides() -> None:
    policy = Policy([LOCAL], [REMOTE])
    assert policy.match_outbound(flow_of(ipv4("10.1.0.1", "10.2.0.1"))) is not None
    assert policy.match_outbound(flow_of(ipv4("10.9.0.1", "10.2.0.1"))) is None
    assert policy.match_outbound(flow_of(ipv4("10.1.0.1", "10.9.0.1"))) is None
    assert policy.match_outbound(flow_of(ipv6())) is None
