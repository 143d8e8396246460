"""From somebody who has keys of his own but no secret: he hears one refusal, and nothing of him stays."""

from __future__ import annotations

import struct

import pytest

from ikepy.sa.api.commands import Initiate
from ikepy.sa.message import query
from ikepy.wire.constants import ExchangeType, IdType, NotifyType, PayloadType, ProtocolId
from ikepy.wire.message import decode_message, encode_payloads
from ikepy.wire.payloads import (
    DeletePayload,
    IdPayload,
    NoncePayload,
    NotifyPayload,
    Payload,
    SkPayload,
)
from tests.exchange.network import Network, assert_joined
from tests.hostile.attacker import (
    CBC_SUITE,
    HalfOpenAttacker,
    assert_unharmed,
    chain,
    child_payloads,
    send,
    target,
)

IKE_AUTH, CREATE_CHILD_SA = ExchangeType.IKE_AUTH, ExchangeType.CREATE_CHILD_SA
INFORMATIONAL = ExchangeType.INFORMATIONAL


def half_open_attacker(suite: str | None = None) -> HalfOpenAttacker:
    if suite is None:
        return HalfOpenAttacker(target())
    return HalfOpenAttacker(target(proposals=f'["{suite}"]'), suite)


def assert_gone(net: Network) -> None:
    assert net.b.manager.idle
    assert not net.b.plane.inbound
    assert_unharmed(net)


def test_wrong_secret_and_unknown_user_hear_the_same() -> None:
    heard = []
    for identity in (b"gwa", b"nobody", b"", b"x" * 4000):
        attacker = half_open_attacker()
        plain = attacker.auth_payloads(identity, b"wrong")
        (reply,) = send(attacker.net, attacker.seal(IKE_AUTH, 1, *encode_payloads(plain)))
        heard.append((len(reply), attacker.opened([reply], 1)))
        assert_gone(attacker.net)
    assert all(one == heard[0] for one in heard)
    assert heard[0][1] == (NotifyPayload(NotifyType.AUTHENTICATION_FAILED),)


def test_missing_secret_followed_by_a_retransmission() -> None:
    net = target()
    attacker = HalfOpenAttacker(net)
    data = attacker.seal(IKE_AUTH, 1, *encode_payloads(attacker.auth_payloads(b"somebody", b"no secret")))
    (first,) = send(net, data)
    for _ in range(5):
        assert send(net, data) == [first]
        net.run(1)
    assert_gone(net)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 15, 16, 17, 23, 24, 25, 31, 32])
@pytest.mark.parametrize("suite", [None, CBC_SUITE])
def test_encrypted_payload_of_any_size(size: int, suite: str | None) -> None:
    """Empty, an IV alone, an ICV alone: none is authentic, so none is answered, and the true one still is."""
    attacker = half_open_attacker(suite)
    header = attacker.seal(IKE_AUTH, 1, PayloadType.ID_I, b"")[:28]
    body = struct.pack("!BBH", PayloadType.ID_I, 0, 4 + size) + bytes(size)
    data = header[:24] + struct.pack("!I", 28 + len(body)) + body
    assert send(attacker.net, data) == []
    attacker.establish()
    assert len(attacker.net.b.manager.list_sas(attacker.net.now)) == 1


def test_nothing_inside() -> None:
    attacker = half_open_attacker()
    answer = attacker.ask(IKE_AUTH, 1, [])
    assert answer is not None
    assert query.error(answer) is not None
    assert_gone(attacker.net)


@pytest.mark.parametrize("pad", [16, 17, 31, 32, 128, 255])
def test_cbc_pad_longer_than_the_plaintext(pad: int) -> None:
    attacker = half_open_attacker(CBC_SUITE)
    send(attacker.net, attacker.seal_cbc(IKE_AUTH, 1, PayloadType.ID_I, bytes(15) + bytes([pad])))
    net = attacker.net
    net.run(60)
    assert_gone(net)


def test_cbc_by_hand_is_what_the_project_makes() -> None:
    """The padding above is all that is wrong with it."""
    attacker = half_open_attacker(CBC_SUITE)
    first, plaintext = encode_payloads(attacker.auth_payloads())
    pad = -(len(plaintext) + 1) % 16
    data = attacker.seal_cbc(IKE_AUTH, 1, first, plaintext + bytes(pad) + bytes([pad]))
    answer = attacker.opened(send(attacker.net, data), 1)
    assert answer is not None
    assert query.error(answer) is None


@pytest.mark.parametrize(
    "payloads",
    [
        [],
        [DeletePayload(ProtocolId.IKE, ())],
        [DeletePayload(ProtocolId.ESP, (b"\0\0\1\0",))],
        [NotifyPayload(NotifyType.AUTHENTICATION_FAILED)],
        [NotifyPayload(NotifyType.INITIAL_CONTACT)],
    ],
    ids=["empty", "delete", "delete of a child", "authentication failed", "initial contact"],
)
@pytest.mark.parametrize("message_id", [0, 1, 2])
def test_informational_before_ike_auth(payloads: list[Payload], message_id: int) -> None:
    attacker = half_open_attacker()
    assert attacker.ask(INFORMATIONAL, message_id, payloads) is None
    attacker.establish()


def test_children_and_rekeys_before_ike_auth() -> None:
    for extra in (
        [],
        [NotifyPayload(NotifyType.REKEY_SA, b"", ProtocolId.ESP, b"\0\0\1\0")],
        [NotifyPayload(NotifyType.REKEY_SA, b"", ProtocolId.IKE, b"")],
    ):
        attacker = half_open_attacker()
        payloads = [*extra, NoncePayload(bytes(32)), *child_payloads()]
        assert attacker.ask(CREATE_CHILD_SA, 1, payloads) is None
        assert not attacker.net.b.plane.inbound
        attacker.establish()


@pytest.mark.parametrize("kind", [PayloadType.ID_I, PayloadType.ID_R])
def test_identification_of_64_kib(kind: PayloadType) -> None:
    attacker = half_open_attacker()
    _, *rest = attacker.auth_payloads(b"gwa", b"wrong")
    huge = IdPayload(kind, IdType.KEY_ID, b"x" * 64000)
    answer = attacker.ask(IKE_AUTH, 1, [huge, *rest])
    assert answer is not None
    assert len(answer) == 1
    assert max(len(log.text) for log in attacker.net.b.logs) < 1000
    assert_gone(attacker.net)


ADDRESSES = [
    (PayloadType.ID_I, bytes([IdType.IPV4_ADDR, 0, 0, 0])),
    (PayloadType.ID_I, bytes([IdType.IPV6_ADDR, 0, 0, 0])),
    (PayloadType.ID_R, bytes([IdType.IPV4_ADDR, 0, 0, 0])),
]


@pytest.mark.parametrize("size", [0, 1, 2, 3])
@pytest.mark.parametrize(("kind", "head"), ADDRESSES)
def test_identity_of_a_few_bytes_where_an_address_belongs(kind: int, head: bytes, size: int) -> None:
    attacker = half_open_attacker()
    answer = attacker.ask_raw(IKE_AUTH, 1, *chain((kind, head + b"\1" * size)))
    assert answer is not None
    assert query.error(answer) is not None
    assert_gone(attacker.net)


@pytest.mark.parametrize("size", [0, 1, 2, 3])
@pytest.mark.parametrize("attribute", [1, 2, 3, 8, 13, 14, 15])
def test_configuration_attribute_of_a_few_bytes(attribute: int, size: int) -> None:
    """INTERNAL_IP4_ADDRESS and the like, with a request that is good otherwise."""
    attacker = half_open_attacker()
    first, plain = encode_payloads(attacker.auth_payloads(secret=b"wrong"))
    body = b"\1\0\0\0" + struct.pack("!HH", attribute, size) + b"\1" * size
    data = struct.pack("!BBH", first, 0, 4 + len(body)) + body + plain
    answer = attacker.ask_raw(IKE_AUTH, 1, PayloadType.CP, data)
    assert answer is not None
    assert_gone(attacker.net)


SELECTORS = {
    "more entries than bytes": b"\xff\0\0\0" + bytes.fromhex("07000010 0000ffff 00000000 ffffffff"),
    "one entry, none there": b"\1\0\0\0",
    "an entry of length 0": b"\1\0\0\0" + bytes.fromhex("07000000 0000ffff 00000000 ffffffff"),
    "an entry of length 4": b"\1\0\0\0" + bytes.fromhex("07000004 0000ffff 00000000 ffffffff"),
    "an entry of length 65535": b"\1\0\0\0" + bytes.fromhex("0700ffff 0000ffff 00000000 ffffffff"),
    "IPv6 with IPv4's length": b"\1\0\0\0" + bytes.fromhex("08000010 0000ffff 00000000 ffffffff"),
    "bytes left over": b"\1\0\0\0" + bytes.fromhex("07000010 0000ffff 00000000 ffffffff ff"),
}


@pytest.mark.parametrize("name", SELECTORS)
def test_selectors(name: str) -> None:
    attacker = half_open_attacker()
    identity, mac, sa, *_ = attacker.auth_payloads()
    _, good = encode_payloads([identity, mac, sa])
    good = good[: -len(sa.encode()) - 4] + b"\x2c\0" + good[-len(sa.encode()) - 2 :]
    ts_i = SELECTORS[name]
    ts_r = b"\1\0\0\0" + bytes.fromhex("07000010 0000ffff 00000000 ffffffff")
    selectors = chain((PayloadType.TS_I, ts_i), (PayloadType.TS_R, ts_r))[1]
    answer = attacker.ask_raw(IKE_AUTH, 1, PayloadType.ID_I, good + selectors)
    assert answer is not None
    assert query.error(answer) is not None
    assert_gone(attacker.net)


def test_good_selectors_made_the_same_way() -> None:
    SELECTORS["good"] = b"\1\0\0\0" + bytes.fromhex("07000010 0000ffff 00000000 ffffffff")
    try:
        with pytest.raises(AssertionError):
            test_selectors("good")
    finally:
        del SELECTORS["good"]


def test_critical_unknown_payload() -> None:
    attacker = half_open_attacker()
    first, plain = encode_payloads(attacker.auth_payloads())
    data = struct.pack("!BBH", first, 0x80, 8) + b"junk" + plain
    answer = attacker.ask_raw(IKE_AUTH, 1, 99, data)
    assert answer == (NotifyPayload(NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, bytes([99])),)
    assert_gone(attacker.net)


def test_every_prefix_of_ike_auth() -> None:
    """Well sealed, and cut off anywhere inside."""
    whole = encode_payloads(half_open_attacker().auth_payloads(secret=b"wrong"))[1]
    for size in range(0, len(whole), 3):
        attacker = half_open_attacker()
        assert attacker.ask_raw(IKE_AUTH, 1, PayloadType.ID_I, whole[:size]) is not None
        assert attacker.net.b.manager.idle


def test_half_open_sas_of_one_address_are_few_and_end() -> None:
    attacker = half_open_attacker()
    for n in range(50):
        data = bytearray(attacker.request)
        data[:8] = n.to_bytes(8, "big")[:-1] + b"\3"
        send(attacker.net, bytes(data))
    assert len(attacker.net.b.manager.list_sas(attacker.net.now)) <= 5
    assert_unharmed(attacker.net)


def test_request_without_protection() -> None:
    """IKE_AUTH in the clear is no IKE_AUTH."""
    attacker = half_open_attacker()
    first, plain = encode_payloads(attacker.auth_payloads())
    header = attacker.seal(IKE_AUTH, 1, first, b"")
    data = header[:16] + bytes([first]) + header[17:24] + struct.pack("!I", 28 + len(plain)) + plain
    assert not send(attacker.net, data)
    assert not isinstance(decode_message(data).payloads[-1], SkPayload)
    attacker.establish()
    attacker.net.command("a", Initiate("ab", "net"))
    attacker.net.run(1)
    assert_joined(attacker.net)
