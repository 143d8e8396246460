"""Finds the connection for a peer: by addresses first, by identities in IKE_AUTH (RFC 7296 1.2)."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from ikepy.config.identity import Identity
from ikepy.config.model import Config, Connection, DnsName
from ikepy.sa.api.names import NameTable
from ikepy.sa.api.path import Address, Path
from ikepy.sa.negotiation import proposals
from ikepy.wire.proposal import Proposal

MOST_PATHS = 256  # address pairs for which the candidates are cached


class Candidates:
    """The connections that may be meant, best address match first. There may be thousands."""

    def __init__(self, connections: Iterable[Connection]) -> None:
        self.connections = tuple(connections)
        # One connection for each distinct list of IKE proposals: the first.
        self.offers = tuple({one.proposals: one for one in reversed(self.connections)}.values())[::-1]
        self._ranks = {one.name: rank for rank, one in enumerate(self.connections)}
        self._named: dict[Identity, list[Connection]] = {}
        self._unnamed: list[Connection] = []  # whose remote identity is any, or a pattern
        for one in self.connections:
            name = one.remote.id
            if name is None or name.is_pattern:
                self._unnamed.append(one)
            else:
                self._named.setdefault(name.folded, []).append(one)

    def __bool__(self) -> bool:
        return bool(self.connections)

    def match(
        self, chosen: Proposal, id_r: Identity | None, id_i: Identity, local_address: Address
    ) -> Connection | None:
        """The connection for a peer that claims `id_i` and asks for `id_r`; exact identities win.

        Only connections that permit the chosen IKE proposal are considered.
        """
        for kind in (self._named.get(id_i.folded, ()), self._unnamed):
            found = [one for one in kind if _fits(one, chosen, id_r, id_i, local_address)]
            if found:
                return min(found, key=lambda one: (one.remote.id is None, self._ranks[one.name]))
        return None


NOBODY = Candidates(())


class ConnectionMatch:
    """Looks up candidates by address pair; equal sets of candidates are stored once."""

    def __init__(self, config: Config, names: NameTable) -> None:
        self._names = names
        self._changes = names.changes  # of the names that the cached candidates are of
        self._connections = tuple(config.connections.values())
        self._known: dict[tuple[Address, Address], Candidates] = {}
        self._sets: dict[tuple[str, ...], Candidates] = {}

    def candidates(self, path: Path) -> Candidates:
        """The connections whose addresses permit this path."""
        if self._changes != self._names.changes:
            self._changes = self._names.changes
            self._known.clear()
            self._sets.clear()
        key = path.local.address, path.remote.address
        found = self._known.get(key)
        if found is None:
            scores = ((_score(one, path, self._names), one) for one in self._connections)
            scored = [(score, one) for score, one in scores if score is not None]
            scored.sort(key=lambda pair: -pair[0])
            if len(self._known) >= MOST_PATHS:
                self._known.clear()
                self._sets.clear()
            names = tuple(one.name for _, one in scored)
            found = self._sets.get(names) or Candidates(one for _, one in scored)
            self._known[key] = self._sets[names] = found
        return found


def _fits(
    connection: Connection, chosen: Proposal, id_r: Identity | None, id_i: Identity, local_address: Address
) -> bool:
    if id_r is not None and id_r != (connection.local.id or Identity.of_address(local_address)):
        return False
    return id_i.matches(connection.remote.id) and proposals.select(connection.proposals, [chosen]) is not None


def _score(connection: Connection, path: Path, names: NameTable) -> int | None:
    local = _address_score(connection.local_addrs, path.local.address, names)
    remote = _address_score(connection.remote_addrs, path.remote.address, names)
    return None if local is None or remote is None else local + 4 * remote


def permits(patterns: Iterable[object], address: Address, names: NameTable) -> bool:
    """Whether one of a connection's address patterns matches `address`."""
    return _address_score(patterns, address, names) is not None


def _address_score(patterns: Iterable[object], address: Address, names: NameTable) -> int | None:
    """3: exact address, or what a name means; 2: in a network, 0: %any; None: no match."""
    best: int | None = None
    for pattern in patterns:
        score: int | None = None
        if isinstance(pattern, IPv4Address | IPv6Address):
            score = 3 if pattern == address else None
        elif isinstance(pattern, IPv4Network | IPv6Network):
            score = 2 if address in pattern else None
        elif isinstance(pattern, DnsName):
            score = 3 if address in names.addresses(pattern) else None
        else:
            score = 0
        if score is not None and (best is None or score > best):
            best = score
    return best
