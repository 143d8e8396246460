"""Steering: leads a host's own packets of one protocol to one address into a TUN device (ip-rule(8)).

For ESP in transport mode, whose packets have the addresses that ESP itself has: routes can't tell them apart,
rules can, by protocol and ports. They stand before the rule of the exemptions (`tun.exemptions`). Each device
has a table of its own, of a default route into it, and one that refuses what comes while the device is away,
so that nothing leaves in the clear. Needs Linux 4.17.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pyroute2.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE
from pyroute2.netlink.rtnl import (
    RTM_DELROUTE,
    RTM_DELRULE,
    RTM_GETRULE,
    RTM_NEWROUTE,
    RTM_NEWRULE,
    rt_proto,
    rt_scope,
    rt_type,
)
from pyroute2.netlink.rtnl.fibmsg import fibmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from tun.netlink import Address
from tun.rtnetlink import FAMILIES, converse, dump

PREFERENCE = 4  # of the rules
TABLES = 0x69700000  # and the device's index
TABLES_OF_DEVICES = range(TABLES, TABLES + 2**24)
_FR_ACT_TO_TBL = 1  # linux/fib_rules.h
_LAST_METRIC = 2**32 - 1
ALL_PORTS = 0, 65535


@dataclass(frozen=True, slots=True, order=True)
class HostFlow:
    """Packets of this host to `remote`: a protocol, and if it has ports ranges of them at both ends, which
    the kernel takes if they are within 1..65534, or `ALL_PORTS`. `source`: the address that senders without
    one get; it does not tell flows apart."""

    remote: Address
    protocol: int
    first_port: int = ALL_PORTS[0]
    last_port: int = ALL_PORTS[1]
    own_first_port: int = ALL_PORTS[0]
    own_last_port: int = ALL_PORTS[1]
    source: Address | None = None


def steer(index: int, flows: Collection[HostFlow]) -> None:
    """From now on these flows, and no others, lead into a device. Raises OSError."""
    for version in FAMILIES:
        wanted = {_key(flow): flow for flow in flows if flow.remote.version == version}
        there = _steered(version).get(TABLES + index, set())
        if wanted:
            source = next((flow.source for flow in wanted.values() if flow.source is not None), None)
            _lead(version, index, source)
        for key in wanted.keys() - there:
            with contextlib.suppress(FileExistsError):
                _change_rule(version, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, TABLES + index, key)
        for key in there - wanted.keys():
            _end(version, TABLES + index, key)
        if there and not wanted:
            _clear(version, TABLES + index)


def end_steering() -> None:
    """End it for all devices, also what a killed daemon has left. Raises OSError."""
    for version in FAMILIES:
        for table, keys in _steered(version).items():
            for key in keys:
                _end(version, table, key)
            _clear(version, table)


_Key = tuple[str, int, tuple[int, int], tuple[int, int]]  # remote, protocol, its ports, ours


def _key(flow: HostFlow) -> _Key:
    theirs, ours = (flow.first_port, flow.last_port), (flow.own_first_port, flow.own_last_port)
    return str(flow.remote), flow.protocol, theirs, ours


def _steered(version: int) -> dict[int, set[_Key]]:
    """The rules that are ours, by table."""
    found: dict[int, set[_Key]] = {}
    for rule in dump(fibmsg, RTM_GETRULE, {"family": FAMILIES[version]}, {}):
        table, protocol = rule.get_attr("FRA_TABLE") or 0, rule.get_attr("FRA_IP_PROTO")
        if rule.get_attr("FRA_PRIORITY") == PREFERENCE and table in TABLES_OF_DEVICES and protocol:
            ports = [rule.get_attr(name) for name in ("FRA_DPORT_RANGE", "FRA_SPORT_RANGE")]
            theirs, ours = map(_range, ports)
            found.setdefault(table, set()).add((rule.get_attr("FRA_DST"), protocol, theirs, ours))
    return found


def _range(text: str | None) -> tuple[int, int]:
    """A range of ports as pyroute2 has it, "1:2"."""
    if text is None:
        return ALL_PORTS
    first, _, last = text.partition(":")
    return int(first), int(last)


def _change_rule(version: int, kind: int, flags: int, table: int, key: _Key) -> None:
    remote, protocol, theirs, ours = key
    header = {"family": FAMILIES[version], "action": _FR_ACT_TO_TBL, "dst_len": 32 if version == 4 else 128}
    attributes: dict[str, Any] = {
        "FRA_DST": remote,
        "FRA_TABLE": table,
        "FRA_PRIORITY": PREFERENCE,
        "FRA_IP_PROTO": protocol,
    }
    for name, ports in (("FRA_DPORT_RANGE", theirs), ("FRA_SPORT_RANGE", ours)):
        if ports != ALL_PORTS:
            attributes[name] = f"{ports[0]}:{ports[1]}"
    converse(fibmsg, kind, flags | NLM_F_ACK, header, attributes)


def _end(version: int, table: int, key: _Key) -> None:
    with contextlib.suppress(FileNotFoundError):
        _change_rule(version, RTM_DELRULE, 0, table, key)


def _lead(version: int, index: int, source: Address | None) -> None:
    """The routes of a device's table: the first one is used while the device is away or down."""
    for kind, metric in (("unreachable", _LAST_METRIC), ("unicast", 1)):
        header = {"family": FAMILIES[version], "proto": rt_proto["static"], "type": rt_type[kind]}
        attributes: dict[str, Any] = {"RTA_TABLE": TABLES + index, "RTA_PRIORITY": metric}
        if kind == "unicast":
            header["scope"] = rt_scope["link" if version == 4 else "universe"]
            attributes["RTA_OIF"] = index
            if source is not None:
                attributes["RTA_PREFSRC"] = str(source)
        try:
            converse(rtmsg, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, header, attributes)
        except OSError as error:
            if error.errno != errno.ENETDOWN:  # then others took it down, and it is led again once it is up
                raise


def _clear(version: int, table: int) -> None:
    for kind, metric in (("unicast", 1), ("unreachable", _LAST_METRIC)):
        header = {"family": FAMILIES[version], "type": rt_type[kind], "scope": rt_scope["nowhere"]}
        attributes = {"RTA_TABLE": table, "RTA_PRIORITY": metric}
        with contextlib.suppress(OSError):  # gone with the device
            converse(rtmsg, RTM_DELROUTE, NLM_F_ACK, header, attributes)
