"""Asks the daemon for what `ikepy.listing` prints, and makes it of VICI's messages.

Keys that begin with "ikepy-" come from ikepy alone: of another daemon, what they tell is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ikepy.control.client import Message, ask, ask_for_list
from ikepy.daemon.vici.message import Value
from ikepy.listing import Auth, ChildConfig, ChildSa, Connection, IkeSa, Probe

OURS: Mapping[str, Value] = {"ikepy": "yes"}
_AUTH = {"pre-shared key": "psk", "public key": "pubkey", "EAP": "eap"}


def list_sas(path: Path, which: Mapping[str, Value] | None = None) -> list[IkeSa]:
    """The IKE_SAs and their children; `which`: VICI's filters. Raises ClientError."""
    events = ask_for_list(path, "list-sas", "list-sa", {**(which or {}), **OURS})
    return ike_sas(events)


def list_conns(path: Path) -> list[Connection]:
    """The connections that are loaded. Raises ClientError."""
    return connections(ask_for_list(path, "list-conns", "list-conn", OURS))


def drops(path: Path) -> dict[str, dict[str, int]]:
    """What was not served or dropped without an SA, by who did it and why. Raises ClientError."""
    return drop_counters(ask(path, "get-drops"))


def ike_sas(events: list[Message]) -> list[IkeSa]:
    """The IKE_SAs of `list-sa` events: one that came in several has its children together."""
    found: dict[int, IkeSa] = {}
    for event in events:
        for name, section in event.items():
            if isinstance(section, dict):
                sa = _ike_sa(name, section)
                if (before := found.get(sa["ike_id"])) is None:
                    found[sa["ike_id"]] = sa
                else:
                    before["children"] += sa["children"]
    return list(found.values())


def _ike_sa(name: str, section: Message) -> IkeSa:
    suite = _text(section, "ikepy-suite")
    established = _number_or_none(section, "ikepy-established")
    if established is None:
        established = _number_or_none(section, "established")
    return {
        "connection": name,
        "ike_id": _number(section, "uniqueid"),
        "state": _text(section, "state"),
        "initiator": _is(section, "initiator"),
        "spi_i": _text(section, "initiator-spi"),
        "spi_r": _text(section, "responder-spi"),
        "local_id": _identity(section, "local-id"),
        "remote_id": _identity(section, "remote-id"),
        "remote_eap_id": _text(section, "remote-eap-id"),
        "local": _endpoint(section, "local"),
        "remote": _endpoint(section, "remote"),
        "nat_local": _is(section, "nat-local"),
        "nat_remote": _is(section, "nat-remote"),
        "encap": _is(section, "ikepy-encap"),
        "suite": suite or _suite(section),
        "quantum_safe": _is(section, "ikepy-quantum-safe"),
        "ppk": _is(section, "ppk"),
        "established": established,
        "rekey_in": _number_or_none(section, "rekey-time"),
        "reauth_in": _number_or_none(section, "reauth-time"),
        "tasks_queued": _list(section, "tasks-queued"),
        "tasks_active": _list(section, "tasks-active"),
        "network": {
            "addresses": _list(section, "ikepy-addresses"),
            "subnets": _list(section, "ikepy-subnets"),
            "dns_servers": _list(section, "ikepy-dns-servers"),
            "domains": _list(section, "ikepy-domains"),
            "encrypted_dns": _list(section, "ikepy-encrypted-dns"),
            "leases": _list(section, "remote-vips"),
        },
        "children": [
            _child_sa(child) for child in _section(section, "child-sas").values() if isinstance(child, dict)
        ],
    }


def _child_sa(section: Message) -> ChildSa:
    drops: dict[str, int] = {}
    for item in _list(section, "ikepy-drops"):
        reason, _, number = item.rpartition(" = ")
        drops[reason] = int(number)
    return {
        "name": _text(section, "name"),
        "child_id": _number(section, "uniqueid"),
        "state": _text(section, "state"),
        "mode": _text(section, "mode"),
        "encap": _is(section, "encap"),
        "suite": _text(section, "ikepy-suite") or _suite(section),
        "quantum_safe": _is(section, "ikepy-quantum-safe"),
        "esn": "esn" in section,
        "spi_in": _text(section, "spi-in"),
        "spi_out": _text(section, "spi-out"),
        "ts_local": _list(section, "local-ts"),
        "ts_remote": _list(section, "remote-ts"),
        "installed": _number(section, "install-time"),
        "rekey_in": _number_or_none(section, "rekey-time"),
        "expires_in": _number_or_none(section, "life-time"),
        "in_bytes": _number(section, "bytes-in"),
        "in_packets": _number(section, "packets-in"),
        "in_last": _number_or_none(section, "use-in"),
        "out_bytes": _number(section, "bytes-out"),
        "out_packets": _number(section, "packets-out"),
        "out_last": _number_or_none(section, "use-out"),
        "out_seq": _number(section, "ikepy-out-seq"),
        "device": _text(section, "ikepy-device") or None,
        "drops": drops,
    }


def _suite(section: Message) -> str:
    """The algorithms as swanctl writes them."""
    words = [_text(section, key) for key in ("encr-alg", "integ-alg", "prf-alg", "dh-group")]
    if size := _text(section, "encr-keysize"):
        words[0] = f"{words[0]}-{size}"
    return "/".join(filter(None, words))


def connections(events: list[Message]) -> list[Connection]:
    """The connections of `list-conn` events."""
    return [
        _connection(name, section)
        for event in events
        for name, section in event.items()
        if isinstance(section, dict)
    ]


def _connection(name: str, section: Message) -> Connection:
    return {
        "name": name,
        "local_addrs": _list(section, "local_addrs"),
        "remote_addrs": _list(section, "remote_addrs"),
        "local": _auth(section, "local"),
        "remote": _auth(section, "remote"),
        "encap": _is(section, "ikepy-encap"),
        "reauth_time": _number(section, "reauth_time"),
        "rekey_time": _number(section, "rekey_time"),
        "dpd_delay": _number(section, "dpd_delay"),
        "proposals": _list(section, "ikepy-proposals"),
        "children": [
            _child_config(name, child)
            for name, child in _section(section, "children").items()
            if isinstance(child, dict)
        ],
        "vti": {
            "name": _text(section, "ikepy-device"),
            "addresses": _list(section, "ikepy-addresses"),
            "peers": _list(section, "ikepy-peers"),
            "routes": _list(section, "ikepy-routes") if "ikepy-routes" in section else None,
            "mtu": _number_or_none(section, "ikepy-mtu"),
            "mss_clamp": _is(section, "ikepy-mss-clamp"),
            "table": _number_or_none(section, "ikepy-table"),
            "metric": _number_or_none(section, "ikepy-metric"),
            "src": _list(section, "ikepy-src"),
        },
    }


def _auth(section: Message, side: str) -> Auth:
    """The first round of a side's authentication."""
    auth = next((value for key, value in section.items() if key.startswith(f"{side}-")), {})
    words = _text(auth, "class") if isinstance(auth, dict) else ""
    identity = _text(auth, "id") if isinstance(auth, dict) else ""
    return {"auth": _AUTH.get(words, words), "id": identity or "%any"}


def _child_config(name: str, section: Message) -> ChildConfig:
    return {
        "name": name,
        "mode": _text(section, "mode"),
        "local_ts": _list(section, "local-ts"),
        "remote_ts": _list(section, "remote-ts"),
        "esp_proposals": _list(section, "ikepy-esp-proposals"),
        "start_action": _text(section, "ikepy-start-action"),
        "dpd_action": _text(section, "dpd_action"),
        "rekey_time": _number(section, "rekey_time"),
        "rekey_bytes": _number(section, "rekey_bytes"),
        "rekey_packets": _number(section, "rekey_packets"),
    }


def drop_counters(answer: Message) -> dict[str, dict[str, int]]:
    """The answer of `get-drops`: reasons with their numbers, of control and of each worker."""
    counted: dict[str, dict[str, int]] = {"control": _numbers(_section(answer, "control"))}
    for name, worker in answer.items():
        if name != "control" and isinstance(worker, dict):
            title = f"{name.replace('-', ' ')} ({', '.join(_list(worker, 'devices'))})"
            counted[title] = _numbers(_section(worker, "drops"))
    return counted


def probes(answer: Message) -> list[Probe]:
    """The answer of `get-probes`."""
    return [_probe(section) for section in answer.values() if isinstance(section, dict)]


def _probe(section: Message) -> Probe:
    def seconds(key: str) -> float | None:
        number = _number_or_none(section, key)
        return None if number is None else number / 1e6

    return {
        "connection": _text(section, "connection"),
        "target": _text(section, "target"),
        "up": _is(section, "up"),
        "sent": _number(section, "sent"),
        "received": _number(section, "received"),
        "lost": _number(section, "lost"),
        "of": _number(section, "of"),
        "rtt_last": seconds("rtt-last"),
        "rtt_least": seconds("rtt-least"),
        "rtt_mean": seconds("rtt-mean"),
        "rtt_most": seconds("rtt-most"),
        "path_mtu": _number_or_none(section, "path-mtu"),
        "tried_mtu": _number_or_none(section, "tried-mtu"),
        "mtu_checked": _is(section, "mtu-checked") if "mtu-checked" in section else None,
    }


def _numbers(section: Message) -> dict[str, int]:
    return {reason: int(number) for reason, number in section.items() if isinstance(number, str)}


def _section(section: Message, key: str) -> Message:
    value = section.get(key)
    return value if isinstance(value, dict) else {}


def _list(section: Message, key: str) -> list[str]:
    value = section.get(key)
    return value if isinstance(value, list) else []


def _text(section: Message, key: str) -> str:
    value = section.get(key)
    return value if isinstance(value, str) else ""


def _number_or_none(section: Message, key: str) -> int | None:
    word = _text(section, key)
    return int(word) if word.isdecimal() else None


def _number(section: Message, key: str) -> int:
    return _number_or_none(section, key) or 0


def _is(section: Message, key: str) -> bool:
    return _text(section, key) == "yes"


def _identity(section: Message, key: str) -> str:
    word = _text(section, key)
    return "" if word == "%any" else word


def _endpoint(section: Message, side: str) -> str:
    return f"{_text(section, f'{side}-host')}[{_text(section, f'{side}-port')}]"
