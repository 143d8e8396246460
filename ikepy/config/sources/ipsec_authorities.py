"""Translates the sections `ca` of ipsec.conf: CAs, and where they tell what they have revoked."""

from __future__ import annotations

from ikepy.config.sources import ipsec_syntax
from ikepy.config.sources.draft import Draft, Lost, Origin
from ikepy.config.sources.ipsec_conn import Conn, file, said, word_of
from ikepy.config.sources.ipsec_syntax import Parts
from ikepy.config.sources.place import Place
from ikepy.config.toml_source import Table

URIS = {
    "crl_uris": ("crluri", "crluri1", "crluri2"),
    "ocsp_uris": ("ocspuri", "ocspuri1", "ocspuri2"),
}
KNOWN = ("auto", "cacert", "certuribase", *(key for several in URIS.values() for key in several))
AUTO = ("ignore", "add")
NO_BASE = "certificates are sent whole, not as hash and URL; remove it"


def authorities(parts: Parts, into: Draft) -> Table:
    """Those with auto = add: without it a section is there for others to inherit from alone."""
    found: Table = {}
    for name, part in parts.authorities.items():
        values = parts.authority(name) if name != ipsec_syntax.DEFAULT else {}
        auto = word_of(values, "auto", "ignore")
        if auto not in AUTO:
            text = f"allowed: {', '.join(AUTO)}"
            into.refused.append(Lost(f"ca {name}.auto", values["auto"].place, text))
        elif auto == "add":
            found[name] = _authority(name, values, part.place, into)
    return found


def _authority(name: str, ca: Conn, place: Place, into: Draft) -> Table:
    path, table = f"authorities.{name}", Table()
    into.origins[path] = Origin(f"ca {name}", place)
    for key, value in ca.items():
        if key not in KNOWN:
            told = f"unknown key; allowed: {', '.join(KNOWN)}"
            into.refused.append(Lost(f"ca {name}.{key}", value.place, told))
        elif key == "certuribase" and value.text is not None:
            into.remarks.append(Lost(f"ca {name}.{key}", value.place, NO_BASE))
    own = said(ca, "cacert")
    if own is not None:
        into.put(
            table, (*path.split(".", 1), "cacert"), file(into.layout.cas, own), _origin(name, ca, "cacert")
        )
    for ours, keys in URIS.items():
        given = [(key, said(ca, key)) for key in keys if said(ca, key) is not None]
        if given:
            table[ours] = [uri for _, uri in given]
        for index, (key, _) in enumerate(given):
            into.origins[f"{path}.{ours}[{index}]"] = _origin(name, ca, key)
    return table


def _origin(name: str, ca: Conn, key: str) -> Origin:
    return Origin(f"ca {name}.{key}", ca[key].place)
