"""Both ends' addresses, and which pair of them to use (RFC 4555 3.4 to 3.6, 3.9)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address

from ikepy.sa.api.path import Address, Path
from ikepy.wire.constants import NotifyType
from ikepy.wire.payloads import NotifyPayload, Payload

MAX_ADDRESSES = 16  # of a peer's that we remember
MAX_WORKED = 4  # paths that worked, beside the one in use
MOST_PROBED = 6  # paths beside the one in use that a request is sent again on, in one go

_NOTIFIES = {4: NotifyType.ADDITIONAL_IP4_ADDRESS, 6: NotifyType.ADDITIONAL_IP6_ADDRESS}


@dataclass(slots=True)
class Mobike:
    """What an IKE_SA between two ends that speak MOBIKE knows; its successors share it.

    `initiator`: whether we began the first IKE_SA of the series, so that it is for us to choose the path.
    `local`: our usable addresses, best first. `remote`: the peer's, beside the one in use. `worked`: paths
    that the peer answered on, the last one first, then those that it was heard on; whatever it announces
    later, they are not forgotten.
    """

    initiator: bool
    local: tuple[Address, ...] = ()
    remote: tuple[Address, ...] = ()
    worked: tuple[Path, ...] = ()
    searching: bool = False  # a request was sent on other paths than the one in use
    probed: int = 0  # how many of the untried paths the search has been through
    seen_as: bytes = b""  # the peer's last NAT_DETECTION_DESTINATION_IP: how it sees us

    def paths(self, current: Path) -> list[Path]:
        """All pairs of addresses of one family: those with the current remote end first, then with one that
        worked. An announced address is tried at the current port."""
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
        """The peer answered on this path."""
        self.worked = tuple(dict.fromkeys((path, *self.worked)))[:MAX_WORKED]

    def note_heard(self, path: Path) -> None:
        """The peer sends from there: reason to look for it there, but none to forget where it answered."""
        self.worked = tuple(dict.fromkeys((*self.worked, path)))[:MAX_WORKED]

    def probes(self, current: Path, usable: Callable[[Path], bool]) -> list[Path]:
        """Where a request is sent again beside the current path: where the peer was met before, each time;
        then as many others as there is room for, in turn."""
        others = [path for path in self.paths(current) if path != current and usable(path)]
        known = [path for path in self.worked if path in others]
        rest = [path for path in others if path not in known]
        begin = self.probed % len(rest) if rest else 0
        turn = (rest[begin:] + rest[:begin])[: MOST_PROBED - len(known)]
        self.probed += len(turn)
        return known + turn

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
