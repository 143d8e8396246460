"""VICI messages and packets: there and back, against strongSwan's own Python codec, and hostile bytes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from vici.protocol import FiniteStream, Message, Packet

from ikepy.daemon.vici import arguments, packets
from ikepy.daemon.vici.message import MAX_DEPTH, MAX_ELEMENTS, MAX_VALUE, ViciError, decode, encode
from ikepy.daemon.vici.packets import HEADER, MAX_PACKET, PacketType, answer, event, parse_request

NAMES = st.text(st.characters(codec="utf-8"), max_size=40).filter(lambda name: len(name.encode()) < 256)
BLOBS = st.binary(max_size=300)
MESSAGES = st.recursive(
    st.dictionaries(NAMES, BLOBS | st.lists(BLOBS, max_size=4), max_size=5),
    lambda section: st.dictionaries(NAMES, BLOBS | st.lists(BLOBS, max_size=4) | section, max_size=5),
    max_leaves=15,
)
DOCUMENTED = bytes.fromhex(  # the encoding example of strongSwan's vici/README.md
    "0304" + b"key1".hex() + "0006" + b"value1".hex() + "0108" + b"section1".hex() + "010b"
    + b"sub-section".hex() + "0304" + b"key2".hex() + "0006" + b"value2".hex() + "02" + "0405"
    + b"list1".hex() + "050005" + b"item1".hex() + "050005" + b"item2".hex() + "06" + "02"
)  # fmt: skip


@given(MESSAGES)
def test_there_and_back(message: dict[str, Any]) -> None:
    assert decode(encode(message.items())) == message


@given(MESSAGES)
def test_the_same_octets_as_strongswans_codec(message: dict[str, Any]) -> None:
    octets = encode(message.items())
    assert octets == Message.serialize(message)
    assert Message.deserialize(FiniteStream(octets)) == message


def test_the_documented_example() -> None:
    tree: dict[str, Any] = {
        "key1": "value1",
        "section1": {"sub-section": {"key2": "value2"}, "list1": ["item1", "item2"]},
    }
    assert encode(tree.items()) == DOCUMENTED
    assert decode(DOCUMENTED)["key1"] == b"value1"


@given(st.binary(max_size=400))
@example(b"\x01\x01a")
@example(b"\x04\x01a\x05\xff")
@example(b"\x02")
@example(b"\x03\x01a\x00\x00\x03\x01a\x00\x00")
@example(b"\x01\x01\xff\x02")
@example(b"\x01\x01a" * (MAX_DEPTH + 1) + b"\x02" * (MAX_DEPTH + 1))
def test_any_octets_are_a_message_or_a_declared_error(octets: bytes) -> None:
    try:
        message = decode(octets)
    except ViciError:
        return
    tree: dict[str, Any] = message
    assert encode(tree.items()) == octets


@given(st.binary(max_size=200))
def test_any_octets_are_a_request_or_a_declared_error(packet: bytes) -> None:
    try:
        request = parse_request(packet)
    except ViciError:
        return
    assert (
        packet == bytes((request.type, len(request.name.encode()))) + request.name.encode() + request.message
    )


def test_depth_is_bounded_and_the_bound_is_allowed() -> None:
    deep = b"\x01\x01a" * MAX_DEPTH + b"\x02" * MAX_DEPTH
    assert decode(deep)
    with pytest.raises(ViciError, match="sections in each other"):
        decode(b"\x01\x01a" + deep + b"\x02")


def test_the_number_of_elements_is_bounded_and_the_bound_is_allowed() -> None:
    several = [("list", [""] * (MAX_ELEMENTS - 2))]
    assert decode(encode(several))
    for more in (encode([*several, ("one", "")]), encode([("list", [""] * (MAX_ELEMENTS - 1))])):
        with pytest.raises(ViciError, match="elements"):
            decode(more)


def test_numbers_are_text_and_long_values_are_cut() -> None:
    message = decode(
        encode([("number", 7), ("long", "x" * (MAX_VALUE + 5)), ("list", ["1"]), ("number2", "7")])
    )
    assert message["number"] == b"7" == message["number2"]
    assert message["long"] == b"x" * MAX_VALUE
    with pytest.raises(ViciError, match="more than 255 octets"):
        encode([("n" * 256, "")])


def test_packets_as_strongswans_package_makes_and_reads_them() -> None:
    request = Packet.request("list-sas", Message.serialize({"ike": "net"}))
    assert parse_request(request) == packets.Packet(
        PacketType.CMD_REQUEST, "list-sas", encode([("ike", "net")])
    )
    assert parse_request(Packet.register_event("log")).type is PacketType.EVENT_REGISTER
    assert parse_request(Packet.unregister_event("log")).type is PacketType.EVENT_UNREGISTER
    made = event("log", [("msg", "it rains")])
    assert int.from_bytes(made[:HEADER], "big") == len(made) - HEADER
    parsed = Packet.parse(made[HEADER:])
    assert (parsed.response_type, parsed.event_type) == (Packet.EVENT, b"log")
    assert Message.deserialize(parsed.payload) == {"msg": b"it rains"}
    assert Packet.parse(answer(PacketType.CMD_RESPONSE)[HEADER:]).response_type == Packet.CMD_RESPONSE


def test_what_clients_do_not_take_is_not_sent() -> None:
    value = "x" * MAX_VALUE
    with pytest.raises(ViciError, match="ask for less"):
        answer(
            PacketType.CMD_RESPONSE, [(str(number), value) for number in range(MAX_PACKET // MAX_VALUE + 1)]
        )
    with pytest.raises(ViciError, match="255 octets"):
        packets.event("n" * 256, [])


@pytest.mark.parametrize(
    ("octets", "word"),
    [
        (b"", "a type of 0, 3 or 4"),
        (b"\x00", "within its name"),
        (b"\x00\x05ab", "within its name"),
        (b"\x00\x01\xff", "no UTF-8"),
        (b"\x01", "a type of 0, 3 or 4"),
        (b"\xff\x01a", "a type of 0, 3 or 4"),
    ],
)
def test_what_is_no_request(octets: bytes, word: str) -> None:
    with pytest.raises(ViciError, match=word):
        parse_request(octets)


def test_arguments() -> None:
    given = decode(encode([("n", "-1"), ("word", "net"), ("yes", "Yes"), ("list", ["1"]), ("raw", b"\xff")]))
    assert arguments.number(given, "n") == -1 and arguments.number(given, "absent") is None
    assert arguments.text(given, "word") == "net" and arguments.text(given, "absent") is None
    assert arguments.boolean(given, "yes") and not arguments.boolean(given, "absent")
    for read, key in (
        (arguments.number, "word"),
        (arguments.boolean, "word"),
        (arguments.text, "list"),
        (arguments.text, "raw"),
    ):
        with pytest.raises(ViciError, match=key):
            read(given, key)


def test_zeros_before_a_number() -> None:
    assert arguments.number({"n": b"0" * 5000 + b"7"}, "n") == 7
    assert arguments.number({"n": b"-01"}, "n") == -1


@pytest.mark.parametrize(
    "word",
    ["", "-", "-2", "1" * 5000, "٣", "4294967296", "1.5", "--1", "0" * 16 + "9" * 10, "0" * 5000 + "9" * 20],
)
def test_what_is_no_number(word: str) -> None:
    with pytest.raises(ViciError, match="whole number"):
        arguments.number({"n": word.encode()}, "n")
