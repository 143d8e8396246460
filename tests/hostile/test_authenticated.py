"""From a peer with the right secret that turns hostile: it may lose its IKE_SA, and harms nobody else."""

from __future__ import annotations

import struct

import pytest

from ikepy.sa.api.commands import Initiate
from ikepy.sa.message import query
from ikepy.wire.constants import ExchangeType, HeaderFlag, NotifyType, PayloadType, ProtocolId
from ikepy.wire.message import encode_payloads
from ikepy.wire.payloads import (
    DeletePayload,
    KePayload,
    NoncePayload,
    NotifyPayload,
    Payload,
    SaPayload,
)
from ikepy.wire.proposal import Proposal, Transform
from tests.exchange.network import ADDRESS_A, Network
from tests.hostile.attacker import (
    NONCE,
    SPI_I,
    HalfOpenAttacker,
    assert_unharmed,
    child_payloads,
    message,
    send,
    target,
)

IKE_AUTH, CREATE_CHILD_SA = ExchangeType.IKE_AUTH, ExchangeType.CREATE_CHILD_SA
INFORMATIONAL = ExchangeType.INFORMATIONAL


def established() -> HalfOpenAttacker:
    attacker = HalfOpenAttacker(target(), address=ADDRESS_A)
    attacker.establish()
    return attacker


def stands(attacker: HalfOpenAttacker) -> bool:
    """Whether b still has the attacker's IKE_SA with its child, and the worker the same."""
    b = attacker.net.b
    infos = b.manager.list_sas(attacker.net.now)
    children = sum(len(snapshot.children) for snapshot in infos)
    assert children == len(b.plane.inbound) == len(b.plane.outbound)
    return bool(infos)


def assert_over(attacker: HalfOpenAttacker) -> None:
    """The honest site, which the attacker pretended to be, starts anew; nothing else is left."""
    net = attacker.net
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    net.run(200)
    (snapshot,) = net.b.manager.list_sas(net.now)
    assert len(snapshot.children) == len(net.b.plane.inbound) == 1


def error_of(answer: tuple[Payload, ...] | None) -> int | None:
    assert answer is not None
    found = query.error(answer)
    return None if found is None else found.notify


def test_ike_auth_twice() -> None:
    attacker = established()
    assert error_of(attacker.ask(IKE_AUTH, 2, attacker.auth_payloads())) == NotifyType.INVALID_SYNTAX
    assert not stands(attacker), "INVALID_SYNTAX ends the IKE_SA (RFC 7296 2.21.3)"
    assert_over(attacker)


def test_ike_auth_repeated_byte_for_byte_and_with_another_content() -> None:
    attacker = HalfOpenAttacker(target(), address=ADDRESS_A)
    data = attacker.seal(IKE_AUTH, 1, *encode_payloads(attacker.auth_payloads()))
    (first,) = send(attacker.net, data, ADDRESS_A)
    assert send(attacker.net, data, ADDRESS_A) == [first]
    other = attacker.seal(IKE_AUTH, 1, *encode_payloads(attacker.auth_payloads(b"gwa", b"wrong")))
    assert send(attacker.net, other, ADDRESS_A) in ([first], [])
    assert stands(attacker)
    assert len(attacker.net.b.plane.inbound) == 1


@pytest.mark.parametrize("protocol", [0, ProtocolId.IKE, ProtocolId.AH, 255])
@pytest.mark.parametrize("spi", [b"", b"\0\0\x12\x34", bytes(8), b"x" * 200])
def test_rekey_sa_with_another_protocol(protocol: int, spi: bytes) -> None:
    attacker = established()
    rekey = NotifyPayload(NotifyType.REKEY_SA, b"", protocol, spi)
    payloads = [rekey, NoncePayload(NONCE), *child_payloads(b"\0\0\x56\x78")]
    assert error_of(attacker.ask(CREATE_CHILD_SA, 2, payloads)) == NotifyType.INVALID_SYNTAX
    assert not stands(attacker), "INVALID_SYNTAX ends the IKE_SA (RFC 7296 2.21.3)"
    assert_over(attacker)


def test_one_child_rekeyed_twice_at_once() -> None:
    attacker = established()
    rekey = NotifyPayload(NotifyType.REKEY_SA, b"", ProtocolId.ESP, b"\0\0\x12\x34")
    payloads: list[Payload] = [rekey, NoncePayload(NONCE)]
    assert error_of(attacker.ask(CREATE_CHILD_SA, 2, [*payloads, *child_payloads(b"\0\0\x56\x78")])) is None
    answer = attacker.ask(CREATE_CHILD_SA, 3, [*payloads, *child_payloads(b"\0\0\x9a\xbc")])
    assert error_of(answer) == NotifyType.TEMPORARY_FAILURE
    assert stands(attacker)


@pytest.mark.parametrize("spi", [bytes(4), b"\0\0\0\xff", b"", b"\1\2\3", b"x" * 8])
def test_child_spi_that_can_not_be(spi: bytes) -> None:
    attacker = established()
    answer = attacker.ask(CREATE_CHILD_SA, 2, [NoncePayload(NONCE), *child_payloads(spi)])
    assert error_of(answer) is not None
    assert len(attacker.net.b.plane.inbound) <= 1
    assert_over(attacker)


def test_the_same_child_spi_twice() -> None:
    """SPIs that we send under are the peer's affair; what it deletes by one of them goes, and no more."""
    attacker = established()
    for message_id in (2, 3):
        attacker.ask(CREATE_CHILD_SA, message_id, [NoncePayload(NONCE), *child_payloads()])
    for message_id in (4, 5, 6, 7):
        attacker.ask(INFORMATIONAL, message_id, [DeletePayload(ProtocolId.ESP, (b"\0\0\x12\x34",))])
    attacker.net.run(10)
    stands(attacker)
    assert not attacker.net.b.plane.inbound
    assert_over(attacker)


def test_children_without_end() -> None:
    attacker = established()
    for n in range(2, 600):
        attacker.ask(CREATE_CHILD_SA, n, [NoncePayload(NONCE), *child_payloads(struct.pack("!I", 5000 + n))])
    assert stands(attacker)
    assert len(attacker.net.b.plane.inbound) <= 256
    assert_over(attacker)


def rekey_ike(spi: bytes, public: bytes) -> list[Payload]:
    transforms = (Transform(1, 20, 128), Transform(2, 5), Transform(4, 31))
    return [SaPayload((Proposal(1, 1, spi, transforms),)), NoncePayload(NONCE), KePayload(31, public)]


@pytest.mark.parametrize("spi", [b"", b"\1\2\3\4", bytes(8), b"x" * 16])
def test_ike_rekey_with_an_impossible_spi(spi: bytes) -> None:
    attacker = established()
    assert error_of(attacker.ask(CREATE_CHILD_SA, 2, rekey_ike(spi, b"\5" * 32))) is not None
    assert len(attacker.net.b.manager.list_sas(0)) <= 1
    assert_over(attacker)


@pytest.mark.parametrize("public", [b"", bytes(32), b"\1" + bytes(31), b"\7" * 60000])
def test_ike_rekey_with_an_impossible_public_value(public: bytes) -> None:
    attacker = established()
    assert error_of(attacker.ask(CREATE_CHILD_SA, 2, rekey_ike(b"\3" * 8, public))) is not None
    assert len(attacker.net.b.manager.list_sas(0)) <= 1
    assert_over(attacker)


def test_ike_rekeys_that_are_never_used() -> None:
    """Each new IKE_SA is rekeyed no more, and the first has gone to its successor: they end by themselves."""
    attacker = established()
    for n in range(2, 50):
        attacker.ask(CREATE_CHILD_SA, n, rekey_ike(n.to_bytes(8, "big"), b"\5" * 32))
    assert len(attacker.net.b.manager.list_sas(0)) <= 2
    assert_over(attacker)


DELETES: dict[str, tuple[int, bytes]] = {
    "a thousand unknown children": (PayloadType.DELETE, b"\3\4\3\xe8" + b"\1\2\3\4" * 1000),
    "more SPIs than bytes": (PayloadType.DELETE, b"\3\4\xff\xff\1\2\3\4"),
    "SPIs of no bytes": (PayloadType.DELETE, b"\3\0\xff\xff"),
    "SPIs of 255 bytes": (PayloadType.DELETE, b"\3\xff\0\1" + bytes(255)),
    "protocol 0": (PayloadType.DELETE, b"\0\0\0\0"),
    "protocol 255": (PayloadType.DELETE, b"\xff\4\0\1\1\2\3\4"),
    "one child twice": (PayloadType.DELETE, b"\3\4\0\2" + b"\0\0\x12\x34" * 2),
}


@pytest.mark.parametrize("name", DELETES)
def test_delete(name: str) -> None:
    attacker = established()
    kind, body = DELETES[name]
    data = struct.pack("!BBH", 0, 0, 4 + len(body)) + body
    assert attacker.ask_raw(INFORMATIONAL, 2, kind, data) is not None
    stands(attacker)
    assert_over(attacker)


@pytest.mark.parametrize("exchange", [IKE_AUTH, CREATE_CHILD_SA, INFORMATIONAL, 38, 255])
@pytest.mark.parametrize("first", [*PayloadType, 77, 255])
def test_a_payload_of_junk(exchange: int, first: int) -> None:
    attacker = established()
    body = bytes(range(64))
    data = struct.pack("!BBH", 0, 0, 4 + len(body)) + body
    send(attacker.net, attacker.seal(exchange, 2, first, data), ADDRESS_A)
    stands(attacker)
    assert_over(attacker)


@pytest.mark.parametrize("message_id", [0, 1, 3, 4, 2**31, 2**32 - 1])
def test_message_ids_out_of_order(message_id: int) -> None:
    attacker = established()
    answer = attacker.ask(INFORMATIONAL, message_id, [DeletePayload(ProtocolId.IKE, ())])
    assert answer is None or query.error(answer) is None
    assert stands(attacker)
    assert error_of(attacker.ask(INFORMATIONAL, 2, [])) is None


def test_responses_to_nothing() -> None:
    attacker = established()
    data = bytearray(attacker.seal(INFORMATIONAL, 0, 0, b""))
    data[19] |= HeaderFlag.RESPONSE
    assert send(attacker.net, bytes(data), ADDRESS_A) == []
    assert stands(attacker)


def test_unprotected_doubt_costs_a_liveness_check_and_no_more() -> None:
    """INVALID_IKE_SPI from anybody is believed for nothing else (RFC 7296 2.4)."""
    attacker = established()
    body = struct.pack("!BBHBBH", 0, 0, 8, 0, 0, NotifyType.INVALID_IKE_SPI)
    sent = 0
    for exchange in (35, 36, 37) * 50:
        data = message(41, body, exchange=exchange, spi_i=SPI_I, spi_r=attacker.spi_r, message_id=0,
                       flags=HeaderFlag.INITIATOR | HeaderFlag.RESPONSE)  # fmt: skip
        sent += len(send(attacker.net, data, ADDRESS_A))
    assert sent <= 1
    assert stands(attacker)


def test_another_peer_is_not_touched() -> None:
    """The honest site is up; the attacker proves another identity and claims INITIAL_CONTACT."""
    net = target()
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    stranger = HalfOpenAttacker(net)
    contact = NotifyPayload(NotifyType.INITIAL_CONTACT)
    payloads: list[Payload] = [contact, *stranger.auth_payloads(b"gwa", b"wrong")]
    assert error_of(stranger.ask(IKE_AUTH, 1, payloads)) == NotifyType.AUTHENTICATION_FAILED
    (snapshot,) = net.b.manager.list_sas(net.now)
    assert len(snapshot.children) == 1
    assert_unharmed(net)


def test_network_is_what_the_tests_think() -> None:
    assert isinstance(established().net, Network)


def test_reserved_bytes_of_an_identity_are_ignored_but_authenticated() -> None:
    """RFC 7296 3.5 and 2.15: AUTH covers the ID payload as it came."""
    attacker = HalfOpenAttacker(target(), address=ADDRESS_A)
    answer = attacker.ask(IKE_AUTH, 1, attacker.auth_payloads(reserved=b"\0\0\1"))
    assert error_of(answer) is None
    assert stands(attacker)


def test_a_peer_that_deletes_its_ike_sa_and_begins_anew_at_once_from_the_same_port() -> None:
    """Each IKE_SA_INIT is answered, even where it is, byte for byte, that of the one that is gone."""
    net = target()
    for _ in range(100):
        peer = HalfOpenAttacker(net, address=ADDRESS_A)  # takes an answer for granted
        peer.establish()
        assert peer.ask(INFORMATIONAL, 2, [DeletePayload(ProtocolId.IKE, ())]) == ()
        assert not net.b.manager.ike_sas
        assert not net.b.plane.inbound
    assert_over(peer)
