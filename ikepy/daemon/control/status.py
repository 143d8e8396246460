"""What `list-sas`, `list-conns` and `counters` answer, as JSON values made of a snapshot."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from esp.packet.selectors import Selector
from ikepy.config.model import Connection
from ikepy.daemon.control.snapshot import IkeSaState, InstalledChild, Snapshot
from ikepy.sa.negotiation.proposals import describe

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None


def sas(snapshot: Snapshot) -> list[Json]:
    """The answer of `list-sas`: one dictionary an IKE_SA."""
    return [_ike_sa(state, snapshot) for state in snapshot.ike_sas]


def _ike_sa(state: IkeSaState, snapshot: Snapshot) -> dict[str, Json]:
    sa = state.sa
    return {
        "connection": sa.connection,
        "ike_id": sa.ike_id,
        "state": sa.state,
        "initiator": sa.initiator,
        "spi_i": sa.spi_i.hex(),
        "spi_r": sa.spi_r.hex(),
        "local_id": str(sa.local_id or ""),
        "remote_id": str(sa.remote_id or ""),
        "local": str(sa.path.local),
        "remote": str(sa.path.remote),
        "nat_local": sa.nat_local,
        "nat_remote": sa.nat_remote,
        "encap": sa.encap,
        "suite": "" if sa.proposal is None else describe(sa.proposal),
        "established": None if sa.established_at is None else _since(sa.established_at, snapshot.at),
        "network": {
            "addresses": [str(one) for one in sa.network.addresses],
            "subnets": [str(one) for one in sa.network.subnets],
            "dns_servers": [str(one) for one in sa.network.dns_servers],
            "domains": [*sa.network.domains],
        },
        "children": [_child(child, snapshot) for child in state.children],
    }


def _child(installed: InstalledChild, snapshot: Snapshot) -> dict[str, Json]:
    sa, traffic, unix_at = installed.sa, installed.traffic, snapshot.unix_at
    return {
        "name": sa.name,
        "child_id": sa.child_id,
        "state": sa.state,
        "encap": sa.encap,
        "suite": str(sa.suite),
        "esn": sa.esn,
        "spi_in": f"{sa.spi_in:08x}",
        "spi_out": f"{sa.spi_out:08x}",
        "ts_local": [str(one) for one in sa.ts_local],
        "ts_remote": [str(one) for one in sa.ts_remote],
        "installed": _since(sa.installed_at, snapshot.at),
        "in_bytes": traffic.in_bytes,
        "in_packets": traffic.in_packets,
        "in_last": _since(traffic.in_last, unix_at) if traffic.in_last else None,
        "out_bytes": traffic.out_bytes,
        "out_packets": traffic.out_packets,
        "out_last": _since(traffic.out_last, unix_at) if traffic.out_last else None,
        "out_seq": traffic.out_seq,
        "device": installed.device,
        "drops": dict(traffic.drops),
    }


def _since(then: float, now: float) -> int:
    """Whole seconds from `then` to `now`, never negative."""
    return max(0, int(now - then))


def connections(snapshot: Snapshot) -> list[Json]:
    """The answer of `list-conns`: one dictionary a connection, without secrets."""
    return [_connection(state.config) for state in snapshot.connections]


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
            "metric": vti.metric,
            "src": [str(one) for one in vti.src],
        },
    }


def _identity(identity: object) -> str:
    return "%any" if identity is None else str(identity)


def _selectors(selectors: Iterable[Selector | str]) -> list[Json]:
    return [str(one) for one in selectors]


def drop_counters(snapshot: Snapshot) -> dict[str, Json]:
    """The answer of `counters`, by reason: what control did not serve, what workers dropped without an SA.

    A worker's key names it and its devices; workers without devices are left out.
    """
    result: dict[str, Json] = {"control": {**snapshot.unserved}}
    for worker in snapshot.workers:
        if worker.devices:
            result[f"worker {worker.slot} ({', '.join(worker.devices)})"] = {**worker.drops}
    return result
