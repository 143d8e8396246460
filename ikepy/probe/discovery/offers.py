"""What is offered in one IKE_SA_INIT request, and the request itself (RFC 7296 1.2, 3.3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address

from ikepy.crypto.kex.method import Random
from ikepy.crypto.nat import nat_detection_hash
from ikepy.probe.discovery.algorithms import CANDIDATES, ENCR, INTEG, KE, PRF, combined
from ikepy.probe.discovery.public_values import public_value
from ikepy.wire.constants import ExchangeType, HashAlgorithm, HeaderFlag, NotifyType, ProtocolId
from ikepy.wire.message import IkeHeader, encode_message
from ikepy.wire.payloads import KePayload, NoncePayload, NotifyPayload, Payload, SaPayload
from ikepy.wire.proposal import Proposal, Transform

SPI_SIZE = 8
NO_SPI = bytes(SPI_SIZE)
NONCE_SIZE = 32
SPI_BEGINS = b"\1"  # all SPIs of our requests


@dataclass(frozen=True, slots=True)
class Offer:
    """The transforms of one request, by type; `addke` may be empty. `group`: that of the KE payload."""

    encr: tuple[Transform, ...]
    prf: tuple[Transform, ...]
    integ: tuple[Transform, ...]
    ke: tuple[Transform, ...]
    group: int
    addke: tuple[Transform, ...] = ()

    def proposals(self) -> tuple[Proposal, ...]:
        """One proposal of AEADs, one of ciphers with integrity algorithms; each only where it has both."""
        rest = (*self.ke, *self.addke)
        aeads = tuple(one for one in self.encr if combined(one))
        others = tuple(one for one in self.encr if not combined(one))
        lists = [(*aeads, *self.prf, *rest)] if aeads else []
        if others and self.integ:
            lists.append((*others, *self.prf, *self.integ, *rest))
        return tuple(Proposal(n, ProtocolId.IKE, b"", each) for n, each in enumerate(lists, 1))

    def with_type(self, type: int, transforms: Iterable[Transform]) -> Offer:
        """The same with other transforms of one type."""
        chosen = tuple(transforms)
        match type:
            case _ if type == ENCR:
                return replace(self, encr=chosen)
            case _ if type == PRF:
                return replace(self, prf=chosen)
            case _ if type == INTEG:
                # An AEAD would be accepted whatever the integrity algorithm.
                return replace(self, integ=chosen, encr=tuple(o for o in self.encr if not combined(o)))
            case _ if type == KE:
                return replace(self, ke=chosen)
            case _:
                return replace(self, addke=chosen)

    def with_group(self, group: int) -> Offer:
        """The same with a KE payload of another group."""
        return replace(self, group=group)


def everything(group: int) -> Offer:
    """All that there is, but for additional key exchanges."""
    return Offer(CANDIDATES[ENCR], CANDIDATES[PRF], CANDIDATES[INTEG], CANDIDATES[KE], group)


# What gateways of today and of fifteen years ago take, and no more: some stumble over long proposals.
_USUAL_ENCR = 8
_USUAL_PRF = 4
_USUAL_INTEG = 4
_USUAL_KE = 13


def usual(group: int) -> Offer:
    """The first question: the usual transforms."""
    return Offer(
        CANDIDATES[ENCR][:_USUAL_ENCR],
        CANDIDATES[PRF][:_USUAL_PRF],
        CANDIDATES[INTEG][:_USUAL_INTEG],
        CANDIDATES[KE][:_USUAL_KE],
        group,
    )


@dataclass(frozen=True, slots=True)
class Ends:
    """The addresses and ports of both ends, as we see them."""

    local: IPv4Address | IPv6Address
    local_port: int
    remote: IPv4Address | IPv6Address
    remote_port: int


@dataclass(frozen=True, slots=True)
class Request:
    """An IKE_SA_INIT request: its SPI, and its payloads without the COOKIE that may come first."""

    spi_i: bytes
    payloads: tuple[Payload, ...]

    def datagram(self, cookie: bytes = b"") -> bytes:
        """The message; with the cookie that the responder asked for (RFC 7296 2.6)."""
        with_it = self.with_cookie(cookie) if cookie else self
        return encode_message(header(self.spi_i), with_it.payloads)

    def with_cookie(self, cookie: bytes) -> Request:
        """The same request with a COOKIE in front."""
        return replace(self, payloads=(NotifyPayload(NotifyType.COOKIE, cookie), *self.payloads))


def header(spi_i: bytes, exchange: int = ExchangeType.IKE_SA_INIT, *, spi_r: bytes = NO_SPI) -> IkeHeader:
    """The header of a first request."""
    return IkeHeader(spi_i, spi_r, exchange, HeaderFlag.INITIATOR, 0)


def request(offer: Offer, ends: Ends, random: Random, *, redirect: bool = True) -> Request:
    """An IKE_SA_INIT that announces whatever has an answer; `redirect`: that we may be sent elsewhere."""
    spi_i = SPI_BEGINS + random(SPI_SIZE - len(SPI_BEGINS))
    return Request(
        spi_i,
        (
            SaPayload(offer.proposals()),
            KePayload(offer.group, public_value(offer.group, random)),
            NoncePayload(random(NONCE_SIZE)),
            *_nat_detection(spi_i, ends),
            *_announced(redirect),
        ),
    )


def _nat_detection(spi_i: bytes, ends: Ends) -> tuple[NotifyPayload, ...]:
    source = nat_detection_hash(spi_i, NO_SPI, ends.local, ends.local_port)
    destination = nat_detection_hash(spi_i, NO_SPI, ends.remote, ends.remote_port)
    return (
        NotifyPayload(NotifyType.NAT_DETECTION_SOURCE_IP, source),
        NotifyPayload(NotifyType.NAT_DETECTION_DESTINATION_IP, destination),
    )


def _announced(redirect: bool) -> tuple[NotifyPayload, ...]:
    hashes = b"".join(one.to_bytes(2, "big") for one in HashAlgorithm)
    types = [
        NotifyType.IKEV2_FRAGMENTATION_SUPPORTED,
        NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED,
        NotifyType.USE_PPK,
        NotifyType.USE_PPK_INT,
        *([NotifyType.REDIRECT_SUPPORTED] if redirect else []),
    ]
    return (
        *(NotifyPayload(one) for one in types),
        NotifyPayload(NotifyType.SIGNATURE_HASH_ALGORITHMS, hashes),
    )
