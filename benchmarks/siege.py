"""A gateway under attack, and those who must not notice it.

left ---+                    an established tunnel: DPD each second, rekeys
fresh --+-- right            a peer that is set up in the middle of it
near ---+     |              the same, from the attackers' prefix
            wild             the attackers: 198.18.0.0/16
"""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import usage
from ikepy.lab.gateway import Connection, Gateway, document
from ikepy.lab.netns import LabError, Namespace, delete_all, veth

RIGHT = "192.0.2.2"
GROUPS = "x25519-modp3072-modp4096-modp8192"
PEERS = {"left": "gwa", "fresh": "gwc", "near": "gwd"}
LINKS = {  # namespace: its lines, right's lines (DEV is right's device)
    "left": (["addr add 192.0.2.1/24 dev eth0"], ["addr add 192.0.2.2/24 dev DEV"]),
    "fresh": (
        ["addr add 203.0.113.2/24 dev eth0", "route add default via 203.0.113.1"],
        ["addr add 203.0.113.1/24 dev DEV"],
    ),
    "near": (
        ["addr add 198.18.0.250/32 dev eth0", "route add 192.0.2.2/32 dev eth0 src 198.18.0.250"],
        ["route add 198.18.0.250/32 dev DEV"],
    ),
    "wild": (
        [
            "addr add 100.64.0.2/24 dev eth0",
            "route add local 198.18.0.0/16 dev lo",
            "route add local 192.0.2.1/32 dev lo",  # the peer's own address, for those that take it
            "route add default via 100.64.0.1",
        ],
        ["addr add 100.64.0.1/24 dev DEV", "route add 198.18.0.0/16 via 100.64.0.2"],
    ),
}
PIPE_SIZE = 4096
PAUSE = 1.5  # seconds between two rounds: DPD has its turn


@dataclass(slots=True)
class Felt:
    """What was noticed of an attack; seconds, the longest of each. None: it did not come about."""

    answer: str = ""  # what the attacker got
    listing: list[float] = field(default_factory=list)
    rekeys: list[float | None] = field(default_factory=list)
    fresh: list[float | None] = field(default_factory=list)
    near: list[float | None] = field(default_factory=list)
    retransmits: int = 0  # of the established tunnel's requests (DPD, rekeys)
    lost: bool = False  # the established tunnel, or the daemon
    memory: tuple[float, float] = (0.0, 0.0)  # MiB resident before, and at the highest
    log_octets: int = 0
    half_open: int = 0  # at most, of those times when one looked

    def cells(self) -> list[str]:
        """What a table shows of it: DPD, rekey, list-sas, new peer, neighbour, half-open, memory, log."""
        times = (longest(self.rekeys), longest(self.listing), longest(self.fresh), longest(self.near))
        shown = ["failed" if one is None else f"{one:.3f}" for one in times]
        before, highest = self.memory
        dpd = "lost" if self.lost else f"{self.retransmits} late" if self.retransmits else "in time"
        memory = f"{before:.0f}, {highest:.0f}"
        return [dpd, *shown, str(self.half_open), memory, f"{self.log_octets / 1024:.0f}"]


def longest(seconds: list[float | None] | list[float]) -> float | None:
    """None if there was none, or one did not come about."""
    known = [one for one in seconds if one is not None]
    return max(known) if known and len(known) == len(seconds) else None


class Siege:
    """The bed with its four daemons; a context manager. `unread`: nobody reads the attacked one's log."""

    def __init__(self, prefix: str, directory: Path, *, unread: bool = False) -> None:
        self._spaces = {name: Namespace(f"{prefix}{name}") for name in ("right", *LINKS)}
        self._gateways = {name: Gateway(self._spaces[name], directory / name) for name in ("right", *PEERS)}
        self._unread = unread
        self._stack = ExitStack()

    def __enter__(self) -> Siege:
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for gateway in self._gateways.values():
            gateway.stop()
        self._stack.close()
        delete_all(list(self._spaces.values()))

    def _build(self) -> None:
        right = self._spaces["right"]
        for space in self._spaces.values():
            space.create()
        for name, (own, rights) in LINKS.items():
            veth(self._spaces[name], "eth0", right, name)
            self._spaces[name].ip(*own)
            right.ip(*(line.replace("DEV", name) for line in rights))
        right.forward()
        if self._unread:
            self._stack.callback(os.close, full_pipe(self._gateways["right"]))
        self.right.start(document(responders()))
        for name in PEERS:
            self._gateways[name].start(initiator(name))
        self.left.initiate()

    @property
    def right(self) -> Gateway:
        return self._gateways["right"]

    @property
    def left(self) -> Gateway:
        return self._gateways["left"]

    def attacked(self, kind: str, rate: float, sources: int, seconds: float) -> Felt:
        """Attack, and try everything that must go on meanwhile."""
        felt = Felt()
        (before,) = (sa["ike_id"] for sa in self.left.list_sas())
        waited, written = retransmits(self.left), self._log_size()
        resident = self._resident()
        highest = resident
        with self._attack(kind, rate, sources, seconds) as finished:
            time.sleep(seconds / 3)  # what can be used up is used up
            while True:
                felt.listing.append(took(self.right.list_sas))
                felt.rekeys.append(tried(lambda: self.left.rekey(child="net")))
                for name, times in (("fresh", felt.fresh), ("near", felt.near)):
                    times.append(tried(self._gateways[name].initiate))
                    tried(lambda name=name: self._gateways[name].terminate(ike="net"))  # type: ignore[misc]
                    sas = self.right.list_sas()
                    felt.half_open = max(felt.half_open, sum(sa["state"] == "CONNECTING" for sa in sas))
                    highest = max(highest, self._resident())
                felt.listing.append(took(self.right.list_sas))
                if (answer := finished()) is not None:
                    break
                time.sleep(PAUSE)
        felt.answer = answer
        felt.memory = resident, highest
        felt.retransmits = retransmits(self.left) - waited
        felt.log_octets = self._log_size() - written
        felt.lost = [sa["ike_id"] for sa in self.left.list_sas()] != [before] or not self.right.running
        return felt

    @contextmanager
    def _attack(
        self, kind: str, rate: float, sources: int, seconds: float
    ) -> Iterator[Callable[[], str | None]]:
        """The attackers' process; gives what tells how it ended, once it has."""
        command = (sys.executable, "-m", "benchmarks.attack", kind, "--target", RIGHT)
        (spis,) = (sa["spi_i"] + sa["spi_r"] for sa in self.right.list_sas() if sa["connection"] == "left")
        options = ("--rate", f"{rate}", "--sources", f"{sources}", "--seconds", f"{seconds}")
        copied = ("--spis", spis) if kind.startswith("junk-sk") else ()
        process = subprocess.Popen(
            self._spaces["wild"].command(*command, *options, *copied), stdout=subprocess.PIPE, text=True
        )

        def finished() -> str | None:
            if process.poll() is None:
                return None
            assert process.stdout is not None
            if process.returncode:
                raise LabError(f"the attack failed with status {process.returncode}")
            return process.stdout.read().strip()

        with process:
            try:
                yield finished
            finally:
                process.kill()

    def _resident(self) -> float:
        pid = self.right.pid
        if pid is None:
            raise LabError(f"the daemon is gone:\n{'' if self._unread else self.right.log()[-2000:]}")
        return usage.resident(pid)

    def _log_size(self) -> int:
        return 0 if self._unread else len(self.right.log())


def responders() -> list[Connection]:
    """Right's connections, one a peer; the strangers among them may come from anywhere."""
    return [
        Connection(
            name=name,
            local_addrs=(RIGHT,),
            remote_addrs=("192.0.2.1",) if name == "left" else ("%any",),
            local_id="gwb",
            remote_id=identity,
            proposals=(f"aes128gcm16-prfsha256-{GROUPS}",),
            secret=f"between {identity} and gwb",
            device=f"vti-{name}",
            local_ts=("10.2.0.0/24",),
            remote_ts=(f"10.{number}.0.0/24",),
            routes=(),
            mobike=True,
        )
        for number, (name, identity) in enumerate(PEERS.items(), 10)
    ]


def initiator(name: str) -> Connection:
    """A peer's connection: the product's defaults but for quicker DPD."""
    number = 10 + list(PEERS).index(name)
    return Connection(
        remote_addrs=(RIGHT,),
        local_id=PEERS[name],
        remote_id="gwb",
        secret=f"between {PEERS[name]} and gwb",
        local_ts=(f"10.{number}.0.0/24",),
        remote_ts=("10.2.0.0/24",),
        routes=(),
        mobike=True,
        extra="dpd_delay = 1" if name == "left" else "",
        daemon="retransmit_timeout = 2" if name == "left" else "",
    )


def full_pipe(gateway: Gateway) -> int:
    """The gateway's log becomes a pipe that nobody reads and that has no room left; its descriptor."""
    gateway.run_directory.mkdir(parents=True, mode=0o700)
    path = gateway.run_directory / "output.log"
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    os.write(descriptor, b"." * PIPE_SIZE)
    return descriptor


def retransmits(gateway: Gateway) -> int:
    """How often it has sent a request again."""
    return len(re.findall(r": retransmit \d", gateway.log()))


def took(job: Callable[[], object]) -> float:
    """Seconds."""
    begin = time.monotonic()
    job()
    return time.monotonic() - begin


def tried(job: Callable[[], object]) -> float | None:
    """Seconds, None if it fails."""
    try:
        return took(job)
    except LabError:
        return None
