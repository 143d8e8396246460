"""Two renderers that see a snapshot and nothing else: Prometheus samples, and sections as VICI has them.

They prove that whoever shows the daemon needs no look into it.
"""

from __future__ import annotations

from collections.abc import Iterator

from ikepy.daemon.control.snapshot import IkeSaState, InstalledChild, Snapshot
from ikepy.sa.api.snapshot import Waiting
from ikepy.wire.constants import Encr, KeGroup, TransformType
from ikepy.wire.proposal import Proposal

Labels = dict[str, str | int]
Section = dict[str, "Section | str | list[str]"]


def metrics(snapshot: Snapshot) -> dict[str, float]:
    """Every sample, by its name with labels."""
    return {_sample(name, labels): value for name, labels, value in _samples(snapshot)}


def _sample(name: str, labels: Labels) -> str:
    inside = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return f"ikepy_{name}{{{inside}}}" if inside else f"ikepy_{name}"


def _samples(snapshot: Snapshot) -> Iterator[tuple[str, Labels, float]]:
    yield "start_time_seconds", {}, snapshot.daemon.started_at
    yield "build_info", {"version": snapshot.daemon.version}, 1
    for connection in snapshot.connections:
        for child in connection.children:
            labels: Labels = {"connection": child.connection, "child": child.child}
            yield "child_up", labels, child.waiting is Waiting.NOTHING
            yield "child_failures", labels, child.failures
            if child.until is not None:
                yield "child_retry_seconds", labels, child.until - snapshot.at
    for ike in snapshot.ike_sas:
        labels = {"connection": ike.sa.connection, "ike_id": ike.sa.ike_id}
        if ike.sa.established_at is not None:
            yield "ike_sa_age_seconds", labels, snapshot.at - ike.sa.established_at
        for installed in ike.children:
            of_child: Labels = {**labels, "child": installed.sa.name}
            yield "child_in_bytes_total", of_child, installed.traffic.in_bytes
            yield "child_out_packets_total", of_child, installed.traffic.out_packets
            for reason, number in installed.traffic.drops.items():
                yield "child_drops_total", {**of_child, "reason": reason}, number
    for device in snapshot.devices:
        labels = {"device": device.name, "index": device.index, "worker": device.worker}
        yield "device_carrier", labels, device.carrier
        yield "device_mtu_bytes", labels, device.mtu
        yield "device_routes", labels, len(device.routes)
        yield "device_problems", labels, len(device.problems)
    for worker in snapshot.workers:
        labels = {"worker": worker.slot}
        yield "worker_up", labels, worker.pid is not None
        yield "worker_restarts_total", labels, max(0, worker.starts - 1)
        if worker.usage is not None:
            yield "worker_cpu_seconds_total", labels, worker.usage.cpu_seconds
            yield "worker_resident_bytes", labels, worker.usage.resident
        for reason, number in worker.drops.items():
            yield "worker_drops_total", {**labels, "reason": reason}, number
    for endpoint in snapshot.listeners:
        yield "listener", {"address": str(endpoint.address), "port": endpoint.port}, 1
    for reason, number in snapshot.unserved.items():
        yield "unserved_total", {"reason": reason}, number


def list_sa(state: IkeSaState, snapshot: Snapshot) -> Section:
    """One IKE_SA, with strongSwan's names and units."""
    sa = state.sa
    section: Section = {
        "uniqueid": str(sa.ike_id),
        "version": "2",
        "state": sa.state,
        "local-host": str(sa.path.local.address),
        "local-port": str(sa.path.local.port),
        "local-id": str(sa.local_id or "%any"),
        "remote-host": str(sa.path.remote.address),
        "remote-port": str(sa.path.remote.port),
        "remote-id": str(sa.remote_id or "%any"),
        "initiator": _yes(sa.initiator),
        "initiator-spi": sa.spi_i.hex(),
        "responder-spi": sa.spi_r.hex(),
        "nat-local": _yes(sa.nat_local),
        "nat-remote": _yes(sa.nat_remote),
        **_algorithms(sa.proposal),
        "tasks-queued": list(sa.tasks_queued),
        "tasks-active": list(sa.tasks_active),
        "child-sas": {f"{one.sa.name}-{one.sa.child_id}": _child(one, snapshot) for one in state.children},
    }
    for key, at in (("rekey-time", sa.rekey_at), ("reauth-time", sa.reauth_at)):
        if at is not None:
            section[key] = str(int(at - snapshot.at))
    if sa.established_at is not None:
        section["established"] = str(int(snapshot.at - sa.established_at))
    return section


def _child(installed: InstalledChild, snapshot: Snapshot) -> Section:
    sa, traffic = installed.sa, installed.traffic
    section: Section = {
        "name": sa.name,
        "uniqueid": str(sa.child_id),
        "state": sa.state,
        "mode": "TUNNEL",
        "protocol": "ESP",
        "encap": _yes(sa.encap),
        "spi-in": f"{sa.spi_in:08x}",
        "spi-out": f"{sa.spi_out:08x}",
        **_algorithms(sa.proposal),
        "bytes-in": str(traffic.in_bytes),
        "packets-out": str(traffic.out_packets),
        "install-time": str(int(snapshot.at - sa.installed_at)),
        "local-ts": [str(one) for one in sa.ts_local],
        "remote-ts": [str(one) for one in sa.ts_remote],
    }
    for key, at in (("rekey-time", sa.rekey_at), ("life-time", sa.expires_at)):
        if at is not None:
            section[key] = str(int(at - snapshot.at))
    if traffic.in_last:
        section["use-in"] = str(int(snapshot.unix_at - traffic.in_last))
    return section


def _algorithms(proposal: Proposal | None) -> Section:
    section: Section = {}
    for one in () if proposal is None else proposal.transforms:
        if one.type == TransformType.ENCR:
            section["encr-alg"] = Encr(one.id).name
            section["encr-keysize"] = str(one.key_length)
        elif one.type == TransformType.KE and one.id:
            section["dh-group"] = KeGroup(one.id).name
    return section


def _yes(value: bool) -> str:
    return "yes" if value else "no"
