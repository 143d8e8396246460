"""A renderer that sees a snapshot and nothing else: Prometheus samples.

It proves, as VICI's sections do, that whoever shows the daemon needs no look into it.
"""

from __future__ import annotations

from collections.abc import Iterator

from ikepy.daemon.control.snapshot import Snapshot
from ikepy.sa.api.snapshot import Waiting

Labels = dict[str, str | int]


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
