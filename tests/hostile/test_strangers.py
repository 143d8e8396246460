"""From anybody, before there are keys: nothing raises, nothing stays, no answer outgrows its question."""

from __future__ import annotations

import struct

import pytest

from ikepy.wire.constants import ExchangeType, HeaderFlag, KeGroup, PayloadType
from ikepy.wire.message import decode_message
from ikepy.wire.payloads import KePayload
from tests.exchange.network import ADDRESS_A, ADDRESS_B, Network
from tests.hostile.attacker import (
    GCM,
    SPI_I,
    assert_unharmed,
    chain,
    init_parts,
    message,
    path_from,
    send,
    target,
)

from ikepy.sa.api.commands import Initiate  # isort: skip
from ikepy.sa.api.path import Endpoint, Path  # isort: skip

SA, KE, NONCE = PayloadType.SA, PayloadType.KE, PayloadType.NONCE


def refused(net: Network, data: bytes) -> list[bytes]:
    """The answers, which made no state and are no larger than the question."""
    replies = send(net, data)
    assert not net.b.manager.list_sas(net.now)
    assert sum(map(len, replies)) <= len(data)
    return replies


def transform(kind: int, number: int, *, last: bool, attributes: bytes = b"", length: int = 0) -> bytes:
    size = length or 8 + len(attributes)
    return struct.pack("!BBHBBH", 0 if last else 3, 0, size, kind, 0, number) + attributes


KEY_128 = b"\x80\x0e\x00\x80"
ENCR = transform(1, 20, last=False, attributes=KEY_128)
PRF = transform(2, 5, last=False)
X25519 = transform(4, 31, last=True)


def proposal(*transforms: bytes, spi: bytes = b"", spi_size: int | None = None, protocol: int = 1) -> bytes:
    body = spi + b"".join(transforms)
    size = len(spi) if spi_size is None else spi_size
    return struct.pack("!BBHBBBB", 0, 0, 8 + len(body), 1, protocol, size, len(transforms)) + body


def init_with(sa_body: bytes) -> bytes:
    _, ke, nonce = init_parts()
    return message(*chain((SA, sa_body), ke, nonce))


def test_the_parts_make_a_good_message() -> None:
    net = target()
    (reply,) = send(net, init_with(proposal(ENCR, PRF, X25519)))
    assert decode_message(reply).header.spi_r != bytes(8)
    assert_unharmed(net)


@pytest.mark.parametrize("exchange", [0, 1, 2, 4, 5, 6, *ExchangeType, 38, 43, 255])
@pytest.mark.parametrize("flags", [0, 0x08, 0x20, 0x28, 0xFF])
def test_header_only(exchange: int, flags: int) -> None:
    net = target()
    refused(net, message(0, b"", exchange=exchange, flags=flags))
    refused(net, message(0, b"", exchange=exchange, flags=flags, spi_r=b"\x01" * 8))
    assert_unharmed(net)


@pytest.mark.parametrize("size", range(28))
def test_less_than_a_header(size: int) -> None:
    net = target()
    assert not refused(net, message(0, b"")[:size])


@pytest.mark.parametrize("length", [0, 1, 4, "one too short", "one too long", 2**16 - 1, 2**32 - 1])
def test_length_in_the_header(length: int | str) -> None:
    net = target()
    first, body = chain(*init_parts())
    offset = {"one too short": -1, "one too long": 1}
    given = length if isinstance(length, int) else 28 + len(body) + offset[length]
    assert not refused(net, message(first, body, length=given))
    assert_unharmed(net)


@pytest.mark.parametrize("kind", range(256))
def test_length_of_a_payload(kind: int) -> None:
    net = target()
    for length in (0, 1, 3, 4, 5, 2**16 - 1):
        first, body = chain(*init_parts(), (kind, b"x" * 24), length=length)
        refused(net, message(first, body))
    assert_unharmed(net)


def test_one_byte_too_much_in_the_last_payload() -> None:
    net = target()
    first, body = chain(*init_parts(), (PayloadType.VENDOR_ID, b"x" * 24), length=29)
    assert not refused(net, message(first, body))
    assert_unharmed(net)


SA_BODIES = {
    "a transform of length 9": proposal(ENCR, PRF, transform(4, 31, last=True, attributes=b"\0")),
    "a transform of length 0": proposal(ENCR, PRF, transform(4, 31, last=True)[:2] + b"\0\0\x04\0\0\x1f"),
    "a transform of length 7": proposal(ENCR, PRF, transform(4, 31, last=True, length=7)),
    "a transform of length 65535": proposal(ENCR, PRF, transform(4, 31, last=True, length=65535)),
    "an attribute cut off": proposal(transform(1, 20, last=True, attributes=b"\x80\x0e")),
    "an attribute longer than all": proposal(transform(1, 20, last=True, attributes=b"\x00\x0e\xff\xff")),
    "an SPI size larger than the proposal": proposal(ENCR, PRF, X25519, spi_size=255),
    "an SPI in IKE_SA_INIT, too short for its size": proposal(spi=b"\1\2\3", spi_size=4),
    "an empty proposal list": b"",
    "a proposal without transforms": proposal(),
    "a proposal without KE": proposal(ENCR, transform(2, 5, last=True)),
    "a proposal without PRF": proposal(ENCR, X25519),
    "a proposal without ENCR": proposal(PRF, X25519),
    "a proposal of ESP": proposal(ENCR, PRF, X25519, protocol=3),
    "a proposal of protocol 0": proposal(ENCR, PRF, X25519, protocol=0),
    "255 transforms announced, three there": proposal(ENCR, PRF, X25519)[:7] + b"\xff" + ENCR + PRF + X25519,
    "more proposals announced": b"\x02" + proposal(ENCR, PRF, X25519)[1:],
    "a transform of type 255": proposal(ENCR, PRF, transform(255, 1, last=False), X25519),
    "AES with a key of 0 bits": proposal(
        transform(1, 20, last=False, attributes=b"\x80\x0e\0\0"), PRF, X25519
    ),
    "AES without a key length": proposal(transform(1, 20, last=False), PRF, X25519),
    "KE of group NONE": proposal(ENCR, PRF, transform(4, 0, last=True)),
}


@pytest.mark.parametrize("name", SA_BODIES)
def test_security_association(name: str) -> None:
    net = target()
    refused(net, init_with(SA_BODIES[name]))
    assert_unharmed(net)


def test_a_hundred_proposals_and_thousands_of_transforms() -> None:
    net = target()
    many = b"".join(transform(4, 1000 + n, last=False) for n in range(254)) + X25519
    one = struct.pack("!BBHBBBB", 2, 0, 8 + len(many), 1, 1, 0, 255) + many
    last = struct.pack("!BBHBBBB", 0, 0, 8 + len(many), 2, 1, 0, 255) + many
    refused(net, init_with(one * 28 + last))
    assert_unharmed(net)


# -- key exchange ----------------------------------------------------------------------------------

MANY_GROUPS = '["aes128gcm16-prfsha256-x25519-ecp256-ecp384-ecp521-modp2048-modp3072-x448"]'
P_256 = 2**256 - 2**224 + 2**192 + 2**96 - 1


def modp(value: int, size: int = 256) -> bytes:
    return value.to_bytes(size, "big")


def prime_2048() -> int:
    from ikepy.crypto.kex.modp_groups import GROUPS

    return GROUPS[KeGroup.MODP_2048].prime


PUBLIC_VALUES: dict[str, tuple[int, str, bytes]] = {
    "an unknown group": (1025, "x25519", bytes(32)),
    "another group than was chosen": (KeGroup.ECP_256, "x25519", b"\5" * 64),
    "nothing": (KeGroup.CURVE_25519, "x25519", b""),
    "an oversized value": (KeGroup.CURVE_25519, "x25519", b"\7" * 60000),
    "an oversized modp value": (KeGroup.MODP_2048, "modp2048", b"\7" * 60000),
    "modp 0": (KeGroup.MODP_2048, "modp2048", modp(0)),
    "modp 1": (KeGroup.MODP_2048, "modp2048", modp(1)),
    "modp p - 1": (KeGroup.MODP_2048, "modp2048", modp(prime_2048() - 1)),
    "modp p": (KeGroup.MODP_2048, "modp2048", modp(prime_2048())),
    "modp p + 1": (KeGroup.MODP_2048, "modp2048", modp(prime_2048() + 1)),
    "modp all ones": (KeGroup.MODP_2048, "modp2048", b"\xff" * 256),
    "modp one byte short": (KeGroup.MODP_2048, "modp2048", b"\7" * 255),
    "a point off the curve": (KeGroup.ECP_256, "ecp256", b"\1" * 64),
    "the point 0, 0": (KeGroup.ECP_256, "ecp256", bytes(64)),
    "a coordinate of p": (KeGroup.ECP_256, "ecp256", P_256.to_bytes(32, "big") * 2),
    "a compressed point": (KeGroup.ECP_256, "ecp256", b"\2" + b"\1" * 32),
    "half a point": (KeGroup.ECP_256, "ecp256", b"\1" * 32),
    "X25519 of order 1": (KeGroup.CURVE_25519, "x25519", bytes(32)),
    "X25519 of order 2": (KeGroup.CURVE_25519, "x25519", b"\1" + bytes(31)),
    "X25519 of order 8": (
        KeGroup.CURVE_25519,
        "x25519",
        bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    ),
    "X25519 of order 8, the other": (
        KeGroup.CURVE_25519,
        "x25519",
        bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    ),
    "X25519 p - 1": (KeGroup.CURVE_25519, "x25519", (2**255 - 20).to_bytes(32, "little")),
    "X25519 p": (KeGroup.CURVE_25519, "x25519", (2**255 - 19).to_bytes(32, "little")),
    "X448 of order 1": (KeGroup.CURVE_448, "x448", bytes(56)),
}


@pytest.mark.parametrize("name", PUBLIC_VALUES)
def test_public_value(name: str) -> None:
    group, word, public = PUBLIC_VALUES[name]
    net = target(proposals=MANY_GROUPS)
    parts = init_parts(f"aes128gcm16-prfsha256-{word}", group, public)
    refused(net, message(*chain(*parts)))
    assert_unharmed(net)


# -- what does not belong there --------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 20, 120, 1000])
@pytest.mark.parametrize("kind", [57, 128, 255])
def test_unknown_payloads(count: int, kind: int) -> None:
    """They are skipped, up to a number of payloads that no peer needs."""
    net = target()
    replies = send(net, message(*chain(*init_parts(), *[(kind, b"junk")] * count)))
    assert len(replies) == (count < 125)
    assert_unharmed(net)


@pytest.mark.parametrize("exchange", [ExchangeType.IKE_SA_INIT, ExchangeType.IKE_AUTH, 37])
def test_critical_unknown_payload(exchange: int) -> None:
    net = target()
    first, body = chain(*init_parts(), (77, b"junk"))
    flagged = bytearray(body)
    flagged[-7] = 0x80
    refused(net, message(first, bytes(flagged), exchange=exchange))
    assert_unharmed(net)


def test_payloads_of_other_exchanges() -> None:
    for kind in PayloadType:
        net = target()
        refused(net, message(*chain((kind, b"\1\0\0\0" + b"x" * 40))))
        refused(net, message(*chain(*init_parts(), (PayloadType.TS_I, b"\1\0\0\0" + b"x" * 40))))


@pytest.mark.parametrize("twice", [SA, KE, NONCE])
def test_payload_twice(twice: int) -> None:
    net = target()
    parts = init_parts()
    refused(net, message(*chain(*parts, next(part for part in parts if part[0] == twice))))
    assert_unharmed(net)


@pytest.mark.parametrize("exchange", [2, 4, 5, 6, 32, 33])
@pytest.mark.parametrize("first", range(1, 14))
def test_ikev1(exchange: int, first: int) -> None:
    """Main mode, aggressive mode, quick mode, with the payload numbers of IKEv1."""
    net = target()
    body = chain((first, b"\0\0\0\1\0\0\0\1" + b"x" * 40))[1]
    for version in (0x10, 0x11, 0x00):
        refused(net, message(first, body, exchange=exchange, version=version, flags=0))
    refused(net, message(first, body, exchange=exchange))
    assert_unharmed(net)


@pytest.mark.parametrize("version", [0x30, 0x31, 0xF0])
def test_newer_version(version: int) -> None:
    net = target()
    first, body = chain(*init_parts())
    (reply,) = refused(net, message(first, body, version=version))
    assert reply[17] == 0x20
    assert not refused(net, message(first, body, version=version, flags=HeaderFlag.RESPONSE))


@pytest.mark.parametrize("exchange", [35, 36, 37])
def test_messages_of_unknown_ike_sas_are_answered_now_and_then(exchange: int) -> None:
    net = target()
    first, body = chain((PayloadType.SK, b"x" * 64))
    data = message(first, body, exchange=exchange, spi_r=b"\5" * 8, message_id=1)
    assert 1 <= sum(len(refused(net, data)) for _ in range(1000)) <= 20
    assert_unharmed(net)


def test_many_strangers_cost_a_bounded_number_of_half_open_sas() -> None:
    net = target()
    for n in range(2000):
        first, body = chain(*init_parts())
        address = type(ADDRESS_A)(int(ADDRESS_A) + 1000 + n // 2)
        send(net, message(first, body, spi_i=n.to_bytes(8, "big")[:-1] + b"\1"), address)
    assert len(net.b.manager.list_sas(net.now)) <= 30
    net.command("a", Initiate("ab", "net"))
    net.run(2)
    net.run(40)
    (snapshot,) = net.b.manager.list_sas(net.now)
    assert snapshot.state == "ESTABLISHED"


# -- a hostile responder ---------------------------------------------------------------------------

FORGERIES: dict[str, list[tuple[int, bytes]]] = {
    "a transform that was not offered": [
        (SA, proposal(transform(1, 20, last=False, attributes=b"\x80\x0e\x01\x00"), PRF, X25519)),
        *init_parts()[1:],
    ],
    "two proposals": [
        (SA, b"\2" + proposal(ENCR, PRF, X25519)[1:] + proposal(ENCR, PRF, X25519)),
        *init_parts()[1:],
    ],
    "two transforms of a type": [(SA, proposal(ENCR, ENCR, PRF, X25519)), *init_parts()[1:]],
    "a proposal without KE": [(SA, proposal(ENCR, transform(2, 5, last=True))), *init_parts()[1:]],
    "no proposal": [(SA, b""), *init_parts()[1:]],
    "another group": [
        init_parts()[0],
        (KE, KePayload(KeGroup.ECP_256, b"\1" * 64).encode()),
        init_parts()[2],
    ],
    "a low-order public value": init_parts(GCM, None, bytes(32)),
    "a short nonce": [*init_parts()[:2], (NONCE, b"x")],
    "nothing": [],
}


@pytest.mark.parametrize("name", FORGERIES)
def test_forged_response(name: str) -> None:
    """Whoever guesses the initiator's SPI can answer first: that is waited out, and the true answer taken."""
    net = target()
    net.script = lambda line, nth, data: [2.0] if line == "b -> a IKE_SA_INIT response 0" else [0.01]
    sent: list[bytes] = []
    deliver = net.script
    net.script = lambda line, nth, data: sent.append(data) or deliver(line, nth, data)  # type: ignore[func-returns-value]
    net.command("a", Initiate("ab", "net", ticket=1))
    parts = FORGERIES[name]
    forged = message(*chain(*parts), spi_i=sent[0][:8], spi_r=b"\6" * 8, flags=HeaderFlag.RESPONSE)
    for _ in range(50):
        net.inject("a", Path(Endpoint(ADDRESS_A, 500), Endpoint(ADDRESS_B, 500)), forged)
    net.run(10)
    assert net.a.outcomes[1].ok, net.a.outcomes[1].text
    assert sent[0][:8] != SPI_I
    assert path_from().local.port == 500


@pytest.mark.parametrize(
    "first", [PayloadType.SK, PayloadType.SKF, PayloadType.NOTIFY, PayloadType.VENDOR_ID]
)
@pytest.mark.parametrize("flags", list(range(0, 64, 8)))
@pytest.mark.parametrize("exchange", list(ExchangeType))
@pytest.mark.parametrize("version", [0x10, 0x20, 0x2F, 0xD0])
def test_messages_without_the_initiators_spi(exchange: int, flags: int, first: int, version: int) -> None:
    """Only a hint outside of an IKE_SA may have none (RFC 7296 1.5): it is read, and nothing answers it."""
    net = target()
    body = struct.pack(">BBH", 0, 0, 36) + bytes(32)
    for spi_r in (bytes(8), b"ijklmnop"):
        header = struct.pack(">8s8s4BII", bytes(8), spi_r, first, version, exchange, flags, 0, 28 + len(body))
        assert refused(net, header + body) == []
    assert_unharmed(net)
