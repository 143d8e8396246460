"""Prints the daemon's diagnosis for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from ikepy.control.status import Child, Finding, Status, Tunnel

STYLES = {
    "up": "green",
    "partly up": "yellow",
    "IKE is up, no child is": "yellow",
    "connecting": "yellow",
    "waiting": "cyan",
    "down": "red",
    "error": "bold red",
    "warning": "bold yellow",
    "note": "bold cyan",
}


def lines(status: Status, width: int | None = None) -> Iterator[Text]:
    """For people. `width`: columns of the terminal; None: lines may have any length."""
    for tunnel in status["tunnels"]:
        yield from _lines_of_tunnel(tunnel, width)
    for finding in status["findings"]:
        yield from _lines_of_finding(finding, "", width)
    if not status["tunnels"]:
        yield Text("no connection is configured")


def _lines_of_tunnel(tunnel: Tunnel, width: int | None) -> Iterator[Text]:
    line = Text(f"{tunnel['connection']} to {tunnel['remote']}: ", "bold")
    line.append(tunnel["state"], STYLES.get(tunnel["state"], ""))
    if "since" in tunnel:
        line.append(f" for {duration(tunnel['since'])}", "not bold")
    line.append(_quantum_safe(tunnel), "not bold")
    yield line
    for child in tunnel["children"]:
        yield _line_of_child(child)
        for finding in child["findings"]:
            yield from _lines_of_finding(finding, "    ", width)
    for finding in tunnel["findings"]:
        yield from _lines_of_finding(finding, "  ", width)


def _quantum_safe(tunnel: Tunnel) -> str:
    """Also that it is not, where that was wanted."""
    safe = tunnel.get("quantum-safe")
    if safe == "yes":
        return ", quantum-safe"
    return ", not quantum-safe" if safe == "no" and tunnel.get("quantum-safe-wanted") == "yes" else ""


def _line_of_child(child: Child) -> Text:
    line = Text(f"  {child['name']}")
    if "device" in child:
        line.append(f" ({child['device']})")
    line.append(": ")
    line.append(child["state"], STYLES.get(child["state"], ""))
    if "since" in child:
        line.append(f" for {duration(child['since'])}")
    told = []
    if "waits-for" in child:
        when = f" in {duration(child['next-try'])}" if "next-try" in child else ""
        told.append(f"waits for {child['waits-for']}{when}")
    if child.get("failures"):
        tries = child["failures"]
        told.append(f"{tries} tr{'y' if tries == 1 else 'ies'} failed")
    if child["packets-in"] or child["packets-out"] or child["state"] == "up":
        told.append(f"{child['packets-in']:,} packets in, {child['packets-out']:,} out")
    if child["drops"]:
        told.append(f"{child['drops']:,} dropped")
    line.append("".join(f", {one}" for one in told))
    return line


def _lines_of_finding(finding: Finding, indent: str, width: int | None) -> Iterator[Text]:
    line = Text(indent)
    line.append(f"{finding['severity']}: ", STYLES.get(finding["severity"], ""))
    line.append(finding["what"])
    if "ago" in finding:
        line.append(f" ({duration(finding['ago'])} ago)", "dim")
    yield line
    if "why" in finding:
        yield Text(f"{indent}  why: {finding['why']}")
    if "ours" in finding:
        yield from _side_by_side(finding, f"{indent}  ", width)
    if "do" in finding:
        yield Text(f"{indent}  do:  {finding['do']}")


def _side_by_side(finding: Finding, indent: str, width: int | None) -> Iterator[Text]:
    """Ours and theirs in two columns, or one below the other where two don't fit."""
    ours, theirs = finding["ours"], finding.get("theirs")
    if theirs is None:
        for name, one in _named("ours", ours):
            yield Text(f"{indent}{name} {one}")
        return
    left, right = max(4, *map(len, ours)), max(6, *map(len, theirs))
    if width is not None and len(indent) + left + 3 + right > width:
        for name, one in (*_named("ours", ours), *_named("theirs", theirs)):
            yield Text(f"{indent}{name} {one}")
        return
    yield Text(f"{indent}{'ours':<{left}} | theirs", "underline")
    for number in range(max(len(ours), len(theirs))):
        own = ours[number] if number < len(ours) else ""
        other = theirs[number] if number < len(theirs) else ""
        yield Text(f"{indent}{own:<{left}} | {other}".rstrip())


def _named(name: str, values: Sequence[str]) -> Iterator[tuple[str, str]]:
    """A label before the first of some values, and blanks before the others."""
    for number, value in enumerate(values):
        yield f"{name}:" if not number else " " * (len(name) + 1), value


def duration(seconds: int) -> str:
    """In the largest unit of which there are more than two."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds > 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
