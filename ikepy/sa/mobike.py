"""Both ends' addresses, and which pair of them to use (RFC 4555 3.4 to 3.6, 3.9)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address

from ikepy.wire.constants import NotifyType
from ikepy.wire.payloads import NotifyPayload, Payload

from .path import Address, Path

MAX_ADDRESSES = 16  # of a peer's that we remember

_NOTIFIES = {4: NotifyType.ADDITIONAL_IP4_ADDRESS, 6: NotifyType.ADDITIONAL_IP6_ADDRESS}


@dataclass(slots=True)
class Mobike:
    """What an IKE_SA between two ends that speak MOBIKE knows; its successors share it.

    `initiator`: whether we began the first IKE_SA of the series, so that it is for us to choose the path.
    `local`: our usable addresses, best first. `remote`: the peer's, beside the one in use.
    """

    initiator: bool
    local: tuple[Address, ...] = ()
    remote: tuple[Address, ...] = ()
    pending: bool = False  # a path is on trial of which the peer has not been told
    seen_as: bytes = b""  # the peer's last NAT_DETECTION_DESTINATION_IP: how it sees us

    def paths(self, current: Path) -> list[Path]:
        """All pairs of addresses of one family; those with the current remote address first. Ports stay."""
        remotes = dict.fromkeys((current.remote.address, *self.remote))
        locals_ = self.local or (current.local.address,)
        return [
            Path(replace(current.local, address=ours), replace(current.remote, address=theirs))
            for theirs in remotes
            for ours in locals_
            if ours.version == theirs.version
        ]

    def next_path(self, current: Path) -> Path | None:
        """The pair to try after the current one, in turn; None if there is no other."""
        others = sorted((p for p in self.paths(current) if p != current), key=str)
        later = (p for p in others if str(p) > str(current))  # whichever is current, the order is the same
        return next(later, others[0] if others else None)

    def additional(self, current: Path) -> list[Payload]:
        """The notifies of our addresses other than the current one."""
        others = [a for a in self.local if a != current.local.address][:MAX_ADDRESSES]
        return [NotifyPayload(_NOTIFIES[a.version], a.packed) for a in others]


def usable(address: Address) -> bool:
    """Whether a host can have it."""
    return not (address.is_multicast or address.is_unspecified)


def announced(payloads: Sequence[Payload]) -> tuple[Address, ...] | None:
    """The peer's further addresses; None if it says nothing of them (RFC 4555 3.6)."""
    found = [p for p in payloads if isinstance(p, NotifyPayload) and p.notify in _NOTIFIES.values()]
    none = any(
        isinstance(p, NotifyPayload) and p.notify == NotifyType.NO_ADDITIONAL_ADDRESSES for p in payloads
    )
    if not found and not none:
        return None
    addresses: Iterable[Address] = (ip_address(p.data) for p in found)
    return tuple(dict.fromkeys(a for a in addresses if usable(a)))[:MAX_ADDRESSES]


def unchanged(payloads: Sequence[Payload], path: Path) -> bool:
    """Whether a message that forbids NATs has the addresses that its sender wrote (RFC 4555 3.9)."""
    return all(
        p.data == _written(Path(path.remote, path.local))
        for p in payloads
        if isinstance(p, NotifyPayload) and p.notify == NotifyType.NO_NATS_ALLOWED
    )


def no_nats_allowed(path: Path) -> NotifyPayload:
    """What we send over `path` where the peer knows nothing of NATs."""
    return NotifyPayload(NotifyType.NO_NATS_ALLOWED, _written(path))


def _written(path: Path) -> bytes:
    ports = path.local.port.to_bytes(2, "big") + path.remote.port.to_bytes(2, "big")
    return path.local.address.packed + path.remote.address.packed + ports
