"""`ikepy top`: the tunnels with their rates, again and again on a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ikepy.control.formats import dump
from ikepy.control.status import Child, Status
from ikepy.control.status_text import STYLES, duration
from ikepy.control.terminal import harmless

Ask = Callable[[], Status]
_COUNTERS = ("bytes-in", "bytes-out", "packets-in", "packets-out", "drops")


@dataclass(frozen=True, slots=True)
class Row:
    """One child. Rates are bits and packets a second; `total` octets; `drops` since the daemon's start."""

    connection: str
    child: str
    state: str
    since: int | None
    bits: tuple[float, float]  # in, out
    packets: tuple[float, float]
    total: tuple[int, int]
    drops: int
    dropping: bool  # more than at the sample before
    finding: str  # the gravest
    rtt: int | None = None  # microseconds, of the connection's probes


def rows(before: Status, after: Status, seconds: float) -> Iterator[Row]:
    """The children of the later sample. One that was not there before, or whose counters begin anew (another
    daemon), has rates of 0."""
    old = {(t["connection"], child["name"]): child for t in before["tunnels"] for child in t["children"]}
    for tunnel in after["tunnels"]:
        for child in tunnel["children"]:
            grown = _grown(old.get((tunnel["connection"], child["name"])), child)
            found = [*child["findings"], *tunnel["findings"]]
            gravest = [one for one in found if one["severity"] == "error"] or found
            yield Row(
                tunnel["connection"],
                child["name"],
                "up" if child["state"] == "up" else tunnel["state"],
                child.get("since"),
                (8 * grown["bytes-in"] / seconds, 8 * grown["bytes-out"] / seconds),
                (grown["packets-in"] / seconds, grown["packets-out"] / seconds),
                (child["bytes-in"], child["bytes-out"]),
                child["drops"],
                grown["drops"] > 0,
                gravest[0]["code"] if gravest else "",
                tunnel.get("rtt"),
            )


def _grown(before: Child | None, after: Child) -> dict[str, int]:
    now = {name: int(after[name]) for name in _COUNTERS}  # type: ignore[literal-required]
    then = now if before is None else {name: int(before[name]) for name in _COUNTERS}  # type: ignore[literal-required]
    if any(then[name] > now[name] for name in _COUNTERS):
        then = now
    return {name: now[name] - then[name] for name in _COUNTERS}


def table(of: Iterator[Row]) -> Table:
    """For people: the busiest first, then what is up, then the others."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    made.add_column("TUNNEL", no_wrap=True)
    made.add_column("STATE", no_wrap=True)
    made.add_column("FOR", no_wrap=True)
    for name in ("IN", "OUT", "IN PKT/S", "OUT PKT/S", "TOTAL IN", "TOTAL OUT", "RTT", "DROPS"):
        made.add_column(name, justify="right", no_wrap=True)
    made.add_column("FINDING", no_wrap=True)
    for row in _busiest_first(of):
        made.add_row(
            harmless(Text(f"{row.connection}/{row.child}")),
            Text(row.state, STYLES.get(row.state, "")),
            "" if row.since is None else duration(row.since),
            *(f"{short(rate)}bit/s" for rate in row.bits),
            *(f"{rate:,.0f}" for rate in row.packets),
            *(f"{short(octets)}B" for octets in row.total),
            "" if row.rtt is None else f"{row.rtt / 1000:.1f} ms",
            Text(f"{row.drops:,}", "bold red" if row.dropping else ""),
            Text(row.finding, "yellow"),
        )
    return made


def _busiest_first(of: Iterator[Row]) -> list[Row]:
    return sorted(of, key=lambda row: (-sum(row.bits), row.state != "up", row.connection, row.child))


def as_object(of: Iterator[Row], at: float, seconds: float) -> dict[str, object]:
    """One look for JSON, in the table's order. `at`: since 1970; `seconds`: what the rates are taken over."""
    return {
        "at": round(at, 3),
        "seconds": round(seconds, 3),
        "tunnels": [_row_object(row) for row in _busiest_first(of)],
    }


def _row_object(row: Row) -> dict[str, object]:
    """With the names and units of `status --json` where it has them; what is not known is null."""
    return {
        "connection": row.connection,
        "child": row.child,
        "state": row.state,
        "since": row.since,
        "bits-per-second-in": round(row.bits[0]),
        "bits-per-second-out": round(row.bits[1]),
        "packets-per-second-in": round(row.packets[0], 1),
        "packets-per-second-out": round(row.packets[1], 1),
        "bytes-in": row.total[0],
        "bytes-out": row.total[1],
        "rtt": row.rtt,
        "drops": row.drops,
        "finding": row.finding or None,
    }


def short(number: float) -> str:
    """With the SI prefix that leaves one to three digits before the point: "1.2 M"."""
    for prefix in ("", "k", "M", "G"):
        if number < 999.5:
            return f"{number:.0f} " if not prefix else f"{number:.1f} {prefix}"
        number /= 1000
    return f"{number:.1f} T"


def show_once(ask: Ask, interval: float, console: Console) -> None:
    """One table, of the rates over `interval` seconds."""
    before, begun = ask(), time.monotonic()
    time.sleep(interval)
    after = ask()
    console.print(table(rows(before, after, time.monotonic() - begun)))


def show_live(ask: Ask, interval: float, console: Console) -> None:
    """Tables until Ctrl-C."""
    before, begun = ask(), time.monotonic()
    with Live(table(rows(before, before, 1.0)), console=console, screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(interval)
            after, now = ask(), time.monotonic()
            live.update(table(rows(before, after, now - begun)), refresh=True)
            before, begun = after, now


def show_json(ask: Ask, interval: float, tell: Callable[[str], None], *, once: bool) -> None:
    """An object a line for each look, the first one after `interval` seconds; until Ctrl-C unless `once`."""
    before, begun = ask(), time.monotonic()
    while True:
        time.sleep(interval)
        after, now = ask(), time.monotonic()
        tell(dump(as_object(rows(before, after, now - begun), time.time(), now - begun), indent=None))
        if once:
            return
        before, begun = after, now
