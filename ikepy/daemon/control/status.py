"""What `list-sas`, `list-conns` and `counters` answer, as JSON values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from esp.ipc.counters import CounterBlock, SaCounters
from esp.packet.selectors import Selector
from ikepy.config.model import Config, Connection
from ikepy.daemon.device.devices import DeviceTable
from ikepy.daemon.effects.children import ChildTable
from ikepy.sa.api.snapshot import ChildSnapshot, IkeSaSnapshot
from ikepy.sa.negotiation.proposals import describe

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
Counters = Callable[[int], CounterBlock | None]
_NOTHING = SaCounters(0, 0, 0, 0, 0, 0, 0, {})


def sas(
    infos: Iterable[IkeSaSnapshot], children: ChildTable, counters: Counters, now: float, unix_now: float
) -> list[Json]:
    """One dictionary an IKE_SA. `now` is the machine's clock, `unix_now` the counters'; both in seconds."""
    return [_ike_sa(info, children, counters, now, unix_now) for info in infos]


def _ike_sa(
    info: IkeSaSnapshot, children: ChildTable, counters: Counters, now: float, unix_now: float
) -> dict[str, Json]:
    return {
        "connection": info.connection,
        "ike_id": info.ike_id,
        "state": info.state,
        "initiator": info.initiator,
        "spi_i": info.spi_i.hex(),
        "spi_r": info.spi_r.hex(),
        "local_id": str(info.local_id or ""),
        "remote_id": str(info.remote_id or ""),
        "local": str(info.path.local),
        "remote": str(info.path.remote),
        "nat_local": info.nat_local,
        "nat_remote": info.nat_remote,
        "encap": info.encap,
        "suite": "" if info.proposal is None else describe(info.proposal),
        "established": None if info.established_at is None else _since(info.established_at, now),
        "network": {
            "addresses": [str(one) for one in info.network.addresses],
            "subnets": [str(one) for one in info.network.subnets],
            "dns_servers": [str(one) for one in info.network.dns_servers],
            "domains": [*info.network.domains],
        },
        "children": [_child(child, children, counters, now, unix_now) for child in info.children],
    }


def _child(
    info: ChildSnapshot, children: ChildTable, counters: Counters, now: float, unix_now: float
) -> dict[str, Json]:
    known = children.get(info.child_id)
    block = counters(known.device.slot) if known is not None else None
    values = block.sa(known.counter) if known is not None and block is not None else _NOTHING
    return {
        "name": info.name,
        "child_id": info.child_id,
        "state": info.state,
        "encap": info.encap,
        "suite": str(info.suite),
        "esn": info.esn,
        "spi_in": f"{info.spi_in:08x}",
        "spi_out": f"{info.spi_out:08x}",
        "ts_local": [str(one) for one in info.ts_local],
        "ts_remote": [str(one) for one in info.ts_remote],
        "installed": _since(info.installed_at, now),
        "in_bytes": values.in_bytes,
        "in_packets": values.in_packets,
        "in_last": _since(values.in_last, unix_now) if values.in_last else None,
        "out_bytes": values.out_bytes,
        "out_packets": values.out_packets,
        "out_last": _since(values.out_last, unix_now) if values.out_last else None,
        "out_seq": values.out_seq,
        "device": known.device.tun.name if known is not None else None,
        "drops": dict(values.drops),
    }


def _since(then: float, now: float) -> int:
    """Whole seconds, never negative."""
    return max(0, int(now - then))


def connections(config: Config) -> list[Json]:
    """One dictionary a connection, without any secret."""
    return [_connection(connection) for connection in config.connections.values()]


def _connection(connection: Connection) -> dict[str, Json]:
    vti = connection.vti
    return {
        "name": connection.name,
        "local_addrs": [str(one) for one in connection.local_addrs],
        "remote_addrs": [str(one) for one in connection.remote_addrs],
        "local": {"auth": connection.local.auth, "id": _identity(connection.local.id)},
        "remote": {"auth": connection.remote.auth, "id": _identity(connection.remote.id)},
        "encap": connection.encap,
        "proposals": [describe(one) for one in connection.proposals],
        "children": [
            {
                "name": child.name,
                "local_ts": _selectors(child.local_ts),
                "remote_ts": _selectors(child.remote_ts),
                "esp_proposals": [describe(one) for one in child.esp_proposals],
                "start_action": str(child.start_action),
            }
            for child in connection.children.values()
        ],
        "vti": {
            "name": vti.name,
            "addresses": [str(one) for one in vti.addresses],
            "peers": [str(one) for one in vti.peers],
            "routes": None if vti.routes is None else [str(one) for one in vti.routes],
            "mtu": vti.mtu,
            "mss_clamp": vti.mss_clamp,
            "table": vti.table,
        },
    }


def _identity(identity: object) -> str:
    return "%any" if identity is None else str(identity)


def _selectors(selectors: Iterable[Selector | str]) -> list[Json]:
    return [str(one) for one in selectors]


def drop_counters(control: Mapping[str, int], devices: DeviceTable, counters: Counters) -> dict[str, Json]:
    """What control did not serve, and what each worker dropped without an SA, by reason.

    The key names the worker and its devices.
    """
    names: dict[int, list[str]] = {}
    for device in devices:
        names.setdefault(device.slot, []).append(device.tun.name)
    result: dict[str, Json] = {"control": {**control}}
    for slot, devices_of_slot in sorted(names.items()):
        block = counters(slot)
        drops = {} if block is None else dict(block.drops())
        result[f"worker {slot} ({', '.join(devices_of_slot)})"] = {**drops}
    return result
