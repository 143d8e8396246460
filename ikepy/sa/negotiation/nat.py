"""Detects NATs, or fakes one to force UDP encapsulation (RFC 7296 2.23)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ikepy.crypto.nat import nat_detection_hash
from ikepy.sa.api.path import Path
from ikepy.sa.message.query import notifies
from ikepy.wire.constants import NotifyType
from ikepy.wire.payloads import NotifyPayload, Payload

_HASH_SIZE = 20


@dataclass(frozen=True, slots=True)
class Nat:
    """Which end is behind a NAT; `supported`: the peer supports NAT traversal."""

    supported: bool = False
    local: bool = False
    remote: bool = False

    @property
    def found(self) -> bool:
        return self.local or self.remote


def notify_payloads(
    spi_i: bytes, spi_r: bytes, path: Path, fake: Callable[[int], bytes] | None
) -> list[Payload]:
    """The two NAT detection notifies; `fake` gives random bytes, which match no address, to feign a NAT."""
    if fake is None:
        source = nat_detection_hash(spi_i, spi_r, path.local.address, path.local.port)
    else:
        source = fake(_HASH_SIZE)
    destination = nat_detection_hash(spi_i, spi_r, path.remote.address, path.remote.port)
    return [
        NotifyPayload(NotifyType.NAT_DETECTION_SOURCE_IP, source),
        NotifyPayload(NotifyType.NAT_DETECTION_DESTINATION_IP, destination),
    ]


def detect(payloads: Sequence[Payload], spi_i: bytes, spi_r: bytes, path: Path) -> Nat:
    """Compare the peer's NAT detection notifies with the addresses and ports that the message came with."""
    sources = [n.data for n in notifies(payloads, NotifyType.NAT_DETECTION_SOURCE_IP)]
    destinations = [n.data for n in notifies(payloads, NotifyType.NAT_DETECTION_DESTINATION_IP)]
    if not sources or not destinations:
        return Nat()
    seen_remote = nat_detection_hash(spi_i, spi_r, path.remote.address, path.remote.port)
    seen_local = nat_detection_hash(spi_i, spi_r, path.local.address, path.local.port)
    return Nat(True, local=seen_local not in destinations, remote=seen_remote not in sources)
