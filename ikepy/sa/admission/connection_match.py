"""Finds the connection for a peer: by addresses first, by identities in IKE_AUTH (RFC 7296 1.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from ikepy.config.identity import Identity
from ikepy.config.model import AuthRemote, Config, Connection, DnsName
from ikepy.sa.api.names import NameTable
from ikepy.sa.api.path import Address, Path
from ikepy.sa.negotiation import proposals
from ikepy.wire.proposal import Proposal

MOST_LOOKED_AT = 256  # connections whose authentication is looked at: mostly it is the same
MOST_PATHS = 256  # address pairs for which the candidates are cached


@dataclass(frozen=True, slots=True)
class Wanted:
    """How peers of some connections have to authenticate. `several`: in several rounds; `by_key`: either end
    by a public key; `by_secret`: the peer by a pre-shared one; `experimental`: ML-DSA; `ask`: for
    certificates; `ask_ocsp`: for OCSP responses about them; `remotes`: how those with a public key, each way
    once."""

    several: bool
    by_key: bool
    by_secret: bool
    experimental: bool
    ask: bool
    ask_ocsp: bool
    remotes: tuple[AuthRemote, ...]


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

    @cached_property
    def wanted(self) -> Wanted:
        """How the peer may have to authenticate."""
        looked_at = self.connections[:MOST_LOOKED_AT]
        remotes = [one for each in looked_at for one in each.remotes]
        keys = {_essence(one): one for one in remotes if one.auth.kind == "pubkey"}
        return Wanted(
            several=any(len(one.locals) > 1 or len(one.remotes) > 1 for one in looked_at),
            by_key=any("pubkey" in one.methods for one in looked_at),
            by_secret=any(one.auth.kind == "psk" for one in remotes),
            experimental=any(one.experimental_mldsa for one in looked_at),
            ask=any(one.send_certreq for one in looked_at),
            ask_ocsp=any(one.send_certreq and one.asks_ocsp for one in looked_at),
            remotes=tuple(keys.values()),
        )

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


def _essence(auth: AuthRemote) -> tuple[object, ...]:
    """What decides which keys and CAs are accepted."""
    return auth.auth, auth.certs, auth.cacerts, auth.pubkeys, auth.ca_id, auth.hash_and_url


def _fits(
    connection: Connection, chosen: Proposal, id_r: Identity | None, id_i: Identity, local_address: Address
) -> bool:
    own = connection.local.own_id or Identity.of_address(local_address)
    if id_r is not None and id_r.folded != own.folded:  # a name in a certificate has its own kinds of strings
        return False
    return id_i.matches(connection.remote.id) and proposals.select(connection.proposals, [chosen]) is not None


def _score(connection: Connection, path: Path, names: NameTable) -> int | None:
    local = _address_score(connection.local_addrs, path.local.address, names)
    remote = _address_score(connection.remote_addrs, path.remote.address, names)
    return None if local is None or remote is None else local + 4 * remote


def permits(patterns: Iterable[object], address: Address, names: NameTable) -> bool:
    """Whether one of a connection's address patterns matches `address`."""
    return _address_score(patterns, address, names) is not None


def is_single(pattern: object) -> bool:
    """Whether a pattern means exactly one address."""
    return isinstance(pattern, IPv4Address | IPv6Address)


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
