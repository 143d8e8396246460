"""Tries the addresses of a peer in turn: after a failed set-up the next one that did not fail yet."""

from __future__ import annotations

from collections.abc import Callable, Collection

from ikepy.config.model import Connection, DnsName
from ikepy.sa.api.path import Address

# Gives a connection's addresses, ours and the peer's, or a text that says why one is unknown. Of several of
# the peer's the first that is not among the given ones, with which set-ups failed; else the first.
Resolve = Callable[[Connection, Collection[Address]], tuple[Address, Address] | str]

NONE: frozenset[Address] = frozenset()
MOST = 64  # addresses: a name may mean others at each try


class AddressTurns:
    """Knows, by connection, the peer's addresses that failed since one was reached or all were tried."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._failed: dict[str, set[Address]] = {}

    def next(self, connection: Connection) -> tuple[Address, Address] | str:
        """Our address and the peer's for the next try; or a text that says why there is none."""
        return self._resolve(connection, self._failed.get(connection.name, NONE))

    def of_redirect(
        self, connection: Connection, gateway: Address | DnsName
    ) -> tuple[Address, Address] | str:
        """Our address and that of a gateway that we were sent to; or a text that says why there is none."""
        return self._resolve(connection.model_copy(update={"remote_addrs": (gateway,)}), NONE)

    def has_another(self, connection: Connection) -> bool:
        """Whether the peer has an address besides those that failed, if any failed."""
        failed = self._failed.get(connection.name)
        found = self.next(connection) if failed else ""
        return not isinstance(found, str) and found[1] not in (failed or NONE)

    def begun(self, connection: Connection, address: Address) -> None:
        """A set-up goes to this address. If it has failed before, all have: it begins a new round."""
        if address in self._failed.get(connection.name, NONE):
            del self._failed[connection.name]

    def fails(self, connection: Connection, address: Address) -> None:
        """A set-up with this address failed, or the peer is silent there."""
        known = self._failed.setdefault(connection.name, set())
        if len(known) >= MOST:
            known.clear()
        known.add(address)

    def succeeds(self, connection: Connection) -> None:
        """The peer was reached: the next set-up begins with its first address again."""
        self._failed.pop(connection.name, None)

    def keep(self, connections: Collection[str]) -> None:
        """Forget other connections: they are not configured any more."""
        for name in [name for name in self._failed if name not in connections]:
            del self._failed[name]
