"""IKE_SAs, children, connections and policies as the sections that VICI has for them, with strongSwan's
names, states and units (its vici/README.md, "list-sa" and following; what charon 5.9 sends).

Times are whole seconds from or until now. A key stands only where there is something to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from esp.packet.selectors import Selector
from ikepy.config.model import AuthLocal, AuthRemote, Child, Connection
from ikepy.crypto.x509.certificate import certificate
from ikepy.daemon.control.snapshot import IkeSaState, InstalledChild
from ikepy.daemon.control.status import task_names
from ikepy.daemon.vici import our_keys
from ikepy.daemon.vici.algorithms import algorithms_of
from ikepy.daemon.vici.message import Pairs, Value, encode
from ikepy.daemon.vici.packets import MAX_PACKET
from ikepy.sa.api.path import Endpoint, Path
from ikepy.sa.api.snapshot import ChildSnapshot, IkeSaSnapshot

Section = dict[str, Value]
IKE_VERSION = "2"
LEFT_FOR_OTHERS = MAX_PACKET // 2  # octets of one event's children; the rest goes into another event
CLASSES = {"psk": "pre-shared key", "pubkey": "public key", "eap": "EAP"}  # charon's names of methods
STATES = {"DEAD": "DESTROYING"}  # charon's names of our states, where they differ


class Reqids:
    """Numbers for configured children, as charon's reqids: the same for all SAs of one, from 1 on."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}

    def of(self, connection: str, child: str) -> int:
        return self._numbers.setdefault((connection, child), len(self._numbers) + 1)


def ike_sa(sa: IkeSaSnapshot, now: float) -> Section:
    """The section of an IKE_SA without its children."""
    section: Section = {
        "uniqueid": sa.ike_id,
        "version": IKE_VERSION,
        "state": STATES.get(sa.state, sa.state),
        **_endpoint("local", sa.path.local),
        "local-id": str(sa.local_id or "%any"),
        **_endpoint("remote", sa.path.remote),
        "remote-id": str(sa.remote_id or "%any"),
    }
    if sa.eap_id:
        section["remote-eap-id"] = sa.eap_id
    if sa.initiator:
        section["initiator"] = "yes"
    section |= {"initiator-spi": sa.spi_i.hex(), "responder-spi": sa.spi_r.hex()}
    for key, so in (
        ("nat-local", sa.nat_local),
        ("nat-remote", sa.nat_remote),
        ("nat-any", sa.nat_local or sa.nat_remote or sa.encap),
    ):
        if so:
            section[key] = "yes"
    if sa.proposal is not None:
        section |= algorithms_of(sa.proposal)
    if sa.ppk:
        section["ppk"] = "yes"
    if sa.established_at is not None and sa.state == "ESTABLISHED":
        section["established"] = _since(sa.established_at, now)
        section |= _until({"rekey-time": sa.rekey_at, "reauth-time": sa.reauth_at}, now)
    if sa.network.addresses:
        section["local-vips"] = [str(one.ip) for one in sa.network.addresses]
    if sa.network.leases:
        section["remote-vips"] = [str(one) for one in sa.network.leases]
    for key, tasks in (("tasks-queued", sa.tasks_queued), ("tasks-active", sa.tasks_active)):
        if tasks:
            section[key] = task_names(tasks)
    return section


def endpoints(path: Path) -> Section:
    """`local-host`, `local-port` and the peer's."""
    return _endpoint("local", path.local) | _endpoint("remote", path.remote)


def _endpoint(end: str, endpoint: Endpoint) -> Section:
    return {f"{end}-host": str(endpoint.address), f"{end}-port": endpoint.port}


def child_sa(installed: InstalledChild, reqid: int, now: float) -> Section:
    """The section of a child."""
    sa, traffic = installed.sa, installed.traffic
    section: Section = {
        "name": sa.name,
        "uniqueid": sa.child_id,
        "reqid": reqid,
        "state": sa.state,
        "mode": "TRANSPORT" if sa.transport else "TUNNEL",
        "protocol": "ESP",
    }
    if sa.encap:
        section["encap"] = "yes"
    section |= {"spi-in": f"{sa.spi_in:08x}", "spi-out": f"{sa.spi_out:08x}"}
    section |= algorithms_of(sa.proposal)
    section |= {"bytes-in": traffic.in_bytes, "packets-in": traffic.in_packets}
    if traffic.in_last:
        section["use-in"] = _since(traffic.in_last, now)
    section |= {"bytes-out": traffic.out_bytes, "packets-out": traffic.out_packets}
    if traffic.out_last:
        section["use-out"] = _since(traffic.out_last, now)
    section |= _until({"rekey-time": sa.rekey_at, "life-time": sa.expires_at}, now)
    section["install-time"] = _since(sa.installed_at, now)
    section |= {"local-ts": _texts(sa.ts_local), "remote-ts": _texts(sa.ts_remote)}
    return section


def _since(then: float, now: float) -> int:
    return max(0, int(now - then))


def _until(times: Mapping[str, float | None], now: float) -> Section:
    return {key: int(time - now) for key, time in times.items() if time is not None}


def child_key(child: ChildSnapshot) -> str:
    """What a child's section is called: its name alone is not unique."""
    return f"{child.name}-{child.child_id}"


def list_sa(state: IkeSaState, reqids: Reqids, now: float, *, ours: bool = False) -> Iterator[Pairs]:
    """The `list-sa` events of one IKE_SA: one, or several if its children are too many for a packet.

    `ours`: with the keys that strongSwan does not have.
    """
    connection, section = state.sa.connection, ike_sa(state.sa, now)
    if ours:
        section |= our_keys.of_ike_sa(state.sa, now)
    children: Section = {}
    octets = 0
    for child in state.children:
        made = child_sa(child, reqids.of(connection, child.sa.name), now)
        if ours:
            made |= our_keys.of_child(child)
        size = len(encode(made.items()))
        if children and octets + size > LEFT_FOR_OTHERS:
            yield [(connection, {**section, "child-sas": children})]
            children, octets = {}, 0
        children[child_key(child.sa)] = made
        octets += size
    yield [(connection, {**section, "child-sas": children})]


def list_conn(connection: Connection, *, ours: bool = False) -> Section:
    """The section of a configured connection, which holds no secret.

    `ours`: with the keys that strongSwan does not have.
    """
    section: Section = {
        "local_addrs": _texts(connection.local_addrs),
        "remote_addrs": _texts(connection.remote_addrs),
        "version": "IKEv2",
        "reauth_time": int(connection.reauth_time),
        "rekey_time": int(connection.rekey_time),
        "unique": f"UNIQUE_{connection.unique.upper()}",
    }
    if connection.dpd_delay:
        section["dpd_delay"] = int(connection.dpd_delay)
    for number, local in enumerate(connection.locals, 1):
        section[f"local-{number}"] = _authentication(local)
    for number, remote in enumerate(connection.remotes, 1):
        section[f"remote-{number}"] = _authentication(remote)
    if ours:
        section |= our_keys.of_connection(connection)
    section["children"] = {
        child.name: _configured_child(child) | (our_keys.of_configured_child(child) if ours else {})
        for child in connection.children.values()
    }
    return section


def _authentication(auth: AuthLocal | AuthRemote) -> Section:
    section: Section = {}
    if auth.id is not None or isinstance(auth, AuthRemote):
        section["id"] = str(auth.id or "%any")
    section["class"] = CLASSES[auth.auth.kind]
    if auth.eap:
        section["eap-type"] = auth.eap.removeprefix("eap-").upper()
    if auth.eap_id is not None:
        section["eap_id"] = auth.eap_id
    if isinstance(auth, AuthLocal) and auth.aaa_id is not None:
        section["aaa_id"] = str(auth.aaa_id)
    remote = auth if isinstance(auth, AuthRemote) else None
    return section | {
        "groups": [],
        "cert_policy": [] if remote is None else list(remote.cert_policy),
        "certs": [_subject(one) for one in auth.certs],
        "cacerts": [] if remote is None else [_subject(one) for one in remote.cacerts],
    }


def _subject(der: bytes) -> str:
    return str(certificate(der).subject)


def _configured_child(child: Child) -> Section:
    return {
        "mode": child.mode.upper(),
        "rekey_time": int(child.rekey_time),
        "rekey_bytes": child.rekey_bytes,
        "rekey_packets": child.rekey_packets,
        "dpd_action": str(child.dpd_action),
        "close_action": str(child.close_action),
        "local-ts": _texts(child.local_ts),
        "remote-ts": _texts(child.remote_ts),
    }


def list_policy(connection: Connection, child: Child) -> Section:
    """The section of a trap policy."""
    return {
        "child": child.name,
        "ike": connection.name,
        "mode": child.mode.upper(),
        "local-ts": _texts(child.local_ts),
        "remote-ts": _texts(child.remote_ts),
    }


def _texts(values: Iterable[Selector | object]) -> list[str]:
    return [str(one) for one in values]
