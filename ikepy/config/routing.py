"""Parses routes and tables as iproute2 writes them (ip-route(8)); a ValueError says what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ikepy.config import values
from ikepy.config.values import Address, Network

T = TypeVar("T")

# Later files win, as for iproute2.
TABLE_FILES = ("/usr/share/iproute2/rt_tables", "/etc/iproute2/rt_tables")
TABLE_DIRECTORIES = ("/usr/share/iproute2/rt_tables.d", "/etc/iproute2/rt_tables.d")
KERNEL_TABLES = {"default": 253, "main": 254, "local": 255}  # linux/rtnetlink.h
LOCAL_TABLE = 255
LARGEST = 2**32 - 1
MOST_OCTETS = 1 << 16  # of a file with names
KEYS = ("to", "table", "metric", "src")
ROUTE_ALLOWED = (
    'allowed: a network ("10.2.0.0/24"), with words as of ip route ("10.2.0.0/24 metric 50 table 100 src '
    '10.1.0.1"), or { to = "10.2.0.0/24", metric = 50, table = 100, src = "10.1.0.1" }'
)


@dataclass(frozen=True, slots=True)
class StaticRoute:
    """A route into a device. None: what the section vti says of all of its routes."""

    to: Network
    table: int | None = None
    metric: int | None = None
    src: Address | None = None

    def __str__(self) -> str:
        """As ip route takes it."""
        words = {"table": self.table, "metric": self.metric, "src": self.src}
        return " ".join([str(self.to), *(f"{key} {one}" for key, one in words.items() if one is not None)])


def routing_table(value: object) -> int:
    """The number of a routing table, given by number or by its name in rt_tables."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("allowed: a routing table's number or name")
    word = str(value).strip()
    number = int(word) if word.isascii() and word.isdigit() and len(word) <= 10 else _named(word)
    if number == LOCAL_TABLE:
        raise ValueError("the table local is the kernel's own; allowed: another one")
    if not 1 <= number <= LARGEST:
        raise ValueError(f"allowed: a routing table's number from 1 to {LARGEST}, or its name")
    return number


def _named(word: str) -> int:
    names = table_names()
    if word not in names:
        raise ValueError(
            f"no routing table has this name; allowed: a number from 1 to {LARGEST}, or a name in "
            f"{TABLE_FILES[-1]}: {', '.join(sorted(names.keys() - {'local', 'unspec'}))}"
        )
    return names[word]


def table_names() -> dict[str, int]:
    """The names of this host's routing tables, which it need not have files for."""
    return {**KERNEL_TABLES, **{name: number for path in _files() for name, number in _lines(path)}}


def _files() -> Iterator[Path]:
    for single, directory in zip(TABLE_FILES, TABLE_DIRECTORIES, strict=True):
        yield Path(single)
        yield from sorted(Path(directory).glob("*.conf"))


def _lines(path: Path) -> Iterator[tuple[str, int]]:
    try:
        with path.open("rb") as file:
            text = file.read(MOST_OCTETS).decode(errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if len(words) == 2:
            try:
                yield words[1], int(words[0], 0)
            except ValueError:
                continue


def metric(value: object) -> int:
    """A route's metric: a number, or its digits as text."""
    word = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not (word.isascii() and word.isdigit() and len(word) <= 10 and 1 <= int(word) <= LARGEST):
        raise ValueError(f"allowed: a whole number from 1 to {LARGEST} (of the routes)")
    return int(word)


def route(value: object) -> StaticRoute:
    """A route: text as for ip route, or a table of the same words."""
    if isinstance(value, StaticRoute):
        return value
    if isinstance(value, str):
        to, *words = value.split() or [""]
        if len(words) % 2:
            raise ValueError(f'the word "{words[-1]}" has no value; {ROUTE_ALLOWED}')
        pairs = list(zip(words[::2], words[1::2], strict=True))
        if len(dict(pairs)) < len(pairs):
            raise ValueError(f"a word stands twice; {ROUTE_ALLOWED}")
        return _unknown("to") if "to" in dict(pairs) else _route({"to": to, **dict(pairs)})
    if isinstance(value, Mapping):
        return _route(value)
    raise ValueError(f"no route; {ROUTE_ALLOWED}")


def _part(given: Mapping[str, object], key: str, parse: Callable[[object], T]) -> T | None:
    """What stands under a key; None without it."""
    if key not in given:
        return None
    try:
        return parse(given[key])
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def _unknown(word: object) -> StaticRoute:
    raise ValueError(f'"{word}" is unknown here; {ROUTE_ALLOWED}')


def _route(given: Mapping[str, object]) -> StaticRoute:
    for key in given:
        if key not in KEYS:
            _unknown(key)
    if "to" not in given:
        raise ValueError(f"to is missing; {ROUTE_ALLOWED}")
    found = StaticRoute(
        values.network(given["to"]),
        _part(given, "table", routing_table),
        _part(given, "metric", metric),
        _part(given, "src", values.address),
    )
    if found.src is not None and found.src.version != found.to.version:
        raise ValueError(f"src: must be an IPv{found.to.version} address, as the network is")
    return found
