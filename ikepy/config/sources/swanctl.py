"""Reads swanctl.conf: connections, children and secrets, with strongSwan's defaults (swanctl.conf(5))."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path

from ikepy.config import values
from ikepy.config.credentials import private_keys
from ikepy.config.sources import device, lifetimes
from ikepy.config.sources import swanctl_keys as keys
from ikepy.config.sources.draft import Draft, Lost, Origin, stable_device_names
from ikepy.config.sources.place import Value
from ikepy.config.sources.rules import NO, YES, Rule
from ikepy.config.sources.settings import Section, parse
from ikepy.config.toml_source import Table

FORMAT = "swanctl.conf"
OURS = ("daemon", "radius", "router_advertisements", "vxlan")  # sections that strongSwan does not have
KNOWN = ("connections", "secrets", "authorities", "pools", *OURS)
OURS_OF_A_CONNECTION = ("vti", "probe")
# What can only be a section in a connection.
PARTS = frozenset({"local", "local2", "remote", "remote2", "children", *OURS_OF_A_CONNECTION})
ALIKE = 0.8  # of the names of sections: one is the other, mistyped
LISTS = frozenset(
    {
        "crl_uris",
        "ocsp_uris",
        "local_addrs",
        "remote_addrs",
        "proposals",
        "esp_proposals",
        "local_ts",
        "remote_ts",
    }
)
LISTS |= {"certs", "cacerts", "pubkeys", "cert_policy", "vips", "pools"}
INTEGERS = frozenset({"version", "local_port", "remote_port", "keyingtries", "replay_window", "tfc_padding"})
INTEGERS |= {"round"}
INTEGERS |= {f"{which}_packets" for which in ("rekey", "life", "rand")}
BYTES = frozenset(f"{which}_bytes" for which in ("rekey", "life", "rand"))
BOOLEANS = frozenset({"encap", "mobike", "send_certreq", "experimental_mldsa", "hash_and_url"})
BOOLEANS |= {"ppk_required", "resumption"}
MARKS = ("if_id_in", "if_id_out", "mark_in", "mark_out")
TIMES = frozenset({"rekey_time", "reauth_time", "over_time", "rand_time", "life_time", "dpd_delay"})
UNIT_BYTES = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
# Where strongSwan's default is another than ours.
CONNECTION_DEFAULTS: Table = {"keyingtries": 1}
CHILD_DEFAULTS: Table = {"replay_window": 32}
AUTH_DEFAULT = "pubkey"
MOST_ROUNDS = 2  # of authentication (RFC 4739)


def draft(path: Path, text: str, exposed: str | None = None) -> Draft:
    """The configuration that the file `path` with this text means. `exposed`: who else may read the file."""
    settings = parse(path, text, exposed)
    translator = _Translator(Draft(FORMAT, path), settings.exposed)
    for place, name in settings.absent:
        remark = f'there is no section "{name}" to inherit from: it is left out'
        translator.draft.remarks.append(Lost(f"reference {name}", place, remark))
    translator.refuse_others(settings.root, settings.inherited)
    translator.root(settings.root)
    return translator.draft


def draft_of(
    name: str, root: Section, taken: Collection[str] = (), former: Mapping[str, str] | None = None
) -> Draft:
    """As `draft`, of sections that are in no file: `name` is what errors call them.

    What stands among sections may be inherited by them: swanctl sends what its file means. `taken`, `former`:
    names of devices, as `stable_device_names` has them.
    """
    translator = _Translator(Draft(FORMAT, Path(name)), {}, whole=False)
    translator.root(root, taken, former)
    return translator.draft


class _Translator:
    """`whole`: whether each section tells what of it is inherited."""

    def __init__(self, into: Draft, exposed: dict[str, str | None], *, whole: bool = True) -> None:
        self.draft = into
        self._exposed = exposed
        self._whole = whole

    def refuse_others(self, root: Section, inherited: Collection[str]) -> None:
        """Refuse what stands in no section, and sections that are probably others, mistyped: a reload would
        take what is in them away. Of those that others inherit from any name will do."""
        for key, value in root.values.items():
            self._misplaced(key, value, "stands in no section")
        allowed = f"allowed: {', '.join(KNOWN)}"
        for name, section in root.sections.items():
            if name in KNOWN or name in inherited:
                continue
            close = get_close_matches(name, KNOWN, 1, ALIKE)
            if close:
                text = f'unknown section (did you mean "{close[0]}"?)'
                self.draft.refused.append(Lost(name, section.place, text))
            elif root.sections.keys().isdisjoint(KNOWN):
                text = f"unknown section, and there is none that ikepy knows; {allowed}"
                self.draft.refused.append(Lost(name, section.place, text))
            else:
                text = f"unknown section, from which none inherits: it is left out; {allowed}"
                self.draft.remarks.append(Lost(name, section.place, text))

    def _misplaced(self, key: str, value: Value, why: str) -> None:
        if value.text is not None:
            self.draft.refused.append(Lost(key, value.place, f"{why}; remove it, or put it where it belongs"))

    def _sections(self, section: Section, *path: str) -> list[tuple[str, Section]]:
        """The sections in one that holds nothing else of its own: the last of `path`, in `section`."""
        inner = section.sections.get(path[-1])
        if inner is None:
            return []
        for key in inner.values.keys() - inner.inherited if self._whole else ():
            why = f"is in no section of {path[-1]}, NAME {{ … }}"
            self._misplaced(".".join((*path, key)), inner.values[key], why)
        return list(inner.sections.items())

    def root(
        self, root: Section, taken: Collection[str] = (), former: Mapping[str, str] | None = None
    ) -> None:
        connections: Table = {}
        secrets: Table = {}
        tables: list[tuple[str, Table]] = []
        for name, section in self._sections(root, "connections"):
            table, vti = self._connection(name, section)
            connections[name] = table
            tables.append((name, vti))
        stable_device_names(tables, taken, former)
        for name, section in self._sections(root, "secrets"):
            self._secret(secrets, name, section)
        authorities = {
            name: self._authority(name, section) for name, section in self._sections(root, "authorities")
        }
        self.draft.table = {"connections": connections, "secrets": secrets}
        if authorities:
            self.draft.table["authorities"] = authorities
        pools = {name: self._pool(one, ("pools", name)) for name, one in self._sections(root, "pools")}
        if pools:
            self.draft.table["pools"] = pools
        for ours in OURS:
            if ours in root.sections:
                self.draft.table[ours] = self._plain(root.sections[ours], (ours,))

    def _connection(self, name: str, section: Section) -> tuple[Table, Table]:
        path = ("connections", name)
        origin = self._note(path, section)
        table: Table = dict(CONNECTION_DEFAULTS)
        self._values(table, section, path, keys.CONNECTION)
        for key in section.values.keys() & PARTS:
            self._misplaced(".".join((*path, key)), section.values[key], f"must be a section, {key} {{ … }}")
        if table.get("version") == 0:
            del table["version"]  # any: and IKEv1 is refused as unsupported would be
        lifetimes.of_ike_sa(table)
        self._rounds(table, section, path)
        children: Table = {}
        ours = {
            one: self._plain(section.sections[one], (*path, one))
            for one in OURS_OF_A_CONNECTION
            if one in section.sections
        }
        vti = ours.setdefault("vti", {})
        whole = self._numbers(section, path)
        numbers: dict[str, tuple[int, ...]] = {}
        inners = self._sections(section, *path, "children")
        for child, inner in inners:
            children[child] = self._child(inner, (*path, "children", child))
            own = self._numbers(inner, (*path, "children", child))
            numbers[child] = tuple(one or other for one, other in zip(own, whole, strict=True))
        device.choose(self.draft, name, vti, numbers, origin)
        for child, inner in inners:
            given = _table(children[child]).get("remote_ts", [])
            remote = values.listed(given) if isinstance(given, str | list) else []  # a section is a mistake
            child_origin = self._note((*path, "children", child), inner)
            device.refuse_all_traffic(self.draft, vti, remote, child_origin)
        for other, inner in section.sections.items():
            if other not in ("children", *OURS_OF_A_CONNECTION) and not other.startswith(("local", "remote")):
                table[other] = {}  # the model says that there is no such key
                self._note((*path, other), inner)
        table |= {"children": children, **ours}
        return table, vti

    def _rounds(self, table: Table, section: Section, path: tuple[str, ...]) -> None:
        """The sections local* and remote*, in the order of `round`, as of swanctl: two of a side."""
        for side, rules in (("local", keys.LOCAL), ("remote", keys.REMOTE)):
            found = [(name, one) for name, one in section.sections.items() if name.startswith(side)]
            found.sort(key=lambda pair: _round(pair[1]))
            table[side] = {"auth": AUTH_DEFAULT}
            for name, one in found[MOST_ROUNDS:]:
                text = f"is more than the {MOST_ROUNDS} rounds of authentication that ikepy has; remove it"
                self.draft.refused.append(Lost(".".join((*path, name)), one.place, text))
            for key, (name, one) in zip((side, f"{side}2"), found, strict=False):
                table[key] = self._auth((*path, key), one, (*path, name), rules)

    def _auth(
        self, path: tuple[str, ...], section: Section, shown: tuple[str, ...], rules: dict[str, Rule]
    ) -> Table:
        table: Table = {"auth": AUTH_DEFAULT}
        self._note(path, section, shown)
        self._values(table, section, path, rules, shown)
        table.pop("round", None)
        for name, inner in section.sections.items():
            key = next((one for one in ("cacert", "cert") if name.startswith(one)), None)
            if key is None or (key == "cacert" and path[-1].startswith("local")):
                self.draft.put(table, (*path, name), {}, Origin(".".join((*shown, name)), inner.place))
            else:
                self._certificate(table, path, f"{key}s", inner, (*shown, name))
        return table

    def _certificate(
        self, table: Table, path: tuple[str, ...], key: str, section: Section, shown: tuple[str, ...]
    ) -> None:
        """A section cert* or cacert*, which names one certificate."""
        for name, value in section.values.items():
            origin = Origin(".".join((*shown, name)), value.place)
            if name == "file" and value.text is not None:
                listed = values.listed(table.get(key, []))
                self.draft.origins[f"{'.'.join((*path, key))}[{len(listed)}]"] = origin
                table[key] = [*listed, value.text]
            elif value.text is not None:
                text = "certificates of tokens are not read; allowed: file"
                self.draft.refused.append(Lost(origin.key, value.place, text))
        for name, inner in section.sections.items():
            self.draft.refused.append(
                Lost(".".join((*shown, name)), inner.place, "unknown section; allowed: file = NAME")
            )

    def _child(self, section: Section, path: tuple[str, ...]) -> Table:
        table: Table = dict(CHILD_DEFAULTS)
        self._note(path, section)
        self._values(table, section, path, keys.CHILD)
        lifetimes.of_child(table)
        self._refuse_sections(table, section, path)
        return table

    def _values(
        self,
        table: Table,
        section: Section,
        path: tuple[str, ...],
        rules: dict[str, Rule],
        shown: tuple[str, ...] | None = None,
    ) -> None:
        """Put a section's settings into its table, or say why not. `shown`: its path in the file."""
        for key, value in section.values.items():
            origin = Origin(".".join((*(shown or path), key)), value.place)
            rule = rules.get(key)
            if rule is not None:
                rule.apply(self.draft, value.text, origin)
            elif value.text is not None and key not in MARKS:
                self.draft.put(table, (*path, key), _converted(key, value.text), origin)

    def _numbers(self, section: Section, path: tuple[str, ...]) -> tuple[int, ...]:
        """The marks and interface IDs of a connection or child, 0 where there is none."""
        found = []
        for key in MARKS:
            value = section.values.get(key)
            one = device.number(value.text) if value is not None and value.text is not None else 0
            if one is None and value is not None:
                text = (
                    'not a mark or interface ID; allowed: a number like 42 or 0x2a, with "/mask" for a mark'
                )
                self.draft.refused.append(Lost(".".join((*path, key)), value.place, text))
            elif value is not None and (value.text or "").lower() in device.UNIQUE:
                self.draft.remarks.append(Lost(".".join((*path, key)), value.place, device.NO_NUMBER))
            found.append(one or 0)
        return tuple(found)

    def _secret(self, secrets: Table, name: str, section: Section) -> None:
        path = ("secrets", name)
        self._note(path, section)
        for kind, text in keys.SECRETS.items():
            if name.startswith(kind):
                self.draft.remarks.append(Lost(".".join(path), section.place, text))
                return
        if private_keys.kind_of(name) is not None or name.startswith(private_keys.TOKEN):
            secrets[name] = self._key(section, path)
            return
        table: Table = {}
        ids: list[str] = []
        for key, value in section.values.items():
            origin = Origin(".".join((*path, key)), value.place)
            if value.text is None:
                continue
            if key.startswith("id"):
                self.draft.origins[f"secrets.{name}.ids[{len(ids)}]"] = origin
                ids.append(value.text)
            else:
                self.draft.put(table, (*path, key), value.text, origin)
            if key == "secret":
                self._judge_file(origin)
        if ids:
            table["ids"] = ids
        self._refuse_sections(table, section, path)
        secrets[name] = table

    def _key(self, section: Section, path: tuple[str, ...]) -> Table:
        """A private key in a file or a token."""
        table: Table = {}
        for key, value in section.values.items():
            origin = Origin(".".join((*path, key)), value.place)
            word: object = value.text
            if value.text is None:
                continue
            if key == "slot":
                word = int(value.text) if value.text.isascii() and value.text.isdigit() else value.text
            self.draft.put(table, (*path, key), word, origin)
            if key in ("secret", "pin"):
                self._judge_file(origin)
        self._refuse_sections(table, section, path)
        return table

    def _judge_file(self, origin: Origin) -> None:
        exposed = self._exposed.pop(origin.place.file, None)
        if exposed is not None:
            self.draft.remarks.append(Lost(origin.key, origin.place, f"this file holds it, and {exposed}"))

    def _authority(self, name: str, section: Section) -> Table:
        """`file` names a CA's certificate as `cacert` does."""
        path, table = ("authorities", name), Table()
        self._note(path, section)
        self._values(table, section, path, keys.AUTHORITY)
        for key in ("file", "cacert"):
            if key in table:
                self.draft.origins[".".join((*path, "cacert"))] = self.draft.origins[".".join((*path, key))]
                table["cacert"] = table.pop(key)
        self._refuse_sections(table, section, path)
        return table

    def _pool(self, section: Section, path: tuple[str, ...]) -> Table:
        """Its values are texts or lists of them, whatever they look like."""
        table: Table = {}
        self._note(path, section)
        for key, value in section.values.items():
            if value.text is not None:
                word: object = value.text if key == "addrs" else values.listed(value.text)
                self.draft.put(table, (*path, key), word, Origin(".".join((*path, key)), value.place))
        self._refuse_sections(table, section, path)
        return table

    def _plain(self, section: Section, path: tuple[str, ...]) -> Table:
        """A section of ours, as it stands."""
        table: Table = {}
        self._note(path, section)
        for key, value in section.values.items():
            if value.text is not None:
                word: object = value.text
                if re.fullmatch(r"\d{1,18}", value.text):
                    word = int(value.text)
                elif re.fullmatch(r"\d{1,9}\.\d{1,9}", value.text):
                    word = float(value.text)
                origin = Origin(".".join((*path, key)), value.place)
                self.draft.put(table, (*path, key), word, origin)
        for name, inner in section.sections.items():
            table[name] = self._plain(inner, (*path, name))
        return table

    def _refuse_sections(self, table: Table, section: Section, path: tuple[str, ...]) -> None:
        """Put what is in no place for a section into the table, for the model to say so."""
        for name, inner in section.sections.items():
            self.draft.put(table, (*path, name), {}, Origin(".".join((*path, name)), inner.place))

    def _note(self, path: tuple[str, ...], section: Section, shown: tuple[str, ...] | None = None) -> Origin:
        origin = Origin(".".join(shown or path), section.place)
        self.draft.origins[".".join(path)] = origin
        return origin


def _round(section: Section) -> int:
    """Its place among the rounds of authentication; 0 if it has none, or one that is no number."""
    value = section.values.get("round")
    number = None if value is None or value.text is None else _amount(value.text)[0]
    return number or 0


def _table(value: object) -> Table:
    return value if isinstance(value, dict) else {}


def _converted(key: str, text: str) -> object:
    """A value of the kind that the model has for the key; other text stays, for the model to refuse."""
    if key in LISTS:
        return values.listed(text)
    if key in BYTES:
        number, unit = _amount(text)
        return number * UNIT_BYTES[unit] if number is not None and unit in UNIT_BYTES else text
    if key in TIMES:
        number, unit = _amount(text)
        return text if number is None else f"{number}{unit}" if unit else number
    if key in INTEGERS:
        number, unit = _amount(text)
        return number if number is not None and not unit else text
    if key in BOOLEANS:
        word = text.lower()
        return True if word in YES else False if word in NO else text
    return text


def _amount(text: str) -> tuple[int | None, str]:
    """A number as C has it (0x2a, 052, 42) and the unit behind it, in small letters; None if it is none."""
    match = re.fullmatch(r"(0x[0-9a-f]{1,16}|\d{1,18}) *([a-z]?)", text.lower(), re.ASCII)
    if match is None:
        return None, ""
    digits = match[1]
    octal = len(digits) > 1 and digits.isdigit() and digits.startswith("0")
    try:
        return int(digits, 8 if octal else 0), match[2]
    except ValueError:  # 08
        return None, ""
