"""Exemptions: host routes for single addresses that take precedence over the user's routes (ip-rule(8)).

They are in a routing table of their own, behind a rule that comes before others'. So they hold whatever the
user's routes are, even host routes, and leave those as they are. A look-up with a mark
(`tun.rtnetlink.best_route`) ignores exemptions.
"""

from __future__ import annotations

import contextlib
from typing import Any

from pyroute2.netlink import NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE
from pyroute2.netlink.rtnl import (
    RTM_DELROUTE,
    RTM_DELRULE,
    RTM_GETROUTE,
    RTM_NEWROUTE,
    RTM_NEWRULE,
    rt_proto,
    rt_scope,
    rt_type,
)
from pyroute2.netlink.rtnl.fibmsg import fibmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from tun.netlink import Address
from tun.rtnetlink import FAMILIES, MARK, RTNH_F_ONLINK, Hop, converse, dump, read_route

TABLE = 4500
PREFERENCE = 5  # of the rule: behind "local", before the ones that programs pick by default
_FR_ACT_TO_TBL, _FIB_RULE_INVERT = 1, 2  # linux/fib_rules.h


def exempt(remote: Address, hop: Hop, source: Address | None) -> None:
    """Route one address to a next hop, ahead of all other routes. May be repeated. Raises OSError."""
    header, attributes = _exemption(remote)
    header |= {
        "proto": rt_proto["static"],
        "scope": rt_scope["link" if remote.version == 4 and hop.gateway is None else "universe"],
        "type": rt_type["unicast"],
        "flags": RTNH_F_ONLINK if hop.onlink else 0,
    }
    attributes["RTA_OIF"] = hop.device
    if hop.gateway is not None:
        attributes["RTA_GATEWAY"] = str(hop.gateway)
    if source is not None:
        attributes["RTA_PREFSRC"] = str(source)
    converse(rtmsg, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, header, attributes)
    with contextlib.suppress(FileExistsError):
        _change_rule(remote.version, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL)


def end_exemption(remote: Address) -> None:
    """Remove an exemption, if it is there: other routes decide again. Raises OSError."""
    header, attributes = _exemption(remote)
    header |= {"scope": rt_scope["nowhere"], "type": rt_type["unicast"]}
    with contextlib.suppress(ProcessLookupError):  # the kernel removes routes with their address or device
        converse(rtmsg, RTM_DELROUTE, NLM_F_ACK, header, attributes)
    if not exempted(remote.version):
        end_rule(remote.version)


def end_rule(version: int) -> None:
    """Remove the rule that leads to the exemptions, if it is there. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        _change_rule(version, RTM_DELRULE, 0)


def exempted(version: int) -> frozenset[Address]:
    """The addresses of an IP version that have an exemption. Raises OSError."""
    try:
        answers = dump(rtmsg, RTM_GETROUTE, {"family": FAMILIES[version]}, {"RTA_TABLE": TABLE})
        found = [each for one in answers for each in read_route(one)]
    except FileNotFoundError:  # the table was never used
        return frozenset()
    return frozenset(one.network.network_address for one in found if one.table == TABLE)


def _exemption(remote: Address) -> tuple[dict[str, int], dict[str, Any]]:
    header: dict[str, int] = {"family": FAMILIES[remote.version], "dst_len": remote.max_prefixlen}
    return header, {"RTA_DST": str(remote), "RTA_TABLE": TABLE}


def _change_rule(version: int, kind: int, flags: int) -> None:
    """Add or remove the rule that looks up the table of exemptions for all packets without the mark."""
    header = {"family": FAMILIES[version], "action": _FR_ACT_TO_TBL, "flags": _FIB_RULE_INVERT}
    attributes = {
        "FRA_TABLE": TABLE,
        "FRA_PRIORITY": PREFERENCE,
        "FRA_FWMARK": MARK,
        "FRA_FWMASK": 0xFFFFFFFF,
    }
    converse(fibmsg, kind, flags | NLM_F_ACK, header, attributes)
