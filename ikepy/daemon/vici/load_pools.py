"""VICI's commands for pools of virtual addresses: load-pool, unload-pool, get-pools.

Pools that came by VICI are a layer above the file's (`ikepy.config.layers`), as connections are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ikepy.config import toml_source
from ikepy.config.layers import Layers
from ikepy.config.model import Pool
from ikepy.config.values import Address
from ikepy.daemon.desired_config import DesiredConfig
from ikepy.daemon.vici import arguments
from ikepy.daemon.vici.control_commands import SUCCESS
from ikepy.daemon.vici.message import Decoded, Pairs, Value, ViciError
from ikepy.daemon.vici.vici_client import Stream, failure
from ikepy.errors import ConfigError, LocalMisuse
from ikepy.sa.api.leases import PoolState

MOST = 1024
SOURCE = "VICI"  # what errors call it
ALLOWED = sorted(Pool.model_fields.keys() - {"name", "attributes"})
LISTED = 4096  # leases of a pool that a message has at most

States = Callable[[], Sequence[PoolState]]


class LoadPools:
    """Executes them. `states`: the pools in use, with their leases."""

    def __init__(self, desired: DesiredConfig, states: States) -> None:
        self._desired = desired
        self._states = states

    async def load_pool(self, given: Decoded, _: Stream) -> Pairs:
        """Use the pools of the message, each in place of one of its name; none of them if one is bad."""
        pools = [_pool(name, value) for name, value in given.items()]

        def edit(layers: Layers) -> Layers:
            for pool in pools:
                layers = layers.with_pool(pool)
            if len(layers.pools) > MOST:
                raise ViciError(f"there are {MOST} pools at most: unload some")
            return layers

        try:
            await self._desired.change(edit)
        except (ConfigError, LocalMisuse) as error:
            return failure(str(error))
        return SUCCESS

    async def unload_pool(self, given: Decoded, _: Stream) -> Pairs:
        """Take back a pool that came by VICI and of which nobody uses an address, as charon does."""
        arguments.unknown(given, ("name",))
        name = arguments.text(given, "name")
        if name is None:
            return failure("missing pool name to unload")

        def edit(layers: Layers) -> Layers:
            if name not in layers.pools:
                hint = "; it is in the configuration file, not loaded by VICI"
                raise ViciError(f"{name} not found{hint if name in layers.file.pools else ''}")
            if any(state.name == name and state.online for state in self._states()):
                raise ViciError(f"{name} has online leases, unable to unload")
            return layers.without_pool(name)

        try:
            await self._desired.change(edit)
        except (ConfigError, LocalMisuse) as error:
            return failure(str(error))
        return SUCCESS

    async def get_pools(self, given: Decoded, _: Stream) -> Pairs:
        """All pools, the file's too."""
        arguments.unknown(given, ("leases", "name"))
        leases, wanted = arguments.boolean(given, "leases"), arguments.text(given, "name")
        return [
            (state.name, _section(state, leases)) for state in self._states() if wanted in (None, state.name)
        ]


def _section(state: PoolState, leases: bool) -> dict[str, Value]:
    section: dict[str, Value] = {
        "base": _shown(state.base),
        "size": state.size,
        "online": state.online,
        "offline": state.offline,
    }
    if leases:
        section["leases"] = {
            str(number): {
                "address": str(lease.address),
                "identity": str(lease.identity),
                "status": "online" if lease.online else "offline",
            }
            for number, lease in enumerate(reversed(state.leases[-LISTED:]))
        }
    return section


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
    table: dict[str, object] = {"addrs": addrs}
    for key, items in value.items():
        if key != "addrs":
            table[key] = _items(key, items)
    try:
        reading = toml_source.read_table({"pools": {name: table}}, SOURCE, Path("/"))
    except ConfigError as error:
        key, text = error.problems[0]
        where = key.removeprefix(f"pools.{name}.")
        what = "invalid addrs value" if where == "addrs" else f"invalid attribute value for {where}"
        raise ViciError(f"{what}: {key}: {text}") from None
    return reading.config.pools[name]


def _items(key: str, items: bytes | list[bytes] | Decoded) -> list[str]:
    """The values of an attribute. Those of a number may be any octets."""
    number = int(key) if key.isascii() and key.isdigit() and len(key) < 6 else 0
    if not isinstance(items, list) or not (key in ALLOWED or 1 <= number < 2**15):
        raise ViciError(f"invalid attribute: {key[:40]!r}; allowed: addrs, and lists of {ALLOWED}")
    return [_word(item, binary=number > 0) for item in items]


def _word(item: bytes, *, binary: bool) -> str:
    try:
        word = item.decode()
    except UnicodeDecodeError:
        if not binary:
            raise ViciError("an attribute must be UTF-8") from None
        return f"0x{item.hex()}"
    return f"0x{item.hex()}" if binary and not word.isprintable() else word
