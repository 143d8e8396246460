"""What do another configuration under traffic, and a thousand connections, cost a gateway?

    python -m benchmarks.reload                       about two minutes
    python -m benchmarks.reload --connections 200

Two gateways; a tunnel between them carries UDP at a steady rate. Its initiator has as many further
connections as asked, each with identities, secret, child and device of its own, to a peer that is not there.
Reloads by `ikepy reload` add one, change one in place and remove one in turn: each datagram is counted at
both hosts. The same with one connection alone, beside it. Ready is when systemd would be told so (READY=1),
from the start of the process on. RSS and PSS of control are read from smaps_rollup once it is ready.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex

import click

from benchmarks.interrupt import on_sigterm
from benchmarks.many import connections
from benchmarks.packet_rate import PROGRAM, sink
from benchmarks.usage import cpu_seconds
from ikepy.lab import pair
from ikepy.lab.gateway import Connection, Gateway, document
from ikepy.lab.netns import LabError
from ikepy.lab.pair import Pair

CONNECTIONS = (1, 1000)
RELOADS = 20
RATE = 1_000  # datagrams a second
SIZE = 1300  # octets
PORT = 5300
NOBODY = "192.0.2.77"  # the peer of the other connections
PATIENCE = 120.0  # seconds for a start
ENDING = 90.0  # seconds for the kernel to remove the devices
SETTLE = 0.5  # seconds between two reloads, and around all of them
LIMIT = 5.0  # seconds that a start may take


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds until a gateway was ready, its CPU-seconds until then, and MiB of its control process."""

    ready: float
    cpu: float
    rss: float
    pss: float


@dataclass(frozen=True, slots=True)
class Flow:
    """Datagrams, over so many reloads, of which the longest took `longest` seconds."""

    sent: int
    lost: int
    reloads: int
    longest: float


def tunnel(*, initiator: bool) -> Connection:
    """One end of the tunnel that carries the traffic."""
    ends = (pair.LEFT, "gwa", pair.LEFT_NET), (pair.RIGHT, "gwb", pair.RIGHT_NET)
    (local, local_id, _), (remote, remote_id, net) = ends if initiator else ends[::-1]
    return Connection(
        name="kept",
        local_addrs=(local,),
        remote_addrs=(remote,),
        local_id=local_id,
        remote_id=remote_id,
        routes=(net,),
        start_action="start" if initiator else "none",
    )


def others(count: int) -> list[Connection]:
    """Connections that are configured, and wait for their peer."""
    secrets = [token_hex(24) for _ in range(count)]
    return [replace(one, remote_addrs=(NOBODY,)) for one in connections(count, secrets, initiator=False)]


def of_round(number: int, rest: Sequence[Connection]) -> str:
    """The configuration of a reload: one connection comes or goes, and one is changed in place."""
    changed = replace(others(1)[0], name="changed", device="changed", extra=f"dpd_delay = {number + 10}")
    coming = [replace(changed, name="new", device="new", local_ts=("10.130.0.1/32",))] if number % 2 else []
    return document([tunnel(initiator=True), *rest, changed, *coming])


@contextlib.contextmanager
def manager(path: Path) -> Iterator[socket.socket]:
    """A socket that is told what systemd would be."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sock:
        sock.bind(str(path))
        path.chmod(0o777)  # as systemd's: control is an unprivileged user
        sock.settimeout(PATIENCE)
        yield sock


def start(gateway: Gateway, config: str, directory: Path) -> Start:
    """Start a gateway and wait until it says that it is ready. LabError."""
    path = directory / "notify"
    path.unlink(missing_ok=True)
    with manager(path) as sock:
        begin = time.monotonic()
        gateway.start(config, PATIENCE, {"NOTIFY_SOCKET": str(path)})
        while not sock.recv(4096).startswith(b"READY=1"):
            pass
        ready = time.monotonic() - begin
    if gateway.pid is None:
        raise LabError("the gateway has ended")
    return Start(ready, cpu_seconds(gateway.namespace.pids()), *memory(gateway.pid))


def memory(pid: int) -> tuple[float, float]:
    """MiB of resident memory, and of it what is its own or its share (proc_pid_smaps(5))."""
    lines = [line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()]
    found = {line[0]: int(line[1]) / 1024 for line in lines if line[0] in ("Rss:", "Pss:")}
    return found["Rss:"], found["Pss:"]


def reload(gateway: Gateway, config: str) -> float:
    """`ikepy reload` with another file: the seconds that it took. LabError if it is refused."""
    new = gateway.run_directory / "new"
    new.touch(mode=0o600)
    new.write_text(config)
    new.rename(gateway.run_directory / "ikepy.toml")
    begin = time.monotonic()
    command = [sys.executable, "-m", "ikepy", "reload", "--socket", str(gateway.socket)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode:
        raise LabError(done.stderr)
    return time.monotonic() - begin


def flow(ends: Pair, gateway: Gateway, rest: Sequence[Connection]) -> Flow:
    """Send through the tunnel while the gateway is reloaded."""
    once = reload(gateway, of_round(0, rest))
    seconds = (once + SETTLE) * RELOADS * 1.5 + 2 * SETTLE
    words = ("send", pair.RIGHT_HOST, str(PORT), str(SIZE), str(RATE), str(seconds))
    with sink(ends.right_host) as receiver:
        sender = subprocess.Popen(
            ends.left_host.command(sys.executable, "-I", PROGRAM, *words), stdout=subprocess.PIPE, text=True
        )
        with sender:
            times: list[float] = []
            while len(times) < RELOADS:
                time.sleep(SETTLE)
                times.append(reload(gateway, of_round(len(times) + 1, rest)))
            within = sender.poll() is None
            sent = json.loads(sender.communicate()[0])
        got = json.loads(receiver.communicate(timeout=PATIENCE)[0].splitlines()[-1])
    if not within:
        raise LabError(f"the flow ended after {seconds:.0f} s, before the last reload")
    return Flow(sent["sent"], sent["sent"] - got["received"] - got["dropped"], RELOADS, max(times))


def measure(count: int, directory: Path) -> tuple[Start, Flow]:
    """The figures of a gateway with `count` connections, the tunnel's own among them."""
    with Pair(f"reload{os.getpid()}-") as ends:
        responder, initiator = (
            Gateway(where, directory / name) for where, name in ((ends.right, "r"), (ends.left, "i"))
        )
        try:
            responder.start(tunnel(initiator=False))
            rest = others(count - 1)
            begun = start(initiator, document([tunnel(initiator=True), *rest]), directory)
            deadline = time.monotonic() + PATIENCE
            while not initiator.established:
                if time.monotonic() > deadline:
                    raise LabError("the tunnel does not come up")
                time.sleep(0.1)
            return begun, flow(ends, initiator, rest)
        finally:
            for one in (initiator, responder):
                one.stop(patience=ENDING)


@click.command(help=(__doc__ or "").split("\n", 1)[0])
@click.option(
    "--connections",
    "counts",
    type=click.IntRange(1, 60_000),
    multiple=True,
    default=CONNECTIONS,
    show_default=True,
    help="May be given several times.",
)
def main(counts: tuple[int, ...]) -> None:
    """Run it, and end with status 1 if a packet is lost or a start takes too long."""
    on_sigterm()
    good = True
    for count in counts:
        with tempfile.TemporaryDirectory(prefix="ikepy-reload-") as directory:
            Path(directory).chmod(0o755)  # for the socket; the gateways' own directories are closed
            begun, carried = measure(count, Path(directory))
        print(
            f"{count} connections: ready after {begun.ready:.2f} s (at most {LIMIT:.0f} s), "
            f"{begun.cpu:.2f} s of CPU; "
            f"control has {begun.rss:.1f} MiB RSS, {begun.pss:.1f} MiB PSS"
        )
        print(
            f"{carried.reloads} reloads under a flow of {RATE} datagrams a second: {carried.lost} of "
            f"{carried.sent} lost (0); the longest took {carried.longest:.2f} s",
            flush=True,
        )
        good = good and begun.ready <= LIMIT and carried.lost == 0
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
