"""The bed of a lab: two hosts, two gateways, an internet between them, and what a learner types there.

alice -- left ==== internet ==== right -- bob
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ikepy.control import queries
from ikepy.control.client import ClientError
from ikepy.lab.netns import LabError, Namespace, delete_all, run, veth

DIRECTORY = Path("/run/ikepy-course")
PREFIX = "ikepy-course-"
NODES = ("left", "right", "alice", "internet", "bob")  # in the order in which they are ended
CAPTURES = {"wire.pcap": "left", "far.pcap": "right"}  # by the internet's device
_GATEWAYS = {"left": ("10.1.0", "192.0.2"), "right": ("10.2.0", "198.51.100")}
_HOSTS = {"alice": "left", "bob": "right"}
_PROGRAMS = {  # program -> Debian's package
    "bash": "bash",
    "ip": "iproute2",
    "nft": "nftables",
    "ping": "iputils-ping",
    "python3": "python3",
    "tcpdump": "tcpdump",
}
_SIGNALS = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
_START = 60.0  # seconds that a daemon may take to answer
_COLUMNS = 100


@dataclass(frozen=True, slots=True)
class Output:
    """What a command printed, stdout and stderr as they came, and its exit status."""

    text: str
    status: int


class Bed:
    """The namespaces `prefix`..., and the learner's files in `directory`; a context manager.

    Beds that differ in both are independent of each other. Where what a learner types or reads names the
    course's own directory, this bed's is meant.
    """

    def __init__(self, prefix: str = PREFIX, directory: Path = DIRECTORY) -> None:
        self.directory = directory
        self.nodes = {name: Namespace(prefix + name) for name in NODES}
        self._starting: set[str] = set()
        self._captures: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Bed:
        try:
            self.build()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def build(self) -> None:
        """Make it anew: what was there of an earlier lab goes. LabError, also where programs are missing."""
        _require()
        self.down()
        self._programs().mkdir(parents=True, mode=0o700)
        program = self._programs() / "ikepy"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m ikepy "$@"\n')
        program.chmod(0o700)
        for node in self.nodes.values():
            node.create()
        for name in ("left", "right", "internet"):
            self.nodes[name].forward()
        for host, gateway in _HOSTS.items():
            self._connect(host, gateway)
        for name, device in CAPTURES.items():
            self._capture(self.directory / name, device)

    def _connect(self, host: str, gateway: str) -> None:
        inner, outer = _GATEWAYS[gateway]
        veth(self.nodes[host], "eth0", self.nodes[gateway], "lan")
        veth(self.nodes[gateway], "eth0", self.nodes["internet"], gateway)
        self.nodes[host].ip(f"addr add {inner}.10/24 dev eth0", f"route add default via {inner}.1")
        self.nodes[gateway].ip(
            f"addr add {inner}.1/24 dev lan",
            f"addr add {outer}.1/24 dev eth0",
            f"route add default via {outer}.254",
        )
        self.nodes["internet"].ip(f"addr add {outer}.254/24 dev {gateway}")

    def _capture(self, file: Path, device: str) -> None:
        words = ["tcpdump", "-i", device, "-U", "--immediate-mode", "-Z", "root", "-w", str(file)]
        shown = "udp port 500 or udp port 4500 or esp or icmp"
        self._captures.append(self.nodes["internet"].start(*words, shown, log=file.with_suffix(".log")))
        begin = time.monotonic()
        while not (file.exists() and file.stat().st_size):  # the file's header: it listens
            if time.monotonic() > begin + _START:
                raise LabError(f"tcpdump does not start: {file.with_suffix('.log').read_text()}")
            time.sleep(0.02)

    def write(self, name: str, text: str) -> None:
        """Write a file of the learner's."""
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_text(self._here(text))

    def _here(self, text: str) -> str:
        return text.replace(str(DIRECTORY), str(self.directory))

    def run(self, node: str, script: str, timeout: float = 60.0) -> Output:
        """Run what was typed on a node. A daemon in the background answers before anything else runs."""
        self._await_daemons()
        with tempfile.TemporaryFile() as output:  # no pipe: what stays in the background would hold it open
            try:
                done = subprocess.run(
                    self.nodes[node].command("bash", "-c", self._here(script)),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=self.directory,
                    env=self.environment(node),
                    timeout=timeout,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise LabError(f"`{script}` on {node} took longer than {timeout:g} s") from None
            output.seek(0)
            text = output.read().decode(errors="replace")
        if script.rstrip().endswith("&") and "ikepy run" in script:
            self._starting.add(node)
        return Output(text.replace(str(self.directory), str(DIRECTORY)), done.returncode)

    def environment(self, node: str) -> Mapping[str, str]:
        """The variables of a shell on a node: `ikepy` is ours, and speaks to that node's daemon."""
        return {
            **os.environ,
            "PATH": f"{self._programs()}:{os.environ.get('PATH', '')}:/usr/sbin:/sbin",
            "IKEPY_SOCKET": str(self._socket(node)),
            "COLUMNS": str(_COLUMNS),
            "LC_ALL": "C.UTF-8",
            "NO_COLOR": "1",
            "PYTHONUNBUFFERED": "1",
        }

    def _await_daemons(self) -> None:
        begin = time.monotonic()
        while self._starting:
            for node in list(self._starting):
                if self._answers(node):
                    self._starting.discard(node)
                elif time.monotonic() > begin + _START or not self._runs(node, begin):
                    self._starting.clear()
                    raise LabError(f"the daemon on {node} does not run:\n{self._log(node)}")
            time.sleep(0.02)

    def _answers(self, node: str) -> bool:
        try:
            queries.list_sas(self._socket(node))
        except ClientError:
            return False
        return True

    def _runs(self, node: str, since: float) -> bool:
        """Is anything at work in the node? In the first second what was typed may still begin."""
        return time.monotonic() < since + 1 or bool(self.nodes[node].pids())

    def _log(self, node: str) -> str:
        file = self.directory / f"{node}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def _socket(self, node: str) -> Path:
        return self.directory / f"{node}.sock"

    def _programs(self) -> Path:
        return self.directory / "bin"

    def down(self) -> None:
        """End what runs, remove the namespaces and the files, whatever signals come. No bed is no error."""
        self._starting.clear()
        with _uninterrupted():
            try:
                delete_all(list(self.nodes.values()), patience=1.0)
            finally:
                while self._captures:
                    capture = self._captures.pop()
                    capture.kill()
                    capture.wait()
                if self.directory.exists():
                    run("rm", "-rf", "--", *map(str, self._files()))

    def _files(self) -> list[Path]:
        return [path for path in self.directory.iterdir() if path.name != "lock"]


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Another Ctrl-C while a lab is removed would leave the rest of it. Threads get no signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _require() -> None:
    if not Path("/dev/net/tun").exists():
        raise LabError("/dev/net/tun is missing: the kernel's tun module is not loaded")
    missing = sorted({package for name, package in _PROGRAMS.items() if shutil.which(name) is None})
    if missing:
        raise LabError(f"programs are missing: apt-get install {' '.join(missing)}")
