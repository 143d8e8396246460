"""Handles acquires: finds the child that a packet without an SA needs (RFC 4301 4.4.1)."""

from __future__ import annotations

from ikepy.config.model import Child, Connection
from ikepy.sa.admission.rate_limit import Backoff
from ikepy.sa.api.commands import Acquire
from ikepy.sa.api.path import Address
from ikepy.sa.negotiation.ts_request import Pair, Selectors, pair_of
from ikepy.sa.setup.address_turns import Resolve
from ikepy.sa.setup.demand import Demand
from ikepy.sa.state.ike_sa import Registry
from ikepy.sa.state.phase import Phase
from ikepy.sa.tasks import desired

ACQUIRE_FIRST = 1.0  # seconds before a packet may ask again for a child that did not come up; doubles up to
ACQUIRE_LONGEST = 32.0


class Acquires:
    """Turns packets into demands for children, rate-limited by child and selectors."""

    def __init__(self, registry: Registry, resolve: Resolve) -> None:
        self._registry = registry
        self._resolve = resolve
        self._acquired = Backoff(ACQUIRE_FIRST, ACQUIRE_LONGEST)

    def demand(self, command: Acquire, now: float) -> Demand | str | None:
        """A demand for a trapped child, or for another SA beside a narrow one that does not carry the packet.

        If a child should be started but can't, a text with the reason, rate-limited like demands. None if no
        child is wanted, or it is on its way.
        """
        connection = self._registry.config.connections.get(command.connection)
        if connection is None or self._registry.stopping:
            return None
        packet = Pair(command.source, command.destination)
        found = self._resolve(connection, ())
        if isinstance(found, str):
            return self._nowhere(connection, packet, found, now)
        local = self._virtual(connection) or found[:1]
        waiting = [
            (pair.width, child.name, pair)
            for child in connection.children.values()
            if (pair := _pair(child, packet, local, found[1])) is not None
            and self._waits_for(connection, child, packet)
        ]
        if not waiting:
            return None
        _, name, pair = min(waiting)  # the narrowest
        if self._is_coming(connection, name) or not self._acquired.allow((connection.name, name, pair), now):
            return None
        return Demand(connection, (name,), packet=packet)

    def _virtual(self, connection: Connection) -> tuple[Address, ...]:
        """Our virtual addresses, which "dynamic" means as soon as there are any."""
        sas = self._registry.of_connection(connection.name)
        return tuple(dict.fromkeys(one.ip for sa in sas for one in sa.network.addresses))

    def _nowhere(self, connection: Connection, packet: Pair, why: str, now: float) -> str | None:
        names = [name for name in connection.children if self._registry.waits_for_packets(connection, name)]
        if not names or not self._acquired.allow((connection.name, ""), now):
            return None
        return (
            f"{', '.join(names)} should start for the packet {packet}, and can't: {why}; once that is "
            "mended, the next packet starts it"
        )

    def _waits_for(self, connection: Connection, child: Child, packet: Pair) -> bool:
        """Whether a packet with these selectors is to bring this child up."""
        if self._registry.waits_for_packets(connection, child.name):
            return True
        return any(
            sa.children.lacks(child.name, packet) for sa in self._registry.of_connection(connection.name)
        )

    def _is_coming(self, connection: Connection, child: str) -> bool:
        """Whether an IKE_SA of the connection is about to bring this child up, or busy with another task."""
        return any(
            desired.wants(sa, child) or (sa.phase is Phase.CONNECTING and sa.initiator) or sa.tasks.busy
            for sa in self._registry.of_connection(connection.name)
        )


def _pair(child: Child, packet: Pair, local: tuple[Address, ...], remote: Address) -> Pair | None:
    """The pair of the child's selectors that permits the packet; None if none does."""
    return pair_of(Selectors(child.local_selectors(*local), child.remote_selectors(remote)), packet)
