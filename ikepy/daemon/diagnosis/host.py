"""What of this host stands in a tunnel's way: addresses, the device, its worker, routes that it shares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from ikepy.config.model import Connection, DnsName
from ikepy.daemon.control.snapshot import DeviceState
from ikepy.daemon.diagnosis.findings import Code, Finding, Severity
from ikepy.daemon.diagnosis.history import ConnectionHistory
from ikepy.daemon.diagnosis.tables import Tables, place
from ikepy.sa.api.snapshot import ChildWait, Waiting
from ikepy.sa.auth.words import shortened

MOST_NAMED = 3  # devices in a line


def findings(
    tables: Tables,
    config: Connection,
    waits: Sequence[ChildWait],
    history: ConnectionHistory,
    device: DeviceState | None,
) -> Iterator[Finding]:
    """Of one connection: its addresses, its device, its worker, its routes; what it does wrong on purpose."""
    yield from _impaired(config)
    if history.address_gone is not None:
        at, address = history.address_gone
        yield Finding(
            Code.ADDRESS_GONE,
            Severity.ERROR,
            f"Our address {address} is gone, or its link is down, and there is no other to use.",
            do=f"Look at the uplink: ip addr; the tunnel goes on when {address} is back.",
            at=at,
        )
    else:
        yield from _without_path(config, waits)
    if device is None:
        return
    if device.problems:
        yield Finding(Code.DEVICE, Severity.ERROR, f"Device {device.name}: {'; '.join(device.problems)}.")
    worker = tables.workers.get(device.worker)
    if worker is not None and worker.pid is None:
        yield Finding(
            Code.NO_WORKER,
            Severity.ERROR,
            f"Worker {worker.slot}, which carries {device.name}, has no process.",
            "It died, and is being started again; its SAs are set up anew.",
            "If it stays so, look at the log.",
        )
    yield from _overlaps(device, tables)


def _impaired(config: Connection) -> Iterator[Finding]:
    """What the daemon does wrong on purpose, with this peer or with all."""
    if config.impairments:
        more = ", ..." if len(config.impairments) > MOST_NAMED else ""
        yield Finding(
            Code.IMPAIRED,
            Severity.WARNING,
            f"We break the protocol on purpose: {', '.join(config.impairments[:MOST_NAMED])}{more}.",
            do="Unless that is a test, remove impairments from the configuration, or run without --impair.",
        )


def _without_path(config: Connection, waits: Sequence[ChildWait]) -> Iterator[Finding]:
    """A set-up that has no two addresses to begin with, and what stands in the way."""
    waiting = next((wait for wait in waits if wait.waiting is Waiting.ADDRESS), None)
    if waiting is None:
        return
    local, remote = config.local_addrs, config.remote_addrs
    named = " ".join(str(one) for one in (*remote, *local) if isinstance(one, DnsName))
    yield Finding(
        Code.NO_ADDRESS,
        Severity.ERROR,
        f"There is no path to {', '.join(map(str, remote))} from {', '.join(map(str, local))}.",
        f"{shortened(waiting.reason)}." if waiting.reason else "",
        f"Look at: getent ahosts {named}; ip addr; ip route get, with the peer's address."
        if named
        else "Look at: ip addr; ip route get, with the peer's address.",
    )


def _overlaps(device: DeviceState, tables: Tables) -> Iterator[Finding]:
    """Networks that other connections have, too, with the same metric: each flow takes one of the tunnels."""
    both = [route for route in device.routes if len(tables.leads[place(route)]) > 1]
    if not both:
        return
    sharers = tables.leads[place(both[0])]
    others = islice((one for one in sharers if one.connection != device.connection), MOST_NAMED)
    named = ", ".join(f"{one.name} of {one.connection}" for one in others)
    unnamed = len(sharers) - 1 - MOST_NAMED
    more = f" and {unnamed} more" if unnamed > 0 else ""
    yield Finding(
        Code.OVERLAPPING_ROUTES,
        Severity.NOTE,
        f"{', '.join(map(str, both[:MOST_NAMED]))} leads into {device.name} and into {named}{more}.",
        "They have the same network with the same metric: the kernel gives each flow to one of them.",
        "If only one is meant, give them different metrics (vti.metric): the least one wins. "
        "See which one a packet takes: ip route get ADDRESS.",
    )
