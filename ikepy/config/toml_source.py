"""Reads the configuration from a TOML file and reports all mistakes at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, get_args

from pydantic import BaseModel, ValidationError

from ikepy.config import proposals, report, values
from ikepy.config.checks import notes, secret_use
from ikepy.config.checks.mistakes import check
from ikepy.config.credentials import private_keys, secrecy
from ikepy.config.credentials.private_keys import KeyFile, TokenKey
from ikepy.config.credentials.secret_source import Written
from ikepy.config.model import (
    Authority,
    Config,
    Connection,
    Daemon,
    Pool,
    SecretEntry,
    SecretKind,
    Vxlan,
    device_name,
)
from ikepy.config.radius import Radius
from ikepy.config.router_advertisement import RouterAdvertisement
from ikepy.config.sources.place import read_file
from ikepy.errors import ConfigError
from ikepy.wire.constants import ProtocolId

M = TypeVar("M", bound=BaseModel)
Table = dict[str, object]

TRUE_WORDS, FALSE_WORDS = frozenset({"true", "yes", "on"}), frozenset({"false", "no", "off"})
NOTHING_WORDS = frozenset({"none", "null", "nil"})
DEFAULT_PORT = Daemon().port
SECRET_KINDS: tuple[SecretKind, ...] = get_args(SecretKind)
OTHER_SECRETS = ("xauth",)


@dataclass(frozen=True, slots=True)
class Reading:
    """A valid configuration, and the warnings about it: (key path, text).

    `format`: as which the file was read. `places`: key path -> "file:line", where the source counts lines.
    `empty`: there is nothing in it but comments.
    """

    config: Config
    remarks: tuple[report.Problem, ...]
    format: str = "TOML"
    places: Mapping[str, str] = field(default_factory=dict)
    empty: bool = False


def load(path: Path) -> Config:
    """The configuration in a file. ConfigError with every mistake, also if the file can't be read."""
    return read(path).config


def parse(text: str, name: str = "<text>") -> Config:
    """The configuration in a text. `name` is what ConfigError calls it; relative paths start beside it."""
    return read_text(text, name).config


def read(path: Path) -> Reading:
    """As `load`, with the warnings that `ikepy check` and the start of the daemon print."""
    text, exposed = read_file(path)
    return read_text(text, str(path), exposed)


def read_text(text: str, name: str = "<text>", exposed: str | None = None) -> Reading:
    """As `parse`, with remarks. `exposed`: who may read the file that the text is from."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(name, [("", _syntax(error, text))]) from None
    except ValueError:  # of int(), which Python bounds
        raise ConfigError(name, [("", "holds a number with too many digits")]) from None
    except RecursionError:
        raise ConfigError(name, [("", "is nested too deeply")]) from None
    return read_table(data, name, Path(name).parent, exposed)


def read_table(
    data: Table,
    name: str,
    directory: Path,
    exposed: str | None = None,
    translate: Callable[[report.Problem], report.Problem] | None = None,
    places: Mapping[str, str] | None = None,
    unread: Collection[str] = (),
) -> Reading:
    """The configuration in a table of this file's shape, whatever source made it.

    `directory`: where relative paths start. `translate`: puts a problem in terms of that source; `places`:
    the lines of its key paths, for ConfigError. `unread`: "secrets" if these are elsewhere, so that a
    connection may be without one. The rest as in `read_text`.
    """
    source = _Source(data, directory, unread)
    config = source.config()
    told = translate or (lambda problem: problem)
    if source.problems:
        raise ConfigError(name, [told(one) for one in source.problems], places)
    if exposed is not None:
        source.warn_of_reader(exposed)
    remarks = (*source.remarks, *notes.notes(config), *secret_use.notes(config))
    return Reading(config, tuple(told(one) for one in remarks), empty=not data)


def _syntax(error: tomllib.TOMLDecodeError, text: str) -> str:
    # tomllib quotes single characters, and these may belong to a secret.
    message = re.sub(r"((?:character|Unescaped|Found invalid)[^(]*?) ?(['\"]).*\2", r"\1", str(error))
    return f"is not TOML: {message}{_meant(message, text)}"


def _meant(message: str, text: str) -> str:
    """Suggest TOML syntax where a value or a line is written in another format's syntax."""
    place = re.search(r"\(at line (\d+), column (\d+)\)", message)
    if place is None:
        return ""
    lines = text.split("\n")
    rest = lines[int(place[1]) - 1][int(place[2]) - 1 :] if int(place[1]) <= len(lines) else ""
    word = (re.match(r"[A-Za-z]+(?=[\s,#\]}]|$)", rest) or [""])[0].lower()
    if message.startswith("Invalid value"):
        for true, words in ("true", TRUE_WORDS), ("false", FALSE_WORDS):
            if word in words:
                return f"; TOML writes {true}, in small letters"
        if word in NOTHING_WORDS:
            return "; TOML has no such value: leave the key out"
        return '; text stands in quotes (key = "text"), yes and no are true and false'
    if message.startswith("Expected '=' after a key"):
        return "; TOML writes key = value and [section.name], not as YAML, JSON or swanctl.conf do"
    return ""


def _either(words: Sequence[str]) -> str:
    *first, last = (f'"{word}"' for word in words)
    return f"{', '.join(first)} or {last}" if first else last


class _Source:
    """One reading of one file. Sections are validated one by one, so that no mistake hides another's."""

    def __init__(self, data: Table, directory: Path, unread: Collection[str] = ()) -> None:
        self._unread = unread
        self.problems: list[report.Problem] = []
        self.remarks: list[report.Problem] = []
        self._data = data
        self._directory = directory

    def config(self) -> Config:
        """Build from the valid sections and cross-check them; valid if `problems` stays empty."""
        for key in self._data.keys() - set(report.known_keys("root")):
            self._add((key,), report.unknown_key((key,)))
        daemon = self._section(Daemon, ("daemon",), self._data.get("daemon", {}))
        secrets = self._sections("secrets", self._secret)
        pools = self._sections("pools", self._pool)
        shared, keys, tokens = (
            {name: one for name, one in secrets.items() if isinstance(one, kind)}
            for kind in (SecretEntry, KeyFile, TokenKey)
        )
        connections = self._sections("connections", self._connection)
        config = Config(
            connections=connections,
            secrets=shared,
            private_keys=keys,
            tokens=tokens,
            authorities=self._sections("authorities", self._authority),
            pools=pools,
            vxlan=self._sections("vxlan", self._vxlan),
            radius=self._radius(),
            daemon=daemon or Daemon(),
            router_advertisements=self._sections("router_advertisements", self._router_advertisement),
        )
        unread = set(self._unread)
        if daemon is None:
            unread.add("daemon")
        if len(pools) != len(self._tables("pools")):
            unread.add("pools")
        if len(secrets) != len(self._tables("secrets")):
            unread.add("secrets")
        self.problems += check(config, unread)
        return config

    def _sections(self, key: str, read: Callable[[report.Path, object], M | None]) -> dict[str, M]:
        if not isinstance(self._data.get(key, {}), dict):
            self._add((key,), f"must hold sections: [{key}.NAME]")
        sections = {name: read((key, name), value) for name, value in self._tables(key).items()}
        return {name: section for name, section in sections.items() if section is not None}

    def _tables(self, key: str) -> Table:
        value = self._data.get(key, {})
        return value if isinstance(value, dict) else {}

    def _secret(self, path: report.Path, table: object) -> SecretEntry | KeyFile | TokenKey | None:
        name = str(path[-1])
        self._check_name(path)
        match report.section_kind(path):
            case "private_key":
                return self._section(KeyFile, path, table)
            case "token":
                return self._section(TokenKey, path, table)
        kind = next((kind for kind in SECRET_KINDS if name.startswith(kind)), None)
        if kind is None:
            other = next((kind for kind in OTHER_SECRETS if name.startswith(kind)), "")
            why = (
                f"secrets of the kind {other} are not supported by ikepy yet; allowed" if other else "allowed"
            )
            kinds = (*SECRET_KINDS, *private_keys.KINDS, private_keys.TOKEN)
            self._add(path, f"{why}: a name that begins with {_either(kinds)}")
        if isinstance(table, dict):
            if "kind" in table:
                self._add((*path, "kind"), "unknown key: the kind is how the section's name begins")
            table = {**table, "kind": kind or "ike"}
        entry = self._section(SecretEntry, path, table)
        if entry is not None:
            self._judge(entry, path)
        return entry

    def _authority(self, path: report.Path, table: object) -> Authority | None:
        self._check_name(path)
        return self._section(Authority, path, table)

    def _radius(self) -> Radius | None:
        table = self._data.get("radius")
        if table is None:
            return None
        servers = table.get("servers") if isinstance(table, dict) else None
        if isinstance(table, dict) and isinstance(servers, dict):
            named = {
                name: {**one, **self._name(("radius", "servers", name), one)}
                if isinstance(one, dict)
                else one
                for name, one in servers.items()
            }
            table = {**table, "servers": named}
        radius = self._section(Radius, ("radius",), table)
        for server in radius.servers.values() if radius is not None else ():
            weak = secrecy.weakness(server.secret.expose(), [server.name])
            if weak:
                self.remarks.append((report.key_path(("radius", "servers", server.name, "secret")), weak))
        return radius

    def _pool(self, path: report.Path, table: object) -> Pool | None:
        if isinstance(table, dict):
            table = {**table, **self._name(path, table)}
        return self._section(Pool, path, table)

    def _vxlan(self, path: report.Path, table: object) -> Vxlan | None:
        if isinstance(table, dict):
            table = {**table, **self._name(path, table)}
        return self._section(Vxlan, path, table)

    def _judge(self, entry: SecretEntry, path: report.Path) -> None:
        if entry.kind == "ntlm":
            return
        names = [str(path[-1]).removeprefix(entry.kind).strip("-_."), *(str(one) for one in entry.ids)]
        secret = entry.secret.expose()
        weak = secrecy.weakness(secret, names)
        unseen = secrecy.invisible(secret) if isinstance(entry.secret, Written) else []
        for text in (*unseen, *([weak] if weak else [])):
            self.remarks.append((report.key_path((*path, entry.source)), text))

    def warn_of_reader(self, exposed: str) -> None:
        """Warn that others may read this file, if it holds a secret."""
        radius = self._data.get("radius")
        servers = radius.get("servers") if isinstance(radius, dict) else None
        several: list[tuple[report.Path, object]] = [
            (("secrets", name), one) for name, one in self._tables("secrets").items()
        ]
        if isinstance(servers, dict):
            several += [(("radius", "servers", name), one) for name, one in servers.items()]
        for path, table in several:
            for word, instead in (("secret", "; or use secret_file"), ("pin", "")):
                if isinstance(table, dict) and word in table:
                    key = report.key_path((*path, word))
                    self.remarks.append((key, f"this file holds it, and {exposed}{instead}"))
                    return

    def _router_advertisement(self, path: report.Path, table: object) -> RouterAdvertisement | None:
        if isinstance(table, dict):
            if "name" in table:
                self._add((*path, "name"), "unknown key: the interface is the one in the section's heading")
            table = {**table, "name": path[-1]}
        return self._section(RouterAdvertisement, path, table)

    def _connection(self, path: report.Path, table: object) -> Connection | None:
        if not isinstance(table, dict):
            return self._section(Connection, path, table)
        table = {"local_port": self._default_port(), "vti": {}, **table, **self._name(path, table)}
        children = table.get("children")
        if isinstance(children, dict):
            table["children"] = {
                name: {**child, **self._name((*path, "children", name), child)}
                if isinstance(child, dict)
                else child
                for name, child in children.items()
            }
        self._tell_idle_words((*path, "proposals"), table.get("proposals"), ProtocolId.IKE)
        for name, child in children.items() if isinstance(children, dict) else ():
            if isinstance(child, dict):
                key = (*path, "children", name, "esp_proposals")
                self._tell_idle_words(key, child.get("esp_proposals"), ProtocolId.ESP)
        if isinstance(table["vti"], dict):
            table["vti"] = {"name": device_name(str(path[-1])), **table["vti"]}
        return self._section(Connection, path, table)

    def _tell_idle_words(self, path: report.Path, entries: object, protocol: ProtocolId) -> None:
        """Warn of keywords that `model_validate` silently ignores."""
        for index, entry in enumerate(values.listed(entries) if isinstance(entries, list | str) else ()):
            for word, why in proposals.idle_words(entry, protocol) if isinstance(entry, str) else ():
                text = f'"{word}" has no effect and is ignored: {why}'
                self.remarks.append((report.key_path((*path, index)), text))

    def _name(self, path: report.Path, table: Table) -> Table:
        """The name that stands in a section's heading, as a key that the section may not have itself."""
        self._check_name(path)
        if "name" in table:
            self._add((*path, "name"), "unknown key: the name is the one in the section's heading")
        return {"name": path[-1]}

    def _check_name(self, path: report.Path) -> None:
        try:
            values.item_name(str(path[-1]))
        except ValueError as error:
            self._add(path, str(error))

    def _default_port(self) -> object:
        """swanctl: by default the port of the socket is used."""
        daemon = self._data.get("daemon")
        port = daemon.get("port", DEFAULT_PORT) if isinstance(daemon, dict) else DEFAULT_PORT
        return port if isinstance(port, int) and 0 <= port < 65536 else DEFAULT_PORT

    def _section(self, model: type[M], path: report.Path, table: object) -> M | None:
        remarks: list[tuple[str, str]] = []  # key and text: only files with secrets add any
        context = {"directory": self._directory, "remarks": remarks, "name": path[-1] if path else ""}
        try:
            section = model.model_validate(table, context=context)
        except ValidationError as error:
            self.problems += report.problems_of(error, path)
            return None
        self.remarks += [(report.key_path((*path, key)), text) for key, text in remarks]
        return section

    def _add(self, path: report.Path, text: str) -> None:
        self.problems.append((report.key_path(path), text))
