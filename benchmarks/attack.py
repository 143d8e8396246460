"""An attacker without credentials: whatever strangers' messages can be made to cost, from many addresses.

Runs as a process of its own in the attackers' namespace, whose addresses are all of 198.18.0.0/16 (the block
for benchmarks, RFC 2544): it hears the answers, shows cookies, and goes as far as its kind of attack needs.

    python -m benchmarks.attack KIND --rate 300 --sources 1000 --seconds 10
"""

from __future__ import annotations

import os
import random
import select
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address

import click

from ikepy.config.proposals import parse
from ikepy.crypto.kex import registry
from ikepy.crypto.kex.method import Begun
from ikepy.crypto.key_schedule import KeySchedule, Seed
from ikepy.crypto.sk_cipher import SkCipher
from ikepy.sa.message import query
from ikepy.sa.negotiation import proposals
from ikepy.sa.state.ike_keys import suite_of
from ikepy.wire.constants import (
    AuthMethod,
    Encr,
    ExchangeType,
    HeaderFlag,
    IdType,
    KeGroup,
    NotifyType,
    PayloadType,
    Prf,
    ProtocolId,
    TransformType,
)
from ikepy.wire.message import IkeHeader, decode_message, encode_message, encode_payloads, protected_prefix
from ikepy.wire.payloads import AuthPayload, IdPayload, KePayload, NoncePayload, SaPayload
from ikepy.wire.proposal import Proposal, Transform

TARGET = "192.0.2.2"
FIRST = IPv4Address("198.18.0.1")
PREFIXES = 250  # /24s that many sources are spread over
PORT = 500
NONCE = bytes(range(32))
IDENTITY = b"gwc"  # of a peer that exists, elsewhere
SPI_SIZE, HEADER = 8, 28
JUNK = 264  # octets behind the header of SK
BUFFER = 8 << 20
SO_RCVBUFFORCE = 33  # `socket` has no name for it
IP_PKTINFO = 8
PKTINFO = struct.Struct("=i4s4s")

Sent = tuple[bytes, bytes]  # source address and request


@dataclass(frozen=True, slots=True)
class Kind:
    """What is sent first."""

    group: int
    public: Callable[[Begun], bytes] = lambda own: own.public
    suite: str | None = None  # None: one that nobody accepts
    guesses: bool = False  # goes on to IKE_AUTH, with a wrong secret
    cookies: bool = True  # shows the cookies that it is given
    burst: int = 1  # requests at once
    # Then junk that looks like IKE_AUTH or INFORMATIONAL, under the SPIs of its own half-open IKE_SA, or
    # under those that were copied from somebody else's.
    junk: ExchangeType | None = None
    source: str | None = None  # instead of an address of its own


def _suite(group: str) -> str:
    return f"aes128gcm16-prfsha256-{group}"


KINDS: dict[str, Kind] = {
    "tiny-ke": Kind(KeGroup.MODP_8192, lambda _: b"\2", _suite("modp8192")),
    "zero-ke": Kind(KeGroup.MODP_8192, lambda own: bytes(len(own.public)), _suite("modp8192")),
    "modp3072": Kind(KeGroup.MODP_3072, suite=_suite("modp3072")),
    "modp4096": Kind(KeGroup.MODP_4096, suite=_suite("modp4096")),
    "half-open": Kind(KeGroup.CURVE_25519, suite=_suite("x25519")),
    "guesses": Kind(KeGroup.CURVE_25519, suite=_suite("x25519"), guesses=True),
    "refused": Kind(KeGroup.CURVE_25519),
    "junk-auth": Kind(KeGroup.CURVE_25519, suite=_suite("x25519"), junk=ExchangeType.IKE_AUTH),
    "junk-sk": Kind(KeGroup.CURVE_25519, junk=ExchangeType.INFORMATIONAL),
    "junk-sk-spoofed": Kind(KeGroup.CURVE_25519, junk=ExchangeType.INFORMATIONAL, source="192.0.2.1"),
    "burst": Kind(KeGroup.MODP_3072, suite=_suite("modp3072"), burst=250),
}


def sources(count: int) -> list[bytes]:
    """Addresses of as many attackers, packed; the first one's prefix is a neighbour's too."""
    return [(FIRST + (n % PREFIXES) * 256 + n // PREFIXES).packed for n in range(count)]


class Attacker:
    """Sends requests of one kind, and answers what comes back."""

    def __init__(self, kind: Kind, addresses: list[bytes], target: str, spis: bytes = b"") -> None:
        """`spis`: both that were copied, for junk."""
        self._kind = kind
        self._addresses = [IPv4Address(kind.source).packed] if kind.source else addresses
        self._spis = spis
        self._target = target
        self._own = registry.method(kind.group).begin(random.Random(1).randbytes)()
        self._chain = self._first_message()[HEADER:]
        self._sent: dict[bytes, Sent] = {}  # by our SPI
        self._random = random.Random(os.urandom(8))
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        self._sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
        self._sock.bind(("0.0.0.0", PORT))
        self._sock.setblocking(False)
        self._noise = os.urandom(JUNK)
        self.counts = dict.fromkeys(("junk", "requests", "cookies", "served", "refused", "guesses"), 0)

    def _first_message(self) -> bytes:
        kind = self._kind
        if kind.suite is not None:
            offered = proposals.numbered(parse(kind.suite, ProtocolId.IKE), b"")
        else:
            transforms = (
                Transform(TransformType.ENCR, Encr.AES_GCM_16, 192),
                Transform(TransformType.PRF, Prf.HMAC_SHA2_512),
                Transform(TransformType.KE, kind.group),
            )
            offered = (Proposal(1, ProtocolId.IKE, b"", transforms),)
        ke = KePayload(kind.group, kind.public(self._own))
        return encode_message(_header(b"\1" * SPI_SIZE), [SaPayload(offered), ke, NoncePayload(NONCE)])

    def run(self, rate: float, seconds: float) -> None:
        begin = time.monotonic()
        bursts = 0
        while (passed := time.monotonic() - begin) < seconds:
            due = int(passed * rate / self._kind.burst) + 1
            for _ in range(min(due - bursts, 100)):
                for _ in range(self._kind.burst):
                    self._request()
            bursts = due
            self._hear(begin + (due * self._kind.burst / rate) - time.monotonic())

    def _request(self) -> None:
        if self._spis:
            self._junk()
            return
        spi = self._random.randbytes(SPI_SIZE)
        source = self._addresses[self.counts["requests"] % len(self._addresses)]
        data = _message(spi, PayloadType.SA, self._chain)
        self._sent[spi] = source, data
        if len(self._sent) > 50_000:
            self._sent.pop(next(iter(self._sent)))
        self.counts["requests"] += 1
        self._send(source, data)

    def _junk(self) -> None:
        """Of 300 octets; message IDs are those that are awaited, one after the other."""
        exchange = self._kind.junk
        assert exchange is not None
        number = 1 if exchange == ExchangeType.IKE_AUTH else self.counts["junk"] % 8
        header = IkeHeader(self._spis[:8], self._spis[8:], exchange, HeaderFlag.INITIATOR, number)
        prefix = protected_prefix(header, PayloadType.ID_I, JUNK)
        self._send(self._addresses[self.counts["junk"] % len(self._addresses)], prefix + self._noise)
        self.counts["junk"] += 1

    def _send(self, source: bytes, data: bytes) -> None:
        control = [(socket.IPPROTO_IP, IP_PKTINFO, PKTINFO.pack(0, source, bytes(4)))]
        try:
            self._sock.sendmsg([data], control, 0, (self._target, PORT))
        except OSError:
            return  # no room, or an ICMP error of an earlier one

    def _hear(self, wait: float) -> None:
        if not select.select([self._sock], [], [], max(0.0, min(wait, 0.05)))[0]:
            return
        for _ in range(200):
            try:
                data = self._sock.recv(65535)
            except OSError:
                return
            self._answer(data)

    def _answer(self, data: bytes) -> None:
        sent = self._sent.get(data[:SPI_SIZE])
        if sent is None or data[18] != ExchangeType.IKE_SA_INIT:
            return
        source, request = sent
        if data[16] == PayloadType.SA:
            self.counts["served"] += 1
            if self._kind.junk is not None:
                self._spis = data[: 2 * SPI_SIZE]
            if self._kind.guesses:
                self._send(source, self._guess(request, data))
                self.counts["guesses"] += 1
            del self._sent[data[:SPI_SIZE]]
        elif data[34:36] == NotifyType.COOKIE.to_bytes(2, "big"):
            self.counts["cookies"] += 1
            if self._kind.cookies:
                shown = bytes([PayloadType.SA]) + data[HEADER + 1 :]
                again = _message(data[:SPI_SIZE], PayloadType.NOTIFY, shown + self._chain)
                self._sent[data[:SPI_SIZE]] = source, again
                self._send(source, again)
        else:
            self.counts["refused"] += 1

    def _guess(self, request: bytes, response: bytes) -> bytes:
        """IKE_AUTH of somebody who does not know the secret."""
        answer = decode_message(response)
        header = answer.header
        suite = suite_of(query.must(answer.payloads, SaPayload).proposals[0])
        shared = self._own.finish(query.must(answer.payloads, KePayload).data)
        nonce = query.must(answer.payloads, NoncePayload).data
        seed = Seed(NONCE, nonce, header.spi_i, header.spi_r)
        keys = KeySchedule.initial(suite, shared, seed).keys
        cipher = SkCipher(suite.encr, suite.key_bits, suite.integ, keys.sk_ei, keys.sk_ai)
        first, plain = encode_payloads(
            [
                IdPayload(PayloadType.ID_I, IdType.FQDN, IDENTITY),
                AuthPayload(AuthMethod.SHARED_KEY_MIC, self._random.randbytes(32)),
            ]
        )
        auth = IkeHeader(header.spi_i, header.spi_r, ExchangeType.IKE_AUTH, HeaderFlag.INITIATOR, 1)
        prefix = protected_prefix(auth, first, cipher.body_length(len(plain)))
        return cipher.seal(prefix, plain, self._random.randbytes)


def _header(spi: bytes) -> IkeHeader:
    return IkeHeader(spi, bytes(SPI_SIZE), ExchangeType.IKE_SA_INIT, HeaderFlag.INITIATOR, 0)


def _message(spi: bytes, first: int, chain: bytes) -> bytes:
    empty = encode_message(_header(spi), [])
    return empty[:16] + bytes([first]) + empty[17:24] + struct.pack("!I", HEADER + len(chain)) + chain


@click.command()
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.option("--rate", type=float, default=300.0, show_default=True, help="Requests a second.")
@click.option("--sources", "count", type=click.IntRange(1, 50_000), default=1, show_default=True)
@click.option("--seconds", type=float, default=10.0, show_default=True)
@click.option("--target", default=TARGET, show_default=True)
@click.option("--spis", default="", help="Both SPIs of an IKE_SA, hexadecimal, for junk.")
def main(kind: str, rate: float, count: int, seconds: float, target: str, spis: str) -> None:
    """Attack, then tell what came of it."""
    attacker = Attacker(KINDS[kind], sources(count), target, bytes.fromhex(spis))
    attacker.run(rate, seconds)
    click.echo(", ".join(f"{number:,} {name}" for name, number in attacker.counts.items() if number))


if __name__ == "__main__":
    main()
