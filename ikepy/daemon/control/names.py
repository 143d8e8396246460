"""Checks the names of connections and children in commands, and suggests the one that may be meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from ikepy.config.model import Config
from ikepy.errors import IkeError

MOST_NAMED = 10
MOST_COMPARED = 64  # characters


class UnknownNameError(IkeError):
    """A name that is not configured, or not clear; the text is for the user."""


def check_names(config: Config, ike: str | None, child: str | None) -> None:
    """Raises UnknownNameError for a connection, or a child (of it), that is not configured."""
    if ike is not None and ike not in config.connections:
        raise UnknownNameError(_unknown("connection", ike, config.connections))
    if child is None:
        return
    connections = config.connections.values() if ike is None else [config.connections[ike]]
    children = list(dict.fromkeys(name for connection in connections for name in connection.children))
    if child not in children:
        raise UnknownNameError(_unknown("child" if ike is None else f"child of {ike}", child, children))


def find_child(config: Config, ike: str | None, child: str | None) -> tuple[str, str]:
    """The one connection and child that the names match. Raises UnknownNameError: none, or several."""
    if ike is None and child is None:
        raise UnknownNameError("a child is needed")
    check_names(config, ike, child)
    found = [
        (connection.name, name)
        for connection in config.connections.values()
        if ike in (None, connection.name)
        for name in connection.children
        if child in (None, name)
    ]
    if len(found) != 1:
        what = f"connection {ike!r}" if child is None else f"child {child!r}"
        several = listed([f"{connection}/{name}" for connection, name in found])
        raise UnknownNameError(
            f"{what} is ambiguous, name both: {several}" if found else f"{what} has no child"
        )
    return found[0]


def listed(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    every = list(names)
    more = len(every) - MOST_NAMED
    return ", ".join(every[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _unknown(kind: str, name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = get_close_matches(name[:MOST_COMPARED], names, 1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"no {kind} {name[:MOST_COMPARED]!r} is configured{hint}; there is {listed(names) or 'none'}"
