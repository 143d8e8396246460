"""An initiator that costs next to nothing, so that what is measured is the responder (RFC 7296 1.2).

Many IKE_SAs with one CHILD_SA each, PSK, X25519, AES-128-GCM and HMAC-SHA-256, several set-ups under way
at once over one UDP socket on port 4500. Its messages are templates with holes, its key exchange value is
always the same (RFC 7296 2.12 allows that), and it holds no state machine. It checks what the responder
says: its AUTH, and that the child is there.
"""

from __future__ import annotations

import hmac
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha1
from ipaddress import IPv4Address, IPv4Network

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ikepy.lab.netns import LabError
from ikepy.wire.constants import (
    NON_ESP_MARKER,
    AuthMethod,
    Encr,
    Esn,
    ExchangeType,
    HeaderFlag,
    IdType,
    KeGroup,
    NotifyType,
    PayloadType,
    Prf,
    ProtocolId,
    TransformType,
    TsType,
)
from ikepy.wire.message import IkeHeader, encode_message, encode_payloads, protected_prefix
from ikepy.wire.payloads import (
    AuthPayload,
    DeletePayload,
    IdPayload,
    KePayload,
    NoncePayload,
    NotifyPayload,
    Payload,
    SaPayload,
    TrafficSelector,
    TsPayload,
)
from ikepy.wire.proposal import Proposal, Transform

PORT = 4500
SO_RCVBUFFORCE = 33  # `socket` has no name for it
PATIENCE = 2.0  # seconds without any answer until everything is sent again
TRIES = 5
BUFFER = 4 << 20  # octets that the socket may keep
FIRST_INNER = IPv4Address("10.128.0.0")  # the peers' inner addresses, one each
KEY_PAD = b"Key Pad for IKEv2"
_KEY, _SALT, _IV, _ICV = 16, 4, 8, 16
_HEADER, _GENERIC = 28, 4
_EXCHANGE, _FLAGS, _MESSAGE_ID = 18, 19, slice(20, 24)  # in the header
_HOLES = {
    name: os.urandom(size)
    for name, size in {
        "spi": 8,
        "nonce": 32,
        "source": 20,
        "destination": 20,
        "auth": 32,
        "esp": 4,
        "first": 4,
        "last": 4,
    }.items()
} | {"identity": b"p------.bench"}


@dataclass(slots=True)
class Tunnel:
    """One IKE_SA with its CHILD_SA, as the initiator knows it."""

    number: int
    spi_i: bytes
    nonce: bytes
    init: bytes = b""  # our IKE_SA_INIT request
    init_reply: bytes = b""
    spi_r: bytes = b""
    sk_e: tuple[bytes, bytes] = (b"", b"")  # ours and the responder's, with salt
    sk_pr: bytes = b""
    spi_in: int = 0  # of the CHILD_SA
    spi_out: int = 0
    keys: tuple[bytes, bytes] = (b"", b"")  # of the CHILD_SA: ours and the responder's, with salt

    @property
    def inner(self) -> IPv4Address:
        """The address behind this tunnel, all of its selector."""
        return FIRST_INNER + self.number


def identity(number: int) -> bytes:
    """A peer's IDi, a name."""
    return b"p%06d.bench" % number


class Template:
    """Bytes with holes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._holes = {name: data.index(mark) for name, mark in _HOLES.items() if mark in data}

    def fill(self, **values: bytes) -> bytes:
        made = bytearray(self._data)
        for name, value in values.items():
            at = self._holes[name]
            made[at : at + len(value)] = value
        return bytes(made)


def prf(key: bytes, data: bytes) -> bytes:
    """PRF_HMAC_SHA2_256."""
    return hmac.digest(key, data, "sha256")


def prf_plus(key: bytes, seed: bytes, *sizes: int) -> list[bytes]:
    """RFC 7296 2.13, cut into pieces of these sizes."""
    made = block = b""
    number = 0
    while len(made) < sum(sizes):
        number += 1
        block = prf(key, block + seed + bytes([number]))
        made += block
    pieces = []
    for size in sizes:
        pieces.append(made[:size])
        made = made[size:]
    return pieces


class Initiator:
    """Sets up and deletes IKE_SAs from `local` to `remote`, which have no NAT between them.

    Make it in the namespace that it is to use.
    """

    def __init__(self, local: str, remote: str, secret: str, remote_ts: str) -> None:
        """`remote_ts`: the network behind the responder."""
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
        self.sock.bind((local, PORT))
        self.sock.connect((remote, PORT))
        self.sock.settimeout(PATIENCE)
        self.sent_again = 0  # datagrams
        self._psk = prf(secret.encode(), KEY_PAD)
        self._private = X25519PrivateKey.generate()
        self._ends = [IPv4Address(one).packed + PORT.to_bytes(2, "big") for one in (local, remote)]
        self._init = _init_template(self._private.public_key().public_bytes_raw())
        self._auth_first, self._auth = _auth_template(IPv4Network(remote_ts))
        self._delete = encode_payloads([DeletePayload(ProtocolId.IKE, ())])

    def close(self) -> None:
        self.sock.close()

    def drain(self) -> None:
        """Throw away the ESP packets that wait in the socket and leave no room for answers."""
        self.sock.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                self.sock.recv(1)
        self.sock.settimeout(PATIENCE)

    def set_up(self, numbers: Iterable[int], in_flight: int) -> list[Tunnel]:
        """Bring up these peers, `in_flight` at a time. LabError if the responder refuses one."""
        return self._run(map(self._begin, numbers), in_flight, self._go_on)

    def delete(self, tunnels: Iterable[Tunnel], in_flight: int) -> None:
        """Delete these IKE_SAs."""
        self._run(
            ((one, self._seal(one, ExchangeType.INFORMATIONAL, 2, *self._delete)) for one in tunnels),
            in_flight,
            lambda tunnel, reply: None,
        )

    def _run(
        self,
        requests: Iterator[tuple[Tunnel, bytes]],
        in_flight: int,
        answered: Callable[[Tunnel, bytes], bytes | None],
    ) -> list[Tunnel]:
        """Send the requests; `answered` gives a tunnel's next one, or None when that was the last."""
        waiting: dict[bytes, tuple[Tunnel, bytes]] = {}
        done: list[Tunnel] = []
        tries = 0
        while True:
            while len(waiting) < in_flight and (begun := next(requests, None)) is not None:
                waiting[begun[0].spi_i] = begun
                self._send(begun[1])
            if not waiting:
                return done
            try:
                reply = self.sock.recv(65536).removeprefix(NON_ESP_MARKER)
            except TimeoutError:
                tries += 1
                self.sent_again += len(waiting)
                if tries == TRIES:
                    raise LabError(f"the responder does not answer any more, after {len(done)}") from None
                for _, request in waiting.values():
                    self._send(request)
                continue
            tunnel, request = waiting.get(reply[:8], (None, b""))
            if tunnel is None or not _answers(reply, request):
                continue
            tries = 0
            following = answered(tunnel, reply)
            if following is None:
                del waiting[tunnel.spi_i]
                done.append(tunnel)
            else:
                waiting[tunnel.spi_i] = tunnel, following
                self._send(following)

    def _send(self, message: bytes) -> None:
        self.sock.send(NON_ESP_MARKER + message)

    # One set-up

    def _begin(self, number: int) -> tuple[Tunnel, bytes]:
        tunnel = Tunnel(number, os.urandom(8), os.urandom(32))
        source, destination = (sha1(tunnel.spi_i + bytes(8) + end).digest() for end in self._ends)
        values = {"spi": tunnel.spi_i, "nonce": tunnel.nonce, "source": source, "destination": destination}
        tunnel.init = self._init.fill(**values)
        return tunnel, tunnel.init

    def _go_on(self, tunnel: Tunnel, reply: bytes) -> bytes | None:
        if reply[_EXCHANGE] == ExchangeType.IKE_SA_INIT:
            return self._authenticate(tunnel, reply)
        self._conclude(tunnel, reply)
        return None

    def _authenticate(self, tunnel: Tunnel, reply: bytes) -> bytes:
        payloads = _payloads(reply[16], reply[_HEADER:])
        if PayloadType.KE not in payloads:
            raise LabError(f"IKE_SA_INIT was refused: {_refusal(payloads)}")
        nonce_r = payloads[PayloadType.NONCE]
        shared = self._private.exchange(X25519PublicKey.from_public_bytes(payloads[PayloadType.KE][4:]))
        tunnel.spi_r, tunnel.init_reply = reply[8:16], reply
        nonces = tunnel.nonce + nonce_r
        sk_d, sk_ei, sk_er, sk_pi, tunnel.sk_pr = prf_plus(
            prf(nonces, shared), nonces + tunnel.spi_i + tunnel.spi_r, 32, *[_KEY + _SALT] * 2, 32, 32
        )
        tunnel.sk_e = sk_ei, sk_er
        ours, theirs = prf_plus(sk_d, nonces, *[_KEY + _SALT] * 2)
        tunnel.keys = ours, theirs
        tunnel.spi_in = int.from_bytes(os.urandom(4), "big") | 1 << 31
        own = identity(tunnel.number)
        body = IdPayload(PayloadType.ID_I, IdType.FQDN, own).encode()
        plaintext = self._auth.fill(
            identity=own,
            auth=prf(self._psk, tunnel.init + nonce_r + prf(sk_pi, body)),
            esp=tunnel.spi_in.to_bytes(4, "big"),
            first=tunnel.inner.packed,
            last=tunnel.inner.packed,
        )
        return self._seal(tunnel, ExchangeType.IKE_AUTH, 1, self._auth_first, plaintext)

    def _conclude(self, tunnel: Tunnel, reply: bytes) -> None:
        payloads = _payloads(reply[_HEADER], _open(tunnel, reply))
        if PayloadType.SA not in payloads:
            raise LabError(f"IKE_AUTH was refused: {_refusal(payloads)}")
        signed = tunnel.init_reply + tunnel.nonce + prf(tunnel.sk_pr, payloads[PayloadType.ID_R])
        if payloads[PayloadType.AUTH][4:] != prf(self._psk, signed):
            raise LabError("the responder's AUTH is wrong")
        tunnel.spi_out = int.from_bytes(payloads[PayloadType.SA][8:12], "big")
        tunnel.init = tunnel.init_reply = b""

    def _seal(self, tunnel: Tunnel, exchange: int, message_id: int, first: int, chain: bytes) -> bytes:
        header = IkeHeader(tunnel.spi_i, tunnel.spi_r, exchange, HeaderFlag.INITIATOR, message_id)
        prefix = protected_prefix(header, first, _IV + len(chain) + 1 + _ICV)
        iv, key = message_id.to_bytes(_IV, "big"), tunnel.sk_e[0]
        return prefix + iv + AESGCM(key[:_KEY]).encrypt(key[_KEY:] + iv, chain + b"\0", prefix)


def _init_template(public: bytes) -> Template:
    transforms = (
        Transform(TransformType.ENCR, Encr.AES_GCM_16, 128),
        Transform(TransformType.PRF, Prf.HMAC_SHA2_256),
        Transform(TransformType.KE, KeGroup.CURVE_25519),
    )
    header = IkeHeader(_HOLES["spi"], bytes(8), ExchangeType.IKE_SA_INIT, HeaderFlag.INITIATOR, 0)
    payloads: list[Payload] = [
        SaPayload((Proposal(1, ProtocolId.IKE, b"", transforms),)),
        KePayload(KeGroup.CURVE_25519, public),
        NoncePayload(_HOLES["nonce"]),
        NotifyPayload(NotifyType.NAT_DETECTION_SOURCE_IP, _HOLES["source"]),
        NotifyPayload(NotifyType.NAT_DETECTION_DESTINATION_IP, _HOLES["destination"]),
    ]
    return Template(encode_message(header, payloads))


def _auth_template(remote: IPv4Network) -> tuple[int, Template]:
    """Type of the first payload, and the chain of them."""
    transforms = (
        Transform(TransformType.ENCR, Encr.AES_GCM_16, 128),
        Transform(TransformType.ESN, Esn.NO_ESN),
    )
    net = remote.network_address.packed, remote.broadcast_address.packed
    first, chain = encode_payloads(
        [
            IdPayload(PayloadType.ID_I, IdType.FQDN, _HOLES["identity"]),
            AuthPayload(AuthMethod.SHARED_KEY_MIC, _HOLES["auth"]),
            SaPayload((Proposal(1, ProtocolId.ESP, _HOLES["esp"], transforms),)),
            TsPayload(PayloadType.TS_I, (_range(_HOLES["first"], _HOLES["last"]),)),
            TsPayload(PayloadType.TS_R, (_range(*net),)),
        ]
    )
    return first, Template(chain)


def _range(first: bytes, last: bytes) -> TrafficSelector:
    return TrafficSelector(TsType.IPV4_ADDR_RANGE, 0, 0, 65535, first, last)


def _answers(reply: bytes, request: bytes) -> bool:
    return (
        reply[_EXCHANGE] == request[_EXCHANGE]
        and bool(reply[_FLAGS] & HeaderFlag.RESPONSE)
        and reply[_MESSAGE_ID] == request[_MESSAGE_ID]
    )


def _open(tunnel: Tunnel, reply: bytes) -> bytes:
    key, start = tunnel.sk_e[1], _HEADER + _GENERIC
    iv, sealed = reply[start : start + _IV], reply[start + _IV :]
    plaintext = AESGCM(key[:_KEY]).decrypt(key[_KEY:] + iv, sealed, reply[:start])
    return plaintext[: -1 - plaintext[-1]]


def _payloads(following: int, data: bytes) -> dict[int, bytes]:
    """The bodies by type; the last one of each type."""
    found = {}
    at = 0
    while following:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        found[following] = data[at + _GENERIC : at + length]
        following, at = data[at], at + length
    return found


def _refusal(payloads: dict[int, bytes]) -> str:
    notify = int.from_bytes(payloads.get(PayloadType.NOTIFY, b"")[2:4], "big")
    return NotifyType(notify).name if notify in set(NotifyType) else f"notify {notify}"
