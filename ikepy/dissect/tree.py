"""What a dissection is made of: nodes over octets, and the bounded reader that makes them.

A node says which octets it means, so that a page can show field and bytes together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ikepy.dissect.notes import NOTES
from ikepy.errors import WireError

MAX_NODES = 4096  # of one layer
MAX_PROBLEMS = 16
MAX_SHOWN = 64  # octets of a value in hexadecimal, or characters of a text


@dataclass(frozen=True, slots=True)
class Node:
    """A field or a structure: octets `start` to `end` (exclusive) of its layer, and what they mean in words.

    `note`: why it is there, in two sentences; `rfc`: where that stands ("RFC 7296 3.1"). Both may be empty.
    """

    name: str
    value: str
    start: int
    end: int
    children: tuple[Node, ...] = ()
    note: str = ""
    rfc: str = ""

    def walk(self) -> Iterator[Node]:
        """This node and all below it, in the order of their octets."""
        yield self
        for child in self.children:
            yield from child.walk()

    def find(self, name: str) -> Node | None:
        """The first node of this name."""
        return next((one for one in self.walk() if one.name == name), None)


@dataclass(frozen=True, slots=True)
class Layer:
    """Octets with their meaning: a datagram, what an Encrypted payload hid, a message put together.

    `fields`: how many nodes there are, which is what a layer costs in memory.
    """

    name: str
    octets: bytes
    node: Node
    problems: tuple[str, ...] = ()
    fields: int = 1


@dataclass(slots=True)
class _Budget:
    """What a layer may still cost, shared by all its readers."""

    nodes: int = MAX_NODES
    problems: list[str] = field(default_factory=list)

    def complain(self, text: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(text)


class _SpentError(WireError):
    """The layer has more fields than one may have."""


class Fields:
    """Reads big-endian fields one after the other, and keeps a node of each.

    Reading beyond the end raises WireError, which `part` turns into a problem: the structure that is cut
    short shows what it had, and the one around it goes on behind it.
    """

    __slots__ = ("_budget", "at", "end", "nodes", "octets")

    def __init__(
        self, octets: bytes, start: int = 0, end: int | None = None, budget: _Budget | None = None
    ) -> None:
        self.octets = octets
        self.at = start
        self.end = len(octets) if end is None else end
        self.nodes: list[Node] = []
        self._budget = budget or _Budget()

    @property
    def remaining(self) -> int:
        return self.end - self.at

    @property
    def problems(self) -> tuple[str, ...]:
        return tuple(self._budget.problems)

    @property
    def spent(self) -> int:
        """How many nodes there are."""
        return MAX_NODES - self._budget.nodes

    def complain(self, text: str) -> None:
        """Note what is wrong; reading goes on."""
        self._budget.complain(text)

    def peek(self, size: int, skip: int = 0) -> bytes:
        """The octets that follow, fewer at the end; nothing is read."""
        return self.octets[self.at + skip : min(self.at + skip + size, self.end)]

    def take(self, size: int, name: str, say: Callable[[bytes], str] | None = None, key: str = "") -> bytes:
        """`size` octets as one field; `say` puts them into words (hexadecimal if it is None)."""
        if size < 0 or size > self.remaining:
            raise WireError(f"{name}: {size} octets expected, {self.remaining} left")
        start, self.at = self.at, self.at + size
        data = self.octets[start : self.at]
        self.add(name, (say or hexadecimal)(data), start, self.at, key)
        return data

    def rest(self, name: str, say: Callable[[bytes], str] | None = None, key: str = "") -> bytes:
        """All that is left, which may be nothing: then there is no node."""
        return self.take(self.remaining, name, say, key) if self.remaining else b""

    def number(self, size: int, name: str, say: Callable[[int], str] = str, key: str = "") -> int:
        """An unsigned number of `size` octets."""
        data = self.take(size, name, lambda found: say(int.from_bytes(found, "big")), key)
        return int.from_bytes(data, "big")

    def reserved(self, size: int, name: str = "Reserved") -> None:
        """Octets that mean nothing."""
        self.take(size, name)

    def part(self, name: str, size: int, read: Callable[[Fields], str], key: str = "") -> None:
        """A structure of `size` octets with fields of its own; `read` returns what it is, in words.

        What `read` leaves is shown as left over. A size beyond the end is cut, and told of.
        """
        start = self.at
        if size > self.remaining:
            self.complain(f"{name}: {size} octets by its length, {self.remaining} left")
            size = self.remaining
        inner = Fields(self.octets, start, start + max(size, 0), self._budget)
        spent: _SpentError | None = None
        try:
            value = read(inner)
            if inner.remaining:
                inner.complain(f"{name}: {inner.remaining} octets left over")
                inner.rest("Left over")
        except _SpentError as error:
            spent, value = error, "not shown to its end"
        except WireError as error:
            self.complain(f"{name}: {error}" if not str(error).startswith(name) else str(error))
            value = "malformed"
            if inner.remaining and self._budget.nodes > 0:
                inner.rest("Not understood")
        self.at = inner.end
        self._append(name, value, start, inner.end, key, tuple(inner.nodes))
        if spent is not None:
            raise spent

    def add(self, name: str, value: str, start: int, end: int, key: str = "") -> None:
        """A node without children, of octets that were read already."""
        if self._budget.nodes <= 0:
            raise _SpentError(f"more than {MAX_NODES} fields")
        self._append(name, value, start, end, key, ())

    def _append(
        self, name: str, value: str, start: int, end: int, key: str, children: tuple[Node, ...]
    ) -> None:
        self._budget.nodes -= 1
        rfc, note = NOTES.get(key, ("", ""))
        self.nodes.append(Node(name, value, start, end, children, note, rfc))


def layer(name: str, octets: bytes, read: Callable[[Fields], str], key: str = "") -> Layer:
    """All of `octets` as one structure. Never raises for what is in them."""
    fields = Fields(octets)
    try:
        fields.part(name, len(octets), read, key)
    except WireError as error:  # the budget is spent
        fields.complain(str(error))
    return Layer(name, octets, fields.nodes[0], fields.problems, fields.spent)


def hexadecimal(data: bytes) -> str:
    """Octets as digits, long ones cut."""
    if len(data) <= MAX_SHOWN:
        return data.hex()
    return f"{data[:MAX_SHOWN].hex()}… ({len(data)} octets)"


def text(data: bytes) -> str:
    """A peer's text in quotes: what is not printable is escaped, so that it can do nothing to a terminal."""
    return quoted(data.decode("utf-8", "backslashreplace"))


def quoted(found: str) -> str:
    """As `text`, of characters."""
    shown = "".join(
        one
        if one.isprintable() and one not in '"\\'
        else one.encode("unicode_escape").decode("ascii").replace('"', '\\"')
        for one in found[:MAX_SHOWN]
    )
    return f'"{shown}"' + ("…" if len(found) > MAX_SHOWN else "")
