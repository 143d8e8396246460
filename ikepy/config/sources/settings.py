"""Parses strongSwan's settings format, which strongswan.conf and swanctl.conf share (strongswan.conf(5)).

A file holds sections, `name { … }`, and settings, `key = value`. A section may inherit from others,
`name : other.section { … }`, and `include PATTERN` reads more files into the section that it stands in. What
is given twice is merged: sections into one, and of two values of a key the later one counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput

from ikepy.config.sources.place import Place, Value, failure, included, read_file, unescape
from ikepy.errors import ConfigError

MAX_DEPTH = 32  # of sections in sections
MAX_INCLUDES = 10  # files that include each other, one in the other; strongSwan's limit
MAX_FILES = 10_000

# A value reaches up to the end of the line, to a comment or to "}"; within quotes it may hold all of them.
_GRAMMAR = r"""
start: _statement*
_statement: section | setting | include
section: NAME references? "{" _statement* "}"
references: ":" _reference ("," _reference)*
_reference: ABSOLUTE_NAME
setting: NAME VALUE
include: INCLUDE

INCLUDE.2: /include[\t ]+(?![=\t ])(?:"(?:\\[\s\S]|[^"\\])*"|(?:\\["#} ]|[^"#}\r\n\t ])+)/
NAME: /[^#{}:.,="\s]+/
ABSOLUTE_NAME: /[^#{}:.,="\s]+(?:\.[^#{}:.,="\s]+)*/
VALUE: /=(?:"(?:\\[\s\S]|[^"\\])*"|[^#}"\n])*/
SPACE: /\s+/
COMMENT: /#[^\n]*/
%ignore SPACE
%ignore COMMENT
"""
_PART = re.compile(r'"((?:\\[\s\S]|[^"\\])*)"|([^"\s]+)')


@dataclass(slots=True)
class Section:
    """A section. `references`: absolute names of sections that it inherits from, each with its line;
    `inherited`: the keys of values that it has from them.
    """

    place: Place
    references: list[tuple[str, Place]] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)
    sections: dict[str, Section] = field(default_factory=dict)
    inherited: frozenset[str] = frozenset()


@dataclass(slots=True)
class Settings:
    """What a file and those it includes say. `exposed`: file -> who else may read it (`read_file`).

    `absent`: references to sections that are not there, which strongSwan leaves out. `inherited`: the
    outermost names of those that others refer to.
    """

    root: Section
    exposed: dict[str, str | None]
    absent: list[tuple[Place, str]]
    inherited: frozenset[str]


def parse(path: Path, text: str, exposed: str | None = None) -> Settings:
    """The settings in the text of a file, with inherited ones filled in. ConfigError with file and line.

    `exposed`: who else may read the file.
    """
    reader = _Reader()
    reader.read(path, text, exposed)
    resolver = _Resolver(reader.root, reader.absent)
    resolved = resolver.resolve()
    return Settings(resolved, reader.exposed, reader.absent, frozenset(resolver.inherited))


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", lexer="contextual")


class _Reader:
    """Reads a file and what it includes into one tree of sections."""

    def __init__(self) -> None:
        self.root = Section(Place("", 0))
        self.exposed: dict[str, str | None] = {}
        self.absent: list[tuple[Place, str]] = []
        self._files = 0

    def read(self, path: Path, text: str, exposed: str | None) -> None:
        self.exposed[str(path)] = exposed
        self._read(path, text, self.root, 0, 0)

    def _read(self, path: Path, text: str, into: Section, depth: int, nested: int) -> None:
        self._files += 1
        if self._files > MAX_FILES:
            raise ConfigError(path, [("", f"is one file too many; allowed: {MAX_FILES} included files")])
        try:
            tree = _parser().parse(text)
        except UnexpectedInput as error:
            raise failure(Place(str(path), _line(error, text)), "", _syntax(error, text)) from None
        self._fill(path, tree, into, depth, nested)

    def _fill(self, path: Path, tree: Tree[Token], into: Section, depth: int, nested: int) -> None:
        for child in tree.children:
            if not isinstance(child, Tree):
                continue
            first = child.children[0]
            assert isinstance(first, Token)
            place = Place(str(path), first.line or 0)
            if child.data == "setting":
                into.values[str(first)] = Value(_value(str(child.children[1])), place)
            elif child.data == "include":
                self._include(path, str(first), place, into, depth, nested)
            elif child.data == "section":
                self._section(path, child, into, place, depth, nested)

    def _section(
        self, path: Path, tree: Tree[Token], into: Section, place: Place, depth: int, nested: int
    ) -> None:
        if depth >= MAX_DEPTH:
            text = f"sections are nested too deeply; allowed: at most {MAX_DEPTH}, one in the other"
            raise failure(place, "", text)
        section = into.sections.setdefault(str(tree.children[0]), Section(place))
        for child in tree.children:
            if isinstance(child, Tree) and child.data == "references":
                known = {name for name, _ in section.references}
                added = [str(name) for name in child.children if str(name) not in known]
                section.references += [(name, place) for name in dict.fromkeys(added)]
        self._fill(path, tree, section, depth + 1, nested)

    def _include(
        self, path: Path, statement: str, place: Place, into: Section, depth: int, nested: int
    ) -> None:
        if nested >= MAX_INCLUDES:
            text = f"files include each other too deeply; allowed: at most {MAX_INCLUDES}, one in the other"
            raise failure(place, "include", text)
        pattern = _pattern(statement)
        for file in included(path, pattern, place):
            text, self.exposed[str(file)] = read_file(file, place)
            self._read(file, text, into, depth, nested + 1)


def _value(token: str) -> str | None:
    """The text that a VALUE token means: its parts, with one space between them, without quotes."""
    parts = [
        unescape(match[1]) if match[1] is not None else match[2] for match in _PART.finditer(token, pos=1)
    ]
    return " ".join(parts) if parts else None


def _pattern(statement: str) -> str:
    rest = statement.removeprefix("include").strip("\t ")
    return unescape(rest[1:-1]) if rest.startswith('"') else re.sub(r'\\(["#} ])', r"\1", rest)


def _line(error: UnexpectedInput, text: str) -> int:
    return error.line if error.line > 0 else text.count("\n") + (not text.endswith("\n"))


def _syntax(error: UnexpectedInput, text: str) -> str:
    # No message repeats what was read: it may be a piece of a secret.
    token = getattr(error, "token", None)
    position = error.pos_in_stream
    found = "" if position is None else text[position : position + 1]
    if isinstance(error, UnexpectedCharacters) and found == '"':
        return 'a quote stands where none may, or the text behind it does not end; allowed: key = "text"'
    if isinstance(token, Token) and token.type == "$END":
        return 'the file ends within a section; a "}" is missing'
    if found == "}":
        return 'a "}" stands where no section is open, or behind a name without "= value"'
    if found in (".", ",", ":"):
        return f'"{found}" has no place in the name of a section or key; allowed: letters, digits, "-", "_"'
    return (
        "is not swanctl.conf's syntax; allowed: key = value, name { … }, name : parent { … }, include PATTERN"
    )


class _Resolver:
    """Fills inherited settings in: first a section's own, then those of its references from left to right."""

    def __init__(self, root: Section, absent: list[tuple[Place, str]]) -> None:
        self._root = root
        self._absent = absent
        self.inherited: set[str] = set()
        self._done: dict[int, Section] = {}
        self._under_way: set[int] = set()

    def resolve(self) -> Section:
        return self._resolved(self._root)

    def _resolved(self, section: Section) -> Section:
        known = self._done.get(id(section))
        if known is not None:
            return known
        if id(section) in self._under_way:
            raise failure(section.place, "", "a section inherits from itself; remove one of the references")
        self._under_way.add(id(section))
        merged = Section(section.place, [], dict(section.values))
        for name, one in section.sections.items():
            merged.sections[name] = self._resolved(one)
        for parent in self._parents(section):
            merged = _with_inherited(merged, self._resolved(parent))
        self._under_way.discard(id(section))
        self._done[id(section)] = merged
        return merged

    def _parents(self, section: Section) -> Iterator[Section]:
        for name, place in section.references:
            self.inherited.add(name.partition(".")[0])
            found: Section | None = self._root
            for part in name.split("."):
                found = found.sections.get(part) if found is not None else None
            if found is None:
                self._absent.append((place, name))
            else:
                yield found


def _with_inherited(own: Section, parent: Section) -> Section:
    """`own`, and of `parent` what it has not; sections of both are merged alike."""
    sections = dict(own.sections)
    for name, inherited in parent.sections.items():
        sections[name] = _with_inherited(sections[name], inherited) if name in sections else inherited
    inherited_values = {key: value for key, value in parent.values.items() if key not in own.values}
    keys = own.inherited | inherited_values.keys()
    return Section(own.place, [], {**own.values, **inherited_values}, sections, keys)
