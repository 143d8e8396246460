"""Laws of ESP over all suites: what is sealed opens to the same; nothing else opens; nothing is raised."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from esp.packet.headers import flow_of, ip_length
from esp.packet.policy import Policy
from esp.packet.selectors import Selector
from esp.sa.suites import SUITES, Suite
from tests.unit.esp.packets import ANY, ipv4, ipv6, lead_up, sa_pair

suites = st.sampled_from(SUITES)
payloads = st.binary(max_size=200)
inner_packets = st.one_of(
    st.builds(lambda payload: ipv4(payload=payload), payloads),
    st.builds(lambda payload: ipv6(payload=payload), payloads),
)
batches = st.lists(inner_packets, min_size=1, max_size=8)


@given(suites, batches, st.booleans(), st.data())
def test_any_order_opens(suite: Suite, packets: list[bytes], esn: bool, data: st.DataObject) -> None:
    outbound, inbound = sa_pair(suite, esn=esn)
    rows = outbound.seal_batch(packets)
    order = data.draw(st.permutations(range(len(rows))))
    opened = inbound.open_batch([rows[index] for index in order])
    assert [bytes(packet) for packet in opened.packets] == [packets[index] for index in order]
    assert opened.drops == {}


@given(suites, batches, st.integers(1, 3), st.integers(-6, 6))
def test_esn_rolls_over(suite: Suite, packets: list[bytes], rounds: int, offset: int) -> None:
    first = (rounds << 32) + offset
    outbound, inbound = sa_pair(suite, esn=True, used=first - 1)
    lead_up(inbound, suite, first)
    opened = inbound.open_batch(outbound.seal_batch(packets))
    assert [bytes(packet) for packet in opened.packets] == packets


@given(suites, inner_packets, st.booleans(), st.data())
def test_one_flipped_bit_opens_nothing(suite: Suite, packet: bytes, esn: bool, data: st.DataObject) -> None:
    outbound, inbound = sa_pair(suite, esn=esn)
    row = bytearray(outbound.seal_batch([packet])[0])
    bit = data.draw(st.integers(0, 8 * len(row) - 1))
    row[bit // 8] ^= 1 << bit % 8
    opened = inbound.open_batch([memoryview(row)])
    assert opened.packets == []
    assert not opened.valid
    assert sum(opened.drops.values()) == 1


@given(suites, st.lists(st.binary(max_size=200), max_size=5), st.booleans())
def test_junk_is_counted_and_no_more(suite: Suite, junk: list[bytes], esn: bool) -> None:
    _, inbound = sa_pair(suite, esn=esn)
    opened = inbound.open_batch([memoryview(bytearray(each)) for each in junk])
    assert (opened.packets, opened.valid) == ([], False)
    assert sum(opened.drops.values()) == len(junk)


@given(st.one_of(st.binary(max_size=120), st.binary(max_size=100).map(lambda rest: b"\x60\0\0\0" + rest)))
def test_any_bytes_have_a_flow_or_are_no_packet(data: bytes) -> None:
    length = ip_length(data)
    if length is None:
        return
    packet = data[:length]
    flow = flow_of(packet)
    assert flow.version == packet[0] >> 4
    everything = Policy(ANY, ANY)
    assert everything.permits_inbound(packet)
    assert everything.match_outbound(flow) is not None


addresses = st.integers(0x0A000000, 0x0A00000F)
ranges = st.builds(lambda one, other: Selector(4, min(one, other), max(one, other)), addresses, addresses)
selectors = st.lists(ranges, min_size=1, max_size=3)


@given(selectors, selectors, st.lists(st.tuples(addresses, addresses), max_size=30))
def test_selectors_are_held(
    local: list[Selector], remote: list[Selector], pairs: list[tuple[int, int]]
) -> None:
    """Asked twice, so that the second answer is a remembered one."""
    policy = Policy(local, remote)
    for source, destination in pairs * 2:
        packet = ipv4(str(IPv4Address(source)), str(IPv4Address(destination)))
        inside = any(s.first <= source <= s.last for s in remote)
        inside = inside and any(s.first <= destination <= s.last for s in local)
        assert policy.permits_inbound(packet) is inside
