"""What `ikepy status` and `ikepy top` ask the daemon for: its diagnosis, as typed values."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from ikepy.control.client import Message, ask_for_list

EVENT = "ikepy-status"
NUMBERS = frozenset(
    {
        *("since", "ago", "next-try", "failures", "drops", "rtt"),
        *("packets-in", "bytes-in", "packets-out", "bytes-out"),
    }
)


class Finding(TypedDict, total=False):
    """One thing that was found; `ago` in seconds."""

    code: str
    severity: str
    what: str
    why: str
    do: str
    ago: int
    ours: list[str]
    theirs: list[str]


Child = TypedDict(
    "Child",
    {
        "name": str,
        "state": str,
        "since": int,
        "waits-for": str,
        "next-try": int,
        "failures": int,
        "device": str,
        "packets-in": int,
        "bytes-in": int,
        "packets-out": int,
        "bytes-out": int,
        "drops": int,
        "findings": list[Finding],
    },
    total=False,
)


Tunnel = TypedDict(
    "Tunnel",
    {
        "connection": str,
        "state": str,
        "remote": str,
        "since": int,
        "rtt": int,  # microseconds
        "quantum-safe": str,  # "yes" if all its children are; absent without any
        "quantum-safe-wanted": str,  # "yes" if the connection offers ML-KEM, or names a PPK
        "findings": list[Finding],
        "children": list[Child],
    },
    total=False,
)


class Status(TypedDict):
    """All of it: what `--json` prints."""

    tunnels: list[Tunnel]
    findings: list[Finding]


def ask(socket: Path, ike: str | None = None) -> Status:
    """The daemon's diagnosis. Raises ClientError."""
    status: Status = {"tunnels": [], "findings": []}
    for message in ask_for_list(socket, "status", EVENT, {} if ike is None else {"ike": ike}):
        if "connection" not in message:
            status["findings"] += _findings(message)
        elif "state" in message:
            status["tunnels"].append(_tunnel(message))
        elif status["tunnels"]:
            status["tunnels"][-1]["children"] += _children(message)
    return status


def _tunnel(message: Message) -> Tunnel:
    tunnel: Tunnel = {**_values(message), "findings": _findings(message)}  # type: ignore[typeddict-item]
    tunnel["children"] = _children(message)
    return tunnel


def _children(message: Message) -> list[Child]:
    children = message.get("children", {})
    assert isinstance(children, dict)
    return [
        {"name": name, **_values(child), "findings": _findings(child)}  # type: ignore[typeddict-item]
        for name, child in children.items()
        if isinstance(child, dict)
    ]


def _findings(message: Message) -> list[Finding]:
    findings = message.get("findings", {})
    assert isinstance(findings, dict)
    return [_values(one) for one in findings.values() if isinstance(one, dict)]  # type: ignore[misc]


def _values(message: Message) -> dict[str, str | int | list[str]]:
    """Keys and lists of a section, numbers as such."""
    return {
        key: int(value) if key in NUMBERS and isinstance(value, str) else value
        for key, value in message.items()
        if not isinstance(value, dict)
    }
