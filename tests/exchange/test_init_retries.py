"""COOKIE and INVALID_KE_PAYLOAD, asked for and answered (RFC 7296 2.6 and 2.7), and refusals."""

from ikepy.sa.api.commands import Initiate
from ikepy.sa.api.effects import Send
from ikepy.sa.api.ends import KeyExchangeMismatch, Party
from ikepy.sa.api.events import ResponseIgnored
from ikepy.sa.api.path import Endpoint, Path
from ikepy.wire.constants import ExchangeType, HeaderFlag, NotifyType
from ikepy.wire.message import IkeHeader, decode_message, encode_message
from ikepy.wire.payloads import NotifyPayload

from .network import ADDRESS_A, ADDRESS_B, Network, Options, assert_joined

INIT = "a -> b IKE_SA_INIT request 0"
A_TO_B = Path(Endpoint(ADDRESS_B, 500), Endpoint(ADDRESS_A, 500))


def connect(a: Options, b: Options) -> Network:
    net = Network(a, b)
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(5)
    return net


def test_cookie() -> None:
    net = connect(Options(), Options(daemon="cookie_threshold = 1\nblock_threshold = 0"))
    assert_joined(net)  # nothing was half-open: no cookie was asked for
    assert net.ladder.count(INIT) == 1
    net = Network(Options(), Options(daemon="cookie_threshold = 1\nblock_threshold = 0"))
    stranger = Path(Endpoint(ADDRESS_B, 500), Endpoint(ADDRESS_A, 1500))
    net.inject("b", stranger, first_message(net))
    net.command("a", Initiate("ab", "net", ticket=1))
    net.run(5)
    assert net.ladder.count(INIT) == 2
    assert net.a.outcomes[1].ok
    assert_joined(net)


def test_a_request_with_a_cookie_is_else_the_same() -> None:
    """Also where it feigns a NAT (RFC 7296 2.6)."""
    net = Network(Options(connection="encap = true"))
    (first,) = [e.data for e in net.a.manager.request(Initiate("ab", "net"), net.now) if isinstance(e, Send)]
    before = decode_message(first)
    cookie = NotifyPayload(NotifyType.COOKIE, b"?" * 32)
    header = IkeHeader(before.header.spi_i, bytes(8), ExchangeType.IKE_SA_INIT, HeaderFlag.RESPONSE, 0)
    answer = encode_message(header, [cookie])
    path = Path(Endpoint(ADDRESS_A, 500), Endpoint(ADDRESS_B, 500))
    (second,) = [decode_message(e.data) for e in net.inject("a", path, answer) if isinstance(e, Send)]
    assert second.payloads == (cookie, *before.payloads)


def first_message(net: Network) -> bytes:
    """An IKE_SA_INIT that nobody follows up."""
    other = Network(Options(), seed="stranger")
    effects = other.a.manager.request(Initiate("ab", "net"), net.now)
    return next(e.data for e in effects if isinstance(e, Send))


def test_a_forged_cookie_is_not_believed() -> None:
    net = Network(Options(), Options(daemon="cookie_threshold = 1\nblock_threshold = 0"))
    net.inject("b", Path(Endpoint(ADDRESS_B, 500), Endpoint(ADDRESS_A, 1500)), first_message(net))
    message = decode_message(first_message(Network(seed="x")))
    header = IkeHeader(b"12345678", bytes(8), ExchangeType.IKE_SA_INIT, HeaderFlag.INITIATOR, 0)
    forged = encode_message(header, [NotifyPayload(NotifyType.COOKIE, b"?" * 32), *message.payloads])
    effects = net.inject("b", A_TO_B, forged)
    (answer,) = [decode_message(e.data) for e in effects if isinstance(e, Send)]
    assert [p.notify for p in answer.payloads if isinstance(p, NotifyPayload)] == [NotifyType.COOKIE]


def test_too_many_half_open_from_one_address() -> None:
    net = Network(Options(), Options(daemon="block_threshold = 2\ncookie_threshold_ip = 0"))
    answered = []
    for number in range(4):
        net.run(7)
        data = b"spi%05d" % number + first_message(net)[8:]
        answered.append(any(isinstance(e, Send) for e in net.inject("b", A_TO_B, data)))
    assert answered == [True] * 4
    left = [sa.spi_i for sa in net.b.manager.list_sas(net.now)]
    assert left == [b"spi%05d" % number for number in (1, 2, 3)], "one that had aged made room"
    net.run(40)  # the half-open timeout
    assert net.b.manager.idle
    assert any(isinstance(e, Send) for e in net.inject("b", A_TO_B, first_message(net)))


def test_other_group_wanted() -> None:
    net = connect(
        Options(proposals='["aes128gcm16-prfsha256-x25519-ecp256"]'),
        Options(proposals='["aes128gcm16-prfsha256-ecp256"]'),
    )
    assert net.ladder.count(INIT) == 2
    assert_joined(net)


def test_a_group_that_was_not_offered_is_ignored() -> None:
    net = Network()
    net.command("a", Initiate("ab", "net", ticket=1))
    spi_i = net.a.manager.list_sas(net.now)[0].spi_i
    header = IkeHeader(spi_i, bytes(8), ExchangeType.IKE_SA_INIT, HeaderFlag.RESPONSE, 0)
    wrong = encode_message(header, [NotifyPayload(NotifyType.INVALID_KE_PAYLOAD, b"\0\x02")])
    net.inject("a", Path(Endpoint(ADDRESS_A, 500), Endpoint(ADDRESS_B, 500)), wrong)
    (ignored,) = (event for event in net.a.events if isinstance(event, ResponseIgnored))
    assert ignored.failure.by is Party.PEER
    assert isinstance(ignored.failure.cause, KeyExchangeMismatch) and ignored.failure.cause.wanted == 2
    net.run(5)
    assert net.a.outcomes[1].ok  # the true response came after the forged one
    assert net.ladder.count(INIT) == 1


def test_no_common_ike_proposal() -> None:
    net = connect(Options(), Options(proposals='["aes256-sha384-modp3072"]'))
    assert not net.a.outcomes[1].ok
    assert "NO_PROPOSAL_CHOSEN" in net.a.outcomes[1].text
    assert net.a.manager.idle
    assert net.b.manager.idle


def test_keyingtries_tries_again() -> None:
    net = Network(Options(connection="keyingtries = 2"), Options(proposals='["aes256-sha384-modp3072"]'))
    net.command("a", Initiate("ab", "net"))
    net.run(60)
    assert net.ladder.count(INIT) == 2


def test_newer_major_version() -> None:
    net = Network()
    data = bytearray(first_message(net))
    data[17] = 0x30
    effects = net.inject("b", A_TO_B, bytes(data))
    (answer,) = [decode_message(e.data) for e in effects if isinstance(e, Send)]
    assert [p.notify for p in answer.payloads if isinstance(p, NotifyPayload)] == [
        NotifyType.INVALID_MAJOR_VERSION
    ]
    assert net.b.manager.idle


def test_unknown_critical_payload() -> None:
    net = Network()
    message = decode_message(first_message(net))
    chain = bytearray(encode_message(message.header, message.payloads))
    # A payload of type 200 with the critical bit, in front of the others.
    chain[28:28] = bytes([chain[16], 0x80, 0, 4])
    chain[16] = 200
    chain[24:28] = len(chain).to_bytes(4, "big")
    effects = net.inject("b", A_TO_B, bytes(chain))
    (answer,) = [decode_message(e.data) for e in effects if isinstance(e, Send)]
    (notify,) = answer.payloads
    assert isinstance(notify, NotifyPayload)
    assert (notify.notify, notify.data) == (NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, bytes([200]))
    assert net.b.manager.idle
