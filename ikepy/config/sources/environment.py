"""Reads the environment variables of the pod's image (openvnf/vnf-ipsec), and wipes the secret among them.

The image makes one conn of ipsec.conf of them; so does this module, with the image's defaults.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ikepy.config.credentials import wiped_variables
from ikepy.config.sources import ipsec_secrets
from ikepy.config.sources.draft import Draft, Lost, Origin
from ikepy.config.sources.ipsec import Translator
from ikepy.config.sources.place import Place, Value
from ikepy.config.toml_source import Table

FORMAT = "the variables IPSEC_… of the environment"
WHERE = Place("environment", 0)
SECRET = "IPSEC_PSK"
NAME = "site-static-ip"  # the image's name for its conn
# Variable -> the key of ipsec.conf that the image puts it into.
CONN = {
    "IPSEC_LOCALIP": "left",
    "IPSEC_LOCALID": "leftid",
    "IPSEC_LOCALNET": "leftsubnet",
    "IPSEC_REMOTEIP": "right",
    "IPSEC_REMOTEID": "rightid",
    "IPSEC_REMOTENET": "rightsubnet",
    "IPSEC_KEYEXCHANGE": "keyexchange",
    "IPSEC_IKECIPHER": "ike",
    "IPSEC_ESPCIPHER": "esp",
    "IPSEC_LIFETIME": "lifetime",
    "IPSEC_IKELIFETIME": "ikelifetime",
    "IPSEC_FORCEUDP": "forceencaps",
    "IPSEC_IKEREAUTH": "reauth",
    "IPSEC_VTI_KEY": "mark",
}
VTI = {
    "IPSEC_VTI_STATICROUTES": "routes",
    "IPSEC_VTI_IPADDR_LOCAL": "addresses",
    "IPSEC_VTI_IPADDR_PEER": "peers",
}
DEFAULTS = {
    "left": "%any",
    "right": "%any",
    "keyexchange": "ikev2",
    "ike": "aes192gcm16-aes128gcm16-prfsha256-ecp256-ecp521,aes192-sha256-modp3072",
    "esp": "aes192gcm16-aes128gcm16-ecp256,aes192-sha256-modp3072",
    "lifetime": "3600",
    "ikelifetime": "10800",
    "forceencaps": "yes",
    "reauth": "yes",
    "keyingtries": "%forever",
    "dpdaction": "restart",
    "fragmentation": "yes",
    "auto": "route",
    "authby": "psk",
}
NEEDED = ("IPSEC_LOCALNET", "IPSEC_REMOTENET", SECRET)
ELSEWHERE = {
    "ENVFILE": "no file with variables is read: set them in the pod's specification, and remove this one",
    "IPSEC_USE_MANUAL_CONFIG": 'run "ikepy run -c /etc/ipsec.config.d/ipsec.NAME.conf", without --env',
}
ROUTE, PRIVATE = "SET_ROUTE_DEFAULT_TABLE", "IPSEC_LOCALPRIVIP"
OTHERS = {
    "IPSEC_MANUAL_CHARON": "there is no charon.conf here: see the section daemon of ikepy.toml; remove it",
    ROUTE: f"routes into the tunnel are in the main table anyway, without {PRIVATE} as source; remove it",
}
INTERFACES = "IPSEC_INTERFACES"
KNOWN = frozenset({*CONN, *VTI, SECRET, INTERFACES, PRIVATE})
# What Kubernetes adds to each container for a service that is named so.
_SERVICE = re.compile(r"IPSEC_(.*_)?(SERVICE_(HOST|PORT.*)|PORT(_.*)?)")


def draft(environment: Mapping[str, str]) -> Draft:
    """The configuration that these variables mean; empty ones are as absent."""
    given = {name: text for name, text in environment.items() if text}
    into = Draft(FORMAT, Path(WHERE.file))
    _refuse(given, into)
    conn = {key: Value(text, WHERE) for key, text in DEFAULTS.items()}
    conn |= {key: Value(given[name], WHERE) for name, key in CONN.items() if name in given}
    for side in "left", "right":  # the image takes the address for the identity
        conn.setdefault(f"{side}id", conn[side])
    translator = Translator(into)
    translator.conn(NAME, conn, WHERE)
    connections = translator.connections()
    _device(given, connections, into)
    into.table = {"connections": connections, "secrets": {}}
    if SECRET in given:
        try:
            secret = ipsec_secrets.as_key(given[SECRET])  # the image makes a line of ipsec.secrets of it
        except ValueError as error:
            into.refused.append(Lost(SECRET, WHERE, str(error)))
        else:
            into.table["secrets"] = {"ike-1": {"ids": [conn["rightid"].text], "secret": secret}}
            into.origins["secrets.ike-1"] = Origin(SECRET, WHERE)
    if "DEBUG" in given:
        into.table["daemon"] = {"log_level": "debug"}
    return _in_variables(into)


def take() -> dict[str, str]:
    """The variables of this process. The secret is wiped from its memory, /proc/PID/environ included."""
    found = dict(os.environ)
    if SECRET in found:
        wiped_variables.take(SECRET)
    return found


def _refuse(given: Mapping[str, str], into: Draft) -> None:
    for name in NEEDED:
        if name not in given:
            into.refused.append(Lost(name, WHERE, "is missing; set it"))
    for address, identity in ("IPSEC_LOCALIP", "IPSEC_LOCALID"), ("IPSEC_REMOTEIP", "IPSEC_REMOTEID"):
        if given.get(address, "%any") == "%any" and identity not in given:
            into.refused.append(Lost(identity, WHERE, f"is missing; set it, or {address} to one address"))
    if "IPSEC_VTI_IPADDR_PEER" in given and "IPSEC_VTI_IPADDR_LOCAL" not in given:
        into.refused.append(Lost("IPSEC_VTI_IPADDR_LOCAL", WHERE, "is missing, beside IPSEC_VTI_IPADDR_PEER"))
    if INTERFACES in given:
        text = "ikepy answers on each interface"
        if given.get("IPSEC_LOCALIP", "%any") == "%any":
            lost = Lost(INTERFACES, WHERE, f"{text}: set IPSEC_LOCALIP to this one's address, and remove it")
            into.refused.append(lost)
        else:
            into.remarks.append(Lost(INTERFACES, WHERE, f"{text}, for IPSEC_LOCALIP alone; remove it"))
    for name in given:
        if name in ELSEWHERE:
            into.refused.append(Lost(name, WHERE, ELSEWHERE[name]))
        elif name == ROUTE and given[name] != "TRUE":
            continue  # the chart always has it, and the image looks for this word
        elif name in OTHERS:
            into.remarks.append(Lost(name, WHERE, f"has no effect: {OTHERS[name]}"))
        elif name.startswith("IPSEC_") and name not in KNOWN and not _SERVICE.fullmatch(name):
            into.remarks.append(Lost(name, WHERE, "is not known, neither here nor to the image"))


def _device(given: Mapping[str, str], connections: Table, into: Draft) -> None:
    """Addresses and routes of the device: with a key the image sets up these, and no others."""
    connection = connections.get(NAME)
    vti = connection.get("vti") if isinstance(connection, dict) else None
    if not isinstance(vti, dict) or "IPSEC_VTI_KEY" not in given:
        return
    vti["routes"] = []
    for name, key in VTI.items():
        if name in given:
            words = [one.strip() for one in given[name].split(",") if one.strip()]
            if key == "addresses":
                words = [one if "/" in one else f"{one}/{128 if ':' in one else 32}" for one in words]
            elif key == "peers":
                words = [one.partition("/")[0] for one in words]
            vti[key] = words
            into.origins[f"connections.{NAME}.vti.{key}"] = Origin(name, WHERE)


def _in_variables(into: Draft) -> Draft:
    """The draft with variables' names in place of ipsec.conf's keys."""
    names = {f"conn {NAME}.{key}": name for name, key in CONN.items()}
    origins = {path: replace(one, key=names.get(one.key, one.key)) for path, one in into.origins.items()}
    refused, remarks = (
        [replace(one, key=names.get(one.key, one.key)) for one in several]
        for several in (into.refused, into.remarks)
    )
    return replace(into, origins=origins, refused=refused, remarks=remarks)
