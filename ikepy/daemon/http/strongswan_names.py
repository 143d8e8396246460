"""The metrics of ipsec-prometheus-exporter, with its names, labels and values, which dashboards know.

https://github.com/torilabs/ipsec-prometheus-exporter. Series are by SA: each rekey begins new ones.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from ikepy.daemon.control.snapshot import IkeSaState, InstalledChild, Snapshot
from ikepy.wire.constants import Encr, Integ, KeGroup, TransformType
from ikepy.wire.proposal import Proposal

IKE = ("ike_name", "ike_id")
CHILD = (*IKE, "child_name", "child_id")
SELECTED = (*CHILD, "local_ts", "remote_ts")
ALGORITHMS = ("algorithm", "dh_group")
STATUS = {"INSTALLED": 0, "REKEYED": 0, "REKEYING": 0, "ESTABLISHED": 1}
UNRECOGNIZED = 3

IKE_METRICS = {
    "ike_version": "Version of this IKE",
    "ike_status": "Status of this IKE",
    "ike_initiator": "Flag if the server is the initiator for this connection",
    "ike_nat_local": "Flag if the local endpoint is behind nat",
    "ike_nat_remote": "Flag if the remote server is behind nat",
    "ike_nat_fake": "Flag if NAT situation has been faked as responder",
    "ike_nat_any": "Flag if any endpoint is behind a NAT (also if faked)",
    "ike_established_seconds": "Seconds since the IKE was established",
    "ike_rekey_seconds": "Seconds until the IKE will be rekeyed",
    "ike_reauth_seconds": "Seconds until the IKE will be reauthed",
    "ike_children_size": "Count of children of this IKE",
}
SELECTED_METRICS = {
    "sa_status": "Status of this child sa",
    "sa_inbound_bytes": "Number of input bytes processed",
    "sa_inbound_packets": "Number of input packets processed",
    "sa_last_inbound_seconds": "Number of seconds since the last inbound packet was received",
    "sa_outbound_bytes": "Number of output bytes processed",
    "sa_outbound_packets": "Number of output packets processed",
    "sa_last_outbound_seconds": "Number of seconds since the last outbound packet was sent",
}
CHILD_METRICS = {
    "sa_encap": "Forced Encapsulation in UDP Packets",
    "sa_established_seconds": "Seconds since the child SA was established",
    "sa_rekey_seconds": "Seconds until the child SA will be rekeyed",
    "sa_lifetime_seconds": "Seconds until the lifetime expires",
}
KEY_SIZES = {
    "encryption_key_size": "Key size of the encryption algorithm",
    "integrity_key_size": "Key size of the integrity algorithm",
}


def families(snapshot: Snapshot) -> Iterator[Metric]:
    """All of them. `ike_count` is the number of IKE_SAs; there are no certificates."""
    yield GaugeMetricFamily("strongswan_ike_count", "Number of known IKEs", value=len(snapshot.ike_sas))
    yield GaugeMetricFamily("strongswan_crt_count", "Number of X509 certificates", value=0)
    found = {
        name: GaugeMetricFamily(f"strongswan_{name}", text, labels=labels)
        for metrics, labels in (
            (IKE_METRICS, IKE),
            (SELECTED_METRICS, SELECTED),
            (CHILD_METRICS, CHILD),
            ({f"ike_{name}": text for name, text in KEY_SIZES.items()}, (*IKE, *ALGORITHMS)),
            ({f"sa_{name}": text for name, text in KEY_SIZES.items()}, (*CHILD, *ALGORITHMS)),
        )
        for name, text in metrics.items()
    }
    for state in snapshot.ike_sas:
        key = (state.sa.connection, str(state.sa.ike_id))
        for name, value in _ike(state, snapshot.at).items():
            found[name].add_metric(key, value)
        for name, algorithm, size, group in _key_sizes("ike", state.sa.proposal):
            found[name].add_metric((*key, algorithm, group), size)
        for child in state.children:
            of_child = (*key, child.sa.name, str(child.sa.child_id))
            for name, value in _child(child, snapshot.at).items():
                found[name].add_metric(of_child, value)
            selected = (*of_child, _joined(child.sa.ts_local), _joined(child.sa.ts_remote))
            for name, value in _selected(child, snapshot.at).items():
                found[name].add_metric(selected, value)
            for name, algorithm, size, group in _key_sizes("sa", child.sa.proposal):
                found[name].add_metric((*of_child, algorithm, group), size)
    yield from found.values()


def _ike(state: IkeSaState, now: float) -> dict[str, float]:
    sa = state.sa
    return {
        "ike_version": 2,
        "ike_status": STATUS.get(sa.state, UNRECOGNIZED),
        "ike_initiator": sa.initiator,
        "ike_nat_local": sa.nat_local,
        "ike_nat_remote": sa.nat_remote,
        "ike_nat_fake": sa.encap and not sa.initiator,
        "ike_nat_any": sa.nat_local or sa.nat_remote or sa.encap,
        "ike_established_seconds": 0 if sa.established_at is None else int(now - sa.established_at),
        "ike_rekey_seconds": _until(sa.rekey_at, now),
        "ike_reauth_seconds": _until(sa.reauth_at, now),
        "ike_children_size": len(state.children),
    }


def _child(child: InstalledChild, now: float) -> dict[str, float]:
    sa = child.sa
    return {
        "sa_encap": sa.encap,
        "sa_established_seconds": int(now - sa.installed_at),
        "sa_rekey_seconds": _until(sa.rekey_at, now),
        "sa_lifetime_seconds": _until(sa.expires_at, now),
    }


def _selected(child: InstalledChild, now: float) -> dict[str, float]:
    traffic = child.traffic
    return {
        "sa_status": STATUS.get(child.sa.state, UNRECOGNIZED),
        "sa_inbound_bytes": traffic.in_bytes,
        "sa_inbound_packets": traffic.in_packets,
        "sa_last_inbound_seconds": max(0, int(now - traffic.in_last)) if traffic.in_last else 0,
        "sa_outbound_bytes": traffic.out_bytes,
        "sa_outbound_packets": traffic.out_packets,
        "sa_last_outbound_seconds": max(0, int(now - traffic.out_last)) if traffic.out_last else 0,
    }


def _until(at: float | None, now: float) -> int:
    """0: never, as strongSwan leaves the key out then and the exporter reads 0."""
    return 0 if at is None else int(at - now)


def _joined(selectors: tuple[object, ...]) -> str:
    return ";".join(map(str, selectors))


def _key_sizes(kind: str, proposal: Proposal | None) -> Iterator[tuple[str, str, int, str]]:
    """Metric, algorithm, bits and group, by strongSwan's names; "" and 0 for what the proposal has not."""
    encryption, integrity, group, bits = "", "", "", 0
    for one in () if proposal is None else proposal.transforms:
        if one.type == TransformType.ENCR:
            encryption, bits = Encr(one.id).label, one.key_length or 0
        elif one.type == TransformType.INTEG and one.id:
            integrity = Integ(one.id).name
        elif one.type == TransformType.KE and one.id:
            group = KeGroup(one.id).name
    yield f"{kind}_encryption_key_size", encryption, bits, group
    yield f"{kind}_integrity_key_size", integrity, 0, group
