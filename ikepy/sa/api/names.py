"""What the DNS names of the configuration mean, as they were looked up last.

The daemon writes this table, and the IKE machine and the devices read it. While no name server answers, a
name keeps the addresses that it had: they are tried, and a peer that comes from there is still known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from ikepy.config.model import DnsName
from ikepy.sa.api.path import Address

MOST = 16  # addresses of a name that are used


@dataclass(frozen=True, slots=True)
class Meaning:
    """`addresses`: the last ones known, in the resolver's order (RFC 6724). `failure`: why the last look-up
    gave none, "" if it did."""

    addresses: tuple[Address, ...] = ()
    failure: str = "not looked up yet"


UNKNOWN = Meaning()


class NameTable:
    """`changes` counts how often anything changed that a name means."""

    def __init__(self) -> None:
        self._known: dict[DnsName, Meaning] = {}
        self.changes = 0

    def meaning(self, name: DnsName) -> Meaning:
        return self._known.get(name, UNKNOWN)

    def addresses(self, name: DnsName) -> tuple[Address, ...]:
        """Those that were found last."""
        return self.meaning(name).addresses

    def learn(self, name: DnsName, found: Iterable[Address]) -> None:
        """Note what a look-up gave."""
        self._set(name, Meaning(tuple(dict.fromkeys(found))[:MOST], ""))

    def fail(self, name: DnsName, why: str, *, gone: bool) -> None:
        """Note why a look-up gave nothing. `gone`: the name has no address any more, by a server's word."""
        self._set(name, Meaning(() if gone else self.addresses(name), why))

    def _set(self, name: DnsName, meaning: Meaning) -> None:
        self.changes += set(meaning.addresses) != set(self.addresses(name))
        self._known[name] = meaning

    def keep(self, names: Collection[DnsName]) -> None:
        """Forget all other names: they are not configured any more."""
        for name in [name for name in self._known if name not in names]:
            self.changes += bool(self._known.pop(name).addresses)

    def fixed(self, patterns: Iterable[object]) -> list[Address]:
        """The single addresses among a connection's patterns, those that names mean in their places."""
        found: dict[Address, None] = {}
        for one in patterns:
            if isinstance(one, IPv4Address | IPv6Address):
                found[one] = None
            elif isinstance(one, DnsName):
                found.update(dict.fromkeys(self.addresses(one)))
        return list(found)

    def failures(self, patterns: Iterable[object]) -> list[str]:
        """Why names among a connection's patterns could not be looked up last."""
        return [
            f"{one}: {self.meaning(one).failure}" for one in names_of(patterns) if self.meaning(one).failure
        ]


def names_of(patterns: Iterable[object]) -> tuple[DnsName, ...]:
    """The names among a connection's `local_addrs` or `remote_addrs`."""
    return tuple(one for one in patterns if isinstance(one, DnsName))
