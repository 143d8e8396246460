"""A snapshot, by what its diagnosis looks up."""

from __future__ import annotations

from collections import defaultdict

from ikepy.daemon.control.snapshot import DeviceState, IkeSaState, Snapshot
from ikepy.daemon.credentials.certificate_state import CertificateState
from ikepy.daemon.probe.prober import ProbeState
from tun.state import Route

Place = tuple[str, int, int]  # a route's network, table and metric


class Tables:
    """A snapshot by what it is asked for, so that a thousand connections cost a thousand times one."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.at, self.unix_at = snapshot.at, snapshot.unix_at
        self.ike_sas: defaultdict[str, list[IkeSaState]] = defaultdict(list)
        for state in snapshot.ike_sas:
            self.ike_sas[state.sa.connection].append(state)
        self.devices = {one.connection: one for one in snapshot.devices}
        self.workers = {one.slot: one for one in snapshot.workers}
        self.traffic = {(one.connection, one.child): one.total for one in snapshot.traffic}
        self.probes: defaultdict[str, list[ProbeState]] = defaultdict(list)
        for probe in snapshot.probes:
            self.probes[probe.connection].append(probe)
        self.certificates: defaultdict[str, list[CertificateState]] = defaultdict(list)
        for certificate in snapshot.certificates:
            self.certificates[certificate.connection].append(certificate)
        self.leads: defaultdict[Place, list[DeviceState]] = defaultdict(list)  # the devices of a route
        for device in snapshot.devices:
            for route in device.routes:
                self.leads[place(route)].append(device)


def place(route: Route) -> Place:
    return str(route.network), route.table, route.metric
