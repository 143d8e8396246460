"""VICI messages as swanctl prints them with --raw and --pretty (libvici's vici_dump), and as JSON."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TypeAlias

from ikepy.control.client import Message

Json: TypeAlias = str | int | list["Json"] | dict[str, "Json"]
INDENT = 2
# Elements whose values are numbers, wherever they stand; other digits may be a name or an SPI.
NUMBERS = frozenset(
    {
        *("uniqueid", "reqid", "local-port", "remote-port", "encr-keysize", "integ-keysize", "version"),
        *("established", "rekey-time", "reauth-time", "life-time", "install-time", "use-in", "use-out"),
        *("bytes-in", "packets-in", "bytes-out", "packets-out", "ikesa-uniqueid", "level", "thread"),
        *("total", "idle", "critical", "high", "medium", "low", "scheduled", "half-open"),
        *("size", "online", "offline", "matches", "terminated", "ikepy-established", "ikepy-out-seq"),
    }
)


def raw(label: str, message: Message) -> str:
    """In one line, as `swanctl --raw`."""
    return f"{label} {{{_raw(message)}}}"


def _raw(section: Message) -> str:
    return " ".join(_raw_element(name, value) for name, value in section.items())


def _raw_element(name: str, value: str | list[str] | Message) -> str:
    if isinstance(value, dict):
        return f"{name} {{{_raw(value)}}}"
    if isinstance(value, list):
        return f"{name}=[{' '.join(map(_value, value))}]"
    return f"{name}={_value(value)}"


def pretty(label: str, message: Message) -> str:
    """Indented, an element a line, as `swanctl --pretty`."""
    return "\n".join([f"{label} {{", *_pretty(message, INDENT), "}"])


def _pretty(section: Message, indent: int) -> list[str]:
    lines, space = [], " " * indent
    for name, value in section.items():
        if isinstance(value, dict):
            lines += [f"{space}{name} {{", *_pretty(value, indent + INDENT), f"{space}}}"]
        elif isinstance(value, list):
            items = [f"{space}{' ' * INDENT}{_value(item)}" for item in value]
            lines += [f"{space}{name} = [", *items, f"{space}]"]
        else:
            lines.append(f"{space}{name} = {_value(value)}")
    return lines


def _value(text: str) -> str:
    """The text, or its octets in hex where one is no printable ASCII."""
    if text.isascii() and text.isprintable():
        return text
    return f"0x{text.encode(errors='surrogateescape').hex()}"


def as_json(message: Message, counted: Collection[str] = ()) -> dict[str, Json]:
    """The message for JSON, numbers as numbers. `counted`: sections of it in which all values are numbers."""
    made: dict[str, Json] = {}
    for name, value in message.items():
        if isinstance(value, dict):
            made[name] = as_json(value, value.keys() if name in counted else ())
        elif isinstance(value, list):
            made[name] = [_readable(item) for item in value]
        elif (name in NUMBERS or name in counted) and value.isascii() and value.isdecimal():
            made[name] = int(value)
        else:
            made[name] = _readable(value)
    return made


def _readable(text: str) -> str:
    return text.encode(errors="surrogateescape").decode(errors="replace")


def dump(value: object, indent: int | None = INDENT) -> str:
    """JSON for people and jq; without `indent` in one line."""
    return json.dumps(value, indent=indent)
