"""What ikepy knows of SAs and connections and strongSwan has no key for, for clients that ask for it.

`list-sas` and `list-conns` have these keys only with the argument `ikepy = yes`; all begin with "ikepy-", and
none is a section. Times are whole seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ikepy.config.model import Child, Connection
from ikepy.daemon.control.snapshot import InstalledChild, Snapshot
from ikepy.daemon.vici.message import Value
from ikepy.sa.api.path import Address
from ikepy.sa.api.snapshot import IkeSaSnapshot
from ikepy.sa.negotiation.proposals import describe

Section = dict[str, Value]


def of_ike_sa(sa: IkeSaSnapshot, at: float) -> Section:
    """`at`: the monotonic time now."""
    section: Section = {"ikepy-encap": _word(sa.encap), "ikepy-quantum-safe": _word(sa.quantum_safe)}
    if sa.proposal is not None:
        section["ikepy-suite"] = describe(sa.proposal)
    if sa.established_at is not None:
        section["ikepy-established"] = max(0, int(at - sa.established_at))
    if sa.resumed:
        section["ikepy-resumed"] = _word(True)
    network = sa.network
    for key, values in (
        ("addresses", network.addresses),
        ("subnets", network.subnets),
        ("dns-servers", network.dns_servers),
        ("domains", network.domains),
        ("encrypted-dns", network.encrypted_dns),
    ):
        if values:
            section[f"ikepy-{key}"] = _texts(values)
    return section


def of_child(installed: InstalledChild) -> Section:
    """`ikepy-drops` has an item "reason = number" for each reason of which there were some."""
    traffic = installed.traffic
    section: Section = {
        "ikepy-suite": str(installed.sa.suite),
        "ikepy-quantum-safe": _word(installed.sa.quantum_safe),
        "ikepy-out-seq": traffic.out_seq,
    }
    if installed.device is not None:
        section["ikepy-device"] = installed.device
    if traffic.drops:
        section["ikepy-drops"] = [f"{reason} = {number}" for reason, number in traffic.drops.items()]
    return section


def of_connection(connection: Connection) -> Section:
    """`ikepy-routes` is absent where they are negotiated."""
    vti = connection.vti
    section: Section = {
        "ikepy-encap": _word(connection.encap),
        "ikepy-proposals": [describe(one) for one in connection.proposals],
        "ikepy-device": vti.name,
        "ikepy-addresses": _texts(vti.addresses),
        "ikepy-peers": _texts(vti.peers),
        "ikepy-mss-clamp": _word(vti.mss_clamp),
    }
    if vti.routes is not None:
        section["ikepy-routes"] = _texts(vti.routes)
    if vti.src:
        section["ikepy-src"] = _texts(vti.src)
    for key, number in (("mtu", vti.mtu), ("table", vti.table), ("metric", vti.metric)):
        if number is not None:
            section[f"ikepy-{key}"] = number
    return section


def of_configured_child(child: Child) -> Section:
    return {
        "ikepy-esp-proposals": [describe(one) for one in child.esp_proposals],
        "ikepy-start-action": str(child.start_action),
    }


def drops(snapshot: Snapshot) -> Section:
    """The answer of `get-drops`: what control did not serve, what workers dropped without an SA, by reason.

    Workers without devices are left out.
    """
    section: Section = {"control": dict(snapshot.unserved)}
    for worker in snapshot.workers:
        if worker.devices:
            section[f"worker-{worker.slot}"] = {"devices": list(worker.devices), "drops": dict(worker.drops)}
    return section


def probes(
    snapshot: Snapshot, ike: str | None = None, checked: Collection[tuple[str, Address]] | None = None
) -> Section:
    """The answer of `get-probes`: what is known of each target. Round-trip times in microseconds.

    `ike`: of this connection alone. `checked`: of which targets the path MTU was found just now; None: it was
    not asked for.
    """
    found: Section = {}
    for probe in snapshot.probes:
        if ike not in (None, probe.connection):
            continue
        section: Section = {
            "connection": probe.connection,
            "target": str(probe.target),
            "up": _word(probe.up),
            "sent": probe.sent,
            "received": probe.received,
            "lost": probe.loss.lost,
            "of": probe.loss.of,
        }
        if probe.round_trip is not None:
            for name in ("last", "least", "mean", "most"):
                section[f"rtt-{name}"] = round(getattr(probe.round_trip, name) * 1e6)
        if probe.path_mtu is not None and probe.tried_mtu is not None:
            section |= {"path-mtu": probe.path_mtu, "tried-mtu": probe.tried_mtu}
        if checked is not None:
            section["mtu-checked"] = _word((probe.connection, probe.target) in checked)
        found[f"{probe.connection}/{probe.target}"] = section
    return found


def _word(so: bool) -> str:
    return "yes" if so else "no"


def _texts(values: Iterable[object]) -> list[str]:
    return [str(one) for one in values]
