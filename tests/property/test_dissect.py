"""The dissector says something of any octets: it never raises, and what it says is bounded and consistent."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from ikepy.crypto.captured import ENCRYPTION, INTEGRITY
from ikepy.dissect import keyfile, keytables
from ikepy.dissect.capture import Capture, CaptureError, Packet
from ikepy.dissect.datagrams import Datagrams
from ikepy.dissect.ike import SkSizes, dissect_ike, dissect_payloads
from ikepy.dissect.ip import dissect_ip
from ikepy.dissect.keys import EspKeys, IkeKeys, Keys
from ikepy.dissect.ladder import Ladder
from ikepy.dissect.render import as_html, as_json, as_text
from ikepy.dissect.session import Session
from ikepy.dissect.tree import MAX_NODES, MAX_PROBLEMS, Layer
from ikepy.errors import ConfigError
from ikepy.sa.api.path import Endpoint
from ikepy.wire.message import HEADER_SIZE, encode_message
from ikepy.wire.payloads import SkfPayload, SkPayload
from tests.property.wire_values import HEADERS, PAYLOADS

LONGEST = 2048  # characters of a value


def holds(layer: Layer) -> None:
    nodes = list(layer.node.walk())
    assert len(nodes) <= MAX_NODES + 64
    assert len(layer.problems) <= MAX_PROBLEMS
    for node in nodes:
        assert 0 <= node.start <= node.end <= len(layer.octets)
        assert node.value.isprintable() and len(node.value) <= LONGEST
        places = [one.start for one in node.children]
        assert places == sorted(places)
        assert all(node.start <= one.start and one.end <= node.end for one in node.children)


@given(st.binary(max_size=400))
def test_any_octets(octets: bytes) -> None:
    holds(dissect_ike(octets))


@given(st.integers(0, 255), st.binary(max_size=400))
def test_any_content_of_any_payload(first: int, octets: bytes) -> None:
    holds(dissect_payloads(first, octets))


MESSAGES = st.builds(encode_message, HEADERS, st.lists(st.one_of(*PAYLOADS.values()), max_size=5))


@given(MESSAGES)
def test_what_was_encoded_has_no_problems_of_form(octets: bytes) -> None:
    layer = dissect_ike(octets)
    holds(layer)
    chained = [one for one in layer.node.children if one.name != "IKE header"]
    assert sum(one.end - one.start for one in chained) == len(octets) - HEADER_SIZE


@given(MESSAGES, st.data())
def test_altered_messages(octets: bytes, data: st.DataObject) -> None:
    changed = bytearray(octets)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(changed)))
    holds(dissect_ike(bytes(changed[:cut]), SkSizes(8, 16)))


ENDS = st.sampled_from([Endpoint(ip_address("192.0.2.1"), port) for port in (500, 4500, 53)])
SPIS = st.sampled_from([bytes(8), b"A" * 8, b"B" * 8])


@st.composite
def sealed(draw: st.DrawFn) -> bytes:
    """Encrypted messages and fragments of few IKE SAs, which meet each other."""
    header = replace(draw(HEADERS), spi_i=b"A" * 8, spi_r=draw(SPIS), message_id=draw(st.integers(0, 1)))
    total = draw(st.integers(1, 3))
    payload = draw(
        st.builds(SkPayload, st.integers(0, 60), st.binary(max_size=60))
        | st.builds(
            SkfPayload, st.integers(0, 60), st.integers(1, total), st.just(total), st.binary(max_size=60)
        )
    )
    return encode_message(header, [payload])


@given(st.lists(st.tuples(ENDS, ENDS, MESSAGES | sealed() | st.binary(max_size=100)), max_size=12))
def test_any_datagrams_to_a_session(datagrams: list[tuple[Endpoint, Endpoint, bytes]]) -> None:
    keys = Keys()
    null, skipped = ENCRYPTION["NULL"], INTEGRITY["ANY_96"]
    for spi_r in (b"A" * 8, b"B" * 8):  # whoever knows no better keys opens anything
        keys.add_ike(IkeKeys(b"A" * 8, spi_r, null, b"", b"", skipped))
    keys.add_esp(EspKeys(None, null, b"", skipped))
    session, ladder = Session(keys, [b"a secret"]), Ladder()
    for number, (source, destination, octets) in enumerate(datagrams):
        message = session.feed(float(number), source, destination, octets)
        if message is not None:
            ladder.add(message)
            for layer in message.layers:
                holds(layer)
    text = as_text.render(ladder, as_text.Detail.NOTES)
    assert all(line.isprintable() for line in text.splitlines())
    assert "<script" not in as_html.render(ladder)
    json.dumps(as_json.ladder_value(ladder))


@given(st.sampled_from(["d4c3b2a1", "a1b2c3d4", "4d3cb2a1", "0a0d0d0a", ""]), st.binary(max_size=300))
def test_any_octets_as_capture(magic: str, octets: bytes) -> None:
    try:
        found = list(Datagrams(Capture(BytesIO(bytes.fromhex(magic) + octets))))
    except CaptureError:
        return
    assert len(found) <= len(octets)


@given(st.integers(0, 300), st.sampled_from([0, 1, 101, 113, 276, 9]), st.binary(max_size=200))
def test_any_frames(version: int, link: int, octets: bytes) -> None:
    head = b"" if link in (101, 9) else bytes(12) + b"\x08\x00"
    packets = [Packet(0.0, link, head + octets), Packet(0.0, link, head + bytes([0x45]) + octets)]
    packets.append(Packet(0.0, link, head + bytes([0x60]) + octets))
    list(Datagrams(packets))
    holds(dissect_ip(octets))


@given(st.text(max_size=300) | st.lists(st.text(max_size=12), min_size=8, max_size=9).map(",".join))
def test_any_text_as_keys(text: str) -> None:
    for read in (keytables.read_ike, keytables.read_esp, lambda given: keyfile.read(given, Keys())):
        with suppress(ConfigError):
            read(text)
