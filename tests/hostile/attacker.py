"""An attacker against site b, with its own keys and its own bytes; what b does about it is returned."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from ipaddress import IPv4Address

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hmac import HMAC

from ikepy.config.proposals import parse
from ikepy.crypto.auth import SignedOctets, maced_id, psk_auth
from ikepy.crypto.key_schedule import IkeKeys, KeySchedule, Seed
from ikepy.crypto.secret import Secret
from ikepy.crypto.sk_cipher import SkCipher
from ikepy.sa.api.commands import Initiate
from ikepy.sa.api.effects import Send
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.message import query
from ikepy.sa.negotiation import proposals
from ikepy.sa.state.ike_keys import suite_of
from ikepy.wire.constants import (
    AuthMethod,
    ExchangeType,
    HeaderFlag,
    IdType,
    NotifyType,
    PayloadType,
    ProtocolId,
)
from ikepy.wire.message import (
    IkeHeader,
    Message,
    decode_message,
    decode_payloads,
    encode_message,
    encode_payloads,
    fragment_prefix,
    protected_prefix,
)
from ikepy.wire.payloads import (
    AuthPayload,
    IdPayload,
    KePayload,
    NoncePayload,
    Payload,
    SaPayload,
    SkPayload,
    TrafficSelector,
    TsPayload,
)
from ikepy.wire.proposal import Proposal
from tests.exchange.network import ADDRESS_B, Network, Options, assert_joined
from tests.key_exchanges import begin

STRANGER = IPv4Address("198.51.100.7")
GCM = "aes128gcm16-prfsha256-x25519"
CBC_SUITE = "aes128-sha256-x25519"
NO_SPI = bytes(8)
SPI_I = b"\xa7" * 8
NONCE = bytes(range(32))


def target(**options: str) -> Network:
    """Site b, which takes peers from anywhere, and the honest site a.

    Unless a test says otherwise, no size keeps a message from being looked at.
    """
    options.setdefault("daemon", "max_packet = 65507")
    return Network(Options(**options), Options(remote_addrs="%any", **options))


class UnansweredError(Exception):
    """b does not answer an IKE_SA_INIT."""


def path_from(address: IPv4Address = STRANGER, port: int = 500) -> Path:
    return Path(Endpoint(ADDRESS_B, 500), Endpoint(address, port))


def send(net: Network, data: bytes, address: IPv4Address = STRANGER, port: int = 500) -> list[bytes]:
    """Give b a datagram; what it sends at once to that address."""
    effects = net.inject("b", path_from(address, port), data)
    return [e.data for e in effects if isinstance(e, Send) and e.path.remote.address == address]


def assert_unharmed(net: Network) -> None:
    """Half-open IKE_SAs go in their time, and the honest peer gets through, before and after that."""
    assert len(net.b.manager.list_sas(net.now)) <= 5
    net.command("a", Initiate("ab", "net"))
    net.run(1)
    assert_joined(net)
    net.run(60)
    (snapshot,) = net.b.manager.list_sas(net.now)
    assert snapshot.state == "ESTABLISHED"
    assert_joined(net)


def chain(*parts: tuple[int, bytes], length: int | None = None) -> tuple[int, bytes]:
    """(type of the first payload, bytes) of payloads given as (type, body).

    `length` stands in the last one's generic header instead of the right one.
    """
    data = b""
    for index, (_, body) in enumerate(parts):
        following = parts[index + 1][0] if index + 1 < len(parts) else 0
        right = 4 + len(body)
        given = right if length is None or index + 1 < len(parts) else length
        data += struct.pack("!BBH", following, 0, given) + body
    return (parts[0][0] if parts else 0), data


def message(
    first: int,
    body: bytes,
    *,
    exchange: int = ExchangeType.IKE_SA_INIT,
    length: int | None = None,
    version: int = 0x20,
    spi_i: bytes = SPI_I,
    spi_r: bytes = NO_SPI,
    flags: int = HeaderFlag.INITIATOR,
    message_id: int = 0,
) -> bytes:
    """An unprotected message with any header."""
    total = 28 + len(body) if length is None else length
    return spi_i + spi_r + struct.pack("!BBBBII", first, version, exchange, flags, message_id, total) + body


def init_parts(
    suite: str = GCM, group: int | None = None, public: bytes | None = None
) -> list[tuple[int, bytes]]:
    """The payloads of a good IKE_SA_INIT, or of one with another KE."""
    offered = proposals.numbered(parse(suite, ProtocolId.IKE), b"")
    ke = begin(proposals.key_exchanges(offered[0])[0], random.Random(1).randbytes)
    data = ke.public if public is None else public
    return [
        (PayloadType.SA, SaPayload(offered).encode()),
        (PayloadType.KE, KePayload(ke.method.id if group is None else group, data).encode()),
        (PayloadType.NONCE, NONCE),
    ]


class HalfOpenAttacker:
    """An attacker that went through IKE_SA_INIT honestly and may now seal what it likes."""

    def __init__(
        self,
        net: Network,
        suite: str = GCM,
        address: IPv4Address = STRANGER,
        extra: Sequence[Payload] = (),
        spi_i: bytes = SPI_I,
        port: int = 500,
    ) -> None:
        self.net, self.address, self.spi_i, self.port = net, address, spi_i, port
        self._random = random.Random(7).randbytes
        offered = proposals.numbered(parse(suite, ProtocolId.IKE), b"")
        ke = begin(proposals.key_exchanges(offered[0])[0], self._random)
        own = KePayload(ke.method.id, ke.public)
        payloads: list[Payload] = [SaPayload(offered), own, NoncePayload(NONCE), *extra]
        header = IkeHeader(spi_i, NO_SPI, ExchangeType.IKE_SA_INIT, HeaderFlag.INITIATOR, 0)
        self.request = encode_message(header, payloads)
        answer = self._begin()
        if (cookie := query.notify(answer.payloads, NotifyType.COOKIE)) is not None:
            self.request = encode_message(header, [cookie, *payloads])
            answer = self._begin()
        chosen: Proposal = query.must(answer.payloads, SaPayload).proposals[0]
        self.spi_r = answer.header.spi_r
        self.nonce_r = query.must(answer.payloads, NoncePayload).data
        self.suite = suite_of(chosen)
        shared = ke.finish(query.must(answer.payloads, KePayload).data)
        seed = Seed(NONCE, self.nonce_r, spi_i, self.spi_r)
        self.keys: IkeKeys = KeySchedule.initial(self.suite, shared, seed).keys
        self._out = SkCipher(
            self.suite.encr, self.suite.key_bits, self.suite.integ, self.keys.sk_ei, self.keys.sk_ai
        )
        self._in = SkCipher(
            self.suite.encr, self.suite.key_bits, self.suite.integ, self.keys.sk_er, self.keys.sk_ar
        )

    def _begin(self) -> Message:
        """Sends the request, and gives the response."""
        answers = send(self.net, self.request, self.address, self.port)
        if not answers:
            raise UnansweredError
        (self.response,) = answers
        return decode_message(self.response)

    def header(self, exchange: int, message_id: int) -> IkeHeader:
        return IkeHeader(self.spi_i, self.spi_r, exchange, HeaderFlag.INITIATOR, message_id)

    def seal(self, exchange: int, message_id: int, first: int, plaintext: bytes) -> bytes:
        header = self.header(exchange, message_id)
        prefix = protected_prefix(header, first, self._out.body_length(len(plaintext)))
        return self._out.seal(prefix, plaintext, self._random)

    def seal_fragment(self, exchange: int, message_id: int, number: int, total: int, chunk: bytes) -> bytes:
        header = self.header(exchange, message_id)
        length = self._out.body_length(len(chunk))
        return self._out.seal(fragment_prefix(header, 0, number, total, length), chunk, self._random)

    def ask_raw(
        self, exchange: int, message_id: int, first: int, plaintext: bytes
    ) -> tuple[Payload, ...] | None:
        """What is in b's response; None if there is none."""
        return self.opened(
            send(self.net, self.seal(exchange, message_id, first, plaintext), self.address, self.port),
            message_id,
        )

    def ask(self, exchange: int, message_id: int, payloads: Sequence[Payload]) -> tuple[Payload, ...] | None:
        return self.ask_raw(exchange, message_id, *encode_payloads(payloads))

    def opened(self, replies: list[bytes], message_id: int) -> tuple[Payload, ...] | None:
        for reply in replies:
            answer = decode_message(reply)
            if not answer.header.is_response or answer.header.message_id != message_id:
                continue
            sk = answer.payloads[-1]
            assert isinstance(sk, SkPayload)
            return decode_payloads(sk.first, self._in.open(reply, len(reply) - len(sk.body)))
        return None

    def auth_payloads(
        self, identity: bytes = b"gwa", secret: bytes = b"correct horse", reserved: bytes = bytes(3)
    ) -> list[Payload]:
        """IKE_AUTH as site a would send it; with a wrong secret, as anybody can."""
        id_body = bytes([IdType.FQDN]) + reserved + identity
        maced = maced_id(self.suite.prf, self.keys.sk_pi, id_body)
        octets = SignedOctets(self.request, self.nonce_r, maced)
        mic = psk_auth(self.suite.prf, Secret(secret), octets)
        return [
            IdPayload(PayloadType.ID_I, IdType.FQDN, identity, reserved),
            AuthPayload(AuthMethod.SHARED_KEY_MIC, mic),
            *child_payloads(),
        ]

    def establish(self) -> None:
        """With the right secret: an authenticated peer that turns hostile."""
        answer = self.ask(ExchangeType.IKE_AUTH, 1, self.auth_payloads())
        assert answer is not None
        assert query.error(answer) is None

    def seal_cbc(self, exchange: int, message_id: int, first: int, padded: bytes) -> bytes:
        """AES-CBC with HMAC by hand: `padded` is plaintext, padding and pad length as the attacker likes."""
        iv = bytes(16)
        encryptor = Cipher(AES(self.keys.sk_ei.expose()), CBC(iv)).encryptor()
        sealed = iv + encryptor.update(padded) + encryptor.finalize()
        prefix = protected_prefix(self.header(exchange, message_id), first, len(sealed) + 16)
        mac = HMAC(self.keys.sk_ai.expose(), hashes.SHA256())
        mac.update(prefix + sealed)
        return prefix + sealed + mac.finalize()[:16]


def child_payloads(spi: bytes = b"\0\0\x12\x34") -> list[Payload]:
    """SA, TSi, TSr of a child that b accepts."""
    (offer,) = proposals.numbered(parse("aes128gcm16", ProtocolId.ESP), spi)
    everything = (TrafficSelector(7, 0, 0, 65535, bytes(4), b"\xff" * 4),)
    return [
        SaPayload((offer,)),
        TsPayload(PayloadType.TS_I, everything),
        TsPayload(PayloadType.TS_R, everything),
    ]
