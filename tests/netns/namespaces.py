"""Network namespaces for tests: made with a unique name, gone afterwards with all that ran inside."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from pyroute2 import netns

PREFIX = "ikt-"
NAMESPACES = Path("/run/netns")

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
MakeNamespace = Callable[[str], "Namespace"]


class Namespace:
    """One network namespace. The fixtures `make_namespace` and `namespace` make them, with `lo` up."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._processes: list[subprocess.Popen[str]] = []
        ip("netns", "add", name)

    def run(
        self, *command: str | Path, check: bool = True, timeout: float = 30, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside to its end; stdout and stderr are captured, `text` is its stdin.

        `check`: a failure is an AssertionError that shows the output.
        """
        return _run(["ip", "netns", "exec", self.name, *map(str, command)], check, timeout, text)

    def ip(self, *arguments: str | Path) -> str:
        """`ip ARGUMENTS` inside; its stdout."""
        return ip("-n", self.name, *map(str, arguments))

    def start(self, *command: str | Path, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a command inside and leave it running; it is killed with the namespace at the latest.

        stdout and stderr are one pipe, as text: read it, or the process may stand still when it is full.
        """
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.name, *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
        self._processes.append(process)
        return process

    def call(
        self, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """What the function returns (or raises), called inside: in a thread of its own, in this process.

        So sockets and TUN devices that it opens belong to the namespace and can be used outside of it. It
        may run an event loop (`asyncio.run`), but no signal handlers; `/sys` still shows the host's devices.
        """

        def inside() -> Result:
            netns.setns(self.name, flags=0)
            return function(*args, **kwargs)

        with ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(inside).result()

    def inside(self, job: Callable[[], Result]) -> Result:
        """`call` without arguments."""
        return self.call(job)

    def remove(self) -> None:
        """Kill what runs inside, then delete the namespace."""
        for process in self._processes:
            process.kill()
        for pid in _run(["ip", "netns", "pids", self.name], False, 10).stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        for process in self._processes:
            process.communicate()
        ip("netns", "del", self.name)


def ip(*arguments: str) -> str:
    """`ip ARGUMENTS`; its stdout. A failure is an AssertionError with its words."""
    return _run(["ip", *arguments], True, 10).stdout


def connect(
    one: Namespace,
    other: Namespace,
    device: str,
    other_device: str,
    addresses: Sequence[str] = (),
    other_addresses: Sequence[str] = (),
    mtu: int = 1500,
) -> None:
    """Join two namespaces by a veth pair that is up, each end with its addresses ("192.0.2.1/24")."""
    ip(
        *("link", "add", device, "netns", one.name, "mtu", str(mtu), "type", "veth"),
        *("peer", "name", other_device, "netns", other.name, "mtu", str(mtu)),
    )
    for namespace, name, own in ((one, device, addresses), (other, other_device, other_addresses)):
        for address in own:
            nodad = ["nodad"] if ":" in address else []
            namespace.ip("addr", "add", address, "dev", name, *nodad)
        namespace.ip("link", "set", name, "up")


def wait_until(condition: Callable[[], object], what: str, timeout: float = 30) -> None:
    """Return as soon as the condition holds; AssertionError that names `what` after `timeout` seconds."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"not within {timeout} s: {what}"
        time.sleep(0.02)


def remove_stale() -> None:
    """Delete the namespaces of test runs that were killed, and end what still runs in them."""
    for path in NAMESPACES.glob(PREFIX + "*") if NAMESPACES.is_dir() else ():
        made_by = re.match(re.escape(PREFIX) + r"(\d+)-", path.name)
        if made_by and not Path("/proc", made_by[1]).exists():
            for pid in _run(["ip", "netns", "pids", path.name], False, 10).stdout.split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            _run(["ip", "netns", "del", path.name], False, 10)


@contextlib.contextmanager
def factory() -> Iterator[Callable[[str], Namespace]]:
    """A function that makes namespaces; all of them are removed at the end, also after a failure."""
    made: list[Namespace] = []

    def make(label: str) -> Namespace:
        namespace = Namespace(f"{PREFIX}{os.getpid()}-{label}-{os.urandom(2).hex()}")
        made.append(namespace)
        namespace.ip("link", "set", "lo", "up")
        return namespace

    with contextlib.ExitStack() as removals:
        try:
            yield make
        finally:
            for namespace in made:
                removals.callback(namespace.remove)


def _run(
    command: list[str], check: bool, timeout: float, text: str | None = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, input=text)
    assert not check or done.returncode == 0, (
        f"{' '.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}"
    )
    return done
