"""ikepy.sa.negotiation.traffic_selectors: between the wire and `Selector` (RFC 7296 3.13.1)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from esp.packet.selectors import BITS, Selector
from ikepy.sa.negotiation.traffic_selectors import from_payload, to_payload
from ikepy.wire.constants import PayloadType, TsType
from ikepy.wire.payloads import TrafficSelector, TsPayload


@st.composite
def selectors(draw: st.DrawFn) -> Selector:
    version = draw(st.sampled_from([4, 6]))
    address = st.integers(0, 2 ** BITS[version] - 1)
    first, last = sorted((draw(address), draw(address)))
    port = st.integers(0, 65535)
    ports = draw(st.tuples(port, port).map(sorted) | st.just([65535, 0]))
    return Selector(version, first, last, draw(st.integers(0, 255)), *ports)


@given(st.lists(selectors(), max_size=5))
def test_what_is_written_is_read(some: list[Selector]) -> None:
    payload = to_payload(PayloadType.TS_R, some)
    assert payload.type == PayloadType.TS_R
    assert from_payload(payload) == tuple(some)


def test_the_wire_has_first_and_last_address_and_port() -> None:
    selector = Selector.of("10.1.0.0/16", 17, 53, 54)
    (written,) = to_payload(PayloadType.TS_I, [selector]).selectors
    assert written == TrafficSelector(
        TsType.IPV4_ADDR_RANGE, 17, 53, 54, bytes([10, 1, 0, 0]), bytes([10, 1, 255, 255])
    )


def test_unknown_types_and_empty_ranges_are_left_out() -> None:
    """A range whose end comes before its begin permits nothing (2.9)."""
    good = TrafficSelector(TsType.IPV4_ADDR_RANGE, 0, 0, 65535, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 1]))
    empty = TrafficSelector(TsType.IPV4_ADDR_RANGE, 0, 0, 65535, bytes([10, 0, 0, 2]), bytes([10, 0, 0, 1]))
    unknown = TrafficSelector(9, 0, 0, 65535, bytes(4), bytes(4))
    no_port = TrafficSelector(TsType.IPV4_ADDR_RANGE, 6, 80, 79, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 1]))
    payload = TsPayload(PayloadType.TS_I, (unknown, empty, no_port, good))
    assert from_payload(payload) == (Selector.of("10.0.0.1/32"),)
