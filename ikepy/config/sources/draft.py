"""A configuration of another format, put into the shape of our TOML file, with the place of each key.

A draft says besides what could not be carried over. What changes security or reachability is `refused`: such
a file is not run, only converted. The rest are `remarks`.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ikepy.config import toml_source
from ikepy.config.credentials.credential_files import SWANCTL, Layout
from ikepy.config.model import device_name
from ikepy.config.report import Problem
from ikepy.config.sources.place import Place
from ikepy.config.toml_source import Reading, Table
from ikepy.errors import ConfigError

# Advice on what to write that holds in TOML alone.
_ADD_SECRET = re.compile(r"add \[secrets\.[^\]]*\](?: with ids and secret, secret_file or secret_env)?")
_SECTION = re.compile(r", \[connections\.[^\]]*\]")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a key of the draft comes from: the key as its file has it, and the line."""

    key: str
    place: Place


@dataclass(frozen=True, slots=True)
class Lost:
    """Something that was not carried over, or not as it stood: key in its file, line, what to do."""

    key: str
    place: Place
    text: str


@dataclass(slots=True)
class Draft:
    """`table`: as `tomllib` would read it. `origins`: key path in it -> where it comes from.

    `layout`: where certificates are that the file does not name.
    """

    format: str
    path: Path
    table: Table = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    refused: list[Lost] = field(default_factory=list)
    remarks: list[Lost] = field(default_factory=list)
    layout: Layout = SWANCTL

    def put(self, table: Table, path: Iterable[str], value: object, origin: Origin) -> None:
        """Set the last key of `path`, which `table` holds."""
        keys = list(path)
        table[keys[-1]] = value
        self.origins[".".join(keys)] = origin

    def validate(self) -> Reading:
        """The configuration without what is refused. ConfigError with every mistake in the rest."""
        return self._reading({})

    def read(self, unread: Collection[str] = ()) -> Reading:
        """The configuration. ConfigError with all that is wrong or can't be carried over.

        `unread`: sections that are elsewhere, as `toml_source.read_table` has them.
        """
        places = {one.key: str(one.place) for one in (*self.refused, *self.remarks)}
        refused = [(one.key, one.text) for one in self.refused]
        try:
            reading = self._reading(places, unread)
        except ConfigError as error:
            raise ConfigError(self.path, refused + error.problems, places) from None
        if refused:
            raise ConfigError(self.path, refused, places)
        remarks = (*((one.key, one.text) for one in self.remarks), *reading.remarks)
        return Reading(reading.config, remarks, self.format, places, reading.empty)

    def _reading(self, places: dict[str, str], unread: Collection[str] = ()) -> Reading:
        return toml_source.read_table(
            self.table,
            str(self.path),
            self.path.parent,
            translate=lambda problem: self._translated(problem, places),
            places=places,
            unread=unread,
        )

    def _translated(self, problem: Problem, places: dict[str, str]) -> Problem:
        """A problem of the table with the key that its file has, whose place is noted in `places`."""
        key, text = problem
        known, rest = key, ""
        while known not in self.origins:
            cut = re.search(r"(\[\d+\]|\.[^.\[]+)$", known)
            if cut is None:
                return problem
            known, rest = known[: cut.start()], cut[0] + rest
        origin = self.origins[known]
        told = origin.key + rest
        places[told] = str(origin.place)
        return told, _SECTION.sub("", _ADD_SECRET.sub("add one for them", text))


def stable_device_names(
    connections: Iterable[tuple[str, Table]],
    taken: Collection[str] = (),
    former: Mapping[str, str] | None = None,
) -> None:
    """Give devices whose default names would be the same, as the kernel cuts them, a part of a checksum.

    A name depends on the connection's alone, so that other connections may come and go. `taken`: by others'
    devices; `former`: connection -> the name that its device has now, which it keeps if it has such a part.
    """
    used = set(taken)
    for name, vti in connections:
        own = vti.get("name")
        wanted = own if isinstance(own, str) else device_name(name)
        if own is None:
            told_apart = f"{wanted[:10]}-{zlib.crc32(name.encode()) & 0xFFFF:04x}"
            if wanted in used or (former or {}).get(name) == told_apart:
                wanted = told_apart
                vti["name"] = wanted
        used.add(wanted)
