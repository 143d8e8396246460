"""Parses ipsec.conf: `config setup`, `conn NAME` and `ca NAME`, and what they inherit (ipsec.conf(5)).

A section begins at the left margin; its parameters are indented, `key = value`. `also = NAME` and the section
%default are inherited: what the section says itself counts first, then the last `also` and what it inherits,
then the one before, at last %default. What is inherited on several ways counts as late as it can, as in
strongSwan's conf_parser.c.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from ikepy.config.sources.place import Place, Value, failure, included, read_file, unescape

MAX_INCLUDES = 10
MAX_DEPTH = 100  # of also in also
DEFAULT = "%default"

# A line with its quoted texts, which may span several, then perhaps a comment. "@#" begins a key ID.
_LINE = re.compile(r'((?:"(?:\\[\s\S]|[^"\\])*"|(?<![^\s=])@#|[^"#\n])*)(#[^\n]*)?(\n|\Z)')
_HEADER = re.compile(r"(config)\s+(setup)|(conn|ca)\s+(\S+)")
_PARAMETER = re.compile(r"([A-Za-z0-9_.-]+)\s*=\s*([\s\S]*)")
_PART = re.compile(r'"((?:\\[\s\S]|[^"\\])*)"|([^"\s]+)')
_INCLUDE = re.compile(r"\s*include\s+(?![=\s])([\s\S]+)")


@dataclass(slots=True)
class Part:
    """One section as written, or several of the same name merged."""

    place: Place
    values: dict[str, Value] = field(default_factory=dict)
    also: list[Value] = field(default_factory=list)


@dataclass
class Parts:
    """All sections by name."""

    setup: Part
    conns: dict[str, Part] = field(default_factory=dict)
    authorities: dict[str, Part] = field(default_factory=dict)

    def conn(self, name: str) -> dict[str, Value]:
        """What a conn says and inherits. ConfigError if one of them is not there, or inherits itself."""
        return self._heirs.values(name)

    def authority(self, name: str) -> dict[str, Value]:
        """As `conn`, of a section ca."""
        return self._authority_heirs.values(name)

    def __post_init__(self) -> None:
        self._heirs = _Heirs("conn", self.conns)
        self._authority_heirs = _Heirs("ca", self.authorities)


class _Heirs:
    """Sections of one kind, each of which may inherit from others."""

    def __init__(self, kind: str, parts: dict[str, Part]) -> None:
        self._kind = kind
        self._parts = parts
        self._order: dict[str, list[str]] = {}

    def values(self, name: str) -> dict[str, Value]:
        """What one says and inherits."""
        found: dict[str, Value] = {}
        for one in (name, *self._parents(name, ())):
            found = {**self._parts[one].values, **found}
        return found

    def _parents(self, name: str, below: tuple[str, ...]) -> list[str]:
        """Those that one inherits from, what counts most first. `below`: those that inherit from it."""
        if name in self._order:
            return self._order[name]
        found: list[str] = []
        for also in reversed(self._parts[name].also):
            parent = also.text or DEFAULT
            if parent == DEFAULT:
                continue
            if parent not in self._parts:
                text = f"there is no {self._kind} of this name; correct it, or remove it"
                raise failure(also.place, f"{self._kind} {name}.also", text)
            if parent in (name, *below) or len(below) >= MAX_DEPTH:
                text = f"{self._kind}s inherit from each other in a circle, or too deeply"
                raise failure(also.place, f"{self._kind} {name}.also", text)
            found += [parent, *self._parents(parent, (*below, name))]
        if not found and DEFAULT in self._parts and name != DEFAULT:
            found = [DEFAULT]
        self._order[name] = list(dict.fromkeys(reversed(found)))[::-1]
        return self._order[name]


def parse(path: Path, text: str) -> Parts:
    """The sections in the text of a file and those that it includes. ConfigError with file and line."""
    parts = Parts(Part(Place(str(path), 0)))
    _read(path, text, parts, 0)
    return parts


def _read(path: Path, text: str, parts: Parts, nested: int) -> None:
    current: Part | None = None
    position, line = 0, 1
    while position < len(text):
        place = Place(str(path), line)
        match = _LINE.match(text, position)
        if match is None:
            raise failure(place, "", 'the text behind a quote does not end; allowed: key = "text"')
        position = match.end()
        line += match[0].count("\n")
        content = match[1].rstrip()
        include = _INCLUDE.fullmatch(content)
        if not content.strip() or re.match(r"\s*version\b(?!\s*=)", content):
            continue
        if include is not None:
            _include(path, include[1], place, parts, nested)
        elif not content[0].isspace():
            current = _section(content, place, parts)
        elif current is None:
            raise failure(place, "", "a parameter stands before any section; allowed: conn NAME, then it")
        else:
            _parameter(content.strip(), place, current)


def _include(path: Path, word: str, place: Place, parts: Parts, nested: int) -> None:
    if nested >= MAX_INCLUDES:
        text = f"files include each other too deeply; allowed: at most {MAX_INCLUDES}, one in the other"
        raise failure(place, "include", text)
    for file in included(path, _value(word) or "", place):
        _read(file, read_file(file, place)[0], parts, nested + 1)


def _section(content: str, place: Place, parts: Parts) -> Part:
    header = _HEADER.fullmatch(content)
    if header is None:
        text = (
            "no section begins so; allowed at the left margin: config setup, conn NAME, ca NAME, include "
            "(parameters are indented)"
        )
        raise failure(place, "", text)
    if header[1]:
        return parts.setup
    into = parts.conns if header[3] == "conn" else parts.authorities
    return into.setdefault(header[4], Part(place))


def _parameter(content: str, place: Place, part: Part) -> None:
    match = _PARAMETER.fullmatch(content)
    if match is None:
        raise failure(place, "", "not a parameter; allowed: key = value")
    value = Value(_value(match[2]), place)
    if match[1] == "also":
        part.also.append(value)
    else:
        part.values[match[1]] = value


def _value(text: str) -> str | None:
    parts = [unescape(one[1]) if one[1] is not None else one[2] for one in _PART.finditer(text)]
    return " ".join(parts) if parts else None
