"""VICI's commands for pools of virtual addresses: load-pool, unload-pool, get-pools.

They are kept and listed; no peer is given an address of them yet, so that all are free.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_interface, ip_network

from ikepy.config.values import Address
from ikepy.daemon.vici import arguments
from ikepy.daemon.vici.control_commands import SUCCESS
from ikepy.daemon.vici.message import Decoded, Pairs, Value, ViciError
from ikepy.daemon.vici.vici_client import Stream, failure

MOST = 1024
MOST_BITS = 31  # of a pool's addresses, as charon has them
ADDRESS_BITS = {4: 32, 6: 128}
ATTRIBUTES = frozenset(
    {"address", "dns", "nbns", "dhcp", "netmask", "server", "subnet", "split_include", "split_exclude"}
)
LARGEST = 2**15 - 1  # an attribute's type (RFC 7296 3.15.1)


@dataclass(frozen=True, slots=True)
class Pool:
    """`size`: how many addresses it has, from `base` on, or one after it if that is the network's own.

    `attributes`: what else peers are told, by charon's name or the number of the type.
    """

    base: Address
    size: int
    attributes: tuple[tuple[str, bytes], ...] = ()


@dataclass(slots=True)
class LoadPools:
    """Executes them."""

    _pools: dict[str, Pool] = field(default_factory=dict)

    async def load_pool(self, given: Decoded, _: Stream) -> Pairs:
        """Keep the pools of the message, each in place of one of its name; none if one is bad."""
        loaded = {name: _pool(name, value) for name, value in given.items()}
        if len(self._pools.keys() | loaded.keys()) > MOST:
            return failure(f"there are {MOST} pools at most: unload some")
        self._pools |= loaded
        return SUCCESS

    async def unload_pool(self, given: Decoded, _: Stream) -> Pairs:
        arguments.unknown(given, ("name",))
        name = arguments.text(given, "name")
        if name is None:
            return failure("missing pool name to unload")
        if self._pools.pop(name, None) is None:
            return failure(f"{name} not found")
        return SUCCESS

    async def get_pools(self, given: Decoded, _: Stream) -> Pairs:
        arguments.unknown(given, ("leases", "name"))
        leases: dict[str, Value] = {"leases": {}} if arguments.boolean(given, "leases") else {}
        wanted = arguments.text(given, "name")
        return [
            (name, {"base": _shown(pool.base), "size": pool.size, "online": 0, "offline": 0, **leases})
            for name, pool in self._pools.items()
            if wanted in (None, name)
        ]


def _shown(address: Address) -> str:
    """charon's word for 0.0.0.0 is %any."""
    return str(address) if int(address) else "%any" if address.version == 4 else "%any6"


def _pool(name: str, value: bytes | list[bytes] | Decoded) -> Pool:
    """What a section says. Raises ViciError."""
    if not isinstance(value, dict) or not name.isprintable():
        raise ViciError(f"pools.{name[:40]!r} must be a section with a printable name")
    addrs = arguments.text(value, "addrs")
    if addrs is None:
        raise ViciError(f"missing addrs for pool '{name}'")
    attributes = [
        (key, item) for key, items in value.items() if key != "addrs" for item in _items(key, items)
    ]
    try:
        base, size = _range(addrs) if "-" in addrs else _subnet(addrs)
    except ValueError:
        allowed = "a network like 10.3.0.0/24, or a range like 10.3.0.5-10.3.0.9"
        raise ViciError(f"invalid addrs value: pools.{name}.addrs; allowed: {allowed}") from None
    return Pool(base, size, tuple(attributes))


def _subnet(text: str) -> tuple[Address, int]:
    """Without the network's own address and the last one, which no host has."""
    interface = ip_interface(text)
    bits = min(ADDRESS_BITS[interface.version] - interface.network.prefixlen, MOST_BITS)
    size, within = 2**bits, int(interface.ip) % 2**bits
    if size > 2:
        return interface.ip, size - max(within, 1) - 1
    return interface.ip, size - bool(within)


def _range(text: str) -> tuple[Address, int]:
    first, last = (ip_address(one.strip()) for one in text.split("-", 1))
    size = int(last) - int(first) + 1
    if first.version != last.version or not 1 <= size <= 2**32 or int(first) >> 32 != int(last) >> 32:
        raise ValueError("no range")
    return first, size


def _items(key: str, items: bytes | list[bytes] | Decoded) -> list[bytes]:
    """The values of an attribute, which for those with a name are addresses or networks."""
    number = int(key) if key.isascii() and key.isdigit() and len(key) < 6 else 0
    if not isinstance(items, list) or not (key in ATTRIBUTES or 1 <= number <= LARGEST):
        raise ViciError(f"invalid attribute: {key[:40]!r}; allowed: addrs, and lists of {sorted(ATTRIBUTES)}")
    for item in items if key in ATTRIBUTES else ():
        try:
            word = item.decode()
            ip_network(word, strict=False) if "/" in word else ip_address(word)
        except ValueError:
            raise ViciError(f"invalid attribute value for {key}") from None
    return items
