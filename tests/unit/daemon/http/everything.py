"""Facts of which every metric has at least one sample."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from ipaddress import ip_address

from prometheus_client.core import Metric

from esp.ipc.counters import SaCounters
from ikepy.config.identity import Identity
from ikepy.config.model import Connection
from ikepy.daemon.control.snapshot import (
    ChildTraffic,
    ConnectionState,
    DaemonState,
    DeviceState,
    IkeSaState,
    InstalledChild,
    Snapshot,
    WorkerState,
)
from ikepy.daemon.credentials.certificate_state import CertificateState
from ikepy.daemon.effects.past_traffic import Traffic
from ikepy.daemon.http import metrics, strongswan_names
from ikepy.daemon.http.tally import Tally
from ikepy.daemon.probe.prober import ProbeState
from ikepy.daemon.probe.target import Loss, RoundTrip
from ikepy.daemon.process.usage import ProcessUsage
from ikepy.sa.api.leases import Lease, PoolState
from ikepy.sa.api.snapshot import ChildWait, Waiting
from tests.unit.daemon.fakes import connection, ike_info

USAGE = ProcessUsage(1.5, 1 << 24)
DROPS = {"replay": 3}
WHOLE = {"retransmissions": "a", "reloads": "done"}  # counts that are not by connection and outcome
ROUND_TRIP = RoundTrip(0.01, 0.01, 0.01, 0.01)


def snapshot() -> Snapshot:
    sa = ike_info(1, 5)
    config = Connection.model_validate(connection("a", child={"start_action": "start"}))
    carried = SaCounters(1, 100, 1, 1, 100, 1, 1, DROPS)
    return Snapshot(
        at=100.0,
        unix_at=1.0e9,
        daemon=DaemonState("1", 1.0e9, USAGE),
        ike_sas=(IkeSaState(sa, tuple(InstalledChild(one, "vti0", carried) for one in sa.children)),),
        connections=(ConnectionState(config, (ChildWait("a", "net", Waiting.NOTHING),)),),
        devices=(DeviceState("vti0", "a", 3, 0, 1400, True, (), (), (), (5,), ()),),
        workers=(WorkerState(0, 1, 1, USAGE, ("vti0",), {"no_sa": 1}),),
        unserved={"malformed messages": 1},
        traffic=(ChildTraffic("a", "net", Traffic(1, 100, 1, 100, DROPS)),),
        certificates=(CertificateState("a", "CN=a", "1f", False, 2.0e9),),
        probes=(ProbeState("a", ip_address("10.2.0.1"), True, 9, 8, Loss(1, 9), ROUND_TRIP, 1380, 1400),),
        pools=(
            PoolState(
                "users",
                ip_address("10.3.0.0"),
                254,
                (Lease("users", ip_address("10.3.0.1"), Identity(2, b"alice"), online=True),),
            ),
        ),
    )


def tally() -> Tally:
    counts = Tally()
    for one in fields(Tally):
        key = ("a", "net", "x") if "child" in one.name else WHOLE.get(one.name, ("a", "x"))
        if one.name != "reload_refused":
            getattr(counts, one.name)[key] += 1
    return counts


def families() -> Iterator[Metric]:
    """All that /metrics can have."""
    seen = snapshot()
    yield from metrics.families(metrics.Facts(seen, tally(), True, 0.0, 0.0))
    yield from strongswan_names.families(seen)


def labels_by_metric() -> dict[str, set[str]]:
    """The labels of every sample, by its name."""
    return {sample.name: set(sample.labels) for family in families() for sample in family.samples}
