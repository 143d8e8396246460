"""Counts rekeys and IKE messages, in all and by connection, as strongSwan's `counters` plugin does for
`get-counters`.

Messages are counted as they are on the wire: a retransmission counts again, of a fragmented message (RFC
7383) the first fragment. Whose an IKE_SA is, is known once it is up; what went before is then its
connection's, too.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping

from ikepy.daemon.bus.daemon_events import ConnectionRemoved
from ikepy.daemon.bus.event_bus import EventBus
from ikepy.sa.api.events import ChildRekeyed, IkeDown, IkeRekeyed, IkeUp
from ikepy.sa.api.unserved import Unserved
from ikepy.wire.constants import ExchangeType, PayloadType

MOST_UNKNOWN = 1024  # IKE_SAs that are not up yet; the oldest is forgotten when there are more
MOST_REKEYED = 1024  # IKE_SAs that others have replaced, whose last exchange is still to come; as above
HEADER = 28  # octets (RFC 7296 3.1)
RESPONSE = 0x20  # flag
_EXCHANGES: dict[int, str] = {
    ExchangeType.IKE_SA_INIT: "ike-init",
    ExchangeType.IKE_AUTH: "ike-auth",
    ExchangeType.CREATE_CHILD_SA: "create-child",
    ExchangeType.INFORMATIONAL: "info",
}
_INVALID = (Unserved.MALFORMED, Unserved.MALFORMED_INIT)
NAMES = (
    *("ike-rekey-init", "ike-rekey-resp", "child-rekey", "invalid", "invalid-spi"),
    *(
        f"{exchange}-{way}-{kind}"
        for exchange in _EXCHANGES.values()
        for way in ("in", "out")
        for kind in ("req", "resp")
    ),
)


class ExchangeCounters:
    """The counters of one daemon. `unserved`: the machine's counters of messages by reason."""

    def __init__(self, bus: EventBus, unserved: Callable[[], Mapping[str, int]]) -> None:
        self._unserved = unserved
        self._all: Counter[str] = Counter()
        self._of: dict[str, Counter[str]] = {}
        self._up: dict[bytes, str] = {}  # connections by the initiator's SPI
        self._rekeyed_of: OrderedDict[bytes, str] = OrderedDict()  # the same of those that were replaced
        self._unknown: OrderedDict[bytes, Counter[str]] = OrderedDict()  # what is counted of others
        self._invalid_before = self._invalid()  # at the last reset
        bus.listen((IkeUp,), self._is_up)
        bus.listen((IkeDown,), self._is_down)
        bus.listen((IkeRekeyed,), self._rekeyed)
        bus.listen((ChildRekeyed,), self._child_rekeyed)
        bus.listen((ConnectionRemoved,), self._removed)

    def received(self, datagram: bytes) -> None:
        """An IKE message came in."""
        self._message(datagram, "in")

    def sent(self, datagram: bytes) -> None:
        """An IKE message goes out."""
        self._message(datagram, "out")

    def get(self, connection: str | None) -> dict[str, int] | None:
        """All counters, of a connection or (None) in all; None if nothing was counted for the connection."""
        if connection is not None:
            counted = self._of.get(connection)
            return None if counted is None else {name: counted[name] for name in NAMES}
        now, before = self._invalid(), self._invalid_before
        return {name: self._all[name] for name in NAMES} | {key: now[key] - before[key] for key in now}

    @property
    def connections(self) -> tuple[str, ...]:
        """Those for which something was counted."""
        return tuple(sorted(self._of))

    def reset(self, connection: str | None, *, every: bool = False) -> None:
        """Begin at 0 again: those of a connection, in all (None), or of every connection."""
        if every:
            self._of.clear()
        elif connection is None:
            self._all.clear()
            self._invalid_before = self._invalid()
        else:
            self._of.pop(connection, None)

    def _invalid(self) -> dict[str, int]:
        unserved = self._unserved()
        return {
            "invalid": sum(unserved.get(reason.value, 0) for reason in _INVALID),
            "invalid-spi": unserved.get(Unserved.UNKNOWN_SPI.value, 0),
        }

    def _message(self, datagram: bytes, way: str) -> None:
        exchange = _EXCHANGES.get(datagram[18]) if len(datagram) >= HEADER else None
        if exchange is None or not _is_first(datagram):
            return
        name = f"{exchange}-{way}-{'resp' if datagram[19] & RESPONSE else 'req'}"
        self._all[name] += 1
        spi = datagram[:8]
        connection = self._up.get(spi) or self._rekeyed_of.get(spi)
        if connection is not None:
            self._count(connection, name)
            return
        counted = self._unknown.setdefault(spi, Counter())
        counted[name] += 1
        if len(self._unknown) > MOST_UNKNOWN:
            self._unknown.popitem(last=False)

    def _count(self, connection: str, name: str) -> None:
        self._of.setdefault(connection, Counter())[name] += 1

    def _is_up(self, event: IkeUp) -> None:
        self._up[event.sa.spi_i] = event.sa.connection
        before = self._unknown.pop(event.sa.spi_i, Counter())
        self._of.setdefault(event.sa.connection, Counter()).update(before)

    def _is_down(self, event: IkeDown) -> None:
        self._up.pop(event.sa.spi_i, None)

    def _rekeyed(self, event: IkeRekeyed) -> None:
        self._up.pop(event.old.spi_i, None)
        self._rekeyed_of[event.old.spi_i] = event.new.connection  # its DELETE is still to come
        if len(self._rekeyed_of) > MOST_REKEYED:
            self._rekeyed_of.popitem(last=False)
        self._up[event.new.spi_i] = event.new.connection
        self._rekey(event.new.connection, "ike-rekey-init" if event.new.initiator else "ike-rekey-resp")

    def _child_rekeyed(self, event: ChildRekeyed) -> None:
        self._rekey(event.sa.connection, "child-rekey")

    def _removed(self, event: ConnectionRemoved) -> None:
        for spi in [spi for spi, name in self._rekeyed_of.items() if name == event.connection]:
            del self._rekeyed_of[spi]
        self.reset(event.connection)

    def _rekey(self, connection: str, name: str) -> None:
        self._all[name] += 1
        self._count(connection, name)


def _is_first(datagram: bytes) -> bool:
    """Whether a message is whole, or its first fragment (RFC 7383 2.5)."""
    if datagram[16] != PayloadType.SKF:
        return True
    return int.from_bytes(datagram[HEADER + 4 : HEADER + 6], "big") == 1
