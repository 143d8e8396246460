"""Reads a lab's page: Markdown in a simple form, which people read on a page and the tour reads here.

A page is prose, and in it

    ```console          what is typed on a node, and what it prints; "> " goes on with a command
    alice$ ping -c 1 10.2.0.10
    ...
    ```
    ```console check    the same, and the lab's proof that the learner has done what was asked
    ```toml left.toml   a file, written when the tour comes to it

    <details><summary>Answer</summary>      what is hidden until the learner asks for it
    </details>
    <!-- run                                what the lab does by itself, unseen
    left$ ikepy run -c left.toml &> left.log &
    -->

In an output a line of `…` stands for any lines, and `…` in a line for any text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import TypeAlias

from ikepy.course.bed import NODES

_PROMPT = re.compile(rf"({'|'.join(NODES)})\$ (.*)")
_GOES_ON = re.compile(r"> ?(.*)")
_FENCE = "```"
_FILE = re.compile(r"```[a-z]+ ([a-z0-9-]+\.[a-z]+)")
_HIDDEN = "<!-- run"
_SUMMARY = re.compile(r"<details><summary>(.*)</summary>")
_NAME = re.compile(r"(\d+)-[a-z0-9-]+\.md")


class TextError(Exception):
    """A page is not in the form that it should have: line and reason."""


@dataclass(frozen=True, slots=True)
class Prose:
    """Markdown to read."""

    text: str


@dataclass(frozen=True, slots=True)
class File:
    """A file that the lab gives to the learner."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """What is typed on a node, and the lines that it prints. `line`: of its output in the page, from 0 on.

    `check`: it shows whether the learner has done what was asked. `hidden`: nobody sees it.
    """

    node: str
    script: str
    output: tuple[str, ...]
    line: int
    check: bool = False
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Details:
    """What is shown when the learner asks for it: an answer, or the commands that mend something."""

    summary: str
    items: tuple[Item, ...]


Item: TypeAlias = "Prose | File | Command | Details"


@dataclass(frozen=True, slots=True)
class Lab:
    """A lab: its number, its file's name, its title, and what stands in it."""

    number: int
    name: str
    title: str
    items: tuple[Item, ...]


def labs() -> list[Lab]:
    """All labs, the first one first."""
    found = []
    for file in (files("ikepy.course") / "labs").iterdir():
        match = _NAME.fullmatch(file.name)
        if match is not None:
            found.append(parse(file.read_text(encoding="utf-8"), int(match[1]), file.name))
    return sorted(found, key=lambda lab: lab.number)


def parse(page: str, number: int, name: str = "") -> Lab:
    """A lab from its page. Raises TextError."""
    lines = page.splitlines()
    if not lines or not lines[0].startswith("# "):
        raise TextError(f'{name}: a page begins with "# " and its title')
    try:
        items = tuple(_Reader(lines, 1).items())
    except TextError as error:
        raise TextError(f"{name}: {error}") from None
    return Lab(number, name, lines[0].removeprefix("# "), items)


class _Reader:
    """Goes through the lines of a page once."""

    def __init__(self, lines: list[str], at: int) -> None:
        self._lines = lines
        self._at = at

    def items(self, end: str | None = None) -> Iterator[Item]:
        """What stands up to the line `end`, or the end of the page."""
        prose: list[str] = []
        begin = self._at
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line == end:
                self._at += 1
                yield from _prose(prose)
                return
            special = self._special(line)
            if special is None:
                prose.append(line)
                self._at += 1
                continue
            yield from _prose(prose)
            prose = []
            yield from special
        if end is not None:
            raise TextError(f"line {begin}: {end} is missing")
        yield from _prose(prose)

    def _special(self, line: str) -> Iterator[Item] | None:
        """What begins with this line, if it is more than prose."""
        if line in (f"{_FENCE}console", f"{_FENCE}console check"):
            return self._commands(_FENCE, check=line.endswith("check"))
        if line == _HIDDEN:
            return self._commands("-->", hidden=True)
        if match := _FILE.fullmatch(line):
            return iter([File(match[1], "\n".join(self._until(_FENCE)[1]) + "\n")])
        if match := _SUMMARY.fullmatch(line):
            self._at += 1
            return iter([Details(match[1], tuple(self.items("</details>")))])
        if line.startswith("<"):
            raise TextError(f"line {self._at + 1}: {line!r} is no form that a lab has")
        return None

    def _commands(self, end: str, *, check: bool = False, hidden: bool = False) -> Iterator[Command]:
        first, lines = self._until(end)
        at = 0
        while at < len(lines):
            prompt = _PROMPT.fullmatch(lines[at])
            if prompt is None:
                raise TextError(f"line {first + at + 1}: a prompt is expected, as in alice$ ping")
            words = [prompt[2]]
            at += 1
            while at < len(lines) and (more := _GOES_ON.fullmatch(lines[at])):
                words.append(more[1])
                at += 1
            begin = at
            while at < len(lines) and not _PROMPT.fullmatch(lines[at]):
                at += 1
            yield Command(
                prompt[1], "\n".join(words), tuple(lines[begin:at]), first + begin, check=check, hidden=hidden
            )

    def _until(self, end: str) -> tuple[int, list[str]]:
        """The lines behind this one, up to `end`, and the number of the first one."""
        first = self._at + 1
        try:
            last = self._lines.index(end, first)
        except ValueError:
            raise TextError(f"line {self._at + 1}: {end} is missing") from None
        self._at = last + 1
        return first, self._lines[first:last]


def _prose(lines: list[str]) -> Iterator[Prose]:
    text = "\n".join(lines).strip("\n")
    if text:
        yield Prose(text)


def walk(items: tuple[Item, ...]) -> Iterator[Item]:
    """Everything in order, also what stands in details."""
    for item in items:
        yield item
        if isinstance(item, Details):
            yield from walk(item.items)
