"""Has peers' DNS names looked up again when a request comes from where none of them is known to be.

Anybody can send such requests, from any address: a name is asked for again after REFRESH seconds at the
earliest, and all names together at most PER_SECOND times a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ikepy.config.model import Config, DnsName
from ikepy.sa.admission.rate_limit import Rate
from ikepy.sa.api.effects import LookUp
from ikepy.sa.api.names import names_of

REFRESH = 10.0  # seconds
PER_SECOND = 10.0
AT_ONCE = 10  # names in one look-up
PATIENCE = 30.0  # seconds after which a look-up counts as answered


class NameRefresh:
    """Looks after the names in the connections' `remote_addrs`."""

    def __init__(self, new_ticket: Callable[[], int]) -> None:
        self._new_ticket = new_ticket
        self._rate = Rate(PER_SECOND)
        self._asked: dict[DnsName, float] = {}  # when, the longest ago first
        self._open: dict[int, float] = {}  # look-ups under way, by ticket: until when they are waited for

    def configure(self, config: Config) -> None:
        """These are the connections now."""
        names = {
            name for connection in config.connections.values() for name in names_of(connection.remote_addrs)
        }
        never = float("-inf")
        kept = {name: at for name, at in self._asked.items() if name in names}
        self._asked = {**dict.fromkeys(sorted(names - kept.keys()), never), **kept}

    def ask(self, now: float) -> list[LookUp]:
        """The look-up to begin now that somebody came from an unknown place; none if there was one lately."""
        due = list(self._take(now))
        if not due:
            return []
        ticket = self._new_ticket()
        self._open[ticket] = now + PATIENCE
        return [LookUp(ticket, tuple(due))]

    def _take(self, now: float) -> Iterable[DnsName]:
        for name, at in list(self._asked.items())[:AT_ONCE]:
            if at + REFRESH > now or not self._rate.allow(now):
                return
            del self._asked[name]
            self._asked[name] = now
            yield name

    def under_way(self, now: float) -> bool:
        """Whether a look-up may still tell where a peer is."""
        for ticket in [ticket for ticket, until in self._open.items() if until <= now]:
            del self._open[ticket]
        return bool(self._open)

    def looked_up(self, ticket: int) -> bool:
        """A look-up has ended. Whether it was one of these."""
        return self._open.pop(ticket, None) is not None
