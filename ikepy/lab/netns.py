"""Creates network namespaces, veth pairs and addresses with iproute2."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_NETNS_DIR = Path("/run/netns")
_CLONE_NEWNET = 0x40000000


class LabError(Exception):
    """Something in the lab did not work: the text is for the user."""


def run(*command: str, text: str | None = None, timeout: float = 30.0) -> str:
    """Run a command and give its standard output; LabError with all it printed when it fails."""
    try:
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            errors="replace",
        )
    except FileNotFoundError:
        raise LabError(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"`{' '.join(command)}` took longer than {timeout:g} s") from None
    if done.returncode != 0:
        what = f"{done.stdout}{done.stderr}".strip() or f"exit status {done.returncode}"
        raise LabError(f"`{' '.join(command)}` failed: {what}")
    return done.stdout


class Namespace:
    """One named network namespace. `name` is the full name, prefix and all."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Namespace({self.name!r})"

    @property
    def path(self) -> Path:
        """The file that stands for the namespace."""
        return _NETNS_DIR / self.name

    @property
    def exists(self) -> bool:
        """Is there a namespace of this name?"""
        return self.path.exists()

    def create(self) -> Namespace:
        """Make it, with the loopback device up; LabError where it exists already."""
        run("ip", "netns", "add", self.name)
        # rp_filter off: replies may leave through another device than the requests came in on.
        self.sysctl(
            {
                "net.ipv4.conf.all.rp_filter": "0",
                "net.ipv4.conf.default.rp_filter": "0",
                "net.ipv6.conf.all.accept_dad": "0",
                "net.ipv6.conf.default.accept_dad": "0",
            }
        )
        self.ip("link set lo up")
        return self

    def ip(self, *lines: str) -> None:
        """Run lines of `ip` in the namespace, in one go; LabError names the first that fails."""
        run("ip", "-n", self.name, "-batch", "-", text="\n".join(lines) + "\n")

    def sysctl(self, values: Mapping[str, str]) -> None:
        """Set the namespace's own kernel settings (net.*)."""

        def write() -> None:
            for key, value in values.items():
                Path("/proc/sys", *key.split(".")).write_text(value)

        try:
            self.inside(write)
        except OSError as error:
            raise LabError(f"{self.name}: {error}") from None

    def forward(self) -> None:
        """Make it a router for IPv4 and IPv6."""
        self.sysctl({"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1"})

    def command(self, *command: str) -> list[str]:
        """The argument list that runs `command` in here (`ip` replaces itself: the process ID stays)."""
        return ["ip", "netns", "exec", self.name, *command]

    def run(self, *command: str, text: str | None = None, timeout: float = 30.0) -> str:
        """Run a command in the namespace; as the module's `run`."""
        return run(*self.command(*command), text=text, timeout=timeout)

    def has_device(self, name: str) -> bool:
        """Is there a device of this name?"""
        return self.inside(lambda: name in [found for _, found in socket.if_nameindex()])

    def start(
        self, *command: str, log: Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a process that outlives us, in a session of its own, its output appended to `log`.

        LabError: there is no such program; `ip` would say so in the log only.
        """
        if shutil.which(command[0]) is None:
            raise LabError(f"{command[0]} is not in {os.environ.get('PATH', 'PATH, which is not set')}")
        with log.open("ab") as output:
            return subprocess.Popen(
                self.command(*command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    def inside(self, job: Callable[[], T]) -> T:
        """Run `job` in a thread that is in the namespace: a socket opened there stays there."""
        results: list[T] = []
        errors: list[BaseException] = []

        def enter() -> None:
            try:
                _enter(self.path)
                results.append(job())
            except BaseException as error:  # the caller's thread raises it
                errors.append(error)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    def pids(self) -> list[int]:
        """The processes that live in the namespace."""
        return [int(pid) for pid in run("ip", "netns", "pids", self.name).split()]

    def delete(self, patience: float = 3.0) -> None:
        """End what runs in it, then remove it with its devices. It's no error if there is none."""
        if not self.exists:
            return
        end_processes(self.pids, patience)
        run("ip", "netns", "del", self.name)


def _enter(path: Path) -> None:
    """Move the calling thread into the namespace (Python 3.11 has no os.setns)."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(descriptor, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)


def end_processes(pids: Callable[[], Iterable[int]], patience: float) -> None:
    """SIGTERM to all that `pids` names, SIGKILL to those still there after `patience` seconds."""
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
        alive = [pid for pid in pids() if _signal(pid, number)]
        deadline = time.monotonic() + seconds
        while alive and time.monotonic() < deadline:
            time.sleep(0.02)
            alive = list(pids())
        if not alive:
            return


def _signal(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def veth(a: Namespace, a_device: str, b: Namespace, b_device: str, mtu: int = 1500) -> None:
    """A cable between two namespaces; both ends up."""
    run(
        *f"ip link add {a_device} netns {a.name} mtu {mtu} type veth".split(),
        *f"peer name {b_device} netns {b.name} mtu {mtu}".split(),
    )
    a.ip(f"link set {a_device} up")
    b.ip(f"link set {b_device} up")


def delete_all(namespaces: Sequence[Namespace], patience: float = 3.0) -> None:
    """Delete every one of them, also when some fail; then LabError with what failed."""
    problems = []
    for namespace in namespaces:
        try:
            namespace.delete(patience)
        except LabError as error:
            problems.append(str(error))
    if problems:
        raise LabError("; ".join(problems))
