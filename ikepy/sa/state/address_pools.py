"""Which peer has which virtual address: leases by identity, kept when a peer goes (RFC 7296 3.15.1, 3.15.4).

An address belongs to the identity that had it last, until the pool has no other one left: then whoever is
away the longest loses his. So a peer that comes again, after a restart too, gets what it had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from ikepy.config.identity import Identity
from ikepy.config.pools import AddressRange, Pool
from ikepy.sa.api.leases import Lease, PoolState
from ikepy.sa.api.path import Address

MOST_LEASES = 16_384  # of all pools; of more, the oldest that nobody uses are forgotten


@dataclass(slots=True, eq=False)
class _Held:
    """`identity`: whose it is, the last one's that got it. `holders`: the IKE_SAs that use it, two while one
    follows the other."""

    address: Address
    identity: Identity
    holders: set[int] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class _Book:
    """The leases of one pool. `idle`: those that nobody uses, away the longest first; `idle_of`: by identity.

    `following`: the number of the first address that was never given; `returned`: given before, and free,
    about MOST_LEASES at most.
    """

    held: dict[Address, _Held] = field(default_factory=dict)
    idle: dict[Address, None] = field(default_factory=dict)
    idle_of: dict[Identity, dict[Address, None]] = field(default_factory=dict)
    following: int = 0
    returned: dict[Address, None] = field(default_factory=dict)

    def enter(self, address: Address, identity: Identity) -> _Held:
        """Let it belong to `identity` from now on; nobody uses it yet."""
        self.forget(address)
        self.returned.pop(address, None)
        lease = self.held[address] = _Held(address, identity)
        self.rest(lease)
        return lease

    def forget(self, address: Address) -> None:
        lease = self.held.pop(address, None)
        if lease is not None and address in self.idle:
            self._wake(lease)

    def use(self, lease: _Held, ike_id: int) -> None:
        lease.holders.add(ike_id)
        if lease.address in self.idle:
            self._wake(lease)

    def rest(self, lease: _Held) -> None:
        """Nobody uses it any more."""
        self.idle[lease.address] = None
        self.idle_of.setdefault(lease.identity.folded, {})[lease.address] = None

    def _wake(self, lease: _Held) -> None:
        del self.idle[lease.address]
        own = self.idle_of[lease.identity.folded]
        del own[lease.address]
        if not own:
            del self.idle_of[lease.identity.folded]

    def free(self, addrs: AddressRange, is_held: Callable[[Address], bool]) -> Address | None:
        """An address that belongs to nobody: a new one, or else one that was returned."""
        kind = IPv4Address if addrs.version == 4 else IPv6Address
        while self.following < addrs.size and len(self.returned) < MOST_LEASES:
            address = kind(int(addrs.first) + self.following)
            if not is_held(address):
                return address
            self.following += 1
        return next((one for one in self.returned if one in addrs and not is_held(one)), None)


_NOTHING = _Book()  # of a pool that nobody has had an address of; never written


class AddressPools:
    """All pools of a configuration, and the leases of those that it had before and that are in use."""

    def __init__(self, pools: Mapping[str, Pool]) -> None:
        self._pools = dict(pools)
        self._books: dict[str, _Book] = {}
        self._of: dict[int, dict[Address, str]] = {}  # by ike_id: what it holds, and of which pool
        self._count = 0

    def replace(self, pools: Mapping[str, Pool]) -> None:
        """Use other pools. What is in use stays with its peers, whatever the pools are now."""
        self._pools = dict(pools)
        for name, book in list(self._books.items()):
            pool = pools.get(name)
            for address in [one for one in book.idle if pool is None or one not in pool.addrs]:
                self._forget(book, address)
            book.returned = {one: None for one in book.returned if pool is not None and one in pool.addrs}
            book.following = 0
            if not book.held:
                del self._books[name]

    def covers(self, names: Iterable[str]) -> list[AddressRange]:
        """The addresses of these pools; a name that is not configured has none."""
        return [self._pools[name].addrs for name in names if name in self._pools]

    def pool_of(self, names: Sequence[str], address: Address) -> Pool | None:
        """That of the named pools which has this address."""
        pools = (self._pools[name] for name in names if name in self._pools)
        return next((one for one in pools if address in one.addrs), None)

    def choose(
        self,
        names: Sequence[str],
        identity: Identity,
        version: int,
        wish: Address | None,
        may_follow: Callable[[int], bool],
    ) -> Address | None:
        """An address of this IP version for `identity`, None if no pool has one; `hold` makes it its own.

        Its own goes before others, and of these the one that it wishes for. `may_follow`: whether it may have
        what an IKE_SA of its own identity uses, as it is about to take that one's place.
        """
        pools = [self._pools[name] for name in names if name in self._pools]
        pools = [pool for pool in pools if pool.addrs.version == version]
        books = [(pool, self._books.get(pool.name, _NOTHING)) for pool in pools]
        for pool, book in books:
            lease = None if wish is None or wish not in pool.addrs else book.held.get(wish)
            if lease is None or lease.identity.folded != identity.folded:
                continue
            if all(map(may_follow, lease.holders)):
                return lease.address
        own = (
            one for pool, book in books for one in book.idle_of.get(identity.folded, ()) if one in pool.addrs
        )
        absent = (one for pool, book in books for one in book.idle if one in pool.addrs)
        return next(own, None) or self._of_nobody(pools, wish) or next(absent, None)

    def _of_nobody(self, pools: Sequence[Pool], wish: Address | None) -> Address | None:
        """An address that belongs to nobody; the wish, if it is one."""
        if wish is not None and any(wish in pool.addrs for pool in pools) and not self._is_held(wish):
            return wish
        for pool in pools:
            address = self._books.setdefault(pool.name, _Book()).free(pool.addrs, self._is_held)
            if address is not None:
                return address
        return None

    def _is_held(self, address: Address) -> bool:
        return any(address in book.held for book in self._books.values())

    def hold(
        self, ike_id: int, names: Sequence[str], identity: Identity, addresses: Iterable[Address]
    ) -> None:
        """From now on this IKE_SA uses these addresses, and no others."""
        before, now = self._of.pop(ike_id, {}), dict.fromkeys(addresses, "")
        for address in now:
            now[address] = before.pop(address, "") or self._enter(ike_id, names, identity, address)
        if now:
            self._of[ike_id] = now
        for address, name in before.items():
            self._let_go(ike_id, name, address)

    def _enter(self, ike_id: int, names: Sequence[str], identity: Identity, address: Address) -> str:
        """Note that the IKE_SA uses it; returns the pool's name, which may be configured no more."""
        pool = self.pool_of(names, address)
        name = next((name for name, book in self._books.items() if address in book.held), None)
        name = name or ("" if pool is None else pool.name)
        book = self._books.setdefault(name, _Book())
        lease = book.held.get(address)
        if lease is None or (not lease.holders and lease.identity.folded != identity.folded):
            self._count += lease is None
            lease = book.enter(address, identity)
        lease.identity = identity  # even if others use it: an AAA server may frame one for several users
        book.use(lease, ike_id)
        self._forget_old()
        return name

    def _let_go(self, ike_id: int, name: str, address: Address) -> None:
        book = self._books[name]
        lease = book.held[address]
        lease.holders.discard(ike_id)
        if lease.holders:
            return
        book.rest(lease)
        pool = self._pools.get(name)
        if pool is None or address not in pool.addrs:
            self._forget(book, address)
            if not book.held:
                del self._books[name]

    def _forget(self, book: _Book, address: Address) -> None:
        book.forget(address)
        book.returned[address] = None
        self._count -= 1

    def _forget_old(self) -> None:
        """Bound the memory: identities are what peers call themselves."""
        if self._count <= MOST_LEASES:
            return
        book = max(self._books.values(), key=lambda one: len(one.idle))
        oldest = next(iter(book.idle), None)
        if oldest is not None:
            self._forget(book, oldest)

    def restore(self, leases: Iterable[Lease]) -> None:
        """Let these addresses belong to whom they belonged to, if they are configured and free."""
        for lease in leases:
            pool = self._pools.get(lease.pool)
            if pool is None or lease.address not in pool.addrs or self._is_held(lease.address):
                continue
            if self._count >= MOST_LEASES:
                return
            self._books.setdefault(lease.pool, _Book()).enter(lease.address, lease.identity)
            self._count += 1

    def leases(self) -> Iterator[Lease]:
        """All leases; of each pool those that nobody uses first, the oldest of them first."""
        for name, book in self._books.items():
            used = (address for address, lease in book.held.items() if lease.holders)
            for address in (*book.idle, *used):
                lease = book.held[address]
                yield Lease(name, address, lease.identity, bool(lease.holders))

    def states(self) -> list[PoolState]:
        """The configured pools as they are now."""
        found: dict[str, list[Lease]] = {}
        for lease in self.leases():
            found.setdefault(lease.pool, []).append(lease)
        return [
            PoolState(name, pool.addrs.base, pool.addrs.size, tuple(found.get(name, ())))
            for name, pool in self._pools.items()
        ]
