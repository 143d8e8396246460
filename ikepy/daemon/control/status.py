"""The SAs as JSON values made of a snapshot, as `ikepy list-sas --json` prints them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from ikepy.daemon.control.snapshot import IkeSaState, InstalledChild, Snapshot
from ikepy.sa.api.snapshot import IkeSaSnapshot
from ikepy.sa.negotiation.proposals import describe

# charon's names of our tasks, where it has one for the same
TASKS = {
    "INIT": "IKE_INIT",
    "INTERMEDIATE": "IKE_INIT",
    "AUTH": "IKE_AUTH",
    "CHILD_CREATE": "CHILD_CREATE",
    "CHILD_REKEY": "CHILD_REKEY",
    "IKE_REKEY": "IKE_REKEY",
    "DELETE_CHILD": "CHILD_DELETE",
    "DELETE_IKE": "IKE_DELETE",
    "LIVENESS": "IKE_DPD",
    "UPDATE_ADDRESSES": "IKE_MOBIKE",
    "ROUTABILITY_CHECK": "IKE_MOBIKE",
    "ADDRESS_LIST": "IKE_MOBIKE",
}

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None


def sas(snapshot: Snapshot) -> list[Json]:
    """One dictionary an IKE_SA."""
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
        "remote_eap_id": sa.eap_id,
        "local": str(sa.path.local),
        "remote": str(sa.path.remote),
        "nat_local": sa.nat_local,
        "nat_remote": sa.nat_remote,
        "encap": sa.encap,
        "suite": "" if sa.proposal is None else describe(sa.proposal),
        "quantum_safe": sa.quantum_safe,
        "ppk": sa.ppk,
        "established": None if sa.established_at is None else _since(sa.established_at, snapshot.at),
        **_renewal(sa, snapshot.at),
        "tasks_queued": [*task_names(sa.tasks_queued)],
        "tasks_active": [*task_names(sa.tasks_active)],
        "network": {
            "addresses": [str(one) for one in sa.network.addresses],
            "subnets": [str(one) for one in sa.network.subnets],
            "dns_servers": [str(one) for one in sa.network.dns_servers],
            "domains": [*sa.network.domains],
            "encrypted_dns": [*sa.network.encrypted_dns],
            "leases": [str(one) for one in sa.network.leases],
        },
        "children": [_child(child, snapshot) for child in state.children],
    }


def _renewal(sa: IkeSaSnapshot, now: float) -> dict[str, Json]:
    """Only an established IKE_SA is to be renewed."""
    due = sa.state == "ESTABLISHED" and sa.established_at is not None
    return {
        "rekey_in": _until(sa.rekey_at, now) if due else None,
        "reauth_in": _until(sa.reauth_at, now) if due else None,
    }


def task_names(tasks: Iterable[str]) -> list[str]:
    """charon's names, where it has one."""
    return [TASKS.get(task, task) for task in tasks]


def _child(installed: InstalledChild, snapshot: Snapshot) -> dict[str, Json]:
    sa, traffic = installed.sa, installed.traffic
    return {
        "name": sa.name,
        "child_id": sa.child_id,
        "state": sa.state,
        "mode": "TRANSPORT" if sa.transport else "TUNNEL",
        "encap": sa.encap,
        "suite": str(sa.suite),
        "quantum_safe": sa.quantum_safe,
        "esn": sa.esn,
        "spi_in": f"{sa.spi_in:08x}",
        "spi_out": f"{sa.spi_out:08x}",
        "ts_local": [str(one) for one in sa.ts_local],
        "ts_remote": [str(one) for one in sa.ts_remote],
        "installed": _since(sa.installed_at, snapshot.at),
        "rekey_in": _until(sa.rekey_at, snapshot.at),
        "expires_in": _until(sa.expires_at, snapshot.at),
        "in_bytes": traffic.in_bytes,
        "in_packets": traffic.in_packets,
        "in_last": _since(traffic.in_last, snapshot.at) if traffic.in_last else None,
        "out_bytes": traffic.out_bytes,
        "out_packets": traffic.out_packets,
        "out_last": _since(traffic.out_last, snapshot.at) if traffic.out_last else None,
        "out_seq": traffic.out_seq,
        "device": installed.device,
        "drops": dict(traffic.drops),
    }


def _since(then: float, now: float) -> int:
    """Whole seconds from `then` to `now`, never negative."""
    return max(0, int(now - then))


def _until(then: float | None, now: float) -> int | None:
    """Whole seconds until `then`; None if there is no such time, or it is over."""
    return None if then is None or then < now else int(then - now)
