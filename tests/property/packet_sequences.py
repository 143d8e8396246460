"""hypothesis strategies: frames of the kernel; inner packets in an order that can be merged, or nearly."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from tests.unit.tun.plain import ACK, CWR, ECE, FIN, PSH, RST, SYN, TCP, UDP, URG, Flow, Packet

words = st.integers(0, 10).flatmap(lambda count: st.binary(min_size=4 * count, max_size=4 * count))
tcp_options = st.one_of(
    st.just(b""),
    st.binary(min_size=8, max_size=8).map(lambda stamps: b"\x01\x01\x08\x0a" + stamps),
    words,
)
flows = st.builds(
    Flow,
    version=st.sampled_from([4, 6]),
    protocol=st.sampled_from([TCP, UDP]),
    ports=st.tuples(st.integers(1, 3), st.integers(1, 2)),
    tos=st.sampled_from([0, 1, 2, 3, 0xB8]),
    ttl=st.sampled_from([64, 63]),
    tcp_options=tcp_options,
    acknowledged=st.sampled_from([0, 0xFFFFFFFF]),
)
with_ip_options = st.builds(
    lambda flow, options: replace(flow, ip_options=options if flow.version == 4 else b""), flows, words
)
numbers = st.one_of(st.integers(0, 0xFFFFFFFF), st.sampled_from([0, 0xFFFFFFFF, 0xFFFFF000]))
identifications = st.one_of(st.integers(0, 0xFFFF), st.sampled_from([0, 0xFFFF, 0xFFF0]))
fillings = st.sampled_from([b"\0", b"\xff", b"abc", bytes(range(256))])


def filled(size: int, filling: bytes) -> bytes:
    return (filling * (size // len(filling) + 1))[:size]


@st.composite
def frames(draw: st.DrawFn) -> tuple[Packet, int]:
    """A frame and the size of its segments."""
    gso = draw(st.one_of(st.integers(1, 40), st.integers(536, 1460), st.just(8192)))
    payload = draw(st.one_of(st.integers(1, 5 * gso), st.integers(1, min(60_000, 200 * gso))))
    packet = Packet(
        draw(with_ip_options),
        filled(min(payload, 60_000), draw(fillings)),
        draw(numbers),
        draw(st.sampled_from([ACK, ACK | PSH, ACK | FIN, ACK | CWR | PSH, ACK | ECE, ACK | URG])),
        draw(identifications),
    )
    return packet, gso


def elsewhere(flow: Flow) -> Flow:
    """Like this one, between other hosts."""
    return replace(flow, addresses=bytes(octet ^ 1 for octet in flow.both_addresses()))


CHANGES = {
    "gap": lambda one: replace(one, sequence=one.sequence + 1),
    "flags": lambda one: replace(one, flags=one.flags ^ ECE),
    "cwr": lambda one: replace(one, flags=one.flags | CWR),
    "syn": lambda one: replace(one, flags=one.flags | SYN),
    "rst": lambda one: replace(one, flags=one.flags | RST),
    "push": lambda one: replace(one, flags=one.flags | PSH),
    "fin": lambda one: replace(one, flags=one.flags | FIN | PSH),
    "spoilt": lambda one: replace(one, spoil=1),
    "identification": lambda one: replace(one, identification=one.identification + 5),
    "tos": lambda one: replace(one, flow=replace(one.flow, tos=one.flow.tos ^ 0x20)),
    "ttl": lambda one: replace(one, flow=replace(one.flow, ttl=one.flow.ttl - 1)),
    "ports": lambda one: replace(one, flow=replace(one.flow, ports=(9, 9))),
    "addresses": lambda one: replace(one, flow=elsewhere(one.flow)),
    "window": lambda one: replace(one, flow=replace(one.flow, window=7)),
    "acknowledged": lambda one: replace(one, flow=replace(one.flow, acknowledged=8)),
}


@st.composite
def arrivals(draw: st.DrawFn) -> list[bytes]:
    """Packets of one length, the last one perhaps shorter: mostly one flow, with accidents."""
    flow = draw(flows)
    size = draw(st.one_of(st.integers(1, 30), st.integers(500, 1400)))
    count = draw(st.integers(1, 40))
    last = draw(st.one_of(st.just(size), st.integers(1, size)))
    whole = filled(size * (count - 1) + last, draw(fillings))
    flags = draw(st.sampled_from([ACK, ACK | PSH, ACK | ECE]))
    first = Packet(flow, whole, draw(numbers), flags, draw(identifications))
    packets = list(first.split(size))
    for index in draw(st.lists(st.integers(0, count - 1), max_size=3)):
        packets[index] = CHANGES[draw(st.sampled_from(sorted(CHANGES)))](packets[index])
    for one, other in draw(
        st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=2)
    ):
        if len(packets[one].payload) == len(packets[other].payload) == size:
            packets[one] = packets[other]  # a duplicate, and what it stands for is missing
    return [packet.octets() for packet in packets]
