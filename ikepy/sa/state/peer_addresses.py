"""MOBIKE: keeps both ends' addresses and lists the paths to try (RFC 4555 3.4 to 3.6, 3.9)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address

from ikepy.sa.api.path import Address, Path
from ikepy.wire.constants import NotifyType
from ikepy.wire.payloads import NotifyPayload, Payload

MAX_ADDRESSES = 16  # of a peer, that we remember
MAX_WORKED = 4  # working paths remembered, beside the one in use
MOST_PROBED = 6  # other paths that one retransmission is copied to

_NOTIFIES = {4: NotifyType.ADDITIONAL_IP4_ADDRESS, 6: NotifyType.ADDITIONAL_IP6_ADDRESS}


@dataclass(slots=True)
class Mobike:
    """MOBIKE state of an IKE_SA, which its successors share.

    `initiator`: we were the original initiator, which chooses the path. `local`: our usable addresses, best
    first. `remote`: the peer's additional addresses. `worked`: paths on which the peer answered, the latest
    first, then those on which it only sent; later announcements don't remove them. `told_by`: ike_id and
    message ID of the last request that told where the peer is.
    """

    initiator: bool
    local: tuple[Address, ...] = ()
    remote: tuple[Address, ...] = ()
    worked: tuple[Path, ...] = ()
    searching: bool = False  # a request was sent on other paths than the one in use
    probed: int = 0  # how many untried paths the search has probed
    seen_as: bytes = b""  # the peer's last NAT_DETECTION_DESTINATION_IP: how it sees us
    told_by: tuple[int, int] = (0, 0)

    def is_newest(self, ike_id: int, message_id: int) -> bool:
        """Note a request that tells where the peer is. Whether none was heeded that it sent later: with a
        window of several requests they come in any order."""
        newest = (ike_id, message_id) > self.told_by
        self.told_by = max(self.told_by, (ike_id, message_id))
        return newest

    def paths(self, current: Path) -> list[Path]:
        """All address pairs of one family: with the current remote end first, then those that worked, then
        announced addresses, at the current port."""
        announced_ = (replace(current.remote, address=theirs) for theirs in self.remote)
        remotes = dict.fromkeys((current.remote, *(path.remote for path in self.worked), *announced_))
        locals_ = self.local or (current.local.address,)
        return [
            Path(replace(current.local, address=ours), theirs)
            for theirs in remotes
            for ours in locals_
            if ours.version == theirs.address.version
        ]

    def note_answer(self, path: Path) -> None:
        """Record that the peer answered on this path: it is probed first."""
        self.worked = tuple(dict.fromkeys((path, *self.worked)))[:MAX_WORKED]

    def note_heard(self, path: Path) -> None:
        """Record that the peer sends on this path: it ranks behind those on which the peer answered."""
        self.worked = tuple(dict.fromkeys((*self.worked, path)))[:MAX_WORKED]

    def probes(self, current: Path, usable: Callable[[Path], bool]) -> list[Path]:
        """Paths to retransmit on beside the current one: all that worked before, each time, then as many
        others as there is room for, in turn."""
        others = [path for path in self.paths(current) if path != current and usable(path)]
        known = [path for path in self.worked if path in others]
        rest = [path for path in others if path not in known]
        begin = self.probed % len(rest) if rest else 0
        turn = (rest[begin:] + rest[:begin])[: MOST_PROBED - len(known)]
        self.probed += len(turn)
        return known + turn

    def additional(self, current: Path) -> list[Payload]:
        """ADDITIONAL_IP4_ADDRESS and ADDITIONAL_IP6_ADDRESS notifies of our other addresses."""
        others = [a for a in self.local if a != current.local.address][:MAX_ADDRESSES]
        return [NotifyPayload(_NOTIFIES[a.version], a.packed) for a in others]


def usable(address: Address) -> bool:
    """Whether a host can have this address."""
    return not (address.is_multicast or address.is_unspecified)


def announced(payloads: Sequence[Payload]) -> tuple[Address, ...] | None:
    """The peer's additional addresses; None if the message announces nothing (RFC 4555 3.6)."""
    found = [p for p in payloads if isinstance(p, NotifyPayload) and p.notify in _NOTIFIES.values()]
    none = any(
        isinstance(p, NotifyPayload) and p.notify == NotifyType.NO_ADDITIONAL_ADDRESSES for p in payloads
    )
    if not found and not none:
        return None
    addresses: Iterable[Address] = (ip_address(p.data) for p in found)
    return tuple(dict.fromkeys(a for a in addresses if usable(a)))[:MAX_ADDRESSES]


def unchanged(payloads: Sequence[Payload], path: Path) -> bool:
    """Whether NO_NATS_ALLOWED, if present, matches the addresses the message came with (RFC 4555 3.9)."""
    return all(
        p.data == _written(Path(path.remote, path.local))
        for p in payloads
        if isinstance(p, NotifyPayload) and p.notify == NotifyType.NO_NATS_ALLOWED
    )


def no_nats_allowed(path: Path) -> NotifyPayload:
    """The NO_NATS_ALLOWED notify to send on `path` if the peer does not support NAT traversal."""
    return NotifyPayload(NotifyType.NO_NATS_ALLOWED, _written(path))


def _written(path: Path) -> bytes:
    ports = path.local.port.to_bytes(2, "big") + path.remote.port.to_bytes(2, "big")
    return path.local.address.packed + path.remote.address.packed + ports
