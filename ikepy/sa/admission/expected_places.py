"""Knows where peers are expected: at configured addresses, or where one authenticated recently.

This is asked after the COOKIE exchange, so a source does receive at its address. It may be an attacker all
the same, behind the same NAT or in the same network. Expected places get a CPU budget of their own, in which
each place has its share (`ikepy.sa.admission.cpu_budget`).
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from ikepy.config.model import Config
from ikepy.sa.admission.auth_failures import AuthFailures
from ikepy.sa.api.log_source import PREFIX_LENGTHS, Prefix
from ikepy.sa.api.names import NameTable
from ikepy.sa.api.path import Address

Place = Address | Prefix


class ExpectedPlaces:
    """The places in a configuration's `remote_addrs`, and those where a peer authenticated recently.

    Networks count only if no larger than what commonly has one holder (`ikepy.sa.api.log_source`).
    """

    def __init__(self, config: Config, failures: AuthFailures, names: NameTable) -> None:
        self._config = config
        self._failures = failures
        self._names = names
        self._changes = -1
        self._read()

    def _read(self) -> None:
        """Read the places anew if what names mean has changed."""
        if self._changes == self._names.changes:
            return
        self._changes = self._names.changes
        self._places: dict[tuple[int, int, int], Place] = {}  # by version, length and leading bits
        for connection in self._config.connections.values():
            for address in self._names.fixed(connection.remote_addrs):
                self._places[_key(address, address.max_prefixlen)] = address
            for pattern in connection.remote_addrs:
                if isinstance(pattern, IPv4Network | IPv6Network) and _is_small(pattern):
                    self._places[_key(pattern.network_address, pattern.prefixlen)] = pattern
        lengths = {(version, length) for version, length, _ in self._places}
        self._lengths = {
            version: sorted((length for other, length in lengths if other == version), reverse=True)
            for version in PREFIX_LENGTHS
        }

    def place(self, address: Address, now: float) -> Place | None:
        """The smallest configured place with `address`, or the address itself if a peer was there recently.

        None: no peer is expected there.
        """
        return self.named(address) or (address if self._failures.known(address, now) else None)

    def network(self, address: Address) -> Place:
        """What an expected address is aggregated under: the configured place that contains it, or itself."""
        return self.named(address) or address

    def named(self, address: Address) -> Place | None:
        """The smallest configured place that contains `address`, None if there is none."""
        self._read()
        for length in self._lengths[address.version]:
            found = self._places.get(_key(address, length))
            if found is not None:
                return found
        return None


def _is_small(network: Prefix) -> bool:
    return network.prefixlen >= PREFIX_LENGTHS[network.version]


def _key(address: Address, length: int) -> tuple[int, int, int]:
    return address.version, length, int(address) >> (address.max_prefixlen - length)
