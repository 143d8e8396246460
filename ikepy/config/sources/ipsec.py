"""Translates the conns of ipsec.conf, with strongSwan's defaults (ipsec.conf(5), and charon's plugin stroke).

Conns that say the same of IKE are children of one connection, as in charon: a peer that keeps identities
unique would take a second IKE_SA for a successor of the first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from ikepy.config import values
from ikepy.config.dns_name import DnsName
from ikepy.config.sources import (
    device,
    ipsec_auth,
    ipsec_authorities,
    ipsec_keys,
    ipsec_secrets,
    ipsec_syntax,
)
from ikepy.config.sources.draft import Draft, Lost, Origin, stable_device_names
from ikepy.config.sources.ipsec_conn import ALIASES, Conn, layout, listed, said, word_of
from ikepy.config.sources.place import Place
from ikepy.config.sources.rules import NO, YES
from ikepy.config.toml_source import Table

FORMAT = "ipsec.conf"
IKE_DEFAULT, ESP_DEFAULT = "aes128-sha256-curve25519", "aes128-sha256"
MARGIN, FUZZ, IKE_LIFETIME, LIFETIME, TRIES, DPD_DELAY = 540.0, 100.0, 10800.0, 3600.0, 3, 30
DPD = {"none": "none", "clear": "none", "hold": "trap", "restart": "start"}
ANY = frozenset({"%any", "%any4", "%any6"})
AUTO = {"add": "none", "route": "trap", "start": "start"}
EXCHANGES = frozenset({"ike", "ikev2"})
SETUP = {
    "uniqueids": (
        "unique",
        {"yes": "replace", "replace": "replace", "no": "no", "never": "never", "keep": "keep"},
    ),
    "strictcrlpolicy": ("revocation", {"yes": "strict", "ifuri": "ifuri", "no": "relaxed"}),
}
CONFIG_ADDRESSES = {  # of leftsourceip
    **dict.fromkeys(("%config", "%config4", "%modeconfig", "%modecfg", "%cfg"), "0.0.0.0"),
    "%config6": "::",
}
FUZZY = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)%?", re.ASCII)  # of rekeyfuzz
TIMES = {"ikelifetime": IKE_LIFETIME, "lifetime": LIFETIME, "margintime": MARGIN}
_ENDS = "the child ends without a new one; raise it, or lower that"
LIMITS = (  # each hard limit, how long before it a rekey is due, and what comes of it without
    ("ikelifetime", "margintime", "the IKE_SA stays for ever; raise it, or lower that"),
    ("lifetime", "margintime", _ENDS),
    ("lifebytes", "marginbytes", _ENDS),
    ("lifepackets", "marginpackets", _ENDS),
)
MARKS = ("mark", "mark_in", "mark_out")
_KNOWN = """
    auto keyexchange type left right leftsubnet rightsubnet
    leftikeport rightikeport leftprotoport rightprotoport ike esp mobike fragmentation forceencaps dpddelay
    dpdaction closeaction keyingtries ikelifetime lifetime keylife margintime rekeymargin rekeyfuzz rekey
    reauth lifebytes marginbytes lifepackets marginpackets mark mark_in mark_out tfc replay_window
    leftsourceip rightsourceip rightdns
"""
KNOWN = frozenset(_KNOWN.split()) | ipsec_auth.KEYS | frozenset({"leftrsasigkey", "rightrsasigkey"})


def draft(path: Path, text: str) -> Draft:
    """The configuration that the file `path` with this text means, with the secrets that belong to it."""
    into = Draft(FORMAT, path, layout=layout(path))
    parts = ipsec_syntax.parse(path, text)
    translator = Translator(into, _setup(parts.setup.values, into))
    for also in parts.setup.also:
        into.remarks.append(Lost("config setup.also", also.place, "config setup inherits nothing; remove it"))
    for name, part in parts.conns.items():
        if name != ipsec_syntax.DEFAULT:
            translator.conn(name, parts.conn(name), part.place)
    into.table = {"connections": translator.connections(), "secrets": ipsec_secrets.beside(path, into)}
    for key, table in (
        ("pools", translator.pools),
        ("authorities", ipsec_authorities.authorities(parts, into)),
    ):
        if table:
            into.table[key] = table
    return into


@dataclass(frozen=True, slots=True)
class Setup:
    """What `config setup` says of all conns, in the words of our keys."""

    unique: str = "replace"
    revocation: str = "relaxed"


def _setup(values: Conn, into: Draft) -> Setup:
    found = Setup()
    for key, value in values.items():
        origin = Origin(f"config setup.{key}", value.place)
        if key in SETUP and value.text is not None:
            ours, words = SETUP[key]
            meant = words.get(value.text.lower())
            if meant is None:
                into.refused.append(Lost(origin.key, origin.place, f"allowed: {', '.join(words)}"))
            else:
                found = replace(found, **{ours: meant})
        elif key in ipsec_keys.SETUP:
            ipsec_keys.SETUP[key].apply(into, value.text, origin)
        elif key not in SETUP:
            into.remarks.append(Lost(origin.key, origin.place, "is not known to ikepy; remove it"))
    return found


class Translator:
    """Makes connections of conns."""

    def __init__(self, into: Draft, setup: Setup | None = None) -> None:
        self._draft = into
        self._setup = setup or Setup()
        self._tables: dict[str, Table] = {}
        self._children: dict[str, dict[str, Table]] = {}
        self._marks: dict[str, dict[str, tuple[int, ...]]] = {}
        self._places: dict[tuple[str, str], Place] = {}
        self.pools: Table = {}

    def conn(self, name: str, conn: Conn, place: Place) -> None:
        """Add a conn that is to be loaded, with inherited values; one of auto = ignore is none."""
        auto = word_of(conn, "auto", "ignore")
        if auto == "ignore":
            if "auto" not in conn:
                self._tell_unknown(name, conn)
            return
        ike = self._ike(conn)
        owner = next((one for one, other in self._tables.items() if other == ike), name)
        self._note(name, owner, conn, place)
        if auto not in AUTO:
            self._refuse(name, "auto", conn, "allowed: ignore, add, route, start")
        if word_of(conn, "keyexchange", "ike") not in EXCHANGES:
            self._refuse(name, "keyexchange", conn, "ikepy speaks IKEv2 only; allowed: ikev2, ike")
        self._tell_of_authentication(name, conn)
        self._tables.setdefault(owner, ike)
        self._add_pools(name, conn)
        self._tell_of_lifetimes(name, conn)
        child = {"start_action": AUTO.get(auto, "none"), **self._child(name, conn)}
        self._children.setdefault(owner, {})[name] = child
        self._marks.setdefault(owner, {})[name] = self._numbers(name, conn)
        self._places[owner, name] = place

    def _tell_unknown(self, name: str, conn: Conn) -> None:
        """Of a conn that nothing loads, as it has no `auto`: the unknown key may be that, mistyped."""
        for key, value in conn.items():
            if key not in KNOWN and key not in ipsec_keys.RULES:
                told = f"unknown key{_meant_key(key)}, and without auto the conn is not loaded"
                self._draft.remarks.append(Lost(f"conn {name}.{key}", value.place, told))

    def _add_pools(self, name: str, conn: Conn) -> None:
        """What rightsourceip says: networks and ranges, each a pool that conns share."""
        addresses = listed(conn, "rightsourceip")
        if "rightdns" in conn and not addresses:
            remark = "name servers are told to those who get an address, by rightsourceip; remove it"
            self._draft.remarks.append(Lost(f"conn {name}.rightdns", conn["rightdns"].place, remark))
        for text in addresses:
            if text.startswith("%") and text != "%radius":
                self._refuse(name, "rightsourceip", conn, "allowed: networks, ranges, %radius")
            elif not text.startswith("%"):
                pool, dns = _pool_name(text), listed(conn, "rightdns")
                former = self.pools.get(pool)
                if isinstance(former, dict) and former["dns"] != dns:
                    self._refuse_other_dns(name, conn, f"pools.{pool}")
                    continue
                self.pools[pool] = {"addrs": text, "dns": dns}
                for key, ours in (("rightsourceip", "addrs"), ("rightdns", "dns")):
                    if key in conn:
                        origin = Origin(f"conn {name}.{key}", conn[key].place)
                        self._draft.origins[f"pools.{pool}.{ours}"] = origin

    def _refuse_other_dns(self, name: str, conn: Conn, pool: str) -> None:
        former = self._draft.origins.get(f"{pool}.dns", self._draft.origins[f"{pool}.addrs"])
        key = "rightdns" if "rightdns" in conn else "rightsourceip"
        text = (
            f"{former.key} ({former.place}) has the same addresses with other name servers: conns that share "
            "a pool have the same rightdns; give both the same, or addresses of their own"
        )
        self._refuse(name, key, conn, text)

    def _tell_of_lifetimes(self, name: str, conn: Conn) -> None:
        """What leaves no time for a rekey: the soft limit is then 0, which means never."""
        fuzz = said(conn, "rekeyfuzz")
        if fuzz is not None and not FUZZY.fullmatch(fuzz):
            self._refuse(name, "rekeyfuzz", conn, "allowed: a percentage, like 100%")
        if word_of(conn, "rekey", "yes") in NO:
            return
        for hard, margin, end in LIMITS:
            life, before = _limit(conn, hard), _limit(conn, margin)
            if life is None or before is None or not 0 < life <= before:
                continue
            given = [one for key in (hard, margin) for one in conn if ALIASES.get(one, one) == key]
            text = f"{hard} is not above {margin} ({before:g}), so that nothing is ever rekeyed: {end}"
            for key in given[:1]:
                self._draft.remarks.append(Lost(f"conn {name}.{key}", conn[key].place, text))

    def _tell_of_authentication(self, name: str, conn: Conn) -> None:
        for told, into in (
            (ipsec_auth.refused, self._draft.refused),
            (ipsec_auth.remarks, self._draft.remarks),
        ):
            for key, why in told(conn):
                given = next(one for one in conn if ALIASES.get(one, one) == key)
                into.append(Lost(f"conn {name}.{given}", conn[given].place, why))

    def connections(self) -> Table:
        """All of them, with their devices."""
        found: Table = {}
        vtis: list[tuple[str, Table]] = []
        for name, table in self._tables.items():
            vti: Table = {}
            origin = Origin(f"conn {name}", self._places[name, name])
            device.choose(self._draft, name, vti, self._marks[name], origin)
            for child, one in self._children[name].items():
                child_origin = Origin(f"conn {child}", self._places[name, child])
                device.refuse_all_traffic(self._draft, vti, values.listed(one["remote_ts"]), child_origin)
            found[name] = {**table, "children": self._children[name], "vti": vti}
            vtis.append((name, vti))
        stable_device_names(vtis)
        return found

    def _ike(self, conn: Conn) -> Table:
        """What a conn says of IKE: the connection without name, children and device."""
        names = _own_name(conn, "left"), _own_name(conn, "right")
        table: Table = {
            "local_addrs": _addresses(conn, "left"),
            "remote_addrs": _addresses(conn, "right"),
            "proposals": _proposals(said(conn, "ike") or IKE_DEFAULT),
            "keyingtries": _tries(said(conn, "keyingtries")),
            "unique": self._setup.unique,
            **ipsec_auth.ends(conn, self._draft.layout, names, self._setup.revocation),
            **ipsec_auth.certificates_sent(conn),
            **_ike_lifetimes(conn),
        }
        for key, ours in ("mobike", "mobike"), ("forceencaps", "encap"):
            if said(conn, key) is not None:
                table[ours] = _boolean(said(conn, key) or "")
        if said(conn, "fragmentation") is not None:
            table["fragmentation"] = said(conn, "fragmentation")
        if word_of(conn, "dpdaction", "none") != "none":
            table["dpd_delay"] = said(conn, "dpddelay") or DPD_DELAY
        vips = [CONFIG_ADDRESSES.get(one.lower(), one) for one in listed(conn, "leftsourceip")]
        pools = [_pool_name(one) for one in listed(conn, "rightsourceip") if not one.startswith("%")]
        table |= {key: one for key, one in (("vips", vips), ("pools", pools)) if one}
        for key, ours in ("leftikeport", "local_port"), ("rightikeport", "remote_port"):
            if said(conn, key) is not None:
                table[ours] = _whole(said(conn, key) or "")
        return table

    def _child(self, name: str, conn: Conn) -> Table:
        table: Table = {
            "local_ts": _selectors(conn, "left"),
            "remote_ts": _selectors(conn, "right"),
            "esp_proposals": _proposals(said(conn, "esp") or ESP_DEFAULT),
            "mode": said(conn, "type") or "tunnel",
            **_lifetimes(conn),
        }
        for key, ours in ("dpdaction", "dpd_action"), ("closeaction", "close_action"):
            word = word_of(conn, key, "none")
            table[ours] = DPD.get(word, word)
        tfc = said(conn, "tfc")
        if tfc is not None:
            table["tfc_padding"] = "mtu" if tfc == "%mtu" else _whole(tfc)
        window = said(conn, "replay_window")
        table["replay_window"] = 32 if window in (None, "-1") else _whole(window or "")
        return table

    def _numbers(self, name: str, conn: Conn) -> tuple[int, ...]:
        found = []
        for key in MARKS:
            one = device.number(said(conn, key) or "0")
            if one is None:
                self._refuse(name, key, conn, 'not a mark; allowed: a number like 42 or 0x2a, and a "/mask"')
            elif word_of(conn, key, "") in device.UNIQUE:
                self._draft.remarks.append(Lost(f"conn {name}.{key}", conn[key].place, device.NO_NUMBER))
            found.append(one or 0)
        return tuple(found)

    def _note(self, name: str, owner: str, conn: Conn, place: Place) -> None:
        """Note where the keys of a conn stand, and what of it is left out."""
        connection, child = f"connections.{owner}", f"connections.{owner}.children.{name}"
        if owner == name:
            self._draft.origins[connection] = Origin(f"conn {name}", place)
        self._draft.origins[child] = Origin(f"conn {name}", place)
        for key, value in conn.items():
            origin = Origin(f"conn {name}.{key}", value.place)
            rule = ipsec_keys.RULES.get(key)
            if rule is not None:
                rule.apply(self._draft, value.text, origin)
            elif key not in KNOWN:
                hint = _meant_key(key) or "; remove it"
                self._draft.refused.append(Lost(origin.key, origin.place, f"unknown key{hint}"))
            for ours in PATHS.get(ALIASES.get(key, key), ()):
                of_child = ours.startswith("children.")
                path = f"{child}{ours.removeprefix('children')}" if of_child else f"{connection}.{ours}"
                if of_child or owner == name:
                    self._draft.origins[path] = origin

    def _refuse(self, name: str, key: str, conn: Conn, text: str) -> None:
        self._draft.refused.append(Lost(f"conn {name}.{key}", conn[key].place, text))


# The keys that a parameter decides on in the connection, or (children.) in the child.
PATHS = {
    "left": ("local_addrs",),
    "right": ("remote_addrs",),
    "leftsubnet": ("children.local_ts",),
    "rightsubnet": ("children.remote_ts",),
    "leftprotoport": ("children.local_ts",),
    "rightprotoport": ("children.remote_ts",),
    **ipsec_auth.PATHS,
    "leftikeport": ("local_port",),
    "leftsourceip": ("vips",),
    "rightsourceip": ("pools",),
    "rightikeport": ("remote_port",),
    "ike": ("proposals",),
    "esp": ("children.esp_proposals",),
    "type": ("children.mode",),
    "mobike": ("mobike",),
    "forceencaps": ("encap",),
    "fragmentation": ("fragmentation",),
    "keyingtries": ("keyingtries",),
    "dpddelay": ("dpd_delay",),
    "dpdaction": ("children.dpd_action",),
    "closeaction": ("children.close_action",),
    "auto": ("children.start_action",),
    "ikelifetime": ("rekey_time", "reauth_time"),
    "lifetime": ("children.life_time", "children.rekey_time"),
    "margintime": ("over_time", "children.rand_time"),
    "lifebytes": ("children.life_bytes",),
    "marginbytes": ("children.rand_bytes",),
    "lifepackets": ("children.life_packets",),
    "marginpackets": ("children.rand_packets",),
    "tfc": ("children.tfc_padding",),
    "replay_window": ("children.replay_window",),
}


def _meant_key(key: str) -> str:
    close = get_close_matches(key, KNOWN, 1)
    return f' (did you mean "{close[0]}"?)' if close else ""


def _pool_name(text: str) -> str:
    """A pool of ipsec.conf has no name: conns with the same addresses share it."""
    return re.sub(r"[^A-Za-z0-9_.:@+-]", "-", text)[:64]


def _addresses(conn: Conn, side: str) -> list[object]:
    found = [str(one) for one in values.listed(said(conn, side) or "%any")]
    return [each for one in found for each in _meant(one)]


def _meant(address: str) -> list[object]:
    """What one of the words of `left` or `right` means. "%" in front of a name: the peer may also be
    elsewhere."""
    if address == "%defaultroute":
        return ["%any"]
    if address.startswith("%") and DnsName.of(address[1:]) is not None and address not in ANY:
        return [address[1:], "%any"]
    return [address]


def _own_name(conn: Conn, side: str) -> str | None:
    """The address as it stands there, an end's identity unless it has another; None: what is in use."""
    addresses = _addresses(conn, side)
    one = str(addresses[0])
    single = len(addresses) == 1 and not one.startswith("%") and "/" not in one
    return one if single and (side == "right" or DnsName.of(one) is not None) else None


def _proposals(text: str) -> list[object]:
    """The proposals given, and charon's own behind them unless "!" stands at the end."""
    strict = text.rstrip().endswith("!")
    found = values.listed(text.rstrip().rstrip("!"))
    return found if strict or "default" in found else [*found, "default"]


def _selectors(conn: Conn, side: str) -> list[object]:
    found = [str(one) for one in values.listed(said(conn, f"{side}subnet") or "dynamic")]
    port = said(conn, f"{side}protoport")
    behind = "" if port is None else f"[{port.replace('%', '')}]"
    return [
        ("dynamic" if one == "%dynamic" else one.replace("%", "")) + ("" if "[" in one else behind)
        for one in found
    ]


def _tries(text: str | None) -> object:
    return TRIES if text is None else 0 if text == "%forever" else _whole(text)


def _ike_lifetimes(conn: Conn) -> Table:
    """charon's stroke: the margin before the end is when the rekey is due, less a random part of it."""
    if word_of(conn, "rekey", "yes") in NO:
        return {"rekey_time": 0, "reauth_time": 0}
    life, margin = _time(conn, "ikelifetime", IKE_LIFETIME), _time(conn, "margintime", MARGIN)
    if isinstance(life, str) or isinstance(margin, str):
        return {"rekey_time": life, "over_time": margin}
    due = "rekey_time" if word_of(conn, "reauth", "yes") in NO else "reauth_time"
    return {
        "rekey_time": 0,
        "reauth_time": 0,
        due: max(life - margin, 0.0),
        "over_time": margin,
        "rand_time": margin * _fuzz(conn),
    }


def _lifetimes(conn: Conn) -> Table:
    if word_of(conn, "rekey", "yes") in NO:
        return {"rekey_time": 0, "life_time": 0}
    life, margin = _time(conn, "lifetime", LIFETIME), _time(conn, "margintime", MARGIN)
    if isinstance(life, str) or isinstance(margin, str):
        return {"life_time": life, "rand_time": margin}
    table: Table = {
        "life_time": life,
        "rekey_time": max(life - margin, 0.0),
        "rand_time": margin * _fuzz(conn),
    }
    for what in ("bytes", "packets"):
        hard, soft = said(conn, f"life{what}"), said(conn, f"margin{what}")
        if hard is None:
            continue
        end, before = _whole(hard), _whole(soft or "0")
        table[f"life_{what}"] = end
        if isinstance(end, int) and isinstance(before, int):
            table[f"rekey_{what}"] = max(end - before, 0)
            table[f"rand_{what}"] = int(before * _fuzz(conn))
        else:
            table[f"rand_{what}"] = before
    return table


def _time(conn: Conn, key: str, default: float) -> float | str:
    """Seconds; what is no time stays text, for the model to refuse."""
    text = said(conn, key)
    try:
        return default if text is None else values.seconds(text)
    except ValueError:
        return text or ""


def _fuzz(conn: Conn) -> float:
    match = FUZZY.fullmatch(said(conn, "rekeyfuzz") or "")
    return (FUZZ if match is None else float(match[1])) / 100


def _limit(conn: Conn, key: str) -> float | None:
    """A lifetime or margin, in seconds, octets or packets; None: there is none, or it is no number."""
    if key in TIMES:
        found: object = _time(conn, key, TIMES[key])
    else:
        found = _whole(said(conn, key) or ("0" if key.startswith("margin") else ""))
    return found if isinstance(found, int | float) else None


def _whole(text: str) -> object:
    return int(text) if re.fullmatch(r"\d{1,18}", text, re.ASCII) else text


def _boolean(text: str) -> object:
    word = text.lower()
    return True if word in YES else False if word in NO else text
