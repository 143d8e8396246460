"""The daemon's SAs and connections as text, as `swanctl --list-sas` and `--list-conns` have them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypedDict

AUTH_TEXT = {"psk": "pre-shared key", "pubkey": "public key", "eap": "EAP"}


class ChildSa(TypedDict):
    """One CHILD_SA in the answer to list-sas. Times are in seconds; SPIs in hex."""

    name: str
    child_id: int
    state: str
    mode: str  # "TUNNEL", "TRANSPORT"
    encap: bool
    suite: str
    quantum_safe: bool
    esn: bool
    spi_in: str
    spi_out: str
    ts_local: list[str]
    ts_remote: list[str]
    installed: int
    rekey_in: int | None
    expires_in: int | None
    in_bytes: int
    in_packets: int
    in_last: int | None
    out_bytes: int
    out_packets: int
    out_last: int | None
    out_seq: int
    device: str | None
    drops: dict[str, int]


class Network(TypedDict):
    """What an IKE_SA gives its device: addresses, routed networks, DNS servers and domains; and the peer."""

    addresses: list[str]
    subnets: list[str]
    dns_servers: list[str]
    domains: list[str]
    encrypted_dns: list[str]
    leases: list[str]  # of the peer


class IkeSa(TypedDict):
    """One IKE_SA in the answer to list-sas. Times are in seconds; a rekeying that is off has none."""

    connection: str
    ike_id: int
    state: str
    initiator: bool
    spi_i: str
    spi_r: str
    local_id: str
    remote_id: str
    remote_eap_id: str  # the user that EAP has authenticated
    local: str
    remote: str
    nat_local: bool
    nat_remote: bool
    encap: bool
    suite: str
    quantum_safe: bool  # a quantum computer that comes later won't know its keys
    ppk: bool  # a postquantum preshared key is in them (RFC 8784)
    established: int | None
    rekey_in: int | None
    reauth_in: int | None
    tasks_queued: list[str]
    tasks_active: list[str]
    network: Network
    children: list[ChildSa]


class Auth(TypedDict):
    """One side of a connection."""

    auth: str
    id: str


class ChildConfig(TypedDict):
    """A configured child. Limits after which it is rekeyed: seconds, octets and packets; 0: none."""

    name: str
    mode: str
    local_ts: list[str]
    remote_ts: list[str]
    esp_proposals: list[str]
    start_action: str
    dpd_action: str
    rekey_time: int
    rekey_bytes: int
    rekey_packets: int


class Device(TypedDict):
    """A connection's device."""

    name: str
    addresses: list[str]
    peers: list[str]
    routes: list[str] | None
    mtu: int | None
    mss_clamp: bool
    table: int | None
    metric: int | None
    src: list[str]


class Probe(TypedDict):
    """A target of probes. Times in seconds, sizes in octets; None: not known."""

    connection: str
    target: str
    up: bool
    sent: int
    received: int
    lost: int
    of: int
    rtt_last: float | None
    rtt_least: float | None
    rtt_mean: float | None
    rtt_most: float | None
    path_mtu: int | None
    tried_mtu: int | None
    mtu_checked: bool | None  # just now, by this command; None: it was not asked to


class Connection(TypedDict):
    """One connection in the answer to list-conns. Times are in seconds; 0: never."""

    name: str
    local_addrs: list[str]
    remote_addrs: list[str]
    local: Auth
    remote: Auth
    encap: bool
    reauth_time: int
    rekey_time: int
    dpd_delay: int
    proposals: list[str]
    children: list[ChildConfig]
    vti: Device


def sas(ike_sas: Iterable[IkeSa]) -> Iterator[str]:
    """The lines of list-sas."""
    for sa in ike_sas:
        ours_i, ours_r = ("*", "") if sa["initiator"] else ("", "*")
        yield (
            f"{sa['connection']}: #{sa['ike_id']}, {sa['state']}, IKEv2, "
            f"{sa['spi_i']}_i{ours_i} {sa['spi_r']}_r{ours_r}"
        )
        yield f"  local  {_identity(sa['local_id'])}{sa['local']}{_nat(sa['nat_local'])}"
        user = f" EAP {sa['remote_eap_id']}" if sa["remote_eap_id"] else ""
        yield f"  remote {_identity(sa['remote_id'])}{sa['remote']}{_nat(sa['nat_remote'])}{user}"
        if sa["suite"]:
            yield f"  {sa['suite']}{'/PPK' if sa['ppk'] else ''}{_safe(sa['quantum_safe'])}"
        if sa["established"] is not None:
            times = _until("rekeying", sa["rekey_in"]) + _until("reauth", sa["reauth_in"])
            yield f"  established {sa['established']}s ago{times}"
        for word, tasks in (("queued: ", sa["tasks_queued"]), ("active: ", sa["tasks_active"])):
            if tasks:
                yield f"  {word} {' '.join(tasks)}"
        yield from _network(sa["network"])
        for child in sa["children"]:
            yield from _child_sa(child)


def _until(what: str, seconds: int | None) -> str:
    return "" if seconds is None else f", {what} in {seconds}s"


def _network(network: Network) -> Iterator[str]:
    for word, values in (
        ("addresses", network["addresses"]),
        ("routes", network["subnets"]),
        ("DNS servers", network["dns_servers"]),
        ("domains", network["domains"]),
        ("encrypted DNS", network["encrypted_dns"]),
        ("the peer has", network["leases"]),
    ):
        if values:
            yield f"  {word} {' '.join(values)}"


def _identity(known: str) -> str:
    """Empty while the identity is unknown, before IKE_AUTH."""
    return f"'{known}' @ " if known else ""


def _safe(so: bool) -> str:
    return ", quantum-safe" if so else ""


def _nat(found: bool) -> str:
    return ", behind NAT" if found else ""


def _child_sa(child: ChildSa) -> Iterator[str]:
    mode = f"{child['mode']}-in-UDP" if child["encap"] else child["mode"]
    suite = f"ESP:{child['suite']}" + ("/ESN" if child["esn"] else "")
    device = f", device {child['device']}" if child["device"] else ""
    safe = _safe(child["quantum_safe"])
    yield f"  {child['name']}: #{child['child_id']}, {child['state']}, {mode}, {suite}{safe}{device}"
    times = _until("rekeying", child["rekey_in"]) + _until("expires", child["expires_in"])
    yield f"    installed {child['installed']}s ago{times}"
    yield _counters("in ", child["spi_in"], child["in_bytes"], child["in_packets"], child["in_last"])
    yield _counters("out", child["spi_out"], child["out_bytes"], child["out_packets"], child["out_last"])
    yield f"    local  {' '.join(child['ts_local'])}"
    yield f"    remote {' '.join(child['ts_remote'])}"
    dropped = [f"{reason} {number}" for reason, number in child["drops"].items() if number]
    if dropped:
        yield f"    dropped {', '.join(dropped)}"


def _counters(direction: str, spi: str, size: int, packets: int, last: int | None) -> str:
    line = f"    {direction} {spi}, {size:6} bytes, {packets:5} packets"
    return line if last is None else f"{line}, {last:5}s ago"


def drops(workers: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """The lines of counters: one a worker and reason."""
    for worker, reasons in workers.items():
        counted = {reason: number for reason, number in reasons.items() if number}
        yield f"{worker}: {'' if counted else 'nothing dropped'}".rstrip()
        for reason, number in counted.items():
            yield f"  {number:8} {reason}"


def probes(found: Iterable[Probe]) -> Iterator[str]:
    """The lines of probes."""
    for probe in found:
        name = f"{probe['connection']}, {probe['target']}"
        if not probe["up"]:
            yield f"{name}: the tunnel is down; {probe['received']} of {probe['sent']} replies so far"
            continue
        text = f"{name}: {probe['lost']} of the last {probe['of']} lost"
        if probe["rtt_mean"] is not None:
            times = (probe["rtt_least"], probe["rtt_mean"], probe["rtt_most"])
            text += f", RTT {'/'.join(f'{(one or 0) * 1000:.2f}' for one in times)} ms (least/mean/most)"
        yield text
        if probe["mtu_checked"] is False:
            yield "  the path MTU was not found in time: pings are lost, or the path is slow"
        elif probe["path_mtu"] is not None and probe["tried_mtu"] is not None:
            yield f"  {path_mtu(probe['path_mtu'], probe['tried_mtu'])}"


def path_mtu(takes: int, tried: int) -> str:
    """What a check of the path MTU found, in words."""
    if takes == tried:
        return f"packets of the device's MTU, {tried}, come back"
    return (
        f"no packet of the device's MTU, {tried}, comes back: the path takes {takes}; set vti.mtu = {takes}"
    )


def connections(configured: Iterable[Connection]) -> Iterator[str]:
    """The lines of list-conns."""
    for connection in configured:
        yield f"{connection['name']}: IKEv2, {_renewal(connection)}"
        yield f"  local:  {' '.join(connection['local_addrs'])}"
        yield f"  remote: {' '.join(connection['remote_addrs'])}"
        yield f"  proposals: {', '.join(connection['proposals'])}"
        yield from _auth("local", connection["local"])
        yield from _auth("remote", connection["remote"])
        for child in connection["children"]:
            dpd = f", dpd action is {child['dpd_action']}" if connection["dpd_delay"] else ""
            start = f", start action is {child['start_action']}" if child["start_action"] else ""
            yield f"  {child['name']}: {child['mode']}, {_rekeying(child)}{dpd}{start}"
            yield f"    local:  {' '.join(child['local_ts'])}"
            yield f"    remote: {' '.join(child['remote_ts'])}"
            yield f"    proposals: {', '.join(child['esp_proposals'])}"
        yield from _device(connection["vti"])


def _renewal(connection: Connection) -> str:
    reauth, rekey, dpd = (connection[key] for key in ("reauth_time", "rekey_time", "dpd_delay"))
    words = [
        f"reauthentication every {reauth}s" if reauth else "no reauthentication",
        f"rekeying every {rekey}s" if rekey else "no rekeying",
    ]
    if dpd:
        words.append(f"dpd delay {dpd}s")
    return ", ".join(words)


def _rekeying(child: ChildConfig) -> str:
    limits = [
        f"{limit}{unit}"
        for limit, unit in (
            (child["rekey_time"], "s"),
            (child["rekey_bytes"], " bytes"),
            (child["rekey_packets"], " packets"),
        )
        if limit
    ]
    return f"rekeying every {' or '.join(limits)}" if limits else "no rekeying"


def _auth(side: str, auth: Auth) -> Iterator[str]:
    yield f"  {side} {AUTH_TEXT.get(auth['auth'], auth['auth'])} authentication:"
    yield f"    id: {auth['id']}"


def _device(device: Device) -> Iterator[str]:
    yield f"  device {device['name']}:"
    if device["addresses"]:
        yield f"    addresses: {' '.join(device['addresses'])}"
    if device["peers"]:
        yield f"    peers: {' '.join(device['peers'])}"
    routes = device["routes"]
    yield f"    routes: {'negotiated' if routes is None else ' '.join(routes) or 'none'}"
    yield f"    mtu: {'from the uplink' if device['mtu'] is None else device['mtu']}"
    if device["table"] is not None:
        yield f"    table: {device['table']}"
    if device["metric"] is not None:
        yield f"    metric: {device['metric']}"
    if device["src"]:
        yield f"    source addresses: {' '.join(device['src'])}"
