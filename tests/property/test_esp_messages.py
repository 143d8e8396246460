"""Messages between control and worker: any bytes give a message or MessageError, and that one again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from esp.ipc.messages import MessageError, decode, encode
from tests.unit.esp.ipc.test_messages import MESSAGES

SHORT = [data for data in map(encode, MESSAGES) if len(data) < 1000]


kinds = st.builds(lambda kind, rest: bytes([kind]) + rest, st.integers(0, 20), st.binary())


@given(st.one_of(st.binary(max_size=300), kinds))
def test_any_bytes(data: bytes) -> None:
    try:
        message = decode(data)
    except MessageError:
        return
    assert encode(message) == data


@given(st.sampled_from(SHORT), st.data())
def test_a_changed_octet(data: bytes, draw: st.DataObject) -> None:
    changed = bytearray(data)
    changed[draw.draw(st.integers(0, len(data) - 1))] ^= draw.draw(st.integers(1, 255))
    try:
        message = decode(bytes(changed))
    except MessageError:
        return
    assert encode(message) == bytes(changed)
