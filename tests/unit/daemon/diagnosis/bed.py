"""A snapshot of one connection and its history, to be diagnosed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

from esp.ipc.counters import SaCounters
from ikepy.config.model import Connection
from ikepy.daemon.bus.event_bus import EventBus
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
from ikepy.daemon.diagnosis.diagnose import diagnose
from ikepy.daemon.diagnosis.findings import Code, Diagnosis, Finding, TunnelDiagnosis
from ikepy.daemon.diagnosis.history import History
from ikepy.daemon.effects.past_traffic import Traffic
from ikepy.daemon.probe.prober import ProbeState
from ikepy.sa.api.events import Event
from ikepy.sa.api.snapshot import ChildWait, IkeSaSnapshot, Waiting
from tests.unit.daemon.fakes import config, ike_info
from tun.state import Route

SA = replace(ike_info(1, 5), connection="a")
(CHILD,) = SA.children
NOTHING = SaCounters(0, 0, 0, 0, 0, 0, 0, {})
DEVICE = DeviceState("vti-a", "a", 7, 0, 1400, True, (), (), (Route.of(ip_network("10.2.0.0/24")),), (), ())
WORKER = WorkerState(0, 99, 1, None, ("vti-a",), {})
AT, UNIX = 100.0, 1_700_000_000.0
SENT = replace(NOTHING, out_packets=5, out_bytes=500, out_last=int(AT))
BOTH = replace(SENT, in_packets=5, in_bytes=500, in_last=int(AT))


def connection(**keys: Any) -> Connection:
    return config(**keys).connections["a"]


class Bed:
    """Events at times of a test's choice, then a diagnosis; all of it is about the connection "a"."""

    def __init__(self, *, sa: IkeSaSnapshot = SA, **keys: Any) -> None:
        """`sa`: each of its IKE_SAs is like this one."""
        self.now = AT
        self._sa = sa
        self.config = connection(**keys)
        self.history = History(lambda: self.now)
        self._bus = EventBus()
        self.history.listen(self._bus)

    def happens(self, *events: Event) -> None:
        for event in events:
            self._bus.publish(event)

    def diagnosis(
        self,
        *,
        up: bool = False,
        childless: bool = False,
        counters: SaCounters = NOTHING,
        total: Traffic | None = None,
        waiting: Waiting = Waiting.RETRY,
        reason: str = "",
        device: DeviceState = DEVICE,
        more: tuple[DeviceState, ...] = (),
        worker: WorkerState = WORKER,
        sas: int = 1,
        encap: bool = False,
        probes: tuple[ProbeState, ...] = (),
    ) -> Diagnosis:
        """`up`: as if it had `sas` IKE_SAs with a child, which has these counters; `childless`: without."""
        child = InstalledChild(replace(CHILD, encap=encap), "vti-a", counters)
        total = total or Traffic(
            counters.in_packets, counters.in_bytes, counters.out_packets, counters.out_bytes
        )
        wait = ChildWait("a", "net", Waiting.NOTHING if up else waiting, reason=reason)
        told = diagnose(
            Snapshot(
                at=self.now,
                unix_at=UNIX,
                daemon=DaemonState("0", UNIX),
                ike_sas=tuple(
                    IkeSaState(replace(self._sa, ike_id=n), () if childless else (child,))
                    for n in range(sas)
                    if up or childless
                ),
                connections=(ConnectionState(self.config, (wait,)),),
                devices=(device, *more),
                workers=(worker,),
                traffic=(ChildTraffic("a", "net", total),),
                probes=probes,
            ),
            self.history,
        )
        return replace(told, tunnels=tuple(told.tunnels))


def tunnel(diagnosis: Diagnosis) -> TunnelDiagnosis:
    """The only one."""
    (one,) = diagnosis.tunnels
    return one


def every(diagnosis: Diagnosis) -> Iterator[Finding]:
    for tunnel in diagnosis.tunnels:
        yield from tunnel.findings
        for child in tunnel.children:
            yield from child.findings
    yield from diagnosis.findings


def codes(diagnosis: Diagnosis) -> list[Code]:
    return [one.code for one in every(diagnosis)]


def only(diagnosis: Diagnosis) -> Finding:
    (finding,) = every(diagnosis)
    return finding
