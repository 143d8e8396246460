"""Measures a path between two nodes: ping, path MTU discovery with DF, TCP and UDP throughput."""

from __future__ import annotations

import json
import math
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from ikepy.lab.netns import LabError, Namespace, run

# How an iperf3 server refuses a client while it serves another: by its word, or by a reset that overtakes it.
_BUSY = ("server is busy", "unable to receive control message")
_PATIENCE = 10.0  # seconds that an iperf3 server may take to end a test
_LATE = 3.0  # seconds that replies may take on a busy machine
_SENT = re.compile(r"(\d+) packets transmitted")
_REPLY = re.compile(r"bytes from .*icmp_seq=(\d+)")
_RTT = re.compile(r"= ([\d.]+)/([\d.]+)/([\d.]+)/")
_MTU = re.compile(r"mtu ?= ?(\d+)")


@dataclass(frozen=True, slots=True)
class Ping:
    """`minimum`, `average` and `maximum` are round trips in milliseconds, None when nothing came back.

    `problem`: what ping said instead of sending anything.
    """

    sent: int
    received: int
    minimum: float | None = None
    average: float | None = None
    maximum: float | None = None
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Did every packet come back?"""
        return self.sent > 0 and self.received == self.sent

    def __str__(self) -> str:
        if self.problem:
            return self.problem
        loss = 100 * (self.sent - self.received) / self.sent if self.sent else 100
        times = (
            ""
            if self.average is None
            else f", RTT {self.minimum:.2f}/{self.average:.2f}/{self.maximum:.2f} ms"
        )
        return f"{self.received} of {self.sent} back, {loss:.0f}% loss{times}"


def parse_ping(text: str, count: int) -> Ping:
    """Read what ping printed of its first `count` requests; later ones are those that `_words` speaks of."""
    said, times = _SENT.search(text), _RTT.search(text)
    if said is None:
        return Ping(0, 0, problem=text.strip() or "ping said nothing")
    sent = min(int(said[1]), count)
    received = len({number for found in _REPLY.finditer(text) if (number := int(found[1])) <= count})
    if times is None:
        return Ping(sent, received)
    return Ping(sent, received, float(times[1]), float(times[2]), float(times[3]))


def ping(node: Namespace, target: str, *, count: int = 10, interval: float = 0.1) -> Ping:
    """`count` pings, `interval` seconds apart."""
    return pings([(node, target)], count=count, interval=interval)[0]


def pings(pairs: list[tuple[Namespace, str]], *, count: int = 10, interval: float = 0.1) -> list[Ping]:
    """The same from several nodes at once, in the order of `pairs`."""
    words = _words(count, interval)
    with ExitStack() as stack:
        running = [stack.enter_context(_running(node.command(*words, target))) for node, target in pairs]
        texts = [process.communicate(timeout=count * interval + 30)[0] for process in running]
    return [parse_ping(text, count) for text in texts]


def _words(count: int, interval: float) -> tuple[str, ...]:
    """A ping that ends when `count` are answered, or `_LATE` after the last of them.

    Without a deadline ping gives the last reply twice the round trip only, which a busy machine exceeds. With
    one it sends further requests until it ends.
    """
    deadline = math.ceil(count * interval + _LATE)
    return ("ping", "-n", "-c", str(count), "-i", str(interval), "-w", str(deadline))


@contextmanager
def _running(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that is always terminated at the end of the block."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def ping_with_df(node: Namespace, target: str, size: int, count: int = 1) -> str:
    """Ping with IP packets of `size` bytes that must not be fragmented; all that ping prints."""
    headers = 48 if ":" in target else 28  # IP and ICMP
    command = node.command(*_words(count, 0.2), "-M", "do", "-s", str(size - headers), target)
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout + done.stderr


def learned_mtu(text: str) -> int | None:
    """The MTU that ping was told ("Frag needed and DF set (mtu = 1400)", "message too long, mtu: ...")."""
    found = _MTU.search(text)
    return int(found[1]) if found else None


def device_mtu(node: Namespace, device: str) -> int:
    """The device's MTU."""
    links = json.loads(run("ip", "-j", "-n", node.name, "link", "show", "dev", device))
    return int(links[0]["mtu"])


class Iperf:
    """An iperf3 server on `node`, for as long as the context lasts. It takes one client at a time.

    `congestion`: TCP's congestion control at both ends; None: the namespace's default.
    """

    def __init__(self, node: Namespace, *, port: int = 5201, congestion: str | None = None) -> None:
        self._node = node
        self._port = str(port)
        self._congestion = () if congestion is None else ("--congestion", congestion)
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Iperf:
        self._server = subprocess.Popen(
            self._node.command("iperf3", "--server", "--port", self._port),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 5
        while f":{self._port} " not in self._node.run("ss", "-Hltn"):
            if time.monotonic() > deadline or self._server.poll() is not None:
                self.__exit__()
                raise LabError(f"iperf3 does not start in {self._node.name}")
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait()

    def tcp(
        self,
        client: Namespace,
        target: str,
        seconds: int,
        *,
        reverse: bool = False,
        rate: str = "0",
        flows: int = 1,
        source: str | None = None,
    ) -> float:
        """TCP from `client` (to it: `reverse`): what arrived in all, in Mbit/s.

        `flows` at once, each of `rate` bit/s at most ("0": no limit), from the client's address `source`.
        """
        words = ["--bitrate", rate, "--parallel", str(flows)]
        words += ["--reverse"] if reverse else []
        words += ["--bind", source] if source is not None else []
        end = self._run(client, target, seconds, *words, *self._congestion)
        return float(end["sum_received"]["bits_per_second"]) / 1e6

    def tcp_both(self, client: Namespace, target: str, seconds: int) -> float:
        """A TCP flow in each direction at once: what arrived in sum, in Mbit/s."""
        end = self._run(client, target, seconds, "--bidir", *self._congestion)
        directions = (end["sum_received"], end["sum_received_bidir_reverse"])
        return sum(float(one["bits_per_second"]) for one in directions) / 1e6

    def udp(
        self, client: Namespace, target: str, seconds: int, *, size: int, rate: str
    ) -> tuple[float, float]:
        """UDP datagrams of `size` bytes at `rate` bit/s ("0": as many as can be).

        Those that arrived a second, and the share that was lost (0..1).
        """
        end = self._run(client, target, seconds, "--udp", "--length", str(size), "--bitrate", rate)
        result = end["sum"]
        total, lost = int(result["packets"]), int(result["lost_packets"])
        return (total - lost) / float(result["seconds"]), lost / total if total else 1.0

    def _run(self, client: Namespace, target: str, seconds: int, *words: str) -> dict[str, dict[str, float]]:
        command = (
            "iperf3",
            "--json",
            "--client",
            target,
            "--port",
            self._port,
            "--time",
            str(seconds),
            "--connect-timeout",
            "3000",
        )
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                result = json.loads(client.run(*command, *words, timeout=seconds + 30))
                problem = result.get("error", "")  # most of them leave the exit status 0
            except LabError as error:
                problem = str(error)
            if not problem:
                end: dict[str, dict[str, float]] = result["end"]
                return end
            if not any(text in problem for text in _BUSY) or time.monotonic() > deadline:
                raise LabError(f"iperf3 in {client.name}: {problem}")
            time.sleep(0.1)  # the server may not have done with the test before
