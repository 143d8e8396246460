"""The metrics with names of our own: a snapshot and the event counts, as Prometheus families.

Names follow prometheus.io's practices: base units, `_total` for counters. Series are by connection, child,
device and worker, all of which are configured: no peer can make more of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ikepy.daemon.control.snapshot import Section, Snapshot
from ikepy.daemon.http.readiness import is_up, wanted
from ikepy.daemon.http.tally import DONE, ESTABLISHED, INSTALLED, REFUSED, Tally

K = TypeVar("K")
SECTIONS = frozenset(Section) - {Section.LISTENERS}  # that the metrics need


@dataclass(frozen=True, slots=True)
class Facts:
    """What metrics are made of. `lag`: of the event loop, `cost`: of the answer before this one, in
    seconds."""

    snapshot: Snapshot
    tally: Tally
    ready: bool
    lag: float
    cost: float


def families(facts: Facts) -> Iterator[Metric]:
    """All metrics of ours."""
    yield from _daemon(facts)
    yield from _sas(facts.snapshot)
    yield from _pools(facts.snapshot)
    yield from _children(facts.snapshot)
    yield from _events(facts.snapshot, facts.tally)
    yield from _traffic(facts.snapshot)
    yield from _devices(facts.snapshot)
    yield from _workers(facts.snapshot)
    yield from _probes(facts.snapshot)
    yield from _certificates(facts.snapshot)
    unserved = _counter("unserved", "What control did not serve, by reason", "reason")
    for reason, number in facts.snapshot.unserved.items():
        unserved.add_metric((reason,), number)
    yield unserved


def _gauge(name: str, help_text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"ikepy_{name}", help_text, labels=labels)


def _counter(name: str, help_text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"ikepy_{name}", help_text, labels=labels)


def _value(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"ikepy_{name}", help_text, value=value)


def _daemon(facts: Facts) -> Iterator[Metric]:
    daemon = facts.snapshot.daemon
    info = _gauge("build_info", "1, with the version of ikepy as label", "version")
    info.add_metric((daemon.version,), 1)
    yield info
    yield _value("start_time_seconds", "When the daemon started, seconds since 1970", daemon.started_at)
    yield _value("ready", "1 if /readyz answers with 200", facts.ready)
    reloads = _counter("config_reloads", "Reloads of the configuration, by outcome", "outcome")
    for outcome in (DONE, REFUSED):
        reloads.add_metric((outcome,), facts.tally.reloads[outcome])
    yield reloads
    good = "0 if the last reload of the configuration was refused"
    yield _value("config_last_reload_successful", good, not facts.tally.reload_refused)
    lag = "The longest lateness of the event loop in the last minute"
    yield _value("event_loop_lag_seconds", lag, facts.lag)
    yield _value("scrape_duration_seconds", "What making the metrics took the last time", facts.cost)
    if daemon.usage is not None:
        cpu = CounterMetricFamily("ikepy_control_cpu_seconds", "CPU time of the control process")
        cpu.add_metric((), daemon.usage.cpu_seconds)
        yield cpu
        yield _value(
            "control_resident_memory_bytes", "Resident memory of the control process", daemon.usage.resident
        )


def _sas(snapshot: Snapshot) -> Iterator[Metric]:
    ike = Counter(one.sa.state for one in snapshot.ike_sas)
    children = Counter(child.sa.state for one in snapshot.ike_sas for child in one.children)
    for name, what, counts, always in (
        ("ike_sas", "IKE_SAs", ike, "ESTABLISHED"),
        ("child_sas", "CHILD_SAs", children, "INSTALLED"),
    ):
        family = _gauge(name, f"{what} by state, as list-sas names it", "state")
        for state in sorted({*counts, always}):
            family.add_metric((state,), counts[state])
        yield family
    safe = _gauge("quantum_safe_sas", "SAs whose keys a later quantum computer won't know", "protocol")
    safe.add_metric(("IKE",), sum(one.sa.quantum_safe for one in snapshot.ike_sas))
    kept = (child.sa.quantum_safe for one in snapshot.ike_sas for child in one.children)
    safe.add_metric(("ESP",), sum(kept))
    yield safe


def _pools(snapshot: Snapshot) -> Iterator[Metric]:
    size = _gauge("pool_size", "Addresses of the pool", "pool")
    leases = _gauge(
        "pool_leases", "Addresses of the pool that belong to a peer, by its state", "pool", "state"
    )
    for pool in snapshot.pools:
        size.add_metric((pool.name,), pool.size)
        for state, number in (("online", pool.online), ("offline", pool.offline)):
            leases.add_metric((pool.name, state), number)
    yield size
    yield leases


def _children(snapshot: Snapshot) -> Iterator[Metric]:
    names = ("connection", "child")
    up = _gauge("child_up", "1 if the configured child is up", *names)
    failures = _gauge("child_failed_tries", "Tries in a row to set the child up that failed", *names)
    for connection in snapshot.connections:
        for wait in connection.children:
            up.add_metric((wait.connection, wait.child), is_up(wait))
            failures.add_metric((wait.connection, wait.child), wait.failures)
    yield up
    yield failures
    down = _gauge("child_down", "1 if the child is configured to be up (start) and is not", *names)
    number = 0
    for name, child, state in wanted(snapshot):
        down.add_metric((name, child), not is_up(state))
        number += not is_up(state)
    yield down
    yield _value("children_down", "Children that are configured to be up (start) and are not", number)


def _events(snapshot: Snapshot, tally: Tally) -> Iterator[Metric]:
    """Those of connections that are configured. What all have is there from the beginning, as 0: else the
    first event would not count as an increase."""
    connections = [one.config for one in snapshot.connections]
    known = {"", *(one.name for one in connections)}
    children = [(one.name, child) for one in connections for child in one.children]
    by_connection = (
        ("ike_handshakes", "IKE_SA set-ups", "outcome", tally.handshakes, (ESTABLISHED,)),
        ("ike_rekeys", "Rekeys of IKE_SAs", "outcome", tally.ike_rekeys, (DONE,)),
        ("ike_ends", "IKE_SAs that were up and ended", "reason", tally.ike_ends, ()),
        ("ike_moves", "IKE_SAs that went on over another path", "reason", tally.moves, ()),
    )
    for name, what, word, of_ike, always in by_connection:
        family = _counter(name, f"{what}, by {word}", "connection", word)
        for key in _keys(of_ike, [(one.name, each) for one in connections for each in always]):
            if key[0] in known:
                family.add_metric(key, of_ike[key])
        yield family
    by_child = (
        ("child_set_ups", "CHILD_SA set-ups", "outcome", tally.child_set_ups, (INSTALLED,)),
        ("child_rekeys", "Rekeys of CHILD_SAs", "outcome", tally.child_rekeys, (DONE,)),
        ("child_ends", "CHILD_SAs that were up and ended", "reason", tally.child_ends, ()),
    )
    for name, what, word, of_child, always in by_child:
        family = _counter(name, f"{what}, by {word}", "connection", "child", word)
        for triple in _keys(of_child, [(*child, each) for child in children for each in always]):
            if triple[0] in known:
                family.add_metric(triple, of_child[triple])
        yield family
    sent = _counter("ike_retransmissions", "IKE requests sent again", "connection")
    for one in connections:
        sent.add_metric((one.name,), tally.retransmissions[one.name])
    yield sent


def _keys(counts: Counter[K], always: Sequence[K]) -> Iterator[K]:
    yield from counts
    for key in always:
        if key not in counts:
            yield key


def _traffic(snapshot: Snapshot) -> Iterator[Metric]:
    names = ("connection", "child")
    in_packets = _counter("child_received_packets", "Inner packets that came out of the tunnel", *names)
    in_bytes = _counter("child_received_bytes", "Octets of inner packets that came out of it", *names)
    out_packets = _counter("child_sent_packets", "Inner packets that went into the tunnel", *names)
    out_bytes = _counter("child_sent_bytes", "Octets of inner packets that went into it", *names)
    drops = _counter("child_drops", "Packets dropped under the child's SAs", *names, "reason")
    for one in snapshot.traffic:
        key, total = (one.connection, one.child), one.total
        in_packets.add_metric(key, total.in_packets)
        in_bytes.add_metric(key, total.in_bytes)
        out_packets.add_metric(key, total.out_packets)
        out_bytes.add_metric(key, total.out_bytes)
        for reason, number in total.drops.items():
            drops.add_metric((*key, reason), number)
    yield from (in_packets, in_bytes, out_packets, out_bytes, drops)


def _devices(snapshot: Snapshot) -> Iterator[Metric]:
    names = ("connection", "device")
    carrier = _gauge("device_carrier", "1 while an SA can send through the device", *names)
    mtu = _gauge("device_mtu_bytes", "The device's MTU", *names)
    problems = _gauge("device_problems", "Reasons why the device is not as it is to be", *names)
    for device in snapshot.devices:
        key = (device.connection, device.name)
        carrier.add_metric(key, device.carrier)
        mtu.add_metric(key, device.mtu)
        problems.add_metric(key, len(device.problems))
    yield from (carrier, mtu, problems)


def _probes(snapshot: Snapshot) -> Iterator[Metric]:
    names = ("connection", "target")
    sent = _counter("probe_sent", "Echo requests sent through the tunnel", *names)
    received = _counter("probe_received", "Echo replies that came in time", *names)
    loss = _gauge("probe_loss_ratio", "Of the last 20 requests, the part without a reply in time", *names)
    rtt = _gauge("probe_rtt_seconds", "Mean round-trip time of the last 20 requests", *names)
    mtu = _gauge("probe_path_mtu_bytes", "The largest packet that came back, up to the device's MTU", *names)
    for probe in snapshot.probes:
        key = (probe.connection, str(probe.target))
        sent.add_metric(key, probe.sent)
        received.add_metric(key, probe.received)
        if probe.loss.of:
            loss.add_metric(key, probe.loss.ratio)
        if probe.round_trip is not None:
            rtt.add_metric(key, probe.round_trip.mean)
        if probe.path_mtu is not None:
            mtu.add_metric(key, probe.path_mtu)
    yield from (sent, received, loss, rtt, mtu)


def _certificates(snapshot: Snapshot) -> Iterator[Metric]:
    names = ("connection", "subject", "serial")
    what = "When a certificate expires, seconds since 1970; without a connection if any may use it"
    expiry = _gauge("certificate_expiry_timestamp_seconds", what, *names)
    for key, at in {(c.connection, c.subject, c.serial): c.expires_at for c in snapshot.certificates}.items():
        expiry.add_metric(key, at)
    yield expiry


def _workers(snapshot: Snapshot) -> Iterator[Metric]:
    up = _gauge("worker_up", "1 if the worker slot has a process", "worker")
    restarts = _counter("worker_restarts", "Processes that replaced another one", "worker")
    cpu = _counter("worker_cpu_seconds", "CPU time of the worker's present process", "worker")
    memory = _gauge("worker_resident_memory_bytes", "Resident memory of the worker", "worker")
    drops = _counter("worker_drops", "Packets dropped without an SA, by reason", "worker", "reason")
    for worker in snapshot.workers:
        slot = str(worker.slot)
        up.add_metric((slot,), worker.pid is not None)
        restarts.add_metric((slot,), max(0, worker.starts - 1))
        if worker.usage is not None:
            cpu.add_metric((slot,), worker.usage.cpu_seconds)
            memory.add_metric((slot,), worker.usage.resident)
        for reason, number in worker.drops.items():
            drops.add_metric((slot, reason), number)
    yield from (up, restarts, cpu, memory, drops)
